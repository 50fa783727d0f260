"""What a user with a chip needs: populations that fit Lava's processes as Loihi has them, and why others do not.

On the CPU Lava's LIF takes a value per neuron; on Loihi `du`, `dv` and `vth` belong to the process. `uniform` splits
populations accordingly. `custom_reason` says what makes a population a neuron of its own on Loihi 2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backends.lava.match import library_lif
from neurocomp.ir.connectivity import Connectivity, Dense, Sparse
from neurocomp.ir.network import Network, Node, Population, Projection
from neurocomp.ir.program import StepProgram

SHARED = ("du", "dv", "vth")  # one value per process on Loihi
Ids = NDArray[np.int64]


def custom_reason(population: Population) -> str | None:
    """Why the population is not Lava's library LIF, or None where it is. Lags do not count: a chip's pipeline just fills."""
    program = population.program
    if program is None or library_lif(replace(population, lag=0)) is not None:
        return None
    if np.any(population.bias_vector() != 0):
        return "its input has a bias, which Loihi's LIF has only on the voltage"
    reset = population.neuron.reset
    if reset == "subtract":
        return "it resets by subtraction, Loihi's LIF to zero"
    if np.any(np.asarray(program.constants.get("v_reset", 0)) != 0):
        return "it resets to a voltage other than zero"
    return f"the step program of {population.neuron.model.name} is not Loihi's LIF"


def groups(population: Population) -> list[Ids]:
    """The neurons of each process on a chip: those with equal du, dv and vth together."""
    lif = library_lif(replace(population, lag=0))
    if lif is None:
        return [np.arange(population.size)]
    rows = np.stack([np.broadcast_to(np.asarray(lif.arguments[x], np.float64), (population.size,)) for x in SHARED], axis=1)
    _, inverse = np.unique(rows, axis=0, return_inverse=True)
    return [np.flatnonzero(inverse.reshape(-1) == k) for k in range(int(inverse.max()) + 1)]


def uniform(net: Network) -> tuple[Network, dict[str, list[tuple[str, Ids]]]]:
    """A compiled network whose populations have one du, dv and vth each.

    Returns it with, for every population of `net`, the (name, flat neuron indices) of its parts; a population that is uniform
    already keeps its name. Populations that need a neuron of their own are left whole.
    """
    parts = {name: groups(population) for name, population in net.populations.items()}
    names = {
        name: [(name, ids[0])] if len(ids) == 1 else [(f"{name}[{k}]", x) for k, x in enumerate(ids)]
        for name, ids in parts.items()
    }
    result = Network(net.name, dt=net.dt, integrator=net.integrator, seed=net.seed)
    result.changes = net.changes
    for name, node in net.nodes.items():
        for part, ids in names.get(name, [(name, None)]):
            new = node if ids is None or part == name else _part(node, part, ids)
            result.graph.add_node(part, node=new)
    for projection in net.projections.values():
        sources = names.get(projection.pre, [(projection.pre, np.arange(net.node(projection.pre).size))])
        for pre, pre_ids in sources:
            for post, post_ids in names[projection.post]:
                piece = _piece(projection, pre, pre_ids, post, post_ids)
                if len(piece.connectivity):
                    result.graph.add_edge(pre, post, key=piece.name, projection=piece)
    return result, names


def _part(node: Node, name: str, ids: Ids) -> Node:
    assert isinstance(node, Population)
    assert node.program is not None

    def pick(value: Any) -> Any:
        return value if np.ndim(value) == 0 else np.asarray(value).ravel()[ids]

    program = node.program
    kept = StepProgram(
        program.form,
        {k: pick(v) for k, v in program.constants.items()},
        {k: pick(v) for k, v in program.initial.items()},
        {k: pick(v) for k, v in program.scale.items()},
    )
    neuron = replace(
        node.neuron,
        parameters={k: pick(v) for k, v in node.neuron.parameters.items()},
        initial={k: pick(v) for k, v in node.neuron.initial.items()},
    )
    return replace(node, name=name, neuron=neuron, shape=(len(ids),), bias=pick(node.bias), program=kept)


def _piece(projection: Projection, pre: str, pre_ids: Ids, post: str, post_ids: Ids) -> Projection:
    """The synapses from and to some of the neurons."""
    connectivity = projection.connectivity
    if (pre, post) == (projection.pre, projection.post):
        return projection
    name = f"{projection.name}:{pre}->{post}"
    if isinstance(connectivity, Dense) and connectivity.columns is None and not np.ndim(projection.delay):
        block: Connectivity = Dense(connectivity.weights[np.ix_(post_ids, pre_ids)])
        return replace(projection, name=name, pre=pre, post=post, connectivity=block)
    sources, targets = connectivity.synapses()
    place = _places(pre_ids, connectivity.n_pre), _places(post_ids, connectivity.n_post)
    keep = (place[0][sources] >= 0) & (place[1][targets] >= 0)
    ends = place[1][targets[keep]], place[0][sources[keep]]
    block = Sparse((connectivity.values()[keep], ends), (len(post_ids), len(pre_ids)))
    delay = np.ravel(projection.delay)[keep] if np.ndim(projection.delay) else projection.delay
    return replace(projection, name=name, pre=pre, post=post, connectivity=block, delay=delay)


def _places(ids: Ids, size: int) -> Ids:
    result = np.full(size, -1, np.int64)
    result[ids] = np.arange(len(ids))
    return result

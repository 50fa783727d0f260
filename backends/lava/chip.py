"""What a user with a chip needs: populations that fit Lava's processes as Loihi has them, and why others do not.

On the CPU Lava's LIF takes a value per neuron; on Loihi `du`, `dv` and `vth` belong to the process. `uniform` splits
populations accordingly. `custom_reason` says what makes a population a neuron of its own on Loihi 2, `by_projection` which
process is which projection, and which convolutions lost their sharing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backends.lava.match import library_lif
from neurocomp.backends.lava.wires import Wire, why_generated, wires
from neurocomp.ir.connectivity import Connectivity, Dense, Sparse
from neurocomp.ir.convolution import Conv2d
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
    names = _names(net)
    result = Network(net.name, dt=net.dt, integrator=net.integrator, seed=net.seed)
    result.changes = net.changes
    for name, node in net.nodes.items():
        for part, ids in names.get(name, [(name, None)]):
            new = node if ids is None or part == name else _part(node, part, ids)
            result.graph.add_node(part, node=new)
    for projection in net.projections.values():
        for piece in _pieces(net, names, projection):
            result.graph.add_edge(piece.pre, piece.post, key=piece.name, projection=piece)
    return result, names


def by_projection(net: Network, processes: Sequence[Any]) -> tuple[dict[str, list[Any]], list[str]]:
    """A chip's connection processes by the projection of `net` that each belongs to, and what became of convolutions.

    processes: those of `uniform(net)[0]`, one for each of its wires and in their order. The notes name every convolution whose
    kernels are listed synapse by synapse instead of shared by Lava's Conv, every projection that learns by a process that is
    not Lava's, and why.
    """
    split, names = uniform(net)
    left = iter(processes)
    found: dict[str, list[Any]] = {}
    notes = []
    for projection in net.projections.values():
        pieces = list(_pieces(net, names, projection))
        made = [wire for piece in pieces for wire in wires(_alone(split, piece))]
        found[projection.name] = [next(left) for _ in made]
        reasons = [reason for x in pieces if x.learning is not None and (reason := why_generated(x)) is not None]
        if reasons:
            count = f"{len(reasons)} of {len(pieces)} parts learn in generated processes, which are not among these"
            notes.append(f"{projection.name}: {count}: {reasons[0]}")
        if isinstance(projection.connectivity, Conv2d) and any(wire.conv is None for wire in made):
            notes.append(_expanded(projection, made, names))
    return found, notes


Names = Mapping[str, list[tuple[str, Ids]]]


def _names(net: Network) -> dict[str, list[tuple[str, Ids]]]:
    """(name, flat neuron indices) of the parts of every population."""
    parts = {name: groups(population) for name, population in net.populations.items()}
    return {
        name: [(name, ids[0])] if len(ids) == 1 else [(f"{name}[{k}]", x) for k, x in enumerate(ids)]
        for name, ids in parts.items()
    }


def _pieces(net: Network, names: Names, projection: Projection) -> Iterator[Projection]:
    """The projections between parts that a projection becomes, without empty ones."""
    sources = names.get(projection.pre, [(projection.pre, np.arange(net.node(projection.pre).size))])
    for pre, pre_ids in sources:
        for post, post_ids in names[projection.post]:
            piece = _piece(projection, pre, pre_ids, post, post_ids)
            if len(piece.connectivity):
                yield piece


def _alone(net: Network, projection: Projection) -> Network:
    """A network of all nodes and one projection."""
    result = net.with_changes()
    result.graph.remove_edges_from([*result.graph.edges(keys=True)])
    result.graph.add_edge(projection.pre, projection.post, key=projection.name, projection=projection)
    return result


def _expanded(projection: Projection, made: Sequence[Wire], names: Names) -> str:
    """What became of a convolution that Lava's Conv does not take."""
    synapses = sum(wire.weights.nnz for wire in made)
    count = "a Sparse process" if len(made) == 1 else f"{len(made)} Sparse processes"
    return (
        f"{projection.name}: its convolution was expanded into {count} of {synapses} synapses in all, instead of sharing "
        f"{projection.connectivity.weights.size} weights: {_why_expanded(projection, names)}"
    )


def _why_expanded(projection: Projection, names: Names) -> str:
    for end in (projection.post, projection.pre):
        parts = len(names.get(end, [end]))
        if parts > 1:
            return f"'{end}' is {parts} processes, one for each different du, dv and vth; give its neurons the same"
    layer = projection.connectivity
    assert isinstance(layer, Conv2d)
    if np.any(np.asarray(projection.delay) != 1):
        return f"Lava's Conv takes one step, and its delay is up to {projection.max_delay}"
    if projection.shift:
        return "Lava's Conv knows no weight_exp, and a negative one rounds every sum"
    if layer.dilation != (1, 1) or any(before != after for before, after in layer.padding):
        return "Lava's Conv takes no dilation, and pads both sides alike"
    return "its sums or its geometry are too large for Lava's Conv (24 bits, 127 pixels)"


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

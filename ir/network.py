"""The graph IR: populations and inputs as nodes, projections as edges of a live `networkx.MultiDiGraph`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse as sp

from neurocomp.ir.connectivity import Connectivity, Dense, OneToOne, Sparse, frozen_array
from neurocomp.ir.distributions import Distribution
from neurocomp.ir.errors import ModelError
from neurocomp.ir.events import from_data
from neurocomp.ir.integrators import INTEGRATORS
from neurocomp.ir.model import Neuron, NeuronModel
from neurocomp.ir.parts import Change, Grid, Input, LoihiSynapse, Node, Population, Projection
from neurocomp.ir.patterns import Drawn, DrawnDelays, Pattern
from neurocomp.ir.plasticity import LoihiRule, Plasticity

__all__ = ["Change", "Grid", "Input", "LoihiSynapse", "Network", "Node", "Population", "Projection"]

LONGEST = 2**40  # steps of spikes an input may hold


class Network:
    """A spiking network: a name, a time step and a graph. SI units everywhere.

    dt: seconds per step. integrator: `euler`, `exponential` or `exact`, for every population that does not choose its own.
    seed: of the network's random numbers, which depend on nothing else but the population's name, the neuron and the step.
    `outputs` maps names to the populations that are the network's answer. `graph` is live: nodes carry their `Input` or
    `Population` as attribute `node`, edges their `Projection` as attribute `projection`, keyed by the projection's name.
    """

    def __init__(self, name: str = "network", *, dt: float, integrator: str = "exponential", seed: int = 0) -> None:
        if not (isinstance(dt, (int, float)) and math.isfinite(dt) and dt > 0):
            raise ModelError(f"network '{name}': dt must be a positive number of seconds, not {dt!r}")
        if integrator not in INTEGRATORS:
            raise ModelError(f"network '{name}': unknown integrator '{integrator}'; use one of {', '.join(INTEGRATORS)}")
        if not isinstance(seed, int | np.integer) or isinstance(seed, bool):
            raise ModelError(f"network '{name}': seed is a whole number, not {seed!r}")
        self.name, self.dt, self.integrator, self.seed = name, float(dt), integrator, int(seed)
        self.graph = nx.MultiDiGraph()
        self.changes: tuple[Change, ...] = ()
        self.outputs: dict[str, str] = {}

    # ---------------------------------------------------------------------------------------------------------- build

    def input(self, name: str, shape: int | tuple[int, ...], max_payload: int = 1, spikes: Any = None) -> Input:
        """Add an input of the given shape. max_payload > 1 makes it graded: spikes carry integers up to that size.

        spikes: what it plays from step 0 where a run gives it nothing: a raster (steps, *shape), a pair (times, ids) of steps
        and flat neuron indices, or a triple with payloads.
        """
        size, limit = _shape(name, shape), _whole(f"input '{name}'", max_payload)
        node = Input(name, size, limit, spikes=None if spikes is None else _own_spikes(name, spikes, size, limit))
        self._add(node)
        return node

    def population(
        self, name: str, neuron: Neuron, shape: int | tuple[int, ...], bias: Any = 0.0, max_payload: int | None = None
    ) -> Population:
        """Add a population of `neuron`s. bias: constant input, scalar or array of the population's shape.

        Parameters, initial values and the bias may also be distributions (`nc.Normal`, `nc.Uniform`), drawn here.

        max_payload: of models with graded spikes, the size at which payloads saturate (default 255).
        """
        if not isinstance(neuron, Neuron):
            given = f"{neuron.name}(...)" if isinstance(neuron, NeuronModel) else "nc.LIF(tau=10e-3)"
            raise ModelError(f"population '{name}': takes a neuron with its parameters, such as {given}, not {neuron!r:.60}")
        size = _shape(name, shape)

        def own(what: str, value: Any) -> Any:
            drawn = isinstance(value, Distribution)
            return _own(value.draw(f"{self.seed}/{name}/{what}", size) if drawn else value)

        parameters = {key: own(key, value) for key, value in neuron.parameters.items()}
        initial = {key: own(f"initial {key}", value) for key, value in neuron.initial.items()}
        graded = bool(neuron.model.payload)
        if max_payload is not None and not graded:
            raise ModelError(f"population '{name}': {neuron.model.name} sends plain spikes, so max_payload does not apply")
        asked = neuron.model.max_payload if max_payload is None else max_payload
        limit = _whole(f"population '{name}'", asked) if graded else 1
        mine = replace(neuron, parameters=parameters, initial=initial)
        node = Population(name, mine, size, own("bias", bias), max_payload=limit)
        self._add(node)
        return node

    def connect(
        self,
        pre: Node | str,
        post: Node | str,
        connectivity: Connectivity | Pattern | Any,
        delay: Any = 0,
        name: str | None = None,
        loihi: LoihiSynapse | None = None,
        receptor: str = "",
        plasticity: Plasticity | LoihiRule | None = None,
    ) -> Projection:
        """Add a projection.

        connectivity: a `Connectivity`, or a pattern such as `nc.FixedProbability(0.1)`, drawn by the network's seed; a matrix
        (n_post, n_pre) is taken as Dense, a scipy sparse matrix as Sparse.
        delay: steps (int), seconds (float, a multiple of dt), or an array of either with one entry per synapse, shaped as
        the connectivity's weights (for Sparse also a matrix (n_post, n_pre)), or a distribution of seconds, rounded to steps.
        0 means within the same step, as in trained layered networks; recurrence needs >= 1. receptor: which input of the
        target, where its model has several. plasticity: how the weights learn, such as `nc.STDP(...)`, or
        `nc.LoihiRule(...)` in Loihi's arithmetic; the given weights are where they start.
        """
        if plasticity is not None and not isinstance(plasticity, Plasticity | LoihiRule):
            raise ModelError(f"plasticity= takes a rule with its numbers, such as nc.STDP(), not {plasticity!r:.60}")
        source, target = (self._name_of(x) for x in (pre, post))
        given = connectivity if isinstance(connectivity, Pattern) else _connectivity(connectivity)
        for end in (source, target):
            if end not in self.graph:
                known = ", ".join(self.graph) or "none yet"
                raise ModelError(f"projection {source} -> {target}: there is no '{end}' in this network (there is: {known})")
        if isinstance(given, OneToOne):
            given = given.sized(self.node(target).size)
        label = name or self._edge_name(source, target)
        receptor = _receptor(label, self.node(target), receptor)
        if label in self.projections:
            raise ModelError(f"there is already a projection '{label}'; give another name=")
        bound, steps = self._bound(label, source, target, given, delay)
        projection = Projection(label, source, target, bound, steps, loihi, receptor=receptor, plasticity=plasticity)
        self.graph.add_edge(source, target, key=label, projection=projection)
        return projection

    def output(self, name: str, node: Node | str) -> None:
        """Name a population (or input) as an output of the network: what a user of the whole network reads."""
        target = node if isinstance(node, str) else node.name
        if target not in self.graph:
            raise ModelError(f"output '{name}': there is no '{target}' in this network")
        if name in self.outputs:
            raise ModelError(f"there is already an output '{name}' (it is '{self.outputs[name]}'); names are unique")
        self.outputs[name] = target

    def insert(self, other: Network, prefix: str) -> dict[str, str]:
        """Copy another network's nodes and projections into this one as `prefix.name`.

        Returns the new names by the old ones. Both networks must have the same dt; populations keep the integrator they had.
        """
        if other.dt != self.dt:
            raise ModelError(f"cannot insert '{other.name}' (dt={other.dt} s) into '{self.name}' (dt={self.dt} s)")
        names = {name: f"{prefix}.{name}" for name in other.graph}
        for name in names.values():
            self._check_name(name)
        for node in other.nodes.values():
            renamed = replace(node, name=names[node.name])
            if isinstance(renamed, Population) and renamed.neuron.integrator is renamed.neuron.model.integrator is None:
                renamed = replace(renamed, neuron=replace(renamed.neuron, integrator=other.integrator))
            self._add(renamed)
        for projection in other.projections.values():
            pre, post, label = names[projection.pre], names[projection.post], f"{prefix}.{projection.name}"
            plasticity = projection.plasticity
            if isinstance(plasticity, Plasticity) and plasticity.reward is not None:
                plasticity = replace(plasticity, reward=names[plasticity.reward])
            moved = replace(projection, name=label, pre=pre, post=post, plasticity=plasticity)
            self.graph.add_edge(pre, post, key=label, projection=moved)
        self.outputs |= {f"{prefix}.{name}": names[node] for name, node in other.outputs.items()}
        return names

    # ----------------------------------------------------------------------------------------------------------- look

    @property
    def nodes(self) -> dict[str, Node]:
        """Inputs and populations by name, in order of creation."""
        nodes = {name: data.get("node") for name, data in self.graph.nodes(data=True)}
        return {name: node for name, node in nodes.items() if isinstance(node, (Input, Population))}

    @property
    def inputs(self) -> dict[str, Input]:
        """Inputs by name."""
        return {name: node for name, node in self.nodes.items() if isinstance(node, Input)}

    @property
    def populations(self) -> dict[str, Population]:
        """Populations by name."""
        return {name: node for name, node in self.nodes.items() if isinstance(node, Population)}

    @property
    def projections(self) -> dict[str, Projection]:
        """Projections by name."""
        projections = (data.get("projection") for *_, data in self.graph.edges(data=True))
        return {projection.name: projection for projection in projections if isinstance(projection, Projection)}

    def node(self, name: str) -> Node:
        """The input or population of that name."""
        node: Node = self.graph.nodes[name]["node"]
        return node

    def incoming(self, name: str) -> list[Projection]:
        """Projections onto a population."""
        return [data["projection"] for _, _, data in self.graph.in_edges(name, data=True)]

    def outgoing(self, name: str) -> list[Projection]:
        """Projections from an input or population."""
        return [data["projection"] for _, _, data in self.graph.out_edges(name, data=True)]

    @property
    def longest_delay(self) -> int:
        """The longest way in steps of a spike or reward, at least 1."""
        rewards = (x.plasticity.reward_delay for x in self.projections.values() if x.plasticity is not None)
        return max((1, *(x.max_delay for x in self.projections.values()), *rewards))

    def exponent(self, name: str) -> int:
        """Of the grid of a compiled population's input."""
        grid = self.populations[name].grid
        return 0 if grid is None else grid.exponent

    @property
    def max_lag(self) -> int:
        """How many steps longer than the written network the retimed one runs."""
        return max((node.lag for node in self.nodes.values()), default=0)

    def __str__(self) -> str:
        from neurocomp.ir.text import text

        return text(self)

    def __repr__(self) -> str:
        return f"<Network '{self.name}': {len(self.nodes)} nodes, {len(self.projections)} projections, dt={self.dt} s>"

    # --------------------------------------------------------------------------------------------------------- rewrite

    def with_changes(
        self,
        nodes: Mapping[str, Node] | None = None,
        projections: Mapping[str, Projection] | None = None,
        changes: Iterable[Change] = (),
    ) -> Network:
        """A new network with some nodes and projections replaced (same names); this one stays as it is."""
        result = Network(self.name, dt=self.dt, integrator=self.integrator, seed=self.seed)
        result.outputs = dict(self.outputs)
        for name, node in self.nodes.items():
            result.graph.add_node(name, node=(nodes or {}).get(name, node))
        for name, projection in self.projections.items():
            new = (projections or {}).get(name, projection)
            result.graph.add_edge(new.pre, new.post, key=name, projection=new)
        result.changes = (*self.changes, *changes)
        return result

    # ---------------------------------------------------------------------------------------------------------- inside

    def _check_name(self, name: str) -> None:
        if not name or name != name.strip() or any(c in name for c in "/\n\t"):
            raise ModelError(f"'{name}' is not a usable name (no slash, tab, newline or outer blanks)")
        if name in self.graph:
            raise ModelError(f"there is already a node '{name}' in network '{self.name}'; names are unique")

    def __copy__(self) -> Network:
        return self.with_changes()

    def _name_of(self, end: Node | str) -> str:
        if isinstance(end, str):
            return end
        if not isinstance(end, Input | Population):
            raise ModelError(f"a projection goes from and to an input, a population or a name, not {end!r:.60}")
        if end.name in self.graph and self.node(end.name) is not end:
            raise ModelError(f"'{end.name}' is a node of another network, or of this one before it was changed; give its name")
        return end.name

    def _add(self, node: Node) -> None:
        if not isinstance(node.name, str):
            raise ModelError(f"a node's name is text, not {node.name!r}")
        self._check_name(node.name)
        self.graph.add_node(node.name, node=node)

    def _edge_name(self, source: str, target: str) -> str:
        label, count = f"{source}->{target}", 1
        while label in self.projections:
            count += 1
            label = f"{source}->{target}#{count}"
        return label

    def _bound(
        self, label: str, source: str, target: str, given: Connectivity | Pattern, delay: Any
    ) -> tuple[Connectivity, Any]:
        """The connectivity between these nodes, and its delays in steps."""
        stream = f"{self.seed}/{label}"
        drawn = isinstance(delay, Distribution)
        if drawn and delay.span[0] < 0:
            raise ModelError(f"projection '{label}': delays of {delay} may be negative; give it a low= of at least 0")
        if isinstance(given, Pattern):
            sizes = self.node(source).size, self.node(target).size
            pattern = Drawn(given, *sizes, stream, self.dt, delay if drawn else None)
            return pattern, DrawnDelays(pattern) if drawn else self._steps(label, delay)
        if drawn:
            seconds = delay.draw(f"{stream}/delays", given.weights.shape)
            return given, frozen_array(np.rint(seconds / self.dt), np.int64)
        return given, self._steps(label, _listed_delays(given, delay))

    def _steps(self, label: str, delay: Any) -> Any:
        values = np.asarray(delay)
        if values.dtype.kind in "iu":
            return int(values) if values.ndim == 0 else frozen_array(values, np.int64)
        if values.dtype.kind != "f":
            raise ModelError(f"projection '{label}': a delay is a number of steps (int) or of seconds (float), not {delay!r}")
        steps = values / self.dt
        whole = np.rint(steps)
        off = np.abs(steps - whole) > 1e-6 * np.maximum(whole, 1)
        if off.any() or not np.isfinite(steps).all():
            worst = float(values[off].flat[0]) if off.any() else float("nan")
            raise ModelError(
                f"projection '{label}': delay {worst} s is {worst / self.dt:.6g} steps of dt={self.dt} s; give a multiple "
                "of dt, or an int of steps"
            )
        return int(whole) if values.ndim == 0 else frozen_array(whole, np.int64)


def _receptor(label: str, target: Node, receptor: str) -> str:
    """The receptor, which must be named where the target's model has several."""
    known = target.neuron.model.receptors if isinstance(target, Population) else ()
    if len(known) == 1 and not receptor:
        return known[0]
    if known and receptor not in known:
        given = f"has no receptor '{receptor}'" if receptor else "has several receptors"
        choices = " or ".join(f"receptor='{x}'" for x in known)
        raise ModelError(f"projection '{label}': '{target.name}' ({target.neuron.model.name}) {given}; give {choices}")  # type: ignore[union-attr]
    if receptor and not known:
        raise ModelError(f"projection '{label}': '{target.name}' has one input and no receptors; leave receptor= out")
    return receptor


def _own_spikes(name: str, given: Any, shape: tuple[int, ...], max_payload: int) -> tuple[Any, Any, Any]:
    events = from_data(name, given, shape, LONGEST, max_payload)
    payload = None if events.payload is None else frozen_array(events.payload, np.int64)
    return frozen_array(events.times, np.int64), frozen_array(events.ids, np.int64), payload


def _whole(subject: str, max_payload: Any) -> int:
    if not isinstance(max_payload, int | np.integer) or isinstance(max_payload, bool):
        raise ModelError(f"{subject}: max_payload is a whole number, not {max_payload!r}")
    return int(max_payload)


def _own(value: Any) -> Any:
    """Arrays and lists as private read-only arrays, so that a network cannot change behind its back."""
    if not isinstance(value, np.ndarray | list | tuple):
        return value
    try:
        return frozen_array(value, None)
    except ValueError:
        raise ModelError(f"{value!r:.60} is not an array of numbers: its rows differ in length") from None


def _connectivity(given: Any) -> Connectivity:
    if isinstance(given, Connectivity):
        return given
    if sp.issparse(given):
        return Sparse(given)
    if isinstance(given, np.ndarray) and given.ndim == 2:
        return Dense(given)
    raise ModelError(f"a projection takes a connectivity such as nc.Dense(weights), not {given!r:.60}")


def _listed_delays(connectivity: Connectivity, delay: Any) -> Any:
    """For listed synapses, a matrix of delays as one delay per synapse."""
    if not isinstance(connectivity, Sparse):
        return delay
    matrix = delay.toarray() if sp.issparse(delay) else np.asarray(delay)
    if matrix.shape == (connectivity.n_post, connectivity.n_pre) and matrix.ndim == 2:
        return matrix[connectivity.post, connectivity.pre]
    return delay


def _shape(name: str, shape: int | tuple[int, ...]) -> tuple[int, ...]:
    sizes = tuple(shape) if isinstance(shape, (tuple, list, np.ndarray)) else (shape,)
    if not sizes or any(not isinstance(x, int | np.integer) or isinstance(x, bool) or x < 1 for x in sizes):
        raise ModelError(f"'{name}': shape must be a positive int or a tuple of them, not {shape!r}")
    return tuple(int(x) for x in sizes)

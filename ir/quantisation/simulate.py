"""Runs of lowered populations on many samples at once, for calibration: the contract of `docs/semantics.md` with a sample axis.

One group of populations at a time (a strongly connected component, or a single population whose other sources are given), so
that a candidate can be tried without running the whole network. Time is the written network's: delays of 0 act within the step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.connectivity import Floats
from neurocomp.ir.errors import CompileError, InputError
from neurocomp.ir.events import Events, empty, from_data
from neurocomp.ir.expressions import Assign, Call, Name
from neurocomp.ir.network import Input, Network, Population, Projection
from neurocomp.ir.printers.numpy import numpy_step
from neurocomp.ir.program import StepForm
from neurocomp.ir.quantisation.ranges import LIMIT, Bounds

Spikes = NDArray[np.float32]  # (samples, steps, neurons): payloads, 0 for no spike
OPEN = "_before_limits"


@dataclass(frozen=True)
class Place:
    """Where something happened: sample and step from 0, flat neuron index, and the value there."""

    sample: int
    step: int
    neuron: int
    value: int


@dataclass(frozen=True)
class Run:
    """What a population did. drive: mean input of a step (n,). first_wrap, first_saturation: of Loihi's state, None if none."""

    spikes: Spikes
    bounds: Bounds
    drive: Floats
    first_wrap: Place | None = None
    first_saturation: Place | None = None


@dataclass(frozen=True)
class Lowered:
    """A population with its program, and its projections as they compute (Loihi's exponents moved into weights or `shift`)."""

    population: Population
    incoming: tuple[Projection, ...]


def groups(net: Network) -> list[list[str]]:
    """Populations in groups that depend on each other, in causal order of groups, and within a group in that of a step."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(net.nodes)
    graph.add_edges_from((p.pre, p.post) for p in net.projections.values())
    at_once: nx.DiGraph[str] = nx.DiGraph()
    at_once.add_nodes_from(net.nodes)
    at_once.add_edges_from((p.pre, p.post) for p in net.projections.values() if p.min_delay == 0 and len(p.connectivity))
    rank = {name: k for k, name in enumerate(nx.topological_sort(at_once))}
    whole = nx.condensation(graph)
    ordered = [sorted(whole.nodes[k]["members"], key=rank.__getitem__) for k in nx.topological_sort(whole)]
    return [group for group in ordered if group[0] in net.populations]


def run_network(net: Network, inputs: Mapping[str, Spikes], samples: int, steps: int) -> dict[str, Run]:
    """Every population of a lowered network on samples of all its inputs."""
    return run_lowered(
        net, {x.name: Lowered(x, tuple(net.incoming(x.name))) for x in net.populations.values()}, inputs, samples, steps
    )


def run_lowered(
    net: Network, lowered: Mapping[str, Lowered], inputs: Mapping[str, Spikes], samples: int, steps: int
) -> dict[str, Run]:
    """As `run_network`, with populations and projections that may be others than the network's own.

    Raises `CompileError` where weights learn: here they are fixed.
    """
    for projection in (x for its in lowered.values() for x in its.incoming):
        if projection.plasticity is not None:
            raise CompileError(projection.name, "it learns, but quantisation runs samples with fixed weights; quantise without")
    spikes = dict(inputs)
    runs: dict[str, Run] = {}
    for group in groups(net):
        found = run_group({name: lowered[name] for name in group}, spikes, samples, steps)
        runs |= found
        spikes |= {name: run.spikes for name, run in found.items()}
    return runs


def run_group(members: Mapping[str, Lowered], spikes: Mapping[str, Spikes], samples: int, steps: int) -> dict[str, Run]:
    """Populations that depend on each other, given the spikes of all their other sources.

    members: in the causal order of a step. spikes: arrays (samples, steps, neurons) by source.
    """
    neurons = {name: _Neurons(x, samples, steps, members, spikes) for name, x in members.items()}
    for t in range(steps):
        for name in members:
            neurons[name].step(t, neurons)
    return {name: x.result() for name, x in neurons.items()}


# -------------------------------------------------------------------------------------------------------------- inside


class _Neurons:
    """The neurons of one population in all samples; what is known of their input is added up beforehand."""

    def __init__(
        self, lowered: Lowered, samples: int, steps: int, members: Iterable[str], spikes: Mapping[str, Spikes]
    ) -> None:
        population = lowered.population
        assert population.program is not None
        self.program, size = population.program, population.size
        self.integer = self.program.form.arithmetic == "loihi"
        self.drive = np.zeros((samples, steps, size)) + population.bias_vector()
        self.inner: list[tuple[str, int, Any, int]] = []
        for projection in lowered.incoming:
            for delay, matrix in projection.by_delay():
                if projection.pre in members and projection.pre not in spikes:
                    self.inner.append((projection.pre, delay, matrix, projection.shift))
                elif delay < steps:
                    past = spikes[projection.pre][:, : steps - delay]
                    self.drive[:, delay:] += _shifted(_times(matrix, past), projection.shift)
        form = watched(self.program.form)
        self.advance = numpy_step(form)
        dtype = np.int64 if self.integer else np.float64
        start = {name: self.program.initial.get(name, 0) for name in form.state}
        self.state = {name: np.array(np.broadcast_to(x, (samples, size)), dtype) for name, x in start.items()}
        self.constants = dict(self.program.constants)
        self.spikes = np.zeros((samples, steps, size), np.float32)
        self.states = self.program.form.state
        self.low = {name: np.zeros(size) for name in self.states}
        self.high = {name: np.zeros(size) for name in self.states}
        self.places: dict[str, Place] = {}

    def step(self, t: int, group: Mapping[str, _Neurons]) -> None:
        """Step t of all samples."""
        a = self.drive[:, t]
        for pre, delay, matrix, shift in self.inner:
            if delay <= t:
                a += _shifted(_times(matrix, group[pre].spikes[:, t - delay]), shift)
        fired = self.advance({"a": a.astype(np.int64) if self.integer else a}, self.state, self.constants)
        if fired is not None:
            self.spikes[:, t] = fired
        for name in self.states:
            self._watch(name, t, self.state[name + OPEN])

    def _watch(self, name: str, t: int, values: Any) -> None:
        np.minimum(self.low[name], values.min(axis=0), out=self.low[name])
        np.maximum(self.high[name], values.max(axis=0), out=self.high[name])
        if self.integer and name not in self.places:
            out = wraps(values) if name == "u" else np.abs(values) > LIMIT - 1
            if out.any():
                sample, neuron = (int(x) for x in np.argwhere(out)[0])
                self.places[name] = Place(sample, t, neuron, int(values[sample, neuron]))

    def result(self) -> Run:
        nothing = np.zeros(self.spikes.shape[2])
        v = self.states[-1]
        u = self.states[0] if len(self.states) > 1 else None
        low = (self.low[u], self.high[u]) if u else (nothing, nothing)
        if not u:  # without a current, u is the step's input
            low = self.drive.min(axis=(0, 1)), self.drive.max(axis=(0, 1))
        bounds = Bounds(*low, self.low[v], self.high[v], observed=True)
        return Run(self.spikes, bounds, self.drive.mean(axis=(0, 1)), self.places.get("u"), self.places.get("v"))


def wraps(current: Any) -> Any:
    """Where the current u, as it is before wrapping, leaves the 24 bits."""
    return (current > LIMIT) | (current <= -LIMIT)


def watched(form: StepForm) -> StepForm:
    """The form with a state `name + OPEN` more for each: its value after the update, before wrapping, saturation and reset."""
    updates: list[Assign] = []
    for update in form.updates:
        match update.value:
            case Call("wrap24" | "clip24" as limit, (inner,)):
                kept = update.target + OPEN
                updates += [Assign(kept, inner), Assign(update.target, Call(limit, (Name(kept),)))]
            case _:
                updates.append(update)
    done = {x.target for x in updates}
    updates += [Assign(name + OPEN, Name(name)) for name in form.state if name + OPEN not in done]
    return replace(form, state=(*form.state, *(name + OPEN for name in form.state)), updates=tuple(updates))


def _times(matrix: Any, spikes: Spikes) -> Floats:
    """(..., n_post) sums of weights, exact as long as they stay below 2^53 grid units."""
    flat = spikes.reshape(-1, spikes.shape[-1]).astype(np.float64)
    return np.asarray((matrix @ flat.T).T).reshape(*spikes.shape[:-1], -1)


def _shifted(sums: Floats, shift: int) -> Floats:
    return np.floor(np.ldexp(sums, -shift)) if shift else sums


def merged(parts: Sequence[tuple[int, Run]]) -> Run:
    """Runs of consecutive samples as one; each comes with the number of its first sample."""
    runs = [run for _, run in parts]

    def place(which: str) -> Place | None:
        found = [(start, getattr(run, which)) for start, run in parts if getattr(run, which) is not None]
        return replace(found[0][1], sample=found[0][0] + found[0][1].sample) if found else None

    bounds = Bounds(
        np.min([x.bounds.u_low for x in runs], axis=0),
        np.max([x.bounds.u_high for x in runs], axis=0),
        np.min([x.bounds.v_low for x in runs], axis=0),
        np.max([x.bounds.v_high for x in runs], axis=0),
        observed=True,
    )
    sizes = [len(x.spikes) for x in runs]
    drive = np.average([x.drive for x in runs], axis=0, weights=sizes)
    return Run(np.concatenate([x.spikes for x in runs]), bounds, drive, place("first_wrap"), place("first_saturation"))


def stacked(parts: Sequence[Any]) -> Spikes:
    """Rasters (steps, *shape) of samples as one array (samples, steps, n)."""
    return np.stack([np.asarray(x, np.float32).reshape(len(x), -1) for x in parts])


def rasters(net: Network, samples: Sequence[Mapping[str, Any]], steps: int) -> dict[str, Spikes]:
    """What every input plays in every sample, as `Program.run` takes it: left out, its own spikes or none.

    Raises `InputError` with the number of the sample.
    """
    parts: dict[str, list[Any]] = {name: [] for name in net.inputs}
    for number, sample in enumerate(samples):
        for name in sample:
            if name not in net.inputs:
                known = ", ".join(net.inputs)
                raise InputError(f"samples[{number}]: there is no input '{name}'; the network's inputs are {known}")
        for name, node in net.inputs.items():
            try:
                parts[name].append(_played(node, sample, steps).raster())
            except InputError as error:
                raise InputError(f"samples[{number}]: {error}") from None
    return {name: stacked(x) for name, x in parts.items()}


def _played(node: Input, sample: Mapping[str, Any], steps: int) -> Events:
    if node.name in sample:
        return from_data(node.name, sample[node.name], node.shape, steps, node.max_payload)
    if node.spikes is None:
        return empty(node.shape, steps)
    times, ids, payload = node.spikes
    return Events(times, ids, node.shape, steps, payload).between(0, steps)

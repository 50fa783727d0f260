"""`Activity`: everything a run did, counted exactly, by population, projection, core and step.

All counts follow from recorded spikes and the compiled network, so they are the same for every backend. They are checked
against the backend's own counters: a recording that does not belong to the program is refused.

Times are those of the machine: a population with lag r does its step t at the machine's step t + r (`retime`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from neurocomp.energy.active import Replay
from neurocomp.energy.operations import operations
from neurocomp.energy.profile import EnergyError
from neurocomp.energy.synapses import Synapses
from neurocomp.ir.events import Events
from neurocomp.ir.network import Network, Population
from neurocomp.ir.placement import Placement
from neurocomp.recording import Recording

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tally:
    """How often one kind of event happened for one subject (population, input or projection), over all samples.

    by_core: (cores,) int64, the same count by the core that did the work; its sum is `count`.
    """

    kind: str
    subject: str
    by_core: Ints

    @property
    def count(self) -> int:
        """Over all cores."""
        return int(self.by_core.sum())


@dataclass(frozen=True)
class Activity:
    """The counts of `samples` runs of `steps` steps each.

    tallies: over all samples, in every view. load: kind -> (samples * machine_steps, cores) int64, what kept each core busy in
    each machine step, for kinds that take time. spikes: node -> (steps,) mean over the samples. active: population ->
    active updates over all samples. placement: None where messages are not counted. lag: machine steps that a sample takes
    longer than the written network.
    """

    network: str
    dt: float
    steps: int
    samples: int
    lag: int
    sizes: Mapping[str, int]
    tallies: tuple[Tally, ...]
    load: Mapping[str, Ints]
    spikes: Mapping[str, NDArray[np.float64]]
    active: Mapping[str, int]
    placement: Placement | None = None

    @property
    def machine_steps(self) -> int:
        """Steps from the first input of a sample to its last output."""
        return self.steps + self.lag

    @property
    def cores(self) -> int:
        """Cores in use; 1 where there is no placement."""
        return 1 if self.placement is None else len(self.placement.cores)

    def counts(self) -> dict[str, int]:
        """Totals by kind."""
        result: dict[str, int] = {}
        for tally in self.tallies:
            result[tally.kind] = result.get(tally.kind, 0) + tally.count
        return result

    def largest(self) -> dict[str, dict[str, int]]:
        """By kind: the largest count of a core over all steps, of a step over all cores, and of a core in one step."""
        return {
            kind: {
                "core": int(load.sum(axis=0).max(initial=0)),
                "step": int(load.sum(axis=1).max(initial=0)),
                "core_step": int(load.max(initial=0)),
            }
            for kind, load in self.load.items()
            if load.any()
        }


def count(
    net: Network,
    recordings: Sequence[Recording],
    placement: Placement | None = None,
    entry: tuple[int, int] | None = None,
) -> Activity:
    """Count what recorded runs of a compiled network did.

    recordings: runs from the start, of equal length, with the spikes of all nodes that send any. placement: where the
    neurons lie; without one there is one core, and messages are not counted. entry: (x, y) of the tile where inputs
    enter the mesh; None leaves their hops out. Raises `EnergyError` for recordings that are incomplete or not of this program.
    """
    _check(net, recordings)
    counter = _Counter(net, placement, entry, recordings[0].steps)
    for recording in recordings:
        counter.add(recording)
    return counter.activity(recordings)


def _check(net: Network, recordings: Sequence[Recording]) -> None:
    if not recordings:
        raise EnergyError("recordings", "there is none; give the recording of at least one run")
    for number, recording in enumerate(recordings):
        which = f"recording {number}" if len(recordings) > 1 else "the recording"
        if recording.steps != recordings[0].steps:
            raise EnergyError(which, f"has {recording.steps} steps, the first one {recordings[0].steps}; report them apart")
        if recording.start:
            raise EnergyError(
                which, f"goes on from step {recording.start}: spikes on their way are unknown; run it from the start"
            )
        for name, node in net.nodes.items():
            found = recording.spikes.get(name)
            needed = bool(net.outgoing(name)) or (isinstance(node, Population) and node.neuron.model.spike is not None)
            if found is None and needed:
                raise EnergyError(which, f"lacks the spikes of '{name}'; record them with record=['spikes']")
            if found is not None and found.size != node.size:
                raise EnergyError(which, f"has {found.size} neurons of '{name}', the program {node.size}")


@dataclass
class _Counter:
    """Adds up runs."""

    net: Network
    placement: Placement | None
    entry: tuple[int, int] | None
    steps: int
    total: dict[tuple[str, str], Ints] = field(default_factory=dict)
    loads: dict[str, list[Ints]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        placement = self.placement
        self.cores = 1 if placement is None else len(placement.cores)
        self.lag = self.net.max_lag
        self.core_of = {
            name: np.zeros(x.size, np.int64) if placement is None else placement.core_of(name)
            for name, x in self.net.populations.items()
        }
        self.synapses = [Synapses(x, self.core_of[x.post], self.cores) for x in self.net.projections.values()]
        self.reached = {name: self._reached(name) for name in self.net.nodes}
        self.replay = Replay(self.net, self.synapses)
        self.operations = {name: operations(x) for name, x in self.net.populations.items()}

    def add(self, recording: Recording) -> None:
        """One sample."""
        for load in self.loads.values():
            load.append(np.zeros((self.steps + self.lag, self.cores), np.int64))
        active = self.replay.active(recording)
        for name, population in self.net.populations.items():
            self._add_updates(population, active[name])
        for name, node in self.net.nodes.items():
            if name in recording.spikes:
                self._add_spikes(name, isinstance(node, Population), recording.spikes[name])
        for synapses in self.synapses:
            self._add_synops(synapses, recording)

    def activity(self, recordings: Sequence[Recording]) -> Activity:
        """The result."""
        kept = ("neuron.active", "neuron.inactive")  # at another activity they may not be 0
        tallies = tuple(Tally(*key, by_core) for key, by_core in self.total.items() if by_core.any() or key[0] in kept)
        spikes = {}
        for name in recordings[0].spikes:
            counts = [np.bincount(x.spikes[name].times, minlength=self.steps) for x in recordings]
            spikes[name] = np.mean(counts, axis=0)
        return Activity(
            network=self.net.name,
            dt=self.net.dt,
            steps=self.steps,
            samples=len(recordings),
            lag=self.lag,
            sizes={name: node.size for name, node in self.net.nodes.items()},
            tallies=tallies,
            load={kind: np.concatenate(parts) for kind, parts in self.loads.items()},
            spikes=spikes,
            active={name: int(self.total["neuron.active", name].sum()) for name in self.net.populations},
            placement=self.placement,
        )

    # -------------------------------------------------------------------------------------------------------- kinds

    def _add_updates(self, population: Population, active: NDArray[np.bool_]) -> None:
        name, home = population.name, self._home(population.name)
        at_work = np.asarray(active.astype(np.int64) @ home)
        each = np.broadcast_to(np.asarray(home.sum(axis=0)).ravel(), at_work.shape)
        self._count("neuron.access", name, each, population.lag)
        self._count("neuron.active", name, at_work, population.lag)
        always = np.broadcast_to(self.replay.always[name].astype(np.int64) @ home, at_work.shape)
        self._count("neuron.always", name, always, population.lag)
        self._count("neuron.inactive", name, each - at_work, population.lag)
        for kind, per_update in self.operations[name].items():
            self._count(kind, name, each * per_update)

    def _add_spikes(self, name: str, fires: bool, events: Events) -> None:
        """Spikes, and the messages and hops they cost."""
        lag = self.net.node(name).lag
        raster = _raster(events, self.steps)
        if fires:
            self._count("neuron.spike", name, np.asarray((raster @ self._home(name)).toarray()), lag)
        if self.placement is None:
            return
        reached = self.reached[name]
        per_neuron = np.asarray(reached.sum(axis=1)).ravel()
        weighted = sp.csr_array((per_neuron[events.ids], (events.times, events.ids)), shape=raster.shape, dtype=np.int64)
        arriving = np.asarray((raster @ reached).toarray())
        if fires:
            self._count("message", name, np.asarray((weighted @ self._home(name)).toarray()), lag)
        else:
            self._count("message.input", name, arriving, lag)
        self._count("message.receive", name, arriving, lag)
        for axis, kind in enumerate(("hop.x", "hop.y")):
            hops = self._hops(name, fires, axis, reached, events)
            if hops is not None:
                self._count(kind, name, hops[None])

    def _add_synops(self, synapses: Synapses, recording: Recording) -> None:
        projection = synapses.projection
        pre, post = self.net.node(projection.pre), self.net.node(projection.post)
        raster = _raster(recording.spikes[projection.pre], self.steps)
        arrived = np.zeros((self.steps, self.cores), np.int64)
        for delay, row in synapses.by_delay:
            later = delay + pre.lag - post.lag  # in steps of the written network
            if 0 <= later < self.steps:  # below 0 where there are no synapses: then any delay will do
                arrived[later:] += (raster[: self.steps - later] @ row).toarray()
        self._agree(projection.name, int(arrived.sum()), recording)
        self._count(synapses.kind, projection.name, arrived, post.lag)
        self._count("op.mac" if pre.graded else "op.ac", projection.name, arrived)
        self._count("op.memory", projection.name, arrived)
        sizes = np.bincount(self.core_of[projection.post], weights=synapses.fan_in, minlength=self.cores).astype(np.int64)
        self._count("dense.mac", projection.name, np.broadcast_to(sizes, arrived.shape))
        if projection.plasticity is not None:
            fan = sp.csr_array(self._home(projection.post) * synapses.fan_in[:, None])
            own = np.asarray((_raster(recording.spikes[projection.post], self.steps) @ fan).toarray())
            self._count("learn", projection.name, arrived + own, post.lag)

    def _agree(self, name: str, found: int, recording: Recording) -> None:
        counted = recording.counters.events.get(name)
        if counted != found:
            known = "nothing" if counted is None else f"{counted:,}"
            raise EnergyError(
                f"projection '{name}'",
                f"its recorded spikes give {found:,} synaptic events, the run counted {known}: "
                "give the program that made the recording",
            )

    # -------------------------------------------------------------------------------------------------------- inside

    def _count(self, kind: str, subject: str, each: Ints, lag: int | None = None) -> None:
        """Add (steps, cores) counts. lag: also as load of the machine's steps, from this one on."""
        key = (kind, subject)
        self.total[key] = self.total.get(key, np.zeros(self.cores, np.int64)) + each.sum(axis=0)
        if lag is not None:
            if kind not in self.loads:
                self.loads[kind] = [np.zeros((self.steps + self.lag, self.cores), np.int64)]
            self.loads[kind][-1][lag : lag + self.steps] += each

    def _home(self, name: str) -> sp.csr_array:
        """(size, cores) 1 at the core of each neuron."""
        where = self.core_of[name]
        ones = np.ones(len(where), np.int64)
        return sp.csr_array((ones, (np.arange(len(where)), where)), shape=(len(where), self.cores))

    def _reached(self, name: str) -> sp.csr_array:
        """(size, cores) 1 where a neuron of the node has a synapse on the core, by whatever projection."""
        parts = [x.reached_cores for x in self.synapses if x.projection.pre == name]
        total = sum(parts, sp.csr_array((self.net.node(name).size, self.cores), dtype=np.int64))
        return sp.csr_array((total > 0).astype(np.int64))

    def _hops(self, name: str, fires: bool, axis: int, reached: sp.csr_array, events: Events) -> Ints | None:
        """(cores,) hops along an axis, by the core that sends; those of inputs by the core they reach."""
        assert self.placement is not None
        place = self.placement.positions[:, axis]
        counts = np.bincount(events.ids, minlength=events.size).astype(np.int64)
        if fires:
            distance = np.abs(place[self.core_of[name]][:, None] - place)
            each = np.asarray(reached.multiply(distance).sum(axis=1)).ravel() * counts
            return np.bincount(self.core_of[name], weights=each, minlength=self.cores).astype(np.int64)
        if self.entry is None:
            return None
        return np.asarray((counts @ reached) * np.abs(place - self.entry[axis]), np.int64)


def _raster(events: Events, steps: int) -> sp.csr_array:
    """(steps, size) 1 where a neuron spiked, whatever its payload."""
    ones = np.ones(len(events), np.int64)
    return sp.csr_array((ones, (events.times, events.ids)), shape=(steps, events.size))

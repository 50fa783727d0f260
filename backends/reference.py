"""The reference backend: the contract of a step in NumPy, written to be read. Every other backend is tested against it.

At machine step s, every population (in any order: all delays are at least 1) does, for its own step t = s - lag:

1. input   a = bias + sum over projections and delays d of  W_d @ spikes(source, s - d), for each receptor
2. update  the state by its step program
3. spike   where the condition holds for the updated state
4. reset   where it spiked
5. learn   on projections with plasticity, from the spikes that arrived and those of its own

Sums are exact because weights are integers times a power of two and the grid pass proved the largest sum below 2**53.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backends.base import (
    FEATURES,
    Counters,
    Record,
    Result,
    Support,
    check_numbers,
    initial_state,
    readable_state,
    run_in_turn,
)
from neurocomp.backends.loihi_learning import LoihiSynapses, synapses_of
from neurocomp.backends.memory import need
from neurocomp.backends.plastic import PlasticSynapses
from neurocomp.backends.snapshot import Snapshot, engine_time, part, put_spikes, spikes_of
from neurocomp.backends.steps import advance, moment
from neurocomp.ir.events import Events
from neurocomp.ir.network import Input, Network, Projection

Array = NDArray[Any]


class ReferenceBackend:
    """NumPy, written to be read: the specification in code."""

    name = "reference"
    description = "NumPy, the specification in code"
    features: Mapping[str, Support] = {
        **{name: Support(True) for name in FEATURES},
        "threads": Support(False, "it is one thread of NumPy, meant to be read; use target='cpu'"),
    }
    options: Mapping[str, str] = {}

    def available(self) -> Support:
        """Always: it needs only NumPy and SciPy."""
        return Support(True)

    def lower(self, net: Network) -> ReferenceExecutable:
        """Split every projection into one matrix per delay."""
        return ReferenceExecutable(net)


class ReferenceExecutable:
    """A network and its state: arrays by population, and the spikes of all past machine steps that can still arrive."""

    def __init__(self, net: Network) -> None:
        self.net = net
        self.steps = {name: advance(p.program.form) for name, p in net.populations.items() if p.program is not None}
        fixed = {name: x for name, x in net.projections.items() if x.learning is None}
        self.matrices = {name: projection.by_delay() for name, projection in fixed.items()}
        self.plastic = {name: synapses_of(net, x) for name, x in net.projections.items() if x.learning is not None}
        self.memory = net.longest_delay + net.max_lag + 1
        self.reset()

    def reset(self) -> None:
        """Back to the initial state and step 0."""
        self.now = 0
        self.state = {name: initial_state(population) for name, population in self.net.populations.items()}
        self.spikes: dict[str, dict[int, Array]] = {name: {} for name in self.net.nodes}  # node -> machine step -> vector
        for synapses in self.plastic.values():
            synapses.reset()

    def run_batch(self, samples: Sequence[Mapping[str, Events]], steps: int, record: Record) -> list[Result]:
        """One sample after the other, each from the initial state."""
        return run_in_turn(self, samples, steps, record)

    def run(self, inputs: Mapping[str, Events], steps: int, record: Record) -> Result:
        """Run `steps` steps of the written network from the current state."""
        began = time.perf_counter()
        dense = 8 * steps * sum(self.net.nodes[name].size for name in {*record.spikes, *inputs})
        need(f"{steps} steps with dense rasters of spikes", dense, "record fewer spikes or use target='cpu', which lists them")
        log = _Log(self.net, self.now, steps, record)
        rasters = {name: events.raster().reshape(steps, -1) for name, events in inputs.items()}
        for step in range(self.now, self.now + steps + self.net.max_lag):
            for name, node in self.net.nodes.items():
                t = step - node.lag - self.now
                if not 0 <= t < steps:
                    continue
                spikes = rasters[name][t] if isinstance(node, Input) else self._update(name, step, log)
                self.spikes[name][step] = spikes
                log.add_spikes(name, t, spikes)
                self._learn(name, step, spikes)
                if not isinstance(node, Input):
                    log.add_states(name, t, self.state[name])
                    log.add_weights(name, t, self.plastic)
            self._forget(step)
        self.now += steps
        check_numbers(self.net, self.state)
        return log.result(time.perf_counter() - began)

    def _update(self, name: str, step: int, log: _Log) -> Array:
        program = self.net.populations[name].program
        assert program is not None
        population = self.net.populations[name]
        size, now = population.size, moment(program, population.size, step - population.lag, self.net.dt)
        inputs = {receptor: a.astype(program.form.dtype) for receptor, a in self._inputs(name, step, log).items()}
        spikes = self.steps[name](inputs, self.state[name], dict(program.constants), now)
        return np.zeros(size) if spikes is None else np.broadcast_to(spikes, (size,)).astype(np.float64)

    def _inputs(self, name: str, step: int, log: _Log) -> dict[str, Array]:
        population = self.net.populations[name]
        names = population.neuron.model.inputs
        inputs = {receptor: np.zeros(population.size) for receptor in names}
        inputs[names[0]] += population.bias_vector()
        for projection in self.net.incoming(name):
            a = inputs[projection.receptor or names[0]]
            log.add_events(projection, step, self.spikes[projection.pre])
            if projection.name in self.plastic:
                a += self.plastic[projection.name].input(self._arrivals(projection, step))
                continue
            for delay, matrix in self.matrices[projection.name]:
                spikes = self.spikes[projection.pre].get(step - delay)
                if spikes is None or not spikes.any():
                    continue
                sums = matrix @ spikes
                a += np.floor(np.ldexp(sums, -projection.shift)) if projection.shift else sums
        return inputs

    def _arrivals(self, projection: Projection, step: int) -> Array:
        """(delays, n_pre): which spikes arrive over a plastic projection at this machine step."""
        past, nothing = self.spikes[projection.pre], np.zeros(projection.connectivity.n_pre)
        came = np.array([past.get(step - d, nothing) for d in self.plastic[projection.name].delays])
        return np.asarray(came != 0)

    def _learn(self, name: str, step: int, spikes: Array) -> None:
        for projection in self.net.incoming(name):
            if projection.name not in self.plastic:
                continue
            plasticity, reward = projection.plasticity, 0.0
            if plasticity is not None and plasticity.reward is not None:
                sent = self.spikes[plasticity.reward].get(step - plasticity.reward_delay)
                reward = 0.0 if sent is None else float(sent[0])
            t = step - self.net.node(name).lag
            self.plastic[projection.name].learn(t, self._arrivals(projection, step), spikes != 0, reward)

    def weights(self, name: str) -> Array:
        """The current weights of a plastic projection, one a synapse."""
        return self.plastic[name].weights

    def snapshot(self) -> dict[str, Array]:
        """The state between two steps; see `backends/snapshot.py`."""
        result: dict[str, Array] = {"step": np.array(self.now, np.int64)}
        for n, (name, node) in enumerate(self.net.nodes.items()):
            for state, values in self.state.get(name, {}).items():
                result[f"nodes/{n}/state/{state}"] = values.copy()
            past = {step: vector for step, vector in self.spikes[name].items() if step < self.now + node.lag}
            found = [(step, np.flatnonzero(past[step])) for step in sorted(past)]
            steps = np.concatenate([np.full(len(ids), step, np.int64) for step, ids in found] or [np.zeros(0, np.int64)])
            ids = np.concatenate([ids for _, ids in found] or [np.zeros(0, np.int64)])
            sent = np.concatenate([past[step][ids] for step, ids in found] or [np.zeros(0)]) if node.graded else None
            put_spikes(result, self.net, name, (steps, ids, sent))
        for n, name in enumerate(self.net.projections):
            if name in self.plastic:
                result |= {f"projections/{n}/{key}": x.copy() for key, x in self.plastic[name].memory().items()}
        return result

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of this network."""
        self.reset()
        self.now = int(snapshot["step"])
        for n, name in enumerate(self.net.nodes):
            for state, values in part(snapshot, f"nodes/{n}/state/").items():
                self.state[name][state] = values.copy()
        for name, (steps, ids, payload) in spikes_of(self.net, snapshot):
            for step in np.unique(steps):
                at = steps == step
                vector = self.spikes[name][int(step)] = np.zeros(self.net.nodes[name].size)
                vector[ids[at]] = 1 if payload is None else payload[at]
        for n, (name, projection) in enumerate(self.net.projections.items()):
            if name in self.plastic:
                time = engine_time(self.net, projection, self.now)
                last = self.spikes[projection.post].get(self.now - 1 + self.net.node(projection.post).lag)
                self.plastic[name].recall(part(snapshot, f"projections/{n}/"), time, last)

    def _forget(self, step: int) -> None:
        for past in self.spikes.values():
            past.pop(step - self.memory, None)


class _Log:
    """Collects what was asked for, and counts everything."""

    def __init__(self, net: Network, start: int, steps: int, record: Record) -> None:
        self.net, self.start, self.steps, self.record = net, start, steps, record
        self.rasters = {name: np.zeros((steps, net.nodes[name].size), np.int64) for name in record.spikes}
        self.traces: dict[tuple[str, str], list[Array]] = {key: [] for key in record.states}
        self.spikes = dict.fromkeys(net.nodes, 0)
        self.events = dict.fromkeys(net.projections, 0)
        self.lengths = {name: _row_lengths(projection) for name, projection in net.projections.items()}

    def add_spikes(self, name: str, t: int, spikes: Array) -> None:
        self.spikes[name] += int(np.count_nonzero(spikes))
        if name in self.rasters:
            self.rasters[name][t] = spikes

    def add_states(self, name: str, t: int, state: Mapping[str, Array]) -> None:
        for key, trace in self.traces.items():
            if key[0] == name and (self.start + t + 1) % self.record.every == 0:
                trace.append(state[key[1]])

    def add_weights(self, name: str, t: int, plastic: Mapping[str, PlasticSynapses | LoihiSynapses]) -> None:
        for key, trace in self.traces.items():
            learning = key[0] in plastic and self.net.projections[key[0]].post == name
            if learning and (self.start + t + 1) % self.record.every == 0:
                trace.append(plastic[key[0]].weights.copy())

    def add_events(self, projection: Projection, step: int, past: Mapping[int, Array]) -> None:
        for delay, lengths in self.lengths[projection.name]:
            spikes = past.get(step - delay)
            if spikes is not None:
                self.events[projection.name] += int(lengths[spikes != 0].sum())

    def result(self, seconds: float) -> Result:
        spikes = {}
        for name, raster in self.rasters.items():
            node = self.net.nodes[name]
            times, ids = np.nonzero(raster)
            payload = raster[times, ids] if node.graded else None
            spikes[name] = Events(times, ids, node.shape, self.steps, payload)
        states = {}
        for key, trace in self.traces.items():
            if key[0] in self.net.projections:
                shape = self.net.projections[key[0]].connectivity.weights.shape
                states[key] = np.array(trace).reshape(len(trace), *shape)
                continue
            population = self.net.populations[key[0]]
            full = np.array([np.broadcast_to(x, (population.size,)) for x in trace]).reshape(-1, population.size)
            states[key] = readable_state(population, key[1], full)
        updates = {name: population.size * self.steps for name, population in self.net.populations.items()}
        return Result(spikes, states, Counters(self.spikes, updates, self.events), seconds)


def _row_lengths(projection: Projection) -> list[tuple[int, Array]]:
    """(delay, synapses of each source neuron with that delay)."""
    if not np.ndim(projection.delay):
        return [(int(projection.delay), projection.connectivity.row_lengths())]
    pre, _ = projection.connectivity.synapses()
    delays = np.asarray(projection.delay).ravel()
    n_pre = projection.connectivity.n_pre
    return [(int(d), np.bincount(pre[delays == d], minlength=n_pre)) for d in np.unique(delays)]

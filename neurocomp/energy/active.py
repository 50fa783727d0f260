"""Which neuron updates were active, from a replay of the recorded run.

A neuron is *active* in a step where a spike reaches it, its bias is not 0, or its state is not at rest when the step begins;
this is the rule by which SANA-FE counts updates. At rest is the initial state where the neuron stays in it without input, else
0. Models that draw random numbers are always active. States are not part of a recording, so the run is repeated with them; as
all backends give the same spikes bit for bit, the repetition must give those that were recorded, which is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backends import registry
from neurocomp.backends.base import Executable, Record, initial_state
from neurocomp.backends.steps import advance, moment
from neurocomp.energy.profile import EnergyError
from neurocomp.energy.synapses import Synapses
from neurocomp.ir.events import Events
from neurocomp.ir.network import Network, Population
from neurocomp.recording import Recording

Bools = NDArray[np.bool_]
CHUNK = 2**22  # state values kept at once


class Replay:
    """Repeats recorded runs of a compiled network and says which updates were active."""

    def __init__(self, net: Network, synapses: Sequence[Synapses]) -> None:
        self.net = net
        self.executable = _executable(net)
        self.always = {name: _always(population) for name, population in net.populations.items()}
        self.rest = {name: _rest(net, population) for name, population in net.populations.items()}
        self.record = Record(tuple(net.populations), tuple((name, state) for name, rest in self.rest.items() for state in rest))
        width = sum(net.populations[name].size for name, _ in self.record.states)
        self.chunk = max(1, CHUNK // max(width, 1))
        self.into = {name: [x for x in synapses if x.projection.post == name] for name in net.populations}

    def active(self, recording: Recording) -> dict[str, Bools]:
        """(steps, size) by population: which updates of a run from the start were active."""
        result = {name: np.repeat(always[None], recording.steps, axis=0) for name, always in self.always.items()}
        awake = {name: self._start(name) for name, rest in self.rest.items() if rest}
        for start, states in self._states(recording):
            for name, before in awake.items():
                rest = self.rest[name]
                rows = _differs([states[name, state] for state in rest], list(rest.values()), before.size)
                result[name][start : start + len(rows)] |= np.concatenate([before[None], rows[:-1]])
                awake[name] = rows[-1]
        for name, active in result.items():
            self._add_reached(name, recording, active)
        return result

    def _states(self, recording: Recording) -> Iterator[tuple[int, Mapping[tuple[str, str], NDArray[Any]]]]:
        """(first step, states after each step) of every chunk of the repeated run, if any state is needed."""
        self.executable.reset()
        for start in range(0, recording.steps if self.record.states else 0, self.chunk):
            stop = min(start + self.chunk, recording.steps)
            inputs = {name: recording.spikes[name].between(start, stop) for name in self.net.inputs}
            found = self.executable.run(inputs, stop - start, self.record)
            for name, spikes in found.spikes.items():
                if name in recording.spikes and not spikes.same_as(recording.spikes[name].between(start, stop)):
                    raise EnergyError(
                        f"population '{name}'",
                        f"the recorded spikes of steps {start} to {stop - 1} are not those of this program: give the program "
                        "that made the recording, compiled with the same options",
                    )
            yield start, found.states

    def _start(self, name: str) -> Bools:
        population, rest = self.net.populations[name], self.rest[name]
        assert population.program is not None
        state, scale = initial_state(population), population.program.scale
        values = [np.asarray(state[key] / scale[key] if key in scale else state[key]).reshape(1, -1) for key in rest]
        return np.asarray(_differs(values, list(rest.values()), population.size)[0])

    def _add_reached(self, name: str, recording: Recording, active: Bools) -> None:
        """Mark the updates that a spike reached, where they are not marked yet."""
        for step in np.flatnonzero(~active.all(axis=1)).tolist():
            for synapses in self.into[name]:
                projection = synapses.projection
                lead = self.net.node(name).lag - self.net.node(projection.pre).lag
                for delay, _ in synapses.by_delay:
                    sent = step + lead - delay
                    ids = _ids(recording.spikes[projection.pre], sent) if 0 <= sent < recording.steps else ()
                    if len(ids):
                        active[step] |= synapses.targets(delay, np.asarray(ids))


def _ids(events: Events, step: int) -> NDArray[np.int64]:
    first, last = np.searchsorted(events.times, [step, step + 1])
    return events.ids[first:last]


def _executable(net: Network) -> Executable:
    """The network on the fastest backend that can go on from a state."""
    cpu = registry.get("cpu")
    return (cpu if cpu.available().ok else registry.get("reference")).lower(net)


def _always(population: Population) -> Bools:
    """(size,) neurons that are active at every step: those with a bias, or a model that draws random numbers."""
    assert population.program is not None
    return np.asarray((population.bias_vector() != 0) | population.program.form.random)


def _rest(net: Network, population: Population) -> dict[str, NDArray[Any]]:
    """State -> (size,) its value at rest, in the user's variables; empty where all neurons are active anyway."""
    program = population.program
    assert program is not None
    if _always(population).all():
        return {}
    state = initial_state(population)
    after = {key: x.copy() for key, x in state.items()}
    silence = {receptor: np.zeros(population.size, program.form.dtype) for receptor in population.neuron.model.inputs}
    spikes = advance(program.form)(silence, after, dict(program.constants), moment(program, population.size, 0, net.dt))
    moved = np.zeros(population.size, bool) if spikes is None else np.broadcast_to(spikes, (population.size,)) != 0
    for key in program.form.state:
        moved = moved | (np.asarray(after[key]) != state[key])
    result = {}
    for key in population.neuron.model.state:
        scale = program.scale.get(key)
        value = np.where(moved, 0, state[key])
        result[key] = value if scale is None else value / scale
    return result


def _differs(states: Sequence[NDArray[Any]], rest: Sequence[NDArray[Any]], size: int) -> Bools:
    """(rows, size) where any state is not at rest. states: (rows, *shape) each."""
    parts = [x.reshape(len(x), size) != value for x, value in zip(states, rest, strict=True)]
    return np.asarray(np.logical_or.reduce(parts)) if parts else np.zeros((0, size), bool)

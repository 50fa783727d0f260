"""What a backend is, what it is given and what it gives back.

A backend sees a network after all passes: every population has a step program and a proven grid, every delay is at least 1, and
`lag` says how many steps a node runs behind the written network. Times in inputs and results are those of the written network:
a node with lag r is updated for its step t at the machine's step t + r, and not at all outside the run's steps.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neurocomp.backends.steps import drawn_state
from neurocomp.ir.errors import InputError, NotANumberWarning, UnsupportedError, callers_level
from neurocomp.ir.events import Events
from neurocomp.ir.network import Network, Population
from neurocomp.ir.passes.narrow import to_float32

FEATURES: Mapping[str, str] = {
    "float": "float64 state, exact sums on a power-of-two grid",
    "float32": "float32 state, the same exact sums",
    "loihi": "Loihi's integer arithmetic",
    "graded": "spikes that carry integer payloads",
    "synapse_delays": "a delay per synapse",
    "resume": "continue from the state a run ended in; step(), save_state() and load_state()",
    "threads": "several threads, with the same spikes",
    "plasticity": "synapses that learn",
}


@dataclass(frozen=True)
class Support:
    """Whether a backend has a feature, and why not (or how)."""

    ok: bool
    reason: str = ""


@dataclass(frozen=True)
class Record:
    """What to keep of a run.

    spikes: names of nodes. states: (population, state variable) or (plastic projection, "w"), after every `every`-th step.
    """

    spikes: tuple[str, ...] = ()
    states: tuple[tuple[str, str], ...] = ()
    every: int = 1


@dataclass(frozen=True)
class Counters:
    """Exact event counts of a run.

    spikes: per input and population. updates: neuron updates (neurons x steps) per population. events: synaptic events
    delivered per projection, one for each synapse a spike reached within the run.
    """

    spikes: Mapping[str, int]
    updates: Mapping[str, int]
    events: Mapping[str, int]


@dataclass(frozen=True)
class Result:
    """What a run gives. states: (steps // every, *shape) arrays in the user's variables, by (population, state variable).

    weights: (k,) of plastic projections at the end, from backends that keep no state between runs.
    """

    spikes: Mapping[str, Events]
    states: Mapping[tuple[str, str], NDArray[Any]]
    counters: Counters
    seconds: float = 0.0
    weights: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One run of a compiled network from its initial state."""

    net: Network
    inputs: Mapping[str, Events]
    steps: int
    record: Record


class Executable(Protocol):
    """A network lowered by a backend, ready to run."""

    def run(self, inputs: Mapping[str, Events], steps: int, record: Record) -> Result:
        """Continue from the current state for `steps` steps."""

    def run_batch(self, samples: Sequence[Mapping[str, Events]], steps: int, record: Record) -> list[Result]:
        """Run each sample from the initial state; the state afterwards is that of the last sample, where it is kept."""

    def reset(self) -> None:
        """Back to the initial state and step 0."""

    def weights(self, name: str) -> NDArray[np.float64]:
        """(k,) the current weights of a plastic projection, one a synapse in the connectivity's order."""

    def snapshot(self) -> Mapping[str, NDArray[Any]]:
        """The state between two steps, as in `backends/snapshot.py`; only of backends with the feature `resume`."""

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a snapshot of the same network, which has been checked."""


class Backend(Protocol):
    """A way to run networks. `features` says for each of `FEATURES` whether it is supported, with the reason.

    Where starting takes long, a backend may also have `try_jobs(jobs, **options)`: it runs many `Job`s and returns the `Result`
    of each, or its error; the conformance suite then gives it many networks at once.
    """

    name: str
    description: str
    features: Mapping[str, Support]
    options: Mapping[str, str]

    def available(self) -> Support:
        """Whether this machine can run it, else how to install what is missing."""

    @property
    def lower(self) -> Callable[..., Executable]:
        """`lower(net, **options)` turns a compiled network into something that runs."""


@dataclass
class Needs:
    """The features a network asks for, each with the first thing that asks."""

    found: dict[str, str] = field(default_factory=dict)

    def add(self, feature: str, subject: str) -> None:
        """Note that `subject` needs `feature`."""
        self.found.setdefault(feature, subject)


def needs(net: Network) -> Needs:
    """What the network asks of a backend."""
    result = Needs()
    for population in net.populations.values():
        program = population.program
        arithmetic = population.neuron.model.arithmetic if program is None else program.form.arithmetic
        result.add(arithmetic, f"population '{population.name}'")
    for node in net.nodes.values():
        if node.graded:
            result.add("graded", f"'{node.name}'")
    for projection in net.projections.values():
        if np.ndim(projection.delay):
            result.add("synapse_delays", f"projection '{projection.name}'")
        if projection.learning is not None:
            result.add("plasticity", f"projection '{projection.name}'")
    return result


def support(backend: Backend, feature: str) -> Support:
    """What a backend says of one of `FEATURES`; of what it does not declare, that it lacks it."""
    return backend.features.get(feature, Support(False, "it does not declare this feature"))


def check(backend: Backend, net: Network, options: Mapping[str, Any]) -> None:
    """Raise `UnsupportedError` with every reason why the backend cannot run this network, before anything is lowered."""
    reasons = []
    state = backend.available()
    if not state.ok:
        reasons.append(state.reason)
    for feature, subject in needs(net).found.items():
        declared = support(backend, feature)
        if not declared.ok:
            reasons.append(f"{subject} needs {FEATURES[feature]}: {declared.reason}")
    for name in options:
        if name not in backend.options:
            known = "; ".join(f"{key}: {text}" for key, text in backend.options.items()) or "none"
            reasons.append(f"it has no option '{name}' (its options: {known})")
    if reasons:
        raise UnsupportedError(backend.name, reasons)


# --------------------------------------------------------------------------------------- shared by all implementations


def run_in_turn(executable: Executable, samples: Sequence[Mapping[str, Events]], steps: int, record: Record) -> list[Result]:
    """One sample after the other, each from the initial state."""
    results = []
    for inputs in samples:
        executable.reset()
        results.append(executable.run(inputs, steps, record))
    return results


def initial_state(population: Population) -> dict[str, NDArray[Any]]:
    """State arrays (size,) of a population at step 0."""
    program = population.program
    assert program is not None
    state = {name: np.broadcast_to(program.initial[name], (population.size,)) for name in program.form.state}
    drawn = drawn_state(program, population.size)
    if program.form.arithmetic == "float32":  # the pass has seen to all others
        drawn = to_float32(population.name, "initial value of", drawn)
    return {name: values.astype(program.form.dtype) for name, values in (state | drawn).items()}


def check_numbers(net: Network, state: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
    """Warn where a run has ended with states that are no numbers: everything from there on is meaningless."""
    for name, values in state.items():
        for variable, array in values.items():
            if array.dtype.kind == "f" and np.isnan(array).any():
                neuron = int(np.flatnonzero(np.isnan(array))[0])
                warnings.warn(
                    f"population '{name}': {variable} is not a number at neuron {neuron} at the end of the run; use a smaller "
                    f"dt, another integrator, or check the parameters of {net.populations[name].neuron.model.name}",
                    NotANumberWarning,
                    stacklevel=callers_level(),
                )
                break


def readable_state(population: Population, name: str, stored: NDArray[Any]) -> NDArray[Any]:
    """A stored trace (steps, size) as the user's variable, shaped (steps, *shape)."""
    program = population.program
    assert program is not None
    scale, dtype = program.scale.get(name), program.form.dtype
    values = (stored if scale is None else stored / scale).astype(dtype, copy=False)
    return values.reshape(len(stored), *population.shape)


def check_states(net: Network, states: Sequence[tuple[str, str]]) -> None:
    """Refuse recordings of states that do not exist."""
    for name, state in states:
        projection = net.projections.get(name)
        if projection is not None and projection.learning is None:
            raise InputError(f"cannot record '{name}.{state}': this projection does not learn; its weights stay as they are")
        if projection is not None and state == "w":
            continue
        population = net.populations.get(name)
        if population is None:
            raise InputError(f"cannot record '{name}.{state}': there is no population '{name}'")
        if state not in population.neuron.model.state:
            known = ", ".join(population.neuron.model.state)
            raise InputError(f"cannot record '{name}.{state}': {population.neuron.model.name} has the states {known}")


def size_of(shape: tuple[int, ...]) -> int:
    """Number of neurons of a shape."""
    return math.prod(shape)

"""What two recordings differ in, and where they first part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.events import Events
from neurocomp.recording import Recording

COUNTERS: Mapping[str, str] = {"spikes": "spikes of", "updates": "neuron updates of", "events": "synaptic events of"}


@dataclass(frozen=True)
class StateAt:
    """One state variable of the neuron where two recordings part: its value before and after that step, on both sides.

    Values are in the state's own unit. before is None at the first step of a recording.
    """

    name: str
    first_before: float | int | None
    first: float | int
    second_before: float | int | None
    second: float | int


@dataclass(frozen=True)
class Difference:
    """Where two recordings first disagree about one thing.

    kind: "spikes", "state", "counter" or "recorded" (one side lacks it, or has another shape or type).
    subject: node ("h"), state ("h.v"), counter ("synaptic events of x->h"). first, second: the two values; for spikes the
    payload, 0 for no spike. step (from 0), neuron (flat index): the place. count: how many places differ in all.
    states: the states of that neuron around that step. sample: index in a batch, None outside batches.
    """

    kind: str
    subject: str
    first: Any
    second: Any
    step: int | None = None
    neuron: int | None = None
    count: int = 1
    states: tuple[StateAt, ...] = ()
    sample: int | None = None

    def describe(self, first: str = "first", second: str = "second") -> str:
        """The difference in words; first, second: what to call the two sides."""
        sample = "" if self.sample is None else f"sample {self.sample}, "
        if self.step is None:
            return f"{sample}{self.subject}: {first} {_shown(self.first)}, {second} {_shown(self.second)}"
        say = _spike if self.kind == "spikes" else _shown
        what = f"'{self.subject}'" if self.kind == "spikes" else self.subject
        more = f" (and {self.count - 1} later)" if self.count > 1 else ""
        lines = [
            f"{sample}step {self.step}, {what}, neuron {self.neuron}: "
            f"{first} {say(self.first)}, {second} {say(self.second)}{more}"
        ]
        width = max(len(first), len(second))
        for state in self.states:
            for side, before, after in (
                (first, state.first_before, state.first),
                (second, state.second_before, state.second),
            ):
                lines.append(f"    {state.name} on {side:{width}}: {_shown(before)} -> {_shown(after)}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.describe()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON (NaN and infinities as strings)."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "sample": self.sample,
            "step": self.step,
            "neuron": self.neuron,
            "first": _plain(self.first),
            "second": _plain(self.second),
            "count": self.count,
            "states": {
                state.name: {
                    "first": [_plain(state.first_before), _plain(state.first)],
                    "second": [_plain(state.second_before), _plain(state.second)],
                }
                for state in self.states
            },
        }


def compare(first: Recording, second: Recording, order: Sequence[str] | None = None) -> list[Difference]:
    """Everything in which two recordings differ, the earliest first: at most one `Difference` per node, state and counter.

    Spikes and payloads must be equal, states equal bit for bit (0.0 and -0.0 differ; any NaN equals any other, because
    IEEE 754 leaves its payload open), event counters equal. order: node names in causal order within a step (default:
    the order of recording), which decides what comes first where several nodes part in the same step.
    """
    rank = {name: k for k, name in enumerate(order or first.spikes)}
    differences = [*_spike_differences(first, second), *_state_differences(first, second)]
    differences.sort(key=lambda x: _place(x, rank))
    return [*differences, *_counter_differences(first, second)]


# -------------------------------------------------------------------------------------------------------------- inside


def _place(difference: Difference, rank: Mapping[str, int]) -> tuple[int, int, bool]:
    node = difference.subject if difference.kind == "spikes" else difference.subject.rpartition(".")[0]
    step = -1 if difference.step is None else difference.step
    return step, rank.get(node, len(rank)), difference.kind != "spikes"


def _spike_differences(first: Recording, second: Recording) -> Iterator[Difference]:
    yield from _missing("spikes of ", first.spikes, second.spikes)
    for name in (x for x in first.spikes if x in second.spikes):  # in one order, so that reports are the same every time
        one, other = first.spikes[name], second.spikes[name]
        if (one.shape, one.steps) != (other.shape, other.steps):
            shapes = [(events.steps, *events.shape) for events in (one, other)]
            yield Difference("recorded", f"shape (steps, ...) of the spikes of {name}", shapes[0], shapes[1])
        elif not one.same_as(other):
            yield _first_spike(name, one, other, first, second)


def _first_spike(name: str, one: Events, other: Events, first: Recording, second: Recording) -> Difference:
    sides = [_by_key(events) for events in (one, other)]
    parted = sorted(key for key in sides[0].keys() | sides[1].keys() if sides[0].get(key, 0) != sides[1].get(key, 0))
    step, neuron = divmod(parted[0], one.size)
    payloads = [side.get(parted[0], 0) for side in sides]
    states = _states_at(name, step, neuron, first, second)
    return Difference("spikes", name, payloads[0], payloads[1], step, neuron, len(parted), states)


def _states_at(node: str, step: int, neuron: int, first: Recording, second: Recording) -> tuple[StateAt, ...]:
    """All states of a neuron around a step that both sides have."""
    return tuple(
        StateAt(key.rpartition(".")[2], *_around(first.states[key], step, neuron), *_around(second.states[key], step, neuron))
        for key in first.states
        if key.rpartition(".")[0] == node and key in second.states and first.states[key].shape == second.states[key].shape
    )


def _by_key(events: Events) -> dict[int, int]:
    """Place (step * size + neuron) -> payload."""
    payload = np.ones(len(events), np.int64) if events.payload is None else events.payload
    return dict(zip((events.times * events.size + events.ids).tolist(), payload.tolist(), strict=True))


def _state_differences(first: Recording, second: Recording) -> Iterator[Difference]:
    yield from _missing("trace of ", first.states, second.states)
    for name in (x for x in first.states if x in second.states):
        one, other = first.states[name], second.states[name]
        if one.dtype != other.dtype or one.shape != other.shape:
            kinds = [f"{trace.dtype} {trace.shape}" for trace in (one, other)]
            yield Difference("recorded", f"trace of {name}", kinds[0], kinds[1])
            continue
        parted = np.flatnonzero(_bits_differ(one, other))
        if len(parted):
            step, neuron = divmod(int(parted[0]), one[0].size)
            values = [_around(trace, step, neuron)[1] for trace in (one, other)]
            states = _states_at(name.rpartition(".")[0], step, neuron, first, second)
            yield Difference("state", name, values[0], values[1], step, neuron, len(parted), states)


def _bits_differ(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """(n,) where the flattened traces are not the same bits, any NaN counting as any other."""
    one, other = (np.ascontiguousarray(trace).ravel() for trace in (one, other))
    if one.dtype.kind != "f":
        return np.asarray(one != other)
    bits = np.dtype(f"u{one.dtype.itemsize}")
    return np.asarray((one.view(bits) != other.view(bits)) & ~(np.isnan(one) & np.isnan(other)))


def _around(trace: NDArray[Any], step: int, neuron: int) -> tuple[Any, Any]:
    """Values of a neuron before and after a step."""
    values = trace.reshape(len(trace), -1)[:, neuron]
    return (values[step - 1].item() if step else None), values[step].item()


def _counter_differences(first: Recording, second: Recording) -> Iterator[Difference]:
    for kind, words in COUNTERS.items():
        one, other = getattr(first.counters, kind), getattr(second.counters, kind)
        for name in dict.fromkeys([*one, *other]):
            if one.get(name) != other.get(name):
                yield Difference("counter", f"{words} {name}", one.get(name), other.get(name))


def _missing(what: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys([*one, *other]):
        if (name in one) != (name in other):
            sides = ["recorded" if name in x else "not recorded" for x in (one, other)]
            yield Difference("recorded", f"{what}{name}", sides[0], sides[1])


def _spike(payload: int) -> str:
    if payload in (0, 1):
        return "spikes" if payload else "does not spike"
    return f"spikes with payload {payload}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value) if isinstance(value, str) else repr(value)


def _plain(value: Any) -> Any:
    return repr(value) if isinstance(value, float) and not np.isfinite(value) else value

"""Conformance: the same network and inputs on several backends, compared bit for bit, with the first divergence named.

    report = nc.conform(net, {"x": raster}, steps=100)
    print(report)            # identical: reference = cpu = lava (812 spikes, 51200 state values, ...), or where they part
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.backends import registry
from neurocomp.ir.errors import InputError, UnsupportedError
from neurocomp.ir.events import Events
from neurocomp.ir.network import Network
from neurocomp.program import Inputs, Program
from neurocomp.program import compile as compile_network
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


# -------------------------------------------------------------------------------------------------------------- report


@dataclass(frozen=True)
class TargetReport:
    """How one target compares with the first. skipped: why it did not run, "" where it did. seconds: wall time of its run."""

    target: str
    differences: tuple[Difference, ...] = ()
    skipped: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class ConformanceReport:
    """The result of `conform`. `targets[0]` is the one all others are compared with.

    spikes: spikes of the first target, over all nodes and samples. values: state values compared (steps x neurons x
    states x samples). counters: event counters compared.
    """

    network: str
    steps: int
    samples: int
    targets: tuple[TargetReport, ...]
    spikes: int
    values: int
    counters: int

    @property
    def compared(self) -> tuple[str, ...]:
        """The targets that ran, the first included."""
        return tuple(x.target for x in self.targets if not x.skipped)

    @property
    def identical(self) -> bool:
        """Whether at least two targets ran and none differs from the first."""
        return len(self.compared) > 1 and not any(x.differences for x in self.targets)

    @property
    def text(self) -> str:
        """The verdict; then the first divergence of each target that differs, and the targets that were skipped."""
        amount = f"{self.spikes} spikes, {self.values} state values, {self.counters} event counters; {self.steps} steps"
        amount += f", {self.samples} samples" if self.samples > 1 else ""
        first = self.compared[0]
        if len(self.compared) < 2:
            lines = [f"nothing compared: only {first} ran"]
        elif self.identical:
            lines = [f"identical: {' = '.join(self.compared)} ({amount})"]
        else:
            parted = ", ".join(x.target for x in self.targets if x.differences)
            lines = [f"different from {first}: {parted} ({amount})"]
        for target in self.targets:
            if target.differences:
                lines.append(f"{target.target} parts from {first} at")
                lines.append(_indented(target.differences[0].describe(first, target.target)))
            elif target.skipped:
                lines.append(f"skipped: {target.target}: {target.skipped}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "network": self.network,
            "identical": self.identical,
            "steps": self.steps,
            "samples": self.samples,
            "spikes": self.spikes,
            "state_values": self.values,
            "event_counters": self.counters,
            "targets": [
                {
                    "target": x.target,
                    "skipped": x.skipped or None,
                    "seconds": x.seconds,
                    "differences": [difference.to_dict() for difference in x.differences],
                }
                for x in self.targets
            ],
        }


def conform(
    net: Network,
    inputs: Inputs | Sequence[Inputs],
    steps: int,
    targets: Sequence[str] | None = None,
    *,
    arithmetic: str | None = None,
    mantissa_bits: int = 24,
    states: bool = True,
    **options: Any,
) -> ConformanceReport:
    """Run the same inputs on every target and compare spikes, state traces and event counters with the first target.

    inputs: as for `Program.run`, or a list of such (samples, each from the initial state). targets: None takes every
    registered backend and lists those that cannot run the network as skipped; a target named here must run, or its
    `UnsupportedError` is raised. states: also compare the trace of every state variable (8 bytes per neuron, state and
    step, on each target). options: backend options, each given to the targets that know it (threads=2, timeout=60).
    """
    samples = [inputs] if isinstance(inputs, Mapping) else list(inputs)
    if not samples:
        raise InputError("conform needs at least one sample; inputs is an empty list")
    record = ["spikes"]
    if states:
        record += [f"{name}.{state}" for name, p in net.populations.items() for state in p.neuron.model.state]
    programs, skipped = _programs(net, targets, options, arithmetic=arithmetic, mantissa_bits=mantissa_bits)
    recordings = {target: _run(program, inputs, steps, record) for target, program in programs.items()}
    baseline = next(iter(recordings.values()))
    order = _causal_order(net)
    reports = []
    for target, runs in recordings.items():
        found = _batch_differences(baseline, runs, order) if runs is not baseline else []
        reports.append(TargetReport(target, tuple(found), seconds=sum(x.seconds for x in runs)))
    reports += [TargetReport(target, skipped=reason) for target, reason in skipped.items()]
    return ConformanceReport(
        net.name,
        steps,
        len(samples),
        tuple(reports),
        spikes=sum(len(events) for x in baseline for events in x.spikes.values()),
        values=sum(trace.size for x in baseline for trace in x.states.values()),
        counters=sum(len(getattr(x.counters, kind)) for x in baseline for kind in COUNTERS),
    )


# -------------------------------------------------------------------------------------------------------------- inside


def _programs(
    net: Network, targets: Sequence[str] | None, options: Mapping[str, Any], **compiler: Any
) -> tuple[dict[str, Program], dict[str, str]]:
    """Compiled programs by target, and the reasons of those that cannot run where no targets were asked for."""
    demanded = targets is not None
    wanted = dict.fromkeys(targets if targets is not None else sorted(registry.names(), key=lambda x: x != "reference"))
    if not wanted:
        raise InputError(f"conform needs at least one target; there is {', '.join(registry.names())}")
    programs: dict[str, Program] = {}
    skipped: dict[str, str] = {}
    used: set[str] = set()
    for target in wanted:
        try:
            known = registry.get(target).options
            own = {name: value for name, value in options.items() if name in known}
            programs[target] = compile_network(net, target, **compiler, **own)
            used |= own.keys()
        except UnsupportedError as error:
            if demanded:
                raise
            skipped[target] = "; ".join(error.reasons)
        except ImportError as error:
            reason = f"it cannot be imported here ({error})"
            if demanded:
                raise UnsupportedError(target, [reason]) from error
            skipped[target] = reason
    unknown = options.keys() - used
    if unknown and not skipped:
        raise UnsupportedError(", ".join(wanted), [f"none of them has an option '{name}'" for name in sorted(unknown)])
    if not programs:
        raise UnsupportedError(", ".join(wanted), [f"{target}: {reason}" for target, reason in skipped.items()])
    return programs, skipped


def _run(program: Program, inputs: Inputs | Sequence[Inputs], steps: int, record: list[str]) -> list[Recording]:
    if isinstance(inputs, Mapping):
        return [program.run(inputs, steps, record)]
    return program.run_batch(list(inputs), steps, record)


def _batch_differences(first: list[Recording], second: list[Recording], order: Sequence[str]) -> list[Difference]:
    """Differences of all samples, in order; `sample` is set where there are several."""
    return [
        replace(difference, sample=k if len(first) > 1 else None)
        for k, (one, other) in enumerate(zip(first, second, strict=True))
        for difference in compare(one, other, order)
    ]


def _causal_order(net: Network) -> list[str]:
    """Nodes so that what acts within the same step comes first."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(net.nodes)
    graph.add_edges_from((p.pre, p.post) for p in net.projections.values() if p.min_delay == 0 and len(p.connectivity))
    return list(nx.topological_sort(graph))


def _place(difference: Difference, rank: Mapping[str, int]) -> tuple[int, int, bool]:
    node = difference.subject if difference.kind == "spikes" else difference.subject.rpartition(".")[0]
    step = -1 if difference.step is None else difference.step
    return step, rank.get(node, len(rank)), difference.kind != "spikes"


def _spike_differences(first: Recording, second: Recording) -> Iterator[Difference]:
    yield from _missing("spikes of ", first.spikes, second.spikes)
    for name in first.spikes.keys() & second.spikes.keys():
        one, other = first.spikes[name], second.spikes[name]
        if (one.shape, one.steps) != (other.shape, other.steps):
            shapes = [(events.steps, *events.shape) for events in (one, other)]
            yield Difference("recorded", f"shape (steps, ...) of the spikes of {name}", *shapes)
        elif not one.same_as(other):
            yield _first_spike(name, one, other, first, second)


def _first_spike(name: str, one: Events, other: Events, first: Recording, second: Recording) -> Difference:
    sides = [_by_key(events) for events in (one, other)]
    parted = sorted(key for key in sides[0].keys() | sides[1].keys() if sides[0].get(key, 0) != sides[1].get(key, 0))
    step, neuron = divmod(parted[0], one.size)
    states = tuple(
        StateAt(key.rpartition(".")[2], *_around(first.states[key], step, neuron), *_around(second.states[key], step, neuron))
        for key in first.states
        if key.rpartition(".")[0] == name and key in second.states and first.states[key].shape == second.states[key].shape
    )
    values = (side.get(parted[0], 0) for side in sides)
    return Difference("spikes", name, *values, step=step, neuron=neuron, count=len(parted), states=states)


def _by_key(events: Events) -> dict[int, int]:
    """step * size + neuron -> payload."""
    payload = np.ones(len(events), np.int64) if events.payload is None else events.payload
    return dict(zip((events.times * events.size + events.ids).tolist(), payload.tolist(), strict=True))


def _state_differences(first: Recording, second: Recording) -> Iterator[Difference]:
    yield from _missing("trace of ", first.states, second.states)
    for name in first.states.keys() & second.states.keys():
        one, other = first.states[name], second.states[name]
        if one.dtype != other.dtype or one.shape != other.shape:
            kinds = [f"{trace.dtype} {trace.shape}" for trace in (one, other)]
            yield Difference("recorded", f"trace of {name}", *kinds)
            continue
        parted = np.flatnonzero(_bits_differ(one, other))
        if len(parted):
            step, neuron = divmod(int(parted[0]), one[0].size)
            state = StateAt(name.rpartition(".")[2], *_around(one, step, neuron), *_around(other, step, neuron))
            yield Difference("state", name, state.first, state.second, step, neuron, len(parted), (state,))


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
            yield Difference("recorded", f"{what}{name}", *("recorded" if name in x else None for x in (one, other)))


def _spike(payload: int) -> str:
    if payload in (0, 1):
        return "spikes" if payload else "does not spike"
    return f"spikes with payload {payload}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value) if isinstance(value, str) else repr(value)


def _plain(value: Any) -> Any:
    return repr(value) if isinstance(value, float) and not np.isfinite(value) else value


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())

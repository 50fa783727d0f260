"""Conformance: the same network and inputs on several backends, compared bit for bit, with the first divergence named.

report = nc.conform(net, {"x": raster}, steps=100)
print(report)            # identical: reference = cpu = lava (812 spikes, 51200 state values, ...), or where they part
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from neurocomp.arrivals import Arrival, arrivals, described, plain
from neurocomp.backends import memory, registry
from neurocomp.differences import COUNTERS, Difference, StateAt, compare
from neurocomp.ir.errors import InputError, UnsupportedError
from neurocomp.ir.network import Network
from neurocomp.ir.passes import Quantise
from neurocomp.pass_trace import PassEffect, PassTrace, causal_order
from neurocomp.program import Inputs, Program, steps_of
from neurocomp.program import compile as compile_network
from neurocomp.recording import Recording

__all__ = ["Arrival", "ConformanceReport", "Difference", "PassEffect", "StateAt", "TargetReport", "compare", "conform"]


# -------------------------------------------------------------------------------------------------------------- report


@dataclass(frozen=True)
class TargetReport:
    """How one target compares with the first. skipped: why it did not run, "" where it did.

    compile_seconds, run_seconds: wall time of compiling, and of running all samples. arrivals: the spikes that reached the
    neuron of the first difference at that step, on the first target. parted_by: the pass after which the reference no longer
    gives what this target gives, "" where there is no such pass; passes: the same in words. at_input: whether the first
    difference is in the spikes of an input.
    """

    target: str
    differences: tuple[Difference, ...] = ()
    skipped: str = ""
    compile_seconds: float = 0.0
    run_seconds: float = 0.0
    arrivals: tuple[Arrival, ...] = ()
    parted_by: str = ""
    passes: str = ""
    at_input: bool = False


@dataclass(frozen=True)
class ConformanceReport:
    """The result of `conform`. `targets[0]` is the one all others are compared with.

    spikes: spikes of the first target, over all nodes and samples. values: state values compared (steps x neurons x
    states x samples). counters: event counters compared. passes: what each pass did to the reference's spikes, where a target
    differs or it was asked for.
    """

    network: str
    steps: int
    samples: int
    targets: tuple[TargetReport, ...]
    spikes: int
    values: int
    counters: int
    passes: tuple[PassEffect, ...] = ()

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
                lines += [_indented(text) for text in (_reached(target), target.passes) if text]
            elif target.skipped:
                lines.append(f"skipped: {target.target}: {target.skipped}")
        lines += ["passes:", *(f"  {effect}" for effect in self.passes)] if self.passes else []
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
                    "compile_seconds": x.compile_seconds,
                    "run_seconds": x.run_seconds,
                    "differences": [difference.to_dict() for difference in x.differences],
                    "arrivals": [plain(arrival) for arrival in x.arrivals],
                    "parted_by": x.parted_by or None,
                }
                for x in self.targets
            ],
            "passes": [
                {"pass": x.name, "changes_spikes": x.changed is not None, "not_run": x.skipped or None} for x in self.passes
            ],
        }


def conform(
    net: Network,
    inputs: Inputs | Sequence[Inputs],
    steps: int | None = None,
    targets: Sequence[str] | None = None,
    *,
    missing: Literal["raise", "skip"] | None = None,
    arithmetic: str | None = None,
    mantissa_bits: int = 24,
    quantise: Quantise | str | None = None,
    accept_wrap: bool = False,
    states: bool = True,
    passes: bool | None = None,
    **options: Any,
) -> ConformanceReport:
    """Run the same inputs on every target and compare spikes, state traces and event counters with the first target.

    inputs: as for `Program.run`, or a list of such (samples, each from the initial state). steps: None takes the longest
    raster. targets: None takes every
    registered backend and lists those that cannot run the network as skipped; a target named here must run, or its
    `UnsupportedError` is raised, unless missing="skip" asks for skipping. states: also compare the trace of every state
    variable (8 bytes per neuron, state and step, on each target). options: backend options, each given to the targets that
    know it (threads=2, timeout=60). Other arguments: `compile`.

    Where a target differs, the reference is run on the network as it is after each pass, and the report says after which pass
    the two programs differ, or that the target's own lowering does it. passes: True does so in any case, and says which
    passes change the reference's spikes (grid and quantise may, where they round; fold and retime should not), False never.
    """
    samples = [inputs] if isinstance(inputs, Mapping) else list(inputs)
    if not samples:
        raise InputError("conform needs at least one sample; inputs is an empty list")
    steps = steps_of(samples, steps)
    wanted = list(dict.fromkeys(targets if targets is not None else sorted(registry.names(), key=lambda x: x != "reference")))
    if not wanted:
        raise InputError(f"conform needs at least one target; there is {', '.join(registry.names())}")
    _check_options(wanted, options)
    skip = targets is None if missing is None else missing == "skip"
    compiled = _compile(
        net,
        wanted,
        skip,
        options,
        {"arithmetic": arithmetic, "mantissa_bits": mantissa_bits, "quantise": quantise, "accept_wrap": accept_wrap},
    )
    record = ["spikes"]
    if states:
        lowered = next(iter(compiled.programs.values())).lowered  # quantised neurons have other states than the written ones
        record += [f"{name}.{state}" for name, p in lowered.populations.items() for state in p.neuron.model.state]
    _check_memory(compiled, steps, record, len(samples))
    order = causal_order(net)
    baseline: list[Recording] = []
    tracer = _Tracer(compiled, samples, steps)
    reports = []
    for target, program in compiled.programs.items():
        began = time.perf_counter()
        recordings = _run(program, inputs, steps, record)
        if states and recordings:
            recordings = [*recordings[:-1], _with_weights(program, recordings[-1])]
        seconds = time.perf_counter() - began
        baseline = baseline or recordings
        found = _batch_differences(baseline, recordings, order) if recordings is not baseline else []
        report = TargetReport(target, tuple(found), "", compiled.seconds[target], seconds)
        reports.append(_explained(report, baseline, recordings, tracer, passes is not False))
    reports += [TargetReport(target, skipped=reason) for target, reason in compiled.skipped.items()]
    return ConformanceReport(
        net.name,
        steps,
        len(samples),
        tuple(reports),
        spikes=sum(len(events) for x in baseline for events in x.spikes.values()),
        values=sum(trace.size for x in baseline for trace in x.states.values()),
        counters=sum(len(getattr(x.counters, kind)) for x in baseline for kind in COUNTERS),
        passes=tuple(tracer.trace(0, steps).effects if passes else tracer.effects),
    )


# -------------------------------------------------------------------------------------------------------------- inside


def _check_memory(compiled: _Compiled, steps: int, record: list[str], samples: int) -> None:
    """Refuse traces that do not fit into memory: those of the first target and of the one compared with it, of all samples."""
    program = next(iter(compiled.programs.values()))
    _, steps, what = program.prepare({}, steps, record)
    runs = samples * min(2, len(compiled.programs))
    memory.check_record(program.lowered, what, steps, runs, "compare spikes only (states=False), or fewer steps or samples")


def _with_weights(program: Program, recording: Recording) -> Recording:
    """The recording with what plastic projections have learned at its end, as one more row of states."""
    plastic = (name for name, x in program.lowered.projections.items() if x.learning is not None)
    learned = {f"{name}.w": program.weights(name)[None] for name in plastic}
    return replace(recording, states={**recording.states, **learned})


@dataclass
class _Compiled:
    """What became of the targets: programs and seconds of compiling, or why not. after: the network after each pass."""

    programs: dict[str, Program] = field(default_factory=dict)
    after: dict[str, Network] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def _compile(
    net: Network, targets: Sequence[str], skip: bool, options: Mapping[str, Any], compiler: Mapping[str, Any]
) -> _Compiled:
    """Compile for every target; those that cannot run the network are skipped or raise."""
    result = _Compiled()
    for target in targets:
        began = time.perf_counter()
        try:
            known = _options_of(target)
            own = {name: value for name, value in options.items() if name in known}
            keep = None if result.after else lambda step, _, after: result.after.update({step.name: after})
            result.programs[target] = compile_network(net, target, callback=keep, **compiler, **own)
            result.seconds[target] = time.perf_counter() - began
        except UnsupportedError as error:
            if not skip:
                raise
            result.skipped[target] = "; ".join(error.reasons)
    if not result.programs:
        reasons = [f"{target}: {reason}" for target, reason in result.skipped.items()]
        raise UnsupportedError(", ".join(targets), reasons)
    return result


def _options_of(target: str) -> Mapping[str, str]:
    """The options of a backend, asked for in a way that a broken installation is a readable error."""
    try:
        return registry.get(target).options
    except ImportError as error:
        raise UnsupportedError(target, [f"it cannot be imported here ({error})"]) from error


def _check_options(targets: Sequence[str], options: Mapping[str, Any]) -> None:
    """Refuse options that no target knows (a target that cannot be imported may know any)."""
    for name in options:
        try:
            if not any(name in _options_of(target) for target in targets):
                raise InputError(f"no backend among {', '.join(targets)} has an option '{name}'")
        except UnsupportedError:
            return


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


class _Tracer:
    """The traces of passes, by sample and steps, made when first asked for; `effects` has those of the first."""

    def __init__(self, compiled: _Compiled, samples: Sequence[Inputs], steps: int) -> None:
        self.compiled, self.samples, self.steps = compiled, samples, steps
        self.traces: dict[tuple[int, int], PassTrace] = {}
        self.effects: list[PassEffect] = []

    def trace(self, sample: int, steps: int) -> PassTrace:
        if (sample, steps) not in self.traces:
            program = next(iter(self.compiled.programs.values()))
            given, _, _ = program.prepare(self.samples[sample], self.steps, ())
            events = {name: x.between(0, steps) for name, x in given.items()}
            made = self.traces[sample, steps] = PassTrace(list(self.compiled.after.items()), events, steps)
            self.effects = self.effects or made.effects
        return self.traces[sample, steps]


def _explained(
    report: TargetReport, baseline: list[Recording], recordings: list[Recording], tracer: _Tracer, trace: bool
) -> TargetReport:
    """The report with what stands behind the first difference: the spikes that reached the neuron, and the pass."""
    first = report.differences[0] if report.differences else None
    if first is None or first.step is None or first.neuron is None:
        return report
    sample, lowered = first.sample or 0, next(iter(tracer.compiled.programs.values())).lowered
    name = first.subject if first.kind == "spikes" else first.subject.rpartition(".")[0]
    report = replace(report, at_input=name in lowered.inputs)
    if name in lowered.populations:
        report = replace(report, arrivals=arrivals(lowered, baseline[sample], name, first.step, first.neuron))
    if not trace:
        return report
    states = not any(x.kind == "spikes" for x in report.differences)
    parted_by, words = tracer.trace(sample, first.step + 1).parted(recordings[sample], states)
    return replace(report, parted_by=parted_by, passes=words)


def _reached(target: TargetReport) -> str:
    """The spikes in words, where the difference is at a neuron that could hear some."""
    first = target.differences[0]
    if first.neuron is None:
        return ""
    if target.at_input:
        return "it is an input: its spikes are those that were given"
    return described(target.arrivals) if target.arrivals or first.kind == "spikes" else ""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())

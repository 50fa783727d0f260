"""Conformance: the same network and inputs on several backends, compared bit for bit, with the first divergence named.

report = nc.conform(net, {"x": raster}, steps=100)
print(report)            # identical: reference = cpu = lava (812 spikes, 51200 state values, ...), or where they part
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import networkx as nx

from neurocomp.backends import registry
from neurocomp.differences import COUNTERS, Difference, StateAt, compare
from neurocomp.ir.errors import InputError, UnsupportedError
from neurocomp.ir.network import Network
from neurocomp.ir.passes import Quantise
from neurocomp.program import Inputs, Program
from neurocomp.program import compile as compile_network
from neurocomp.recording import Recording

__all__ = ["ConformanceReport", "Difference", "StateAt", "TargetReport", "compare", "conform"]


# -------------------------------------------------------------------------------------------------------------- report


@dataclass(frozen=True)
class TargetReport:
    """How one target compares with the first. skipped: why it did not run, "" where it did.

    compile_seconds, run_seconds: wall time of compiling, and of running all samples.
    """

    target: str
    differences: tuple[Difference, ...] = ()
    skipped: str = ""
    compile_seconds: float = 0.0
    run_seconds: float = 0.0


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
                    "compile_seconds": x.compile_seconds,
                    "run_seconds": x.run_seconds,
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
    missing: Literal["raise", "skip"] | None = None,
    arithmetic: str | None = None,
    mantissa_bits: int = 24,
    quantise: Quantise | str | None = None,
    accept_wrap: bool = False,
    states: bool = True,
    **options: Any,
) -> ConformanceReport:
    """Run the same inputs on every target and compare spikes, state traces and event counters with the first target.

    inputs: as for `Program.run`, or a list of such (samples, each from the initial state). targets: None takes every
    registered backend and lists those that cannot run the network as skipped; a target named here must run, or its
    `UnsupportedError` is raised, unless missing="skip" asks for skipping. states: also compare the trace of every state
    variable (8 bytes per neuron, state and step, on each target). options: backend options, each given to the targets that
    know it (threads=2, timeout=60). Other arguments: `compile`.
    """
    samples = [inputs] if isinstance(inputs, Mapping) else list(inputs)
    if not samples:
        raise InputError("conform needs at least one sample; inputs is an empty list")
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
    order = _causal_order(net)
    baseline: list[Recording] = []
    reports = []
    for target, program in compiled.programs.items():
        began = time.perf_counter()
        recordings = _run(program, inputs, steps, record)
        if states and recordings:
            recordings = [*recordings[:-1], _with_weights(program, recordings[-1])]
        seconds = time.perf_counter() - began
        baseline = baseline or recordings
        found = _batch_differences(baseline, recordings, order) if recordings is not baseline else []
        reports.append(TargetReport(target, tuple(found), "", compiled.seconds[target], seconds))
    reports += [TargetReport(target, skipped=reason) for target, reason in compiled.skipped.items()]
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


def _with_weights(program: Program, recording: Recording) -> Recording:
    """The recording with what plastic projections have learned at its end, as one more row of states."""
    plastic = (name for name, x in program.lowered.projections.items() if x.learning is not None)
    learned = {f"{name}.w": program.weights(name)[None] for name in plastic}
    return replace(recording, states={**recording.states, **learned})


@dataclass
class _Compiled:
    """What became of the targets: programs and seconds of compiling, or why not."""

    programs: dict[str, Program] = field(default_factory=dict)
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
            result.programs[target] = compile_network(net, target, **compiler, **own)
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


def _causal_order(net: Network) -> list[str]:
    """Nodes so that what acts within the same step comes first."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(net.nodes)
    graph.add_edges_from((p.pre, p.post) for p in net.projections.values() if p.min_delay == 0 and len(p.connectivity))
    return list(nx.topological_sort(graph))


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())

"""What quantisation did to the spikes: a network in float and in Loihi's integers on the same inputs.

report = nc.quantisation_report(net, samples, steps=32, labels=labels)
print(report)            # per population: spikes kept, shifted, added, removed; first divergence; rates; accuracy
report.to_html("report.html")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.importers.rates import output_activity, winner
from neurocomp.ir.errors import InputError
from neurocomp.ir.events import from_data
from neurocomp.ir.network import Change, Network
from neurocomp.ir.passes import Discretise, Fold, LoihiWeights, Pipeline, Quantise
from neurocomp.ir.passes.quantise import QuantisationPlan
from neurocomp.ir.quantisation.ranges import LIMIT, Bounds
from neurocomp.ir.quantisation.simulate import Place, Run, merged, run_network, stacked
from neurocomp.ir.verify import verify
from neurocomp.program import Inputs, Program, as_quantise
from neurocomp.program import compile as compile_network
from neurocomp.recording import Recording
from neurocomp.spike_changes import PopulationSpikes, spike_changes

Decode = Callable[[Sequence[Recording]], NDArray[Any]]
CHUNK = 20_000_000  # values of the largest population that are held at once while ranges are observed


@dataclass(frozen=True)
class Range:
    """Bounds of a quantised population's state, worst case and on the samples, and where they were first exceeded."""

    name: str
    worst: Bounds
    observed: Bounds
    wrap: Place | None
    saturation: Place | None

    @property
    def text(self) -> str:
        """The range in words."""
        lines = [f"{self.worst.text()}; {self.observed.text()}"]
        if self.wrap is not None:
            lines.append(f"u wrapped around: {_place(self.wrap)}")
        if self.saturation is not None:
            lines.append(f"v saturated: {_place(self.saturation)}")
        return "; ".join(lines)


@dataclass(frozen=True)
class QuantisationReport:
    """The result of `quantisation_report`. accuracies: 0..1, None without labels; agreement: of both sides' answers.

    changes: what quantise did. quantised: the network in Loihi's integers, ready to save or compile.
    """

    network: str
    quantise: Quantise
    steps: int
    samples: int
    tolerance: int
    populations: tuple[PopulationSpikes, ...]
    ranges: tuple[Range, ...]
    changes: tuple[Change, ...]
    clipped: Mapping[str, tuple[int, int]]
    float_accuracy: float | None
    loihi_accuracy: float | None
    agreement: float | None
    quantised: Network = field(repr=False, compare=False)

    @property
    def text(self) -> str:
        """The report for people."""
        what = f"{self.quantise.strategy}, {self.quantise.num_weight_bits}-bit weights"
        lines = [
            f"{self.network}: float vs loihi ({what}), {self.samples} sample{'s'[: self.samples != 1]} of {self.steps} steps"
        ]
        if self.float_accuracy is not None and self.loihi_accuracy is not None:
            lines.append(f"  accuracy {self.float_accuracy:.2%} -> {self.loihi_accuracy:.2%}")
        if self.agreement is not None:
            lines.append(f"  same answer for {self.agreement:.2%} of the samples")
        for row in self.populations:
            lines += _population_text(row, self.tolerance, self.samples)
        for name, (count, total) in self.clipped.items():
            if count:
                lines.append(f"  {name}: {count} of {total} weights clipped")
        lines += [f"  {x.name}: {x.text}" for x in self.ranges]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text

    def explain(self) -> str:
        """The report, then everything quantise changed."""
        return "\n".join([self.text, "", *map(str, self.changes)])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; bounds without limit are None."""
        return {
            "network": self.network,
            "strategy": self.quantise.strategy,
            "num_weight_bits": self.quantise.num_weight_bits,
            "steps": self.steps,
            "samples": self.samples,
            "tolerance": self.tolerance,
            "accuracy": {"float": self.float_accuracy, "loihi": self.loihi_accuracy, "agreement": self.agreement},
            "populations": {x.name: _population_dict(x) for x in self.populations},
            "ranges": {x.name: _range_dict(x) for x in self.ranges},
            "clipped": {name: {"clipped": count, "weights": total} for name, (count, total) in self.clipped.items()},
            "changes": [
                {"by": x.by, "subject": x.subject, "before": x.before, "after": x.after, "why": x.why} for x in self.changes
            ],
        }

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one self-contained page."""
        from neurocomp.quantisation_page import page

        target = Path(path)
        target.write_text(page(self), encoding="utf-8")
        return target


def quantisation_report(
    net: Network,
    inputs: Inputs | Sequence[Inputs],
    steps: int,
    labels: Sequence[Any] | NDArray[Any] | None = None,
    *,
    decode: Decode | None = None,
    record: Sequence[str] = (),
    quantise: Quantise | str | None = None,
    target: str = "cpu",
    tolerance: int = 2,
    **options: Any,
) -> QuantisationReport:
    """Run a float network as it is and quantised, on the same inputs, and compare the spikes.

    inputs: as for `Program.run`, or a list of samples. labels: the right answer of each sample. decode: answers from
    recordings of all spikes, the v of output populations (in the float network's volts on both sides) and `record`; default:
    the neuron of the only output population that spiked most. tolerance: steps within which spikes of a neuron count as
    shifted. quantise: the pass or a strategy's name, default "mse". options: of the backend.
    """
    samples = [inputs] if isinstance(inputs, Mapping) else list(inputs)
    if not samples:
        raise InputError("quantisation_report needs at least one sample; inputs is an empty list")
    if labels is not None and len(labels) != len(samples):
        raise InputError(f"{len(labels)} labels for {len(samples)} samples; each needs one")
    verify(net)
    options_of = as_quantise(quantise)
    plan = options_of.plan(Fold()(Discretise()(net)))
    if not plan.populations:
        raise InputError(f"network '{net.name}' has no float population, so there is nothing to quantise")
    outputs = _outputs(net)
    what = list(dict.fromkeys(["spikes", *(f"{name}.v" for name in outputs), *record]))
    first = compile_network(net, target, arithmetic="float", **options).run_batch(samples, steps, what)
    loihi = compile_network(plan.network, target, **options)
    second = [_in_volts(x, plan) for x in loihi.run_batch(samples, steps, what)]
    answers = _answers(decode, outputs, labels, first, second)
    return QuantisationReport(
        network=net.name,
        quantise=options_of,
        steps=steps,
        samples=len(samples),
        tolerance=tolerance,
        populations=tuple(spike_changes(name, first, second, steps, tolerance) for name in net.populations),
        ranges=tuple(_observed(plan, loihi, samples, steps)),
        changes=tuple(x for x in plan.network.changes if x.by == options_of.name),
        clipped={name: (x.clipped, x.mantissas.size) for p in plan.populations.values() for name, x in p.weights.items()},
        float_accuracy=_accuracy(answers, 0, labels),
        loihi_accuracy=_accuracy(answers, 1, labels),
        agreement=None if answers is None else float(np.mean(answers[0] == answers[1])),
        quantised=plan.network,
    )


def observe_ranges(net: Network, inputs: Inputs | Sequence[Inputs], steps: int) -> dict[str, Run]:
    """What u and v of every Loihi population reach on samples, and where u first wraps or v saturates.

    net: of LoihiLIF populations. Runs the NumPy step programs of the reference backend on all samples side by side.
    """
    samples = [inputs] if isinstance(inputs, Mapping) else list(inputs)
    lowered = Pipeline((Discretise(), LoihiWeights()))(net)
    widest = max(node.size for node in net.nodes.values())
    chunk = max(1, CHUNK // (widest * steps))
    parts = []
    for start in range(0, len(samples), chunk):
        rasters = {
            name: stacked(
                [
                    from_data(name, x.get(name, ((), ())), node.shape, steps, node.max_payload).raster()
                    for x in samples[start : start + chunk]
                ]
            )
            for name, node in net.inputs.items()
        }
        parts.append((start, run_network(lowered, rasters, min(chunk, len(samples) - start), steps)))
    return {name: merged([(start, runs[name]) for start, runs in parts]) for name in net.populations}


# -------------------------------------------------------------------------------------------------------------- inside


def _outputs(net: Network) -> list[str]:
    """The populations a user reads: the declared outputs, else those that lead nowhere."""
    named = [x for x in net.outputs.values() if x in net.populations]
    return named or [name for name in net.populations if not net.outgoing(name)]


def _in_volts(recording: Recording, plan: QuantisationPlan) -> Recording:
    """The recording with v of quantised populations in the float network's unit."""
    states = {}
    for key, trace in recording.states.items():
        name, _, state = key.rpartition(".")
        known = plan.populations.get(name) if state == "v" else None
        states[key] = trace if known is None else trace / known.per_volt
    return replace(recording, states=states)


def _answers(
    decode: Decode | None, outputs: Sequence[str], labels: Any, first: list[Recording], second: list[Recording]
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    if decode is None:
        if labels is None:
            return None
        if len(outputs) != 1:
            raise InputError(
                f"labels need one output population, and there are {len(outputs)} ({', '.join(outputs)}); pass decode=, or "
                "name the output with net.output(...)"
            )

        def decode(recordings: Sequence[Recording]) -> NDArray[Any]:
            return winner(*output_activity(recordings, outputs[0]))

    return np.asarray(decode(first)), np.asarray(decode(second))


def _accuracy(answers: tuple[NDArray[Any], NDArray[Any]] | None, side: int, labels: Any) -> float | None:
    if answers is None or labels is None:
        return None
    return float(np.mean(answers[side] == np.asarray(labels)))


def _observed(plan: QuantisationPlan, loihi: Program, samples: Sequence[Inputs], steps: int) -> Iterator[Range]:
    runs = observe_ranges(plan.network, samples, steps)
    for name, population in plan.populations.items():
        run = runs[name]
        yield Range(name, population.worst, run.bounds, run.first_wrap, run.first_saturation)


def _population_text(row: PopulationSpikes, tolerance: int, samples: int) -> list[str]:
    head = f"  {row.name}: {row.float_spikes} -> {row.loihi_spikes} spikes"
    if row.first is None:
        return [f"{head}, identical"]
    place = f"step {row.first.step}, neuron {row.first.neuron} (spikes only in {row.first.fires})"
    place = place if samples == 1 else f"sample {row.first.sample}, {place}"
    rates = "" if row.correlation is None else f"; rate correlation {row.correlation:.4f}"
    parts = f"{row.same} same, {row.shifted} shifted by 1..{tolerance} steps, {row.removed} removed, {row.added} added"
    return [f"{head} ({parts}){rates}", f"    first difference: {place}"]


def _population_dict(row: PopulationSpikes) -> dict[str, Any]:
    first = row.first
    return {
        "neurons": row.neurons,
        "float_spikes": row.float_spikes,
        "loihi_spikes": row.loihi_spikes,
        "same": row.same,
        "shifted": row.shifted,
        "removed": row.removed,
        "added": row.added,
        "rate_correlation": row.correlation,
        "first_difference": None
        if first is None
        else {"sample": first.sample, "step": first.step, "neuron": first.neuron, "fires": first.fires},
    }


def _range_dict(row: Range) -> dict[str, Any]:
    def span(low: NDArray[np.float64], high: NDArray[np.float64]) -> list[float | None]:
        return [x if np.isfinite(x) else None for x in (float(low.min()), float(high.max()))]

    def place(at: Place | None) -> dict[str, int] | None:
        return None if at is None else {"sample": at.sample, "step": at.step, "neuron": at.neuron, "value": at.value}

    return {
        "limit": LIMIT,
        "worst": {"u": span(row.worst.u_low, row.worst.u_high), "v": span(row.worst.v_low, row.worst.v_high)},
        "observed": {"u": span(row.observed.u_low, row.observed.u_high), "v": span(row.observed.v_low, row.observed.v_high)},
        "first_wrap": place(row.wrap),
        "first_saturation": place(row.saturation),
    }


def _place(at: Place) -> str:
    return f"sample {at.sample}, step {at.step}, neuron {at.neuron} at {at.value}"

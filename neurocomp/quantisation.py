"""What quantisation did to the spikes: a network in float and in Loihi's integers on the same inputs.

report = nc.quantisation_report(net, samples, steps=32, labels=labels)
print(report)            # per population: spikes kept, shifted, added, removed; first divergence; rates; accuracy
report.to_html("report.html")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.importers.rates import output_activity, winner
from neurocomp.ir.errors import InputError
from neurocomp.ir.files import write_text
from neurocomp.ir.network import Network
from neurocomp.ir.passes import Discretise, Fold, LoihiWeights, Pipeline, Quantise
from neurocomp.ir.passes.quantise import QuantisationPlan
from neurocomp.ir.quantisation.simulate import Run, merged, rasters, run_network
from neurocomp.ir.verify import verify
from neurocomp.program import Inputs, as_quantise
from neurocomp.program import compile as compile_network
from neurocomp.quantisation_figures import QuantisationFigures, Range
from neurocomp.quantisation_page import page
from neurocomp.recording import Recording
from neurocomp.spike_changes import spike_changes

Decode = Callable[[Sequence[Recording]], NDArray[Any]]
CHUNK = 20_000_000  # values of the largest population that are held at once while ranges are observed


class QuantisationReport(QuantisationFigures):
    """The result of `quantisation_report`."""

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one self-contained page."""
        return write_text(path, page(self))


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
    vouched = options_of.accept_wrap or options_of.strategy == "calibrate"  # the plan decided what may wrap
    loihi = compile_network(plan.network, target, accept_wrap=vouched, **options)
    second = [_in_volts(x, plan) for x in loihi.run_batch(samples, steps, what)]
    answers = _answers(decode, outputs, labels, first, second)
    return QuantisationReport(
        network=net.name,
        quantise=options_of,
        steps=steps,
        samples=len(samples),
        tolerance=tolerance,
        populations=tuple(spike_changes(name, first, second, steps, tolerance) for name in net.populations),
        ranges=tuple(_observed(plan, samples, steps)),
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
        some = samples[start : start + chunk]
        parts.append((start, run_network(lowered, rasters(net, some, steps), len(some), steps)))
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
        states[key] = trace if known is None else known.volts(trace)
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


def _observed(plan: QuantisationPlan, samples: Sequence[Inputs], steps: int) -> Iterator[Range]:
    runs = observe_ranges(plan.network, samples, steps)
    for name, population in plan.populations.items():
        run = runs[name]
        yield Range(name, population.worst, run.bounds, run.first_wrap, run.first_saturation)

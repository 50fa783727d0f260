"""Calibration: choose a population's scale, clipping, threshold and bias by what its spikes become on sample inputs.

Populations are taken in causal order. Each is run alone in Loihi's integers, driven by the spikes its sources have after
their own quantisation (of sources in the same loop that are not quantised yet: their float spikes), and compared with the float
population. Candidates, each kept only where it lowers the distance on the samples:

1. scales over an octave (how much of the weights is clipped), started by what "max", "percentile" and "mse" choose;
2. the threshold, a few per cent up and down;
3. a constant bias per neuron that makes up for the mean error of its rounded weights on the samples (bias correction, Nagel
   et al. 2019, arXiv:1906.04721), because a bias is free for every neuron of a core where a weight exponent is shared.

The distance is the mean over time of |N_loihi(t) - N_float(t)| with N the spikes of a neuron up to step t, summed over
neurons and samples: an extra spike costs as long as it is ahead, a spike late by k steps costs k / steps. A candidate whose
current wraps around on the samples is worse than any that does not wrap, however close its spikes are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from neurocomp.ir.connectivity import Floats
from neurocomp.ir.errors import CompileError
from neurocomp.ir.network import Change, Population
from neurocomp.ir.quantisation.form import BY
from neurocomp.ir.quantisation.plan import PopulationPlan, RangeOptions, Task, plan_population
from neurocomp.ir.quantisation.simulate import Lowered, Run, Spikes, run_group
from neurocomp.ir.quantisation.weights import Encoded, WeightOptions, Weights, encode_all, encode_at, full_range, sweep

SCALES = 12  # per octave
THRESHOLDS = (0.9, 0.94, 0.97, 0.985, 1.015, 1.03, 1.06, 1.1)


@dataclass(frozen=True)
class Samples:
    """What calibration needs to know of a population: the float run, and the spikes of all its sources as they now are."""

    float_run: Run
    sources: Mapping[str, Spikes]
    seen_u: float


@dataclass(frozen=True)
class _Candidate:
    plan: PopulationPlan
    run: Run
    loss: float
    scale: float
    encoded: Mapping[str, Encoded]
    how: str
    threshold: float = 1.0
    bias: Floats | None = None

    def better_than(self, other: _Candidate | None) -> bool:
        """Whether it comes closer to the float spikes; a current that wrapped around counts as infinitely far."""
        return other is None or self._rank < other._rank

    @property
    def _rank(self) -> tuple[bool, float]:
        return self.run.first_wrap is not None, self.loss


class Calibration:
    """The search for one population."""

    def __init__(
        self, population: Population, task: Task, options: WeightOptions, ranges: RangeOptions, samples: Samples
    ) -> None:
        self.population, self.task, self.samples = population, task, samples
        self.options, self.ranges = options, ranges
        self.weights = [Weights(p.name, p.connectivity.weights, payload) for p, payload in task.incoming]
        self.target = np.cumsum(samples.float_run.spikes, axis=1)

    def best(self) -> tuple[PopulationPlan, Run]:
        """The plan with the smallest distance, and its run."""
        best: _Candidate | None = None
        refused: CompileError | None = None
        for scale, encoded, how in self._starts():
            try:
                found = self._try(scale, encoded, how)
            except CompileError as error:
                refused = refused or error
                continue
            best = found if found.better_than(best) else best
        if best is None:
            assert refused is not None
            raise refused
        best = self._corrected(self._threshold(best))
        plan = replace(best.plan, observed=best.run.bounds, changes=self._changes(best))
        return plan, best.run

    def _starts(self) -> Iterator[tuple[float, Mapping[str, Encoded], str]]:
        if full_range(self.weights, self.options) is None:
            yield unscaled(self.task), encode_at(self.weights, 1.0, self.options), "without weights"
            return
        for strategy in ("mse", "max", "percentile"):
            options = replace(self.options, strategy=strategy)
            found = encode_all(self.weights, options)
            assert found is not None
            yield *found, f"scale of '{strategy}'"
        base = full_range(self.weights, replace(self.options, strategy="max"))
        assert base is not None
        for k, scale in enumerate(sweep(base, SCALES)):
            yield (
                scale,
                encode_at(self.weights, scale, self.options),
                f"scale 2^({k}/{SCALES}) beyond that of the largest weight",
            )

    def _threshold(self, best: _Candidate) -> _Candidate:
        start = best
        for factor in THRESHOLDS:
            found = self._try(start.scale, start.encoded, start.how, factor)
            best = found if found.better_than(best) else best
        return best

    def _corrected(self, best: _Candidate) -> _Candidate:
        """With the mean error of each neuron's input made up for by its bias; twice, as other spikes change the error."""
        current = best
        steady = 1.0 / (1.0 - self.task.form.u_decay) if np.all(self.task.form.u_decay < 1) else None
        for _ in range(2):
            if steady is None:
                break
            missing = self.samples.float_run.drive - self._mean_input(current)
            bias = (current.bias if current.bias is not None else 0.0) + missing * steady
            current = self._try(best.scale, best.encoded, best.how, best.threshold, bias)
            best = current if current.better_than(best) else best
        return best

    def _mean_input(self, candidate: _Candidate) -> Floats:
        """(n,) mean input of a step in units of the folded program, a bias by correction included as input."""
        given = candidate.run.drive / candidate.plan.scale
        if candidate.bias is None:
            return given + self._moved()
        return given + self._moved() + candidate.bias * (1.0 - self.task.form.u_decay)

    def _moved(self) -> Floats:
        """(n,) the input's own bias, which in integers is part of v's."""
        return self.population.bias_vector()

    def _try(
        self, scale: float, encoded: Mapping[str, Encoded], how: str, threshold: float = 1.0, bias: Floats | None = None
    ) -> _Candidate:
        plan = plan_population(self.task, scale, encoded, self.ranges, self.options, self.samples.seen_u, threshold, bias)
        run = self._run(plan)
        made = np.cumsum(run.spikes, axis=1)
        loss = float(np.abs(made - self.target).mean(axis=1).sum())
        return _Candidate(plan, run, loss, scale, encoded, how, threshold, bias)

    def _run(self, plan: PopulationPlan) -> Run:
        name = self.population.name
        sources = {pre: x for pre, x in self.samples.sources.items() if pre != name}
        samples, steps = self.target.shape[:2]
        return run_group({name: lowered_population(self.population, plan)}, sources, samples, steps)[name]

    def _changes(self, best: _Candidate) -> tuple[Change, ...]:
        total = max(float(self.samples.float_run.spikes.sum()), 1.0)
        why = f"smallest distance on the samples: {best.loss / total:.4f} per float spike"
        changes = [Change(BY, self.task.name, "calibration", best.how, why)]
        if best.threshold != 1.0:
            why = "brings the spikes closer to the float population's"
            changes.append(Change(BY, self.task.name, "threshold", f"{best.threshold - 1:+.1%}", why))
        if best.bias is not None:
            size = float(np.abs(best.bias / np.where(self.task.form.threshold == 0, 1, self.task.form.threshold)).max())
            why = "makes up for the mean error of the rounded weights on the samples"
            changes.append(Change(BY, self.task.name, "bias of v", f"corrected by up to {size:.3g} thresholds a step", why))
        return tuple(changes)


def lowered_population(population: Population, plan: PopulationPlan) -> Lowered:
    """The population in integers, ready to run alone."""
    from neurocomp.ir.passes.discretise import program_of

    node = replace(population, neuron=plan.neuron(), bias=0.0, program=None, grid=None)
    return Lowered(replace(node, program=program_of(node, 1.0, "euler")), plan.lowered())


def unscaled(task: Task) -> float:
    """A scale for populations without weights: the octave choice does the rest."""
    largest = float(np.abs(task.form.threshold).max(initial=0.0))
    return 1.0 / largest if largest else 1.0

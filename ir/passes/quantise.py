"""`quantise`: float populations of LIF type become `LoihiLIF` with 8-bit weights, with every rounding explained.

Runs after `discretise` and `fold`. Per population one scale, chosen so that the largest weights use their 8 bits (jointly for
all its projections) and that no state can leave its 24 bits; see `ir/quantisation/`. The strategies differ in how weights are
scaled:

* "max": the largest weight just fits, nothing is clipped;
* "percentile": a percentile of each projection's |w| just fits, larger ones are clipped;
* "mse": scale, exponents and sign modes of the least squared error of the weights, clipping included;
* "calibrate": chosen by the spikes on sample inputs, with small corrections of threshold and bias.
"""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, get_args

import numpy as np

from neurocomp.ir.connectivity import Connectivity, Sparse, frozen_array
from neurocomp.ir.convolution import Conv2d
from neurocomp.ir.errors import CompileError, PrecisionWarning, callers_level
from neurocomp.ir.network import Change, Network, Node, Population, Projection
from neurocomp.ir.passes.base import Pass
from neurocomp.ir.passes.discretise import program_of
from neurocomp.ir.passes.grid import SnapToGrid
from neurocomp.ir.quantisation.calibrate import Calibration, Samples, lowered_population, unscaled
from neurocomp.ir.quantisation.explain import explained
from neurocomp.ir.quantisation.form import BY, lif_form
from neurocomp.ir.quantisation.plan import PopulationPlan, RangeOptions, Task, plan_population
from neurocomp.ir.quantisation.simulate import Lowered, Run, Spikes, groups, rasters, run_lowered, run_network
from neurocomp.ir.quantisation.weights import Strategy, WeightOptions, Weights, encode_all, encode_at

MAX_PARTS = 4  # of a split projection


@dataclass(frozen=True)
class Quantise(Pass):
    """Float populations to Loihi's integers.

    strategy: "max", "percentile", "mse" or "calibrate". num_weight_bits: 2..8. percentile: of |w|, for that strategy.
    split: give target neurons with small weights a projection of their own, with its own exponent (up to 4 parts;
    convolutions stay whole, as their neurons share weights). accept_wrap: go on where the current u could wrap around in the
    worst case. samples, steps: inputs as for `Program.run`, for "calibrate"; other strategies report the ranges seen on them.
    margin: with "calibrate", how many times the largest |u| observed must fit where the worst case does not.
    Raises `CompileError` naming the population or projection for what Loihi cannot do.
    """

    name: ClassVar[str] = BY
    strategy: Strategy = "mse"
    num_weight_bits: int = 8
    percentile: float = 99.9
    split: bool = False
    accept_wrap: bool = False
    samples: Sequence[Mapping[str, Any]] | None = field(default=None, repr=False, compare=False)
    steps: int | None = None
    margin: float = 2.0

    def __post_init__(self) -> None:
        whole, number = int | np.integer, int | float | np.integer | np.floating
        self._need("strategy", str, lambda x: x in get_args(Strategy), f"one of {', '.join(get_args(Strategy))}")
        self._need("num_weight_bits", whole, lambda x: 2 <= x <= 8, "a whole number from 2 to 8")
        self._need("percentile", number, lambda x: 0 < x <= 100, "a number above 0 and up to 100, 99.9 as a rule")
        self._need("margin", number, lambda x: 1 <= x < np.inf, "a number of at least 1")
        self._need("split", bool, lambda x: True, "True or False")
        self._need("accept_wrap", bool, lambda x: True, "True or False")
        if self.samples is None:
            if self.strategy == "calibrate":
                raise CompileError(self.name, "strategy 'calibrate' needs inputs to go by: samples=[...], steps=N")
            return
        form = "a list of at least one sample, each what Program.run takes, such as [{'x': raster}, {'x': raster}]"
        self._need("samples", Sequence, lambda x: x and all(isinstance(y, Mapping) for y in x), form)
        self._need("steps", whole, lambda x: x >= 1, "the length of the samples, a whole number of at least 1")

    def _need(self, field: str, kind: Any, holds: Callable[[Any], Any], what: str) -> None:
        """Refuse an option of another type or out of range, with what was given and what is expected."""
        value = getattr(self, field)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool) or not holds(value):
            raise CompileError(self.name, f"{field} is {what}, not {reprlib.repr(value)}")

    def __call__(self, net: Network) -> Network:
        return self.plan(net).lowered

    def vouches_for(self, population: Population) -> bool:
        """Whether samples, not only the worst case, may decide that a written population's current does not wrap."""
        return self.strategy == "calibrate" and population.neuron.model.arithmetic == "float"

    def plan(self, net: Network) -> QuantisationPlan:
        """The pass with everything it decided; `plan(net).lowered` is the transformed network."""
        wanted = {name: x for name, x in net.populations.items() if _is_float(x)}
        net, split_changes = self._split(net, wanted)
        tasks = {name: self._task(net, x) for name, x in wanted.items()}
        plans: dict[str, PopulationPlan] = {}
        runs: dict[str, Run] = {}
        floats: dict[str, Run] = {}
        inputs: dict[str, Spikes] = {}
        if self.samples:
            inputs = rasters(net, self.samples, self.steps or 0)
            floats = run_network(SnapToGrid()(net), inputs, len(self.samples), self.steps or 0)
        for group in groups(net):
            spikes = inputs | {name: x.spikes for name, x in (floats | runs).items()}
            for name in group:
                if name in wanted:
                    plans[name], run = self._one(net, wanted[name], tasks[name], floats.get(name), spikes)
                    if run is not None:
                        runs[name], spikes[name] = run, run.spikes
        if self.samples:
            runs = self._run_quantised(net, plans, inputs)
            plans = {name: self._checked(x, runs[name]) for name, x in plans.items()}
        for name, plan in plans.items():
            _warn_of_losses(tasks[name], plan)
        changes = [change for name, x in plans.items() for change in (*x.changes, *explained(tasks[name], x))]
        return QuantisationPlan(_rewritten(net, plans, [*split_changes, *changes]), plans, floats, runs)

    # ---------------------------------------------------------------------------------------------------------- inside

    @property
    def _weights(self) -> WeightOptions:
        return WeightOptions(self.strategy, self.num_weight_bits, self.percentile)

    @property
    def _ranges(self) -> RangeOptions:
        return RangeOptions(self.accept_wrap, self.margin)

    def _one(
        self, net: Network, population: Population, task: Task, teacher: Run | None, spikes: Mapping[str, Spikes]
    ) -> tuple[PopulationPlan, Run | None]:
        if self.strategy == "calibrate":
            assert teacher is not None
            sources = {p.pre: spikes[p.pre] for p, _ in task.incoming} or dict(spikes)
            seen = Samples(teacher, {**spikes, **sources}, teacher.bounds.largest_u)
            return Calibration(population, task, self._weights, self._ranges, seen).best()
        weights = [Weights(p.name, p.connectivity.weights, payload) for p, payload in task.incoming]
        found = encode_all(weights, self._weights)
        scale, encoded = found if found is not None else (unscaled(task), encode_at(weights, 1.0, self._weights))
        return plan_population(task, scale, encoded, self._ranges, self._weights), None

    def _task(self, net: Network, population: Population) -> Task:
        for projection in net.incoming(population.name):
            if projection.plasticity is not None:
                raise CompileError(
                    projection.name,
                    "it learns by a rule of float arithmetic; quantise a network connected with the weights learned "
                    "(Program.weights) and without plasticity=, or let LoihiLIF neurons learn by a LoihiRule",
                )
        incoming = tuple((x, net.node(x.pre).max_payload) for x in net.incoming(population.name))
        return Task(population.name, lif_form(population), incoming)

    def _split(self, net: Network, wanted: Mapping[str, Population]) -> tuple[Network, list[Change]]:
        if not self.split:
            return net, []
        result, changes = net.with_changes(), []
        for projection in net.projections.values():
            parts = split_by_target(projection) if projection.post in wanted else [projection]
            if len(parts) > 1:
                result.graph.remove_edge(projection.pre, projection.post, key=projection.name)
                for part in parts:
                    result.graph.add_edge(part.pre, part.post, key=part.name, projection=part)
                why = "target neurons with smaller weights get an exponent of their own"
                changes.append(Change(BY, projection.name, "one projection", f"{len(parts)} projections", why))
        return result, changes

    def _run_quantised(self, net: Network, plans: Mapping[str, PopulationPlan], inputs: Mapping[str, Spikes]) -> dict[str, Run]:
        """The samples through the network in integers."""
        lowered = {
            x.name: lowered_population(x, plans[x.name]) if x.name in plans else Lowered(x, tuple(net.incoming(x.name)))
            for x in net.populations.values()
        }
        return run_lowered(net, lowered, inputs, len(self.samples or ()), self.steps or 0)

    def _checked(self, plan: PopulationPlan, run: Run) -> PopulationPlan:
        """The plan with what was observed; a current that wrapped is an error unless accepted."""
        plan = replace(plan, observed=run.bounds)
        for at, what in ((run.first_wrap, "u wrapped around"), (run.first_saturation, "v saturated")):
            if at is None:
                continue
            where = f"in sample {at.sample}, step {at.step}, neuron {at.neuron}"
            if at is run.first_wrap and not self.accept_wrap:
                raise CompileError(
                    plan.name,
                    f"the current u wrapped around {where}: it came to {at.value}, beyond +-2^23 = {2**23}; use a larger "
                    f"margin (now {self.margin:g}), less input, or pass accept_wrap=True",
                )
            change = Change(BY, plan.name, f"{what} {where}", f"at {at.value}", "beyond the 24 bits of Loihi's state")
            plan = replace(plan, changes=(*plan.changes, change))
        return plan


@dataclass(frozen=True)
class QuantisationPlan:
    """What the pass decided. lowered: the transformed network, with step programs. populations: plans by name.

    floats, runs: of the samples in float and in integers, by population (empty without samples).
    """

    lowered: Network
    populations: Mapping[str, PopulationPlan]
    floats: Mapping[str, Run]
    runs: Mapping[str, Run]

    @property
    def network(self) -> Network:
        """The quantised network as if it had been written with LoihiLIF: to save, or to compile."""
        return self.lowered.with_changes(nodes={x.name: replace(x, program=None) for x in self.lowered.populations.values()})


def split_by_target(projection: Projection) -> list[Projection]:
    """Parts of a projection by the size of each target neuron's largest weight, in octaves; the sums stay the same.

    Each target belongs to one part, so every sum of a step is rounded as often as before.
    """
    connectivity = projection.connectivity
    if isinstance(connectivity, Conv2d) or len(connectivity) != connectivity.weights.size:
        return [projection]  # neurons share weights
    listed = connectivity.expand()
    largest = np.zeros(listed.n_post)
    np.maximum.at(largest, listed.post, np.abs(listed.weights))
    if not largest.any():
        return [projection]
    with np.errstate(divide="ignore"):
        octave = np.floor(np.log2(largest.max() / largest))
    group = np.minimum(octave, MAX_PARTS - 1).astype(np.int64)[listed.post]
    kinds = np.unique(group)
    return [_part(projection, listed, int(k), group == k) for k in kinds] if len(kinds) > 1 else [projection]


def _part(projection: Projection, listed: Sparse, octave: int, at: Any) -> Projection:
    weights = (listed.weights[at], (listed.post[at], listed.pre[at]))
    part: Connectivity = Sparse(weights, (listed.n_post, listed.n_pre))
    delay = projection.delay
    if np.ndim(delay):
        delay = frozen_array(np.ravel(delay)[at], np.int64)
    return replace(projection, name=f"{projection.name}:{octave}", connectivity=part, delay=delay)


def _is_float(population: Population) -> bool:
    program = population.program
    return program is None or program.form.arithmetic == "float"


def _rewritten(net: Network, plans: Mapping[str, PopulationPlan], changes: Sequence[Change]) -> Network:
    nodes: dict[str, Node] = {}
    projections: dict[str, Projection] = {}
    for name, plan in plans.items():
        node = replace(net.populations[name], neuron=plan.neuron(), bias=0.0, program=None, grid=None)
        nodes[name] = replace(node, program=program_of(node, net.dt, net.integrator))
        projections |= {x.name: x for x in plan.incoming}
    return net.with_changes(nodes, projections, changes)


def _warn_of_losses(task: Task, plan: PopulationPlan) -> None:
    """Warn where rounding to the chip's integers leaves nothing of a threshold or of a whole projection."""
    gone = int(np.sum((plan.vth == 0) & (task.form.threshold > 0)))
    if gone:
        warnings.warn(
            f"population '{plan.name}': {gone} of {task.size} thresholds became 0 beside much larger ones; give such different "
            "neurons populations of their own, or try split=True",
            PrecisionWarning,
            stacklevel=callers_level(),
        )
    for projection, _ in task.incoming:
        if projection.connectivity.weights.any() and not plan.weights[projection.name].mantissas.any():
            warnings.warn(
                f"projection '{projection.name}': all its weights became 0 beside the threshold or the other weights of "
                f"'{plan.name}'; give such different inputs populations of their own",
                PrecisionWarning,
                stacklevel=callers_level(),
            )

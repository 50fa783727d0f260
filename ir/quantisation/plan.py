"""From a population's float form and encoded weights to Loihi's integers: the scale, decays, threshold, bias, and the proof.

v in integer units is v * scale * 64, a weight w is stored as w * scale: one scale per population, so threshold, bias and all
weights grow together. Weights decide the scale up to a power of two (`weights.py`); this module chooses that power:

* never so large that threshold (17 bits), bias (13 bits << 7), initial state, exponents or the input overflow, or u can wrap;
* then as large as v allows without saturating, but at least so large that the sums of weights are whole numbers (bits that a
  mantissa has not need no room) and the threshold has 8 bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.connectivity import Floats
from neurocomp.ir.errors import CompileError
from neurocomp.ir.model import Neuron
from neurocomp.ir.network import Change, Projection
from neurocomp.ir.neurons import LoihiLIF
from neurocomp.ir.passes.loihi import MAX_INPUT
from neurocomp.ir.quantisation.form import LifForm
from neurocomp.ir.quantisation.ranges import ALIGN, LIMIT, Bounds, Dynamics, input_bounds, state_bounds
from neurocomp.ir.quantisation.weights import Encoded, WeightOptions, encode

Ints = NDArray[np.int64]
MAX_VTH = 2**17 - 1
MAX_DU = 4095  # clears the current in a step
MAX_BIAS_MANT, MAX_BIAS_EXP = 2**12 - 1, 7
LEAST_EXPONENT, LARGEST_EXPONENT = -8, 7  # of a projection's weights
THRESHOLD_BITS = 8  # a threshold of fewer bits would be rounded by more than 0.2 %


@dataclass(frozen=True)
class RangeOptions:
    """What may be accepted. margin: how far beyond the observed |u| the 24 bits must reach where samples vouch for u."""

    accept_wrap: bool = False
    margin: float = 2.0


@dataclass(frozen=True)
class Task:
    """One population to quantise: its form, and its incoming projections (pieces) with the largest payload of their source."""

    name: str
    form: LifForm
    incoming: tuple[tuple[Projection, int], ...]

    @property
    def size(self) -> int:
        """Number of neurons."""
        return len(self.form.threshold)


@dataclass(frozen=True)
class PopulationPlan:
    """A population in Loihi's integers.

    scale: integer weight units per unit of the folded program's v; 64 * scale * unit state units are one volt of the user.
    zero: (n,) the user's v where the chip's is 0, in the folded program's unit. du, dv, vth, bias_mant, bias_exp, u0, v0:
    (n,) int64. weights: by projection. worst: proven bounds; observed: on samples, or None. whole: (n,) of neurons that spike
    at their threshold, those whose v moves in whole units of weight; None where they spike above it.
    """

    name: str
    scale: float
    unit: float
    zero: Floats
    du: Ints
    dv: Ints
    vth: Ints
    bias_mant: Ints
    bias_exp: Ints
    u0: Ints
    v0: Ints
    reset: str
    weights: Mapping[str, Encoded]
    incoming: tuple[Projection, ...]
    worst: Bounds
    observed: Bounds | None = None
    correction: Floats | None = None
    whole: NDArray[np.bool_] | None = None
    changes: tuple[Change, ...] = field(default=(), compare=False)

    @property
    def per_volt(self) -> float:
        """State units of the chip that are one unit of the user's v."""
        return self.scale * ALIGN * self.unit

    def volts(self, trace: NDArray[Any]) -> NDArray[np.float64]:
        """A trace (steps, *shape) of the chip's v in the user's unit."""
        values = trace / self.per_volt
        return np.asarray(values + (self.zero / self.unit).reshape(values.shape[1:]), np.float64)

    def neuron(self) -> Neuron:
        """The Loihi neuron, scalar where all neurons agree."""
        names = ("du", "dv", "vth", "bias_mant", "bias_exp")
        initial = {name: _plain(x) for name, x in (("u", self.u0), ("v", self.v0)) if np.any(x)}
        parameters: dict[str, Any] = {name: _plain(getattr(self, name)) for name in names}
        return LoihiLIF(reset=self.reset, initial=initial, **parameters)

    def lowered(self) -> tuple[Projection, ...]:
        """The projections as the chip computes them: exponents in the weights, or as a shift of the sum."""
        result = []
        for projection in self.incoming:
            e = self.weights[projection.name].exponent
            connectivity = projection.connectivity
            weights = np.ldexp(connectivity.weights, max(e, 0))
            result.append(replace(projection, connectivity=connectivity.with_weights(weights, None), shift=max(-e, 0)))
        return tuple(result)


def plan_population(
    task: Task,
    scale: float,
    weights: Mapping[str, Encoded],
    ranges: RangeOptions,
    options: WeightOptions,
    seen_u: float | None = None,
    threshold_factor: float = 1.0,
    extra_bias: Floats | None = None,
) -> PopulationPlan:
    """Choose the octave, round everything, prove the bounds.

    seen_u: the largest |u| on samples, in units of the folded program. threshold_factor, extra_bias: corrections by
    calibration; the latter (n,) in units of the folded program. Raises `CompileError` where u could wrap and that is not
    accepted.
    """
    form = task.form
    if extra_bias is not None:
        form = replace(form, bias=form.bias + extra_bias)
    octave = choose_octave(replace(task, form=form), scale, weights, ranges, seen_u)
    scale *= 2.0**octave
    encoded = {p.name: _in_range(weights[p.name].shifted(octave), p, scale, options) for p, _ in task.incoming}
    du, dv = decays(form)
    mant, exp = mantissa(form.bias * scale * ALIGN)
    u0, v0 = (np.rint(x * scale * ALIGN).astype(np.int64) for x in (form.u0, form.v0))
    wanted = form.threshold * scale * threshold_factor
    whole = None if form.strict else whole_units(du, dv, mant, exp)
    at, v0 = (np.rint(wanted), v0) if whole is None else at_threshold(wanted, v0, whole, form.reset)
    vth = np.clip(at, 0, MAX_VTH).astype(np.int64)
    stored = tuple(
        replace(
            p,
            connectivity=p.connectivity.with_weights(encoded[p.name].mantissas, None),
            loihi=encoded[p.name].synapse(),
        )
        for p, _ in task.incoming
    )
    plan = PopulationPlan(
        task.name, scale, form.unit, form.zero, du, dv, vth, mant, exp, u0, v0, form.reset, encoded, stored, worst=_NOTHING
    )
    return replace(plan, worst=worst_bounds(task, plan), correction=extra_bias, whole=whole)


def decays(form: LifForm) -> tuple[Ints, Ints]:
    """(du, dv): the 12-bit decays nearest to the float ones. u * (4095 - du) / 4096 and v * (4096 - dv) / 4096."""
    du = np.clip(np.rint((1 - form.u_decay) * 4096) - 1, 0, MAX_DU).astype(np.int64)
    dv = np.clip(np.rint((1 - form.v_decay) * 4096), 0, 4095).astype(np.int64)
    return du, dv


def mantissa(values: Floats) -> tuple[Ints, Ints]:
    """(bias_mant, bias_exp) nearest to the values: the smallest exponent 0..7 at which 13 signed bits suffice, per neuron."""
    exponent = np.zeros(len(values), np.int64)
    for e in range(1, MAX_BIAS_EXP + 1):
        exponent[np.abs(np.rint(np.ldexp(values, -(e - 1)))) > MAX_BIAS_MANT] = e
    mant = np.clip(np.rint(np.ldexp(values, -exponent)), -MAX_BIAS_MANT, MAX_BIAS_MANT).astype(np.int64)
    return mant, np.where(mant == 0, 0, exponent)


def at_threshold(wanted: Floats, v0: Ints, whole: NDArray[np.bool_], reset: str) -> tuple[Floats, Ints]:
    """(threshold, initial v) of neurons that spike at their threshold, on a chip that asks for more than vth * 64.

    Where v moves in `whole` units of weight (64 state units) and starts at one, v >= 64 k is the same as v > 64 (k - 1); with a
    reset by subtraction, which takes 64 k away, as v + 32 > 64 k. Elsewhere the threshold nearest to one state unit less.
    """
    subtract = reset == "subtract"
    start = ALIGN * np.rint(v0 / ALIGN).astype(np.int64) + (ALIGN // 2 if subtract else 0)
    vth = np.where(whole, np.rint(wanted) - (not subtract), np.rint(wanted - 1 / ALIGN))
    return vth, np.where(whole, start, v0)


def whole_units(du: Ints, dv: Ints, bias_mant: Ints, bias_exp: Ints) -> NDArray[np.bool_]:
    """(n,) whether v only moves in whole units of weight: it has no leak, no lasting current and no finer bias."""
    return np.asarray((du == MAX_DU) & (dv == 0) & (np.left_shift(bias_mant, bias_exp) % ALIGN == 0), np.bool_)


def worst_bounds(task: Task, plan: PopulationPlan) -> Bounds:
    """The proof for the integers as they will be stored."""
    payloads = [payload for _, payload in task.incoming]
    low, high = input_bounds(task.size, list(zip(plan.lowered(), payloads, strict=True)))
    bias = np.ldexp(plan.bias_mant.astype(np.float64), plan.bias_exp)
    vth, u0, v0 = (x.astype(np.float64) for x in (plan.vth * ALIGN, plan.u0, plan.v0))
    return state_bounds(low * ALIGN, high * ALIGN, _dynamics(plan.du, plan.dv, bias, vth, u0, v0, plan.reset))


def choose_octave(task: Task, scale: float, weights: Mapping[str, Encoded], ranges: RangeOptions, seen_u: float | None) -> int:
    """The power of two by which to multiply the scale and all exponents."""
    form, used = task.form, [x for x in weights.values() if np.any(x.mantissas)]
    low, high = _float_input(task, scale, weights)
    units = scale * ALIGN
    bias, threshold, u0, v0 = (x * units for x in (form.bias, form.threshold, form.u0, form.v0))
    dynamics = _dynamics(*decays(form), bias, threshold, u0, v0, form.reset)
    bounds = state_bounds(low * units, high * units, dynamics)
    fits = [
        (MAX_VTH, largest(form.threshold) * scale, "threshold"),
        (MAX_BIAS_MANT * 2**MAX_BIAS_EXP, largest(form.bias) * units, "bias"),
        (LIMIT - 1, max(largest(form.u0), largest(form.v0)) * units, "initial state"),
        (MAX_INPUT - 1, max(largest(low), largest(high)) * scale, "input of a step"),
    ]
    most = min([_octaves(limit, value) for limit, value, _ in fits] + [LARGEST_EXPONENT - x.exponent for x in used])
    least = min(most, -max((x.exponent + x.spare for x in used), default=0))  # below, the largest projection would lose bits
    most = min(most, _wrap_octave(task, bounds, ranges, seen_u and seen_u * units, least))
    smallest = float(form.threshold[form.threshold > 0].min(initial=math.inf)) * scale
    precise = max(
        [-x.exponent - x.spare for x in used] + [math.ceil(THRESHOLD_BITS - math.log2(smallest)) if smallest < math.inf else 0]
    )
    free = _octaves(LIMIT - 1, bounds.largest_v)
    return min(most, max(free, precise))


# -------------------------------------------------------------------------------------------------------------- inside

_NOTHING = Bounds(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1))


def _dynamics(du: Ints, dv: Ints, bias: Floats, threshold: Floats, u0: Floats, v0: Floats, reset: str) -> Dynamics:
    return Dynamics((4095 - du) / 4096, (4096 - dv) / 4096, bias, threshold, u0, v0, reset == "subtract")


def _wrap_octave(task: Task, bounds: Bounds, ranges: RangeOptions, seen: float | None, least: int) -> int:
    """The largest octave at which u cannot wrap, or does not by the margin over what was seen; else an error."""
    proven = _octaves(LIMIT - 1, bounds.largest_u)
    if proven >= least:
        return proven
    if seen is not None:
        allowed = _octaves(LIMIT - 1, seen * ranges.margin)
        if allowed >= least:
            return least
    if ranges.accept_wrap:
        return least
    neuron, value = bounds.worst_u()
    found = value * 2.0**least
    cure = (
        f"margin={ranges.margin:g} times the {seen * 2.0**least:.0f} observed does not fit either: use a smaller margin"
        if seen is not None
        else "use strategy='calibrate' with samples, which goes by the currents observed"
    )
    raise CompileError(
        task.name,
        f"the current u of neuron {neuron} can reach {found:.0f} when all its synapses are active, beyond the 24 bits "
        f"(+-{LIMIT}) where it wraps around; {cure}, shorten its synaptic time constant, lower its fan-in, "
        "or pass accept_wrap=True",
    )


def _float_input(task: Task, scale: float, weights: Mapping[str, Encoded]) -> tuple[Floats, Floats]:
    """Bounds (n,) of the input of a step in units of the folded program, from the weights as encoded."""
    incoming = []
    for projection, payload in task.incoming:
        encoded = weights[projection.name]
        values = np.ldexp(encoded.mantissas, encoded.exponent) / scale
        incoming.append((replace(projection, connectivity=projection.connectivity.with_weights(values, None)), payload))
    return input_bounds(task.size, incoming)


def _in_range(encoded: Encoded, projection: Projection, scale: float, options: WeightOptions) -> Encoded:
    """The encoding, again where its exponent does not exist (weights far smaller than the population's largest)."""
    exponent = min(max(encoded.exponent, LEAST_EXPONENT), LARGEST_EXPONENT)
    if exponent == encoded.exponent:
        return encoded
    if not np.any(encoded.mantissas) and encoded.error == 0:
        return replace(encoded, exponent=0)
    return encode(projection.connectivity.weights, scale, exponent, encoded.mode, options.bits)


def _octaves(limit: float, value: float) -> int:
    """The largest k with value * 2^k <= limit; large where there is no value, small where it has no bound."""
    if value == 0:
        return 64
    return -64 if math.isinf(value) else math.floor(math.log2(limit / value))


def largest(values: Floats) -> float:
    """The largest absolute value, 0 of none."""
    return float(np.abs(values).max(initial=0.0))


def _plain(values: Ints) -> Any:
    return int(values[0]) if np.all(values == values[0]) else values

"""Float weights as Loihi stores them: w * scale ~ mantissa * 2^exponent, one exponent and one sign mode per projection.

A mantissa has 8 bits and in sign mode "mixed" only even values; with `num_weight_bits` < 8 the low bits do not exist either.
A single-signed projection has one bit more to itself. Rounding is to nearest (ties to even); what lies beyond the range is
clipped, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from neurocomp.ir.connectivity import Floats
from neurocomp.ir.network import LoihiSynapse

Strategy = Literal["max", "percentile", "mse", "calibrate"]
Mode = Literal["mixed", "excitatory", "inhibitory"]
MODES: tuple[Mode, ...] = ("mixed", "excitatory", "inhibitory")
SWEEP = 24  # scales per octave that are tried where errors decide
CLIPS = 4  # exponents below the lossless one that are tried where errors decide
SAMPLE = 100_000  # weights per projection that decide between scales; all of them are then encoded


@dataclass(frozen=True)
class WeightOptions:
    """How weights are rounded: the strategy, `num_weight_bits`, and for "percentile" the percentile of |w| that must fit."""

    strategy: Strategy
    bits: int
    percentile: float


@dataclass(frozen=True)
class Weights:
    """Weights of a projection. values: any shape, in units of the folded program; payload: largest of its source's spikes."""

    name: str
    values: Floats
    payload: int = 1


@dataclass(frozen=True)
class Encoded:
    """Weights as stored. mantissas: integers as float64, shaped as the weights; w is about mantissa * 2^exponent / scale.

    clipped: how many lie beyond the range (by more than rounding). error: sum of squared errors of w.
    """

    mantissas: Floats
    exponent: int
    mode: Mode
    bits: int
    clipped: int
    error: float

    def synapse(self) -> LoihiSynapse:
        """The parameters of the projection."""
        return LoihiSynapse(self.exponent, self.bits, self.mode)

    @property
    def spare(self) -> int:
        """Low bits of every mantissa that do not exist: so far the exponent can be negative without rounding any sum."""
        return 8 - self.bits + (self.mode == "mixed")

    def shifted(self, octaves: int) -> Encoded:
        """The same for a scale larger by 2^octaves."""
        return replace(self, exponent=self.exponent + octaves)


def grid(mode: Mode, bits: int) -> tuple[int, int, int]:
    """(step, lowest, highest) of the mantissas of a sign mode with 2..8 `num_weight_bits`, as Lava's Dense truncates them."""
    step = 1 << (8 - bits + (mode == "mixed"))
    top = 256 - step
    return {"mixed": (step, -256, top), "excitatory": (step, 0, top), "inhibitory": (step, -top, 0)}[mode]


def encode(values: Floats, scale: float, exponent: int, mode: Mode, bits: int) -> Encoded:
    """Round to the grid at this scale and exponent."""
    step, low, high = grid(mode, bits)
    wanted = values * (scale * 2.0**-exponent / step)
    steps = np.clip(np.rint(wanted), low // step, high // step)
    off = wanted - steps
    clipped = int(np.count_nonzero(np.abs(off) > 0.5))
    unit = step * 2.0**exponent / scale
    return Encoded(steps * step + 0.0, exponent, mode, bits, clipped, float(np.dot(off.ravel(), off.ravel())) * unit**2)


def best(values: Floats, scale: float, options: WeightOptions) -> Encoded:
    """The exponent and sign mode for a given scale, by the strategy ("calibrate" starts from least squared error)."""
    kept, weigh = _kept(values, options), options.strategy in ("mse", "calibrate")
    choices = []
    for mode in MODES:
        need = _need(kept, mode, options.bits, clip=weigh)
        if need is None:
            continue  # this mode has not the signs the weights have
        lossless = int(np.ceil(np.log2(need * scale) - 1e-12)) if need else 0
        clips = CLIPS if weigh and need else 0
        choices += [encode(values, scale, lossless - k, mode, options.bits) for k in range(clips + 1)]
    return min(choices, key=lambda x: x.error)


def full_range(weights: Sequence[Weights], options: WeightOptions) -> float | None:
    """The scale at which the largest weight of the population just fits exponent 0; None where all weights are 0."""
    needs = [min(x for m in MODES if (x := _need(_kept(w.values, options), m, options.bits)) is not None) for w in weights]
    largest = max(needs, default=0.0)
    return 1.0 / largest if largest > 0 else None


def encode_all(weights: Sequence[Weights], options: WeightOptions) -> tuple[float, dict[str, Encoded]] | None:
    """(scale, encoded weights by name), the largest projection at exponent 0 or little below; None where all weights are 0.

    One scale for all weights onto a population. "max" and "percentile" give the largest weight the whole range; "mse" tries
    the scales of an octave for the least squared error, weighted by the payloads.
    """
    scale = full_range(weights, options)
    if scale is None:
        return None
    if options.strategy in ("mse", "calibrate"):
        scale = min(sweep(scale), key=lambda x: squared_error(weights, x, options))
    return scale, encode_at(weights, scale, options)


def encode_at(weights: Sequence[Weights], scale: float, options: WeightOptions) -> dict[str, Encoded]:
    """Every projection's best encoding at a scale."""
    return {w.name: best(w.values, scale, options) for w in weights}


def sweep(scale: float, count: int = SWEEP) -> list[float]:
    """Scales of the octave from `scale` upwards."""
    return [scale * 2.0 ** (k / count) for k in range(count)]


def squared_error(weights: Sequence[Weights], scale: float, options: WeightOptions) -> float:
    """The error of the inputs' weights, by a sample of them."""
    return sum(best(_sampled(w.values), scale, options).error * w.payload**2 * _ratio(w.values) for w in weights)


# -------------------------------------------------------------------------------------------------------------- inside


def _kept(values: Floats, options: WeightOptions) -> Floats:
    """The weights that must fit: all, or those cut at the percentile of |w| among the non-zero ones."""
    if options.strategy != "percentile":
        return values
    sizes = np.abs(values[values != 0])
    if not sizes.size:
        return values
    limit = float(np.percentile(sizes, options.percentile))
    return np.clip(values, -limit, limit)


def _need(values: Floats, mode: Mode, bits: int, clip: bool = False) -> float | None:
    """The largest weight in units of the mode's range; None where it lacks a sign the weights have, unless it may clip."""
    _, low, high = grid(mode, bits)
    largest, lowest = float(values.max(initial=0.0)), float(values.min(initial=0.0))
    if not clip and ((lowest < 0 and low == 0) or (largest > 0 and high == 0)):
        return None
    return max(largest / high if high else 0.0, lowest / low if low else 0.0)


def _sampled(values: Floats) -> Floats:
    flat = values.ravel()
    return flat[:: max(1, flat.size // SAMPLE)]


def _ratio(values: Floats) -> float:
    return values.size / max(_sampled(values).size, 1)

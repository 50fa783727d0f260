"""`grid`: put the weights of each population on a power-of-two grid, so that sums are exact and their order never matters.

Every weight and bias onto a population becomes m * 2**e with an integer m of `mantissa_bits` and one e per population. The
largest sum any neuron can receive in one step is proven from all synapses, biases and payloads; it decides between 32-bit
and 64-bit accumulators, and must stay below 2**53 so that float64 backends add the same numbers exactly.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.errors import CompileError, PrecisionWarning, callers_level
from neurocomp.ir.network import Change, Grid, Network, Population, Projection
from neurocomp.ir.passes.base import Pass
from neurocomp.ir.patterns import Drawn
from neurocomp.ir.program import DTYPES

EXACT_FLOAT = 2**53
MOST_BITS = 31
WORTH_A_WARNING = 0.01  # share of weights lost; training leaves some that are nearly 0
# By arithmetic, what keeps every grid value, and every sum of them, a normal number of the states' type: the least exponent of
# the grid, and the one that sums stay below
EXPONENTS = {"float": (-1000, 1023), "float32": (-126, 127)}


@dataclass(frozen=True)
class SnapToGrid(Pass):
    """Round weights and biases to the grid. mantissa_bits: 2..31 including the sign; 24 is float32's precision."""

    name: ClassVar[str] = "grid"
    mantissa_bits: int = 24

    def __call__(self, net: Network) -> Network:
        if not 2 <= self.mantissa_bits <= 31:
            raise CompileError("grid", f"mantissa_bits = {self.mantissa_bits} is outside 2..31")
        nodes, projections, changes = {}, {}, []
        for population in net.populations.values():
            arithmetic = None if population.program is None else population.program.form.arithmetic
            if arithmetic not in EXPONENTS:
                continue
            least, top = EXPONENTS[arithmetic]
            incoming = net.incoming(population.name)
            exponent = _exponent(population, incoming, self.mantissa_bits, least)
            kind = DTYPES[arithmetic].__name__
            ended = kind if exponent == least else ""
            moved = 0.0
            for projection in incoming:
                if projection.loihi is not None:
                    raise CompileError(
                        projection.name,
                        f"has a LoihiSynapse, but '{population.name}' is float arithmetic, where it means nothing; drop loihi= "
                        "or use Loihi's arithmetic",
                    )
                if projection.plasticity is not None:
                    continue  # they are snapped whenever they are used
                if isinstance(projection.connectivity, Drawn):
                    snapped_drawn = projection.connectivity.snapped(exponent)
                    projections[projection.name] = replace(projection, connectivity=snapped_drawn)
                    changes += _lost(projection, snapped_drawn.piece(0).weights, self.mantissa_bits, ended)
                    moved = max(moved, 2.0 ** (exponent - 1))
                    continue
                weights = _snap(projection.connectivity.weights, exponent)
                changes += _lost(projection, weights, self.mantissa_bits, ended)
                moved = max(moved, _largest(weights - projection.connectivity.weights))
                snapped = projection.connectivity.with_weights(weights, None)
                projections[projection.name] = replace(projection, connectivity=snapped)
            bias = _snap(population.bias_vector(), exponent)
            snapped_population = replace(population, bias=bias)
            bound = prove_bound(net, snapped_population, [projections.get(x.name, x) for x in incoming], exponent)
            if exponent + bound.bit_length() > top:
                cure = "use smaller weights" + (", or arithmetic='float'" if kind == "float32" else "")
                raise CompileError(
                    population.name,
                    f"its inputs can sum to {bound} units of 2^{exponent}, beyond {kind}'s range of 2^{top}; {cure}",
                )
            nodes[population.name] = replace(snapped_population, grid=Grid(exponent, bound))
            why = f"sums stay exact: proven bound {bound} < 2^{bound.bit_length()}, int{Grid(exponent, bound).bits} accumulator"
            after = f"multiples of 2^{exponent}, moved by at most {moved:.3g}"
            changes.append(Change(self.name, population.name, "input weights and bias", after, why))
        return net.with_changes(nodes, projections, changes)


def _lost(projection: Projection, weights: NDArray[np.float64], bits: int, ended: str) -> list[Change]:
    """A warning and a record where non-zero weights became 0. ended: the type whose range has ended the grid, or ""."""
    drawn = isinstance(projection.connectivity, Drawn)  # then one piece tells for all
    given = (
        projection.connectivity.piece(0).weights
        if isinstance(projection.connectivity, Drawn)
        else projection.connectivity.weights
    )
    lost = int(np.sum((weights == 0) & (given != 0)))
    if lost == 0:
        return []
    count = f"{lost} of {'the first ' if drawn else ''}{int(np.sum(given != 0))} non-zero weights"
    why = f"they are below half a unit of the grid, which {bits} bits put at 1/2^{bits - 1} of the largest weight or bias"
    cure = "raise mantissa_bits (up to 31), or keep such different inputs in populations of their own"
    if ended:
        why, cure = f"they are below the normal numbers of {ended}", "use smaller units, such as mV or pA, for larger numbers"
    helped = np.sum((given != 0) & (weights == 0) & (np.abs(given) >= np.abs(given).max() * 2.0**-MOST_BITS))
    if not ended and helped < WORTH_A_WARNING * np.sum(given != 0):  # tiny ones no bits would keep are not worth a word
        return [Change("grid", projection.name, count, "0", why)]
    warnings.warn(
        f"projection '{projection.name}': {count} became 0: {why}; {cure}", PrecisionWarning, stacklevel=callers_level()
    )
    return [Change("grid", projection.name, count, "0", why)]


def prove_bound(net: Network, population: Population, incoming: list[Projection], exponent: int) -> int:
    """The largest |sum| in grid units any neuron can receive in a step; raises `CompileError` where float64 is too narrow."""
    totals = np.zeros((len(population.neuron.model.inputs), population.size))
    totals[0] = np.abs(np.ldexp(population.bias_vector(), -exponent))
    for projection in incoming:
        payload = net.node(projection.pre).max_payload
        mantissas = np.ceil(np.ldexp(projection.largest_weights, -exponent))
        totals[population.slot(projection.receptor)] += payload * projection.connectivity.fan_in(mantissas)
    bound = int(totals.max(initial=0))
    if bound >= EXACT_FLOAT:
        worst = int(np.argmax(totals)) % population.size
        raise CompileError(
            population.name,
            f"the inputs of neuron {worst} can sum to {bound} grid units, beyond 2^53, so sums would not be exact; use fewer "
            "mantissa_bits (16 is one keyword away) or a smaller max_payload",
        )
    return bound


def _exponent(population: Population, incoming: list[Projection], bits: int, least: int) -> int:
    largest = max([_largest(population.bias_vector()), *(_largest(x.largest_weights) for x in incoming)])
    if largest == 0.0:
        return 0
    return max(int(np.frexp(largest)[1]) - (bits - 1), least)


def _snap(values: NDArray[np.float64], exponent: int) -> NDArray[np.float64]:
    """Nearest multiple of 2**exponent, ties to even."""
    return np.asarray(np.ldexp(np.rint(np.ldexp(values, -exponent)), exponent) + 0.0, np.float64)


def _largest(values: Any) -> float:
    return float(np.abs(values).max(initial=0.0))

"""Coefficients computed the same on every machine: mpmath or whole numbers of Python, rounded once to float64.

libm and NumPy's vector code differ in the last bit between machines; a coefficient that differs would change spikes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

_PRECISION = 160  # bits; far beyond what one rounding to 53 bits needs
_TOGETHER = 1000  # matrices that are worked on at once
_REMEMBERED = 64

Array = NDArray[np.float64]


def exp(x: Any) -> Array:
    """The exponential, correctly rounded. x: array of any shape, no unit."""
    return _each(mpmath.exp, x)


def _exprel(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.mpf(1) if x == 0 else mpmath.expm1(x) / x


def _sigmoid(x: mpmath.mpf) -> mpmath.mpf:
    return 1 / (1 + mpmath.exp(-x))


def _power(base: Any, exponent: Any) -> Array:
    """Base ** exponent, correctly rounded; NaN where that is no real number."""
    bases, exponents = np.broadcast_arrays(np.asarray(base, np.float64), np.asarray(exponent, np.float64))
    result = np.empty(bases.shape)
    with mpmath.workprec(_PRECISION):
        for index in np.ndindex(bases.shape):
            value = mpmath.power(mpmath.mpf(float(bases[index])), mpmath.mpf(float(exponents[index])))
            result[index] = float(value) if isinstance(value, mpmath.mpf) else np.nan
    return result


def relative_growth(rate: Any, dt: float) -> Array:
    """(exp(rate * dt) - 1) / rate in seconds, and dt where rate is 0. rate: array (1/s), dt: s."""

    def one(value: mpmath.mpf) -> mpmath.mpf:
        return mpmath.mpf(dt) if value == 0 else mpmath.expm1(value * mpmath.mpf(dt)) / value

    return _each(one, rate)


def propagator(system: list[list[Any]], dt: float) -> Array:
    """exp(dt * M) for the system `dx/dt = M [x, a, 1]`, per neuron.

    system: rows of n coefficients for the states, one for the input and one constant; each a scalar or an (m,) array in
    1/s. Returns (n, n + 2) or (n, n + 2, m): how the new states follow from the old ones, the input and the constant.
    """
    rows, columns = len(system), len(system[0])
    entries = np.broadcast_arrays(*(np.asarray(x, np.float64) for row in system for x in row))
    flat = np.stack([entry.reshape(-1) for entry in entries], axis=1)
    unique, inverse = np.unique(flat, axis=0, return_inverse=True)
    matrices = np.zeros((len(unique), columns, columns))
    matrices[:, :rows] = unique.reshape(-1, rows, columns)
    chunks = range(0, len(unique), _TOGETHER)
    parts = (matrices[k : k + _TOGETHER] for k in chunks)
    results = np.concatenate([_exponential(x.tobytes(), len(x), dt)[:, :rows] for x in parts])
    per_neuron = np.moveaxis(results[inverse.reshape(-1)], 0, -1)
    return per_neuron.reshape(rows, columns, *entries[0].shape)


@lru_cache(_REMEMBERED)
def _exponential(stored: bytes, count: int, dt: float) -> Array:
    """(count, n, n) exp(dt * M) of each matrix, correctly rounded.

    By Taylor's series and squaring of whole numbers times 2**-bits: Python's integers in NumPy's loops take a fraction of the
    time of mpmath's matrices. A network is often compiled for several targets, so the last results are remembered.
    """
    matrices = np.frombuffer(stored)
    matrices = matrices.reshape(count, *[math.isqrt(len(matrices) // count)] * 2)
    exact = [Fraction(x) * Fraction(dt) for x in matrices.ravel().tolist()]
    smallest = min((abs(x) for x in exact if x), default=Fraction(1))
    largest = max(abs(x) for x in exact) * matrices.shape[-1]
    halvings = max(0, math.frexp(float(largest))[1]) + 8
    bits = 300 + 8 * halvings + 2 * max(0, -math.frexp(float(smallest))[1])
    one = np.zeros(matrices.shape[-2:], object)
    np.fill_diagonal(one, 1 << bits)
    scaled = np.array([(x.numerator << bits) // (x.denominator << halvings) for x in exact], object).reshape(matrices.shape)
    term = result = one + np.zeros(matrices.shape, object)
    for k in range(1, bits):
        term = ((term @ scaled) >> bits) // k
        if not np.any((term > 0) | (term < -1)):  # only what rounding down leaves
            break
        result = result + term
    for _ in range(halvings):
        result = (result @ result) >> bits
    values = np.array([value / (1 << bits) for value in result.ravel()]).reshape(matrices.shape)
    values.setflags(write=False)
    return values


def _each(function: Callable[[Any], Any], x: Any) -> Array:
    """Apply to each distinct value once: populations have many neurons and few distinct parameters."""
    values = np.asarray(x, np.float64)
    unique, inverse = np.unique(values, return_inverse=True)
    with mpmath.workprec(_PRECISION):
        results = np.array([float(function(mpmath.mpf(float(value)))) for value in unique])
    return results[inverse].reshape(values.shape)


def _of_one(function: Callable[[Any], Any]) -> Callable[[Any], Array]:
    def apply(x: Any) -> Array:
        return _each(function, x)

    return apply


def _log(x: mpmath.mpf) -> Any:
    return mpmath.log(x) if x > 0 else (-mpmath.inf if x == 0 else mpmath.nan)


# The functions of the equation language, for expressions of parameters
FUNCTIONS: dict[str, Callable[..., Array]] = {
    "exp": exp,
    "expm1": _of_one(mpmath.expm1),
    "exprel": _of_one(_exprel),
    "log": _of_one(_log),
    "log1p": _of_one(lambda x: _log(1 + x)),
    "tanh": _of_one(mpmath.tanh),
    "sigmoid": _of_one(_sigmoid),
    "sin": _of_one(mpmath.sin),
    "cos": _of_one(mpmath.cos),
    "pow": _power,
}

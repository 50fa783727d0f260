"""Coefficients computed the same on every machine: mpmath (pure Python, arbitrary precision), rounded once to float64.

libm and NumPy's vector code differ in the last bit between machines; a coefficient that differs would change spikes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

_PRECISION = 160  # bits; far beyond what one rounding to 53 bits needs

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
    results = np.empty((len(unique), rows, columns))
    with mpmath.workprec(_PRECISION):
        for k, values in enumerate(unique):
            matrix = mpmath.zeros(columns, columns)
            for index, value in enumerate(values):
                matrix[index // columns, index % columns] = mpmath.mpf(float(value)) * mpmath.mpf(dt)
            full = mpmath.expm(matrix)
            for row in range(rows):
                for column in range(columns):
                    results[k, row, column] = float(full[row, column])
    per_neuron = np.moveaxis(results[inverse.reshape(-1)], 0, -1)
    return per_neuron.reshape(rows, columns, *entries[0].shape)


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

"""Synapses as the kernel wants them: integers, all-to-all or as convolutions; listed ones are in `tables.py`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.connectivity import Dense
from neurocomp.ir.convolution import Conv2d
from neurocomp.ir.network import Population, Projection
from neurocomp.ir.patterns import DrawnDelays


def grid_units(values: NDArray[np.float64], exponent: int) -> NDArray[np.int32]:
    """Values on the grid as integers."""
    return np.ldexp(values, -exponent).astype(np.int32)


def resting_input(population: Population, exponent: int) -> NDArray[np.int64]:
    """(inputs * size,) what each input of each neuron is without any spike, in grid units: the bias on the first."""
    result = np.zeros((len(population.neuron.model.inputs), population.size), np.int64)
    result[0] = np.ldexp(population.bias_vector(), -exponent)
    return result.ravel()


def dense_rows(connectivity: Dense, exponent: int) -> NDArray[np.int32]:
    """(columns, n_post) weights in grid units, one contiguous row per source neuron or column."""
    return np.ascontiguousarray(grid_units(connectivity.weights, exponent).T)


def conv_weights(connectivity: Conv2d, exponent: int) -> NDArray[np.int32]:
    """(channels in, kernel height, kernel width, channels out / groups) weights in grid units."""
    c_out, per_group, *kernel = connectivity.weights.shape
    grouped = grid_units(connectivity.weights, exponent).reshape(connectivity.groups, -1, per_group, *kernel)
    moved = np.moveaxis(grouped, 1, -1)  # (groups, in per group, height, width, out per group)
    return np.ascontiguousarray(moved.reshape(-1, *kernel, c_out // connectivity.groups))


def conv_taps(connectivity: Conv2d, axis: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(offsets, pairs): the (kernel index, output coordinate) pairs of every input coordinate along an axis."""
    taps = connectivity.taps(axis)
    first = np.cumsum([0, *map(len, taps)]).astype(np.int32)
    return first, np.array([pair for pairs in taps for pair in pairs], np.int32).reshape(-1, 2)


def channel_plane(projections: Sequence[Projection]) -> int:
    """Threads own ranges of a population in multiples of this: 16, or whole channels where convolutions arrive."""
    planes = [int(np.prod(x.connectivity.output_shape[1:])) for x in projections if isinstance(x.connectivity, Conv2d)]
    return math.lcm(*planes) if planes else 16


def delays_of(projection: Projection) -> NDArray[np.int64]:
    """The distinct delays, ascending; for drawn ones all that are possible."""
    if isinstance(projection.delay, DrawnDelays):
        low, high = projection.delay.span
        return np.arange(low, high + 1)
    return np.unique(np.asarray(projection.delay, np.int64))

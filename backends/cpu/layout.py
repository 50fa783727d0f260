"""Synapses as the kernel wants them: integers, rows by source neuron, each row by delay, then target, split by thread."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.connectivity import Dense
from neurocomp.ir.network import Projection

Block = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]


def grid_units(values: NDArray[np.float64], exponent: int) -> NDArray[np.int32]:
    """Values on the grid as integers."""
    return np.ldexp(values, -exponent).astype(np.int32)


def is_dense(projection: Projection) -> bool:
    """Whether the projection keeps its matrix: all to all, with one delay."""
    return isinstance(projection.connectivity, Dense) and not np.ndim(projection.delay)


def dense_rows(projection: Projection, exponent: int) -> NDArray[np.int32]:
    """(n_pre, n_post) weights in grid units, one contiguous row per source neuron."""
    return np.ascontiguousarray(grid_units(projection.connectivity.weights, exponent).T)


def delays_of(projection: Projection) -> NDArray[np.int64]:
    """The distinct delays, ascending."""
    return np.unique(np.asarray(projection.delay, np.int64))


def sparse_blocks(projection: Projection, exponent: int, bounds: Sequence[int]) -> list[Block]:
    """Per thread (segments, targets, values); see `Engine.add_sparse`."""
    connectivity = projection.connectivity
    pre, post = connectivity.synapses()
    values = grid_units(connectivity.weights, exponent).ravel()
    delays = delays_of(projection)
    slot = np.searchsorted(delays, np.broadcast_to(projection.delay, connectivity.weights.shape).ravel())
    row = pre * len(delays) + slot
    order = np.lexsort((post, row))
    row, post, values = row[order], post[order].astype(np.int32), values[order]
    rows = connectivity.n_pre * len(delays)
    blocks: list[Block] = []
    for low, high in pairwise(bounds):
        mine = (post >= low) & (post < high) if len(bounds) > 2 else slice(None)
        segments = np.zeros(rows + 1, np.int64)
        np.cumsum(np.bincount(row[mine], minlength=rows), out=segments[1:])
        blocks.append((segments, np.ascontiguousarray(post[mine]), np.ascontiguousarray(values[mine])))
    return blocks

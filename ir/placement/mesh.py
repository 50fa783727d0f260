"""Groups of neurons onto the cores of the mesh: along a snake through the tiles first, then by swapping cores.

The quadratic assignment is improved by its best pairwise swap until none is left, or a number of swaps that depends
only on the number of cores is used up, so the result depends on nothing but the network.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.chips import Chip
from neurocomp.ir.placement.result import global_tile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WORK = 1.5e8  # matrix elements the improvement may go through
LEAST_SWAPS = 32  # fewer would not be worth their start: thousands of cores stay in the order of the snake
SWAPS_PER_CORE = 20


def assign(chip: Chip, chips: int, between: Floats) -> Ints:
    """(groups,) number of each group's core, counted over `chips` chips. between: (groups, groups) messages.

    As few chips as the groups need are used.
    """
    groups = len(between)
    used = -(-groups // chip.cores)
    cores = np.concatenate([number * chip.cores + snake(chip) for number in range(used)])
    if _budget(len(cores)) < LEAST_SWAPS:
        return cores[:groups]
    where = np.stack(global_tile(chip, chips, cores // chip.cores, chip.tile(cores % chip.cores)), axis=1)
    distance = np.abs(where[:, None] - where).sum(axis=2).astype(np.float64)
    weights = np.zeros((len(cores), len(cores)))
    weights[:groups, :groups] = between + between.T
    np.fill_diagonal(weights, 0.0)
    return cores[improved(weights, distance)[:groups]]


def snake(chip: Chip) -> Ints:
    """(cores,) core numbers along a path through neighbouring tiles: even rows left to right, odd rows right to left."""
    numbers = np.arange(chip.cores)
    x, y = chip.tile(numbers)
    along = np.where(y % 2, chip.columns - 1 - x, x)
    return np.lexsort((numbers, along, y)).astype(np.int64)


def improved(weights: Floats, distance: Floats) -> Ints:
    """(n,) place of each of n groups, from place k for group k; the best swap is made again and again.

    weights: (n, n) symmetric traffic, zero on the diagonal. distance: (n, n) between places.
    """
    number = len(weights)
    place = np.arange(number)
    reach = weights @ distance  # [g, p]: the hops of group g's messages if it were at place p
    for _ in range(_budget(number)):
        here = reach[:, place]  # [g, h]: group g at the place of group h
        change = here - np.diag(here)[:, None]
        gain = change + change.T + 2 * weights * distance[np.ix_(place, place)]
        first, second = divmod(int(gain.argmin()), number)
        if gain[first, second] >= -1e-9 * max(float(np.abs(reach).max()), 1e-300):
            break
        a, b = place[first], place[second]
        reach += np.outer(weights[:, first] - weights[:, second], distance[b] - distance[a])
        place[first], place[second] = b, a
    return place


def _budget(cores: int) -> int:
    """How many swaps may be made."""
    return int(min(SWAPS_PER_CORE * cores, WORK / cores**2))

"""Spikes of a population in two runs: kept, shifted by a few steps, added, removed; where they part; how rates agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.events import Events
from neurocomp.recording import Recording


@dataclass(frozen=True)
class FirstDifference:
    """The earliest step (over all samples) at which a population's spikes differ; fires: which side spikes there."""

    sample: int
    step: int
    neuron: int
    fires: str


@dataclass(frozen=True)
class PopulationSpikes:
    """Spikes of a population (or of an input) on both sides, summed over samples.

    same: equal step. shifted: paired with one within the tolerance. removed: only in float; added: only in integers.
    correlation: Pearson's, of spike counts per neuron and sample; None where a side is constant. rates: (2, n) mean spikes
    per step.
    """

    name: str
    neurons: int
    same: int
    shifted: int
    removed: int
    added: int
    first: FirstDifference | None
    correlation: float | None
    rates: NDArray[np.float64] = field(repr=False, compare=False)

    @property
    def float_spikes(self) -> int:
        """Spikes in float arithmetic."""
        return self.same + self.shifted + self.removed

    @property
    def loihi_spikes(self) -> int:
        """Spikes in Loihi's integers."""
        return self.same + self.shifted + self.added

    @property
    def changed(self) -> float:
        """Spikes shifted, removed or added, per float spike (0 where nothing ever spikes)."""
        return (self.shifted + self.removed + self.added) / max(self.float_spikes, 1)


def spike_changes(
    name: str, first: Sequence[Recording], second: Sequence[Recording], steps: int, tolerance: int
) -> PopulationSpikes:
    """The spikes of a population in recordings of the same samples. tolerance: steps within which spikes are paired."""
    pairs = [(one.spikes[name], other.spikes[name]) for one, other in zip(first, second, strict=True)]
    size = pairs[0][0].size
    one, other = (np.concatenate([_keys(x[side], k, steps) for k, x in enumerate(pairs)]) for side in (0, 1))
    same = np.intersect1d(one, other, assume_unique=True)
    only = np.setdiff1d(one, same, assume_unique=True), np.setdiff1d(other, same, assume_unique=True)
    shifted = _matched(only[0].tolist(), only[1].tolist(), steps, tolerance)
    counts = np.array([[x[side].counts().ravel() for x in pairs] for side in (0, 1)], np.float64)
    return PopulationSpikes(
        name,
        size,
        len(same),
        shifted,
        len(only[0]) - shifted,
        len(only[1]) - shifted,
        _first(only, size, steps),
        _correlation(counts),
        counts.mean(axis=1) / steps,
    )


def _keys(events: Events, sample: int, steps: int) -> NDArray[np.int64]:
    """One number per spike: (sample, neuron, step) in this order."""
    return (sample * events.size + events.ids) * steps + events.times


def _matched(one: list[int], other: list[int], steps: int, tolerance: int) -> int:
    """How many spikes can be paired within the tolerance, neuron by neuron; both sorted. Earliest first is optimal."""
    one, other = sorted(one), sorted(other)
    i = j = count = 0
    while i < len(one) and j < len(other):
        if one[i] // steps == other[j] // steps and abs(one[i] - other[j]) <= tolerance:
            i, j, count = i + 1, j + 1, count + 1
        elif one[i] < other[j]:
            i += 1
        else:
            j += 1
    return count


def _first(only: tuple[NDArray[np.int64], NDArray[np.int64]], size: int, steps: int) -> FirstDifference | None:
    places = []
    for keys, side in zip(only, ("float", "loihi"), strict=True):
        if len(keys):
            rows, times = np.divmod(keys, steps)
            k = int(np.lexsort((rows, times))[0])
            places.append((int(times[k]), int(rows[k]), side))
    if not places:
        return None
    step, row, side = min(places)
    return FirstDifference(row // size, step, row % size, side)


def _correlation(counts: NDArray[np.float64]) -> float | None:
    one, other = counts.reshape(2, -1)
    if one.std() == 0 or other.std() == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])

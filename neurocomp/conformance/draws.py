"""Where the decisions behind a random network come from: whole numbers, one after another, from NumPy or from Hypothesis.

Everything a random network is made of goes through `Draws.whole`. So the same code builds networks quickly from a seed, and
from a Hypothesis strategy, which can then make a failing network smaller; and the list of numbers taken says all about one.
The smaller the numbers, the simpler the network: features are absent, choices the first, arrays constant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

T = TypeVar("T")
FINE = 2**16  # steps of a random fraction
SEEDS = 2**32 - 1
COARSE = 8  # steps of every second array: equal numbers, and sums that meet a threshold exactly


class Random(Protocol):
    """What random cases ask for: `numpy.random.Generator` has it, and `Draws`."""

    def integers(self, low: int, high: int | None = None, size: Any = None) -> Any:
        """Whole numbers in low..high - 1, or 0..low - 1."""

    def random(self, size: Any = None) -> Any:
        """Numbers in [0, 1)."""

    def uniform(self, low: float, high: float, size: Any = None) -> Any:
        """Numbers in [low, high)."""

    def normal(self, loc: float, scale: float, size: Any = None) -> Any:
        """Normal numbers."""

    def choice(self, a: Any) -> Any:
        """One of them."""


class Draws:
    """Random numbers by NumPy's names, all made from `whole(low, high)`, a whole number in low..high; `taken` has them all."""

    def __init__(self, whole: Callable[[int, int], int]) -> None:
        self._whole = whole
        self.taken: list[int] = []

    @staticmethod
    def seeded(seed: int) -> Draws:
        """Numbers that depend on the seed only."""
        rng = np.random.default_rng(seed)
        return Draws(lambda low, high: int(rng.integers(low, high + 1)))

    @staticmethod
    def listed(numbers: Sequence[int]) -> Draws:
        """These numbers, as another one's `taken` had them."""
        left = iter(numbers)
        return Draws(lambda low, high: min(max(next(left, low), low), high))

    def whole(self, low: int, high: int) -> int:
        """A whole number in low..high; smaller is simpler."""
        self.taken.append(self._whole(low, high))
        return self.taken[-1]

    def chance(self, p: float) -> bool:
        """Whether something of probability p happens."""
        return bool(self.random() < p)

    def several(self, most: int, p: float) -> Iterator[int]:
        """0, 1, ... as long as something of probability p happens; at most so many. One can be left out without the others."""
        yield 0
        for k in range(1, most):
            if not self.chance(p):
                return
            yield k

    def among(self, options: Sequence[T]) -> T:
        """One of them; the first is the simplest."""
        return options[self.whole(0, len(options) - 1)]

    def choice(self, a: Any) -> Any:
        """As `among`."""
        return self.among(list(a))

    def integers(self, low: int, high: int | None = None, size: Any = None) -> Any:
        """Whole numbers in low..high - 1, or 0..low - 1."""
        if high is None:
            low, high = 0, low
        if size is None:
            return self.whole(low, high - 1)
        rng, simple = self._array()
        return np.full(size, (low + high) // 2) if simple else rng.integers(low, high, size)

    def random(self, size: Any = None) -> Any:
        """Numbers in [0, 1); a single one is simpler the larger it is, so that what has a small probability is left out."""
        if size is None:
            return 1.0 - (self.whole(0, FINE - 1) + 1) / FINE
        rng, simple = self._array()
        return np.zeros(size) if simple else rng.random(size)

    def uniform(self, low: float, high: float, size: Any = None) -> Any:
        """Numbers in [low, high]."""
        if size is None:
            return low + (high - low) * (self.whole(0, FINE) / FINE)
        rng, simple = self._array()
        if simple:
            return np.full(size, (low + high) / 2)
        values = rng.random(size)
        return low + (high - low) * (np.rint(values * COARSE) / COARSE if rng.random() < 0.5 else values)

    def normal(self, loc: float, scale: float, size: Any = None) -> Any:
        """Normal numbers."""
        rng, simple = self._array()
        values = np.full(() if size is None else size, 0.5) if simple else rng.normal(0.0, 1.0, size)
        return loc + scale * (np.rint(values * COARSE) / COARSE if rng.random() < 0.5 else values)

    def _array(self) -> tuple[np.random.Generator, bool]:
        """A generator for one array, and whether all its numbers are to be the same."""
        seed = self.whole(0, SEEDS)
        return np.random.default_rng(seed), seed == 0

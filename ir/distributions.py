"""Parameters and initial values that differ from neuron to neuron by chance: drawn once, when the population is made.

The numbers depend on the network's seed, the population, what they are for and the distribution's own seed, and on nothing
else; the network keeps them as arrays, so files and all backends have the same.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.errors import ModelError

FAR = 10.0  # standard deviations
MAX_TRIES = 1000  # of drawing a truncated normal again


@dataclass(frozen=True)
class Uniform:
    """Values uniform in [low, high), in the parameter's SI unit. seed: another one gives other values."""

    low: float
    high: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ModelError(f"Uniform({self.low}, {self.high}): needs finite low <= high")

    @property
    def span(self) -> tuple[float, float]:
        """What no value is below or above."""
        return self.low, self.high

    def draw(self, stream: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """An array of the shape. stream: what it is for; equal streams give equal values."""
        return self.low + (self.high - self.low) * generator(stream, self.seed).random(shape)


@dataclass(frozen=True)
class Normal:
    """Normal values, in the parameter's SI unit; those outside [low, high] are drawn again. seed: another one gives others."""

    mean: float
    std: float
    low: float = -math.inf
    high: float = math.inf
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std >= 0):
            raise ModelError(f"Normal({self.mean}, {self.std}): needs a finite mean and a finite std >= 0")
        if not self.low < self.high:  # also where one is not a number
            raise ModelError(f"Normal({self.mean}, {self.std}): needs low < high, not low = {self.low} and high = {self.high}")

    @property
    def span(self) -> tuple[float, float]:
        """What no value is below or above, but for one in 10^23."""
        return max(self.low, self.mean - FAR * self.std), min(self.high, self.mean + FAR * self.std)

    def draw(self, stream: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """An array of the shape. stream: what it is for; equal streams give equal values."""
        rng = generator(stream, self.seed)
        values = rng.normal(self.mean, self.std, shape)
        for _ in range(MAX_TRIES):
            outside = (values < self.low) | (values > self.high)
            if not outside.any():
                return values
            values[outside] = rng.normal(self.mean, self.std, int(outside.sum()))
        raise ModelError(f"{self}: almost no value falls within [{self.low}, {self.high}]; widen it")


Distribution = Uniform | Normal


def generator(stream: str, seed: int) -> np.random.Generator:
    """Random numbers that depend on nothing but this text and number."""
    key = int.from_bytes(hashlib.sha256(f"{seed}/{stream}".encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))

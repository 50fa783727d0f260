"""Random connectivity: a rule instead of a list, so that 300 million synapses need no memory until a kernel lays them out.

The synapses are a function of the network's seed and the projection's name alone. They come in pieces, each from a generator of
its own, so every backend gets the same ones, in the same order, as often as it asks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.connectivity import Connectivity, Floats, Ints, Sparse
from neurocomp.ir.distributions import Distribution, generator
from neurocomp.ir.errors import ModelError

PIECE = 1 << 18  # synapses of a piece, about; changing it changes all random networks
Ends = tuple[NDArray[Any], NDArray[Any]]
Range = tuple[int, int]


@dataclass(frozen=True)
class Pattern:
    """A rule for synapses. weights: one for all, or a distribution. Self-connections are synapses as others are."""

    rows: ClassVar[str] = "pre"  # which end the pieces are ranges of

    def expected(self, n_pre: int, n_post: int) -> float:
        """How many synapses there will be, on average."""
        raise NotImplementedError

    def counts(self, ranges: list[Range], shape: tuple[int, int], stream: str) -> list[int]:
        """How many synapses each piece has, where the rule decides that for all pieces together."""
        return [0] * len(ranges)

    def ends(self, rng: np.random.Generator, rows: Range, shape: tuple[int, int], count: int) -> Ends:
        """(pre, post) of the synapses of some sources (or targets). shape: (n_pre, n_post)."""
        raise NotImplementedError


@dataclass(frozen=True)
class FixedProbability(Pattern):
    """Every pair of a source and a target is connected with probability p, at most once (PyNN's FixedProbabilityConnector)."""

    p: float
    weights: float | Distribution = 1.0

    def __post_init__(self) -> None:
        _check_weights(self, self.weights)
        if not (isinstance(self.p, int | float) and 0 <= self.p <= 1):
            raise ModelError(f"FixedProbability: p = {self.p!r} is not a probability from 0 to 1")

    def expected(self, n_pre: int, n_post: int) -> float:
        return self.p * n_pre * n_post

    def ends(self, rng: np.random.Generator, rows: Range, shape: tuple[int, int], count: int) -> Ends:
        cells = (rows[1] - rows[0]) * shape[1]
        found: list[NDArray[np.int64]] = []
        last = -1
        while self.p > 0 and last < cells - 1:  # the next pair is a geometric number of pairs away
            mean = (cells - 1 - last) * self.p
            steps = rng.geometric(self.p, int(mean + 4 * math.sqrt(mean)) + 16)
            found.append(last + np.cumsum(np.minimum(steps, cells + 1)))
            last = int(found[-1][-1])
        at = np.concatenate(found) if found else np.zeros(0, np.int64)
        at = at[at < cells]
        return rows[0] + at // shape[1], at % shape[1]


@dataclass(frozen=True)
class _Numbered(Pattern):
    """A rule that says how many synapses there are."""

    number: int
    weights: float | Distribution = 1.0

    def __post_init__(self) -> None:
        _check_weights(self, self.weights)
        if not _is_whole(self.number, 0):
            raise ModelError(f"{type(self).__name__}: number = {self.number!r} is not a whole number of synapses")


@dataclass(frozen=True)
class FixedTotalNumber(_Numbered):
    """`number` synapses, each from and to a neuron drawn uniformly; a pair may have several (as in Potjans & Diesmann 2014)."""

    def expected(self, n_pre: int, n_post: int) -> float:
        return self.number

    def counts(self, ranges: list[Range], shape: tuple[int, int], stream: str) -> list[int]:
        shares = [(end - begin) / shape[0] for begin, end in ranges]
        return [int(x) for x in generator(f"{stream}/counts", 0).multinomial(self.number, shares)]

    def ends(self, rng: np.random.Generator, rows: Range, shape: tuple[int, int], count: int) -> Ends:
        post = rng.integers(0, shape[1], count, np.int32)
        return rng.integers(*rows, count, np.int32), post


@dataclass(frozen=True)
class FixedInDegree(_Numbered):
    """Every target has `number` synapses from sources drawn uniformly; a pair may have several (NEST's fixed_indegree)."""

    rows: ClassVar[str] = "post"

    def expected(self, n_pre: int, n_post: int) -> float:
        return self.number * n_post

    def ends(self, rng: np.random.Generator, rows: Range, shape: tuple[int, int], count: int) -> Ends:
        post = np.repeat(np.arange(*rows, dtype=np.int32), self.number)
        return rng.integers(0, shape[0], len(post), np.int32), post


@dataclass(frozen=True)
class FixedOutDegree(_Numbered):
    """Every source has `number` synapses to targets drawn uniformly; a pair may have several (NEST's fixed_outdegree)."""

    def expected(self, n_pre: int, n_post: int) -> float:
        return self.number * n_pre

    def ends(self, rng: np.random.Generator, rows: Range, shape: tuple[int, int], count: int) -> Ends:
        pre = np.repeat(np.arange(*rows, dtype=np.int32), self.number)
        return pre, rng.integers(0, shape[1], len(pre), np.int32)


PATTERNS = (FixedProbability, FixedTotalNumber, FixedInDegree, FixedOutDegree)


class Piece(NamedTuple):
    """Synapses: (k,) int32 sources and targets; weights (k,) or (1,) for all; delays in steps (k,), or None where undrawn."""

    pre: NDArray[np.int32]
    post: NDArray[np.int32]
    weights: Floats
    delays: NDArray[np.int32] | None


@dataclass(frozen=True, eq=False)
class Drawn(Connectivity):
    """A pattern between two populations.

    stream: what its random numbers depend on. delays: in s, or None where the projection has one delay; dt: s. gain: factor
    of the weights, one or (n_post,). exponent: weights are multiples of 2**exponent, where `grid` has said so.
    """

    pattern: Any
    n_pre: int
    n_post: int
    stream: str
    dt: float = 1.0
    delays: Distribution | None = None
    gain: Any = 1.0
    exponent: int | None = None
    bias: ClassVar[None] = None  # type: ignore[misc]

    def __post_init__(self) -> None:
        for name in ("n_pre", "n_post"):
            size = getattr(self, name)
            if not _is_whole(size, 1):
                raise ModelError(f"{self.kind}: {name} = {size!r} is not a number of neurons")
        if not isinstance(self.dt, float) or not 0.0 < self.dt < math.inf:
            raise ModelError(f"{self.kind}: dt = {self.dt!r} is not a number of seconds")

    @property
    def kind(self) -> str:  # type: ignore[override]
        """The pattern's name."""
        return type(self.pattern).__name__

    # ---------------------------------------------------------------------------------------------------------- pieces

    @cached_property
    def _ranges(self) -> list[Range]:
        """The sources (or targets) of each piece."""
        rows = self.n_pre if self.pattern.rows == "pre" else self.n_post
        count = min(max(math.ceil(self.pattern.expected(self.n_pre, self.n_post) / PIECE), 1), rows)
        edges = [rows * k // count for k in range(count + 1)]
        return list(pairwise(edges))

    @property
    def n_pieces(self) -> int:
        """How many pieces there are."""
        return len(self._ranges)

    @cached_property
    def _counts(self) -> list[int]:
        counted: list[int] = self.pattern.counts(self._ranges, (self.n_pre, self.n_post), self.stream)
        return counted

    def _ends(self, k: int) -> Ends:
        rng = generator(f"{self.stream}/{k}", 0)
        pre, post = self.pattern.ends(rng, self._ranges[k], (self.n_pre, self.n_post), self._counts[k])
        return pre.astype(np.int32, copy=False), post.astype(np.int32, copy=False)

    def piece(self, k: int, weights: bool = True) -> Piece:
        """Piece number k. weights: whether to draw them, or give 0 for all."""
        pre, post = self._ends(k)
        delays = None
        if self.delays is not None:
            seconds = np.clip(self.delays.draw(f"{self.stream}/delays/{k}", pre.shape), *self.delays.span)
            delays = np.rint(seconds / self.dt).astype(np.int32)
        return Piece(pre, post, self._weights(k, post) if weights else np.zeros(1), delays)

    def _weights(self, k: int, post: NDArray[np.int32]) -> Floats:
        given, gain = self.pattern.weights, self.gain if np.ndim(self.gain) == 0 else self.gain[post]
        values: Floats = np.array([given if not isinstance(given, Distribution) else 0.0], np.float64)
        if isinstance(given, Distribution):
            values = np.clip(given.draw(f"{self.stream}/weights/{k}", post.shape), *given.span)
        values = np.multiply(values, gain)
        if self.exponent is not None:
            values = np.ldexp(np.rint(np.ldexp(values, -self.exponent)), self.exponent) + 0.0
        return values

    def pieces(self, weights: bool = True) -> Iterator[Piece]:
        """All synapses, piece by piece."""
        return (self.piece(k, weights) for k in range(self.n_pieces))

    # ----------------------------------------------------------------------------------------------------------- numbers

    @cached_property
    def _degrees(self) -> tuple[Ints, Ints]:
        """Synapses of each source, and of each target."""
        out, into = np.zeros(self.n_pre, np.int64), np.zeros(self.n_post, np.int64)
        for k in range(self.n_pieces):
            pre, post = self._ends(k)
            out += np.bincount(pre, minlength=self.n_pre)
            into += np.bincount(post, minlength=self.n_post)
        return out, into

    @property
    def same(self) -> bool:
        """Whether all weights are one number."""
        return not np.ndim(self.gain) and not isinstance(self.pattern.weights, Distribution)

    @property
    def weight_span(self) -> tuple[float, float]:
        """What no weight is below or above."""
        given = self.pattern.weights
        low, high = given.span if isinstance(given, Distribution) else (given, given)
        ends = [low * np.min(self.gain), low * np.max(self.gain), high * np.min(self.gain), high * np.max(self.gain)]
        unit = 0.0 if self.exponent is None else 2.0**self.exponent / 2
        return float(min(ends)) - unit, float(max(ends)) + unit

    @property
    def delay_span(self) -> tuple[int, int]:
        """What no delay is below or above, in steps."""
        low, high = (0.0, 0.0) if self.delays is None else self.delays.span
        return round(low / self.dt), round(high / self.dt)

    def __len__(self) -> int:
        if isinstance(self.pattern, FixedProbability):
            return int(self._degrees[0].sum())
        return int(self.pattern.expected(self.n_pre, self.n_post))

    def row_lengths(self) -> Ints:
        return self._degrees[0]

    def fan_in(self, values: Floats) -> Floats:
        return np.multiply(self._degrees[1], values.item(), dtype=np.float64) if values.size == 1 else super().fan_in(values)

    # ------------------------------------------------------------------------------------------------------------ listed

    @cached_property
    def _listed(self) -> Piece:
        """All synapses in memory, for backends that want them so."""
        parts = [piece._replace(weights=np.broadcast_to(piece.weights, piece.pre.shape)) for piece in self.pieces()]
        delays = None if self.delays is None else np.concatenate([x.delays for x in parts if x.delays is not None])
        pre, post, weights = (np.concatenate([x[k] for x in parts]) for k in range(3))
        return Piece(pre, post, weights, delays)

    @property
    def weights(self) -> Floats:  # type: ignore[override]
        """(k,) the weight of each synapse."""
        return self._listed.weights

    def synapses(self) -> tuple[Ints, Ints]:
        return self._listed.pre.astype(np.int64), self._listed.post.astype(np.int64)

    def with_weights(self, weights: Floats, bias: Floats | None) -> Sparse:
        pre, post = self.synapses()
        return Sparse((weights, (post, pre)), (self.n_post, self.n_pre), bias)

    def scaled(self, gain: Floats) -> Drawn:
        return replace(self, gain=self.gain * (gain if gain.ndim == 0 else gain.ravel()))

    def snapped(self, exponent: int) -> Drawn:
        """Weights at the nearest multiples of 2**exponent."""
        return replace(self, exponent=exponent)

    def describe(self) -> str:
        return f"{self.kind} {self.n_post}x{self.n_pre} synapses={len(self)} {self.span()}"

    def span(self) -> str:
        given = self.pattern.weights
        return f"w={given}" if isinstance(given, Distribution) else f"w={given:g}"


@dataclass(frozen=True, eq=False)
class DrawnDelays:
    """The delays of a pattern's synapses in steps, `offset` later: an array that is drawn when it is looked at."""

    connectivity: Drawn
    offset: int = 0
    ndim: ClassVar[int] = 1

    @property
    def size(self) -> int:
        """Number of synapses."""
        return len(self.connectivity)

    @property
    def shape(self) -> tuple[int, ...]:
        """(number of synapses,)"""
        return (self.size,)

    @property
    def span(self) -> tuple[int, int]:
        """What no delay is below or above."""
        low, high = self.connectivity.delay_span
        return low + self.offset, high + self.offset

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        delays = self.connectivity._listed.delays
        assert delays is not None
        return np.asarray(delays + np.int64(self.offset), dtype or np.int64)

    def __add__(self, steps: int) -> DrawnDelays:
        return replace(self, offset=self.offset + steps)


def _is_whole(value: Any, least: int) -> bool:
    """Whether it is a whole number, and not below `least`."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= least


def _check_weights(pattern: Pattern, weights: Any) -> None:
    if isinstance(weights, Distribution):
        return
    if not isinstance(weights, int | float | np.number) or not math.isfinite(weights):
        name = type(pattern).__name__
        raise ModelError(
            f"{name}: weights = {weights!r:.60} is neither one finite number nor a distribution such as nc.Normal(...)"
        )

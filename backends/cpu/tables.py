"""Listed synapses as the kernel wants them: a table for all projections that can be delivered together (`Engine.add_table`)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurocomp.backends.cpu.layout import delays_of, grid_units
from neurocomp.ir.network import Network, Projection
from neurocomp.ir.patterns import Drawn, DrawnDelays
from neurocomp.kernels.rows import count_rows, place_rows

HALF = 16  # bits of a target that stands alone
MOST_BITS = 17  # of a target beside its weight: as many accumulators as half of a second cache of 1 MB holds
MOST = (1 << 32) - 1  # synapses that 32 bits can count

Counts = NDArray[np.uint32]
Window = dict[str, Any]  # of `Engine.add_table`
Share = tuple[int, int, int]  # a thread's neurons lo .. hi of a population, and where their accumulators begin
Place = tuple[int, int, int]  # of a window: its thread, its first accumulator, and the one behind its last


@dataclass(frozen=True)
class Listed:
    """A projection of listed synapses. number: the engine's. places: of its targets, by thread. slot: of its receptor."""

    number: int
    projection: Projection
    exponent: int
    places: Sequence[Share]
    slot: int

    def span(self, thread: int) -> tuple[int, int]:
        """The accumulators its synapses can reach."""
        lo, hi, first = self.places[thread]
        begin = first + self.slot * (hi - lo)
        return begin, begin + hi - lo


class Piece(NamedTuple):
    """Synapses, as many as there is room for: sources, delays or one, targets, weights in grid units or one."""

    pre: NDArray[np.int32]
    delays: NDArray[np.int32]
    post: NDArray[np.int32]
    units: NDArray[np.int32]


def pieces(listed: Listed, weights: bool = True) -> Iterator[Piece]:
    """The synapses of a projection; those of a pattern were never all in memory. weights: whether they are needed."""
    connectivity, delay = listed.projection.connectivity, listed.projection.delay
    if isinstance(connectivity, Drawn):
        for piece in connectivity.pieces(weights):
            later = delay.offset if isinstance(delay, DrawnDelays) else delay
            delays = np.array([later], np.int32) if piece.delays is None else piece.delays + np.int32(later)
            yield Piece(piece.pre, delays, piece.post, grid_units(piece.weights, listed.exponent))
        return
    pre, post = connectivity.synapses()
    delays = np.ravel(delay).astype(np.int32)
    units = grid_units(connectivity.values(), listed.exponent)
    yield Piece(pre.astype(np.int32), delays, post.astype(np.int32), units)


def together(net: Network, all_listed: Sequence[Listed]) -> list[list[Listed]]:
    """The projections that can share a table: of one source, onto targets of one lag and one accumulator width."""
    groups: dict[Any, list[Listed]] = {}  # sums that are shifted stay alone, and so do further projections onto a target
    seen: Counter[Any] = Counter()
    for listed in all_listed:
        projection = listed.projection
        post = net.populations[projection.post]
        assert post.grid is not None
        key = (projection.pre, post.lag, post.grid.bits, listed.number if projection.shift else -1)
        target = (key, projection.post, listed.slot)
        groups.setdefault((key, seen[target]), []).append(listed)
        seen[target] += 1
    return [*groups.values()]


def table(members: Sequence[Listed], threads: int) -> tuple[list[int], NDArray[np.int64], list[list[Window]], int | None, int]:
    """(members, delays, windows, shared weight, bits of a target) of `Engine.add_table`. Passes twice over the synapses."""
    form = _form(members)
    possible = np.unique(np.concatenate([delays_of(x.projection) for x in members]))
    places = [(k, *span) for k in range(threads) for span in _windows(members, k, 1 << form.bits)]
    counts = [x.reshape(-1, len(possible)) for x in _counted(members, places, possible)]
    used = np.any([x.any(axis=0) for x in counts], axis=0)
    used[0] |= not used.any()
    delays = possible[used]
    windows: list[list[Window]] = [[] for _ in range(threads)]
    for (k, *_), window in zip(places, _filled(members, places, delays, [x[:, used] for x in counts], form), strict=True):
        windows[k].append(window)
    return [x.number for x in members], delays, windows, form.shared, form.bits


class Form(NamedTuple):
    """How a table stores synapses. shared: the weight of all, or None. bits: of a target. packed: with its weight in a word."""

    shared: int | None
    bits: int
    packed: bool


def _form(members: Sequence[Listed]) -> Form:
    spans = [_units(x) for x in members if len(x.projection.connectivity)]
    low, high = min((x[0] for x in spans), default=0), max((x[1] for x in spans), default=0)
    if low == high:
        return Form(low, HALF, False)
    of_weight = 1 + max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0)
    return Form(None, min(32 - of_weight, MOST_BITS), True) if of_weight <= 32 - HALF else Form(None, HALF, False)


def _units(listed: Listed) -> tuple[int, int]:
    """What no weight is below or above, in grid units."""
    connectivity = listed.projection.connectivity
    if isinstance(connectivity, Drawn) and not connectivity.same:
        low, high = np.ldexp(connectivity.weight_span, -listed.exponent)
        return math.floor(low), math.ceil(high)
    values = connectivity.piece(0).weights if isinstance(connectivity, Drawn) else connectivity.values()
    units = grid_units(values, listed.exponent)
    return int(units.min()), int(units.max())


def _windows(members: Sequence[Listed], thread: int, reach: int) -> list[tuple[int, int]]:
    """Ranges of equal size, of at most `reach` accumulators each, that cover those of all members."""
    spans = [x.span(thread) for x in members]
    begin, end = min(x[0] for x in spans), max(x[1] for x in spans)
    count = math.ceil((end - begin) / reach)  # 0 where the thread owns none of the targets
    edges = [begin + (end - begin) * k // max(count, 1) for k in range(count + 1)]
    return list(pairwise(edges))


def _slots(delays: NDArray[np.int64]) -> NDArray[np.int32]:
    """The number of each delay."""
    slots = np.zeros(int(delays[-1]) + 1, np.int32)
    slots[delays] = np.arange(len(delays), dtype=np.int32)
    return slots


def _counted(members: Sequence[Listed], places: Sequence[Place], delays: NDArray[np.int64]) -> list[Counts]:
    """By window (sources x delays,): how many synapses each row has."""
    counts = [np.zeros(members[0].projection.connectivity.n_pre * len(delays) + 1, np.uint32) for _ in places]
    slots = _slots(delays)
    for listed in members:
        targets = [_targets(listed, *place) for place in places]
        for piece in pieces(listed, weights=False):
            slot = slots[piece.delays]
            for count, (lo, hi, _) in zip(counts, targets, strict=True):
                if lo < hi:
                    count_rows(count, piece.pre, slot, piece.post, lo, hi, len(delays))
    return [x[1:] for x in counts]


def _filled(
    members: Sequence[Listed], places: Sequence[Place], delays: NDArray[np.int64], counts: Sequence[Counts], form: Form
) -> list[Window]:
    """The windows. counts: by window, of each row."""
    windows = [_empty(*place, x, form) for place, x in zip(places, counts, strict=True)]
    next_free = [x["segments"][:-1].copy() for x in windows]
    slots, none = _slots(delays), (np.empty(0, np.uint32), np.empty(0, np.uint16), np.empty(0, np.int32))
    arrays = [tuple(x.get(name, y) for name, y in zip(("packed", "targets", "values"), none, strict=True)) for x in windows]
    for listed in members:
        targets = [_targets(listed, *place) for place in places]
        for piece in pieces(listed):
            slot = slots[piece.delays]
            for at, (lo, hi, shift), kept in zip(next_free, targets, arrays, strict=True):
                if lo < hi:
                    what = (piece.pre, slot, piece.post, piece.units)
                    place_rows(at, *what, lo, hi, shift, len(delays), form.bits, *kept)
    return windows


def _empty(thread: int, base: int, end: int, counts: Counts, form: Form) -> Window:
    """A window with room for its synapses."""
    segments = np.zeros(counts.size + 1, np.uint32)
    np.cumsum(counts.ravel(), out=segments[1:])
    total = int(counts.sum(dtype=np.int64))
    if total > MOST:
        raise MemoryError(f"{total} synapses of one source onto thread {thread} exceed 2^32; use more threads")
    window: Window = {"base": base, "size": end - base, "segments": segments}
    if form.packed:
        return window | {"packed": np.empty(total, np.uint32)}
    values = {} if form.shared is not None else {"values": np.empty(total, np.int32)}
    return window | {"targets": np.empty(total, np.uint16)} | values


def _targets(listed: Listed, thread: int, base: int, end: int) -> tuple[int, int, int]:
    """The targets lo .. hi of a projection that a window holds, and what leads from one to its place in the window."""
    lo, hi, _ = listed.places[thread]
    begin = listed.span(thread)[0]
    return max(lo, lo + base - begin), min(hi, lo + end - begin), begin - lo - base

"""Spike events: what goes into inputs and what comes out of populations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.errors import InputError


@dataclass(frozen=True, eq=False)
class Events:
    """Spikes of one input or population, sorted by time, then by neuron.

    times: (k,) int64 steps from 0. ids: (k,) int64 flat neuron indices. payload: (k,) int64 values of graded spikes,
    or None where every spike is worth 1. shape: of the population. steps: length of the recording.
    """

    times: NDArray[np.int64]
    ids: NDArray[np.int64]
    shape: tuple[int, ...]
    steps: int
    payload: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.times)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape, dtype=np.int64))

    def raster(self) -> NDArray[np.int64]:
        """Dense array (steps, *shape): the payload where a neuron spiked, else 0."""
        dense = np.zeros((self.steps, self.size), np.int64)
        dense[self.times, self.ids] = 1 if self.payload is None else self.payload
        return dense.reshape(self.steps, *self.shape)

    def counts(self) -> NDArray[np.int64]:
        """Spikes per neuron, in the population's shape."""
        return np.bincount(self.ids, minlength=self.size).astype(np.int64).reshape(self.shape)

    def by_step(self) -> NDArray[np.int64]:
        """(steps + 1,) offsets: the events of step t are `[offsets[t]:offsets[t + 1]]`."""
        return np.searchsorted(self.times, np.arange(self.steps + 1)).astype(np.int64)

    def between(self, start: int, stop: int) -> Events:
        """The events of steps start <= t < stop, with times counted from start."""
        first, last = np.searchsorted(self.times, [start, stop])
        payload = None if self.payload is None else self.payload[first:last]
        return Events(self.times[first:last] - start, self.ids[first:last], self.shape, stop - start, payload)

    def same_as(self, other: Events) -> bool:
        """Whether both hold exactly the same spikes (times, neurons and payloads)."""

        def payload(events: Events) -> NDArray[np.int64]:
            return np.ones(len(events), np.int64) if events.payload is None else events.payload

        return (
            np.array_equal(self.times, other.times)
            and np.array_equal(self.ids, other.ids)
            and np.array_equal(payload(self), payload(other))
        )


def empty(shape: tuple[int, ...], steps: int) -> Events:
    """No spikes at all."""
    none = np.zeros(0, np.int64)
    return Events(none, none, shape, steps)


def from_data(name: str, data: Any, shape: tuple[int, ...], steps: int, max_payload: int = 1) -> Events:
    """Events from what users have: `Events`, a raster (steps, *shape), a pair (times, ids) or a triple with payloads.

    Raises `InputError` naming the input, the numbers found and what was expected. A raster or event list shorter than
    `steps` is silent afterwards; a longer one is refused.
    """
    if isinstance(data, Events) and data.shape != shape:
        raise InputError(f"input '{name}' has shape {shape}, but these events come from a shape of {data.shape}")
    if isinstance(data, Events):
        parts: tuple[Any, ...] = (data.times, data.ids, data.payload)
    elif isinstance(data, Mapping):
        parts = tuple(data.get(key) for key in ("times", "ids", "payload"))
    elif isinstance(data, tuple) and len(data) in (2, 3):
        parts = data if len(data) == 3 else (*data, None)
    else:
        parts = _from_raster(name, np.asarray(data), shape)
    times, ids = _integers(name, "times", parts[0]), _integers(name, "ids", parts[1])
    payload = None if parts[2] is None else _integers(name, "payload", parts[2])
    if len(times) != len(ids):
        raise InputError(f"input '{name}': {len(times)} times but {len(ids)} ids; each spike needs one of both")
    if payload is not None and len(payload) != len(times):
        raise InputError(f"input '{name}': {len(times)} spikes but {len(payload)} payloads; each spike needs one")
    size = int(np.prod(shape, dtype=np.int64))
    _check_range(name, "ids", ids, size, f"the input has {size} neurons, shape {shape}")
    _check_range(name, "times", times, steps, f"the run has {steps} steps; pass steps={_last(times) + 1} or cut the input")
    order = np.lexsort((ids, times))
    times, ids = times[order], ids[order]
    if payload is not None:
        payload = payload[order]
        keep = payload != 0
        times, ids, payload = times[keep], ids[keep], payload[keep]
    _check_once(name, times, ids)
    worst = max((abs(int(f(payload))) for f in (np.min, np.max)), default=0) if payload is not None and len(payload) else 0
    if worst > max_payload:
        raise InputError(
            f"input '{name}': payload {worst} exceeds max_payload={max_payload}; declare the input with "
            f"max_payload={worst} (the compiler proves its accumulators for that bound)"
        )
    if max_payload == 1 and not _all_ones(payload):
        raise InputError(
            f"input '{name}': payload -1, but the input takes plain spikes; declare it with max_payload=2 for signed spikes"
        )
    return Events(times, ids, shape, steps, None if max_payload == 1 else payload)


def _from_raster(name: str, raster: NDArray[Any], shape: tuple[int, ...]) -> tuple[Any, Any, Any]:
    if raster.ndim != len(shape) + 1 or raster.shape[1:] != shape:
        raise InputError(
            f"input '{name}': a raster has shape (steps, {', '.join(map(str, shape))}), this one has {raster.shape}; "
            "event lists are given as (times, ids)"
        )
    if raster.dtype.kind == "f":
        if not np.array_equal(raster, np.rint(raster)):
            raise InputError(
                f"input '{name}': values must be whole numbers (0/1 spikes, or integer payloads with max_payload); scale "
                "analog values to integers and put the scale in the weights, or encode them as spikes"
            )
    elif raster.dtype.kind not in "biu":
        raise InputError(f"input '{name}': a raster of dtype {raster.dtype} is not a spike raster")
    flat = raster.reshape(len(raster), int(np.prod(shape, dtype=np.int64)))
    times, ids = np.nonzero(flat)
    return times, ids, flat[times, ids].astype(np.int64)


def _integers(name: str, what: str, values: Any) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise InputError(f"input '{name}': {what} must be one-dimensional, not of shape {array.shape}")
    if array.dtype.kind == "b" and len(array):
        raise InputError(f"input '{name}': {what} is a mask of truth values; give numbers, such as np.flatnonzero(mask)")
    whole = array.dtype.kind in "biu" or (array.dtype.kind == "f" and np.array_equal(array, np.rint(array)))
    if not whole:
        raise InputError(f"input '{name}': {what} must be whole numbers (steps, neuron indices), not {array.dtype}")
    return array.astype(np.int64)


def _check_range(name: str, what: str, values: NDArray[np.int64], bound: int, cure: str) -> None:
    bad = values[(values < 0) | (values >= bound)]
    if len(bad):
        raise InputError(f"input '{name}': {what} contains {int(bad[0])}, outside 0..{bound - 1}: {cure}")


def _check_once(name: str, times: NDArray[np.int64], ids: NDArray[np.int64]) -> None:
    twice = np.flatnonzero((np.diff(times) == 0) & (np.diff(ids) == 0))
    if len(twice):
        k = int(twice[0])
        raise InputError(
            f"input '{name}': neuron {ids[k]} is listed twice at step {times[k]}; a neuron spikes at most once a step "
            "(use a payload and max_payload for graded spikes)"
        )


def _last(times: NDArray[np.int64]) -> int:
    return int(times.max()) if len(times) else 0


def _all_ones(payload: NDArray[np.int64] | None) -> bool:
    return payload is None or bool((payload == 1).all())

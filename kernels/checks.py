"""What the engine refuses: arrays whose numbers would lead outside other arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

HALF = 16  # bits of a target that stands alone
PART = 1 << 20  # synapses that are looked at together


LINE = 64  # bytes of a cache line, and of the widest vectors: one that lies across two takes two loads or stores


def aligned(values: NDArray[Any]) -> NDArray[Any]:
    """A contiguous copy on cache lines of its own, as far as it goes: one thread may write to it at every step."""
    room = np.empty(-(-values.nbytes // LINE) * LINE + LINE, np.uint8)
    begin = -room.ctypes.data % LINE
    result = room[begin : begin + values.nbytes].view(values.dtype).reshape(values.shape)
    result[...] = values
    return result


def check_array(name: str, array: Any, dtype: DTypeLike, shape: Any, *, writable: bool = False) -> None:
    """Refuse an array of another type, shape or order, or one that may not be changed where it will be."""
    if writable and not array.flags.writeable:
        raise ValueError(f"{name} are changed in place and must be writable")
    if array.dtype != dtype or array.shape != tuple(shape) or not array.flags.c_contiguous:
        raise ValueError(f"{name} must be a contiguous {np.dtype(dtype).name} array of shape {tuple(shape)}")


def check_block(block: dict[str, Any], rows: int, n_post: int, lo: int, hi: int, n_delays: int) -> None:
    """A block of a plastic projection, see `Engine.add_plastic`."""
    weights = block["weights"]
    if "targets" not in block:
        check_array("weights", weights, np.float64, (n_post, *weights.shape[1:]), writable=True)
        if weights.ndim != 2 or weights.shape[1] < rows:
            raise ValueError(f"all-to-all weights have a row of at least {rows} for each target")
        if n_delays != 1:
            raise ValueError(f"all-to-all synapses have one delay, not {n_delays}")
        return
    total = weights.size
    check_array("weights", weights, np.float64, (total,), writable=True)
    check_array("segments", block["segments"], np.int64, (rows + 1,))
    check_array("columns", block["columns"], np.int64, (hi - lo + 1,))
    for name in ("targets", "positions", "rows"):
        check_array(name, block[name], np.int32, (total,))
    for name, last in (("segments", total), ("columns", total)):
        if block[name][0] != 0 or (np.diff(block[name]) < 0).any() or block[name][-1] != last:
            raise ValueError(f"{name} must ascend from 0 to {last}")
    for name, low, high in (("targets", lo, hi), ("positions", 0, total), ("rows", 0, rows)):
        if total and (block[name].min() < low or block[name].max() >= high):
            raise ValueError(f"{name} must be in {low}..{high - 1}")


def check_taps(name: str, taps: tuple[Any, Any], size: int, kernel: int, out: int) -> None:
    """The taps of one axis of a convolution, see `Engine.add_conv`."""
    first, pairs = taps
    check_array(name, first, np.int32, (size + 1,))
    check_array(name, pairs, np.int32, (int(first[size]), 2))
    if first[0] != 0 or (np.diff(first) < 0).any():
        raise ValueError(f"{name} must ascend from 0")
    if len(pairs) and (pairs.min() < 0 or pairs[:, 0].max() >= kernel or pairs[:, 1].max() >= out):
        raise ValueError(f"{name} leave the kernel or the output")


def check_window(window: dict[str, Any], rows: int, owners: NDArray[np.uint16], nobody: int, shared: bool, bits: int) -> None:
    """A window of a table, see `Engine.add_table`. owners: the member that each accumulator belongs to, or `nobody`."""
    base, size, segments = window["base"], window["size"], window["segments"]
    packed = "packed" in window
    reach = 1 << (bits if packed else HALF)
    if not 0 <= base <= base + size <= len(owners) or size > reach:
        raise ValueError(
            f"a window of {size} accumulators from {base} leaves the thread's {len(owners)}, or its reach of {reach}"
        )
    kept = {"packed"} if packed else {"targets"} if shared else {"targets", "values"}
    if {*window} != {"base", "size", "segments", *kept} or (packed and shared):
        raise ValueError("synapses are packed, or have targets and values, or have targets and share one value")
    check_array("segments", segments, np.uint32, (rows + 1,))
    if segments[0] != 0 or (segments[1:] < segments[:-1]).any():
        raise ValueError("segments must ascend from 0")
    total = int(segments[-1])
    targets = window["packed" if packed else "targets"]
    check_array("targets", targets, np.uint32 if packed else np.uint16, (total,))
    if "values" in window:
        check_array("values", window["values"], np.int32, (total,))
    reached = owners[base : base + size] != nobody
    for begin in range(0, total, PART):
        part = targets[begin : begin + PART] & (reach - 1)
        if part.max() >= size or not reached[part].all():
            raise ValueError(f"targets leave the window's {size} accumulators, or those of the table's projections")


def check_input(
    size: int, is_input: bool, graded: bool, steps: int, offsets: NDArray[np.int64], ids: NDArray[np.int32], payload: Any
) -> None:
    """Events of an input, see `Engine.run`."""
    if not is_input:
        raise ValueError("events can only be given to inputs")
    check_array("offsets", offsets, np.int64, (steps + 1,))
    total = int(offsets[steps])
    check_array("ids", ids, np.int32, (total,))
    counts = np.diff(offsets)
    if offsets[0] != 0 or (counts < 0).any() or counts.max() > size:
        raise ValueError("offsets must ascend from 0 by at most the number of neurons")
    if len(ids) and (ids.min() < 0 or ids.max() >= size):
        raise ValueError(f"ids must be in 0..{size - 1}")
    if graded != (payload is not None):
        raise ValueError("graded inputs need payloads, others have none")
    if payload is not None:
        check_array("payload", payload, np.int32, (total,))


def check_spikes(size: int, graded: bool, end: int, steps: Any, ids: Any, payload: Any) -> None:
    """Spikes that are on their way from a node whose next machine step is `end`, see `Engine.recall`."""
    check_array("steps", steps, np.int64, (len(steps),))
    check_array("ids", ids, np.int32, steps.shape)
    if len(steps) and (steps.min() < 0 or steps.max() >= end or ids.min() < 0 or ids.max() >= size):
        raise ValueError(f"spikes on their way must have steps in 0..{end - 1} and ids in 0..{size - 1}")
    later = (np.diff(steps) > 0) | (np.diff(steps) == 0) & (np.diff(ids) > 0)
    if not later.all():
        raise ValueError("spikes on their way must ascend by step, then id, each once")
    if graded != (payload is not None):
        raise ValueError("spikes of graded nodes have payloads, others have none")
    if payload is not None:
        check_array("payload", payload, np.int32, steps.shape)

"""Long runs in pieces, so that progress can be shown. Resuming is exact, so the pieces are the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from neurocomp.backends import registry
from neurocomp.backends.base import Counters, support
from neurocomp.ir.errors import InputError
from neurocomp.ir.events import Events, from_data
from neurocomp.program import Program
from neurocomp.recording import Recording

SMALLEST = 1000  # steps; shorter runs are not worth cutting
PIECES = 50


def run_in_chunks(
    program: Program,
    inputs: Mapping[str, Any],
    steps: int,
    record: Iterable[str],
    done: Callable[[int], None],
    chunk: int | None = None,
) -> Recording:
    """As `program.run`. done(steps): called after each piece of `chunk` steps, where the backend can resume."""
    what = list(record)
    chunk = chunk or max(SMALLEST, -(-steps // PIECES))
    if not support(registry.get(program.target), "resume").ok or steps <= chunk:
        recording = program.run(inputs, steps, what)
        done(steps)
        return recording
    events = {name: _events(program, name, data, steps) for name, data in inputs.items()}
    pieces = []
    for start in range(0, steps, chunk):
        stop = min(start + chunk, steps)
        part = {name: spikes.between(start, stop) for name, spikes in events.items()}
        pieces.append(program.run(part, stop - start, what, resume=start > 0))
        done(stop)
    return join(pieces)


def join(pieces: Sequence[Recording]) -> Recording:
    """Recordings of consecutive runs as one: times count on, traces are put together, counters add up."""
    first = pieces[0]
    spikes = {name: _join_events([piece.spikes[name] for piece in pieces]) for name in first.spikes}
    states = {name: np.concatenate([piece.states[name] for piece in pieces]) for name in first.states}
    counters = Counters(
        *(
            {name: sum(getattr(piece.counters, kind)[name] for piece in pieces) for name in getattr(first.counters, kind)}
            for kind in ("spikes", "updates", "events")
        )
    )
    steps, seconds = sum(piece.steps for piece in pieces), sum(piece.seconds for piece in pieces)
    return Recording(spikes, states, counters, steps, first.dt, seconds)


def _events(program: Program, name: str, data: Any, steps: int) -> Events:
    node = program.network.inputs.get(name)
    if node is None:
        known = ", ".join(program.network.inputs) or "none"
        raise InputError(f"there is no input '{name}'; the network's inputs are {known}")
    return from_data(name, data, node.shape, steps, node.max_payload)


def _join_events(parts: Sequence[Events]) -> Events:
    offsets = np.cumsum([0, *(part.steps for part in parts)])
    times = np.concatenate([part.times + offset for part, offset in zip(parts, offsets, strict=False)])
    ids = np.concatenate([part.ids for part in parts])
    payload = None
    if any(part.payload is not None for part in parts):
        ones = [np.ones(len(part), np.int64) if part.payload is None else part.payload for part in parts]
        payload = np.concatenate(ones)
    return Events(times, ids, parts[0].shape, int(offsets[-1]), payload)

"""How long a step takes on the chip: the busiest core decides, then all synchronise.

    t = max over cores of max(computing and sending, receiving) + barrier(tiles)

This is the analytic model of SANA-FE ("simple"): it knows no congestion in the mesh and no input or output through a host, both
of which make real steps longer. Per-core maxima decide, not sums over the network (Yik et al. 2025, arXiv:2511.21549).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurocomp.energy.activity import Activity
from neurocomp.energy.kinds import KINDS, RECEIVES, SENDS
from neurocomp.energy.profile import Profile
from neurocomp.energy.quantity import Quantity

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Timing:
    """Times of all machine steps. steps: (3, samples * machine_steps) seconds: value, low, high. slowest: the longest step.

    core: the busiest core of that step, an index into the placement's. side: "computing and sending" or "receiving".
    parts: what kept it busy. tiles: that synchronise.
    """

    steps: Floats
    slowest: int
    core: int
    side: str
    parts: tuple[Quantity, ...]
    tiles: int

    @property
    def mean(self) -> Quantity:
        """Seconds of a step, on average."""
        value, low, high = self.steps.mean(axis=1).tolist()
        return Quantity("step time", value, low, high, "s", f"mean of {self.steps.shape[1]:,} steps", "", (self.largest,))

    @property
    def largest(self) -> Quantity:
        """Seconds of the slowest step, and what it consists of."""
        value, low, high = self.steps[:, self.slowest].tolist()
        how = f"core {self.core}, {self.side}, then the barrier over {self.tiles} tile{'s'[: self.tiles != 1]}"
        return Quantity("slowest step", value, low, high, "s", how, "", self.parts)


def timing(activity: Activity, profile: Profile, factor: float = 1.0) -> Timing | None:
    """Step times at `factor` times the activity; None where the profile has no times."""
    if not profile.time:
        return None
    load = scaled_load(activity, factor)
    tiles = 1 if activity.placement is None else len({(core.chip, core.tile) for core in activity.placement.cores})
    barrier = profile.barrier_time(tiles)
    busy = {side: np.stack([_busy(load, profile, side, key) for key in ("value", "low", "high")]) for side in (SENDS, RECEIVES)}
    steps = np.maximum(*(x.max(axis=2) for x in busy.values())) + np.array(barrier)[:, None]
    slowest = int(steps[0].argmax())
    side = max(busy, key=lambda x: float(busy[x][0, slowest].max()))
    core = int(busy[side][0, slowest].argmax())
    words = "computing and sending" if side == SENDS else "receiving"
    parts = [_part(load, profile, kind, slowest, core) for kind in side if kind in profile.time and kind in load]
    if profile.barrier:
        parts.append(Quantity("barrier", *barrier, "s", f"{tiles} tiles", profile.barrier[0].citation))
    return Timing(steps, slowest, core, words, tuple(parts), tiles)


def scaled_load(activity: Activity, factor: float) -> dict[str, Floats]:
    """The load at `factor` times the activity; active updates stay within all updates."""
    scale = {kind: factor if KINDS[kind].grows == "activity" else 1.0 for kind in activity.load}
    load = {kind: np.asarray(x * scale[kind], np.float64) for kind, x in activity.load.items()}
    always = load["neuron.always"]
    load["neuron.active"] = np.minimum(always + (activity.load["neuron.active"] - always) * factor, load["neuron.access"])
    load["neuron.inactive"] = load["neuron.access"] - load["neuron.active"]
    return load


def _busy(load: Mapping[str, Floats], profile: Profile, side: tuple[str, ...], key: str) -> Floats:
    """(rows, cores) seconds of one side of every core in every step."""
    shape = load["neuron.access"].shape
    return sum(
        (load[kind] * getattr(profile.time[kind], key) for kind in side if kind in profile.time and kind in load),
        np.zeros(shape),
    )


def _part(load: Mapping[str, Floats], profile: Profile, kind: str, row: int, core: int) -> Quantity:
    count, constant = float(load[kind][row, core]), profile.time[kind]
    how = f"{count:,.6g} × {constant.text}"
    return Quantity(kind, count * constant.value, count * constant.low, count * constant.high, "s", how, constant.citation)

"""`energy`: from a program and its recordings to a report, as text, JSON, CSV and page."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult

from neurocomp.energy import baseline, data, words
from neurocomp.energy.activity import Activity, count
from neurocomp.energy.bill import chip_power, items
from neurocomp.energy.breakdown import EnergyFigures
from neurocomp.energy.page import page
from neurocomp.energy.profile import EnergyError, Profile
from neurocomp.energy.quantity import Quantity, exact
from neurocomp.energy.rapl import Measured
from neurocomp.energy.timing import Timing, timing
from neurocomp.ir.chips import Chip
from neurocomp.ir.errors import CompileError
from neurocomp.ir.files import write_text
from neurocomp.ir.passes.place import place
from neurocomp.ir.placement import Placement, PlacementError
from neurocomp.program import Program
from neurocomp.recording import Recording

Given = str | os.PathLike[str] | Profile
DEFAULT = ("loihi1-davies2018", "loihi1-sanafe")


@dataclass(frozen=True, repr=False)
class EnergyReport(EnergyFigures):
    """`EnergyFigures` that can be printed and written. `print(report)` gives the text, rich prints tables with colours."""

    @property
    def text(self) -> str:
        """The report for people."""
        return words.plain(self)

    @property
    def line(self) -> str:
        """The report in one line."""
        return words.line(self)

    def __str__(self) -> str:
        return self.text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield words.renderable(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return data.to_dict(self)

    def to_json(self, path: str | os.PathLike[str]) -> Path:
        """Write the report as JSON."""
        return write_text(path, json.dumps(self.to_dict(), indent=2, allow_nan=False))

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write a row per subject and kind of event."""
        return write_text(path, data.to_csv(self))

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write one self-contained page: no scripts, no files beside it."""
        return write_text(path, page(self))


def energy(
    program: Program,
    recording: Recording | Sequence[Recording],
    profile: Given | Sequence[Given] = DEFAULT,
    *,
    pace: str | float = "real-time",
    placement: Placement | None = None,
    static_power: float | None = None,
    clock: float | None = None,
    entry: tuple[int, int] | None = None,
    measured: Measured | None = None,
) -> EnergyReport:
    """What recorded runs of a program cost on a chip.

    recording: of a run from the start with the spikes of all nodes, or several of equal length, each an inference. profile: a
    name (`neurocomp.energy.names()`), a .toml file, or several: the report is by the first, the others are compared. pace:
    "real-time" (a step lasts the network's dt), "fast" (as long as the profile's times say) or seconds per step. placement:
    where neurons lie, for profiles with the same chip; None places the network on as many chips as it needs. static_power:
    watts per chip instead of the profile's. clock: Hz, for profiles that have one. entry: (x, y) of the tile where inputs enter
    the mesh; None leaves their hops out. measured: the run's own energy (`neurocomp.energy.measure`).
    Raises `EnergyError` for recordings and profiles that do not fit, among them static power on an aggregate constant, and
    `PlacementError` where the network does not fit the chip.
    """
    if not isinstance(program, Program):
        raise EnergyError("energy", f"takes the compiled program, then its recordings; the first argument is {program!r:.60}")
    recordings = [recording] if isinstance(recording, Recording) else list(recording)
    if not recordings:
        raise EnergyError("recordings", "there is none; give the recording of at least one run")
    for one in recordings:
        if not isinstance(one, Recording):
            raise EnergyError("energy", f"takes recordings, what program.run(...) gives, not {one!r:.60}")
    listed = [profile] if isinstance(profile, str | os.PathLike | Profile) else list(profile)
    if not listed:
        raise EnergyError("profile", "there is none; give at least one name")
    profiles = [x if isinstance(x, Profile) else Profile.load(x) for x in listed]
    builder = _Builder(program, recordings, pace, placement, static_power, clock, entry, measured or Measured())
    first = builder.report(profiles[0])
    others, skipped = [], {}
    for other in profiles[1:]:
        try:
            others.append(builder.report(other))
        except (CompileError, EnergyError) as error:
            skipped[other.name] = str(error)
    return first.with_others(others, skipped)


class _Builder:
    """Makes reports of the same runs; what does not depend on the profile is done once."""

    def __init__(
        self,
        program: Program,
        recordings: Sequence[Recording],
        pace: str | float,
        placement: Placement | None,
        static_power: float | None,
        clock: float | None,
        entry: tuple[int, int] | None,
        measured: Measured,
    ) -> None:
        if not (pace in ("real-time", "fast") or (isinstance(pace, int | float) and not isinstance(pace, bool) and pace > 0)):
            raise EnergyError("pace", f"is 'real-time', 'fast' or seconds per step, not {pace!r}")
        self.net, self.recordings, self.pace, self.placement = program.lowered, recordings, pace, placement
        self.static_power, self.clock, self.entry, self.measured = static_power, clock, entry, measured
        self.activities: dict[str | None, tuple[Activity, tuple[str, ...]]] = {}

    def report(self, profile: Profile) -> EnergyReport:
        """The report by one profile."""
        if self.static_power is not None:
            profile = profile.with_static(self.static_power)
        if self.clock is not None and profile.clock is not None:
            profile = profile.at_clock(self.clock)
        activity, notes = self._activity(profile.chip)
        times = timing(activity, profile)
        step, more = self._step(activity, times, profile)
        chips = 1
        if activity.placement is not None:
            chips = activity.placement.chips_used
        elif profile.neurons is not None:
            chips = -(-sum(x.size for x in self.net.populations.values()) // profile.neurons)
        return EnergyReport(
            network=self.net.name,
            profile=profile,
            activity=activity,
            items=items(activity, profile),
            chips=chips,
            pace=self.pace if isinstance(self.pace, str) else "given",
            step=step,
            power=chip_power(profile, chips),
            timing=times,
            neurobench=baseline.neurobench(self.net, self.recordings, activity),
            equivalents=tuple(baseline.equivalent(self.net, activity, Profile.load(x)) for x in baseline.CMOS),
            measured=self.measured,
            notes=(*notes, *more),
        )

    def _activity(self, chip: str | None) -> tuple[Activity, tuple[str, ...]]:
        if chip not in self.activities:
            placement, notes = (None, ()) if chip is None else self._place(chip)
            entry = self.entry if placement is not None else None
            if placement is not None and entry is None and self.net.inputs:
                notes = (*notes, "hops of inputs are not counted: where they enter the mesh is not known; give entry=(x, y)")
            self.activities[chip] = (count(self.net, self.recordings, placement, entry), notes)
        return self.activities[chip]

    def _place(self, name: str) -> tuple[Placement, tuple[str, ...]]:
        """The placement given, or one on as many chips as needed; neurons the chip does not have are placed all the same."""
        if self.placement is not None and self.placement.chip.name == name:
            return self.placement, self.placement.notes
        chip, chips = Chip.load(name), 1
        notes: tuple[str, ...] = ()
        while True:
            try:
                found = place(self.net, chip, chips=chips, recording=self.recordings[0])
                return found, (*found.notes, *notes)
            except PlacementError as error:
                if error.limit == "custom_neurons":
                    chip = replace(chip, custom_neurons=True)
                    notes = (f"priced as if {name} could run them: {error}",)
                elif error.limit == "cores" and error.needed and -(-error.needed // chip.cores) <= chip.max_chips:
                    chips = max(-(-error.needed // chip.cores), chips + 1)
                else:
                    raise

    def _step(self, activity: Activity, times: Timing | None, profile: Profile) -> tuple[Quantity, tuple[str, ...]]:
        """Seconds from step to step, and what is to be said about them."""
        if self.pace == "fast":
            if times is not None:
                return times.mean.named("step"), ()
            return self._real_time(), (f"{profile.name} has no times per event, so a step is taken to last dt",)
        step = self._real_time() if self.pace == "real-time" else exact("step", float(self.pace), "s", "given")
        if times is not None and times.largest.value > step.value:
            slow = times.largest
            return step, (f"the slowest step takes {slow.text}, longer than {step.text}: the chip cannot keep this pace",)
        return step, ()

    def _real_time(self) -> Quantity:
        return exact("step", self.net.dt, "s", "the network's dt")

"""`Profile`: what the events of one chip cost in energy and time, each constant with its range and its source.

Profiles are TOML files beside this package. A constant that is not known is not in them; `[not_priced]` says why, and reports
repeat it. Two kinds of "energy per synaptic operation" exist and must never be mixed: a *marginal* one is the cost of one more
event, an *aggregate* one is a chip's whole power over its event rate at one operating point, its static power included.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Self

import numpy as np

from neurocomp.energy.kinds import KINDS, TIMED, View, kinds_of
from neurocomp.energy.quantity import show
from neurocomp.ir.errors import FileFormatError, NeurocompError

UNITS: Mapping[str, tuple[str, float]] = {
    "J": ("J", 1.0),
    "uJ": ("J", 1e-6),
    "nJ": ("J", 1e-9),
    "pJ": ("J", 1e-12),
    "W": ("W", 1.0),
    "mW": ("W", 1e-3),
    "uW": ("W", 1e-6),
    "uW/MHz": ("W/Hz", 1e-12),
    "s": ("s", 1.0),
    "us": ("s", 1e-6),
    "ns": ("s", 1e-9),
    "cycles": ("cycles", 1.0),
}
BASES = ("measured", "fitted", "pre-silicon", "derived")
SCOPES = ("marginal", "aggregate")
CHECKED = ("opened", "secondary", "own")  # by whom the number was read: in the source, in a text that quotes it, own work
_CONSTANT = {"value", "low", "high", "unit", "basis", "scope", "source", "locator", "checked"}
_SECTIONS = {
    "name", "title", "process", "counts", "chip", "clock", "sources", "energy", "time", "static", "barrier", "capacity",
    "not_priced", "included", "notes",
}  # fmt: skip


class EnergyError(NeurocompError, ValueError):
    """Something an energy report cannot be made of. `subject` names the profile or recording."""

    def __init__(self, subject: str, message: str) -> None:
        self.subject = subject
        super().__init__(f"{subject}: {message}")


@dataclass(frozen=True)
class Constant:
    """A number of a profile in SI units. low, high: its published range; equal to value where none is published.

    basis: measured, fitted, pre-silicon or derived. scope: marginal or aggregate. checked: "opened" if the number was read in
    its source, "secondary" if in a text that quotes it, "own" if it is the user's.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    basis: str
    scope: str
    source: str
    locator: str
    checked: str = "opened"

    @property
    def citation(self) -> str:
        """Source, place in it and basis, for people."""
        quoted = ", as quoted in secondary texts" if self.checked == "secondary" else ""
        where = f", {self.locator}" if self.locator else ""
        return f"{self.source}{where} ({self.basis}, {self.scope}{quoted})"

    @property
    def text(self) -> str:
        """Value with its unit."""
        return show(self.value, self.unit)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            key: getattr(self, key)
            for key in ("value", "low", "high", "unit", "basis", "scope", "source", "locator", "checked")
        }


@dataclass(frozen=True)
class Profile:
    """What a chip's events cost.

    counts: the view of a run it puts prices on (`neurocomp.energy.kinds`). energy, time: constants by kind. static: powers of a
    chip, those in W/Hz times `clock` (Hz). barrier: (tiles, seconds) pairs of the synchronisation at the end of a step,
    straight lines between. chip: name of the chip for `place`, None where messages are not modelled. neurons: how many a chip
    holds. not_priced: reasons by kind. included: kinds whose cost is contained in other constants, with the reason.
    """

    name: str
    title: str
    process: str
    counts: View
    energy: Mapping[str, Constant]
    time: Mapping[str, Constant] = field(default_factory=dict)
    static: Mapping[str, Constant] = field(default_factory=dict)
    barrier: tuple[Constant, ...] = ()
    tiles: tuple[int, ...] = ()
    chip: str | None = None
    clock: float | None = None
    neurons: int | None = None
    not_priced: Mapping[str, str] = field(default_factory=dict)
    included: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.aggregate and self.static:
            raise EnergyError(
                f"profile '{self.name}'",
                f"'{self.aggregate}' is an aggregate constant: static power is in it already, so '{next(iter(self.static))}' "
                "cannot be added to it; use a marginal constant, or leave the static power out",
            )

    @property
    def aggregate(self) -> str:
        """The first aggregate energy constant, "" where all are marginal."""
        return next((name for name, x in self.energy.items() if x.scope == "aggregate"), "")

    @classmethod
    def load(cls, profile: str | os.PathLike[str]) -> Self:
        """The profile of that name, or of your own TOML file written like those that come with the package.

        Raises `EnergyError` listing the known names, and `FileFormatError` naming what is wrong in a file.
        """
        known = names()
        if profile in known:
            source = f"{profile}.toml"
            text = (resources.files("neurocomp.energy") / "profiles" / source).read_text(encoding="utf-8")
        else:
            path = Path(profile)
            if path.suffix != ".toml" or not path.is_file():
                raise EnergyError(
                    "profile",
                    f"there is no profile '{profile}'; known are {', '.join(known)}, or give the path of a .toml file",
                )
            source, text = os.fspath(profile), path.read_text(encoding="utf-8")
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise FileFormatError(source, f"is not TOML ({error})") from None
        return cls(**_Reader(source, tables).fields())

    def with_static(self, watts: float, source: str = "given by the user") -> Profile:
        """This profile with another static power per chip. Refused where a constant is aggregate."""
        own = Constant("chip", watts, watts, watts, "W", "measured", "marginal", source, "", "own")
        return replace(self, static={"chip": own})

    def at_clock(self, hertz: float) -> Profile:
        """This profile at another clock, which power per clock and times follow; for profiles that have one."""
        if self.clock is None or not hertz > 0:
            raise EnergyError(f"profile '{self.name}'", f"has clock {self.clock} and cannot be run at {hertz!r} Hz")
        slower = self.clock / hertz
        times = {
            key: replace(x, value=x.value * slower, low=x.low * slower, high=x.high * slower) for key, x in self.time.items()
        }
        return replace(self, clock=float(hertz), time=times)

    def barrier_time(self, tiles: int) -> tuple[float, float, float]:
        """(value, low, high) seconds that synchronising so many tiles takes; 0 where it is not known."""
        if not self.barrier:
            return 0.0, 0.0, 0.0
        at = [np.interp(tiles, self.tiles, [getattr(x, key) for x in self.barrier]) for key in ("value", "low", "high")]
        return float(at[0]), float(at[1]), float(at[2])

    def constants(self) -> dict[str, Constant]:
        """Every constant by its path, such as `energy.synop.dense`."""
        sections = {"energy": self.energy, "time": self.time, "static": self.static}
        listed = {f"{section}.{key}": x for section, table in sections.items() for key, x in table.items()}
        return listed | {f"barrier.{n}": x for n, x in zip(self.tiles, self.barrier, strict=True)}


def names() -> list[str]:
    """The profiles that come with the package."""
    files = (resources.files("neurocomp.energy") / "profiles").iterdir()
    return sorted(item.name.removesuffix(".toml") for item in files if item.name.endswith(".toml"))


class _Reader:
    """Reads a profile's tables and refuses what is missing, unknown or impossible, by name."""

    def __init__(self, source: str, tables: Mapping[str, Any]) -> None:
        self.source, self.tables = source, tables
        self.sources = tables.get("sources", {})

    def fields(self) -> dict[str, Any]:
        """The arguments of `Profile`."""
        for key in set(self.tables) - _SECTIONS:
            raise self._error(f"has an unknown section '{key}'; a profile has {', '.join(sorted(_SECTIONS))}")
        for key in ("name", "title", "process", "counts", "sources", "energy"):
            if key not in self.tables:
                raise self._error(f"lacks '{key}'")
        view = self.tables["counts"]
        wanted = kinds_of(view)
        if not wanted:
            raise self._error(f"counts is 'events', 'operations' or 'dense', not {view!r}")
        energy = self._table("energy", wanted, "J")
        silent = {"not_priced": dict(self.tables.get("not_priced", {})), "included": dict(self.tables.get("included", {}))}
        for kind in wanted:
            where = [kind in energy, *(kind in table for table in silent.values())]
            if sum(where) != 1:
                said = "says nothing of" if not any(where) else "says more than once what becomes of"
                raise self._error(f"{said} '{kind}' ({KINDS[kind].title}); give it in [energy], [not_priced] or [included]")
        barrier = {
            key: self._constant(f"barrier.{key}", entry, ("s",)) for key, entry in self.tables.get("barrier", {}).items()
        }
        tiles = tuple(int(key) for key in barrier)
        if list(tiles) != sorted(tiles):
            raise self._error("[barrier] must be in the order of its numbers of tiles")
        return {
            **{key: str(self.tables[key]) for key in ("name", "title", "process", "counts")},
            "chip": self.tables.get("chip"),
            "clock": self._clock(),
            "neurons": self.tables.get("capacity", {}).get("neurons"),
            "energy": energy,
            "time": self._table("time", TIMED, "s", "cycles"),
            "static": {
                key: self._constant(f"static.{key}", x, ("W", "W/Hz")) for key, x in self.tables.get("static", {}).items()
            },
            "barrier": tuple(barrier.values()),
            "tiles": tiles,
            **silent,
            "notes": tuple(self.tables.get("notes", ())),
        }

    def _clock(self) -> float | None:
        clock = self.tables.get("clock")
        if clock is not None and not (isinstance(clock, int | float) and clock > 0):
            raise self._error(f"clock is a frequency in Hz, not {clock!r}")
        return None if clock is None else float(clock)

    def _table(self, section: str, known: tuple[str, ...], *units: str) -> dict[str, Constant]:
        found = {}
        for key, entry in self.tables.get(section, {}).items():
            if key not in known:
                raise self._error(f"[{section}] has an unknown key '{key}'; it has {', '.join(known)}")
            found[key] = self._constant(f"{section}.{key}", entry, units)
        return found

    def _constant(self, where: str, entry: Any, units: tuple[str, ...]) -> Constant:
        if not isinstance(entry, dict) or set(entry) != _CONSTANT:
            raise self._error(f"{where} must be a table of {', '.join(sorted(_CONSTANT))}")
        unit, scale = UNITS.get(entry["unit"], ("", 0.0))
        if unit not in units:
            raise self._error(
                f"{where} has unit {entry['unit']!r}; it takes one of {', '.join(u for u in UNITS if UNITS[u][0] in units)}"
            )
        for key, allowed in (("basis", BASES), ("scope", SCOPES), ("checked", CHECKED)):
            if entry[key] not in allowed:
                raise self._error(f"{where}: {key} is {', '.join(allowed)}, not {entry[key]!r}")
        low, value, high = (float(entry[key]) for key in ("low", "value", "high"))
        if not 0 <= low <= value <= high < np.inf:
            raise self._error(f"{where}: low <= value <= high does not hold for {low:g}, {value:g}, {high:g}")
        if entry["source"] not in self.sources:
            raise self._error(f"{where}: source '{entry['source']}' is not in [sources] ({', '.join(self.sources)})")
        source, clock = str(self.sources[entry["source"]]), self._clock()
        if unit in ("cycles", "W/Hz") and clock is None:
            raise self._error(f"{where} is in {entry['unit']}, which needs clock = (Hz)")
        if unit == "cycles" and clock is not None:
            unit, scale = "s", 1.0 / clock
        numbers = (value * scale, low * scale, high * scale)
        return Constant(
            where.split(".", 1)[1],
            *numbers,
            unit,
            entry["basis"],
            entry["scope"],
            source,
            str(entry["locator"]),
            entry["checked"],
        )

    def _error(self, message: str) -> FileFormatError:
        return FileFormatError(self.source, message)

"""Counts times constants: what events cost, and what a chip costs while it is on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurocomp.energy.activity import Activity, Tally
from neurocomp.energy.kinds import KINDS
from neurocomp.energy.profile import Constant, EnergyError, Profile
from neurocomp.energy.quantity import Quantity, exact, product, ratio, total


@dataclass(frozen=True)
class Item:
    """A line of a bill: how often a kind of event happened for a subject in `runs` runs, and its price, if it has one."""

    kind: str
    subject: str
    count: float
    constant: Constant | None
    runs: int = 1
    by_core: NDArray[np.int64] | None = None

    @property
    def energy(self) -> Quantity:
        """Joules per run."""
        return self.of(self.count)

    def of(self, count: float, name: str | None = None) -> Quantity:
        """Joules per run of so many of these events."""
        label = name or f"{self.subject}.{self.kind}"
        if self.constant is None:
            return Quantity(label, 0.0, 0.0, 0.0, "J", f"{_number(count)} × no price", missing=(self.kind,))
        constant, runs = self.constant, f" / {self.runs:,} runs" if self.runs > 1 else ""
        bounds = [count * getattr(constant, key) / self.runs for key in ("value", "low", "high")]
        how = f"{_number(count)} × {constant.text}{runs}"
        return Quantity(label, bounds[0], bounds[1], bounds[2], "J", how, constant.citation)

    def scaled(self, factor: float, bounds: Mapping[str, tuple[float, float]]) -> float:
        """The count at `factor` times the activity. bounds: fewest and most active updates of each population."""
        if self.kind not in ("neuron.active", "neuron.inactive"):
            return self.count * (factor if KINDS[self.kind].grows == "activity" else 1.0)
        least, most = bounds[self.subject]
        active = self.count if self.kind == "neuron.active" else most - self.count
        active = min(least + (active - least) * factor, most)
        return active if self.kind == "neuron.active" else most - active


def items(activity: Activity, profile: Profile) -> tuple[Item, ...]:
    """The lines of an activity in the profile's view; those whose cost is contained in other constants are left out."""
    lines = []
    for tally in activity.tallies:
        if profile.counts in KINDS[tally.kind].views and tally.kind not in profile.included:
            price = profile.energy.get(tally.kind)
            lines.append(Item(tally.kind, tally.subject, tally.count, price, activity.samples, tally.by_core))
    return tuple(lines)


def active_bounds(tallies: Iterable[Tally]) -> dict[str, tuple[float, float]]:
    """By population: updates that are active without any spike, and all updates."""
    least = {x.subject: float(x.count) for x in tallies if x.kind == "neuron.always"}
    return {x.subject: (least.get(x.subject, 0.0), float(x.count)) for x in tallies if x.kind == "neuron.access"}


def chip_power(profile: Profile, chips: int) -> Quantity:
    """Watts of so many chips that are on."""
    parts = []
    for name, constant in profile.static.items():
        factor, text = 1.0, ""
        if constant.unit == "W/Hz":
            assert profile.clock is not None
            factor, text = profile.clock, f" × {profile.clock / 1e6:g} MHz"
        bounds = [chips * factor * getattr(constant, key) for key in ("value", "low", "high")]
        amount = f"{constant.value * 1e12:g} µW/MHz" if text else constant.text
        how = f"{chips:,} {'chip' if chips == 1 else 'chips'} × {amount}{text}"
        parts.append(Quantity(f"static.{name}", bounds[0], bounds[1], bounds[2], "W", how, constant.citation))
    missing = () if parts or profile.aggregate else ("static power",)
    return total("static power", parts, "W", missing)


@dataclass(frozen=True)
class Bill:
    """What some events cost. power: of the chips that are on. time: for how long they are."""

    dynamic: Quantity
    power: Quantity
    time: Quantity

    @property
    def static(self) -> Quantity:
        """Static power times time."""
        return product("static", self.power, self.time, "J")

    @property
    def total(self) -> Quantity:
        """Dynamic and static energy."""
        return total("total", (self.dynamic, self.static))

    @property
    def watts(self) -> Quantity:
        """Mean power, dynamic and static."""
        moving = ratio("dynamic power", self.dynamic, self.time, "W")
        return total("power", (moving, self.power), "W")


def price(counts: Mapping[str, float], profile: Profile | str, *, seconds: float, chips: int = 1) -> Bill:
    """What a workload costs of which only the counts are known, such as a published one.

    counts: by kind (`neurocomp.energy.KINDS`), in `seconds` seconds on `chips` chips. Raises `EnergyError` for kinds the
    profile neither prices nor names.
    """
    profile = Profile.load(profile) if isinstance(profile, str) else profile
    for kind in counts:
        if kind not in KINDS or profile.counts not in KINDS[kind].views:
            known = ", ".join(name for name, x in KINDS.items() if profile.counts in x.views)
            raise EnergyError(f"profile '{profile.name}'", f"does not count '{kind}'; it counts {known}")
    lines = [
        Item(kind, "workload", count, profile.energy.get(kind)).energy.named(kind)
        for kind, count in counts.items()
        if kind not in profile.included
    ]
    return Bill(total("dynamic", lines), chip_power(profile, chips), exact("duration", seconds, "s"))


def _number(count: float) -> str:
    return f"{count:,.0f}" if count == round(count) else f"{count:,.4g}"

"""`EnergyFigures`: what a network costs on a chip, every number with its range, its derivation and its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from neurocomp.energy.activity import Activity
from neurocomp.energy.baseline import Equivalent
from neurocomp.energy.bill import Bill, Item, active_bounds
from neurocomp.energy.kinds import COMPONENTS, KINDS
from neurocomp.energy.profile import EnergyError, Profile
from neurocomp.energy.quantity import Quantity, divided, exact, product, ratio, show, total
from neurocomp.energy.rapl import Measured
from neurocomp.energy.timing import Timing, timing

FACTORS = (0.5, 0.71, 1.0, 1.41, 2.0)


@dataclass(frozen=True)
class NotPriced:
    """Events that happened and have no price, so the totals are without them."""

    kind: str
    count: float
    reason: str


@dataclass(frozen=True)
class AtActivity:
    """The report's numbers at `factor` times the activity. step: mean step time, None where the profile has no times."""

    factor: float
    dynamic: Quantity
    static: Quantity
    step: Quantity | None

    @property
    def total(self) -> Quantity:
        """Dynamic and static energy."""
        return total("total", (self.dynamic, self.static))


@dataclass(frozen=True, repr=False)
class EnergyFigures:
    """What `activity` costs by `profile`. Energies are joules per inference, a run of `activity.steps` steps.

    items: counts and their prices. chips: that are on. pace: "real-time", "fast" or "given"; step: seconds from one step
    to the next at that pace. timing: step times by the profile, None without times. neurobench: its metrics under their
    names. equivalents: the network without spikes, by CMOS profile. measured: of this machine. others: the same run by
    other profiles. skipped: profiles that could not be used, with the reason.
    """

    network: str
    profile: Profile
    activity: Activity
    items: tuple[Item, ...]
    chips: int
    pace: str
    step: Quantity
    power: Quantity
    timing: Timing | None
    neurobench: Mapping[str, Any]
    equivalents: tuple[Equivalent, ...]
    measured: Measured
    notes: tuple[str, ...] = ()
    others: tuple[EnergyFigures, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)

    # -------------------------------------------------------------------------------------------------------- totals

    @cached_property
    def bill(self) -> Bill:
        """Dynamic energy, static power and the time they last, per inference."""
        steps = exact("steps", float(self.activity.steps), "steps")
        return Bill(self.dynamic, self.power, product("duration", steps, self.step, "s"))

    @cached_property
    def dynamic(self) -> Quantity:
        """Energy of the events of an inference."""
        return total("dynamic", [*self.populations.values(), *self.projections.values()])

    @property
    def static(self) -> Quantity:
        """Energy of chips that are on for the steps of an inference; samples follow one another without a gap."""
        return self.bill.static

    @property
    def total(self) -> Quantity:
        """Dynamic and static energy per inference."""
        return self.bill.total

    @property
    def per_step(self) -> Quantity:
        """Energy per step, dynamic and static."""
        return divided("per step", self.total, self.activity.steps, "steps")

    @property
    def per_second(self) -> Quantity:
        """Mean power, dynamic and static: joules per second at this pace."""
        return self.bill.watts

    @property
    def latency(self) -> Quantity:
        """Seconds from the first input of an inference to its last output, the steps of `retime` included."""
        steps = exact(
            "machine steps", float(self.activity.machine_steps), "steps", f"{self.activity.steps} + lag {self.activity.lag}"
        )
        return product("latency", steps, self.step, "s")

    @property
    def energy_delay(self) -> Quantity:
        """Energy-delay product: total energy times latency of an inference."""
        return product("energy-delay product", self.total, self.latency, "J·s")

    @property
    def per_event(self) -> Quantity:
        """Total energy per synaptic event: the aggregate figure papers print, at this activity only."""
        counts = self.activity.counts()
        events = exact("synaptic events", (counts.get("op.ac", 0) + counts.get("op.mac", 0)) / self.activity.samples, "events")
        if not events.value:
            return Quantity("per event", float("nan"), float("nan"), float("nan"), "J", "there were no events")
        return ratio("per event", self.total, events, "J")

    # ------------------------------------------------------------------------------------------------------- breakdown

    @cached_property
    def populations(self) -> dict[str, Quantity]:
        """Dynamic energy by population and input: updates, spikes, messages and hops."""
        network = {"hop.x", "hop.y", "message", "message.input"}
        return self._by_subject(lambda item: KINDS[item.kind].component == "neuron" or item.kind in network)

    @cached_property
    def projections(self) -> dict[str, Quantity]:
        """Dynamic energy by projection: synaptic operations and learning."""
        return self._by_subject(lambda item: KINDS[item.kind].component in ("synapse", "learning"))

    @cached_property
    def components(self) -> dict[str, Quantity]:
        """Dynamic energy by part of the chip: synapse, neuron, network, learning."""
        result = {}
        for name in COMPONENTS:
            lines = [x.energy for x in self.items if KINDS[x.kind].component == name]
            if lines:
                result[name] = total(name, lines)
        return result

    @cached_property
    def cores(self) -> list[Quantity]:
        """Dynamic energy by core, in the order of the placement's cores; one core where there is no placement."""
        return [
            total(f"core {core}", [
                item.of(float(item.by_core[core])) for item in self.items if item.by_core is not None and item.by_core[core]
            ])
            for core in range(self.activity.cores)
        ]  # fmt: skip

    @property
    def not_priced(self) -> tuple[NotPriced, ...]:
        """Events that happened and are in no total, as the profile has no price for them."""
        counts: dict[str, float] = {}
        for item in self.items:
            if item.constant is None:
                counts[item.kind] = counts.get(item.kind, 0.0) + item.count / item.runs
        gone = [NotPriced(kind, count, self.profile.not_priced.get(kind, "not given")) for kind, count in counts.items()]
        if not self.profile.static and not self.profile.aggregate:
            gone.append(NotPriced("static power", float(self.chips), "the profile has none"))
        return tuple(gone)

    @property
    def dominates(self) -> list[tuple[str, float]]:
        """(what, share of the total energy) of every kind of event and of static power, largest first."""
        whole = self.total.value or 1.0
        shares = {"static power": self.static.value / whole}
        for item in self.items:
            shares[item.kind] = shares.get(item.kind, 0.0) + item.energy.value / whole
        return sorted(((name, share) for name, share in shares.items() if share), key=lambda x: -x[1])

    @property
    def uncertain(self) -> list[tuple[str, float]]:
        """(what, share of the total's interval) of every constant that has a range, widest first."""
        widths = {"static power": self.static.high - self.static.low}
        for item in self.items:
            widths[item.kind] = widths.get(item.kind, 0.0) + item.energy.high - item.energy.low
        whole = sum(widths.values()) or 1.0
        return sorted(((name, width / whole) for name, width in widths.items() if width), key=lambda x: -x[1])

    # ---------------------------------------------------------------------------------------------------- what if

    def at_activity(self, factor: float) -> AtActivity:
        """The numbers if every neuron spiked `factor` times as often: events scale, all updates and static power do not."""
        bounds = active_bounds(self.activity.tallies)
        dynamic = total("dynamic", [item.of(item.scaled(factor, bounds)) for item in self.items])
        times = timing(self.activity, self.profile, factor)
        step = self.step if times is None or self.pace != "fast" else times.mean
        duration = product("duration", exact("steps", float(self.activity.steps), "steps"), step, "s")
        return AtActivity(factor, dynamic, product("static", self.power, duration, "J"), None if times is None else times.mean)

    def sensitivity(self, factors: Sequence[float] = FACTORS) -> list[AtActivity]:
        """`at_activity` for half to twice the activity."""
        return [self.at_activity(factor) for factor in factors]

    def break_even(self, equivalent: Equivalent) -> Quantity:
        """Activity, relative to this run's, at which the dynamic energy equals that of the network without spikes."""
        fixed = self.at_activity(0.0).dynamic.value
        grows = self.dynamic.value - fixed
        left = equivalent.ann.value - fixed
        at = float("inf") if grows <= 0 else max(left / grows, 0.0)
        how = f"({equivalent.ann.text} − {show(fixed, 'J')} at no activity) / {show(grows, 'J')} of this activity"
        return exact("break-even", at, "× this activity", how, f"without spikes: {equivalent.profile}, arithmetic only")

    # ------------------------------------------------------------------------------------------------------- trace

    def trace(self, path: str) -> str:
        """Where a number comes from: counts times constants, with their sources.

        path: one of `report.paths`, such as "total", "dynamic", "dynamic.h", "dynamic.h.neuron.active", "core.3" or "latency".
        """
        if path not in self.paths:
            near = [x for x in self.paths if path.split(".")[0] in x][:12] or list(self.paths)[:12]
            raise EnergyError("report", f"has no number '{path}'; it has {', '.join(near)} and others (report.paths)")
        return self.paths[path].trace()

    @cached_property
    def paths(self) -> dict[str, Quantity]:
        """Every number of the report by its path."""
        whole = (
            "dynamic",
            "static",
            "total",
            "per_step",
            "per_second",
            "latency",
            "energy_delay",
            "per_event",
            "step",
            "power",
        )
        found = {name: getattr(self, name) for name in whole}
        if self.timing is not None:
            found |= {"step_time": self.timing.mean, "slowest_step": self.timing.largest}
        for name, quantity in (*self.populations.items(), *self.projections.items()):
            found[f"dynamic.{name}"] = quantity
        for item in self.items:
            found[f"dynamic.{item.subject}.{item.kind}"] = item.energy
        found |= {f"component.{name}": x for name, x in self.components.items()}
        found |= {f"core.{k}": x for k, x in enumerate(self.cores)}
        for x in self.equivalents:
            found |= {
                f"{x.profile}.{key}": getattr(x, key) for key in ("macs", "ann", "dense", "events", "density", "break_even")
            }
            found[f"break_even.{x.profile}"] = self.break_even(x)
        for row in self.sensitivity():
            found |= {f"activity.{row.factor:g}.{key}": getattr(row, key) for key in ("dynamic", "static", "total")}
            if row.step is not None:
                found[f"activity.{row.factor:g}.step_time"] = row.step
        return found

    def with_others(self, others: Sequence[EnergyFigures], skipped: Mapping[str, str]) -> Self:
        """This report with the same run by other profiles beside it."""
        return replace(self, others=tuple(others), skipped=dict(skipped))

    def _by_subject(self, wanted: Any) -> dict[str, Quantity]:
        lines: dict[str, list[Quantity]] = {}
        for item in self.items:
            if wanted(item):
                lines.setdefault(item.subject, []).append(item.energy)
        return {name: total(name, parts) for name, parts in lines.items()}

    def __repr__(self) -> str:
        return f"<energy of '{self.network}' by {self.profile.name}: {self.total.text} per inference>"

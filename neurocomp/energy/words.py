"""An energy report for the terminal, with rich's tables."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from neurocomp.energy.breakdown import EnergyFigures
from neurocomp.energy.kinds import COMPONENTS, KINDS
from neurocomp.energy.quantity import Quantity, show

WIDTH = 110


def title(kind: str) -> str:
    """A kind of event, or static power, in words."""
    return KINDS[kind].title if kind in KINDS else kind


def plain(report: EnergyFigures) -> str:
    """The report as plain text."""
    console = Console(width=WIDTH, color_system=None, force_terminal=False, record=False)
    with console.capture() as capture:
        console.print(renderable(report))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def renderable(report: EnergyFigures) -> RenderableType:
    """The report as something rich prints."""
    parts: list[RenderableType] = [
        Text(headline(report), style="bold"),
        Text(what_runs(report)),
        _totals(report),
        _breakdown(report),
    ]
    parts.append(Text(shares(report)))
    parts.append(_what_if(report))
    if report.others:
        parts.append(_comparison(report))
    parts += [_equivalents(report), *map(Text, remarks(report))]
    return Group(*parts)


def headline(report: EnergyFigures) -> str:
    """One line: total, its range, and at what pace."""
    whole = report.total
    interval = f" ({whole.range_text})" if whole.range_text else ""
    partial = ", without what has no price" if report.not_priced else ""
    return f"{report.network} on {report.profile.title}: {whole.text}{interval} per inference{partial}"


def what_runs(report: EnergyFigures) -> str:
    """One line: samples, steps, chips and cores, pace."""
    activity = report.activity
    samples = f"{activity.samples:,} inference{'s'[: activity.samples != 1]} of {activity.steps:,} steps"
    cores = f", {activity.cores:,} core{'s'[: activity.cores != 1]}" if activity.placement is not None else ""
    pace = {"real-time": "in real time", "fast": "as fast as it can"}.get(report.pace, "at the pace given")
    chips = f"{report.chips:,} chip{'s'[: report.chips != 1]}{cores}"
    return f"{samples}; {chips}; {pace}, {report.step.text} per step"


def shares(report: EnergyFigures) -> str:
    """What dominates: the total, then the dynamic energy."""
    static = report.static.value / (report.total.value or 1.0)
    dynamic = report.dynamic.value / (report.total.value or 1.0)
    events = [f"{title(name)} {share / dynamic:.1%}" for name, share in report.dominates if name != "static power"]
    text = f"of the total, {static:.1%} is static; " if report.static.value else ""
    return f"{text}of the dynamic energy: {', '.join(events[:4]) or 'nothing has a price'}"


def line(report: EnergyFigures) -> str:
    """The report in one line, for other reports."""
    dynamic, static = report.dynamic, report.static
    idle = f" + {static.text} static {pace_words(report)}" if static.value else ""
    return f"{dynamic.text} dynamic{idle} by {report.profile.name}"


def static_words(report: EnergyFigures) -> str:
    """The static energy, or that the prices contain it."""
    return "in the prices" if report.profile.aggregate else report.static.text


def pace_words(report: EnergyFigures) -> str:
    """The pace in two words."""
    return {"real-time": "in real time", "fast": "at full speed"}.get(report.pace, f"at {report.step.text} per step")


def remarks(report: EnergyFigures) -> Iterator[str]:
    """What is not priced, what was assumed, what was measured here."""
    for gone in report.not_priced:
        number = "" if gone.kind == "static power" else f" ({gone.count:,.6g} per inference)"
        yield f"not priced: {title(gone.kind)}{number}: {gone.reason}"
    for name, reason in report.skipped.items():
        yield f"left out: {name}: {reason}"
    for note in (*report.profile.notes, *report.notes):
        yield f"note: {note}"
    counts = report.activity.counts()
    yield report.measured.text(counts.get("op.ac", 0) + counts.get("op.mac", 0))


def _totals(report: EnergyFigures) -> Table:
    table = Table("", "value", "from", "to", title="", box=None, padding=(0, 2, 0, 0))
    rows = [
        ("dynamic energy per inference", report.dynamic),
        ("static energy per inference", report.static),
        ("total per inference", report.total),
        ("total per step", report.per_step),
        ("mean power", report.per_second),
        ("latency of an inference", report.latency),
        ("energy-delay product", report.energy_delay),
        ("total per synaptic event, at this activity", report.per_event),
    ]
    if report.timing is not None:
        rows += [("step time, mean", report.timing.mean), ("step time, slowest", report.timing.largest)]
    for name, quantity in rows:
        table.add_row(name, *_three(quantity))
    return table


def _three(quantity: Quantity) -> tuple[str, str, str]:
    if quantity.low == quantity.high:
        return quantity.text, "", ""
    return quantity.text, show(quantity.low, quantity.unit), show(quantity.high, quantity.unit)


def _breakdown(report: EnergyFigures) -> Table:
    table = Table("dynamic energy of", "per inference", "share", *COMPONENTS, box=None, padding=(0, 2, 0, 0))
    whole = report.dynamic.value or 1.0
    split: dict[str, dict[str, float]] = {}
    for item in report.items:
        parts = split.setdefault(item.subject, {})
        component = KINDS[item.kind].component
        parts[component] = parts.get(component, 0.0) + item.energy.value
    for name, quantity in (*report.populations.items(), *report.projections.items()):
        cells = [show(split[name][x], "J") if split[name].get(x) else "" for x in COMPONENTS]
        table.add_row(Text(name), quantity.text, f"{quantity.value / whole:.1%}", *cells)
    return table


def _what_if(report: EnergyFigures) -> Table:
    table = Table("activity", "dynamic", "total", "step time", box=None, padding=(0, 2, 0, 0))
    for row in report.sensitivity():
        table.add_row(f"× {row.factor:g}", row.dynamic.text, row.total.text, "" if row.step is None else row.step.text)
    return table


def _comparison(report: EnergyFigures) -> Table:
    table = Table(
        Column("profile", no_wrap=True),
        "dynamic",
        "static",
        "total",
        "from",
        "to",
        "not priced",
        box=None,
        padding=(0, 2, 0, 0),
    )
    for one in (report, *report.others):
        whole = one.total
        table.add_row(
            one.profile.name, one.dynamic.text, static_words(one), *_three(whole), ", ".join(x.kind for x in one.not_priced)
        )
    return table


def _equivalents(report: EnergyFigures) -> Table:
    table = Table(
        "arithmetic only", "without spikes", "MACs", "with spikes", "all synapses each step",
        "events per synapse", "break-even at", box=None, padding=(0, 2, 0, 0),
    )  # fmt: skip
    for x in report.equivalents:
        table.add_row(
            x.profile, x.ann.text, f"{x.macs.value:,.0f}", x.events.text, x.dense.text, x.density.text, x.break_even.text
        )
    return table

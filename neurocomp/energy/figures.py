"""The figures of an energy page: HTML and SVG of any width, in which every mark says where its number comes from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from neurocomp.energy.breakdown import EnergyFigures
from neurocomp.energy.kinds import COMPONENTS, KINDS
from neurocomp.energy.quantity import Quantity, show, total
from neurocomp.ir.placement import Placement
from neurocomp.ir.placement.result import plural

LINES = ("#4c72b0", "#dd8452", "#55a868", "#c44e52", "#8172b3", "#937860", "#da8bc3", "#8c8c8c")
MOST_LINES = len(LINES)
MOST_POINTS = 600  # of a line: more steps are averaged
TALL = 160  # pixels of a plot
HOVER_DEPTH = 2  # of the derivations that appear at the pointer; the full ones are listed on the page


def number(quantity: Quantity, text: str | None = None) -> str:
    """A number that shows its derivation at the pointer."""
    return f'<span class="q" title="{escape(quantity.trace(HOVER_DEPTH))}">{escape(text or quantity.text)}</span>'


def key(entries: Iterable[tuple[str, str]]) -> str:
    """The legend of (class or colour, words)."""
    marks = (f'<i style="background:{colour}"></i>{escape(words)}' for colour, words in entries)
    return f'<p class="key">{"".join(f"<span>{mark}</span>" for mark in marks)}</p>'


def breakdown(report: EnergyFigures) -> str:
    """A bar for every population and projection, split by part of the chip."""
    subjects = {**report.populations, **report.projections}
    split: dict[str, dict[str, list[Quantity]]] = {}
    for item in report.items:
        split.setdefault(item.subject, {}).setdefault(KINDS[item.kind].component, []).append(item.energy)
    top = max((x.value for x in subjects.values()), default=0.0) or 1.0
    rows = []
    for name, quantity in subjects.items():
        parts = ""
        for component in COMPONENTS:
            part = total(f"{name}, {component}", split[name].get(component, []))
            if part.value:
                width = f"width:{part.value / top:.3%}"
                parts += f'<i class="{component}" style="{width}" title="{escape(part.trace(1))}"></i>'
        share = quantity.value / (report.dynamic.value or 1.0)
        rows.append(
            f'<div class="line"><b>{escape(name)}</b><div class="bar">{parts}</div>'
            f"<span>{number(quantity)} <small>{share:.1%}</small></span></div>"
        )
    used = [name for name in COMPONENTS if name in report.components]
    return key((f"var(--{name})", COMPONENTS[name]) for name in used) + f'<div class="chart">{"".join(rows)}</div>'


def activity(report: EnergyFigures) -> str:
    """Spikes of every population and input by step, and below them the time of a step where the profile has times."""
    counts = report.activity.spikes
    busiest = sorted(counts, key=lambda name: -float(counts[name].sum()))[:MOST_LINES]
    shown = [name for name in counts if name in busiest]
    colours = dict(zip(shown, LINES, strict=False))
    share = {name: counts[name] / report.activity.sizes[name] * 100 for name in shown}
    top = max((float(x.max(initial=0.0)) for x in share.values()), default=0.0) or 1.0
    lines = ""
    for name in shown:
        words = f"{name}: {counts[name].sum():,.6g} spikes per inference, counted"
        lines += _line(share[name], top, colours[name], words)
    label = f"% of the neurons, up to {top:.3g} %"
    figure = _plot(lines, label, f"step, 0 to {report.activity.steps - 1}")
    if report.timing is not None:
        samples = report.timing.steps[0].reshape(report.activity.samples, -1).mean(axis=0)
        largest = float(samples.max())
        line = _line(samples, largest, "var(--time)", report.timing.largest.trace(1))
        figure += _plot(
            line, f"time of a step on the chip, up to {show(largest, 's')}", f"machine step, 0 to {len(samples) - 1}"
        )
    entries = [(colours[name], f"{name} ({report.activity.sizes[name]:,})") for name in shown]
    left_out = len(counts) - len(shown)
    if left_out > 0:
        entries.append(("transparent", f"and {left_out} more"))
    return key(entries) + figure


def mesh(report: EnergyFigures, placement: Placement) -> str:
    """The tiles of the chips with the cores in use, darker the more energy they take."""
    chip = placement.chip
    side = math.ceil(math.sqrt(chip.cores_per_tile))
    right, down = (int(x) + 1 for x in placement.positions.max(axis=0))
    across = max(right, chip.columns)
    rows = max(down, chip.rows)
    boxes = "".join(
        f'<rect x="{x + 0.05}" y="{y + 0.05}" width=".9" height=".9" class="tile"/>' for y in range(rows) for x in range(across)
    )
    top = max((x.value for x in report.cores), default=0.0) or 1.0
    held: dict[int, dict[str, int]] = {}
    for piece in placement.slices:
        names = held.setdefault(piece.core, {})
        names[piece.population] = names.get(piece.population, 0) + piece.size
    for k, (core, quantity) in enumerate(zip(placement.cores, report.cores, strict=True)):
        slot, size = core.number % chip.cores_per_tile, 0.84 / side
        x, y = placement.positions[k] + 0.08 + np.array([slot % side, slot // side]) * size
        what = ", ".join(f"{count:,} of {name}" for name, count in held[k].items())
        words = f"chip {core.chip}, core {core.number}: {what}\n{quantity.trace(1)}"
        strength = 0.15 + 0.85 * quantity.value / top
        boxes += (
            f'<rect x="{x:.4g}" y="{y:.4g}" width="{0.94 * size:.4g}" height="{0.94 * size:.4g}" class="core" '
            f'fill-opacity="{strength:.2f}"><title>{escape(words)}</title></rect>'
        )
    svg = f'<svg class="mesh" viewBox="0 0 {across} {rows}" role="img" aria-label="cores in use">{boxes}</svg>'
    hottest = max(report.cores, key=lambda x: x.value)
    used = plural(len(placement.cores), "core")
    legend = f"{used} on {across} × {rows} tiles; darkest: {hottest.name}, {hottest.text} per inference"
    return f'{svg}<p class="small">{escape(legend)}</p>'


def comparison(reports: Sequence[EnergyFigures]) -> str:
    """A row per profile on one logarithmic axis: dynamic and total energy with their ranges."""
    known = sorted((x for x in reports if x.total.value > 0), key=lambda x: x.total.value)
    values = [y for x in known for q in (x.dynamic, x.total) for y in (q.low, q.value, q.high) if y > 0]
    if not values:
        return "<p>No profile has a price for anything that happened.</p>"
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    last = max(last, first + 1)

    def at(value: float) -> float:
        return (math.log10(value) - first) / (last - first)

    def mark(quantity: Quantity, kind: str) -> str:
        if quantity.value <= 0:
            return ""
        low, high = (at(x) if x > 0 else 0.0 for x in (quantity.low, quantity.high))
        words = escape(quantity.trace(1))
        return (
            f'<u class="{kind}" style="left:{low:.3%};width:{high - low:.3%}" title="{words}"></u>'
            f'<s class="{kind}" style="left:{at(quantity.value):.3%}" title="{words}"></s>'
        )

    rows = ""
    for one in known:
        marks = mark(one.total, "all") + mark(one.dynamic, "dyn")
        partial = " *" if one.not_priced else ""
        mine = ' class="mine"' if one is reports[0] else ""
        label = f"<b{mine}>{escape(one.profile.name)}{partial}</b>"
        numbers = f"{number(one.dynamic)} <small>dynamic</small><br>{number(one.total)} <small>in all</small>"
        if one.profile.aggregate:
            marks, numbers = mark(one.total, "all"), f"{number(one.total)} <small>in all</small>"
        elif not one.profile.static:
            marks, numbers = mark(one.dynamic, "dyn"), f"{number(one.dynamic)} <small>dynamic</small>"
        grid = f"background-size:{100 / (last - first):.5g}% 100%"
        rows += f'<div class="line">{label}<div class="axis" style="{grid}">{marks}</div><span>{numbers}</span></div>'
    step = -(-(last - first) // 5)
    ticks = "".join(
        f'<em style="left:{(x - first) / (last - first):.3%}">{show(10.0**x, "J")}</em>' for x in range(first, last + 1, step)
    )
    scale = f'<div class="line"><b></b><div class="ticks">{ticks}</div><span></span></div>'
    return key([("var(--dyn)", "dynamic"), ("var(--all)", "with static power")]) + f'<div class="chart">{rows}{scale}</div>'


def _line(values: np.ndarray, top: float, colour: str, words: str) -> str:
    """A polyline over the full width of a plot."""
    if len(values) > MOST_POINTS:
        edges = np.linspace(0, len(values), MOST_POINTS + 1).astype(int)
        values = np.add.reduceat(values, edges[:-1]) / np.diff(edges)
    x = np.linspace(0, 100, len(values)) if len(values) > 1 else np.array([50.0])
    points = " ".join(f"{a:.4g},{TALL - 4 - (TALL - 8) * b / top:.4g}" for a, b in zip(x, values, strict=True))
    return f'<polyline points="{points}" stroke="{colour}"><title>{escape(words)}</title></polyline>'


def _plot(lines: str, above: str, below: str) -> str:
    shape = f'viewBox="0 0 100 {TALL}" preserveAspectRatio="none"'
    svg = f'<svg class="plot" {shape} role="img" aria-label="{escape(above)}">{lines}</svg>'
    return (
        f'<figure><figcaption>{escape(above)}</figcaption>{svg}<figcaption class="below">{escape(below)}</figcaption></figure>'
    )

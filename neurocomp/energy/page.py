"""An energy report as one self-contained HTML page: no scripts, no files beside it, readable on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources
from string import Template
from typing import Any

from neurocomp.energy import figures, words
from neurocomp.energy.breakdown import EnergyFigures
from neurocomp.energy.figures import number
from neurocomp.energy.profile import Constant
from neurocomp.energy.quantity import Quantity, show


def page(report: EnergyFigures) -> str:
    """The page's text."""
    placement = report.activity.placement
    drawn = "" if placement is None else f"<h2>Cores</h2>{figures.mesh(report, placement)}"
    return Template(_file("page.html")).substitute(
        title=escape(f"{report.network} on {report.profile.title}"),
        style=_file("page.css"),
        summary=escape(words.what_runs(report) + "."),
        cards="".join(_card(*x) for x in _headline(report)),
        not_priced=_not_priced(report),
        shares=escape(words.shares(report)),
        breakdown=figures.breakdown(report),
        mesh=drawn,
        activity=figures.activity(report),
        comparison=figures.comparison((report, *report.others)),
        what_if="".join(
            _row(f"× {x.factor:g}", number(x.dynamic), number(x.total), "" if x.step is None else number(x.step))
            for x in report.sensitivity()
        ),
        macs=number(report.equivalents[0].macs) if report.equivalents else "",
        equivalents="".join(
            _row(x.profile, *(number(y) for y in (x.ann, x.events, x.dense, x.density, x.break_even, report.break_even(x))))
            for x in report.equivalents
        ),
        neurobench="".join(_row(name, value) for name, value in _flat(report.neurobench)),
        notes="".join(
            f"<li>{escape(x.removeprefix('note: '))}</li>" for x in words.remarks(report) if not x.startswith("not priced")
        ),
        profile=escape(report.profile.title),
        constants="".join(_constant(name, x) for name, x in report.profile.constants().items()),
        traces=_traces(report.paths),
    )


def _file(name: str) -> str:
    return (resources.files("neurocomp.energy") / name).read_text(encoding="utf-8")


def _headline(report: EnergyFigures) -> list[tuple[str, Quantity]]:
    return [
        ("energy per inference", report.total),
        ("of it dynamic", report.dynamic),
        ("energy per step", report.per_step),
        ("mean power", report.per_second),
        ("latency of an inference", report.latency),
        ("energy-delay product", report.energy_delay),
        *([("time of a step on the chip", report.timing.mean)] if report.timing is not None else []),
    ]


def _card(label: str, quantity: Quantity) -> str:
    interval = escape(quantity.range_text) or "no published range"
    return f'<div class="card">{escape(label)}<b>{number(quantity)}</b><small>{interval}</small></div>'


def _not_priced(report: EnergyFigures) -> str:
    if not report.not_priced:
        return ""
    lines = [
        f"<li>{escape(words.title(x.kind))}"
        + (f" ({x.count:,.6g} per inference)" if x.kind != "static power" else "")
        + f": {escape(x.reason)}</li>"
        for x in report.not_priced
    ]
    return f'<div class="warn"><p>Not priced, so in no number on this page:</p><ul>{"".join(lines)}</ul></div>'


def _row(label: str, *cells: str) -> str:
    numbers = "".join(f'<td class="n">{cell}</td>' for cell in cells)
    return f"<tr><td>{escape(label)}</td>{numbers}</tr>"


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name} ")
        else:
            yield prefix + name, show(value, "")


def _constant(name: str, constant: Constant) -> str:
    low, high = (show(x, constant.unit) if constant.low != constant.high else "" for x in (constant.low, constant.high))
    cells = (
        f'<td class="n">{escape(constant.text)}</td><td class="n wide">{escape(low)}</td><td class="n wide">{escape(high)}</td>'
    )
    label = escape(name).replace(".", ".<wbr>")
    return f"<tr><td>{label}</td>{cells}<td>{escape(constant.citation)}</td></tr>"


def _traces(paths: Mapping[str, Quantity]) -> str:
    return "".join(
        f"<details><summary>{escape(path)}: {escape(x.text)}</summary><pre>{escape(x.trace(3))}</pre></details>"
        for path, x in paths.items()
    )

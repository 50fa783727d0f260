"""Pictures of energy reports for papers: where the energy goes, activity over time, chips side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neurocomp.energy.breakdown import EnergyFigures
from neurocomp.energy.kinds import COMPONENTS, KINDS
from neurocomp.energy.quantity import Quantity
from neurocomp.plot import COLOURS, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 7.2  # inches: two columns of most journals
BAR = 0.26  # inches of a bar with its gap
PANEL = 1.7  # inches of the panel over time
PARTS = dict(zip(COMPONENTS, COLOURS, strict=False))
TOTAL = "#937860"


def energy_figure(report: EnergyFigures, path: str | os.PathLike[str] | None = None) -> Figure:
    """Three panels: dynamic energy of each population and projection by part of the chip, spikes over time, and energy per
    inference by all profiles of the report with their ranges. path: also write it there (.png, .svg or .pdf).
    """
    subjects = {**report.populations, **report.projections}
    chips = sorted((x for x in (report, *report.others) if x.total.value > 0), key=lambda x: -x.total.value)
    heights = [BAR * len(subjects) + 0.9, PANEL, BAR * len(chips) * 1.3 + 0.9]
    figure = new_figure(WIDTH, sum(heights))
    top, middle, bottom = figure.subplots(3, 1, gridspec_kw={"height_ratios": heights})
    _breakdown(top, report, subjects)
    _activity(middle, report)
    _chips(bottom, chips, report)
    if path is not None:
        save_figure(figure, path)
    return figure


def _breakdown(axis: Axes, report: EnergyFigures, subjects: dict[str, Quantity]) -> None:
    names = list(subjects)
    lines: dict[str, np.ndarray] = {}
    for item in report.items:
        part = lines.setdefault(KINDS[item.kind].component, np.zeros(len(names)))
        part[names.index(item.subject)] += item.energy.value
    scale, unit = _scale(max((x.value for x in subjects.values()), default=0.0), "J")
    left = np.zeros(len(names))
    for component, words in COMPONENTS.items():
        if component in lines and lines[component].any():
            axis.barh(names, lines[component] / scale, left=left / scale, color=PARTS[component], label=words, height=0.7)
            left = left + lines[component]
    axis.invert_yaxis()
    axis.set_xlim(0, 1.03 * float(left.max(initial=0.0)) / scale or 1.0)
    axis.set_xlabel(f"dynamic energy per inference ({unit}), {report.profile.name}")
    axis.legend(frameon=False, fontsize="small", ncols=4, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    _plain(axis)


def _activity(axis: Axes, report: EnergyFigures) -> None:
    for k, (name, counts) in enumerate(report.activity.spikes.items()):
        share = counts / report.activity.sizes[name] * 100
        axis.plot(np.arange(len(share)), share, color=COLOURS[k % len(COLOURS)], linewidth=1, label=name)
    axis.set_xlabel("step")
    axis.set_ylabel("neurons that spike (%)")
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, fontsize="small", ncols=4, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    _plain(axis)


def _chips(axis: Axes, chips: Sequence[EnergyFigures], report: EnergyFigures) -> None:
    for row, one in enumerate(chips):
        marks: list[tuple[Quantity, str, float]] = [(one.total, TOTAL, 0.0)]
        if not one.profile.aggregate and one.dynamic.value > 0:
            marks = [(one.total, TOTAL, 0.15)] if one.profile.static else []
            marks.append((one.dynamic, PARTS["synapse"], -0.15 if one.profile.static else 0.0))
        for quantity, colour, shift in marks:
            spread = np.array([[quantity.value - quantity.low], [quantity.high - quantity.value]])
            style: dict[str, Any] = {"fmt": "o", "color": colour, "markersize": 4, "capsize": 2, "linewidth": 1}
            axis.errorbar([quantity.value], [row + shift], xerr=spread, **style)
    labels = [f"{x.profile.name}{' *' if x.not_priced else ''}" for x in chips]
    axis.set_yticks(range(len(chips)), labels)
    for tick, one in zip(axis.get_yticklabels(), chips, strict=True):
        tick.set_fontweight("bold" if one is report else "normal")
    axis.set_xscale("log")
    axis.grid(axis="x", linewidth=0.4, alpha=0.5)
    axis.set_xlabel(
        "energy per inference (J): blue dynamic, brown with static power; bars: published ranges\n* some events have no price"
    )
    _plain(axis)


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize="small")
    axis.xaxis.label.set_fontsize("small")
    axis.yaxis.label.set_fontsize("small")


def _scale(value: float, unit: str) -> tuple[float, str]:
    """The prefix that makes a value readable."""
    prefixes = ((1e-12, "p"), (1e-9, "n"), (1e-6, "µ"), (1e-3, "m"), (1.0, ""))
    return next(((scale, prefix + unit) for scale, prefix in reversed(prefixes) if value >= scale), (1e-12, f"p{unit}"))

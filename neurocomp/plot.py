"""Pictures of runs. matplotlib is imported when a picture is drawn, and only its objects are used, never pyplot's state."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurocomp.ir.errors import InputError, NeurocompError
from neurocomp.ir.events import Events
from neurocomp.ir.files import whole_file
from neurocomp.recording import Recording

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

COLOURS = ("#4c72b0", "#dd8452", "#55a868", "#c44e52", "#8172b3", "#937860", "#da8bc3", "#8c8c8c")
WIDTH = 9.0  # inches
TALLEST, LOWEST = 3.0, 1.0  # inches of a panel
MARKER_BELOW = 400  # neurons up to which a spike is drawn as a vertical dash instead of a dot


class PlotError(NeurocompError, ImportError):
    """matplotlib is missing."""


def raster(
    recording: Recording, path: str | os.PathLike[str] | None = None, nodes: Sequence[str] | None = None, title: str = ""
) -> Figure:
    """A raster of the recorded spikes: one panel per node, steps and milliseconds along x, neurons along y.

    path: also write it there (.png, .svg or .pdf). nodes: which nodes, in order (default: all recorded ones). title: put
    before the counts. Graded spikes are the darker, the larger their payload.
    """
    names = _names(recording, nodes)
    heights = _heights([recording.spikes[name] for name in names])
    figure = new_figure(WIDTH, sum(heights) + 1.2)
    draw_raster(figure, recording, names, title)
    if path is not None:
        save_figure(figure, path)
    return figure


def draw_raster(figure: FigureBase, recording: Recording, nodes: Sequence[str] | None = None, title: str = "") -> None:
    """Draw the panels of `raster` into a figure or sub-figure of your own."""
    names = _names(recording, nodes)
    events = [recording.spikes[name] for name in names]
    ratios = {"height_ratios": _heights(events)}
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False, gridspec_kw=ratios)[:, 0]
    for k, (name, spikes, axis) in enumerate(zip(names, events, axes, strict=True)):
        _panel(axis, name, spikes, COLOURS[k % len(COLOURS)])
    _time_axes(axes[0], axes[-1], recording)
    total = sum(map(len, events))
    counts = f"{total} spikes in {recording.steps} steps of {recording.dt * 1e3:g} ms"
    figure.suptitle(f"{title}: {counts}" if title else counts)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure (inches) with the Agg canvas, which needs no display."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PlotError(f'plots need matplotlib ({error}); install it with: pip install "neurocomp[plot]"') from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure in the format of the path's suffix, whole or not at all."""
    target = Path(path) if Path(path).suffix else Path(path).with_suffix(".png")
    try:
        with whole_file(target) as stream:
            figure.savefig(stream, dpi=120, format=target.suffix.lower().removeprefix("."))
    except ValueError as error:
        raise InputError(f"cannot write the picture {os.fspath(path)}: {error}") from None


def _names(recording: Recording, nodes: Sequence[str] | None) -> list[str]:
    names = list(recording.spikes if nodes is None else nodes)
    missing = [name for name in names if name not in recording.spikes]
    if missing or not names:
        known = ", ".join(recording.spikes) or "no spikes"
        subject = f"no spikes of '{missing[0]}' were recorded" if missing else "there is nothing to draw"
        raise InputError(f'{subject} (recorded: {known}); record them with record=["spikes"]')
    return names


def _heights(events: Sequence[Events]) -> list[float]:
    """Inches of each panel: more neurons get more room, within limits."""
    return [float(np.clip(0.25 * np.sqrt(spikes.size), LOWEST, TALLEST)) for spikes in events]


def _panel(axis: Axes, name: str, spikes: Events, colour: str) -> None:
    few = spikes.size <= MARKER_BELOW
    size = float(np.clip(600 / spikes.size, 6, 60)) if few else 2.0
    shade: dict[str, Any] = {"alpha": 1.0}
    if spikes.payload is not None and len(spikes):
        strength = np.abs(spikes.payload)
        shade = {"alpha": 0.15 + 0.85 * strength / strength.max()}
    axis.scatter(spikes.times, spikes.ids, s=size, marker="|" if few else ".", color=colour, rasterized=True, **shade)
    axis.set_ylim(spikes.size - 0.5, -0.5)
    axis.set_ylabel("neuron")
    axis.yaxis.set_major_locator(_whole_numbers())
    axis.set_title(f"{name}: {spikes.size} neurons, {len(spikes)} spikes", loc="left", fontsize="medium", color=colour)
    axis.spines[["top", "right"]].set_visible(False)


def _time_axes(top: Axes, bottom: Axes, recording: Recording) -> None:
    bottom.set_xlim(-0.5, recording.steps - 0.5)
    bottom.set_xlabel("step")
    bottom.xaxis.set_major_locator(_whole_numbers())
    ms = recording.dt * 1e3
    scale: tuple[Any, Any] = (lambda step: step * ms, lambda time: time / ms)
    second = top.secondary_xaxis("top", functions=scale)
    second.set_xlabel("time (ms)")


def _whole_numbers() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins="auto", integer=True)

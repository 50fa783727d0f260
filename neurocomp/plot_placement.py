"""A map of a placement: the tiles of every chip, how full their cores are, and which populations lie on them."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from neurocomp.ir.placement.result import Core, Placement
from neurocomp.plot import COLOURS, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES = 0.95  # of a tile
GAP = 0.12  # between tiles, as a share of a tile
LEGEND = 24  # populations that are named
HATCHES = ("", "///", "...", "xxx")  # tell populations of the same colour apart
FILL = "Greys"


def placement_map(placement: Placement, path: str | os.PathLike[str] | None = None) -> Figure:
    """Every tile of the chips in use, with its cores: the grey says how much of its fullest limit a core takes, the bar at
    its foot which populations lie on it, in proportion to their neurons.

    path: also write it there (.png, .svg or .pdf).
    """
    chip = placement.chip
    used = sorted({core.chip for core in placement.cores})
    across = min(math.ceil(math.sqrt(placement.chips)), len(used))
    down = -(-len(used) // across)
    scale = INCHES / max(1.0, math.sqrt(len(used)) / 2)
    width, height = across * chip.columns * scale + 2.6, down * chip.rows * scale + 1.4
    figure = new_figure(max(width, 6.0), max(height, 3.0))
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis in axes[len(used) :]:
        axis.set_axis_off()
    names = {name: k for k, name in enumerate(placement.populations)}
    on_core = _on_core(placement)
    for number, axis in zip(used, axes, strict=False):
        _tiles(axis, placement)
        for position, core in enumerate(placement.cores):
            if core.chip == number:
                _core(axis, placement, core, on_core[position], names)
        axis.set_title(f"chip {number}" if placement.chips > 1 else "", loc="left", fontsize="medium")
    _legend(figure, placement, names)
    _scale(figure, axes[: len(used)].tolist())
    figure.suptitle(
        f"{placement.network} on {chip.name}: {len(placement.cores)} cores, {placement.messages:.4g} messages between cores "
        f"and {placement.hops:.4g} hops per step",
        fontsize="medium",
    )
    if path is not None:
        save_figure(figure, path)
    return figure


def _on_core(placement: Placement) -> list[dict[str, int]]:
    """Neurons by population on every core."""
    result: list[dict[str, int]] = [{} for _ in placement.cores]
    for piece in placement.slices:
        result[piece.core][piece.population] = result[piece.core].get(piece.population, 0) + piece.size
    return result


def _tiles(axis: Axes, placement: Placement) -> None:
    """The mesh: an outline for every tile and one for every core, empty ones too."""
    from matplotlib.patches import Rectangle

    chip = placement.chip
    for y in range(chip.rows):
        for x in range(chip.columns):
            box = Rectangle((x + GAP / 2, y + GAP / 2), 1 - GAP, 1 - GAP, fill=False, edgecolor="#b0b0b0", linewidth=0.6)
            axis.add_patch(box)
    axis.set_xlim(0, chip.columns)
    axis.set_ylim(chip.rows, 0)
    axis.set_aspect("equal")
    axis.set_xticks([x + 0.5 for x in range(chip.columns)], [str(x) for x in range(chip.columns)], fontsize="x-small")
    axis.set_yticks([y + 0.5 for y in range(chip.rows)], [str(y) for y in range(chip.rows)], fontsize="x-small")
    axis.set_xlabel("tile x", fontsize="small")
    axis.set_ylabel("tile y", fontsize="small")
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _core(axis: Axes, placement: Placement, core: Core, held: dict[str, int], names: dict[str, int]) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    chip = placement.chip
    side = math.ceil(math.sqrt(chip.cores_per_tile))
    size = (1 - GAP) / side
    slot = core.number % chip.cores_per_tile
    left = core.tile[0] + GAP / 2 + slot % side * size
    top = core.tile[1] + GAP / 2 + slot // side * size
    full = max(core.utilisation(chip).values())
    axis.add_patch(Rectangle((left, top), size, size, facecolor=colormaps[FILL](0.85 * full), edgecolor="white", linewidth=1.2))
    total, start = sum(held.values()), left
    for name, count in held.items():
        width = size * count / total
        style = _style(names[name])
        axis.add_patch(Rectangle((start, top + 0.62 * size), width, 0.38 * size, linewidth=0.4, edgecolor="white", **style))
        start += width


def _style(number: int) -> dict[str, Any]:
    hatch = HATCHES[number // len(COLOURS) % len(HATCHES)]
    return {"facecolor": COLOURS[number % len(COLOURS)], "hatch": hatch or None}


def _legend(figure: Figure, placement: Placement, names: dict[str, int]) -> None:
    from matplotlib.patches import Patch

    shown = list(names)[:LEGEND]
    handles = []
    for name in shown:
        pieces = placement.populations[name]
        neurons, cores = sum(piece.size for piece in pieces), len({piece.core for piece in pieces})
        label = f"{name}: {neurons} on {cores} core{'' if cores == 1 else 's'}"
        handles.append(Patch(label=label, edgecolor="white", linewidth=0.4, **_style(names[name])))
    if len(names) > LEGEND:
        handles.append(Patch(label=f"and {len(names) - LEGEND} more", facecolor="none"))
    figure.legend(handles=handles, loc="outside right upper", fontsize="small", frameon=False, title="population: neurons")


def _scale(figure: Figure, axes: list[Axes]) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    from matplotlib import colormaps  # isort: skip

    shades = LinearSegmentedColormap.from_list("fill", [colormaps[FILL](0.85 * k / 20) for k in range(21)])
    bar = figure.colorbar(ScalarMappable(Normalize(0, 100), shades), ax=axes, location="bottom", shrink=0.5, aspect=40)
    bar.set_label("% of the core's fullest limit", fontsize="small")

"""The quantisation report as one self-contained HTML page: no scripts, no files beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from string import Template

import numpy as np

from neurocomp.ir.quantisation.ranges import LIMIT, Bounds
from neurocomp.quantisation_figures import QuantisationFigures, Range
from neurocomp.spike_changes import PopulationSpikes

MOST_DOTS = 2000  # of a scatter plot
SIDE = 180  # pixels of a scatter plot

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
:root { color-scheme: light dark; --line: #8884; --same: #4c9a6a; --shifted: #d9a441; --removed: #c4553d; --added: #7a5fb8; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .7rem; border-bottom: 1px solid var(--line); }
td.n { text-align: right; font-variant-numeric: tabular-nums; } .scroll { overflow-x: auto; }
.bar { display: flex; height: 1rem; min-width: 12rem; } .bar i { display: block; }
.same { background: var(--same); } .shifted { background: var(--shifted); }
.removed { background: var(--removed); } .added { background: var(--added); }
.key i { display: inline-block; width: .8rem; height: .8rem; margin: 0 .3rem 0 1rem; }
.big { font-size: 1.6rem; margin-right: 2rem; } .big small { font-size: .8rem; display: block; }
.row { display: flex; flex-wrap: wrap; gap: 1.5rem; } figure { margin: 0; } figcaption { font-size: .85rem; }
.warn { color: var(--removed); } svg { border: 1px solid var(--line); } circle { fill: var(--same); fill-opacity: .5; }
</style></head><body>
<h1>$title</h1>
<p>$summary</p>
<p class="row">$headline</p>
<h2>Spikes</h2>
<p class="key"><i class="same"></i>same step<i class="shifted"></i>shifted by up to $tolerance steps
<i class="removed"></i>only in float<i class="added"></i>only in Loihi's integers</p>
<div class="scroll"><table><tr><th>population</th><th>float</th><th>loihi</th><th></th>
<th>shifted</th><th>removed</th><th>added</th><th>rate correlation</th><th>first difference</th></tr>
$populations</table></div>
<h2>Rates</h2>
<p>Spikes per step of each neuron, float across and Loihi upwards.</p>
<div class="row">$scatters</div>
<h2>Ranges</h2>
<p>Largest |u| and |v| of 2<sup>23</sup>; u wraps around beyond it, v saturates.</p>
<div class="scroll"><table><tr><th>population</th><th>u, worst case</th><th>u, observed</th>
<th>v, worst case</th><th>v, observed</th><th></th></tr>
$ranges</table></div>
<h2>What was changed</h2>
<div class="scroll"><table><tr><th>where</th><th>before</th><th>after</th><th>why</th></tr>
$changes</table></div>
</body></html>
""")


def page(report: QuantisationFigures) -> str:
    """The page's text."""
    options = report.quantise
    summary = (
        f"strategy {options.strategy}, {options.num_weight_bits}-bit weights; {report.samples} samples of {report.steps} "
        "steps, the same inputs in float arithmetic and in Loihi's integers"
    )
    return _PAGE.substitute(
        title=escape(f"{report.network}: what quantisation changed"),
        summary=escape(summary),
        headline=_headline(report),
        tolerance=report.tolerance,
        populations="\n".join(_population(x) for x in report.populations),
        scatters="\n".join(_scatter(x) for x in report.populations),
        ranges="\n".join(_range(x) for x in report.ranges),
        changes="\n".join(_row([x.subject, x.before, x.after, x.why]) for x in report.changes),
    )


def _headline(report: QuantisationFigures) -> str:
    numbers = []
    if report.float_accuracy is not None and report.loihi_accuracy is not None:
        numbers.append((f"{report.float_accuracy:.2%} → {report.loihi_accuracy:.2%}", "accuracy, float → loihi"))
    if report.agreement is not None:
        numbers.append((f"{report.agreement:.2%}", "same answer"))
    spikes = sum(x.float_spikes for x in report.populations)
    same = sum(x.same for x in report.populations)
    numbers.append((f"{same / spikes:.2%}" if spikes else "none", "of the float spikes kept at their step"))
    clipped = [sum(x) for x in zip(*report.clipped.values(), strict=True)] or [0, 0]
    numbers.append((f"{clipped[0]} of {clipped[1]}", "weights clipped"))
    return "".join(f'<span class="big">{escape(x)}<small>{escape(what)}</small></span>' for x, what in numbers)


def _population(row: PopulationSpikes) -> str:
    parts = [("same", row.same), ("shifted", row.shifted), ("removed", row.removed), ("added", row.added)]
    total = max(sum(x for _, x in parts), 1)
    bar = "".join(f'<i class="{kind}" style="width:{count / total:.3%}"></i>' for kind, count in parts if count)
    first = row.first
    where = "identical" if first is None else f"sample {first.sample}, step {first.step}, neuron {first.neuron}"
    correlation = "" if row.correlation is None else f"{row.correlation:.4f}"
    numbers = "".join(f'<td class="n">{x}</td>' for x in (row.shifted, row.removed, row.added, correlation))
    counts = f'<td class="n">{row.float_spikes}</td><td class="n">{row.loihi_spikes}</td>'
    return f'<tr><td>{escape(row.name)}</td>{counts}<td><div class="bar">{bar}</div></td>{numbers}<td>{where}</td></tr>'


def _scatter(row: PopulationSpikes) -> str:
    """Neurons as dots, at most `MOST_DOTS` of them; those on the diagonal kept their rate."""
    rates = row.rates[:, :: max(1, -(-row.neurons // MOST_DOTS))]
    top = float(rates.max(initial=0.0)) or 1.0
    dots = np.unique(np.rint(rates / top * (SIDE - 10)).astype(int) + 5, axis=1)
    circles = "".join(f'<circle cx="{x}" cy="{SIDE - y}" r="2"/>' for x, y in dots.T)
    line = f'<line x1="5" y1="{SIDE - 5}" x2="{SIDE - 5}" y2="5" stroke="#8888"/>'
    caption = f"{escape(row.name)}, up to {top:.3g}"
    svg = f'<svg width="{SIDE}" height="{SIDE}" role="img" aria-label="rates of {escape(row.name)}">{line}{circles}</svg>'
    return f"<figure>{svg}<figcaption>{caption}</figcaption></figure>"


def _range(row: Range) -> str:
    def size(bounds: Bounds, state: str) -> str:
        value = bounds.largest_u if state == "u" else bounds.largest_v
        return "no bound" if math.isinf(value) else f"{value / LIMIT:.2%}"

    cells = [size(bounds, state) for state in "uv" for bounds in (row.worst, row.observed)]
    warning = [
        f"{what}: sample {at.sample}, step {at.step}, neuron {at.neuron}"
        for what, at in (("u wrapped", row.wrap), ("v saturated", row.saturation))
        if at is not None
    ]
    numbers = "".join(f'<td class="n">{x}</td>' for x in cells)
    return f'<tr><td>{escape(row.name)}</td>{numbers}<td class="warn">{escape("; ".join(warning))}</td></tr>'


def _row(cells: Sequence[str] | Iterable[str]) -> str:
    return "<tr>" + "".join(f"<td>{escape(x)}</td>" for x in cells) + "</tr>"

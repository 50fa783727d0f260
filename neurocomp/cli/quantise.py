"""`neurocomp quantise`: a float network in Loihi's integers, and what that did to its spikes."""

from __future__ import annotations

import json
from typing import Any, get_args

import click

from neurocomp.cli.common import Real, input_options, load_model, model_argument, nir_options
from neurocomp.cli.inputs import gather
from neurocomp.ir.files import write_text
from neurocomp.ir.passes import Quantise
from neurocomp.ir.quantisation.weights import Strategy
from neurocomp.ir.storage import save
from neurocomp.quantisation import quantisation_report


@click.command(name="quantise")
@model_argument
@nir_options
@input_options
@click.option(
    "--strategy", type=click.Choice(get_args(Strategy)), default="mse", show_default=True, help="How to scale weights."
)
@click.option("--bits", type=click.IntRange(2, 8), default=8, show_default=True, help="Bits of a weight.")
@click.option(
    "--percentile",
    type=Real(0, 100, min_open=True),
    default=99.9,
    show_default=True,
    help="Of |w|, for that strategy.",
)
@click.option("--split", is_flag=True, help="Give target neurons with small weights a projection with its own exponent.")
@click.option("--accept-wrap", is_flag=True, help="Go on where a current could wrap around in the worst case.")
@click.option(
    "--tolerance", type=click.IntRange(min=0), default=2, show_default=True, help="Steps within which a spike is shifted."
)
@click.option("--target", default="cpu", show_default=True, help="Backend that runs both networks.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the report to this .html page (or .json).")
@click.option("--save", "stored", type=click.Path(dir_okay=False), help="Write the quantised network to this file.")
@click.option("--explain", is_flag=True, help="Also print everything that was rounded, clipped or moved.")
def command(
    model: str,
    dt: float | None,
    dialect: str,
    source: str | None,
    rate: float | None,
    seed: int,
    steps: int | None,
    strategy: Strategy,
    bits: int,
    percentile: float,
    split: bool,
    accept_wrap: bool,
    tolerance: int,
    target: str,
    out: str | None,
    stored: str | None,
    explain: bool,
) -> None:
    """Turn MODEL into Loihi's integers, and compare its spikes with the float network's on the same input.

    Strategies: max (largest weight just fits), percentile (of the weights), mse (least squared error of the weights), calibrate
    (by the spikes on the input given). Input files are those of `neurocomp run`.

    \b
    Example
      neurocomp quantise model.neurocomp --random 0.1 --steps 200 --out report.html --save model-loihi.neurocomp
    """  # noqa: D301 - click's mark of a block that keeps its lines
    net = load_model(model, dt, dialect)
    inputs, length = gather(net, source, rate, seed, steps)
    samples: dict[str, Any] = {"samples": [inputs], "steps": length} if strategy == "calibrate" else {}
    quantise = Quantise(strategy, num_weight_bits=bits, percentile=percentile, split=split, accept_wrap=accept_wrap, **samples)
    report = quantisation_report(net, inputs, length, quantise=quantise, target=target, tolerance=tolerance)
    click.echo(report.explain() if explain else report.text)
    if out and out.endswith(".json"):
        write_text(out, json.dumps(report.to_dict(), indent=2, allow_nan=False))
        click.echo(f"report: {out}")
    elif out:
        click.echo(f"report: {report.to_html(out)}")
    if stored:
        click.echo(f"network: {save(report.quantised, stored)}")
        open_ends = [x.name for x in report.ranges if x.worst.wraps]
        if open_ends:
            click.echo(
                f"the current of {', '.join(open_ends)} is not proven to stay within 24 bits: compile it with accept_wrap=True"
            )

"""`neurocomp energy`: what a network costs on a chip."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console

from neurocomp.cli.common import (
    Real,
    compiler_options,
    input_options,
    load_model,
    model_argument,
    nir_options,
    picture,
    writable,
)
from neurocomp.cli.inputs import gather
from neurocomp.energy.profile import names
from neurocomp.energy.rapl import measure
from neurocomp.energy.report import DEFAULT, energy
from neurocomp.energy.words import WIDTH
from neurocomp.ir.errors import InputError
from neurocomp.ir.placement import PlacementError
from neurocomp.plot_energy import energy_figure
from neurocomp.program import compile as compile_network

DOES_NOT_FIT = 1


@click.command(name="energy")
@model_argument
@nir_options
@input_options
@click.option(
    "--profile",
    "profiles",
    default=",".join(DEFAULT),
    show_default=True,
    metavar="A,B,...",
    help="Chips by whose prices to count: names, .toml files, or 'all'. The report is by the first.",
)
@click.option(
    "--pace",
    default="real-time",
    show_default=True,
    metavar="PACE",
    help="How long a step lasts: real-time (the network's dt), fast (as the profile's times say), or seconds.",
)
@click.option("--static", "static_power", type=Real(min=0), metavar="WATTS", help="Static power per chip instead.")
@click.option("--trace", "traces", multiple=True, metavar="PATH", help="Print where a number comes from, such as dynamic.h.")
@click.option("--target", default="cpu", show_default=True, help="The backend of the run that is counted.")
@click.option("--html", type=click.Path(dir_okay=False), callback=writable, help="Write the report to this page.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False), callback=writable, help="Write it to this .json file.")
@click.option(
    "--csv", "csv_file", type=click.Path(dir_okay=False), callback=writable, help="Write counts and prices to this .csv file."
)
@click.option(
    "--figure", "drawing", type=click.Path(dir_okay=False), callback=picture, help="Draw it to a .png, .svg or .pdf file."
)
@compiler_options
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    dt: float | None,
    dialect: str,
    source: str | None,
    rate: float | None,
    seed: int,
    steps: int | None,
    profiles: str,
    pace: str,
    static_power: float | None,
    traces: tuple[str, ...],
    target: str,
    html: str | None,
    json_file: str | None,
    csv_file: str | None,
    drawing: str | None,
    arithmetic: str | None,
    mantissa_bits: int,
    options: dict[str, Any],
) -> None:
    """Count what MODEL does on its input, and price it by published numbers of chips.

    Every number has a range and a source; what has no published price is said to have none. Input files are those of
    `neurocomp run`.

    \b
    Examples
      neurocomp energy model.neurocomp --input spikes.npz --profile loihi1-sanafe,truenorth --html energy.html
      neurocomp energy model.neurocomp --random 0.1 --steps 100 --trace dynamic.h

    Exit codes: 0 fine, 1 the network does not fit the first profile's chip, 2 the command could not be carried out.
    """  # noqa: D301 - click's mark of a block that keeps its lines
    wanted = [x.strip() for x in profiles.split(",") if x.strip()]
    if "all" in wanted:
        wanted = list(dict.fromkeys([*(x for x in wanted if x != "all"), *names()]))
    net = load_model(model, dt, dialect)
    inputs, length = gather(net, source, rate, seed, steps)
    program = compile_network(net, target, arithmetic=arithmetic, mantissa_bits=mantissa_bits, **options)
    with measure() as measured:
        recording = program.run(inputs, length)
    try:
        report = energy(program, recording, wanted, pace=_pace(pace), static_power=static_power, measured=measured)
    except PlacementError as error:
        click.echo(f"Does not fit: {error}", err=True)
        ctx.exit(DOES_NOT_FIT)
    console = Console()
    console.print(report, width=None if console.is_terminal else max(console.width, WIDTH))
    for path in traces:
        click.echo(f"\n{report.trace(path)}")
    for what, target_file, write in (
        ("page", html, report.to_html),
        ("JSON", json_file, report.to_json),
        ("CSV", csv_file, report.to_csv),
    ):
        if target_file:
            click.echo(f"{what}: {write(target_file)}")
    if drawing:
        energy_figure(report, drawing)
        click.echo(f"figure: {drawing}")


def _pace(text: str) -> str | float:
    if text in ("real-time", "fast"):
        return text
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--pace is real-time, fast or seconds per step such as 1e-4, not '{text}'") from None

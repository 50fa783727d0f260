"""`neurocomp place`: which core of a chip holds which neurons, and what that costs in messages."""

from __future__ import annotations

import json

import click

from neurocomp.cli.common import input_options, load_model, model_argument, nir_options
from neurocomp.cli.inputs import gather
from neurocomp.ir.passes import standard
from neurocomp.ir.passes.place import PARTITIONERS, RATE, Recorded, place
from neurocomp.ir.placement import PlacementError
from neurocomp.ir.verify import verify
from neurocomp.plot_placement import placement_map
from neurocomp.program import compile as compile_network

DOES_NOT_FIT = 1


@click.command(name="place")
@model_argument
@nir_options
@click.option("--chip", default="loihi2", show_default=True, help="loihi1, loihi2, or a .toml file that describes a chip.")
@click.option("--chips", type=click.IntRange(min=1), default=1, show_default=True, help="How many chips may be used.")
@click.option(
    "--partitioner", type=click.Choice(PARTITIONERS), default="auto", show_default=True, help="See docs/placement.md."
)
@input_options
@click.option("--target", default="cpu", show_default=True, help="The backend of the run that counts spikes.")
@click.option("--json", "as_json", is_flag=True, help="Print the placement as JSON.")
@click.option("--png", "picture", type=click.Path(dir_okay=False), help="Draw the map to this .png, .svg or .pdf file.")
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    dt: float | None,
    dialect: str,
    chip: str,
    chips: int,
    partitioner: str,
    source: str | None,
    rate: float | None,
    seed: int,
    steps: int | None,
    target: str,
    as_json: bool,
    picture: str | None,
) -> None:
    """Place MODEL on the cores of a chip: slices, how full each core is, messages and hops.

    With input (files as for `neurocomp run`, or --random) the network is run and its spikes are the messages; without,
    every neuron is taken to spike 0.01 times a step.

    \b
    Examples
      neurocomp place model.neurocomp --chip loihi1
      neurocomp place model.neurocomp --random 0.1 --steps 200 --png map.png

    Exit codes: 0 it fits, 1 it does not fit (the message says what is exceeded), 2 the command could not be carried out.
    """  # noqa: D301 - click's mark of a block that keeps its lines
    net = load_model(model, dt, dialect)
    recording: Recorded | None = None
    if source is not None or rate is not None:
        inputs, length = gather(net, source, rate, seed, steps)
        program = compile_network(net, target)
        lowered, recording = program.lowered, program.run(inputs, length)
    else:
        verify(net)
        lowered = standard()(net)
    try:
        placement = place(lowered, chip, chips=chips, recording=recording, partitioner=partitioner, seed=seed, rate=RATE)
    except PlacementError as error:
        click.echo(f"Does not fit: {error}", err=True)
        ctx.exit(DOES_NOT_FIT)
    click.echo(json.dumps(placement.to_dict(), indent=2, allow_nan=False) if as_json else placement.text)
    if picture:
        placement_map(placement, picture)
        click.echo(f"map: {picture}", err=as_json)

"""`neurocomp run`: run a network on a backend, and keep or draw what it did."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table

from neurocomp.chunks import run_in_chunks
from neurocomp.cli.common import (
    compiler_options,
    input_options,
    load_model,
    model_argument,
    nir_options,
    picture,
    progress,
    writable,
)
from neurocomp.cli.inputs import gather
from neurocomp.ir.network import Network
from neurocomp.plot import raster as draw_raster
from neurocomp.program import compile as compile_network
from neurocomp.recording import Recording


@click.command(name="run")
@model_argument
@nir_options
@input_options
@click.option("--target", default="cpu", show_default=True, help="The backend: cpu, reference or lava.")
@click.option(
    "--record",
    multiple=True,
    default=("spikes",),
    show_default=True,
    help="What to keep: 'spikes' (of all nodes), a node's name, or 'population.state'. May be repeated.",
)
@click.option("--out", type=click.Path(dir_okay=False), callback=writable, help="Write what was recorded to this .npz file.")
@click.option(
    "--raster",
    "raster",
    type=click.Path(dir_okay=False),
    callback=picture,
    help="Draw the spikes to this .png, .svg or .pdf file.",
)
@compiler_options
def command(
    model: str,
    dt: float | None,
    dialect: str,
    source: str | None,
    rate: float | None,
    seed: int,
    steps: int | None,
    target: str,
    record: tuple[str, ...],
    out: str | None,
    raster: str | None,
    arithmetic: str | None,
    mantissa_bits: int,
    options: dict[str, Any],
) -> None:
    """Run MODEL and print what it did.

    \b
    Input files:
      .npy   a raster (steps, *shape), for networks with one input
      .npz   per input a raster NAME, or NAME/times and NAME/ids (and NAME/payload)
      .csv   columns time,id[,payload], for networks with one input

    \b
    Example: 200 steps of random input, the membrane voltages of h, and a picture
      neurocomp run model.neurocomp --random 0.1 --steps 200 --record spikes --record h.v \\
          --out run.npz --raster run.png
    """  # noqa: D301 - click's mark of a block that keeps its lines
    net = load_model(model, dt, dialect)
    inputs, length = gather(net, source, rate, seed, steps)
    program = compile_network(net, target, arithmetic=arithmetic, mantissa_bits=mantissa_bits, **options)
    with progress(net.name) as bar:
        task = bar.add_task(f"on {target}", total=length)
        recording = run_in_chunks(program, inputs, length, record, lambda done: bar.update(task, completed=done))
    _print(net, recording, target)
    if out:
        click.echo(f"recording: {recording.save(out)}")
    if raster:
        draw_raster(recording, raster, title=net.name)
        click.echo(f"raster: {raster}")


def _print(net: Network, recording: Recording, target: str) -> None:
    seconds = recording.steps * recording.dt
    click.echo(f"{net.name} on {target}: {recording.steps} steps ({seconds:g} s) in {recording.seconds:.3g} s")
    nodes = Table("node", "neurons", "spikes", "rate (Hz)")
    for name, count in recording.counters.spikes.items():
        size = net.node(name).size
        nodes.add_row(name, str(size), str(count), f"{count / size / seconds:.4g}")
    edges = Table("projection", "synaptic events")
    for name, count in recording.counters.events.items():
        edges.add_row(name, str(count))
    console = Console()
    console.print(nodes)
    if recording.counters.events:
        console.print(edges)

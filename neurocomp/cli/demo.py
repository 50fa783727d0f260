"""`neurocomp demo`: the whole road on one page: train, convert, compile, run everywhere, compare, count."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from neurocomp.cli.common import progress
from neurocomp.demo import print_result, run_demo

FAILED = 1


@click.command(name="demo")
@click.option(
    "--output", type=click.Path(file_okay=False), default="neurocomp-demo", show_default=True, help="Folder to write to."
)
@click.option("--targets", metavar="A,B,...", help="Backends to use; missing ones are skipped.  [default: all]")
@click.option("--steps", type=click.IntRange(min=1), default=32, show_default=True, help="Time steps per digit.")
@click.option("--compared", type=click.IntRange(min=1), default=50, show_default=True, help="Digits compared on all backends.")
@click.pass_context
def command(ctx: click.Context, output: str, targets: str | None, steps: int, compared: int) -> None:
    """Train a classifier of handwritten digits, turn it into a spiking network, and run it on every backend.

    Prints the accuracy before and after, whether all backends gave the same spikes and states, what one answer costs in
    events and energy, and the time of each stage. Writes a picture of one run, a page about the energy, the network and its
    input to the output folder.

    \b
    Example
      neurocomp demo
      neurocomp run neurocomp-demo/digits.neurocomp --input neurocomp-demo/digit.npz --steps 32

    Exit code 1 if any backend differs or the accuracy is below what is promised. Needs "neurocomp[demo]".
    """  # noqa: D301 - click's mark of a block that keeps its lines
    wanted = [x.strip() for x in targets.split(",") if x.strip()] if targets is not None else None
    with progress("demo:") as bar:
        task = bar.add_task("starting", total=None)
        result = run_demo(
            Path(output),
            wanted,
            steps=steps,
            compared=compared,
            progress=lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total or None),
        )
    print_result(result, Console())
    if not result.ok:
        ctx.exit(FAILED)

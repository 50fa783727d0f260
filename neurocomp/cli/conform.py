"""`neurocomp conform`: whether several backends give the same spikes and states."""

from __future__ import annotations

import json
from typing import Any

import click

from neurocomp.cli.common import compiler_options, input_options, load_model, model_argument, nir_options
from neurocomp.cli.inputs import gather
from neurocomp.conform import conform

DIFFERENT, NOTHING_COMPARED = 1, 2


@click.command(name="conform")
@model_argument
@nir_options
@input_options
@click.option(
    "--targets",
    metavar="A,B,...",
    help="Backends to compare, the first being the one all others are compared with. Each must run.  "
    "[default: all that can run here]",
)
@click.option("--states/--no-states", default=True, show_default=True, help="Also compare every state at every step.")
@click.option(
    "--passes",
    is_flag=True,
    help="Also say which passes change the reference's spikes; done by itself where a backend differs.",
)
@click.option("--accept-wrap", is_flag=True, help="Go on where a current of Loihi's arithmetic could wrap around.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
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
    targets: str | None,
    states: bool,
    passes: bool,
    accept_wrap: bool,
    as_json: bool,
    arithmetic: str | None,
    mantissa_bits: int,
    options: dict[str, Any],
) -> None:
    """Run MODEL on several backends and compare spikes, states and event counters bit for bit.

    Says "identical", or where each backend first parts from the first one: step, population, neuron, the state on both
    sides, the spikes that reached it, and the pass after which the two programs differ. Input files are those of
    `neurocomp run`.

    \b
    Example
      neurocomp conform model.neurocomp --targets reference,cpu,lava --random 0.1 --steps 100

    Exit codes: 0 identical, 1 different, 2 nothing could be compared.
    """  # noqa: D301 - click's mark of a block that keeps its lines
    net = load_model(model, dt, dialect)
    inputs, length = gather(net, source, rate, seed, steps)
    wanted = [x.strip() for x in targets.split(",") if x.strip()] if targets is not None else None
    choices: dict[str, Any] = {"states": states, "mantissa_bits": mantissa_bits, "accept_wrap": accept_wrap}
    choices |= {"passes": passes or None, "arithmetic": arithmetic}
    report = conform(net, inputs, length, wanted, **choices, **options)
    click.echo(json.dumps(report.to_dict(), indent=2, allow_nan=False) if as_json else report.text)
    if not report.identical:
        ctx.exit(DIFFERENT if len(report.compared) > 1 else NOTHING_COMPARED)

"""`neurocomp show`: a network as text, as written or as the compiler sees it."""

from __future__ import annotations

import click

from neurocomp.cli.common import arithmetic_option, load_model, model_argument, nir_options
from neurocomp.ir.network import Network
from neurocomp.ir.passes import Pass, Quantise, standard
from neurocomp.ir.text import text

WHERE = {"quantise": "loihi", "narrow": "float32"}  # passes that only run on the way to an arithmetic
PASSES = tuple(step.name for step in standard(quantise=Quantise(), narrow=True).passes)


@click.command(name="show")
@model_argument
@nir_options
@click.option("--compiled", is_flag=True, help="After all passes, as a backend gets it.")
@click.option("--after", type=click.Choice(PASSES), help="After this pass and those before it.")
@click.option("--passes", "between", is_flag=True, help="Print the network after each pass.")
@click.option("--explain", is_flag=True, help="List every change the compiler makes, with its reason.")
@arithmetic_option
@click.option(
    "--mantissa-bits", type=click.IntRange(2, 31), default=24, show_default=True, help="Precision of the weight grid."
)
def command(
    model: str,
    dt: float | None,
    dialect: str,
    compiled: bool,
    after: str | None,
    between: bool,
    explain: bool,
    arithmetic: str | None,
    mantissa_bits: int,
) -> None:
    """Print MODEL as text: inputs, populations with their parameters, projections.

    The text is stable, so two models, or one before and after a pass, can be compared with diff.

    \b
    Examples
      neurocomp show model.neurocomp                    as written
      neurocomp show model.neurocomp --after retime     with the lags that give every hop a step
      neurocomp show model.neurocomp --compiled --explain
      neurocomp show model.neurocomp --arithmetic loihi --after quantise
    """  # noqa: D301 - click's mark of a block that keeps its lines
    net = load_model(model, dt, dialect)
    if after is None and not (compiled or between or explain):
        click.echo(text(net))
        return
    if between:
        click.echo(f"--- as written\n{text(net)}")
    lowered = net
    for step in _until(after, mantissa_bits, arithmetic):
        lowered = step(lowered)
        if between:
            click.echo(f"\n--- after {step.name}\n{text(lowered)}")
    if explain:
        _explain(lowered)
    if not between and (compiled or after is not None):
        click.echo(text(lowered))


def _until(after: str | None, mantissa_bits: int, arithmetic: str | None) -> tuple[Pass, ...]:
    quantise = Quantise() if arithmetic == "loihi" else None
    passes = standard(mantissa_bits, None, quantise, arithmetic == "float32").passes
    names = [step.name for step in passes]
    if after is not None and after not in names:
        raise click.UsageError(f"'{after}' only runs with --arithmetic {WHERE[after]}")
    return passes if after is None else passes[: names.index(after) + 1]


def _explain(lowered: Network) -> None:
    for change in lowered.changes:
        click.echo(str(change))
    click.echo("")

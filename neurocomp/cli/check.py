"""`neurocomp check`: what of a NIR file can be run, node by node."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from neurocomp.cli.common import model_argument, nir_options
from neurocomp.importers.nir.check import GraphReport, check

UNSUPPORTED = 1


@click.command(name="check")
@model_argument
@nir_options
@click.option("--targets/--no-targets", default=True, show_default=True, help="Also ask every backend.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def command(ctx: click.Context, model: str, dt: float | None, dialect: str, targets: bool, as_json: bool) -> None:
    """Say what of the NIR file MODEL is supported, node by node, without running it.

    \b
    Example
      neurocomp check model.nir --dialect snntorch

    Exit codes: 0 everything is supported, 1 something is not, 2 the file cannot be read.
    """  # noqa: D301 - click's mark of a block that keeps its lines
    report = check(model, dt=dt, dialect=dialect, targets=targets)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2, allow_nan=False))
    else:
        _print(report)
    if not report.ok:
        ctx.exit(UNSUPPORTED)


def _print(report: GraphReport) -> None:
    console = Console(soft_wrap=True)
    version = f", written by nir {report.version}" if report.version else ""
    console.print(escape(f"{report.source}: {len(report.nodes)} nodes{version}; dialect {report.dialect}"))
    table = Table("", "node", "type", "becomes")
    for node in report.nodes:
        table.add_row("ok" if node.ok else "[red]NO[/red]", escape(node.name), node.type, escape(node.message or node.becomes))
    console.print(table)
    for problem in report.problems:
        console.print(f"[red]problem[/red]: {escape(problem)}")
    for note in report.notes:
        console.print(escape(f"note: {note.subject}: {note.before} -> {note.after} ({note.why})"))
    for target, reason in report.targets.items():
        console.print(escape(f"{target}: {reason or 'runs it'}"))
    console.print("supported" if report.ok else "[red]not supported[/red]")

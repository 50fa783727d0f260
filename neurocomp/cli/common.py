"""Options and helpers that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Function = Callable[..., Any]


def model_argument(function: Function) -> Function:
    """MODEL: a network file."""
    return click.argument("model", type=click.Path())(function)


def input_options(function: Function) -> Function:
    """--input, --random, --seed and --steps, read by `neurocomp.cli.inputs.gather`."""
    for option in (
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of --random."),
        click.option(
            "--random",
            "rate",
            type=click.FloatRange(0, 1),
            metavar="RATE",
            help="Random input instead: every input neuron spikes with this probability per step (0..1).",
        ),
        click.option(
            "--input",
            "source",
            type=click.Path(),
            metavar="FILE",
            help="Spikes of the inputs: .npy, .npz or .csv, see above.",
        ),
        click.option("--steps", type=click.IntRange(min=1), help="Number of time steps  [default: length of the raster]"),
    ):
        function = option(function)
    return function


def compiler_options(function: Function) -> Function:
    """--mantissa-bits and --option."""
    for option in (
        click.option(
            "--option",
            "-o",
            "options",
            multiple=True,
            metavar="KEY=VALUE",
            callback=_parse_options,
            help="An option of the backend, such as threads=2 (cpu) or timeout=60 (lava). May be repeated.",
        ),
        click.option(
            "--mantissa-bits",
            type=click.IntRange(2, 31),
            default=24,
            show_default=True,
            help="Precision of the weight grid.",
        ),
    ):
        function = option(function)
    return function


def progress(description: str) -> Progress:
    """A progress bar on stderr, shown only where someone is watching."""
    console = Console(stderr=True)
    columns = (TextColumn(f"{description} {{task.description}}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal)


def _parse_options(ctx: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"'{pair}' is not of the form KEY=VALUE, for example threads=2", ctx, parameter)
        result[key] = _value(value)
    return result


def _value(text: str) -> Any:
    """An int, float or bool where it reads as one, else the text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

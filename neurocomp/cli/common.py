"""Options and helpers that several commands share."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from neurocomp.ir.errors import InputError
from neurocomp.ir.network import Network
from neurocomp.ir.program import DTYPES
from neurocomp.ir.storage import load

Function = Callable[..., Any]


class Real(click.FloatRange):
    """A finite number within limits: "nan" is in every range of click's."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what is no finite number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


def writable(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Callback of options that name a file to write: refuse before the work is done, not after it."""
    folder = Path(value).absolute().parent if value else None
    if folder is not None and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise click.BadParameter(f"{value}: the folder {folder} does not exist or cannot be written to")
    return value


def picture(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """As `writable`, for pictures: the ending must be one that can be drawn."""
    if value and Path(value).suffix.lower() not in (".png", ".svg", ".pdf"):
        raise click.BadParameter(f"'{value}' does not end in .png, .svg or .pdf")
    return writable(context, option, value)


def model_argument(function: Function) -> Function:
    """MODEL: a network file."""
    return click.argument("model", type=click.Path())(function)


def nir_options(function: Function) -> Function:
    """--dt and --dialect, for models that are .nir files."""
    for option in (
        click.option(
            "--dialect",
            default="nir",
            show_default=True,
            metavar="NAME",
            help="Of a .nir file: whose reading to follow, such as snntorch, norse, sinabs, rockpool or lava.",
        ),
        click.option(
            "--dt",
            type=Real(0, min_open=True),
            metavar="SECONDS",
            help="Of a .nir file: seconds per step, such as 1e-4, which these files do not say.",
        ),
    ):
        function = option(function)
    return function


def load_model(model: str, dt: float | None = None, dialect: str = "nir") -> Network:
    """The network in a file: `.nir`, lava-dl's `.net`, or the package's own format."""
    if model.lower().endswith(".nir"):
        from neurocomp.importers.nir import from_nir

        return from_nir(model, dt=dt, dialect=dialect)
    if dt is not None or dialect != "nir":
        raise InputError(f"--dt and --dialect are for .nir files; {model} says itself what it is")
    if model.lower().endswith(".net"):
        from neurocomp.importers.lavadl import from_lavadl

        return from_lavadl(model)
    return load(model)


def input_options(function: Function) -> Function:
    """--input, --random, --seed and --steps, read by `neurocomp.cli.inputs.gather`."""
    for option in (
        click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Seed of --random."),
        click.option(
            "--random",
            "rate",
            type=Real(0, 1),
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
        click.option("--steps", type=click.IntRange(1, 2**31), help="Number of time steps  [default: length of the raster]"),
    ):
        function = option(function)
    return function


arithmetic_option = click.option(
    "--arithmetic",
    type=click.Choice(list(DTYPES)),
    help="Of states: float32 needs less memory and time, loihi quantises.  [default: as the neurons are written]",
)


def compiler_options(function: Function) -> Function:
    """--arithmetic, --mantissa-bits and --option."""
    for option in (
        arithmetic_option,
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

"""The command line. Each command is one module here with a click command called `command`; adding one means adding its name."""

from __future__ import annotations

import importlib
import traceback
from typing import Any

import click

import neurocomp
from neurocomp.ir.errors import NeurocompError

COMMANDS: tuple[str, ...] = ("run", "conform", "fuzz", "show", "check", "quantise", "place", "energy", "demo")


BUG = 70  # exit code of a fault of ours (EX_SOFTWARE), so that it is never taken for "different"
INTERRUPTED = 130  # as shells report an end by SIGINT


class Failure(click.ClickException):
    """An error of the user's model, files or machine: one message on stderr, exit code 2."""

    exit_code = 2


class Commands(click.Group):
    """Imports a command's module when the command is used, and prints our errors without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"neurocomp.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run, turning our errors and those of the file system into one readable message."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # click would end with 1, which is "different" here
            click.echo("interrupted", err=True)
            raise SystemExit(INTERRUPTED) from None
        except NeurocompError as error:
            raise Failure(str(error)) from error
        except BrokenPipeError:
            raise  # whoever read has seen enough: click ends quietly
        except OSError as error:
            where = f"{error.filename}: " if error.filename is not None else ""
            raise Failure(f"{where}{error.strerror or error}") from error
        except MemoryError as error:
            raise Failure(f"out of memory ({error}); use fewer steps, records or synapses") from error
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except Exception:
            traceback.print_exc()
            click.echo("This is a fault of neurocomp, not of your model: please report it with the lines above.", err=True)
            raise SystemExit(BUG) from None


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(neurocomp.__version__, prog_name="neurocomp")
def main() -> None:
    """Spiking networks with the same spikes on every backend, bit for bit.

    MODEL is a network file written by neurocomp.save(net, "model.neurocomp").

    \b
    neurocomp demo                                         the whole road, on handwritten digits
    neurocomp show model.neurocomp                         read a network
    neurocomp run model.neurocomp --random 0.1 --steps 100 --raster spikes.png
    neurocomp conform model.neurocomp --random 0.1 --steps 100
    neurocomp quantise model.neurocomp --random 0.1 --steps 100
    neurocomp energy model.neurocomp --random 0.1 --steps 100 --html energy.html

    Exit codes: 0 fine, 1 the comparison or check failed, 2 the command could not be carried out,
    70 a fault of neurocomp itself, 130 interrupted (Ctrl-C).
    """  # noqa: D301 - click's mark of a block that keeps its lines

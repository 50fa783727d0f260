"""`neurocomp fuzz`: random networks on several backends until one of them differs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from neurocomp.cli.common import Real
from neurocomp.conformance.fuzzing import Mismatch, Tally, campaign, seeds_from
from neurocomp.conformance.runs import Target, expected_warnings
from neurocomp.conformance.shrinking import need_hypothesis
from neurocomp.conformance.storage import save_case
from neurocomp.ir.errors import InputError
from neurocomp.ir.program import DTYPES

DIFFERENT = 1
LINE = 60.0  # seconds
LONGEST = 60 * 24 * 365.0


@click.command(name="fuzz")
@click.option("--minutes", type=Real(0, LONGEST, min_open=True), help="Stop after so long  [default: 1]")
@click.option(
    "--networks", type=click.IntRange(1), metavar="N", help="Stop after so many networks instead, or at first of both."
)
@click.option(
    "--targets",
    default="reference,cpu",
    show_default=True,
    metavar="A,B,...",
    help="Backends to compare with the reference, which always runs. Options follow a colon, as in cpu:jit=off.",
)
@click.option(
    "--threads",
    metavar="N,N,...",
    help="Numbers of threads of each target that has them, such as 1,3.  [default: the target's]",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**62), default=0, show_default=True, help="Of the first network; then seed + 1 ..."
)
@click.option("--arithmetic", type=click.Choice(list(DTYPES)), help="Only networks of this arithmetic.  [default: all]")
@click.option(
    "--save", "folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Keep mismatches there, as files."
)
@click.option("--shrink/--no-shrink", default=True, show_default=True, help="Make a failing network as small as possible.")
@click.pass_context
def command(
    ctx: click.Context,
    minutes: float | None,
    networks: int | None,
    targets: str,
    threads: str | None,
    seed: int,
    arithmetic: str | None,
    folder: Path | None,
    shrink: bool,
) -> None:
    """Compare backends on random networks: every neuron, connectivity, delay, learning rule and number format there is.

    Each network is run by the reference and by every target, whole and, where the target can resume, in chunks. Spikes, states
    at every step, weights and event counters must be the same, bit for bit. A network on which they are not is made as
    small as possible by Hypothesis (pip install 'neurocomp[fuzz]') and printed as Python that shows the mismatch.

    \b
    Examples
      neurocomp fuzz --minutes 20 --threads 1,3 --save mismatches
      neurocomp fuzz --targets lava --networks 1000 --minutes 600
      neurocomp fuzz --networks 1 --seed 4711              one network again

    With --save DIR every mismatch becomes three files there, NAME.json, NAME.neurocomp and NAME.npz, that
    `neurocomp conform NAME.neurocomp --input NAME.npz --steps N` runs again, written as soon as it is found. Ctrl-C ends the
    campaign with its summary.

    Exit codes: 0 no mismatch, 1 at least one, 2 nothing could be compared.
    """  # noqa: D301 - click's mark of a block that keeps its lines
    if shrink:
        need_hypothesis()
    chosen = _targets(targets, threads)
    keep = _Keeper(folder)
    limit = minutes if minutes is not None else (LONGEST if networks else 1.0)
    tally = Tally()
    with _progress() as bar:
        task = bar.add_task("", total=networks or limit * 60)
        told = time.monotonic()

        def report(now: Tally) -> None:
            keep(now)
            found = f"{len(now.mismatches)} mismatches"
            text = f"{now.networks} networks, {now.networks / max(now.seconds, 1e-9):.1f}/s, {found}"
            bar.update(task, completed=now.networks if networks else now.seconds, description=text)
            nonlocal told
            if bar.disable and time.monotonic() - told > LINE:  # a log file: a line now and then
                told = time.monotonic()
                click.echo(now.text, err=True)

        until = time.monotonic() + limit * 60
        with expected_warnings():
            campaign(
                seeds_from(seed, networks), chosen, tally, arithmetic=arithmetic, until=until, shrinking=shrink, report=report
            )
    keep(tally)  # an interruption leaves some
    for mismatch, kept in zip(tally.mismatches, keep.told, strict=True):
        click.echo(_described(mismatch))
        click.echo(kept)
    click.echo(tally.text)
    if tally.mismatches:
        ctx.exit(DIFFERENT)
    if not tally.runs and not tally.interrupted:
        raise InputError(f"nothing was compared; {tally.why or 'give it more time or networks'}")


class _Keeper:
    """Keeps mismatches as they are found, so that nothing which ends a campaign loses them. told: what to say of each."""

    def __init__(self, folder: Path | None) -> None:
        self.folder, self.told = folder, list[str]()
        if folder is not None:  # refused before the work is done, not after it
            there = next(x for x in (folder.absolute(), *folder.absolute().parents) if x.exists())
            if not (there.is_dir() and os.access(there, os.W_OK)):
                raise InputError(f"--save {folder}: {there} is not a folder that can be written to")

    def __call__(self, tally: Tally) -> None:
        for mismatch in tally.mismatches[len(self.told) :]:
            self.told.append("" if self.folder is None else self._saved(mismatch, self.folder))

    @staticmethod
    def _saved(mismatch: Mismatch, folder: Path) -> str:
        try:
            return f"kept as {save_case(mismatch.case, folder, f'{mismatch.where}: {mismatch.what}')}\n"
        except OSError as error:  # the others and the summary are still worth having
            return f"not kept in {folder}: {error.strerror}; the Python above makes it again\n"


def _targets(names: str, threads: str | None) -> list[Target]:
    """Every target but the reference, once for each number of threads where it has them."""
    given = [Target.parse(x.strip()) for x in names.split(",") if x.strip() not in ("", "reference")]
    if not given:
        raise InputError("--targets names no backend besides the reference; for example --targets cpu")
    result = []
    for target in given:
        target.need()
        result += _with_threads(target, threads) if threads else [target]
    return result


def _with_threads(target: Target, threads: str) -> list[Target]:
    try:
        numbers = [int(x) for x in threads.split(",")]
    except ValueError:
        raise InputError(f"--threads is a list of whole numbers such as 1,3, not '{threads}'") from None
    try:
        return [Target.parse(f"{target}{',' if target.options else ':'}threads={n}") for n in numbers]
    except InputError:  # it has no threads
        return [target]


def _described(mismatch: Mismatch) -> str:
    parts = (f"{mismatch.original}, {mismatch.where}\n{mismatch.what}", str(mismatch.case.network), mismatch.python)
    return "\n\n".join(["-" * 88, *parts])


def _progress() -> Progress:
    """On stderr, only where someone is watching."""
    console = Console(stderr=True)
    columns = (TextColumn("fuzz {task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)

"""The demonstration: handwritten digits from a trained perceptron to the same spikes on every backend.

The scale of the features and the regularisation were chosen by cross-validation within the training set, the number of steps
on a validation part of it; the held-out third is only there to measure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from neurocomp.conform import ConformanceReport, conform
from neurocomp.energy.profile import names as profile_names
from neurocomp.energy.report import EnergyReport
from neurocomp.energy.report import energy as energy_report
from neurocomp.importers.rates import Conversion
from neurocomp.importers.sklearn import convert_sklearn
from neurocomp.ir.errors import NeurocompError
from neurocomp.ir.storage import save
from neurocomp.plot import draw_raster, new_figure, save_figure
from neurocomp.program import compile as compile_network
from neurocomp.recording import Recording

LEAST_ACCURACY = 0.96
LARGEST_LOSS = 0.015
FASTEST_FIRST = ("cpu", "reference", "lava")
GREYS = 16  # grey levels above white
CHUNK = 100  # samples per call, so that progress can be shown
FIRST_PROFILES = ("loihi1-sanafe", "loihi1-davies2018")

Progress = Callable[[str, int, int], None]


class DemoError(NeurocompError, ImportError):
    """The demonstration needs a package that is not installed."""


@dataclass(frozen=True)
class Digits:
    """8x8 images as rows of 64 grey values k/16 with k = 0..16, and their digits; one third is held out."""

    train: NDArray[np.float64]
    train_labels: NDArray[np.int64]
    test: NDArray[np.float64]
    test_labels: NDArray[np.int64]


@dataclass(frozen=True)
class DemoResult:
    """The figures of a demonstration.

    ann_accuracy, snn_accuracy: 0..1 on all `held_out` samples. conformance: of `conformance.samples` of them. spikes, events,
    updates: mean per sample (events: synaptic). energy: of the compared samples. seconds: wall time by stage. files: what was
    written.
    """

    trained: int
    held_out: int
    steps: int
    dt: float
    accuracy_target: str
    ann_accuracy: float
    snn_accuracy: float
    agreement: float
    conformance: ConformanceReport
    spikes: float
    events: float
    updates: float
    energy: EnergyReport
    seconds: dict[str, float]
    files: tuple[Path, ...]

    @property
    def accurate(self) -> bool:
        """Whether the spiking network is as good as promised."""
        return self.snn_accuracy >= LEAST_ACCURACY and self.ann_accuracy - self.snn_accuracy <= LARGEST_LOSS

    @property
    def same(self) -> bool:
        """Whether no backend that ran differs from the first."""
        return not any(x.differences for x in self.conformance.targets)

    @property
    def ok(self) -> bool:
        """Whether everything holds that the demonstration promises."""
        return self.accurate and self.same


def run_demo(
    output_dir: Path,
    targets: Sequence[str] | None = None,
    *,
    steps: int = 32,
    hidden: int = 128,
    compared: int = 50,
    progress: Progress | None = None,
) -> DemoResult:
    """Train, convert, compare `compared` held-out samples on every target, measure all of them on the fastest.

    targets: None takes every registered backend; those that cannot run here are reported as skipped. steps: per sample.
    progress(stage, done, total): called along the way; total is 0 where it is not known.
    """
    tell = progress or (lambda stage, done, total: None)
    clock = _Clock(tell)
    with clock.stage("train"):
        digits = load_digits()
        mlp = train(digits, hidden)
    with clock.stage("convert"):
        conversion = convert_sklearn(mlp, digits.train, max_payload=GREYS, name="digits")
        samples = conversion.encode(digits.test, steps)
    with clock.stage("compare"):
        report = conform(conversion.network, samples[:compared], steps, targets, missing="skip")
    for target in report.targets:
        if not target.skipped:
            clock.seconds[f"  {target.target}: compile"] = target.compile_seconds
            clock.seconds[f"  {target.target}: {report.samples} samples"] = target.run_seconds
    fastest = next(x for x in (*FASTEST_FIRST, *report.compared) if x in report.compared)
    with clock.stage(f"all held-out samples on {fastest}"):
        recordings = _run_all(conversion, samples, steps, fastest, tell)
    answers, expected = conversion.decode(recordings), mlp.predict(digits.test)
    with clock.stage("energy"):
        profiles = dict.fromkeys((*FIRST_PROFILES, *profile_names()))
        energy = energy_report(compile_network(conversion.network, fastest), recordings[:compared], list(profiles))
    with clock.stage("draw"):
        files = _write(output_dir, conversion, digits, samples, recordings, answers, steps, fastest)
        files = (*files, energy.to_html(output_dir / "energy.html"))
    totals = [_total(recordings, kind) for kind in ("spikes", "events", "updates")]
    return DemoResult(
        trained=len(digits.train),
        held_out=len(digits.test),
        steps=steps,
        dt=conversion.network.dt,
        accuracy_target=fastest,
        ann_accuracy=float(np.mean(expected == digits.test_labels)),
        snn_accuracy=float(np.mean(answers == digits.test_labels)),
        agreement=float(np.mean(answers == expected)),
        conformance=report,
        spikes=totals[0],
        events=totals[1],
        updates=totals[2],
        energy=energy,
        seconds=clock.seconds,
        files=files,
    )


def load_digits() -> Digits:
    """scikit-learn's 1797 digits, one third held out, stratified."""
    try:
        from sklearn import datasets
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise DemoError(f'the demo needs scikit-learn ({error}); install it with: pip install "neurocomp[demo]"') from None
    images, labels = datasets.load_digits(return_X_y=True)
    parts = train_test_split(images / GREYS, labels, test_size=1 / 3, random_state=0, stratify=labels)
    return Digits(train=parts[0], test=parts[1], train_labels=parts[2], test_labels=parts[3])


def train(digits: Digits, hidden: int) -> Any:
    """A ReLU perceptron 64 - hidden - 10, trained by scikit-learn on the training set."""
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier((hidden,), activation="relu", max_iter=300, random_state=0).fit(digits.train, digits.train_labels)


# ------------------------------------------------------------------------------------------------------------- printing


def print_result(result: DemoResult, console: Console) -> None:
    """Print the figures for people."""
    report = result.conformance
    console.rule("handwritten digits as a spiking network")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    each = f"{result.steps} steps of {result.dt * 1e3:g} ms each"
    table.add_row("digits", f"{result.trained} to train on, {result.held_out} held out; {each}")
    table.add_row("perceptron", f"{result.ann_accuracy:.2%} right")
    table.add_row("spiking network", f"{result.snn_accuracy:.2%} right, on {result.accuracy_target}")
    table.add_row("", _promise(result))
    table.add_row("same answer", f"{result.agreement:.2%} of the held-out digits")
    table.add_row("per digit", f"{result.spikes:.0f} spikes, {result.events:.0f} synaptic events, {result.updates:.0f} updates")
    table.add_row("energy per digit", result.energy.line)
    pages = [path for path in result.files if path.suffix == ".html"]
    table.add_row("", *(f"every number of it with its source: [link={path.resolve().as_uri()}]{path}[/]" for path in pages))
    console.print(table)
    console.print()
    if report.identical:
        console.print(f"[bold green]spikes identical: {' = '.join(report.compared)}[/]")
        console.print(
            f"  {report.samples} digits: {report.spikes} spikes, {report.values} state values, {report.counters} event counters"
        )
    else:
        console.print(f"[bold red]{report.text.splitlines()[0]}[/]")
    for line in report.text.splitlines()[1:]:
        console.print(line, markup=False, highlight=False)
    console.print()
    times = Table("stage", "seconds", title="wall time", title_justify="left")
    for stage, seconds in result.seconds.items():
        times.add_row(stage, f"{seconds:.2f}")
    console.print(times)
    for path in result.files:
        console.print(f"wrote {path}", markup=False, highlight=False)


def _promise(result: DemoResult) -> str:
    words = f"promised: at least {LEAST_ACCURACY:.0%}, at most {LARGEST_LOSS:.1%} less"
    return words if result.accurate else f"[bold red]too few; {words}[/]"


# --------------------------------------------------------------------------------------------------------------- inside


class _Clock:
    """Wall time by stage."""

    def __init__(self, tell: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self.tell = tell

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a block."""
        self.tell(name, 0, 0)
        began = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - began


def _run_all(conversion: Conversion, samples: list[dict[str, Any]], steps: int, target: str, tell: Progress) -> list[Recording]:
    program = compile_network(conversion.network, target)
    recordings: list[Recording] = []
    for start in range(0, len(samples), CHUNK):
        recordings += program.run_batch(samples[start : start + CHUNK], steps, ["spikes", *conversion.record])
        tell(f"all held-out samples on {target}", len(recordings), len(samples))
    return recordings


def _total(recordings: Sequence[Recording], kind: str) -> float:
    return sum(sum(getattr(recording.counters, kind).values()) for recording in recordings) / len(recordings)


def _write(
    folder: Path,
    conversion: Conversion,
    digits: Digits,
    samples: list[dict[str, Any]],
    recordings: Sequence[Recording],
    answers: NDArray[Any],
    steps: int,
    target: str,
) -> tuple[Path, ...]:
    """The picture of the first held-out digit, the network, and that digit's input for `neurocomp run`."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = samples[0]
    recording = compile_network(conversion.network, target).run(inputs, steps)
    picture = folder / "digit.png"
    draw_digit(picture, digits.test[0].reshape(8, 8), recording, f"digit {digits.test_labels[0]}, read as {answers[0]}")
    stored = folder / "digit.npz"
    arrays = {
        f"{name}/{key}": x for name, parts in inputs.items() for key, x in zip(("times", "ids", "payload"), parts, strict=True)
    }
    np.savez(stored, **arrays)
    return picture, save(conversion.network, folder / "digits.neurocomp"), stored


def draw_digit(path: Path, image: NDArray[np.float64], recording: Recording, title: str) -> None:
    """The image (rows, columns) beside the raster of its run."""
    figure = new_figure(12.0, 7.5)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 3))[0]
    axis = left.subplots()
    axis.imshow(image, cmap="gray_r")
    axis.set_title(title)
    axis.set_axis_off()
    draw_raster(right, recording)
    save_figure(figure, path)

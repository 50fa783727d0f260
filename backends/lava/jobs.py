"""`run_jobs`: networks through Lava in a child process, one after the other."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from neurocomp.backends.base import Job, Result
from neurocomp.backends.lava.files import JobFiles, write_manifest
from neurocomp.backends.lava.group import process_group
from neurocomp.backends.lava.results import Raw, collect
from neurocomp.ir.errors import BackendError
from neurocomp.ir.events import Events

FLOOR = 120.0  # seconds any job may take, whatever its size; most of it is for busy machines
LOOK = 0.02  # seconds between looks for a finished job
SHORT = 48  # characters of a temporary folder's name that leave room for the sockets in it (108 in all on Linux, 104 on macOS)
WORDS = 2000  # characters of the child's output that an error message repeats


def run_jobs(jobs: Sequence[Job], timeout: float | None = None) -> list[Result]:
    """Run every job in one child process; the first that fails raises `BackendError` naming it.

    timeout: seconds each job may take; None computes a generous bound from its size (`time_limit`).
    """
    results = try_jobs(jobs, timeout)
    for result in results:
        if isinstance(result, BackendError):
            raise result
    return [result for result in results if isinstance(result, Result)]


def try_jobs(jobs: Sequence[Job], timeout: float | None = None) -> list[Result | BackendError]:
    """As `run_jobs`, but a job that fails gives its error and the others run all the same."""
    results: list[Result | BackendError] = []
    while len(results) < len(jobs):
        results += _one_child(jobs, len(results), timeout)
    return results


def time_limit(job: Job) -> float:
    """Seconds a job may take: 120, and per step 10 ms for each process and 100 ns for each synapse and delay slot."""
    connections = sum(x.max_delay * len(x.connectivity) for x in job.net.projections.values())
    processes = 2 * len(job.net.nodes) + len(job.net.projections) + len(job.record.states)
    return FLOOR + (job.steps + job.net.max_lag) * (0.01 * processes + 1e-7 * connections)


def _one_child(jobs: Sequence[Job], first: int, timeout: float | None) -> list[Result | BackendError]:
    """Results of the jobs from `first` on that one child managed; the last may be an error."""
    where = tempfile.gettempdir()
    where = where if len(where) <= SHORT or not os.access("/tmp", os.W_OK) else "/tmp"  # noqa: S108 - a private folder in it
    with tempfile.TemporaryDirectory(prefix="nc-lava-", dir=where, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        files = [JobFiles(folder, k) for k in range(len(jobs) - first)]
        for job, its in zip(jobs[first:], files, strict=True):
            its.write(job.net, job.inputs, job.steps, job.record.states, job.record.every)
        write_manifest(folder, len(files))
        command = [sys.executable, "-m", "neurocomp.backends.lava.child", name]
        with open(folder / "output", "wb") as output, process_group(command, folder, _environment(folder), output) as child:
            return list(_follow(child, jobs[first:], files, folder, timeout))


def _follow(
    child: subprocess.Popen[bytes], jobs: Sequence[Job], files: Sequence[JobFiles], folder: Path, timeout: float | None
) -> Iterator[Result | BackendError]:
    for job, its in zip(jobs, files, strict=True):
        began = time.perf_counter()
        limit = time_limit(job) if timeout is None else timeout
        error = _wait(child, its, began + limit)
        if error is not None:
            reason = error or (
                f"it did not finish within {limit:g} s, and was ended; give it more with timeout=... (seconds per run), as in "
                f"compile(net, 'lava', timeout={max(2 * limit, 1):g})"
            )
            yield BackendError(f"lava: network '{job.net.name}', {job.steps} steps: {reason}{_last_words(folder)}")
            return
        yield collect(job.net, job.inputs, job.steps, job.record, _raw(job, its), time.perf_counter() - began)


def _wait(child: subprocess.Popen[bytes], its: JobFiles, deadline: float) -> str | None:
    """None when the job is done, else what went wrong; empty when time is over."""
    while True:
        status = child.poll()
        if its.seconds is not None:
            return None
        if its.error is not None:
            return its.error.strip()
        if status is not None:
            ended = f"by signal {-status}" if status < 0 else f"with status {status}"
            return f"the child process ended {ended} before it had run"
        if time.perf_counter() > deadline:
            return ""
        time.sleep(LOOK)


def _last_words(folder: Path) -> str:
    text = (folder / "output").read_text(errors="replace").strip()
    return f"\n--- the child's last words:\n{text[-WORDS:]}" if text else ""


def _raw(job: Job, its: JobFiles) -> Raw:
    """The child's arrays by name, states as (steps, size) rows in the stored form."""
    spikes, states = {}, {}
    for k, (name, population) in enumerate(job.net.populations.items()):
        raster = its.spikes(k)
        times, ids = np.nonzero(raster)
        payload = raster[times, ids].astype(np.int64) if population.graded else None
        spikes[name] = Events(times, ids, population.shape, job.steps, payload)
    for k, key in enumerate(job.record.states):
        if key[0] in job.net.projections:
            states[key] = its.state(k)
            continue
        trace, program = its.state(k), job.net.populations[key[0]].program
        assert program is not None
        states[key] = trace if trace.ndim == 2 else trace[:, program.form.state.index(key[1])]
    weights = {name: its.weights(k) for k, (name, x) in enumerate(job.net.projections.items()) if x.learning is not None}
    return Raw(spikes, states, weights)


def _environment(folder: Path) -> dict[str, str]:
    """The parent's environment, with its import path, one thread for each process, and a temporary folder that will go."""
    package = find_spec("neurocomp")
    root = str(Path(next(iter(package.submodule_search_locations or ()))).absolute().parent) if package else ""
    path = [os.path.abspath(entry) for entry in sys.path]
    path = path if root in path else [root, *path]
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "TMPDIR": str(folder)}
    for library in ("OMP", "OPENBLAS", "MKL"):
        environment.setdefault(f"{library}_NUM_THREADS", "1")
    return environment

"""Fixtures shared by all tests. Lava runs its many small networks inside few children: starting one costs over a second."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import neurocomp as nc
from neurocomp.conformance import CASES, random_case
from neurocomp.recording import from_result

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared():
    """The folder of measured facts and trained networks, where it is at hand."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared with trained networks and stored traces is absent")
    return SHARED


@pytest.fixture(scope="session")
def reference():
    """The reference backend's recording of a case, computed once."""
    cache = {}

    def run(case):
        if case.name not in cache:
            program = nc.compile(case.network, "reference", **case.options)
            cache[case.name] = program.run(case.inputs, case.steps, case.record)
        return cache[case.name]

    return run


@pytest.fixture(scope="session")
def lava_results():
    """Lava's recording of a case by name."""
    return _Lava(list(CASES), CASES.__getitem__)


@pytest.fixture(scope="session")
def lava_random_results(request):
    """Lava's recording of a random network by seed, for the seeds this session asks for."""
    items = (item for item in request.session.items if "lava_random_results" in item.fixturenames)
    return _Lava(sorted({item.callspec.params["seed"] for item in items}), random_case)


class _Lava:
    """Runs cases on Lava when first asked for, many in one child process."""

    def __init__(self, keys, case_of, chunk=40):
        if not _has_lava():
            pytest.skip("Lava is not installed: pip install --no-deps --ignore-requires-python lava-nc==0.10.0")
        self.keys, self.case_of, self.chunk, self.results = keys, case_of, chunk, {}

    def __call__(self, key):
        if key not in self.results:
            start = self.keys.index(key) // self.chunk * self.chunk
            self._run(self.keys[start : start + self.chunk])
        result = self.results[key]
        if isinstance(result, Exception):
            raise result
        return result

    def _run(self, keys):
        from neurocomp.backends.lava import Job, try_jobs

        cases = [self.case_of(key) for key in keys]
        programs = [nc.compile(case.network, "lava", **case.options) for case in cases]
        jobs = [
            Job(program.lowered, *program.prepare(case.inputs, case.steps, case.record))
            for program, case in zip(programs, cases, strict=True)
        ]
        try:
            results = try_jobs(jobs)
        except Exception:  # one network broke the child for all: give each its own, so that only the guilty one fails
            results = [self._alone(job) for job in jobs]
        for key, case, result in zip(keys, cases, results, strict=True):
            failed = isinstance(result, Exception)
            self.results[key] = result if failed else from_result(result, case.steps, case.network.dt)

    def _alone(self, job):
        from neurocomp.backends.lava import try_jobs

        try:
            return try_jobs([job])[0]
        except Exception as error:
            return error


def _has_lava():
    return importlib.util.find_spec("lava") is not None


@pytest.fixture(scope="session")
def lava():
    """Skips where Lava is not installed."""
    if not _has_lava():
        pytest.skip("Lava is not installed: pip install --no-deps --ignore-requires-python lava-nc==0.10.0")

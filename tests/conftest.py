"""Fixtures shared by all tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from neurocomp.conformance import CASES, random_case
from neurocomp.conformance.runs import Batches, Target, baseline

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared():
    """The folder of measured facts and trained networks, where it is at hand."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared with trained networks and stored traces is absent")
    return SHARED


@pytest.fixture(scope="session")
def baselines():
    """A case on the reference backend, computed once."""
    cache = {}

    def of(case):
        if case.name not in cache:
            cache[case.name] = baseline(case)
        return cache[case.name]

    return of


@pytest.fixture(scope="session")
def reference(baselines):
    """The reference backend's recording of a case."""
    return lambda case: baselines(case).recording


@pytest.fixture(scope="session")
def lava_results(lava, baselines):
    """Lava's recording of a case by name."""
    return Batches(Target("lava"), list(CASES), lambda name: baselines(CASES[name]))


@pytest.fixture(scope="session")
def lava_random_results(lava, baselines, request):
    """Lava's recording of a random network by seed, for the seeds this session asks for."""
    items = (item for item in request.session.items if "lava_random_results" in item.fixturenames)
    seeds = sorted({item.callspec.params["seed"] for item in items})
    return Batches(Target("lava"), seeds, lambda seed: baselines(random_case(seed)))


def _has_lava():
    return importlib.util.find_spec("lava") is not None


@pytest.fixture(scope="session")
def lava():
    """Skips where Lava is not installed."""
    if not _has_lava():
        pytest.skip("Lava is not installed: pip install --no-deps --ignore-requires-python lava-nc==0.10.0")

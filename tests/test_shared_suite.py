"""The shared suite: every case on every backend, identical spikes, states and counters."""

from __future__ import annotations

import pytest

import neurocomp as nc
from neurocomp.conform import compare
from neurocomp.conformance import CASES


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_cpu_equals_reference(name, threads, reference):
    case = CASES[name]
    result = nc.compile(case.network, "cpu", threads=threads, **case.options).run(case.inputs, case.steps, case.record)
    assert compare(reference(case), result) == []


@pytest.mark.xdist_group("lava")
@pytest.mark.parametrize("name", CASES)
def test_lava_equals_reference(name, reference, lava_results):
    case = CASES[name]
    assert compare(reference(case), lava_results(name)) == []


def test_the_suite_is_alive(reference):
    """Enough cases in both arithmetics, and nearly all of them spike: silence would compare equal to anything."""
    spiking = [
        name
        for name, case in CASES.items()
        if sum(len(reference(case).spikes[x]) for x in case.network.populations) > 0
        or any(x.neuron.model.spike is None for x in case.network.populations.values())
    ]
    assert len(CASES) >= 100
    assert sum(case.arithmetic == "loihi" for case in CASES.values()) >= 30
    assert set(CASES) - set(spiking) == {"silent"}

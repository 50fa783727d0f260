"""200 random networks, the first half on Lava, too: identical everywhere. NEUROCOMP_RANDOM_NETWORKS=5000 is a long campaign."""

from __future__ import annotations

import os

import pytest

from neurocomp.conform import compare
from neurocomp.conformance import random_case
from neurocomp.conformance.fuzzing import differing
from neurocomp.conformance.runs import Target, run_on

COUNT = int(os.environ.get("NEUROCOMP_RANDOM_NETWORKS", "200"))


@pytest.mark.parametrize("seed", range(COUNT))
def test_cpu_equals_reference(seed, baselines):
    base = baselines(random_case(seed))
    for threads in (1, 2):
        (result,) = run_on(Target("cpu", {"threads": threads}), [base])
        assert differing(base, Target("cpu"), result) == ""


@pytest.mark.xdist_group("lava")
@pytest.mark.parametrize("seed", range(COUNT // 2))  # some seconds each: Lava starts a process for every node and projection
def test_lava_equals_reference(seed, reference, lava_random_results):
    assert compare(reference(random_case(seed)), lava_random_results(seed)) == []


def test_most_random_networks_spike(reference):
    spiking = sum(
        any(len(result.spikes[x]) for x in case.network.populations)
        for case, result in ((case, reference(case)) for case in map(random_case, range(100)))
    )
    assert spiking >= 80

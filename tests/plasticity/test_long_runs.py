"""Synapses that learn for thousands of steps: the same spikes, states and weights on every backend.

Short by default; `NEUROCOMP_PLASTIC_STEPS=10000` runs every case and 100 random networks for so many steps.
"""

from __future__ import annotations

import os
from itertools import count, islice

import pytest

import neurocomp as nc
from neurocomp.conform import compare
from neurocomp.conformance import random_case
from neurocomp.conformance.plastic_cases import plastic_cases

STEPS = int(os.environ.get("NEUROCOMP_PLASTIC_STEPS", "0"))
SHORT = ("plastic-layers", "plastic-receptors", "plastic-own", "plastic-reward-Sparse-each")
CASES = {case.name: case for case in plastic_cases(STEPS or 1000) if STEPS or case.name in SHORT}


def plastic_seeds():
    """Seeds of random networks in which something learns."""
    for seed in count():
        case = random_case(seed, "float", steps=1)
        if any(len(x.connectivity) for x in case.network.projections.values() if x.plasticity is not None):
            yield seed


def check(case):
    def run(target, **options):
        return nc.compile(case.network, target, **case.options, **options).run(case.inputs, case.steps, case.record)

    expected = run("reference")
    for target, options in (("cpu", {"threads": 1}), ("cpu", {"threads": 2}), ("lava", {})):
        assert compare(expected, run(target, **options)) == [], f"{target} {options}"


@pytest.mark.xdist_group("lava")
@pytest.mark.parametrize("name", CASES)
def test_cases_learn_the_same_everywhere(name, lava):
    check(CASES[name])


@pytest.mark.xdist_group("lava")
@pytest.mark.parametrize("seed", islice(plastic_seeds(), 100 if STEPS else 2))
def test_random_networks_learn_the_same_everywhere(seed, lava):
    check(random_case(seed, "float", steps=STEPS or 500))

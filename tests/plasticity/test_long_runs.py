"""Synapses that learn for thousands of steps: the same spikes and weights on every backend.

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
PARTS = 10  # nodes and projections of a random network: each is a process on Lava, and its steps take longer with each


def random(seed):
    """A random network; the number of steps is part of what decides it."""
    return random_case(seed, "float", steps=STEPS or 500)


def plastic_seeds():
    """Seeds of random networks in which something learns."""
    for seed in count():
        net = random(seed).network
        learning = [x for x in net.projections.values() if x.plasticity is not None and len(x.connectivity)]
        if learning and len(net.nodes) + len(net.projections) <= PARTS:
            yield seed


def check(case):
    weights = [name for name, x in case.network.projections.items() if x.plasticity is not None]
    record = ["spikes", *(f"{name}.w" for name in weights)]

    def run(target, **options):
        program = nc.compile(case.network, target, **case.options, **options)
        recording = program.run(case.inputs, case.steps, record, every=50)
        return recording, {name: program.weights(name).tobytes() for name in weights}

    expected, learned = run("reference")
    for target, options in (("cpu", {"threads": 1}), ("cpu", {"threads": 2}), ("lava", {})):
        found, also = run(target, **options)
        assert compare(expected, found) == [], f"{target} {options}"
        assert also == learned, f"{target} {options}"


@pytest.mark.xdist_group("lava")
@pytest.mark.parametrize("name", CASES)
def test_cases_learn_the_same_everywhere(name, lava):
    check(CASES[name])


@pytest.mark.xdist_group("lava")
@pytest.mark.parametrize("seed", [*islice(plastic_seeds(), 100 if STEPS else 2)])
def test_random_networks_learn_the_same_everywhere(seed, lava):
    check(random(seed))

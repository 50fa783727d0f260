"""Graded spikes end to end, with literal numbers: payloads are rounded to even, saturate, and a payload of 0 is not sent."""

from __future__ import annotations

import numpy as np
import pytest

import neurocomp as nc

TARGETS = ["reference", "cpu"]


@pytest.mark.parametrize("target", TARGETS)
def test_payloads_of_a_population(target):
    net = nc.Network("graded", dt=1e-3)
    net.input("x", 1, max_payload=100)
    net.population("g", nc.GradedRelu(threshold=0.1, gain=0.5), 1, max_payload=20)
    net.population("sum", nc.Readout(), 1)
    net.connect("x", "g", nc.OneToOne(1.0), delay=1)
    net.connect("g", "sum", nc.OneToOne(3.0), delay=1)
    payloads = np.array([1, 3, 4, -7, 100, 0, 5])[
        :, None
    ]  # halves: 0.5 -> 0 (not sent), 1.5 -> 2, 2, none, 50 -> 20, none, 2.5 -> 2
    result = nc.compile(net, target).run({"x": payloads}, 9, ["spikes", "sum.v"])
    assert result["g"].times.tolist() == [2, 3, 5, 7]
    assert result["g"].payload.tolist() == [2, 2, 20, 2]
    assert result["sum.v"][:, 0].tolist() == [0, 0, 0, 6, 6, 0, 60, 0, 6]
    assert result.counters.events["g->sum"] == 4


@pytest.mark.parametrize("target", TARGETS)
def test_loihi_payloads_round_down(target):
    net = nc.Network("chip", dt=1e-3)
    net.input("x", 1, max_payload=100)
    net.population("g", nc.LoihiGradedRelu(vth=-50, exp=2), 1, max_payload=9)
    net.connect("x", "g", nc.OneToOne(2.0), delay=1)
    result = nc.compile(net, target).run({"x": np.array([3, -3, 30, -30, 1])[:, None]}, 6)
    assert result["g"].times.tolist() == [1, 2, 3]  # 6 >> 2, -6 >> 2, 60 >> 2 beyond 9; -60 is below vth; 2 >> 2 is 0
    assert result["g"].payload.tolist() == [1, -2, 9]


def test_the_bound_counts_payloads():
    net = nc.Network("bound", dt=1e-3)
    net.input("x", 1)
    net.population("g", nc.GradedRelu(), 1, max_payload=12)
    net.population("y", nc.Readout(), 1)
    net.connect("x", "g", nc.OneToOne(1.0), delay=1)
    net.connect("g", "y", nc.OneToOne(1.0), delay=1)
    grid = nc.compile(net, "reference").lowered.populations["y"].grid
    assert grid.bound * 2.0**grid.exponent == 12.0


def test_plain_models_have_no_payload():
    net = nc.Network("plain", dt=1e-3)
    with pytest.raises(nc.errors.ModelError, match="LIF sends plain spikes"):
        net.population("y", nc.LIF(tau=1e-2), 2, max_payload=5)
    with pytest.raises(nc.errors.EquationError, match="payload needs a spike condition"):
        nc.NeuronModel("Bad", parameters={}, step="v = a", payload="v")

"""Triplet STDP: the pairing experiments it was made for, and random trains against the formula over all triplets."""

from __future__ import annotations

import math

import numpy as np
import pytest

import neurocomp as nc

TARGETS = ("reference", "cpu")
DT = 5e-3  # of the pairing protocols: all their times are multiples, and traces do not depend on dt
PAIRS = 60
RATES = (0.1, 10.0, 20.0, 40.0, 50.0)

# Relative change of weight in layer 5 of visual cortex and its standard error, at RATES (Sjöström, Turrigiano & Nelson 2001,
# doi:10.1016/S0896-6273(01)00542-6, as fitted by Pfister & Gerstner 2006).
MEASURED = {10e-3: (-0.04, 0.14, 0.29, 0.53, 0.56), -10e-3: (-0.29, -0.41, -0.34, 0.56, 0.75)}
ERRORS = {10e-3: (0.05, 0.10, 0.14, 0.11, 0.26), -10e-3: (0.08, 0.11, 0.10, 0.32, 0.19)}

FULL = {}
MINIMAL = {"a2_plus": 0.0, "a3_plus": 6.5e-3, "a2_minus": 7.1e-3, "a3_minus": 0.0, "tau_y": 114e-3}


def pairing(rule, rates=RATES, target="cpu"):
    """lag -> the change of weight by 60 pairs at each rate: ten synapses of one network."""
    lags = np.repeat(list(MEASURED), len(rates))
    periods = 1 / np.tile(rates, len(MEASURED))
    start, pre, post = 4, [], []
    for k, (lag, period) in enumerate(zip(lags, periods, strict=True)):
        arrivals = start + np.rint(np.arange(PAIRS) * period / DT).astype(int)
        pre.append(np.stack([arrivals, np.full(PAIRS, k)]))
        post.append(np.stack([arrivals + round(lag / DT), np.full(PAIRS, k)]))
    x, y = np.concatenate(pre, axis=1), np.concatenate(post, axis=1)
    net = nc.Network("pairing", dt=DT)
    net.input("x", len(lags), spikes=tuple(x))
    net.input("teacher", len(lags), spikes=tuple(y))
    net.population("y", nc.Threshold(threshold=50.0), len(lags))
    net.connect("teacher", "y", nc.OneToOne(100.0))
    net.connect("x", "y", nc.OneToOne(1.0), name="learns", plasticity=rule)
    program = nc.compile(net, target)
    program.run(steps=int(max(x[0].max(), y[0].max())) + 1)
    changes = program.weights("learns").ravel() - 1.0
    return dict(zip(MEASURED, changes.reshape(len(MEASURED), -1), strict=True))


def error(changes):
    """Mean square deviation from the experiments in units of their standard errors, as Pfister & Gerstner's E."""
    return np.mean([((changes[lag] - MEASURED[lag]) / ERRORS[lag]) ** 2 for lag in MEASURED])


@pytest.mark.parametrize("given", [FULL, MINIMAL], ids=["full", "minimal"])
def test_the_change_depends_on_the_rate_of_pairing_as_measured(given):
    changes = pairing(nc.TripletSTDP(**given, w_max=10.0))
    potentiated, reversed_ = changes[10e-3], changes[-10e-3]
    assert abs(potentiated[0]) < 0.05
    assert np.all(np.diff(potentiated) > 0)
    assert potentiated[-1] > 0.5
    assert np.all(reversed_[:3] < -0.2)
    assert np.all(reversed_[3:] > [0.1, 0.5])
    assert error(changes) < 0.5


def test_no_pair_rule_does_that():
    """Between 0.1 and 10 Hz pairs do not overlap, so pair STDP at +10 ms cannot grow from 0; its best fit stays far off."""
    rates = RATES[:2]
    changes = pairing(nc.STDP(16.8e-3, 33.7e-3, 4e-3, 7e-3, w_max=10.0), rates)[10e-3]
    assert changes[0] > 0.1
    assert changes[1] < changes[0]
    best = min(
        error(pairing(nc.STDP(16.8e-3, 33.7e-3, plus, minus, w_max=10.0)))
        for plus in (2e-3, 4e-3, 6e-3, 8e-3)
        for minus in (1e-3, 3e-3, 5e-3, 7e-3)
    )
    assert best > 5.0


def test_the_defaults_are_the_papers_visual_cortex_set():
    wanted = {
        "tau_plus": 16.8e-3,
        "tau_x": 101e-3,
        "tau_minus": 33.7e-3,
        "tau_y": 125e-3,
        "a2_plus": 5e-10,
        "a3_plus": 6.2e-3,
        "a2_minus": 7e-3,
        "a3_minus": 2.3e-4,
    }
    assert {name: nc.TripletSTDP().parameters[name] for name in wanted} == wanted


def brute_force(start, arrivals, spikes, steps, dt, p):
    """The weight after every step, from sums over all pairs and triplets of spike times: no traces."""

    def total(times, t, tau):
        return sum(math.exp(-(t - s) * dt / tau) for s in times)

    w, trajectory = start, []
    for t in range(steps):
        if t in arrivals:
            other, own = [s for s in spikes if s < t], [s for s in arrivals if s < t]
            w -= total(other, t, p["tau_minus"]) * (p["a2_minus"] + p["a3_minus"] * total(own, t, p["tau_x"]))
            w = min(max(w, p["w_min"]), p["w_max"])
        if t in spikes:
            other, own = [s for s in arrivals if s <= t], [s for s in spikes if s < t]
            w += total(other, t, p["tau_plus"]) * (p["a2_plus"] + p["a3_plus"] * total(own, t, p["tau_y"]))
            w = min(max(w, p["w_min"]), p["w_max"])
        trajectory.append(w)
    return trajectory


@pytest.mark.parametrize("target", TARGETS)
def test_random_trains_equal_sums_over_all_triplets(target):
    """All four terms, with delays per synapse; the highest weights reach the bound."""
    rng = np.random.default_rng(12)
    steps, dt, shape = 350, 1e-3, (3, 4)
    rule = nc.TripletSTDP(a2_plus=2e-3, a3_plus=16e-3, a2_minus=6e-3, a3_minus=3e-3, w_max=0.8)
    pre, post = np.nonzero(rng.random((steps, shape[1])) < 0.06), np.nonzero(rng.random((steps, shape[0])) < 0.06)
    start, delays = rng.uniform(0.2, 0.79, shape), rng.integers(0, 15, shape)
    net = nc.Network("triplets", dt=dt)
    net.input("x", shape[1], spikes=pre)
    net.input("teacher", shape[0], spikes=post)
    net.population("y", nc.Threshold(threshold=50.0), shape[0])
    net.connect("teacher", "y", nc.OneToOne(100.0))
    net.connect("x", "y", nc.Dense(start), delays, "learns", plasticity=rule)
    learned = nc.compile(net, target).run(steps=steps, record=["learns.w"])["learns.w"]
    for j, i in np.ndindex(*shape):
        arrivals, spikes = (pre[0][pre[1] == i] + delays[j, i]).tolist(), post[0][post[1] == j].tolist()
        wanted = brute_force(start[j, i], arrivals, spikes, steps, dt, rule.parameters)
        np.testing.assert_allclose(learned[:, j, i], wanted, rtol=0, atol=1e-12)
    assert learned.max() == 0.8


def test_both_backends_pair_alike():
    rule = nc.TripletSTDP(w_max=10.0)
    here, there = (pairing(rule, RATES[1:], target) for target in TARGETS)
    for lag in MEASURED:
        assert np.array_equal(here[lag], there[lag])

"""Rules of the user's own: the one of docs/plasticity.md, inhibition that learns to hold a rate (Vogels et al. 2011)."""

from __future__ import annotations

import math

import numpy as np
import pytest

import neurocomp as nc

BALANCE = nc.PlasticityRule(
    "Balance",
    parameters={"tau": "s", "eta": "w", "target": "Hz"},
    pre={"x": nc.Trace("tau")},
    post={"y": nc.Trace("tau")},
    on_pre="w = w + eta * (y - 2.0 * target * tau)",
    on_post="w = w + eta * x",
)


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_an_own_rule_equals_its_formula(target):
    rng = np.random.default_rng(4)
    dt, steps, tau, eta, alpha = 1e-3, 300, 20e-3, 0.03, 2 * 95.0 * 20e-3
    pre, post = np.flatnonzero(rng.random(steps) < 0.1), np.flatnonzero(rng.random(steps) < 0.1)
    net = nc.Network("own", dt=dt)
    net.input("x", 1, spikes=(pre, np.zeros_like(pre)))
    net.input("teacher", 1, spikes=(post, np.zeros_like(post)))
    net.population("y", nc.Threshold(threshold=50.0), 1)
    net.connect("teacher", "y", nc.OneToOne(100.0))
    rule = BALANCE(tau=tau, eta=eta, target=95.0, w_min=0.0, w_max=0.3)
    net.connect("x", "y", nc.Dense([[0.1]]), name="learns", plasticity=rule)
    learned = nc.compile(net, target).run(steps=steps, record=["learns.w"])["learns.w"].ravel()

    w, wanted = 0.1, []
    for t in range(steps):
        if t in pre:
            w = min(max(w + eta * (sum(math.exp(-(t - s) * dt / tau) for s in post if s < t) - alpha), 0.0), 0.3)
        if t in post:
            w = min(max(w + eta * sum(math.exp(-(t - s) * dt / tau) for s in pre if s <= t), 0.0), 0.3)
        wanted.append(w)
    np.testing.assert_allclose(learned, wanted, rtol=0, atol=1e-12)
    assert learned.min() == 0.0
    assert learned.max() == 0.3


@pytest.mark.parametrize(("drive", "wanted"), [(0.4e-9, 5.0), (0.4e-9, 10.0), (0.8e-9, 5.0)])
def test_learned_inhibition_holds_the_rate_it_was_told(drive, wanted):
    net = nc.Network("balance", dt=0.5e-3, seed=1)
    net.population("e", nc.Poisson(rate=20.0), 400)
    net.population("i", nc.Poisson(rate=20.0), 200)
    net.population("cell", nc.CobaLIF(c_m=200e-12, t_ref=5e-3), 1)
    net.connect("e", "cell", nc.Dense(np.full((1, 400), drive)), receptor="exc")
    rule = BALANCE(tau=20e-3, eta=3e-11, target=wanted, w_min=0.0, w_max=100e-9)
    net.connect("i", "cell", nc.Dense(np.zeros((1, 200))), receptor="inh", plasticity=rule)
    spikes = nc.compile(net, "cpu").run(steps=50_000, record=["cell"])["cell"]
    at_first, at_last = np.sum(spikes.times < 2_000), np.mean(spikes.times >= 20_000) * len(spikes) / 15.0
    assert at_first > 50
    assert at_last == pytest.approx(wanted, rel=0.25)

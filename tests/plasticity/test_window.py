"""The learning rules against their formulas: single pairs of spikes, and long random trains against loops over all pairs."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

import numpy as np
import pytest

import neurocomp as nc

TARGETS = ("reference", "cpu")
DT = 1e-3
FORCE = 100.0  # more than all plastic synapses together
EXACT = {"rtol": 0, "atol": 1e-12}


def learning(rule, weights, pre, post, delay=0):
    """x -> y learns; y spikes exactly when `post` (times, ids) says so, because a strong projection makes it."""
    n_post = weights.shape[0]
    net = nc.Network("learning", dt=DT)
    net.input("x", weights.shape[1], spikes=pre)
    net.input("teacher", n_post, spikes=post)
    net.population("y", nc.Threshold(threshold=FORCE / 2), n_post)
    net.connect("teacher", "y", nc.OneToOne(FORCE))
    net.connect("x", "y", weights if isinstance(weights, nc.Sparse) else nc.Dense(weights), delay, "learns", plasticity=rule)
    return net


def trains(rng, n, steps, rate):
    """Random spikes (times, ids)."""
    return np.nonzero(rng.random((steps, n)) < rate)


# ------------------------------------------------------------------------------------------------------- pairs of spikes


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("delay", [0, 1, 9, "each"])
@pytest.mark.parametrize("pairing", ["all", "nearest"])
@pytest.mark.parametrize("bound", ["hard", "soft"])
def test_the_window_is_the_formula(target, delay, pairing, bound):
    """Pairs of each dt from -100 to 100 ms; a pair in one step counts as the source first."""
    tau_pre, tau_post, a_plus, a_minus, low, high, start = 17e-3, 34e-3, 0.013, 0.007, -0.25, 1.5, 0.5
    rule = nc.STDP(tau_pre, tau_post, a_plus, a_minus, low, high, bound=bound, pairing=pairing)
    n_post, n_pre, middle = 241, 3, 150
    delays = np.random.default_rng(3).integers(0, 12, (n_post, n_pre)) * [0, 1, 1] if delay == "each" else delay
    sent = middle if delay == "each" else middle - delay
    spiked = middle - 120 + np.arange(n_post)
    net = learning(rule, np.full((n_post, n_pre), start), ([sent] * n_pre, range(n_pre)), (spiked, range(n_post)), delays)
    program = nc.compile(net, target)
    recording = program.run(steps=300)
    assert np.array_equal(recording["y"].times, spiked)

    lags = spiked[:, None] - (sent + np.broadcast_to(delays, (n_post, n_pre)))
    assert set(range(-100, 101)) <= set(lags.ravel().tolist())
    up, down = (high - start, start - low) if bound == "soft" else (1.0, 1.0)
    plus, minus = a_plus * up * np.exp(-lags * DT / tau_pre), -a_minus * down * np.exp(lags * DT / tau_post)
    np.testing.assert_allclose(program.weights("learns") - start, np.where(lags >= 0, plus, minus), **EXACT)


@pytest.mark.parametrize("target", TARGETS)
def test_listed_synapses_keep_their_own_delays(target):
    """Several synapses of one pair of neurons, each with a delay of its own."""
    delays = np.array([0, 4, 20, 7])
    synapses = nc.Sparse((np.full(4, 0.5), ([0, 0, 0, 1], [1, 1, 1, 0])), shape=(2, 2))
    net = nc.Network("listed", dt=DT)
    net.input("x", 2, spikes=([10, 10], [0, 1]))
    net.input("teacher", 2, spikes=([20, 20], [0, 1]))
    net.population("y", nc.Threshold(threshold=FORCE / 2), 2)
    net.connect("teacher", "y", nc.OneToOne(FORCE))
    net.connect("x", "y", synapses, delays, "learns", plasticity=nc.STDP())
    program = nc.compile(net, target)
    program.run(steps=60)
    lags = 20 - (10 + delays)
    wanted = np.where(lags >= 0, 0.01 * np.exp(-lags * DT / 20e-3), -0.0105 * np.exp(lags * DT / 20e-3))
    np.testing.assert_allclose(program.weights("learns") - 0.5, wanted, **EXACT)


# ------------------------------------------------------------------------------------------- random trains, all the pairs


def brute_force(start, arrivals, spikes, steps, rule, pairing, bound):
    """The weight after every step, by formulas over pairs of spike times: no traces. arrivals, spikes: sorted steps."""
    p, w, trajectory = rule.parameters, start, []
    for t in range(steps):
        if t in arrivals:
            before = spikes[: bisect_left(spikes, t)]
            chosen = before[-1:] if pairing == "nearest" else before
            down = sum(math.exp(-(t - s) * DT / p["tau_post"]) for s in chosen) * p["a_minus"]
            w = w - down * (w - p["w_min"] if bound == "soft" else 1.0)
            w = min(max(w, p["w_min"]), p["w_max"])
        if t in spikes:
            before = arrivals[: bisect_right(arrivals, t)]
            chosen = before[-1:] if pairing == "nearest" else before
            up = sum(math.exp(-(t - s) * DT / p["tau_pre"]) for s in chosen) * p["a_plus"]
            w = w + up * (p["w_max"] - w if bound == "soft" else 1.0)
            w = min(max(w, p["w_min"]), p["w_max"])
        trajectory.append(w)
    return trajectory


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("delay", [2, "each"])
@pytest.mark.parametrize("pairing", ["all", "nearest"])
@pytest.mark.parametrize("bound", ["hard", "soft"])
def test_random_trains_equal_a_loop_over_all_pairs(target, delay, pairing, bound):
    """Every step's weights, where many spikes overlap and hard bounds are hit again and again."""
    rng = np.random.default_rng([ord(c) for c in f"{pairing}{bound}"])
    steps, shape = 400, (4, 5)
    rule = nc.STDP(23e-3, 31e-3, 0.05, 0.07, -0.3, 0.4, bound=bound, pairing=pairing)
    pre, post = trains(rng, shape[1], steps, 0.07), trains(rng, shape[0], steps, 0.06)
    start = rng.uniform(-0.3, 0.4, shape)
    delays = rng.integers(0, 12, shape) if delay == "each" else delay
    program = nc.compile(learning(rule, start, pre, post, delays), target)
    learned = program.run(steps=steps, record=["learns.w"])["learns.w"]
    assert learned.shape == (steps, *shape)

    spread = np.broadcast_to(delays, shape)
    for j, i in np.ndindex(*shape):
        arrivals, spikes = (pre[0][pre[1] == i] + spread[j, i]).tolist(), post[0][post[1] == j].tolist()
        wanted = brute_force(start[j, i], arrivals, spikes, steps, rule, pairing, bound)
        np.testing.assert_allclose(learned[:, j, i], wanted, **EXACT)
    at_bounds = np.mean((learned == -0.3) | (learned == 0.4))
    assert (at_bounds > 0.02) == (bound == "hard")
    assert np.array_equal(program.weights("learns"), learned[-1])


# ----------------------------------------------------------------------------------------------- what else a step promises


@pytest.mark.parametrize("target", TARGETS)
def test_a_changed_weight_acts_from_the_next_step_on_with_its_nearest_grid_value(target):
    """A pair leaves an eligibility; a reward at step 30 turns it into weight, while a spike arrives in every step around it."""
    net = nc.Network("acts", dt=DT)
    net.input("x", 1, spikes=([5, 28, 29, 30, 31, 32], [0] * 6))
    net.input("teacher", 1, spikes=([10], [0]))
    net.input("reward", 1, spikes=([30], [0]))
    net.population("y", nc.Threshold(threshold=FORCE / 2), 1)
    net.connect("teacher", "y", nc.OneToOne(FORCE))
    net.connect("x", "y", nc.Dense([[0.3]]), name="learns", plasticity=nc.RewardSTDP("reward", a_minus=0.0))
    program = nc.compile(net, target)
    recording = program.run(steps=40, record=["y.v", "learns.w"])
    weights, seen = recording["learns.w"].ravel(), recording["y.v"].ravel()
    assert weights[29] == 0.3 < weights[30] == weights[39]
    grid = program.lowered.populations["y"].grid
    delivered = np.ldexp(np.rint(np.ldexp([0.3, 0.3, 0.3, weights[30], weights[30]], -grid.exponent)), grid.exponent)
    assert seen[28:33].tolist() == delivered.tolist()
    assert delivered[-1] != weights[30]  # the grid is that of 24 bits below the teacher's weight, the learned weight a float64


@pytest.mark.parametrize("target", TARGETS)
def test_learning_goes_on_where_the_last_run_ended(target):
    """Traces and weights survive between runs in pieces, steps and a reset; `learned` takes the weights alone."""
    rng = np.random.default_rng(8)
    net = learning(nc.STDP(), rng.uniform(0.2, 0.8, (3, 4)), trains(rng, 4, 90, 0.2), trains(rng, 3, 90, 0.2), 2)
    program = nc.compile(net, target)
    program.run(steps=90)
    whole = program.weights("learns")
    program.run(steps=37)
    middle = program.weights("learns")
    assert not np.array_equal(middle, whole)
    program.run(steps=52, resume=True)
    program.step()
    assert np.array_equal(program.weights("learns"), whole)
    assert np.array_equal(program.learned().projections["learns"].connectivity.weights, whole)
    program.reset()
    assert np.array_equal(program.weights("learns"), net.projections["learns"].connectivity.weights)


def test_recording_every_few_steps_takes_those_rows():
    rng = np.random.default_rng(9)
    net = learning(nc.STDP(), rng.uniform(0.2, 0.8, (3, 4)), trains(rng, 4, 60, 0.2), trains(rng, 3, 60, 0.2), 2)
    for target in TARGETS:
        program = nc.compile(net, target)
        each = program.run(steps=60, record=["learns.w"])["learns.w"]
        some = program.run(steps=60, record=["learns.w"], every=7)["learns.w"]
        assert np.array_equal(some, each[6::7])

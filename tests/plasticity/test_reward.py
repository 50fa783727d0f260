"""Reward-modulated STDP: the eligibility a pair of spikes leaves, and the weight a later reward makes of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

import neurocomp as nc

TARGETS = ("reference", "cpu")
DT = 1e-3
EXACT = {"rtol": 0, "atol": 1e-12}


def rewarded(rule, weights, pre, post, reward, delay=0, max_payload=8):
    """x -> y learns from the payloads of `reward` (times, payloads); y spikes when `post` says so."""
    times, payloads = reward
    net = nc.Network("rewarded", dt=DT)
    net.input("x", weights.shape[1], spikes=pre)
    net.input("teacher", weights.shape[0], spikes=post)
    net.input("reward", 1, max_payload=max_payload, spikes=(times, np.zeros(len(times), int), payloads))
    net.population("y", nc.Threshold(threshold=50.0), weights.shape[0])
    net.connect("teacher", "y", nc.OneToOne(100.0))
    net.connect("x", "y", nc.Dense(weights), delay, "learns", plasticity=rule)
    return net


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("reward_delay", [0, 6])
def test_a_reward_adds_rate_times_reward_times_the_decayed_eligibility(target, reward_delay):
    """Pairs at +5 and -5 ms, and three rewards of different size and sign; nothing changes between them."""
    rule = nc.RewardSTDP("reward", tau_c=0.2, rate=0.5, w_min=-1.0, reward_delay=reward_delay)
    pairs = ([20, 20], [0, 1]), ([25, 15], [0, 1])
    rewards = np.array([60, 150, 290]), np.array([3, -2, 1])
    net = rewarded(rule, np.full((2, 2), 0.4), *pairs, rewards)
    program = nc.compile(net, target)
    weights = program.run(steps=320, record=["learns.w"])["learns.w"]

    times = rewards[0] + reward_delay
    for t in np.flatnonzero(np.diff(weights, axis=0).any(axis=(1, 2))) + 1:
        assert t in times
    # synapse (post, pre): neuron 0 of y spikes 5 ms after, neuron 1 5 ms before both spikes of x; c starts at the later spike
    begun = np.array([[25, 25], [20, 20]])
    first = np.array([[0.01, 0.01], [-0.0105, -0.0105]]) * math.exp(-5e-3 / 20e-3)
    wanted = np.full((2, 2), 0.4)
    for t, size in zip(times, rewards[1], strict=True):
        wanted = wanted + 0.5 * size * first * np.exp(-(t - begun) * DT / 0.2)
        np.testing.assert_allclose(weights[t], wanted, **EXACT)


@pytest.mark.parametrize("target", TARGETS)
def test_without_a_reward_nothing_is_learned(target):
    rng = np.random.default_rng(1)
    pre, post = np.nonzero(rng.random((200, 3)) < 0.1), np.nonzero(rng.random((200, 2)) < 0.1)
    program = nc.compile(rewarded(nc.RewardSTDP("reward"), np.full((2, 3), 0.4), pre, post, ([], [])), target)
    program.run(steps=200)
    assert np.all(program.weights("learns") == 0.4)


def brute_force(start, arrivals, spikes, rewards, steps, p):
    """The weight after every step: each pair's share of the eligibility by formula, for every reward."""
    w, trajectory = start, []
    for t in range(steps):
        if t in rewards:
            shares = [
                p["a_plus"] * math.exp(-(s - a) * DT / p["tau_pre"] - (t - s) * DT / p["tau_c"])
                if s >= a
                else -p["a_minus"] * math.exp(-(a - s) * DT / p["tau_post"] - (t - a) * DT / p["tau_c"])
                for a in arrivals
                for s in spikes
                if max(a, s) <= t
            ]
            w = min(max(w + p["rate"] * rewards[t] * sum(shares), p["w_min"]), p["w_max"])
        trajectory.append(w)
    return trajectory


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("delay", [0, "each"])
def test_random_trains_and_rewards_equal_a_loop_over_all_pairs(target, delay):
    """Rewards of both signs, also in the steps of spikes, with hard bounds and delays."""
    rng = np.random.default_rng(2)
    steps, shape = 350, (3, 4)
    rule = nc.RewardSTDP("reward", 15e-3, 25e-3, 0.04, 0.03, tau_c=60e-3, rate=0.8, w_min=-0.2, w_max=0.9, reward_delay=3)
    pre, post = np.nonzero(rng.random((steps, shape[1])) < 0.08), np.nonzero(rng.random((steps, shape[0])) < 0.08)
    times = np.sort(rng.choice(steps - 3, 40, replace=False))
    sizes = rng.choice([-3, -2, -1, 1, 2, 3], 40)
    start = rng.uniform(-0.2, 0.9, shape)
    delays = rng.integers(0, 12, shape) if delay == "each" else delay
    program = nc.compile(rewarded(rule, start, pre, post, (times, sizes), delays), target)
    learned = program.run(steps=steps, record=["learns.w"])["learns.w"]
    spread, rewards = np.broadcast_to(delays, shape), dict(zip((times + 3).tolist(), sizes.tolist(), strict=True))
    for j, i in np.ndindex(*shape):
        arrivals, spikes = (pre[0][pre[1] == i] + spread[j, i]).tolist(), post[0][post[1] == j].tolist()
        wanted = brute_force(start[j, i], arrivals, spikes, rewards, steps, rule.parameters)
        np.testing.assert_allclose(learned[:, j, i], wanted, **EXACT)
    assert learned.min() == -0.2
    assert learned.max() == 0.9


@pytest.mark.parametrize("target", TARGETS)
def test_the_reward_may_be_a_neuron_of_the_network(target):
    """A population decides: each of its spikes, here 4 steps after the input it gets, is a reward of 1."""
    net = rewarded(nc.RewardSTDP("critic", tau_c=0.5), np.full((1, 1), 0.4), ([10], [0]), ([12], [0]), ([], []))
    net.input("cue", 1, spikes=([40], [0]))
    net.population("critic", nc.Threshold(threshold=0.5), 1)
    net.connect("cue", "critic", nc.OneToOne(1.0), delay=4)
    program = nc.compile(net, target)
    recording = program.run(steps=60)
    assert recording["critic"].times.tolist() == [44]
    wanted = 0.4 + 0.01 * math.exp(-2e-3 / 20e-3) * math.exp(-(44 - 12) * DT / 0.5)
    np.testing.assert_allclose(program.weights("learns"), wanted, **EXACT)


def test_a_distal_reward_finds_the_pair_that_led_to_it():
    """Izhikevich's (2007) experiment in small: of 100 synapses firing at random, the one whose pairs are followed by a reward,
    1 to 3 s late and with everything else going on meanwhile, becomes the strongest by far.
    """
    rng = np.random.default_rng(2007)
    dt, seconds, n, chosen = 1e-3, 1500, 100, 37
    steps = round(seconds / dt)
    pre = [rng.integers(0, steps, rng.poisson(0.5 * seconds)) for _ in range(n)]
    post = rng.integers(0, steps, rng.poisson(0.5 * seconds))
    cues = np.arange(5000, steps - 10_000, 10_000)  # every 10 s a pair at +5 ms is made at the chosen synapse
    pre[chosen] = np.concatenate([pre[chosen], cues])
    post = np.unique(np.concatenate([post, cues + 5]))
    times = np.concatenate(pre)
    x = np.unique(np.stack([times, np.repeat(np.arange(n), list(map(len, pre)))]), axis=1)
    rewards = cues + rng.integers(1000, 3000, len(cues))
    rule = nc.RewardSTDP("reward", a_plus=0.1, a_minus=0.15, tau_c=1.0, rate=0.5, w_max=4.0)
    net = rewarded(rule, np.zeros((1, n)), tuple(x), (post, np.zeros(len(post), int)), (rewards, np.ones(len(rewards), int)))
    program = nc.compile(net, "cpu")
    program.run(steps=steps)
    weights = program.weights("learns").ravel()
    others = np.delete(weights, chosen)
    assert weights[chosen] > 4 * others.max() > 0

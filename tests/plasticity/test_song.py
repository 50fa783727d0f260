"""Song, Miller & Abbott (2000, doi:10.1038/78829): a neuron under 1000 Poisson inputs, whose synapses compete by STDP.

The paper's neuron and numbers: tau_m 20 ms, rest -70 mV, threshold -54 mV, reset -60 mV, synapses of 5 ms, in units of the leak
excitatory conductances up to 0.015 and inhibitory ones of 0.05 (200 inputs of 10 Hz); A+ 0.005, A-/A+ 1.05, 20 ms each.
"""

from __future__ import annotations

import numpy as np

import neurocomp as nc

DT = 1e-4
LEAK = 1e-9 / 20e-3  # S: the neuron's conductance, c_m / tau_mem
LARGEST = 0.015 * LEAK
CELL = nc.CobaLIF(c_m=1e-9, tau_mem=20e-3, v_leak=-70e-3, v_threshold=-54e-3, v_reset=-60e-3, e_exc=0.0, e_inh=-70e-3)
HARD = nc.STDP(20e-3, 20e-3, 0.005 * LARGEST, 1.05 * 0.005 * LARGEST, w_max=LARGEST)
SOFT = nc.STDP(20e-3, 20e-3, 0.005, 1.05 * 0.005, w_max=LARGEST, bound="soft")


def poisson(rng, n, rate, steps):
    """Spikes (times, ids) of n inputs."""
    flat = np.sort(rng.integers(0, steps * n, rng.poisson(rate * DT * steps * n)))
    flat = flat[np.diff(flat, prepend=-1) > 0]
    return flat // n, flat % n


def compete(rate, seconds, rule):
    """(weights as fractions of the largest, the neuron's rate in Hz) after so many seconds of inputs at `rate` Hz."""
    rng = np.random.default_rng(2000)
    net = nc.Network("competition", dt=DT)
    net.input("exc", 1000)
    net.input("inh", 200)
    net.population("cell", CELL, 1)
    start = nc.Dense(rng.uniform(0, LARGEST, (1, 1000)))
    net.connect("exc", "cell", start, delay=1, name="learns", receptor="exc", plasticity=rule)
    net.connect("inh", "cell", nc.Dense(np.full((1, 200), 0.05 * LEAK)), delay=1, receptor="inh")
    program, piece = nc.compile(net, "cpu"), 50
    for begin in range(0, seconds, piece):
        steps = round(piece / DT)
        inputs = {"exc": poisson(rng, 1000, rate, steps), "inh": poisson(rng, 200, 10.0, steps)}
        recording = program.run(inputs, steps, record=["cell"], resume=begin > 0)
    return program.weights("learns").ravel() / LARGEST, len(recording["cell"]) / piece


def test_competition_ends_in_a_bimodal_distribution():
    """At the rates of the paper: weights gather at both bounds, the fewer at the upper the faster the inputs fire, so that the
    neuron's own rate hardly depends on them. With soft bounds and the same inputs there is one hump (van Rossum et al. 2000).
    """
    strong, rates = [], []
    for rate, seconds in ((10.0, 1000), (20.0, 500)):
        weights, fired = compete(rate, seconds, HARD)
        tenths = np.histogram(weights, 10, (0.0, 1.0))[0]
        assert min(tenths[0], tenths[-1]) > 2.5 * tenths[3:7].max(), tenths
        assert tenths[0] + tenths[-1] > 450, tenths
        strong.append(np.mean(weights > 0.5))
        rates.append(fired)
    assert strong[1] < 0.7 * strong[0]
    assert 8.0 < min(rates) < max(rates) < 25.0

    weights, fired = compete(20.0, 200, SOFT)
    tenths = np.histogram(weights, 10, (0.0, 1.0))[0]
    assert tenths[0] + tenths[-1] < 50, tenths
    assert tenths[3:7].sum() > 800, tenths

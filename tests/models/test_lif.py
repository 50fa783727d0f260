"""LIF against its closed form: from reset, v(t) = r I (1 - exp(-t / tau)), so that intervals are
t_ref + tau * log(r I / (r I - threshold)), rounded up to whole steps.
"""

import numpy as np
import pytest

import neurocomp as nc

DT, TAU, R, THRESHOLD = 1e-4, 10e-3, 2.0, 1.0
RHEOBASE = THRESHOLD / R
# 28 of them, from just above the rheobase to one spike every other step
FACTORS = [1.0005, 1.001, 1.003, 1.01, 1.02, 1.03, 1.05, 1.07, 1.1, 1.15, 1.2, 1.3, 1.4, 1.6, 1.8, 2.1, 2.4, 2.9, 3.3, 4.1]
CURRENTS = RHEOBASE * np.array([*FACTORS, 5.3, 7.1, 10.3, 15.0, 22.0, 33.0, 47.0, 70.0])
BITS = 31  # of the grid that the compiler puts inputs on, times the gain r (1 - exp(-dt / tau)): see docs/numbers.md


def cells(currents, how="bias", integrator="exact", **parameters):
    """One LIF per current, which is their bias or comes from a source of direct current."""
    net = nc.Network("lif", dt=DT, integrator=integrator)
    neuron = nc.LIF(**{"tau": TAU, "r": R, "v_threshold": THRESHOLD, **parameters})
    net.population("cell", neuron, len(currents), bias=currents if how == "bias" else 0.0)
    if how == "source":
        net.population("on", nc.StepCurrent(), 1)
        net.connect("on", "cell", nc.Dense(np.array(currents)[:, None]))
    return nc.compile(net, "cpu", mantissa_bits=BITS)


def trains(program, steps):
    spikes = program.run(steps=steps)["cell"]
    return [spikes.times[spikes.ids == k] for k in range(spikes.size)]


def closed_form(currents, threshold=THRESHOLD, v_reset=0.0, v_leak=0.0):
    """Steps from reset to threshold. No current here is so near a whole number of them that the grid would decide."""
    steady = R * np.asarray(currents) + v_leak
    steps = TAU / DT * np.log((steady - v_reset) / (steady - threshold))
    grid = R * max(currents) / 2 ** (BITS - 1)
    assert (abs(steps - np.round(steps)) > 2 * grid * TAU / DT / (steady - threshold)).all()
    return np.ceil(steps).astype(int)


@pytest.mark.parametrize("how", ["bias", "source"])
@pytest.mark.parametrize("integrator", ["exact", "exponential"])
@pytest.mark.parametrize("t_ref", [None, 0.0, 2e-3, 5e-3])
def test_every_interval_is_that_of_the_closed_form(how, integrator, t_ref):
    """Without any integration error: both integrators are exact for a constant current."""
    program = cells(CURRENTS, how, integrator, **({} if t_ref is None else {"t_ref": t_ref}))
    first = closed_form(CURRENTS)
    wanted = first + round((t_ref or 0.0) / DT)
    for times, start, interval in zip(trains(program, 4000), first, wanted, strict=True):
        assert len(times) >= 4
        assert times[0] == start - 1  # a spike at the end of step n - 1 is at time n dt
        assert set(np.diff(times)) == {interval}


def test_rates_saturate_at_the_refractory_period():
    """f = 1 / (t_ref + tau log(...)): 1 / (5 ms + 0.1 ms) at most, as the first step after it can spike."""
    times = trains(cells(np.array([1000.0]), t_ref=5e-3), 5100)[0]
    assert len(times) == 100
    assert set(np.diff(times)) == {51}


def test_intervals_with_leak_and_reset_elsewhere():
    reach = CURRENTS[R * CURRENTS - 0.25 > THRESHOLD]
    wanted = closed_form(reach, v_reset=-0.5, v_leak=-0.25)
    for times, interval in zip(trains(cells(reach, v_leak=-0.25, v_reset=-0.5), 4000), wanted, strict=True):
        assert set(np.diff(times)) == {interval}


def test_the_rheobase_is_threshold_over_resistance():
    """Silent at 0.99999 threshold / r; at 1.00001 of it the first spike comes when the closed form says, after 115 ms."""
    excess = 1e-5
    below, above = trains(cells(RHEOBASE * np.array([1 - excess, 1 + excess])), 3000)
    assert len(below) == 0
    assert above[0] == closed_form(RHEOBASE * np.array([1 + excess]))[0] - 1


def test_reset_by_subtraction_keeps_the_excess():
    """Over a long time a perfect integrator with subtraction fires once per threshold of charge: rates are r I / threshold."""
    net = nc.Network("if", dt=DT)
    currents = np.array([3.0, 17.0, 100.0, 1000.0, 4000.0])
    net.population("cell", nc.IF(r=R, v_threshold=THRESHOLD, reset="subtract"), 5, bias=currents)
    counts = nc.compile(net, "cpu").run(steps=20000)["cell"].counts()
    assert (abs(counts - R * currents / THRESHOLD * 20000 * DT) <= 1).all()


def test_convergence_of_euler():
    """By integrator="euler" the voltage misses the closed form by an error that halves with dt."""
    errors = []
    for dt in (1e-3, 0.5e-3, 0.25e-3):
        net = nc.Network("euler", dt=dt, integrator="euler")
        net.population("cell", nc.LIF(tau=TAU), 1, bias=0.5)
        v = nc.compile(net, "cpu").run(steps=round(20e-3 / dt), record=["cell.v"])["cell.v"][-1, 0]
        errors.append(abs(v - 0.5 * (1 - np.exp(-2))))
    assert np.divide(errors[:-1], errors[1:]) == pytest.approx(2.0, abs=0.15)

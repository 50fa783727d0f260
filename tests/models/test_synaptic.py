"""Neurons with synapses of their own time course: closed forms of one spike's effect, superposition, conductances by scipy.

What arrives in step s acts from the end of that step on, so row s + k of a trace is k steps after the jump.
"""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import neurocomp as nc

DT, STEPS, AT = 1e-4, 1500, 7
WEIGHT = 2.0**-30  # A, 0.93 nA; a power of two is on the compiler's grid
C, TAU_MEM = 1e-9, 20e-3
T = np.arange(STEPS - AT) * DT  # since the spike
SILENT = {"v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}


def responses(neuron, spikes, states, steps=STEPS, dt=DT):
    """Traces after spikes, receptor -> [(step, weight), ...]."""
    net = nc.Network("synapse", dt=dt)
    net.population("cell", neuron, 1)
    for receptor, arrivals in spikes.items():
        for k, (step, weight) in enumerate(arrivals):
            net.input(f"{receptor}{k}", 1, spikes=([step], [0]))
            net.connect(f"{receptor}{k}", "cell", nc.OneToOne(weight), receptor=receptor)
    run = nc.compile(net, "cpu").run(steps=steps, record=["cell", *(f"cell.{x}" for x in states)])
    return [run[f"cell.{x}"][:, 0] for x in states]


def close(got, wanted):
    """Within 1e-12 of the largest value."""
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


def exponential_psp(tau):
    if tau == TAU_MEM:
        return WEIGHT / C * T * np.exp(-T / tau)
    return WEIGHT / C * TAU_MEM * tau / (tau - TAU_MEM) * (np.exp(-T / tau) - np.exp(-T / TAU_MEM))


def alpha_psp(tau):
    if tau == TAU_MEM:
        return WEIGHT / C * np.e / tau * T**2 / 2 * np.exp(-T / tau)
    c = 1 / tau - 1 / TAU_MEM
    return WEIGHT / C * np.e / tau * (np.exp(-T / TAU_MEM) - (1 + c * T) * np.exp(-T / tau)) / c**2


@pytest.mark.parametrize("receptor", ["exc", "inh"])
@pytest.mark.parametrize("tau", [0.5e-3, 5e-3, 20e-3, 50e-3])
def test_an_exponential_current(receptor, tau):
    """w exp(-t / tau), and its double exponential in the voltage, also where both time constants are equal."""
    neuron = nc.ExpLIF(c_m=C, tau_mem=TAU_MEM, **{f"tau_{receptor}": tau}, **SILENT)
    current, v = responses(neuron, {receptor: [(AT, WEIGHT)]}, [f"i_{receptor}", "v"])
    assert not current[:AT].any()
    assert not v[: AT + 1].any()
    close(current[AT:], WEIGHT * np.exp(-T / tau))
    close(v[AT:], exponential_psp(tau))


@pytest.mark.parametrize("receptor", ["exc", "inh"])
@pytest.mark.parametrize("tau", [0.5e-3, 5e-3, 20e-3, 50e-3])
def test_an_alpha_current(receptor, tau):
    """w e t / tau exp(-t / tau), whose peak is w at t = tau, and its effect on the voltage."""
    neuron = nc.AlphaLIF(c_m=C, tau_mem=TAU_MEM, **{f"tau_{receptor}": tau}, **SILENT)
    current, v = responses(neuron, {receptor: [(AT, WEIGHT)]}, [f"i_{receptor}", "v"])
    assert current[AT + round(tau / DT)] == pytest.approx(WEIGHT, rel=1e-12)
    assert current.argmax() == AT + round(tau / DT)
    close(current[AT:], WEIGHT * np.e * T / tau * np.exp(-T / tau))
    close(v[AT:], alpha_psp(tau))


@pytest.mark.parametrize("model", [nc.ExpLIF, nc.AlphaLIF])
def test_currents_add_up(model):
    """Nine spikes of both receptors and signs have the effect of the sum of each alone."""
    neuron = model(c_m=C, tau_mem=TAU_MEM, tau_exc=2e-3, tau_inh=8e-3, **SILENT)
    excitation = [(3, WEIGHT), (4, WEIGHT / 4), (90, 2 * WEIGHT), (200, WEIGHT), (201, 4 * WEIGHT)]
    inhibition = [(60, -WEIGHT), (90, -WEIGHT / 8), (300, -2 * WEIGHT), (310, -WEIGHT)]
    arrivals = {"exc": excitation, "inh": inhibition}
    (together,) = responses(neuron, arrivals, ["v"])
    alone = [responses(neuron, {receptor: [one]}, ["v"])[0] for receptor, ones in arrivals.items() for one in ones]
    close(together, np.sum(alone, axis=0))
    assert together.max() > 0 > together.min()


@pytest.mark.parametrize("model", [nc.ExpLIF, nc.AlphaLIF, nc.CobaLIF])
def test_a_constant_current_charges_the_membrane(model):
    """v_leak + i tau / c (1 - exp(-t / tau)) at PyNN's defaults, until the threshold, which is crossed at tau log(...)."""
    current = 0.8e-9
    (v,) = responses(model(i_offset=current), {}, ["v"])
    t = np.arange(1, STEPS + 1) * DT
    rise = current * 20e-3 / 1e-9
    first = int(np.ceil(20e-3 * np.log(rise / (rise - 15e-3)) / DT))
    np.testing.assert_allclose(v[: first - 1], (-65e-3 - rise * np.expm1(-t / 20e-3))[: first - 1], rtol=1e-12)
    assert v[first - 1] == -65e-3  # reset in the step in which it spikes
    assert v[:first].argmax() == first - 2


# ------------------------------------------------------------------------------------------------------------ conductances


COBA = {"tau_exc": 4e-3, "tau_inh": 9e-3, "e_exc": 0.0, "e_inh": -75e-3, "v_threshold": 1.0}
ARRIVALS = {"exc": [(100, 2.0**-23), (260, 2.0**-22)], "inh": [(160, 2.0**-22), (400, 2.0**-24)]}  # steps of 0.1 ms


def conductances_by_scipy(ms):
    """v (mV) at whole tenths of a ms, where conductances jump at the ends of the steps of ARRIVALS; in mV, ms, uS and nA."""

    def change(_, state):
        v, exc, inh = state
        return [(-65 - v) / 20 + exc * (0 - v) + inh * (-75 - v), -exc / 4, -inh / 9]

    jumps = sorted(
        (round((step + 1) * 0.1, 6), receptor, weight * 1e6) for receptor, x in ARRIVALS.items() for step, weight in x
    )
    grid = np.arange(1, round(ms * 10) + 1) / 10
    state, start, values = np.array([-65.0, 0.0, 0.0]), 0.0, []
    for stop, receptor, weight in [*jumps, (ms, "exc", 0.0)]:
        at = grid[(grid > start + 1e-9) & (grid < stop + 1e-9)]
        part = solve_ivp(change, (start, stop), state, "DOP853", t_eval=np.append(at[:-1], stop), rtol=1e-11, atol=1e-12)
        values.append(part.y[0])
        start, state = stop, part.y[:, -1]
        state[1 if receptor == "exc" else 2] += weight
    return np.concatenate(values)


def test_conductances_converge_to_scipys_solution():
    """Halving dt quarters the error: what acts during a step is the mean of a conductance over it."""
    wanted = conductances_by_scipy(80.0)
    errors = []
    for per in (1, 2, 4, 8):
        arrivals = {receptor: [((step + 1) * per - 1, weight) for step, weight in x] for receptor, x in ARRIVALS.items()}
        (v,) = responses(nc.CobaLIF(**COBA), arrivals, ["v"], 800 * per, DT / per)
        errors.append(np.abs(v[per - 1 :: per] * 1e3 - wanted).max())
    assert np.ptp(wanted) > 20
    assert np.divide(errors[:-1], errors[1:]) == pytest.approx(4.0, abs=0.4)
    assert errors[-1] < 2e-3


@pytest.mark.parametrize(("receptor", "reversal"), [("exc", 0.0), ("inh", -75e-3)])
def test_a_strong_conductance_pulls_to_its_reversal_potential_and_no_further(receptor, reversal):
    (v,) = responses(nc.CobaLIF(**COBA), {receptor: [(0, 2.0**-10)]}, ["v"], 200)
    assert v[20] == pytest.approx(reversal, abs=1e-5)
    assert v.min() >= min(reversal, -65e-3) - 1e-12
    assert v.max() <= max(reversal, -65e-3) + 1e-12


def test_at_the_reversal_potential_a_conductance_only_shunts():
    """It moves nothing by itself, and lowers the effect of excitation."""
    cell = nc.CobaLIF(**COBA | {"v_leak": -75e-3})
    (still,) = responses(cell, {"inh": [(10, 2.0**-18)]}, ["v"])
    np.testing.assert_allclose(still, -75e-3, rtol=1e-14)
    (free,) = responses(cell, {"exc": [(10, 2.0**-28)]}, ["v"])
    (shunted,) = responses(cell, {"exc": [(10, 2.0**-28)], "inh": [(10, 2.0**-18)]}, ["v"])
    assert 0 < (shunted + 75e-3).max() < 0.2 * (free + 75e-3).max()


def test_a_constant_conductance_divides_the_voltage():
    """v = (g_leak v_leak + g e_exc) / (g_leak + g), with g kept up by a spike in every step."""
    net = nc.Network("steady", dt=1e-3)
    net.population("on", nc.StepCurrent(), 1)
    net.population("cell", nc.CobaLIF(**COBA), 1)
    weight = 2.0**-27
    net.connect("on", "cell", nc.OneToOne(weight), receptor="exc")
    run = nc.compile(net, "cpu").run(steps=1000, record=["cell.v", "cell.g_exc"])
    decay = np.exp(-1e-3 / 4e-3)
    assert run["cell.g_exc"][-1, 0] == pytest.approx(weight / (1 - decay), rel=1e-12)
    g_leak, g = 1e-9 / 20e-3, weight * 4.0  # over a step acts the mean, sum * tau / dt * (1 - exp(-dt / tau))
    assert run["cell.v"][-1, 0] == pytest.approx(g_leak * -65e-3 / (g_leak + g), rel=1e-12)

"""Neurons with ion channels against the literature, and against an independent solution of their equations by scipy.

The equations are written again here, in mV, ms and uA/cm2 as in the papers, and solved with a relative tolerance of 1e-9.
"""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import neurocomp as nc

UA_PER_CM2 = 0.01  # A/m2


def linoid(x):
    """x / (1 - exp(-x)), 1 at 0."""
    return x / -np.expm1(-x) if abs(x) > 1e-9 else 1.0 + x / 2


class Squid:
    """Hodgkin & Huxley 1952 with rest at -65 mV, as in textbooks (Gerstner et al. 2014, Neuronal Dynamics, table 2.1)."""

    def rates(self, v):
        """(opening, closing) of m, h and n, per ms."""
        return (
            (linoid((v + 40) / 10), 4 * np.exp(-(v + 65) / 18)),
            (0.07 * np.exp(-(v + 65) / 20), 1 / (1 + np.exp(-(v + 35) / 10))),
            (0.1 * linoid((v + 55) / 10), 0.125 * np.exp(-(v + 65) / 80)),
        )

    def current(self, v, m, h, n):
        return 120 * m**3 * h * (50 - v) + 36 * n**4 * (-77 - v) + 0.3 * (-54.387 - v)

    def change(self, _, state, drive):
        v, *gates = state
        flows = [opening * (1 - x) - closing * x for x, (opening, closing) in zip(gates, self.rates(v), strict=True)]
        return [self.current(v, *gates) + drive, *flows]

    def steady_gates(self, v):
        return [opening / (opening + closing) for opening, closing in self.rates(v)]

    def fixed_point(self, drive):
        """The lowest one: rest."""
        grid = np.arange(-90.0, 0.0, 0.5)
        flows = np.array([self.current(v, *self.steady_gates(v)) + drive for v in grid])
        k = np.flatnonzero((flows[:-1] > 0) & (flows[1:] <= 0))[0]
        v = brentq(lambda v: self.current(v, *self.steady_gates(v)) + drive, grid[k], grid[k + 1], xtol=1e-12)
        return np.array([v, *self.steady_gates(v)])

    def growth(self, drive):
        """The largest real part of the eigenvalues of the equations linearised at the fixed point: positive if unstable."""
        at, small = self.fixed_point(drive), 1e-6
        columns = [np.subtract(self.change(0, at + d, drive), self.change(0, at - d, drive)) for d in small * np.eye(len(at))]
        return np.linalg.eigvals(np.array(columns).T / (2 * small)).real.max()


SQUID = Squid()


def solve(system, start, drive, ms, threshold=0.0):
    """scipy's solution, with the times at which the voltage crosses the threshold upwards."""

    def crossing(_, state, *__):
        return state[0] - threshold

    crossing.direction = 1
    how = {"method": "LSODA", "rtol": 1e-9, "atol": 1e-10, "events": crossing, "dense_output": True}
    return solve_ivp(system, (0, ms), start, args=(drive,), **how)


def squid(currents, ms, dt=0.01, record=("cell",), start=None):
    """Currents in uA/cm2, one neuron each. start: v, m, h and n of them all."""
    currents = np.atleast_1d(currents).astype(float)
    initial = None if start is None else {"v": start[0] * 1e-3, "m": start[1], "h": start[2], "n": start[3]}
    net = nc.Network("squid", dt=dt * 1e-3)
    net.population("cell", nc.HodgkinHuxley(i_offset=currents * UA_PER_CM2, initial=initial), len(currents))
    return nc.compile(net, "cpu").run(steps=round(ms / dt), record=record)


def times_of(run, neuron=0, dt=0.01):
    """Ends of the steps with spikes, in ms."""
    spikes = run["cell"]
    return (spikes.times[spikes.ids == neuron] + 1) * dt


# ----------------------------------------------------------------------------------------------------------- the squid axon


def test_the_resting_potential_stays():
    run = squid(0.0, 300, record=["cell", "cell.v", "cell.m", "cell.h", "cell.n"])
    assert len(run["cell"]) == 0
    assert np.abs(run["cell.v"] + 65e-3).max() < 0.01e-3
    gates = [run[f"cell.{gate}"][-1, 0] for gate in "mhn"]
    assert gates == pytest.approx([0.053, 0.596, 0.318], abs=5e-4)


def test_spike_times_are_those_of_scipy():
    """10 uA/cm2 for 100 ms at dt = 0.01 ms: seven spikes, none of them off by more than 0.02 ms."""
    wanted = solve(SQUID.change, SQUID.fixed_point(0.0), 10.0, 100).t_events[0]
    assert len(wanted) == 7
    np.testing.assert_allclose(times_of(squid(10.0, 100)), wanted, atol=0.02)


def voltage_error(dt, exact):
    v = squid(10.0, 50, dt, ["cell.v"], SQUID.fixed_point(0.0))["cell.v"][:, 0] * 1e3
    return np.abs(v - exact.sol(np.arange(1, len(v) + 1) * dt)[0]).max()


def test_the_error_falls_with_the_square_of_dt():
    """Gates and voltage advance in turn, so exponential Euler is of second order here: halving dt quarters the error."""
    exact = solve(SQUID.change, SQUID.fixed_point(0.0), 10.0, 50)
    errors = [voltage_error(dt, exact) for dt in (0.02, 0.01, 0.005, 0.0025)]
    assert np.divide(errors[:-1], errors[1:]) == pytest.approx(4.0, abs=0.15)
    assert errors[-1] < 0.05  # mV, where the voltage rises by 300 mV in a ms


def test_the_rate_at_ten_microampere():
    """68.3 Hz at 6.3 degrees, a period of 14.64 ms; spikes reach +40 mV at first, +30 mV in the train; undershoot -75 mV."""
    run = squid(10.0, 1000, record=["cell", "cell.v"])
    intervals = np.diff(times_of(run))[5:]
    assert 1000 / intervals.mean() == pytest.approx(68.3, abs=0.1)
    assert np.ptp(intervals) < 0.03
    v = run["cell.v"][:, 0] * 1e3
    assert v.max() == pytest.approx(40.3, abs=0.5)
    late = v[len(v) // 2 :]
    assert late.max() == pytest.approx(30.4, abs=0.5)
    assert late.min() == pytest.approx(-74.9, abs=0.5)


def test_one_spike_is_not_a_train():
    """From rest, 2.2 uA/cm2 makes no spike, 2.3 to 5 make just one."""
    run = squid([2.0, 2.2, 2.3, 3.0, 4.0, 5.0], 500)
    assert run["cell"].counts().tolist() == [0, 0, 1, 1, 1, 1]
    assert times_of(run, 3)[0] == pytest.approx(4.6, abs=0.1)


def test_the_rheobase_of_a_train_and_its_frequency():
    """Cycles appear at 6.264 uA/cm2 (Rinzel & Miller 1980, doi:10.1016/0025-5564(80)90109-1), at 51 Hz at once: class 2."""
    run = squid([6.2, 6.25, 6.28, 6.4], 3000, dt=0.02)
    trains = [times_of(run, k, 0.02) for k in range(4)]
    assert all(x[-1] < 1000 for x in trains[:2])
    assert all(x[-1] > 2970 for x in trains[2:])
    rates = [1000 / np.diff(x)[-20:].mean() for x in trains[2:]]
    assert rates == pytest.approx([51.7, 53.6], abs=0.5)


def test_points_of_the_f_i_curve():
    """The rates of scipy's solution at five currents, where the spikes still exceed 0 mV."""
    currents = [6.5, 8.0, 15.0, 30.0, 50.0]
    run = squid(currents, 150)
    rates = []
    for k, current in enumerate(currents):
        wanted = np.diff(solve(SQUID.change, SQUID.fixed_point(0.0), current, 150).t_events[0])[-2:]
        assert np.diff(times_of(run, k))[-2:] == pytest.approx(wanted, abs=0.02)
        rates.append(1000 / wanted.mean())
    assert rates == pytest.approx([54.7, 62.5, 78.7, 98.9, 117.0], abs=1.0)


def amplitude(current, ms=1500, dt=0.02):
    """mV between peak and trough after the first second, from just beside the fixed point."""
    start = SQUID.fixed_point(current) + np.array([0.05, 0, 0, 0])
    v = squid(current, ms, dt, ["cell.v"], start)["cell.v"][:, 0] * 1e3
    return np.ptp(v[round(1000 / dt) :])


def test_where_rest_loses_and_regains_stability():
    """Hopf bifurcations at 9.78 and 154.5 uA/cm2 (Hassard 1978, doi:10.1016/0022-5193(78)90168-6).

    Between 6.26 and 9.78 a train and rest exist side by side: what happens depends on the start.
    """
    assert brentq(SQUID.growth, 9, 11) == pytest.approx(9.78, abs=0.01)
    assert brentq(SQUID.growth, 150, 160) == pytest.approx(154.5, abs=0.1)
    assert amplitude(9.4) < 0.01
    assert amplitude(10.2) > 90
    assert amplitude(152.0) > 4
    assert amplitude(156.0) < 0.01
    assert squid(9.4, 500)["cell"].counts()[0] > 30


def test_gates_are_probabilities():
    """Under any current, also where it is far beyond what a cell survives."""
    currents = np.array([-1000.0, -100.0, 0.0, 20.0, 200.0, 2000.0])
    run = squid(currents, 100, 0.05, ["cell.m", "cell.h", "cell.n", "cell.v"])
    for gate in "mhn":
        trace = run[f"cell.{gate}"]
        assert (trace >= 0).all()
        assert (trace <= 1).all()
        assert np.ptp(trace) > 0.5
    assert np.isfinite(run["cell.v"]).all()


def test_a_spike_needs_recovery():
    """Of two pulses of 1 ms and 15 uA/cm2 the second is ignored 5 ms after the first, and makes a spike 25 ms after it."""
    counts = []
    for interval in (5, 25):
        net = nc.Network("pulses", dt=1e-5)
        net.population("cell", nc.HodgkinHuxley(), 1)
        for k, start in enumerate((10e-3, (10 + interval) * 1e-3)):
            net.population(f"pulse{k}", nc.StepCurrent(start=start, stop=start + 1e-3), 1)
            net.connect(f"pulse{k}", "cell", nc.OneToOne(15 * UA_PER_CM2))
        counts.append(int(nc.compile(net, "cpu").run(steps=6000)["cell"].counts()[0]))
    assert counts == [1, 2]


# ------------------------------------------------------------------------------------------------ the hippocampal pyramid


class Pyramid(Squid):
    """The cell of the COBAHH benchmark (Brette et al. 2007, doi:10.1007/s10827-007-0038-6), per cm2: V_T = -63 mV.

    100, 30 and 0.05 mS/cm2 on 20,000 um2 are 20 uS, 6 uS and 10 nS. The benchmark has the leak at -60 mV; with PyNN's -65 mV
    the cell rests.
    """

    def __init__(self, leak=-60.0):
        self.leak = leak

    def rates(self, v):
        x = v + 63
        return (
            (0.32 * 4 * linoid((x - 13) / 4), 0.28 * 5 * linoid((40 - x) / 5)),
            (0.128 * np.exp((17 - x) / 18), 4 / (1 + np.exp((40 - x) / 5))),
            (0.032 * 5 * linoid((x - 15) / 5), 0.5 * np.exp((10 - x) / 40)),
        )

    def current(self, v, m, h, n):
        return 100 * m**3 * h * (50 - v) + 30 * n**4 * (-90 - v) + 0.05 * (self.leak - v)


class Kicked(Pyramid):
    """With the two conductances (mS/cm2) at the end of the state."""

    def change(self, t, state, drive):
        *cell, exc, inh = state
        synaptic = exc * (0 - cell[0]) + inh * (-80 - cell[0])
        return [*super().change(t, cell, drive + synaptic), -exc / 5, -inh / 10]


RESTING = Pyramid(-65.0)
AREA = 2e-4  # cm2


def pyramid(ms, dt=0.01, amperes=0.0, kicks=(), record=("cell",)):
    """A cell that rests with its leak at -65 mV. kicks: (receptor, step, weight in S)."""
    v, m, h, n = RESTING.fixed_point(0.0)
    initial = {"v": v * 1e-3, "m": m, "h": h, "n": n}
    net = nc.Network("pyramid", dt=dt * 1e-3)
    net.population("cell", nc.TraubMiles(e_leak=-65e-3, i_offset=amperes, initial=initial), 1)
    for k, (receptor, step, weight) in enumerate(kicks):
        net.input(f"x{k}", 1, spikes=([step], [0]))
        net.connect(f"x{k}", "cell", nc.OneToOne(weight), receptor=receptor)
    return nc.compile(net, "cpu").run(steps=round(ms / dt), record=record)


def test_the_pyramid_fires_by_itself():
    """With the benchmark's leak it has no rest and spikes every 72 ms, as in other simulators (Brian 2's issue 744)."""
    exact = solve(Pyramid().change, [-60.0, 0.0, 0.0, 0.0], 0.0, 300, -20.0).t_events[0]
    assert np.diff(exact) == pytest.approx(72.2, abs=0.2)
    net = nc.Network("alone", dt=1e-5)
    net.population("cell", nc.TraubMiles(), 1)
    np.testing.assert_allclose(times_of(nc.compile(net, "cpu").run(steps=30000)), exact, atol=0.02)


def test_the_pyramid_rests_with_another_leak():
    run = pyramid(300, record=["cell", "cell.v"])
    assert len(run["cell"]) == 0
    assert np.ptp(run["cell.v"]) < 1e-9
    assert run["cell.v"][0, 0] == pytest.approx(-64.77e-3, abs=0.01e-3)


def test_the_pyramid_under_a_current():
    """0.3 nA for 100 ms: scipy's spike times within 0.02 ms at dt = 0.01 ms."""
    amperes = 0.3e-9
    exact = solve(RESTING.change, RESTING.fixed_point(0.0), amperes * 1e6 / AREA, 100, -20.0)
    assert len(exact.t_events[0]) > 3
    np.testing.assert_allclose(times_of(pyramid(100, 0.01, amperes)), exact.t_events[0], atol=0.02)


def test_the_pyramids_error_falls_with_the_square_of_dt():
    amperes = 0.3e-9
    exact = solve(RESTING.change, RESTING.fixed_point(0.0), amperes * 1e6 / AREA, 40, -20.0)
    errors = []
    for dt in (0.01, 0.005, 0.0025):
        v = pyramid(40, dt, amperes, record=["cell.v"])["cell.v"][:, 0] * 1e3
        errors.append(np.abs(v - exact.sol(np.arange(1, len(v) + 1) * dt)[0]).max())
    assert np.divide(errors[:-1], errors[1:]) == pytest.approx(4.0, abs=0.3)


def kicked(weights, ms, at):
    """scipy's solution from the moment `at` on, at which both conductances jump, and its spike times."""
    state = np.append(RESTING.fixed_point(0.0), np.array(weights) * 1e3 / AREA)
    later = solve(Kicked(-65.0).change, state, 0.0, ms - at, -20.0)
    return later, later.t_events[0] + at


@pytest.mark.parametrize(("weights", "count"), [((2.0**-25, 0.0), 1), ((2.0**-25, 2.0**-27), 1), ((2.0**-25, 2.0**-23), 0)])
def test_the_pyramid_after_a_conductance_kick(weights, count):
    """30 nS of excitation at 5 ms, alone or with 7 nS of inhibition, make a spike, not with 120 nS; the voltage is scipy's."""
    exact, spikes = kicked(weights, 20, 5.0)
    assert len(spikes) == count
    errors = []
    for dt in (0.01, 0.005, 0.0025):
        step = round(5 / dt) - 1  # what arrives in a step acts from its end on
        kicks = [(receptor, step, weight) for receptor, weight in zip(("exc", "inh"), weights, strict=True)]
        run = pyramid(20, dt, kicks=kicks, record=["cell", "cell.v"])
        np.testing.assert_allclose(times_of(run, dt=dt), spikes, atol=0.03)
        v = run["cell.v"][step + 1 :, 0] * 1e3
        errors.append(np.abs(v - exact.sol(np.arange(1, len(v) + 1) * dt)[0]).max())
    assert np.divide(errors[:-1], errors[1:]).min() > 1.8  # conductances are held at their newest values: first order

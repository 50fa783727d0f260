"""Neurons that adapt, resonate or spike by chance: firing patterns from the literature, closed forms, scipy's solutions."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import neurocomp as nc

# -------------------------------------------------------------------------------------------------------------------- AdEx


@dataclass(frozen=True)
class Cell:
    """In pF, nS, mV, ms and pA, as in the papers."""

    c: float
    g: float
    rest: float
    a: float
    tau: float
    b: float
    reset: float
    current: float = 0.0
    threshold: float = -50.0
    slope: float = 2.0

    def neuron(self, current=None, initial=None):
        return nc.AdEx(
            c_m=self.c * 1e-12,
            g_leak=self.g * 1e-9,
            v_leak=self.rest * 1e-3,
            v_threshold=self.threshold * 1e-3,
            delta_t=self.slope * 1e-3,
            g_adapt=self.a * 1e-9,
            tau_adapt=self.tau * 1e-3,
            b_adapt=self.b * 1e-12,
            v_reset=self.reset * 1e-3,
            i_offset=(self.current if current is None else current) * 1e-12,
            initial=initial,
        )

    def change(self, _, state):
        v, w = state
        into = self.g * (self.rest - v + self.slope * np.exp((v - self.threshold) / self.slope)) - w + self.current
        return [into / self.c, (self.a * (v - self.rest) - w) / self.tau]

    def exact(self, ms):
        """Spike times by scipy. From -20 mV on, the voltage passes the peak within a nanosecond."""

        def peak(_, state):
            return state[0] + 20.0

        peak.terminal, peak.direction = True, 1
        t, state, spikes = 0.0, [self.rest, 0.0], []
        while t < ms:
            part = solve_ivp(self.change, (t, ms), state, "DOP853", rtol=1e-9, atol=1e-9, events=peak)
            if part.status != 1:
                break
            t, state = part.t[-1], [self.reset, part.y[1, -1] + self.b]
            spikes.append(t)
        return np.array(spikes)

    def spikes(self, ms, dt):
        net = nc.Network("adex", dt=dt * 1e-3)
        net.population("cell", self.neuron(), 1)
        return (nc.compile(net, "cpu").run(steps=round(ms / dt))["cell"].times + 1) * dt


# Naud, Marcille, Clopath & Gerstner 2008 (doi:10.1007/s00422-008-0264-7), table 1, with the corrections that match its figures
# (Brian 2's example Naud_et_al_2008_adex_firing_patterns)
NAUD = {
    "tonic spiking": Cell(200, 10, -70, 2, 30, 0, -58, 500),
    "adaptation": Cell(200, 12, -70, 2, 300, 60, -58, 500),
    "initial burst": Cell(130, 18, -58, 4, 150, 120, -50, 400),
    "regular bursting": Cell(200, 10, -58, 2, 120, 100, -46, 210),
    "delayed accelerating": Cell(200, 12, -70, -10, 300, 0, -58, 300),
    "delayed regular bursting": Cell(100, 10, -65, -10, 90, 30, -47, 110),
    "transient spiking": Cell(100, 10, -65, 10, 90, 100, -47, 180),
    "irregular spiking": Cell(100, 12, -60, -11, 130, 30, -48, 160),
}
CHAOTIC = "irregular spiking"


@pytest.mark.parametrize("name", [name for name in NAUD if name != CHAOTIC])
def test_spike_times_converge_to_those_of_scipy(name):
    """By Euler, to first order: the error of the last of eight spikes halves with dt, and is below 2 % at dt = 0.01 ms."""
    cell = NAUD[name]
    wanted = cell.exact(600)[:8]
    errors = [np.abs(cell.spikes(600, dt)[:8] - wanted).max() for dt in (0.02, 0.01, 0.005)]
    assert np.divide(errors[:-1], errors[1:]) == pytest.approx(2.0, abs=0.35)
    assert errors[1] < 0.02 * wanted[-1]


def intervals(name, ms=1500, dt=0.01):
    return np.diff(NAUD[name].spikes(ms, dt))


def variation(x):
    return x.std() / x.mean()


def sizes(x, gap):
    """Spikes per burst, the last one left out, as the run may cut it."""
    ends = np.flatnonzero(x > gap)
    return np.diff([-1, *ends])


def test_tonic_spiking():
    x = intervals("tonic spiking")
    assert len(x) > 100
    assert variation(x) < 0.02
    assert x[-1] == pytest.approx(9.6, abs=0.1)


def test_adaptation():
    """Intervals grow and settle at 76 ms, nearly seven times the first one."""
    x = intervals("adaptation")
    assert (np.diff(x[:7]) > 0).all()
    assert x[-5:] == pytest.approx(75.9, abs=0.3)
    assert x[0] == pytest.approx(11.3, abs=0.1)


def test_initial_burst():
    """Three spikes within 11 ms, then single ones every 64 ms."""
    x = intervals("initial burst")
    assert sizes(x, 20).tolist() == [3, *[1] * (len(x) - 3)]
    assert x[5:] == pytest.approx(64.0, abs=0.3)


def test_regular_bursting():
    """Pairs of spikes 5 ms apart, for ever, every 138 ms."""
    x = intervals("regular bursting")
    assert sizes(x, 20)[0] == 3
    assert set(sizes(x, 20)[1:]) == {2}
    assert x[x < 20][2:] == pytest.approx(5.4, abs=0.1)
    assert x[x > 20][1:] == pytest.approx(133.2, abs=0.5)


def test_delayed_accelerating():
    """The first spike is late and intervals shrink from one to the next."""
    spikes = NAUD["delayed accelerating"].spikes(600, 0.01)
    assert spikes[0] > 30
    assert (np.diff(spikes, 2)[:30] < 0.015).all()
    assert np.diff(spikes)[-1] < 0.6 * np.diff(spikes)[0]


def test_delayed_regular_bursting():
    """The first spike comes after 57 ms; then bursts of four."""
    spikes = NAUD["delayed regular bursting"].spikes(900, 0.01)
    assert spikes[0] == pytest.approx(57.2, abs=0.5)
    assert set(sizes(np.diff(spikes), 20)) == {4}


def test_transient_spiking():
    """One spike at the onset, then silence."""
    spikes = NAUD["transient spiking"].spikes(3000, 0.01)
    assert len(spikes) == 1
    assert spikes[0] == pytest.approx(30.3, abs=0.1)


def test_irregular_spiking():
    """Intervals between 6 and 40 ms, which vary by half their mean, no two alike in a row, to the end."""
    x = intervals(CHAOTIC, 4000)[10:]
    assert variation(x) > 0.4
    assert x.min() < 8
    assert x.max() > 35
    assert np.abs(np.diff(x)).min() > 0.5


def rheobase(cell):
    """Current at which the fixed point vanishes (saddle-node) or loses stability (Hopf): Naud et al. 2008, section 3."""
    ratio, time = cell.a / cell.g, cell.c / cell.g / cell.tau
    if ratio < time:
        return (cell.g + cell.a) * (cell.threshold - cell.rest - cell.slope + cell.slope * np.log(1 + ratio))
    hopf = (cell.g + cell.a) * (cell.threshold - cell.rest - cell.slope + cell.slope * np.log(1 + time))
    return hopf + cell.slope * cell.g * (ratio - time)


def beside_rest(cell, current):
    """The lower fixed point of a current, or where it was just lost, moved by 0.01 mV."""
    turn = cell.threshold + cell.slope * np.log(1 + cell.a / cell.g)

    def into(v):
        return (cell.g + cell.a) * (cell.rest - v) + cell.g * cell.slope * np.exp((v - cell.threshold) / cell.slope) + current

    v = brentq(into, -90, turn) if into(turn) < 0 else turn
    return {"v": (v + 0.01) * 1e-3, "w": cell.a * (v - cell.rest) * 1e-12}


@pytest.mark.parametrize(
    ("cell", "picoampere"),
    [
        (Cell(281, 30, -70.6, 4, 144, 80.5, -70.6, threshold=-50.4), 627.2),  # Brette & Gerstner 2005: a Hopf bifurcation
        (Cell(200, 10, -70, 0, 30, 0, -58), 180.0),  # without adaptation: g (V_T - E_L - slope)
        (Cell(200, 10, -70, 2, 30, 0, -58), 220.4),  # a saddle-node
        (Cell(100, 10, -65, 10, 90, 100, -47), 282.0),  # a Hopf bifurcation
    ],
)
def test_the_rheobase_is_that_of_the_formula(cell, picoampere):
    """From beside the fixed point: 0.5 % below the rheobase it stays silent, 0.5 % above it fires."""
    wanted = rheobase(cell)
    assert wanted == pytest.approx(picoampere, abs=0.05)
    counts = []
    for current in (0.995 * wanted, 1.005 * wanted):
        net = nc.Network("rheobase", dt=1e-5)
        net.population("cell", cell.neuron(current, beside_rest(cell, current)), 1)
        counts.append(int(nc.compile(net, "cpu").run(steps=400_000)["cell"].counts()[0]))
    assert counts[0] == 0
    assert counts[1] > 0


# -------------------------------------------------------------------------------------------------------------------- ALIF


def test_the_threshold_of_alif_decays():
    """After one spike b is 1, and then exp(-t / tau_adapt), the same for every step."""
    net = nc.Network("alif", dt=1e-3)
    net.input("x", 1)
    net.population("cell", nc.ALIF(tau=10e-3, tau_adapt=80e-3, beta=0.5), 1)
    net.connect("x", "cell", nc.OneToOne(64.0))
    run = nc.compile(net, "cpu").run({"x": ([5], [0])}, steps=300, record=["cell", "cell.b"])
    assert run["cell"].times.tolist() == [5]
    t = np.arange(295) * 1e-3
    np.testing.assert_allclose(run["cell.b"][5:, 0], np.exp(-t / 80e-3), rtol=1e-12)
    assert (run["cell.b"][:5] == 0).all()


def test_the_rate_of_alif_solves_its_equation():
    """r I (1 - exp(-T / tau)) = threshold + beta / (exp(T / tau_adapt) - 1) has the interval T as its root."""
    tau, tau_adapt, beta, dt = 10e-3, 100e-3, 0.3, 1e-5
    currents = np.array([1.25, 1.5, 2.0, 3.0, 5.0, 9.0])
    net = nc.Network("alif", dt=dt)
    net.population("cell", nc.ALIF(tau=tau, tau_adapt=tau_adapt, beta=beta), len(currents), bias=currents)
    spikes = nc.compile(net, "cpu").run(steps=200_000)["cell"]
    for k, current in enumerate(currents):

        def miss(interval, current=current):
            return current * -np.expm1(-interval / tau) - 1.0 - beta / np.expm1(interval / tau_adapt)

        wanted = brentq(miss, 1e-4, 1.0)
        late = np.diff(spikes.times[spikes.ids == k])[-5:] * dt
        np.testing.assert_allclose(late, wanted, atol=1.5 * dt)


# ------------------------------------------------------------------------------------------------------------ ResonateFire


def test_resonate_and_fire_rings():
    """Without input x + iy is exp((-damping + i omega) t), to 1e-12."""
    damping, omega, dt = 12.0, 2 * np.pi * 40, 1e-3
    net = nc.Network("ring", dt=dt)
    start = 0.75 - 0.25j
    net.population("cell", nc.ResonateFire(damping=damping, omega=omega, initial={"x": start.real, "y": start.imag}), 1)
    run = nc.compile(net, "cpu").run(steps=400, record=["cell", "cell.x", "cell.y"])
    wanted = start * np.exp((-damping + 1j * omega) * np.arange(1, 401) * dt)
    assert len(run["cell"]) == 0
    np.testing.assert_allclose(run["cell.x"][:, 0] + 1j * run["cell.y"][:, 0], wanted, atol=1e-12, rtol=0)


def fires(interval, gain=1000.0):
    """Spikes of a 50 Hz resonator with a period of 20 steps, after two pulses `interval` steps apart; one lifts y to 0.8."""
    net = nc.Network("doublet", dt=1e-3)
    net.input("x", 1)
    net.population("cell", nc.ResonateFire(damping=10.0, omega=2 * np.pi * 50, gain=gain), 1)
    net.connect("x", "cell", nc.OneToOne(0.8))
    return len(nc.compile(net, "cpu").run({"x": ([0, interval], [0, 0])}, steps=200)["cell"]) > 0


def test_resonate_and_fire_prefers_its_own_rhythm():
    """Two pulses one or two periods apart add up; those half a period or one and a half apart cancel (Izhikevich 2001)."""
    assert [fires(interval) for interval in (10, 20, 30, 40, 50)] == [False, True, False, True, False]


def test_resonate_and_fire_resets():
    """A spike puts the state at (x_reset, y_reset)."""
    net = nc.Network("reset", dt=1e-3)
    net.population("cell", nc.ResonateFire(damping=1.0, omega=300.0, x_reset=0.25, y_reset=-0.5, initial={"x": 3.0}), 1)
    run = nc.compile(net, "cpu").run(steps=3, record=["cell", "cell.x", "cell.y"])
    at = run["cell"].times[0]  # the first step in which 3 sin(300 t) exceeds 1
    assert at == 1
    assert (run["cell.x"][at, 0], run["cell.y"][at, 0]) == (0.25, -0.5)


# -------------------------------------------------------------------------------------------------------------- SigmaDelta


@pytest.mark.parametrize(("threshold", "unit"), [(1.0, 1.0), (3.0, 0.5), (2.5, 0.25), (0.25, 2.0)])
def test_sigma_delta_tracks_its_activation(threshold, unit):
    """What it has sent, times its unit, is the ReLU of all it received, but for less than its threshold (or half a unit)."""
    rng = np.random.default_rng(3)
    changes = rng.integers(-9, 10, (400, 5))
    net = nc.Network("sigma", dt=1e-3)
    net.input("x", 5, max_payload=9)
    net.population("cell", nc.SigmaDelta(threshold=threshold, unit=unit, bias=1.5), 5, max_payload=1000)
    net.connect("x", "cell", nc.OneToOne(0.5))
    run = nc.compile(net, "cpu").run({"x": changes}, record=["cell", "cell.sigma"])
    sent = np.cumsum(run["cell"].raster(), axis=0) * unit
    received = np.cumsum(changes, axis=0) * 0.5
    np.testing.assert_array_equal(run["cell.sigma"], received)
    activation = np.maximum(received + 1.5, 0.0)
    assert (activation == 0).any()
    assert activation.max() > 10
    missing = np.abs(sent - activation)
    assert ((missing < threshold) | (missing <= unit / 2)).all()
    coarse = threshold > unit
    assert len(run["cell"]) < (0.6 if coarse else 1.0) * changes.size


def test_sigma_delta_is_silent_where_nothing_changes():
    """Two messages: one for the bias, one for the only change; a change below the threshold sends none."""
    net = nc.Network("still", dt=1e-3)
    net.input("x", 1, max_payload=100)
    net.population("cell", nc.SigmaDelta(threshold=2.0, bias=5.0), 1)
    net.connect("x", "cell", nc.OneToOne(1.0))
    spikes = nc.compile(net, "cpu").run({"x": ([10, 20], [0, 0], [7, 1])}, steps=1000)["cell"]
    assert (spikes.times.tolist(), spikes.payload.tolist()) == ([0, 10], [5, 7])


# ----------------------------------------------------------------------------------------------------------- StochasticLIF

LEVEL = 1e-4  # of significance: beyond bad luck


@pytest.mark.parametrize("v", [0.2, 0.7, 1.0, 1.2])
def test_escape_noise_at_a_fixed_voltage(v):
    """A step's spike has the probability 1 - exp(-rho dt), rho = rate exp((v - threshold) / delta_v); waits are geometric."""
    rate, delta, dt, steps, size = 50.0, 0.3, 1e-3, 4000, 50
    net = nc.Network("escape", dt=dt, seed=12)
    still = {"v_leak": v, "v_reset": v, "initial": {"v": v}}
    net.population("cell", nc.StochasticLIF(tau=10e-3, rate=rate, delta_v=delta, **still), size)
    raster = nc.compile(net, "cpu").run(steps=steps)["cell"].raster()
    p = -np.expm1(-rate * np.exp((v - 1.0) / delta) * dt)
    assert stats.binomtest(int(raster.sum()), raster.size, p).pvalue > LEVEL
    waits = np.diff(np.flatnonzero(raster.T.ravel()))
    assert chi_square(waits, stats.geom(p).pmf) > LEVEL


def chi_square(values, pmf, classes=20):
    """p of whole numbers from 1 on under a distribution, in classes of about equal probability."""
    mass = pmf(np.arange(1, 20_000))
    group = np.minimum(classes * (np.cumsum(mass) - mass), classes - 1).astype(int)
    expected = np.bincount(group, mass, classes)
    seen = np.bincount(group[values - 1], minlength=classes)
    some = expected > 0
    return stats.chisquare(seen[some], expected[some] / expected.sum() * len(values)).pvalue


@pytest.mark.parametrize("t_ref", [None, 3e-3])
def test_the_hazard_of_escape_noise_follows_the_voltage(t_ref):
    """While the voltage climbs from reset, interval n has the probability p(n) times that of no spike before it."""
    rate, delta, dt, tau, v_leak = 200.0, 0.2, 1e-3, 20e-3, 1.1
    net = nc.Network("climb", dt=dt, seed=5)
    how = {} if t_ref is None else {"t_ref": t_ref}
    net.population("cell", nc.StochasticLIF(tau=tau, rate=rate, delta_v=delta, v_leak=v_leak, **how), 40)
    spikes = nc.compile(net, "cpu").run(steps=5000)["cell"]
    waits = np.concatenate([np.diff(spikes.times[spikes.ids == k]) for k in range(40)])
    silent = 0 if t_ref is None else round(t_ref / dt)
    n = np.arange(1, 20_000)
    v = v_leak * -np.expm1(-(n - silent) * dt / tau)
    p = np.where(n > silent, -np.expm1(-rate * dt * np.exp((v - 1.0) / delta)), 0.0)
    mass = p * np.concatenate([[1.0], np.cumprod(1 - p)[:-1]])
    assert waits.min() > silent
    assert chi_square(waits, lambda k: mass[k - 1]) > LEVEL


def test_escape_noise_without_a_rate_is_silent():
    net = nc.Network("silent", dt=1e-3)
    net.population("cell", nc.StochasticLIF(tau=10e-3, rate=0.0, delta_v=0.1, v_leak=5.0), 20)
    assert len(nc.compile(net, "cpu").run(steps=1000)["cell"]) == 0

"""Izhikevich's neurons fire in the patterns they are named after.

FIGURE has the twenty neurons of fig. 1 of Izhikevich 2004 (doi:10.1109/TNN.2004.832719) and six of fig. 2 of Izhikevich 2003
(doi:10.1109/TNN.2003.820440), with the numbers, currents and Euler steps of the program that drew them, figure1.m on the
author's page. Times are in ms, voltages in mV, as in the papers.
"""

from dataclasses import dataclass

import numpy as np
import pytest

import neurocomp as nc

UNIT = 2.0**-16  # of the graded input that carries a current; fine beside every current here


def after(start, current):
    """A step."""
    return lambda t: np.where(t > start, current, 0.0)


def ramp(start, slope, base=0.0):
    return lambda t: base + np.where(t > start, slope * (t - start), 0.0)


def pulses(current, *spans, base=0.0):
    return lambda t: np.where(np.any([(t > start) & (t < stop) for start, stop in spans], axis=0), current, base)


def summed(*currents):
    return lambda t: sum(current(t) for current in currents)


def two_ramps(t):
    """To 8 within 200 ms, and later to 4 within 12.5 ms."""
    return np.where(t < 200, t / 25, np.where((t >= 300) & (t < 312.5), (t - 300) / 12.5 * 4, 0.0))


def release(t):
    return np.where((t < 50) | (t > 250), 80.0, 75.0)


@dataclass(frozen=True)
class Panel:
    """a, b, c, d and the starting voltage, what flows in, for how long, in which steps; `linear` and `rest` of dv/dt."""

    a: float
    b: float
    c: float
    d: float
    v: float
    current: object
    ms: float
    dt: float = 0.25
    linear: float = 5.0
    rest: float = 140.0
    u: float | None = None

    @property
    def initial(self):
        return {"v": self.v, "u": self.b * self.v if self.u is None else self.u}


DOUBLETS = pulses(9.0, (100 / 11, 100 / 11 + 2), (100 / 11 + 5, 100 / 11 + 7), (70, 72), (80, 82))
FIGURE = {
    "regular spiking": Panel(0.02, 0.2, -65, 8, -63, after(15, 14.0), 150),
    "intrinsically bursting": Panel(0.02, 0.2, -55, 4, -70, after(15, 11.0), 150),
    "chattering": Panel(0.02, 0.2, -50, 2, -70, after(15, 10.0), 150),
    "fast spiking": Panel(0.1, 0.2, -65, 2, -70, after(15, 10.0), 150),
    "thalamo-cortical": Panel(0.02, 0.25, -65, 0.05, -63, after(30, 1.5), 150),
    "low-threshold spiking": Panel(0.02, 0.25, -65, 2, -63, after(25, 10.0), 250),
    "tonic spiking": Panel(0.02, 0.2, -65, 6, -70, after(10, 14.0), 100),
    "phasic spiking": Panel(0.02, 0.25, -65, 6, -64, after(20, 0.5), 200),
    "tonic bursting": Panel(0.02, 0.2, -50, 2, -70, after(22, 15.0), 220),
    "phasic bursting": Panel(0.02, 0.25, -55, 0.05, -64, after(20, 0.6), 200, 0.2),
    "mixed mode": Panel(0.02, 0.2, -55, 4, -70, after(16, 10.0), 160),
    "spike frequency adaptation": Panel(0.01, 0.2, -65, 8, -70, after(8.5, 30.0), 85),
    "class 1": Panel(0.02, -0.1, -55, 6, -60, ramp(30, 0.075), 300, linear=4.1, rest=108),
    "class 2": Panel(0.2, 0.26, -65, 0, -64, ramp(30, 0.015, -0.5), 300),
    "spike latency": Panel(0.02, 0.2, -65, 6, -70, pulses(7.04, (10, 13)), 100, 0.2),
    "subthreshold oscillations": Panel(0.05, 0.26, -60, 0, -62, pulses(2.0, (20, 25)), 200),
    "resonator": Panel(0.1, 0.26, -60, -1, -62, pulses(0.65, (40, 44), (60, 64), (280, 284), (320, 324)), 400),
    "integrator": Panel(0.02, -0.1, -55, 6, -60, DOUBLETS, 100, linear=4.1, rest=108),
    "rebound spike": Panel(0.03, 0.25, -60, 4, -64, pulses(-15.0, (20, 25)), 200, 0.2),
    "rebound burst": Panel(0.03, 0.25, -52, 0, -64, pulses(-15.0, (20, 25)), 200, 0.2),
    "threshold variability": Panel(
        0.03, 0.25, -60, 4, -64, summed(pulses(1.0, (10, 15), (80, 85)), pulses(-6.0, (70, 75))), 100
    ),
    "bistability": Panel(0.1, 0.26, -60, 0, -61, pulses(1.24, (37.5, 42.5), (216, 221), base=0.24), 300),
    "depolarizing after-potential": Panel(1.0, 0.2, -60, -21, -70, lambda t: np.where(abs(t - 10) < 1, 20.0, 0.0), 50, 0.1),
    "accommodation": Panel(0.02, 1.0, -55, 4, -65, two_ramps, 400, 0.5, u=-16.0),
    "inhibition-induced spiking": Panel(-0.02, -1.0, -60, 8, -63.8, release, 350, 0.5),
    "inhibition-induced bursting": Panel(-0.026, -1.0, -45, -2, -63.8, release, 350, 0.5),
}


def sampled(current, t):
    """A function of time, or a number, in whole units of the graded input."""
    return np.round(np.broadcast_to(current(t) if callable(current) else current, t.shape) / UNIT).astype(int)


def simulate(name, current, ms, dt=None, initial=None):
    """(spike times, times, voltages) of the preset under a current, a function of time or a number."""
    panel = FIGURE[name]
    dt = dt or panel.dt
    t = np.arange(round(ms / dt)) * dt
    net = nc.Network("izhikevich", dt=dt * 1e-3)
    net.input("current", 1, max_payload=2**23 - 1)
    net.population("cell", nc.Izhikevich(**nc.IZHIKEVICH[name], initial=initial or panel.initial), 1)
    net.connect("current", "cell", nc.OneToOne(UNIT))
    run = nc.compile(net, "cpu").run({"current": sampled(current, t)[:, None]}, record=["cell", "cell.v"])
    return run["cell"].times * dt, t, run["cell.v"][:, 0]


def drawn(name):
    """The preset as in its panel of the figure."""
    panel = FIGURE[name]
    return simulate(name, panel.current, panel.ms)


def under_steps(name, currents, ms, start=20.0):
    """Spike times of one neuron per current, which sets in at `start`: the user's way, with a StepCurrent."""
    dt = FIGURE[name].dt
    net = nc.Network("steps", dt=dt * 1e-3)
    net.population("on", nc.StepCurrent(start=start * 1e-3), 1)
    net.population("cell", nc.Izhikevich(**nc.IZHIKEVICH[name], initial=FIGURE[name].initial), len(currents))
    net.connect("on", "cell", nc.Dense(np.array(currents)[:, None]))
    spikes = nc.compile(net, "cpu").run(steps=round((start + ms) / dt))["cell"]
    return [spikes.times[spikes.ids == k] * dt - start for k in range(len(currents))]


def figure_program(panel):
    """Spike times by the loop of figure1.m, in plain Python."""
    v, u = panel.initial["v"], panel.initial["u"]
    spikes = []
    times = np.arange(round(panel.ms / panel.dt)) * panel.dt
    for t, flows in zip(times.tolist(), (sampled(panel.current, times) * UNIT).tolist(), strict=True):
        v += panel.dt * (0.04 * v**2 + panel.linear * v + panel.rest - u + flows)
        recovery = panel.b * (v + 65) if panel.u is not None else panel.b * v - u  # u is given for accommodation
        u += panel.dt * panel.a * recovery
        if v > 30:
            spikes.append(t)
            v, u = panel.c, u + panel.d
    return spikes


def test_every_preset_is_of_the_figures():
    assert FIGURE.keys() == nc.IZHIKEVICH.keys()


@pytest.mark.parametrize("name", FIGURE)
def test_a_preset_spikes_when_the_figure_does(name):
    spikes, _, _ = drawn(name)
    wanted = figure_program(FIGURE[name])
    assert len(wanted) > 0
    np.testing.assert_allclose(spikes, wanted, atol=FIGURE[name].dt / 2)


# ------------------------------------------------------------------------------------------------------- steps of current


def test_tonic_spiking():
    """A step gives a train without end and with one interval."""
    intervals = np.diff(under_steps("tonic spiking", [14.0], 2000)[0])[5:]
    assert len(intervals) > 60
    assert intervals.std() / intervals.mean() < 0.02


def test_phasic_spiking():
    """A step gives one spike at its onset and silence for the two seconds it lasts."""
    (spikes,) = under_steps("phasic spiking", [0.5], 2000)
    assert len(spikes) == 1
    assert spikes[0] < 30


def bursts(spikes, gap=15.0):
    """Spikes per burst: trains without an interval above `gap`."""
    ends = np.flatnonzero(np.diff(spikes) > gap)
    return np.diff([-1, *ends, len(spikes) - 1])


@pytest.mark.parametrize(("name", "current", "least"), [("tonic bursting", 15.0, 5), ("chattering", 10.0, 3)])
def test_bursting_goes_on(name, current, least):
    """Intervals are of two kinds with nothing between: some ms within bursts, tens of ms between them."""
    (spikes,) = under_steps(name, [current], 1000)
    intervals = np.diff(spikes)
    assert ((intervals < 12) | (intervals > 25)).all()
    sizes = bursts(spikes)
    assert len(sizes) > 15
    assert (sizes[:-1] >= least).all()


def test_phasic_bursting():
    """A step gives one burst at its onset and silence for the two seconds it lasts."""
    (spikes,) = under_steps("phasic bursting", [0.6], 2000)
    assert bursts(spikes).tolist() == [6]
    assert spikes[-1] < 60


@pytest.mark.parametrize(("name", "current"), [("mixed mode", 10.0), ("intrinsically bursting", 11.0)])
def test_a_burst_first_then_single_spikes(name, current):
    (spikes,) = under_steps(name, [current], 1000)
    sizes = bursts(spikes)
    assert sizes[0] == 3
    assert (sizes[1:] == 1).all()
    assert len(sizes) > 25


@pytest.mark.parametrize(("name", "current"), [("spike frequency adaptation", 30.0), ("regular spiking", 14.0)])
def test_adaptation(name, current):
    """Intervals grow to many times the first one, and settle."""
    intervals = np.diff(under_steps(name, [current], 1000)[0])
    assert (np.diff(intervals[:3]) > 0).all()
    assert intervals[-5:].mean() > 4 * intervals[0]
    assert np.ptp(intervals[-10:]) <= 0.5


def test_fast_spiking():
    """Much faster than a regular spiking cell at the same current, and with hardly any adaptation (2003)."""
    (fast,) = under_steps("fast spiking", [10.0], 1000)
    (regular,) = under_steps("regular spiking", [10.0], 1000)
    assert len(fast) > 4 * len(regular)
    intervals = np.diff(fast)
    assert intervals.max() < 2 * intervals[0]


def test_low_threshold_spiking():
    """Fires fast with adaptation, and at currents at which regular and fast spiking cells are silent (2003)."""
    intervals = np.diff(under_steps("low-threshold spiking", [10.0], 1000)[0])
    assert intervals[0] < 5
    assert intervals[-5:].mean() > 3 * intervals[0]
    weak = 1.5
    assert len(under_steps("low-threshold spiking", [weak], 1000)[0]) >= 1
    assert len(under_steps("regular spiking", [weak], 1000)[0]) == len(under_steps("fast spiking", [weak], 1000)[0]) == 0


def test_thalamo_cortical():
    """Tonic from rest at about -63 mV; from -87 mV, release from inhibition gives a rebound burst (2003, fig. 2)."""
    (tonic,) = under_steps("thalamo-cortical", [1.5], 1000)
    assert (np.diff(tonic)[1:] > 20).all()
    start = {"v": -87.0, "u": 0.25 * -87.0}
    spikes, _, _ = simulate("thalamo-cortical", lambda t: np.where(t > 45, 0.0, -25.0), 150, initial=start)
    assert len(spikes) >= 4
    assert spikes[0] > 45
    assert np.diff(spikes).max() < 12


# ------------------------------------------------------------------------------------------------------------- excitability


def frequencies(name, currents, ms=3000):
    """Hz, from the last intervals of each train; 0 for those that end."""
    trains = under_steps(name, currents, ms)
    return np.array([1000 / np.diff(x)[-3:].mean() if len(x) > 4 and x[-1] > 0.7 * ms else 0.0 for x in trains])


def test_class_1():
    """Fires from the saddle-node on, at (4.1 + 0.1)^2 / (4 * 0.04) - 108 = 2.25, with frequencies that begin near 0."""
    rheobase = 4.2**2 / 0.16 - 108
    assert rheobase == pytest.approx(2.25)
    currents = rheobase + np.array([-0.1, -0.01, 0.01, 0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0])
    rates = frequencies("class 1", currents, 6000)
    assert (rates[:2] == 0).all()
    assert 0 < rates[2] < 4
    assert (np.diff(rates[1:]) > 0).all()
    fine = frequencies("class 1", np.linspace(2.3, 6.3, 21))
    assert np.diff(fine).max() < 4  # no jump


def test_class_2():
    """Silent or fast: the frequency jumps from 0 to more than 40 Hz."""
    rates = frequencies("class 2", np.linspace(0.0, 3.0, 61))
    assert rates[0] == 0
    assert rates[-1] > 70
    assert rates[rates > 0].min() > 30


# ------------------------------------------------------------------------------------------------------------------- pulses


def test_spike_latency():
    """The spike comes more than 10 ms after the end of a pulse of 3 ms, and earlier after a stronger one."""
    spikes, _, _ = drawn("spike latency")
    assert len(spikes) == 1
    assert spikes[0] - 13 > 10
    latencies = [simulate("spike latency", pulses(current, (10, 13)), 100)[0][0] - 10 for current in (7.04, 7.5, 9.0, 14.0)]
    assert (np.diff(latencies) < 0).all()


def rest_and_period(name):
    """Fixed point without current and period of the oscillation around it, from the linearised equations."""
    panel = FIGURE[name]
    p = panel.linear - panel.b
    v = (-p - np.sqrt(p**2 - 4 * 0.04 * panel.rest)) / 0.08
    jacobian = np.array([[0.08 * v + panel.linear, -1.0], [panel.a * panel.b, -panel.a]])
    return v, 2 * np.pi / np.linalg.eigvals(jacobian).imag.max()


def test_subthreshold_oscillations():
    """After the spike the voltage rings around -62.5 mV with a period of 56.5 ms, as the linearised equations say."""
    rest, period = rest_and_period("subthreshold oscillations")
    assert rest == pytest.approx(-62.5)
    assert period == pytest.approx(56.48, abs=0.01)
    panel = FIGURE["subthreshold oscillations"]
    spikes, t, v = simulate("subthreshold oscillations", panel.current, 400)
    assert len(spikes) == 1
    late = t > 60
    crossings = t[late][1:][np.diff(np.sign(v[late] - rest)) > 0]
    assert len(crossings) >= 4
    np.testing.assert_allclose(np.diff(crossings[1:]), period, rtol=0.05)


def doublet(name, current, length, interval):
    """How many spikes two pulses make whose onsets are `interval` ms apart."""
    start = 39.9  # so that pulses of whole ms last whole steps
    return len(simulate(name, pulses(current, (start, start + length), (start + interval, start + interval + length)), 200)[0])


def test_resonator():
    """Fires for two pulses that are one period of its own oscillation apart (41 ms), not for nearer or further ones."""
    _, period = rest_and_period("resonator")
    assert period == pytest.approx(41.0, abs=0.1)
    answers = [doublet("resonator", 0.65, 4, interval) for interval in (20, 25, 30, 38, 41, 44, 55, 60, 70, 80)]
    assert answers == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0]


def test_integrator():
    """Fires for two pulses that are close together, never for distant ones."""
    answers = [doublet("integrator", 9.0, 2, interval) for interval in (3, 4, 5, 10, 20, 41, 60)]
    assert answers == [1, 1, 1, 0, 0, 0, 0]


def test_rebound_spike_and_burst():
    """Inhibition that ends sets off one spike, or a burst."""
    spikes, _, _ = drawn("rebound spike")
    assert len(spikes) == 1
    assert spikes[0] > 25
    spikes, _, _ = drawn("rebound burst")
    assert bursts(spikes).tolist() == [7]
    assert spikes[0] > 25
    for name in ("rebound spike", "rebound burst"):
        assert len(simulate(name, 0.0, 200)[0]) == 0


def test_threshold_variability():
    """The same excitation fires only after inhibition, which lowers the threshold."""
    spikes, _, _ = drawn("threshold variability")
    assert len(spikes) == 1
    assert 80 < spikes[0] < 100


def test_bistability():
    """A pulse switches a train on that lasts by itself, and a well-timed second one switches it off."""
    spikes, _, _ = drawn("bistability")
    assert len(spikes) == 5
    assert 37.5 < spikes[0] < 50
    assert spikes[-1] < 216
    assert np.ptp(np.diff(spikes)) < 1
    never, _, _ = simulate("bistability", 0.24, 2000)
    assert len(never) == 0
    on, _, _ = simulate("bistability", pulses(1.24, (37.5, 42.5), base=0.24), 2000)
    assert len(on) > 40
    assert on[-1] > 1950


def test_depolarizing_after_potential():
    """After its one spike the voltage rises again, far above rest at -70 mV but without a spike, before it returns."""
    spikes, t, v = drawn("depolarizing after-potential")
    assert len(spikes) == 1
    later = v[t > spikes[0]]
    peak = later.argmax()
    assert peak > 0
    assert -60 < later[peak] < -40
    assert later[-1] == pytest.approx(-70, abs=0.1)


def test_accommodation():
    """A slow ramp to a current of 8 does nothing, a fast one to 4 makes it spike."""
    spikes, _, _ = drawn("accommodation")
    assert len(spikes) == 1
    assert 300 < spikes[0] < 312.5


@pytest.mark.parametrize(("name", "least"), [("inhibition-induced spiking", 1), ("inhibition-induced bursting", 4)])
def test_inhibition_induced(name, least):
    """Silent under a current of 80, active while it is lowered to 75, silent again."""
    spikes, _, _ = drawn(name)
    assert ((spikes > 50) & (spikes < 250 + 15)).all()
    sizes = bursts(spikes)
    assert len(sizes) >= 2
    assert (sizes >= least).all()
    assert len(simulate(name, 80.0, 350)[0]) == 0

"""Profiles against what was measured on the chips themselves."""

import pytest

from neurocomp.energy import Measurement, Profile, calibrate, price

SYNAPSES = 1_048_576 * 128  # of TrueNorth's sweep: every neuron reaches 128
SWEEP = {11.58: 68e-3, 20.07: 71e-3, 95.93: 94e-3}  # Hz -> W: Akopyan 2015, Fig. 17


@pytest.mark.parametrize(
    ("clock", "operations", "watts", "tolerance"),
    [(75e6, 37.5e6, 477e-6, 0.001), (1.3e6, 650e3, 35e-6, 0.01)],
)
def test_odins_two_points(clock, operations, watts, tolerance):
    """Frenkel 2019: 477 uW at 75 MHz and 37.5 million operations a second, 35 uW at 1.3 MHz and 650 thousand."""
    profile = Profile.load("odin").at_clock(clock)
    found = price({"synop.dense": operations}, profile, seconds=1.0).watts
    assert found.value == pytest.approx(watts, rel=tolerance)
    assert profile.time["synop.dense"].value * operations == pytest.approx(1.0)  # both points are its full speed


def test_truenorths_held_out_point():
    rates = (11.58, 95.93)
    ends = [Measurement({"synop.sparse": SYNAPSES * rate}, SWEEP[rate], 1.0) for rate in rates]
    fit = calibrate(ends, ["synop", "static"], base="truenorth").profile
    shipped = Profile.load("truenorth")
    for profile in (fit, shipped):
        found = price({"synop.sparse": SYNAPSES * 20.07}, profile, seconds=1.0).watts.value
        assert found == pytest.approx(SWEEP[20.07], rel=0.01)
    assert shipped.energy["synop.sparse"].value == pytest.approx(fit.energy["synop.sparse"].value, rel=0.005)
    assert shipped.static["chip"].value == pytest.approx(fit.static["chip"].value, rel=0.005)


def test_truenorths_ranges_are_the_rounding_of_the_figures():
    """Figures are whole milliwatts: the steepest and flattest lines through them span the shipped ranges."""
    shipped = Profile.load("truenorth")
    for shift, bound, other in ((0.5e-3, "high", "low"), (-0.5e-3, "low", "high")):
        ends = [(11.58, SWEEP[11.58] - shift), (95.93, SWEEP[95.93] + shift)]
        measured = [Measurement({"synop.sparse": SYNAPSES * rate}, watts, 1.0) for rate, watts in ends]
        fit = calibrate(measured, ["synop", "static"], base="truenorth").profile
        assert getattr(shipped.energy["synop.dense"], bound) == pytest.approx(fit.energy["synop.dense"].value, rel=0.005)
        assert getattr(shipped.static["chip"], other) == pytest.approx(fit.static["chip"].value, rel=0.005)


@pytest.mark.parametrize("spikes", [667, 750])
def test_fradys_nearest_neighbours_on_32_chips(spikes):
    """Frady 2020: 1.33 mJ dynamic a query of 76,800 patterns; 667 to 750 input spikes, 60 steps. Within 25 %, no fit."""
    counts = {"synop.dense": spikes * 76_800, "neuron.inactive": 76_800 * 60}
    bill = price(counts, "loihi1-davies2018", seconds=1e-3, chips=32)
    assert 1.0 < bill.dynamic.value / 1.33e-3 < 1.25
    assert bill.power.value == pytest.approx(3.34, rel=0.05)  # W, static, of the 32 chips
    assert bill.power.low <= 3.34 <= bill.power.high * 1.0001


def test_microcircuit_on_cpus_is_the_reference():
    """Kurth 2021, one node: 0.26 uJ per synaptic event, everything included."""
    bill = price({"synop.sparse": 1e9}, "cpu", seconds=1.0)
    assert bill.total.value == pytest.approx(260.0)
    assert bill.total.low <= 260 <= 390 <= bill.total.high

"""`calibrate` finds prices again from which measurements were made, and says what it cannot know."""

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.energy import EnergyError, Measurement, Profile, calibrate, count, price, save_profile

from .conftest import raster

TERMS = ("synop", "neuron.access", "message", "static")
TRUE = {"synop": 20e-12, "neuron.access": 60e-12, "message": 90e-12, "static": 0.2}


def measurements(program, number, noise=0.0, seed=0):
    """Runs of different activity and length, whose energies follow `TRUE`."""
    rng, found = np.random.default_rng(seed), []
    for k in range(number):
        steps = int(rng.integers(20, 60))
        recording = program.run({"x": raster(100 + k, steps, rate=rng.uniform(0, 0.4))})
        placement = nc.place(program.lowered, "loihi2", recording=recording)
        activity = count(program.lowered, [recording], placement)
        sample = Measurement(activity, 1.0, seconds=steps * rng.uniform(5e-9, 20e-9))
        joules = sum(sample.amount(term) * value for term, value in TRUE.items()) * (1 + noise * rng.normal())
        found.append(Measurement(activity, joules, sample.seconds))
    return found


def test_prices_are_found_again(layered_run):
    fit = calibrate(measurements(layered_run[0], 8), TERMS)
    for term, value in TRUE.items():
        kind = {"synop": "synop.sparse"}.get(term, term)
        constant = fit.profile.static["chip"] if term == "static" else fit.profile.energy[kind]
        assert constant.value == pytest.approx(value, rel=1e-6)
        assert (constant.basis, constant.scope, constant.checked) == ("fitted", "marginal", "own")
    assert np.abs(fit.residuals).max() < 1e-9
    assert len(fit.left_out) == 8
    assert np.abs(fit.left_out).max() < 1e-6
    assert "8 measurements, 4 terms" in str(fit)


def test_noise_becomes_ranges_and_errors(layered_run):
    fit = calibrate(measurements(layered_run[0], 14, noise=0.02, seed=1), ("synop", "neuron.access", "static"))
    assert 0.001 < np.abs(fit.residuals).max() < 0.5
    assert np.abs(fit.left_out).max() > np.abs(fit.residuals).max() * 0.99
    for constant in (*fit.profile.energy.values(), *fit.profile.static.values()):
        assert constant.low <= constant.value <= constant.high
        assert constant.low < constant.high


def test_a_calibrated_profile_prices_and_is_kept(layered_run, tmp_path):
    program, recording = layered_run
    fit = calibrate(measurements(program, 8), TERMS, name="my-loihi2", source="lab notebook 7")
    report = nc.energy(program, recording, save_profile(fit.profile, tmp_path / "mine.toml"))
    assert report.dynamic.value > 0
    assert "lab notebook 7, least squares over 8 measurements (fitted, marginal)" in report.trace("dynamic.h.message")
    assert "neuron.spike" in {x.kind for x in report.not_priced}
    assert report.profile.chip == "loihi2"
    assert Profile.load("loihi2").energy == {}


def test_no_price_is_negative():
    rows = [
        Measurement({"synop.dense": a, "neuron.access": b}, joules) for a, b, joules in ((1, 9, 1.0), (2, 5, 2.0), (3, 1, 3.1))
    ]
    fit = calibrate(rows, ("synop", "neuron.access"))
    assert fit.profile.energy["neuron.access"].value == 0.0
    bill = price({"synop.dense": 2}, fit.profile, seconds=1.0)
    assert bill.dynamic.value == pytest.approx(2.0, rel=0.05)


def test_what_cannot_be_told_is_refused():
    rows = [Measurement({"synop.dense": k, "message": 2 * k, "neuron.access": 5}, 1.0 + k, 1.0) for k in (1, 2, 5)]
    with pytest.raises(EnergyError, match=r"cannot tell synop\.dense, message apart: they grow together"):
        calibrate(rows, ("synop.dense", "message"))
    with pytest.raises(EnergyError, match=r"nothing of 'hop\.x' happened"):
        calibrate(rows, ("synop", "hop.x"))
    with pytest.raises(EnergyError, match="3 measurements cannot fit 4 terms"):
        calibrate(rows, ("synop", "message", "neuron.access", "static"))
    with pytest.raises(EnergyError, match=r"terms 'synop' and 'synop\.dense' both cover synop\.dense"):
        calibrate(rows, ("synop", "synop.dense"))
    with pytest.raises(EnergyError, match="there is no term 'spikes'"):
        calibrate(rows, ("spikes",))
    with pytest.raises(EnergyError, match=r"there is no term 'op\.ac'"):
        calibrate(rows, ("op.ac",))
    with pytest.raises(EnergyError, match="terms are different kinds"):
        calibrate(rows, ("synop", "synop"))
    with pytest.raises(EnergyError, match=r"measurement 0: has 0\.0 joules"):
        calibrate([Measurement({"synop.dense": 1}, 0.0)], ("synop",))
    with pytest.raises(EnergyError, match=r"measurement 0: took 0\.0 seconds; static power needs the time"):
        calibrate([Measurement({"synop.dense": 1}, 1.0)], ("static",))


def test_kinds_of_other_views_have_no_price():
    with pytest.raises(EnergyError, match=r"does not count 'op\.ac'; it counts synop\.dense"):
        price({"op.ac": 1}, "odin", seconds=1.0)

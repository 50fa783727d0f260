"""t_ref: round(t_ref / dt) silent steps after the step of every spike, in every model that takes it."""

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.ir.neurons import BUILTIN

DT = 1e-3
# What makes each model spike in every step it may: parameters, and the weight of a spike that comes in every step.
EAGER = {
    "IF": ({}, 8192.0),
    "LIF": ({"tau": 10e-3}, 64.0),
    "CubaLIF": ({"tau_syn": 5e-3, "tau_mem": 10e-3}, 256.0),
    "ALIF": ({"tau": 10e-3, "tau_adapt": 100e-3, "beta": 0.0}, 64.0),
    "AdEx": ({"b_adapt": 0.0, "g_adapt": 0.0}, 2.0**-20),
    "ResonateFire": ({"damping": 5.0, "omega": 500.0, "y_reset": 0.0}, 2.0**20),
    "StochasticLIF": ({"tau": 10e-3, "rate": 1e6, "delta_v": 0.1}, 64.0),
    "ExpLIF": ({"i_offset": 1e-6}, 2.0**-24),
    "AlphaLIF": ({"i_offset": 1e-6}, 2.0**-24),
    "CobaLIF": ({"i_offset": 1e-6}, 2.0**-30),
    "SinabsIF": ({}, 8192.0),
    "SinabsLIF": ({"tau": 10e-3}, 64.0),
}
WAITS = np.arange(8)


def eager(model, t_ref, size=8, steps=120, record=("cell",), target="cpu", **more):
    given, weight = EAGER[model.name]
    net = nc.Network("eager", dt=DT)
    net.population("on", nc.StepCurrent(), 1)
    net.population("cell", model(t_ref=t_ref, **given | more), size)
    net.connect("on", "cell", nc.Dense(np.full((size, 1), weight)), receptor=(*model.receptors, "")[0])
    return nc.compile(net, target).run(steps=steps, record=record)


MODELS = [model for model in BUILTIN if model.refractory]


def test_the_models_that_take_it():
    assert {model.name for model in MODELS} == EAGER.keys()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_silent_steps(model):
    """With more drive than enough every model spikes again in the first step it may: t_ref / dt + 1 steps later."""
    spikes = eager(model, WAITS * DT)["cell"]
    for k in WAITS:
        intervals = np.diff(spikes.times[spikes.ids == k])
        assert len(intervals) > 10
        assert set(intervals) == {k + 1}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_no_refractory_period_is_one_of_zero(model):
    spikes = eager(model, None)["cell"]
    assert spikes.same_as(eager(model, 0.0)["cell"])


@pytest.mark.parametrize("t_ref", [0.2e-3, 0.49e-3, 0.7e-3, 2.4e-3, 2.6e-3, 3e-3, 0.1 + 0.2])
def test_it_is_rounded_to_whole_steps(t_ref):
    """2.4 ms are two steps of 1 ms, 2.6 ms are three; 0.1 + 0.2, a little above 0.3, are 300."""
    times = eager(nc.LIF, t_ref, 1, 700)["cell"].times
    assert set(np.diff(times)) == {round(t_ref * 1e3) + 1}


def test_the_voltage_is_held_and_everything_else_goes_on():
    """ExpLIF: v stays at its reset value for seven steps while its current decays and grows by what arrives."""
    run = eager(nc.ExpLIF, 7e-3, 1, 30, ["cell", "cell.v", "cell.i_exc"])
    first = run["cell"].times[0]
    held = run["cell.v"][first : first + 8, 0]
    np.testing.assert_array_equal(held, -65e-3)
    current = run["cell.i_exc"][:, 0]
    np.testing.assert_allclose(current[1:], current[:-1] * np.exp(-DT / 5e-3) + 2.0**-24, rtol=1e-12)


def test_adaptation_decays_meanwhile():
    """ALIF: b falls from 1 by exp(-t / tau_adapt) during the period."""
    run = eager(nc.ALIF, 20e-3, 1, 20, ["cell", "cell.b"], beta=0.5)
    first = run["cell"].times[0]
    after = run["cell.b"][first:, 0]
    np.testing.assert_allclose(after, np.exp(-np.arange(len(after)) * DT / 100e-3), rtol=1e-12)


def test_input_during_the_period_is_lost_to_the_voltage():
    """LIF: a spike that alone would make it fire does nothing in the two steps after one, and all in the third."""
    net = nc.Network("lost", dt=DT)
    net.input("x", 4)
    net.population("cell", nc.LIF(tau=10e-3, t_ref=2e-3), 4)
    net.connect("x", "cell", nc.OneToOne(16.0))
    spikes = nc.compile(net, "cpu").run({"x": ([5, 5, 5, 5, 6, 7, 8], [0, 1, 2, 3, 1, 2, 3])}, steps=30)["cell"]
    assert [spikes.times[spikes.ids == k].tolist() for k in range(4)] == [[5], [5], [5], [5, 8]]


@pytest.mark.parametrize("reset", ["value", "subtract"])
def test_every_reset_rule_starts_it(reset):
    spikes = eager(nc.LIF, 4e-3, 1, reset=reset)["cell"]
    assert set(np.diff(spikes.times)) == {5}


def test_models_without_one_say_so():
    for model, reason in ((nc.LI, "does not spike"), (nc.HodgkinHuxley, "no refractory period")):
        parameters = {"tau": 10e-3} if model is nc.LI else {}
        with pytest.raises(nc.errors.ModelError, match=reason):
            model(t_ref=1e-3, **parameters)


def test_a_negative_one_is_refused():
    net = nc.Network("negative", dt=DT)
    net.population("cell", nc.LIF(tau=10e-3, t_ref=-1e-3), 3)
    with pytest.raises(nc.errors.VerificationError, match="t_ref"):
        nc.compile(net, "cpu")

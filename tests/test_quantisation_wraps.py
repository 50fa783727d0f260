"""A current that could wrap around: refused with neuron and value, accepted by one word, and then found by the reference."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.ir.errors import CompileError, PrecisionWarning
from neurocomp.ir.passes import Quantise
from neurocomp.quantisation import observe_ranges


def flood(lag: int = 0) -> nc.Network:
    """x -> p: each spike of x is 255 << 7 for neuron 1 and 1 for neuron 0; u is cleared in a step. Five at once wrap."""
    net = nc.Network("flood", dt=1e-3)
    net.input("x", 5)
    net.population("p", nc.LoihiLIF(du=4095, dv=4095, vth=131071), 2)
    net.population("calm", nc.LoihiLIF(du=4095, dv=4095, vth=131071), 1)
    net.connect("x", "p", nc.Dense([[1] * 5, [255] * 5]), delay=1 - lag, loihi=nc.LoihiSynapse(weight_exp=7))
    net.connect("x", "calm", nc.Dense([[1] * 5]), delay=1)
    return net


def raster(step: int | None, steps: int = 8) -> dict[str, Any]:
    """All five spike at a step, four of them at every step."""
    data = np.ones((steps, 5), int)
    data[:, 4] = np.arange(steps) == step
    return {"x": data}


def loud(net: nc.Network, **options: Any) -> nc.Program:
    return nc.compile(net, "reference", accept_wrap=True, **options)


# --------------------------------------------------------------------------------------------------------------- compile


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_it_is_refused_with_population_neuron_value_limit_and_cure(target):
    with pytest.raises(CompileError) as caught:
        nc.compile(flood(), target)
    assert caught.value.subject == "p"
    value = 5 * 255 * 2**7 * 64
    for words in (
        "p: the current u of neuron 1",
        str(value),
        "8388608",
        "weight_exp",
        "fan-in",
        "raise du",
        "accept_wrap=True",
    ):
        assert words in str(caught.value)


def test_the_worst_is_named_first_and_the_others_after_it():
    net = flood()
    net.population("q", nc.LoihiLIF(du=0, dv=0, vth=9), 1)
    net.connect("x", "q", nc.Dense([[-255] * 5]), delay=1)
    with pytest.raises(
        CompileError, match=r"q: the current u of neuron 0 can reach -334233600 .*; so can the currents of 'p'\."
    ):
        nc.compile(net, "cpu")


def test_what_is_proven_needs_no_word():
    net = flood()
    net.graph.remove_edge("x", "p", key="x->p")
    net.connect("x", "p", nc.Dense([[1] * 5, [255] * 4 + [3]]), delay=1, loihi=nc.LoihiSynapse(weight_exp=7))
    assert 64 * 2**7 * (4 * 255 + 4) == 2**23  # which does not wrap yet
    assert "[loihi] p: range of u -> not proven" not in nc.compile(net, "cpu").explain()


def test_the_negative_limit_itself_wraps():
    """Neuron 0 can come to +2^23, which stays, neuron 1 to -2^23."""
    net = nc.Network("n", dt=1e-3)
    net.input("x", 5)
    net.population("p", nc.LoihiLIF(du=4095, dv=0, vth=9), 2)
    weights = [[254] * 4 + [8], [-256] * 4 + [0]]
    net.connect("x", "p", nc.Dense(weights), delay=1, loihi=nc.LoihiSynapse(weight_exp=7))
    with pytest.raises(CompileError, match="neuron 1 can reach -8388608 "):
        nc.compile(net, "cpu")


def test_accepting_changes_nothing_else():
    inputs = raster(3)
    record = ["spikes", "p.u", "p.v", "calm.u"]
    runs = [nc.compile(flood(), target, accept_wrap=True).run(inputs, record=record) for target in ("reference", "cpu")]
    assert nc.compare(*runs) == []
    assert "[loihi] p: range of u -> not proven (worst case: neuron 1 can reach 10444800" in loud(flood()).explain()


def test_quantise_says_it_with_the_same_word():
    assert nc.compile(flood(), "cpu", quantise=Quantise(accept_wrap=True)).run(raster(3)).steps == 8
    net = nc.Network("float", dt=1e-3)
    net.input("x", 2000)
    net.population("p", nc.CubaLIF(tau_syn=20e-3, tau_mem=20e-3, v_threshold=20.0), 3)
    net.connect("x", "p", nc.Dense(np.full((3, 2000), 1.0)))
    with pytest.raises(CompileError, match=r"p: the current u .*accept_wrap=True"):
        nc.compile(net, "cpu", arithmetic="loihi")
    for options in ({"accept_wrap": True}, {"quantise": Quantise("max", accept_wrap=True)}):
        assert "24 bits that can wrap" in nc.compile(net, "cpu", **{"arithmetic": "loihi", **options}).explain()
    kept = nc.compile(net, "cpu", quantise="max", accept_wrap=True)
    assert kept.explain() == nc.compile(net, "cpu", quantise=Quantise("max", accept_wrap=True)).explain()


def test_samples_vouch_for_what_they_calibrated_and_for_nothing_else():
    net = nc.Network("mixed", dt=1e-3)
    net.input("x", 2000)
    net.population("p", nc.CubaLIF(tau_syn=20e-3, tau_mem=20e-3, v_threshold=20.0), 3)
    net.connect("x", "p", nc.Dense(np.full((3, 2000), 1.0)))
    quiet = [{"x": (np.random.default_rng(0).random((40, 2000)) < 0.01).astype(int)}]
    calibrated = Quantise("calibrate", samples=quiet, steps=40)
    assert nc.compile(net, "reference", quantise=calibrated).run(quiet[0]).steps == 40
    report = nc.quantisation_report(net, quiet, 40, quantise=calibrated)
    with pytest.raises(CompileError, match=r"p: .*accept_wrap=True"):  # the saved network has no samples to vouch for it
        nc.compile(report.quantised, "cpu")
    net.population("chip", nc.LoihiLIF(du=0, dv=0, vth=9), 1)
    net.connect("x", "chip", nc.Dense(np.full((1, 2000), 9.0)))
    with pytest.raises(CompileError, match=r"chip: the current u of neuron 0"):
        nc.compile(net, "reference", quantise=calibrated)


@pytest.mark.parametrize("given", [1, "p", None, ["p"]])
def test_the_word_is_true_or_false(given):
    with pytest.raises(CompileError, match="accept_wrap is True or False, not "):
        nc.compile(flood(), "cpu", accept_wrap=given)


# ------------------------------------------------------------------------------------------------------------------- run


@pytest.mark.parametrize("lag", [0, 1])
def test_the_reference_names_population_neuron_step_and_value(lag):
    """A delay of 0 makes the population lag: steps are the written network's."""
    program = loud(flood(lag))
    with pytest.warns(PrecisionWarning) as caught:
        recording = program.run(raster(3), record=["p.u"])
    (warning,) = caught
    step = 4 - lag
    assert str(warning.message) == (
        f"population 'p': the current u of neuron 1 wrapped around at step {step}: it came to 10444800, beyond the 24 bits "
        "(+-2^23), and goes on from the other end"
    )
    assert warning.filename == __file__
    assert recording["p.u"][step, 1] == 10444800 - 2**24


def test_it_agrees_with_the_ranges_seen_on_samples():
    place = observe_ranges(flood(), raster(3), 8)["p"].first_wrap
    assert place is not None
    with pytest.warns(PrecisionWarning, match=f"neuron {place.neuron} .* at step {place.step}: it came to {place.value}"):
        loud(flood()).run(raster(3))


def quietly(program: nc.Program, inputs: Any, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program.run(inputs, **options)


def test_without_a_wrap_and_on_other_backends_nothing_is_said():
    quietly(loud(flood()), raster(None))
    quietly(nc.compile(flood(), "cpu", accept_wrap=True), raster(3))


def test_it_is_said_once_until_the_state_is_reset():
    program = loud(flood())
    with pytest.warns(PrecisionWarning, match="at step 4"):
        program.run(raster(3))
    quietly(program, raster(3), resume=True)
    with pytest.warns(PrecisionWarning, match="at step 2"):
        program.run(raster(1))
    program.reset()
    program.step({"x": [0, 1, 2, 3, 4]})
    with pytest.warns(PrecisionWarning, match="at step 1"):
        program.step()


def test_a_batch_names_the_first_sample():
    with pytest.warns(PrecisionWarning) as caught:
        loud(flood()).run_batch([raster(None), raster(5), raster(2)], 8)
    (warning,) = caught
    assert "neuron 1 wrapped around at sample 1, step 6" in str(warning.message)
    assert warning.filename == __file__

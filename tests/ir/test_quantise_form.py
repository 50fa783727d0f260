"""What the quantise pass recognises and refuses: the form of a population, its resets, comparison and bias; its options."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.ir.errors import CompileError
from neurocomp.ir.passes import Quantise
from neurocomp.ir.passes.quantise import QuantisationPlan
from neurocomp.ir.plasticity import STDP
from neurocomp.ir.quantisation.form import lif_form


def test_missing_parts_are_parts_of_loihis_form(net_of, folded):
    population = folded(net_of(nc.IF(r=1e3, reset="subtract"), [[1.0]])).populations["p"]
    form = lif_form(population)
    assert (form.u_decay[0], form.v_decay[0], form.reset, form.current) == (0.0, 1.0, "subtract", False)
    form = lif_form(folded(net_of(nc.CubaLIF(tau_syn=5e-3, tau_mem=2e-2), [[1.0]])).populations["p"])
    assert form.u_decay == pytest.approx(np.exp(-0.2))
    assert form.v_decay == pytest.approx(np.exp(-0.05))
    assert form.current


def test_decays_are_the_nearest_of_twelve_bits(net_of, plan):
    """CubaLIF: 1 - du = exp(-1/5): 4096 * 0.81873 = 3353.5 = 4095 - 741 or 742; LIF has no current: du = 4095."""
    made = plan(net_of(nc.CubaLIF(tau_syn=5e-3, tau_mem=2e-2), [[1.0]])).populations["p"]
    assert (made.du[0], made.dv[0]) == (741, 200)
    made = plan(net_of(nc.LIF(tau=2e-2), [[1.0]])).populations["p"]
    assert (made.du[0], made.dv[0]) == (4095, 200)
    made = plan(net_of(nc.IF(r=1e3), [[1.0]])).populations["p"]
    assert (made.du[0], made.dv[0]) == (4095, 0)


def test_a_decay_that_is_off_is_noted(net_of, plan, texts):
    """tau = 3 s at dt = 1 ms is a decay of 0.99967, of which 12 bits make 4095/4096: tau = 4.096 s."""
    assert "which is notable" in texts(plan(net_of(nc.LIF(tau=3.0), [[1.0]])).network)
    assert "notable" not in texts(plan(net_of(nc.LIF(tau=2e-2), [[1.0]])).network)


def test_a_bias_of_the_input_moves_to_v_exactly(net_of, folded, plan):
    """In steady state a bias b raises the current by b / (1 - k); the initial current starts that much lower."""
    net = net_of(nc.CubaLIF(tau_syn=5e-3, tau_mem=2e-2), [[0.0]], bias=30.0)
    made = plan(net).populations["p"]
    form = lif_form(folded(net).populations["p"])
    steady = folded(net).populations["p"].bias_vector()[0] / (1 - form.u_decay[0])
    assert form.bias[0] == pytest.approx(steady)
    assert form.u0[0] == pytest.approx(-steady)
    runs = [nc.compile(x, "reference").run({}, 60)["p"].times for x in (net, plan(net).network)]
    assert len(runs[0]) > 3
    assert np.abs(runs[0] - runs[1]).max() <= 1
    assert made.bias_mant[0] * 2.0 ** made.bias_exp[0] == pytest.approx(steady * made.per_volt, rel=1e-3)


# Weights that 8 bits hold exactly, beside a threshold of 1: multiples of 1/64 up to 254/128.
EXACT = np.random.default_rng(7).integers(-60, 60, (20, 6)) / 64.0
EXACT[0, 0] = 254 / 128
AT = nc.NeuronModel(
    "AtThreshold",
    {"v_threshold": "V", "v_reset": "V"},
    defaults={"v_threshold": 1.0, "v_reset": 0.0},
    step="v = v + a",
    spike="v >= v_threshold",
    resets={"value": "v = v_reset", "subtract": "v = v - v_threshold"},
)
ABOVE = replace(AT, name="AboveThreshold", spike="v > v_threshold")


def raster(steps: int, size: int = 6, rate: float = 0.4) -> Any:
    return (np.random.default_rng(5).random((steps, size)) < rate).astype(int)


def integers(made: QuantisationPlan) -> dict[str, Any]:
    its = made.populations["p"]
    numbers = {name: getattr(its, name).tolist() for name in ("du", "dv", "vth", "bias_mant", "bias_exp", "u0", "v0")}
    return numbers | {"weights": its.weights["x->p"].mantissas.tolist(), "exponent": its.weights["x->p"].exponent}


@pytest.mark.parametrize(
    ("model", "taus"), [(nc.LIF, {"tau": 1e-2}), (nc.CubaLIF, {"tau_syn": 5e-3, "tau_mem": 1e-2}), (nc.IF, {})]
)
def test_another_reset_value_is_the_same_neuron_counted_from_there(model, taus, net_of, plan, texts):
    resets = np.array([0.25, -0.5, 0.0])
    leak = {"v_leak": 0.1} if taus else {}
    moved = {"v_leak": 0.1 - resets} if taus else {}
    weights, scale = [[1.0, -2.0], [0.3, 1.7], [1.0, 1.0]], {} if taus else {"r": 1e3}
    one = net_of(model(**taus, **leak, **scale, v_reset=resets), weights)
    neuron = model(**taus, **moved, **scale, v_threshold=1.0 - resets, initial={"v": -resets})
    assert integers(plan(one)) == integers(plan(net_of(neuron, weights)))
    assert "p: reset to -0.5..0.25 -> v is counted from -0.5..0.25" in texts(plan(one).network)


def test_voltages_counted_from_the_reset_are_reported_in_the_users_unit(net_of):
    net, seen = net_of(nc.CubaLIF(tau_syn=5e-3, tau_mem=1e-2, v_reset=0.5), EXACT * 20), []

    def decode(recordings: Any) -> Any:
        seen.append(recordings[0]["p.v"])
        return np.zeros(1)

    nc.quantisation_report(net, {"x": raster(40)}, 40, decode=decode)
    assert seen[0].shape == seen[1].shape
    same = np.abs(seen[1] - seen[0]) < 0.05
    assert same.mean() > 0.95
    assert (seen[1] == 0.5).any()


@pytest.mark.parametrize(("reset", "target"), [("value", 0.0), ("value", -0.5), ("subtract", 0.0)])
def test_a_spike_at_the_threshold_is_kept_where_v_moves_in_whole_units(reset, target, net_of):
    """With exact weights the float and the integer network spike alike; one that compares the other way does not."""
    counts = []
    for model in (AT, ABOVE):
        net = net_of(model(reset=reset, v_reset=target), EXACT)
        report = nc.quantisation_report(net, {"x": raster(200)}, 200, quantise="max", target="reference")
        (row,) = report.populations
        assert row.first is None
        counts.append(row.float_spikes)
        said = "p: v >= threshold -> v > threshold (v moves in whole units of weight" in report.explain()
        assert said == (model is AT)
        assert "changed by up to +0.00%" in report.explain()
    assert counts[0] > counts[1] > 100


def test_a_spike_at_the_threshold_is_noted_where_it_cannot_be_kept(net_of, plan, texts):
    """v > 64 vth and v >= 64 x are closest for the integer nearest to x - 1/64."""
    made = plan(net_of(nc.SinabsLIF(tau=1e-2, v_threshold=np.linspace(1, 2, 20)), EXACT))
    its = made.populations["p"]
    assert its.vth.tolist() == np.rint(np.linspace(1, 2, 20) * its.scale - 1 / 64).tolist()
    assert "p: v >= threshold -> v > threshold (Loihi spikes above the threshold only; 20 of 20 neurons" in texts(made.network)
    half = net_of(AT(reset="value"), EXACT)
    half = half.with_changes(nodes={"p": replace(half.populations["p"], bias=np.repeat([0, 0.3123], [5, 15]))})
    assert "only; 15 of 20 neurons spike later" in texts(plan(half).network)


REFUSED = {
    "never spikes": (nc.LI(tau=1e-2), {}, ["p:", "LI never spikes", "IF with reset='subtract'"]),
    "graded": (nc.GradedRelu(), {}, ["p:", "GradedRelu sends graded spikes", "LoihiGradedRelu"]),
    "exact": (nc.CubaLIF(tau_syn=5e-3, tau_mem=1e-2, integrator="exact"), {}, ["p:", "CubaLIF", "'exact'", "'exponential'"]),
    "another rule": (nc.SinabsIF(), {}, ["p:", "SinabsIF", "max(v, -v_threshold)", "IF, LIF or"]),
    "no current": (nc.CubaLIF(tau_syn=5e-3, tau_mem=1e-2, r=0.0), {}, ["p:", "gain 0"]),
    "negative threshold": (
        nc.LIF(tau=1e-2, v_threshold=-1.0, v_reset=-1.0, reset="subtract"),
        {},
        ["p:", "neuron 0 has the threshold -1", "raise v_threshold, v_leak"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_loihi_cannot_do_is_refused_with_the_cure(name, net_of, plan):
    neuron, options, words = REFUSED[name]
    with pytest.raises(CompileError) as caught:
        plan(net_of(neuron, [[1.0]], **options))
    for word in words:
        assert word in str(caught.value)


def test_projections_that_learn_are_refused():
    net = nc.Network("n", dt=1e-3)
    net.input("x", 1)
    net.population("p", nc.IF(r=1e3), 1)
    net.connect("x", "p", nc.Dense([[0.5]]), delay=1, plasticity=STDP())
    with pytest.raises(CompileError, match="x->p: it learns"):
        nc.compile(net, "reference", arithmetic="loihi")


def test_it_needs_folded_programs(net_of):
    with pytest.raises(CompileError, match=r"p: has no step program.*Fold"):
        Quantise()(net_of(nc.IF(r=1e3), [[1.0]]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strategy": "best"}, "strategy is one of max, percentile, mse, calibrate, not 'best'"),
        ({"strategy": 3}, "strategy is one of max, percentile, mse, calibrate, not 3"),
        ({"num_weight_bits": 9}, "num_weight_bits is a whole number from 2 to 8, not 9"),
        ({"num_weight_bits": 4.0}, "num_weight_bits is a whole number from 2 to 8, not 4.0"),
        ({"num_weight_bits": "8"}, "num_weight_bits is a whole number from 2 to 8, not '8'"),
        ({"num_weight_bits": True}, "num_weight_bits is a whole number from 2 to 8, not True"),
        ({"percentile": 0}, "percentile is a number above 0 and up to 100, 99.9 as a rule, not 0"),
        ({"percentile": "99"}, "percentile is a number above 0 and up to 100, 99.9 as a rule, not '99'"),
        ({"margin": 0.5}, "margin is a number of at least 1, not 0.5"),
        ({"margin": np.nan}, "margin is a number of at least 1, not nan"),
        ({"split": 1}, "split is True or False, not 1"),
        ({"accept_wrap": "p"}, "accept_wrap is True or False, not 'p'"),
        ({"strategy": "calibrate"}, "strategy 'calibrate' needs inputs to go by: samples=[...], steps=N"),
        ({"samples": [{}]}, "steps is the length of the samples, a whole number of at least 1, not None"),
        ({"samples": [{}], "steps": 10.0}, "steps is the length of the samples, a whole number of at least 1, not 10.0"),
        ({"samples": [], "steps": 10}, "samples is a list of at least one sample"),
        ({"samples": {"x": [[1]]}, "steps": 1}, "samples is a list of at least one sample, each what Program.run takes"),
        ({"samples": np.ones((3, 2)), "steps": 3}, "samples is a list of at least one sample"),
        ({"samples": [np.ones((3, 2))], "steps": 3}, "samples is a list of at least one sample"),
        ({"samples": "x", "steps": 3}, "samples is a list of at least one sample"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(CompileError) as caught:
        Quantise(**options)
    assert str(caught.value).startswith(f"quantise: {words}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [5, 0.5, {"strategy": "max"}, Quantise, ["max"]])
def test_the_argument_quantise_is_checked(given, net_of):
    with pytest.raises(CompileError, match=r"quantise= takes a strategy's name such as 'mse', or nc.Quantise\(\.\.\.\), not "):
        nc.compile(net_of(nc.IF(), [[1.0]]), "cpu", quantise=given)


def test_numpy_numbers_are_numbers():
    assert Quantise(num_weight_bits=np.int64(4), percentile=np.float32(99), steps=np.int32(3)).num_weight_bits == 4


def test_a_delay_beyond_the_chip_is_refused_once_it_is_final(net_of):
    net = net_of(nc.LIF(tau=1e-2), [[1.0]], delay=63)
    assert nc.compile(net, "reference", arithmetic="loihi").lowered.projections["x->p"].max_delay == 63
    with pytest.raises(CompileError, match="x->p: a delay of 64 steps exceeds the 63"):
        nc.compile(net_of(nc.LIF(tau=1e-2), [[1.0]], delay=64), "reference", arithmetic="loihi")

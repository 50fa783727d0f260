"""The quantise pass: the integers it chooses, its proofs, and that every backend runs the result alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.backends.lava import Job, LavaBackend, try_jobs
from neurocomp.conform import compare
from neurocomp.conformance import CASES
from neurocomp.ir import numerics
from neurocomp.ir.errors import CompileError, PrecisionWarning
from neurocomp.ir.events import from_data
from neurocomp.ir.passes import LoihiWeights, Quantise, SnapToGrid
from neurocomp.ir.passes.quantise import split_by_target
from neurocomp.ir.printers.numpy import numpy_source
from neurocomp.ir.quantisation.calibrate import Calibration
from neurocomp.ir.quantisation.plan import PopulationPlan, mantissa
from neurocomp.ir.quantisation.ranges import Bounds, Dynamics, state_bounds
from neurocomp.ir.quantisation.simulate import Place, Run, run_network, stacked
from neurocomp.ir.quantisation.weights import WeightOptions, best, encode, grid
from neurocomp.recording import from_result

MAX, MSE = WeightOptions("max", 8, 99.9), WeightOptions("mse", 8, 99.9)


def unit_if(**parameters: Any) -> nc.Neuron:
    """Integrate and fire whose input counts as it is: the gain r * dt is 1."""
    return nc.IF(r=1000.0, **parameters)


# --------------------------------------------------------------------------------------------------------------- weights


def test_the_grid_of_mantissas():
    assert grid("mixed", 8) == (2, -256, 254)
    assert grid("excitatory", 8) == (1, 0, 255)
    assert grid("inhibitory", 4) == (16, -240, 0)
    assert grid("mixed", 4) == (32, -256, 224)


def test_encoding_rounds_to_nearest_and_counts_what_it_clips():
    coded = encode(np.array([3.4, 5.1, 254.9, 300.0, -260.0]), 1.0, 0, "mixed", 8)
    assert coded.mantissas.tolist() == [4, 6, 254, 254, -256]
    assert coded.clipped == 2
    assert coded.error == pytest.approx(0.36 + 0.81 + 0.81 + 46**2 + 16)


def test_stored_weights_pass_the_loihi_pass_unchanged(net_of, plan):
    rng = np.random.default_rng(0)
    for bits in (2, 4, 8):
        net = plan(net_of(unit_if(), rng.normal(0, 1, (20, 30))), num_weight_bits=bits).lowered
        assert not [x for x in LoihiWeights()(net).changes if x.by == "loihi" and "->" in x.subject]


def test_signs_decide_the_mode():
    assert best(np.array([1.0, 2.0, 3.0]), 85.0, MAX).mode == "excitatory"
    assert best(np.array([-1.0, -2.0]), 85.0, MAX).mode == "inhibitory"
    assert best(np.array([1.0, -2.0]), 85.0, MAX).mode == "mixed"
    nearly = np.array([0.101, 0.203, 0.307, 0.403, -1e-6])  # rounds to 0: giving up its sign is worth a bit
    assert best(nearly, 100.0, MSE).mode == "excitatory"


def test_the_largest_weight_uses_the_range_under_max(net_of, plan):
    made = plan(net_of(unit_if(), [[0.1, -0.5, 0.3]])).populations["p"]
    mantissas = made.weights["x->p"].mantissas
    assert mantissas.min() == -256 or mantissas.max() == 254
    assert made.weights["x->p"].clipped == 0


def test_percentile_clips_and_says_so(net_of, plan, texts):
    weights = np.r_[np.linspace(-1, 1, 999), 50.0][None, :]
    made = plan(net_of(unit_if(), weights), "percentile")
    assert made.populations["p"].weights["x->p"].clipped == 1
    assert "1 of 1000 weights -> clipped" in texts(made.network)


def test_mse_is_never_worse_than_max_or_percentile(net_of, plan):
    rng = np.random.default_rng(1)
    for bits in (3, 4, 8):
        weights = rng.standard_t(3, (30, 40))
        errors = {
            x: plan(net_of(unit_if(), weights), x, num_weight_bits=bits).populations["p"].weights["x->p"].error
            for x in ("max", "percentile", "mse")
        }
        assert errors["mse"] <= min(errors.values())
        if bits < 8:
            assert errors["mse"] < 0.7 * errors["max"]


def test_projections_of_a_population_share_one_scale(net_of, plan):
    """Weights 1 and 1/100 onto one population: 7 octaves apart, each with its own exponent."""
    net = net_of(unit_if(), [[1.0, -1.0]])
    net.connect("x", "p", nc.Dense([[0.01, -0.01]]), delay=2, name="weak")
    made = plan(net).populations["p"]
    strong, weak = made.weights["x->p"], made.weights["weak"]
    assert strong.exponent - weak.exponent in (6, 7)
    for coded, weight in ((strong, 1.0), (weak, 0.01)):
        assert coded.mantissas[0, 0] * 2.0**coded.exponent / made.scale == pytest.approx(weight, rel=0.01)
    assert made.vth[0] / made.scale == pytest.approx(1.0, rel=0.002)


def test_splitting_gives_weak_targets_their_own_exponent(net_of, folded, plan, texts):
    rng = np.random.default_rng(2)
    rows = rng.uniform(-1, 1, (6, 50)) * np.array([1.0, 0.9, 0.2, 0.2, 0.01, 0.0])[:, None]
    net = net_of(unit_if(), rows, delay=rng.integers(1, 4, rows.shape))
    parts = split_by_target(folded(net).projections["x->p"])
    assert [x.name for x in parts] == ["x->p:0", "x->p:2", "x->p:3"]
    total = sum(np.bincount(x.connectivity.synapses()[1], minlength=6) for x in parts)
    assert total.tolist() == [50] * 6
    assert all(len(np.unique(x.connectivity.synapses()[1])) < 6 for x in parts)
    whole, split = (plan(net, split=x) for x in (False, True))
    error = [sum(w.error for w in x.populations["p"].weights.values()) for x in (whole, split)]
    assert error[1] < error[0]
    assert "3 projections" in texts(split.network)
    weak = np.abs(rows[4]).max()
    exact = split.populations["p"].weights["x->p:3"].error / (50 * weak**2)
    assert exact < 1e-4


# -------------------------------------------------------------------------------------------------------- scale and proof


def test_weights_of_one_octave_stay_one_projection(net_of, folded):
    projection = folded(net_of(unit_if(), np.array([[1.0, 0.6], [0.7, -0.9]]))).projections["x->p"]
    assert split_by_target(projection) == [projection]


def test_bias_mantissas():
    mant, exp = mantissa(np.array([0.0, 4095.0, 4096.0, -4095.4, 524160.0, -3.0]))
    assert list(zip(mant.tolist(), exp.tolist(), strict=True)) == [(0, 0), (4095, 0), (2048, 1), (-4095, 0), (4095, 7), (-3, 0)]


def test_bounds_are_geometric_series():
    """Inputs -10..20 each step, u halved, v kept to 3/4: u in -20..40, v down to -20/(1/4), up to 3/4 * 100 + 40."""
    one = np.ones(1)
    bounds = state_bounds(
        -10 * one, 20 * one, Dynamics(one / 2, 3 * one / 4, 0 * one, 100 * one, 0 * one, 0 * one, subtract=False)
    )
    assert [x[0] for x in (bounds.u_low, bounds.u_high, bounds.v_low, bounds.v_high)] == [-20, 40, -80, 115]


def test_ranges_are_said_in_words():
    def text(low: float, high: float) -> str:
        return Bounds(-9 * np.ones(2), np.array([5.0, 7]), np.array([low, 0]), np.array([0, high])).text()

    assert text(-3, 4) == "worst case: u from -9 to 7, v from -3 to 4"
    assert text(-np.inf, 4) == "worst case: u from -9 to 7, v up to 4 and without lower bound"
    assert text(-3, np.inf) == "worst case: u from -9 to 7, v from -3 and without upper bound"
    assert text(-np.inf, np.inf) == "worst case: u from -9 to 7, v without bound"


def test_without_leak_v_has_no_lower_bound_and_that_is_said(net_of, plan, texts):
    made = plan(net_of(unit_if(), [[1.0, -1.0]]))
    assert np.isinf(made.populations["p"].worst.v_low[0])
    assert "24 bits that saturate" in texts(made.network)
    leaky = plan(net_of(nc.LIF(tau=5e-3), [[1.0, -1.0]]))
    assert "proven within 24 bits" in texts(leaky.network)


@pytest.fixture
def busy(net_of) -> nc.Network:
    """So many equal synapses onto a slow current that 24 bits cannot hold the worst case."""
    return net_of(nc.CubaLIF(tau_syn=20e-3, tau_mem=20e-3, v_threshold=20.0), np.full((3, 2000), 1.0))


def test_a_current_that_could_wrap_is_an_error_with_neuron_and_numbers(busy, plan, texts):
    with pytest.raises(CompileError) as caught:
        plan(busy)
    for word in ("p:", "neuron 0", "can reach", "8388608", "calibrate", "accept_wrap=True"):
        assert word in str(caught.value)
    accepted = plan(busy, accept_wrap=True)
    assert accepted.populations["p"].worst.wraps
    assert "24 bits that can wrap" in texts(accepted.network)


def test_calibration_goes_by_observed_currents(busy, plan):
    quiet = [{"x": (np.random.default_rng(k).random((40, 2000)) < 0.01).astype(int)} for k in range(2)]
    made = plan(busy, "calibrate", samples=quiet, steps=40).populations["p"]
    assert made.worst.wraps
    assert made.observed is not None
    assert not made.observed.wraps
    with pytest.raises(CompileError, match=r"margin=.*observed"):
        plan(busy, "calibrate", samples=[{"x": np.ones((40, 2000), int)}], steps=40)


def test_a_wrap_on_the_samples_names_sample_step_and_neuron(busy, plan, texts):
    """The input jumps in sample 1; "max" accepts the risk, and the report of the run says where it came true."""
    quiet = np.zeros((40, 2000), int)
    loud = quiet.copy()
    loud[4:] = 1
    made = plan(busy, "max", accept_wrap=True, samples=[{"x": quiet}, {"x": loud}], steps=40)
    (line,) = [x for x in texts(made.network).splitlines() if "u wrapped around" in x]
    place = made.runs["p"].first_wrap
    assert place is not None
    assert (place.sample, place.neuron) == (1, 0)
    assert f"sample 1, step {place.step}, neuron 0" in line
    reference = nc.compile(made.network, "reference", accept_wrap=True).run({"x": loud}, 40, ["p.u"])["p.u"][:, 0]
    first = np.flatnonzero(np.diff(reference) < 0)[0] + 1  # the first time it does not grow
    assert place.step == first
    assert place.value - 2**24 == reference[first]


@pytest.mark.parametrize("name", ["IF-subtract-euler", "CubaLIF-value-exponential", "two-cycles", "graded-Dense", "multapses"])
@pytest.mark.parametrize("strategy", ["max", "mse", "calibrate"])
def test_states_stay_within_the_proven_bounds(name, strategy, plan):
    case = CASES[name]
    made = plan(case.network, strategy, samples=[case.inputs], steps=case.steps)
    record = [f"{p}.{s}" for p in made.populations for s in "uv"]
    run = nc.compile(made.network, "reference").run(case.inputs, case.steps, record)
    for p, its in made.populations.items():
        u = run[f"{p}.u"].reshape(case.steps, -1)
        assert (u.max(axis=0) <= its.worst.u_high).all()
        assert (u.min(axis=0) >= its.worst.u_low).all()
        assert its.observed is not None
        assert (its.observed.u_high <= its.worst.u_high).all()
        assert (its.observed.v_low >= its.worst.v_low).all()


# ------------------------------------------------------------------------------------------------------------- calibrate

CALM = [x for x in CASES if x not in ("wide-accumulator", "shape-1100")]


def can_be_simulated(net: nc.Network) -> bool:
    """Fixed weights, programs of one input that only calculate: quantise refuses all others before it simulates."""
    forms = [x.program.form for x in net.populations.values() if x.program is not None]
    fixed = all(x.plasticity is None for x in net.projections.values())
    plain = all(x.inputs == ("a",) and not x.random for x in forms)
    return fixed and plain and not any(f"{name}(" in numpy_source(x) for x in forms for name in numerics.FUNCTIONS)


@pytest.mark.parametrize("name", CALM[::4])
def test_the_simulator_is_the_reference(name, folded):
    """Float and integer networks, one run and two samples side by side."""
    case = CASES[name]
    if not can_be_simulated(folded(case.network)):
        learns = any(isinstance(x.plasticity, nc.LoihiRule) for x in case.network.projections.values())
        with pytest.raises(CompileError):  # Loihi's integers need no quantising, whatever they learn
            run_network(folded(case.network), {}, 1, 1) if learns else Quantise()(folded(case.network))
        return
    net = SnapToGrid(case.options.get("mantissa_bits", 24))(folded(case.network))
    lowered = LoihiWeights()(net) if case.arithmetic == "loihi" else net
    raster = {
        n: from_data(n, case.inputs.get(n, ((), ())), x.shape, case.steps, x.max_payload).raster()
        for n, x in net.inputs.items()
    }
    runs = run_network(lowered, {n: stacked([0 * x, x]) for n, x in raster.items()}, 2, case.steps)
    expected = nc.compile(case.network, "reference", **case.options).run(case.inputs, case.steps)
    for n, run in runs.items():
        assert np.array_equal(run.spikes[1], expected.spikes[n].raster().reshape(case.steps, -1)), n


def test_calibration_keeps_more_spikes_than_the_largest_weight():
    """A recurrent network with 4-bit weights: calibrated on three samples, measured on three others."""
    rng = np.random.default_rng(3)
    net = nc.Network("n", dt=1e-3)
    net.input("x", 60)
    net.population("h", nc.CubaLIF(tau_syn=5e-3, tau_mem=20e-3), 50)
    net.connect("x", "h", nc.Dense(rng.normal(2, 12, (50, 60))))
    net.connect("h", "h", nc.Dense(rng.normal(0, 4, (50, 50))), delay=1)
    samples = [{"x": (rng.random((60, 60)) < 0.06).astype(int)} for _ in range(6)]
    changed = {}
    for strategy in ("max", "calibrate"):
        quantise = Quantise(strategy, num_weight_bits=4, samples=samples[:3], steps=60)
        (row,) = nc.quantisation_report(net, samples[3:], 60, quantise=quantise).populations
        changed[strategy] = row.changed
    assert changed["calibrate"] < 0.8 * changed["max"]


def test_a_candidate_that_wraps_is_only_taken_where_all_do(monkeypatch, net_of, plan):
    rng = np.random.default_rng(7)
    net = net_of(nc.CubaLIF(tau_syn=5e-3, tau_mem=2e-2), rng.normal(4, 10, (20, 6)))
    options = {"samples": [{"x": (rng.random((60, 6)) < 0.4).astype(int)}], "steps": 60, "num_weight_bits": 4}
    chosen = plan(net, "calibrate", **options).populations["p"].scale
    run = Calibration._run

    def wrapping(self: Calibration, made: PopulationPlan) -> Run:
        wraps = every or made.scale == chosen
        return replace(run(self, made), first_wrap=Place(0, 0, 0, 2**24) if wraps else None)

    monkeypatch.setattr(Calibration, "_run", wrapping)
    every = False
    assert plan(net, "calibrate", **options).populations["p"].scale != chosen
    every = True
    assert plan(net, "calibrate", **options).populations["p"].scale == chosen


# -------------------------------------------------------------------------------------------------------------- programs

QUANTISED = (
    "LIF-value-euler",
    "IF-subtract-exponential",
    "CubaLIF-subtract-euler",
    "SnnTorchCubaLIF-euler",
    "two-cycles",
    "graded-Sparse",
    "conv-stride",
    "bias-CubaLIF",
    "OneToOne-delay-each",
)


@pytest.fixture(scope="module")
def lava_quantised() -> dict[str, Any]:
    """Quantised cases on Lava, in one child."""
    support = LavaBackend().available()
    if not support.ok:
        pytest.skip(support.reason)
    jobs, keys = [], []
    for name in QUANTISED:
        case = CASES[name]
        program = nc.compile(case.network, "lava", arithmetic="loihi")
        jobs.append(Job(program.lowered, *program.prepare(case.inputs, case.steps, _everything(program))))
        keys.append(name)
    return dict(zip(keys, try_jobs(jobs), strict=True))


def _everything(program: nc.Program) -> list[str]:
    return ["spikes", *(f"{n}.{s}" for n in program.lowered.populations for s in "uv")]


@pytest.mark.xdist_group("lava-quantised")
@pytest.mark.parametrize("target", ["cpu", "lava"])
@pytest.mark.parametrize("name", QUANTISED)
def test_quantised_networks_are_the_same_on_every_backend(name, target, request):
    case = CASES[name]
    first = nc.compile(case.network, "reference", arithmetic="loihi")
    expected = first.run(case.inputs, case.steps, _everything(first))
    if target == "cpu":
        second = nc.compile(case.network, "cpu", arithmetic="loihi").run(case.inputs, case.steps, _everything(first))
    else:
        result = request.getfixturevalue("lava_quantised")[name]
        if isinstance(result, Exception):
            raise result
        second = from_result(result, case.steps, case.network.dt)
    assert compare(expected, second) == []
    assert any(len(expected.spikes[x]) for x in case.network.populations)


def test_the_given_network_is_not_touched(net_of, folded):
    net = folded(net_of(nc.LIF(tau=1e-2), [[1.0, -2.0]]))
    before = str(net)
    Quantise("mse", split=True)(net)
    assert str(net) == before


def test_loihi_populations_stay_as_they_are(net_of, plan):
    net = net_of(nc.LIF(tau=1e-2), [[30.0]])
    net.population("chip", nc.LoihiLIF(du=4095, dv=100, vth=50), 1)
    net.connect("p", "chip", nc.Dense([[40.0]]), delay=1)
    made = plan(net).network
    assert made.populations["chip"].neuron == net.populations["chip"].neuron
    assert made.projections["p->chip"].connectivity.weights.tolist() == [[40.0]]
    assert made.populations["p"].neuron.model is nc.LoihiLIF


def test_compile_quantises_on_demand(net_of):
    net = net_of(nc.LIF(tau=1e-2), [[30.0, -10.0]])
    one = nc.compile(net, "cpu", arithmetic="loihi")
    other = nc.compile(net, "cpu", quantise=Quantise("max", num_weight_bits=4))
    assert {x.by for x in one.changes} >= {"quantise", "fold"}
    assert one.run({"x": [[1, 0]] * 5}, record=["p.v"])["p.v"].dtype == np.int64
    assert "4 bits mixed" in other.explain()
    with pytest.raises(CompileError, match="strategy is one of"):
        nc.compile(net, "cpu", quantise="best")
    report = nc.conform(net, {"x": [[1, 0]] * 5}, 5, ["reference", "cpu"], arithmetic="loihi", quantise="max")
    assert report.identical


def test_a_quantised_network_is_a_network(tmp_path, net_of):
    net = net_of(nc.CubaLIF(tau_syn=5e-3, tau_mem=2e-2), np.random.default_rng(0).normal(20, 40, (5, 6)), bias=0.5)
    made = nc.quantisation_report(net, {"x": np.ones((20, 6), int)}, 20).quantised
    loaded = nc.load(nc.save(made, tmp_path / "chip"))
    assert str(loaded) == str(made)
    runs = [nc.compile(x, "cpu").run({"x": np.ones((20, 6), int)}, record=["spikes", "p.v"]) for x in (made, loaded)]
    assert compare(*runs) == []


def test_what_vanishes_is_warned_of(net_of, plan):
    with pytest.warns(PrecisionWarning, match=r"'x->p': all its weights became 0"):
        plan(net_of(nc.IF(r=1e3), [[2e-9, 2e-9]]), "max")
    mixed = nc.Network("mixed", dt=1e-3)
    mixed.input("x", 1)
    mixed.population("p", nc.IF(r=1e3, v_threshold=[1e-6, 1.0, 1.0]), 3)
    mixed.connect("x", "p", nc.Dense([[1.0], [1.0], [1.0]]))
    with pytest.warns(PrecisionWarning, match=r"'p': 1 of 3 thresholds became 0"):
        plan(mixed, "max")


def test_samples_name_inputs_that_exist(net_of, plan):
    good = {"x": np.ones((5, 2), int)}
    with pytest.raises(nc.errors.InputError, match=r"samples\[1\]: there is no input 'X'; the network's inputs are x"):
        plan(net_of(nc.IF(r=1e3), [[1.0, 1.0]]), "calibrate", samples=[good, {"X": np.ones((5, 2), int)}], steps=5)
    with pytest.raises(nc.errors.InputError, match=r"samples\[2\]: .*x"):
        plan(net_of(nc.IF(r=1e3), [[1.0, 1.0]]), "calibrate", samples=[good, good, {"x": np.ones((5, 3), int)}], steps=5)

"""`fold`: the common forms as text, and no result changed beyond rounding."""

import numpy as np
import pytest

from neurocomp.backends.base import Record
from neurocomp.backends.reference import ReferenceExecutable
from neurocomp.ir.connectivity import Dense, OneToOne
from neurocomp.ir.events import from_data
from neurocomp.ir.folding import fold_form
from neurocomp.ir.integrators import scheme
from neurocomp.ir.model import NeuronModel
from neurocomp.ir.network import Network
from neurocomp.ir.neurons import IF, LI, LIF, CubaLI, CubaLIF, I, LoihiLIF
from neurocomp.ir.passes import Discretise, Fold, Pipeline, Retime
from neurocomp.ir.printers.text import form_text

DT = 1e-3
MODELS = {model.name: model for model in (IF, LI, LIF, CubaLI, CubaLIF, I)}
LIBRARY = "i = i * i_decay + a; v = v * v_decay + i + v_bias"  # the form of Lava's LIF
TEXTS = {
    ("IF", "euler"): "v = v + a",
    ("IF", "exponential"): "v = v + a",
    ("IF", "exact"): "v = v + a",
    ("I", "euler"): "v = v + a",
    ("I", "exponential"): "v = v + a",
    ("I", "exact"): "v = v + a",
    ("LIF", "euler"): "v = v * v_decay + a + v_bias",
    ("LIF", "exponential"): "v = v * v_decay + a + v_bias",
    ("LIF", "exact"): "v = v * v_decay + a + v_bias",
    ("LI", "euler"): "v = v * v_decay + a + v_bias",
    ("LI", "exponential"): "v = v * v_decay + a + v_bias",
    ("LI", "exact"): "v = v * v_decay + a + v_bias",
    ("CubaLIF", "euler"): LIBRARY,
    ("CubaLIF", "exponential"): LIBRARY,
    ("CubaLIF", "exact"): "v = v * v_decay + i * v_i + a * v_a + v_bias; i = i * i_decay + a * i_a",
    ("CubaLI", "euler"): LIBRARY,
    ("CubaLI", "exponential"): LIBRARY,
    ("CubaLI", "exact"): "v = v * v_decay + i * v_i + a * v_a + v_bias; i = i * i_decay + a * i_a",
}


@pytest.mark.parametrize(("name", "integrator"), TEXTS)
def test_folded_text(name, integrator):
    model = MODELS[name]
    for rule, text in (model.resets or {None: None}).items():
        expected = TEXTS[name, integrator].replace("; ", "\n")
        if rule is not None:
            expected += f"\nspike: v > v_threshold\nreset: {text}"
        assert form_text(fold_form(scheme(model, integrator, rule).form).form) == expected


def test_loihi_is_not_folded():
    form = scheme(LoihiLIF, "euler", "value").form
    assert fold_form(form).form == form


# ------------------------------------------------------------------------------------------------- same results, to rounding


def _run(net, inputs, steps, fold):
    passes = (Discretise(), Fold(), Retime()) if fold else (Discretise(), Retime())
    net = Pipeline(passes)(net)
    if not fold:  # biases of projections are moved by fold: do the same by hand
        from dataclasses import replace

        for projection in list(net.projections.values()):
            if projection.connectivity.bias is not None:
                post = net.populations[projection.post]
                net = net.with_changes({post.name: replace(post, bias=post.bias_vector() + projection.connectivity.bias)})
    keys = [(name, state) for name, p in net.populations.items() for state in p.neuron.model.state]
    events = {name: from_data(name, inputs[name], x.shape, steps, x.max_payload) for name, x in net.inputs.items()}
    return net, ReferenceExecutable(net).run(events, steps, Record(tuple(net.populations), tuple(keys)))


def _same(net, inputs, steps, tolerance=1e-12):
    _, plain = _run(net, inputs, steps, fold=False)
    folded_net, folded = _run(net, inputs, steps, fold=True)
    assert {n: e.times.tolist() for n, e in plain.spikes.items()} == {n: e.times.tolist() for n, e in folded.spikes.items()}
    for key, trace in plain.states.items():
        scale = np.abs(trace).max()
        assert scale > 0, key
        assert np.abs(folded.states[key] - trace).max() <= tolerance * scale, key
    return folded_net, folded


def _one(neuron, bias=0.0, weight_scale=1.0, size=5, integrator="exponential", seed=0):
    rng = np.random.default_rng(seed)
    net = Network("n", dt=DT, integrator=integrator)
    net.input("x", 4)
    net.population("p", neuron, size, bias=bias)
    net.connect("x", "p", Dense(rng.normal(0.5, 1, (size, 4)) * weight_scale, bias=rng.normal(0, 0.1, size)))
    return net, {"x": (rng.random((60, 4)) < 0.4).astype(int)}


@pytest.mark.parametrize(("name", "integrator"), TEXTS)
def test_builtin_models_compute_the_same_folded(name, integrator):
    model = MODELS[name]
    rng = np.random.default_rng(3)
    taus = {x: rng.uniform(2e-3, 2e-2, 5) for x in model.parameters if x.startswith("tau")}
    extra = {x: rng.uniform(0.5, 2, 5) for x in ("r", "w_in", "v_leak") if x in model.parameters}
    initial = {state: rng.normal(0, 0.3, 5) for state in model.state}
    scale = 300.0 if name in ("IF", "I") else 6.0
    for rule in model.resets or [None]:
        net, inputs = _one(model(reset=rule, initial=initial, **taus, **extra), 0.3, scale, integrator=integrator)
        _, result = _same(net, inputs, 60)
        assert model.spike is None or len(result.spikes["p"]) > 3


CHAIN = "di/dt = (a - i) / t1\ndu/dt = (i - u) / t2\ndv/dt = (u - v) / t3"
SPIKING = {"spike": "v > th", "resets": {"value": "v = 0"}}
USERS = {
    "a chain of three": (
        NeuronModel("M", {"t1": "s", "t2": "s", "t3": "s", "th": ""}, equations=CHAIN, **SPIKING),
        {"t1": 3e-3, "t2": 5e-3, "t3": 4e-3, "th": 0.5},
    ),
    "a current without decay": (
        NeuronModel("M", {"tau": "s", "th": ""}, equations="di/dt = a\ndv/dt = (i - v) / tau", **SPIKING),
        {"tau": 4e-3, "th": 0.02},
    ),
    "a current that two states hear": (
        NeuronModel(
            "M", {"tau": "", "th": ""}, equations="di/dt = (a - i) / tau\ndw/dt = i - w\ndv/dt = (i - v + w) / tau", **SPIKING
        ),
        {"tau": 4e-3, "th": 0.5},
    ),
    "a current in the spike condition": (
        NeuronModel(
            "M",
            {"tau": "s", "th": ""},
            equations="di/dt = (a - i) / tau\ndv/dt = (i - v) / tau",
            spike="v + i > th",
            resets={"value": "v = 0"},
        ),
        {"tau": 4e-3, "th": 0.8},
    ),
    "a current that is reset": (
        NeuronModel(
            "M",
            {"tau": "s", "th": ""},
            equations="di/dt = (a - i) / tau\ndv/dt = (i - v) / tau",
            spike="v > th",
            resets={"value": "v = 0; i = 0.25"},
        ),
        {"tau": 4e-3, "th": 0.4},
    ),
    "feedback": (
        NeuronModel(
            "M", {"tau": "s", "k": "", "th": ""}, equations="di/dt = (a - i - v * k) / tau\ndv/dt = (i - v) / tau", **SPIKING
        ),
        {"tau": 4e-3, "k": 0.3, "th": 0.4},
    ),
    "a step whose factor is also the threshold": (
        NeuronModel(
            "M",
            {"d": "", "k": "", "m": ""},
            step="i = i * d + a * k; v = v * d + i * m",
            spike="v > k",
            resets={"value": "v = 0"},
        ),
        {"d": 0.9, "k": 0.1, "m": 0.25},
    ),
    "a step whose constant is also the threshold": (
        NeuronModel(
            "M",
            {"d": "", "k": "", "m": "", "g": ""},
            step="i = i * d + a * g + k; v = v * d + i * m",
            spike="v > k",
            resets={"value": "v = 0"},
        ),
        {"d": 0.9, "k": 0.5, "m": 0.25, "g": 0.1},
    ),
    "a step with the constant written first": (
        NeuronModel("M", {"d": "", "k": "", "m": "", "th": ""}, step="i = d * i + a * k; v = v * d + i * m", **SPIKING),
        {"d": 0.9, "k": 0.3, "m": 0.25, "th": 0.6},
    ),
    "a step with a plain sum of states": (
        NeuronModel(
            "M", {"d": "", "k": "", "m": "", "th": ""}, step="w = w * d + a * k; i = i * d + w; v = v * d + i * m", **SPIKING
        ),
        {"d": 0.7, "k": 0.3, "m": 0.25, "th": 0.6},
    ),
    "a step with a product of states": (
        NeuronModel("M", {"d": "", "k": "", "m": "", "th": ""}, step="i = i * d + v * i + a * k; v = v * d + i * m", **SPIKING),
        {"d": 0.6, "k": 0.1, "m": 0.25, "th": 0.2},
    ),
    "a step with one factor for two states": (
        NeuronModel(
            "M",
            {"d": "", "k": "", "m": "", "th": ""},
            step="i = i * d + a * k; v = v * d + i * m + w * m; w = w * d + v * m",
            **SPIKING,
        ),
        {"d": 0.6, "k": 0.3, "m": 0.25, "th": 0.3},
    ),
}


@pytest.mark.parametrize("integrator", ["euler", "exponential", "exact"])
@pytest.mark.parametrize(("model", "values"), USERS.values(), ids=USERS.keys())
def test_users_models_compute_the_same_folded(model, values, integrator):
    for negative in (False, True):  # a negative constant must not flip anything either
        net, inputs = _one(model(**values), 0.1, -3.0 if negative else 3.0, integrator=integrator)
        _same(net, inputs, 60)


def test_a_chain_is_folded_to_the_end():
    model, _ = USERS["a chain of three"]
    folded = form_text(fold_form(scheme(model, "exponential", "value").form).form)
    assert folded.splitlines()[:3] == ["i = i * i_decay + a", "u = u * u_decay + i", "v = v * v_decay + u"]


# --------------------------------------------------------------------------------------------------------------- numbers


def test_the_gain_moves_into_weights_and_bias_and_the_state_stays_readable():
    """CubaLIF by euler: v_i = r dt / tau_mem = 0.05 r, i_a = w_in dt / tau_syn = 0.2 w_in; the gain is their product."""
    net = Network("n", dt=DT, integrator="euler")
    net.input("x", 2)
    neuron = CubaLIF(tau_syn=5e-3, tau_mem=20e-3, r=np.array([1.0, 2.0]), w_in=3.0, initial={"i": 4.0})
    net.population("p", neuron, 2, bias=np.array([10.0, 20.0]))
    net.connect("x", "p", Dense([[1.0, 2.0], [3.0, 4.0]], bias=[1.0, 1.0]))
    folded = Fold()(Discretise()(net))
    population, projection = folded.populations["p"], folded.projections["x->p"]
    gain = np.array([0.05 * 0.6, 0.1 * 0.6])
    assert projection.connectivity.weights == pytest.approx(np.array([[1.0, 2.0], [3.0, 4.0]]) * gain[:, None])
    assert projection.connectivity.bias is None
    assert population.bias_vector() == pytest.approx(np.array([11.0, 21.0]) * gain)
    assert population.program.scale["i"] == pytest.approx([0.05, 0.1])
    assert population.program.initial["i"] == pytest.approx([0.2, 0.4])
    assert "i_a" not in population.program.constants
    assert net.projections["x->p"].connectivity.weights.tolist() == [[1.0, 2.0], [3.0, 4.0]]  # the given one is untouched
    assert net.projections["x->p"].connectivity.bias.tolist() == [1.0, 1.0]


def test_a_state_that_is_multiplied_by_zero_is_not_folded():
    for r in (0.0, np.array([1.0, 0.0])):
        net, _ = _one(CubaLIF(tau_syn=5e-3, tau_mem=20e-3, r=r), size=2)
        discrete = Discretise()(net)
        folded = Fold()(discrete)
        assert folded.populations["p"].program.form == discrete.populations["p"].program.form
        assert dict(folded.populations["p"].program.scale) == {}
        weights = [x.projections["x->p"].connectivity.weights.tolist() for x in (net, folded)]
        assert weights[0] == weights[1]


def test_biases_of_several_projections_add_up_on_the_population():
    net = Network("n", dt=DT)
    net.input("x", 2)
    net.population("p", LoihiLIF(du=1, dv=1, vth=1), 2)
    net.population("q", IF(r=1000.0), 2, bias=0.5)
    net.connect("x", "q", Dense(np.zeros((2, 2)), bias=[1.0, 2.0]))
    net.connect("x", "q", OneToOne(3.0, bias=[10.0, 20.0]))
    folded = Fold()(Discretise()(net))
    assert folded.populations["q"].bias_vector().tolist() == [11.5, 22.5]  # r dt = 1
    assert all(x.connectivity.bias is None for x in folded.projections.values())
    moved = [change for change in folded.changes if change.before == "bias of the projection"]
    assert [change.subject for change in moved] == ["x->q", "x->q#2"]


def test_a_population_whose_gain_is_1_keeps_nobody_from_being_folded():
    net = Network("n", dt=DT, integrator="euler")
    net.input("x", 2)
    net.population("one", IF(r=1000.0), 2)  # r dt = 1
    net.population("p", CubaLIF(tau_syn=5e-3, tau_mem=20e-3), 2)
    for name in ("one", "p"):
        net.connect("x", name, Dense(np.ones((2, 2))))
    folded = Fold()(Discretise()(net))
    assert folded.projections["x->one"].connectivity.weights.tolist() == [[1.0, 1.0]] * 2
    assert folded.projections["x->p"].connectivity.weights == pytest.approx(np.full((2, 2), 0.2 * 0.05))
    assert [(x.subject, x.before) for x in folded.changes if x.by == "fold"] == [("p", "input gain 0.01")]


@pytest.mark.parametrize("tau", [1.3e-3, 2e-3, 7e-3, 0.1, 3.0])
def test_decays_survive_being_stored_as_one_minus_decay(tau):
    neuron = CubaLIF(tau_syn=tau, tau_mem=tau * 1.7)
    for integrator in ("euler", "exponential"):
        net, _ = _one(neuron, integrator=integrator)
        before = Discretise()(net).populations["p"].program.constants
        constants = Fold()(Discretise()(net)).populations["p"].program.constants
        for name in ("i_decay", "v_decay"):
            k = float(constants[name])
            assert 1.0 - (1.0 - k) == k
            assert abs(k - float(before[name])) <= 2.0**-54

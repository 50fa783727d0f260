"""From differential equations to steps: closed forms worked out by hand, matrix exponentials from scipy."""

import math

import numpy as np
import pytest
import scipy.linalg

from neurocomp.ir import numerics
from neurocomp.ir.errors import CompileError, EquationError
from neurocomp.ir.expressions import parse_expression
from neurocomp.ir.integrators import scheme
from neurocomp.ir.linear import affine
from neurocomp.ir.model import NeuronModel
from neurocomp.ir.network import Network
from neurocomp.ir.neurons import IF, LIF, CubaLI, CubaLIF
from neurocomp.ir.passes import Discretise
from neurocomp.ir.printers.numpy import numpy_step
from neurocomp.ir.printers.text import form_text, to_text
from neurocomp.program import compile as compile_network

DT = 1e-3


def program(neuron, size=1, dt=DT, integrator="exponential"):
    net = Network("n", dt=dt, integrator=integrator)
    net.population("p", neuron, size)
    return Discretise()(net).populations["p"].program


def numbers(neuron, **how):
    return {name: np.asarray(value).tolist() for name, value in program(neuron, **how).constants.items()}


def approx(value):
    return pytest.approx(value, rel=1e-15)


# ---------------------------------------------------------------------------------------------------- literal coefficients


def test_lif_by_euler():
    """v + dt/tau (v_leak - v + r a), tau = 10 ms."""
    got = numbers(LIF(tau=1e-2, r=2.0, v_leak=0.5), integrator="euler")
    want = {"v_decay": approx(0.9), "v_a": approx(0.2), "v_bias": approx(0.05), "v_threshold": 1.0, "v_reset": 0.0}
    assert got == want


def test_lif_by_exponential_and_exact_are_the_same_closed_form():
    """exp(-dt/tau) v + (1 - exp(-dt/tau)) (v_leak + r a), dt/tau = 0.1."""
    for integrator in ("exponential", "exact"):
        got = numbers(LIF(tau=1e-2, r=2.0, v_leak=0.5), integrator=integrator)
        assert got["v_decay"] == approx(0.9048374180359595)
        assert got["v_a"] == approx(0.19032516392808096)
        assert got["v_bias"] == approx(0.04758129098202024)


def test_if_has_no_decay_under_any_integrator():
    for integrator in ("euler", "exponential", "exact"):
        assert numbers(IF(r=3.0), integrator=integrator)["v_a"] == approx(0.003)
        assert "v_decay" not in numbers(IF(r=3.0), integrator=integrator)


CUBA = CubaLIF(tau_syn=5e-3, tau_mem=20e-3, r=2.0, w_in=3.0, v_leak=0.5)


def test_cubalif_by_euler():
    got = numbers(CUBA, integrator="euler")
    want = {"i_decay": 0.8, "i_a": 0.6, "v_decay": 0.95, "v_i": 0.1, "v_bias": 0.025}
    assert {name: got[name] for name in want} == {name: approx(value) for name, value in want.items()}


def test_cubalif_by_exponential():
    """exp(-0.2) = 0.8187..., exp(-0.05) = 0.9512...; the current is held at its new value."""
    got = numbers(CUBA, integrator="exponential")
    want = {
        "i_decay": 0.8187307530779818,
        "i_a": 3 * 0.18126924692201818,
        "v_decay": 0.951229424500714,
        "v_i": 2 * 0.04877057549928599,
        "v_bias": 0.5 * 0.04877057549928599,
    }
    assert {name: got[name] for name in want} == {name: approx(value) for name, value in want.items()}


def test_cubalif_by_exact():
    """The textbook propagator r tau_syn / (tau_syn - tau_mem) (exp(-dt/tau_syn) - exp(-dt/tau_mem))."""
    got = numbers(CUBA, integrator="exact")
    assert got["v_i"] == pytest.approx(2 * 5 / (5 - 20) * (math.exp(-0.2) - math.exp(-0.05)), rel=1e-13)
    assert got["i_a"] == approx(3 * 0.18126924692201818)


def test_cubalif_by_exact_with_equal_time_constants():
    """The limit r dt/tau exp(-dt/tau), where the textbook formula divides by zero."""
    got = numbers(CubaLIF(tau_syn=5e-3, tau_mem=5e-3, r=2.0), integrator="exact")
    assert got["v_i"] == pytest.approx(2 * 0.2 * 0.8187307530779818, rel=1e-14)


def test_the_step_order_of_each_integrator():
    """Euler and exponential use the new current for the voltage; exact uses the old one, so the voltage comes first."""
    v, i = "v = v * v_decay + i * v_i + v_bias", "i = i * i_decay + a * i_a"
    assert form_text(scheme(CubaLI, "euler", None).form) == f"{i}\n{v}"
    assert form_text(scheme(CubaLI, "exponential", None).form) == f"{i}\n{v}"
    exact = "v = v * v_decay + i * v_i + a * v_a + v_bias"
    assert form_text(scheme(CubaLI, "exact", None).form) == f"{exact}\n{i}"


def test_one_step_by_hand():
    """LIF by euler: 0.9 * 0.5 + 0.1 * 3 = 0.75; CubaLIF: i = 0.8 * 1 + 0.2 * 2 = 1.2, v = 0.95 * 0.4 + 0.05 * 1.2 = 0.44."""
    step = program(LIF(tau=1e-2), integrator="euler")
    state = {"v": np.array([0.5])}
    numpy_step(step.form)({"a": np.array([3.0])}, state, step.constants)
    assert state["v"][0] == pytest.approx(0.75, rel=1e-15)
    step = program(CubaLIF(tau_syn=5e-3, tau_mem=20e-3), integrator="euler")
    state = {"i": np.array([1.0]), "v": np.array([0.4])}
    numpy_step(step.form)({"a": np.array([2.0])}, state, step.constants)
    assert (state["i"][0], state["v"][0]) == (pytest.approx(1.2, rel=1e-15), pytest.approx(0.44, rel=1e-15))


# ------------------------------------------------------------------------------------------------- exact against scipy.expm


def test_exact_is_the_matrix_exponential_for_heterogeneous_and_equal_time_constants():
    rng = np.random.default_rng(1)
    tau_syn, tau_mem = rng.uniform(1e-3, 3e-2, 12), rng.uniform(1e-3, 3e-2, 12)
    tau_mem[:3] = tau_syn[:3]
    tau_mem[3] = tau_syn[3] * (1 + 1e-9)
    r, w_in, leak = rng.uniform(0.5, 2, 12), rng.uniform(-2, 2, 12), rng.uniform(-1, 1, 12)
    got = program(CubaLIF(tau_syn=tau_syn, tau_mem=tau_mem, r=r, w_in=w_in, v_leak=leak), size=12, integrator="exact").constants
    for n in range(12):
        system = np.zeros((4, 4))  # i, v, a, 1
        system[0, 0], system[0, 2] = -1 / tau_syn[n], w_in[n] / tau_syn[n]
        system[1, 1], system[1, 0], system[1, 3] = -1 / tau_mem[n], r[n] / tau_mem[n], leak[n] / tau_mem[n]
        whole = scipy.linalg.expm(DT * system)
        for name, entry in {
            "i_decay": (0, 0),
            "i_a": (0, 2),
            "v_decay": (1, 1),
            "v_i": (1, 0),
            "v_a": (1, 2),
            "v_bias": (1, 3),
        }.items():
            assert got[name][n] == pytest.approx(whole[entry], rel=1e-12, abs=1e-15), (name, n)


OSCILLATOR = NeuronModel(
    "Oscillator",
    parameters={"k": "1/s", "g": "1/s", "th": ""},
    equations="dx/dt = y * k\ndy/dt = -x * k - y * g + a * 1000",
    spike="x > th",
    resets={"value": "y = 0"},
)


def test_a_coupled_model_needs_temporaries_and_follows_the_matrix_exponential():
    k, g, steps = 120.0, 30.0, 60
    form = scheme(OSCILLATOR, "exact", "value").form
    assert form.temporaries == ("x_next", "y_next")

    net = Network("n", dt=DT, integrator="exact")
    net.population("p", OSCILLATOR(k=k, g=g, th=0.75, initial={"x": 0.5, "y": -0.25}), 1, bias=0.125)
    rec = compile_network(net, "reference").run({}, steps=steps, record=["spikes", "p.x", "p.y"])

    whole = scipy.linalg.expm(DT * np.array([[0, k, 0], [-k, -g, 1000], [0, 0, 0]]))
    z, spikes, trace = np.array([0.5, -0.25, 0.125]), [], []
    for t in range(steps):
        z = whole @ z
        if z[0] > 0.75:
            spikes.append(t)
            z[1] = 0.0
        trace.append(z[:2].copy())
    assert len(spikes) > 3
    assert rec["p"].times.tolist() == spikes
    assert rec["p.x"].ravel() == pytest.approx(np.array(trace)[:, 0], rel=1e-11, abs=1e-13)
    assert rec["p.y"].ravel() == pytest.approx(np.array(trace)[:, 1], rel=1e-11, abs=1e-13)


def test_a_chain_of_three_states_is_exact_without_temporaries():
    model = NeuronModel("M", {"tau": "s"}, equations="dx/dt = (a - x) / tau\ndy/dt = (x - y) / tau\ndz/dt = (y - z) / tau")
    assert scheme(model, "exact", None).form.temporaries == ()
    net = Network("n", dt=DT, integrator="exact")
    net.population("p", model(tau=5e-3, initial={"x": 1.0}), 1, bias=0.5)
    rec = compile_network(net, "reference").run({}, steps=20, record=["p.x", "p.y", "p.z"])
    c = 1 / 5e-3
    whole = scipy.linalg.expm(DT * np.array([[-c, 0, 0, c], [c, -c, 0, 0], [0, c, -c, 0], [0, 0, 0, 0]]))
    z = np.array([1.0, 0, 0, 0.5])
    for t in range(20):
        z = whole @ z
        assert [rec[f"p.{s}"][t, 0] for s in "xyz"] == pytest.approx(z[:3], rel=1e-12)


# ------------------------------------------------------------------------------------------------------------ f-I curve


@pytest.mark.parametrize("integrator", ["exponential", "exact"])
@pytest.mark.parametrize("current", [1.01, 1.1, 1.5, 2.0, 5.0, 20.0])
@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_lif_spike_times_follow_the_closed_form(integrator, current, target):
    """From 0 the voltage after n steps is I (1 - exp(-n dt / tau)); it passes 1 first at n = floor(tau/dt ln(I/(I-1))) + 1."""
    tau, steps = 10e-3, 300
    net = Network("n", dt=DT, integrator=integrator)
    net.population("p", LIF(tau=tau), 1, bias=current)
    period = math.floor(tau / DT * math.log(current / (current - 1))) + 1
    rec = compile_network(net, target).run({}, steps=steps)
    assert rec["p"].times.tolist() == list(range(period - 1, steps, period))


# ------------------------------------------------------------------------------------------------------------- refusals


def test_euler_refuses_a_step_longer_than_a_time_constant():
    net = Network("n", dt=5e-3, integrator="euler")
    net.population("slow", LIF(tau=1e-2), 2)
    net.population("fast", LIF(tau=np.array([1e-2, 2e-3])), 2)
    with pytest.raises(CompileError) as caught:
        Discretise()(net)
    for part in ("fast", "LIF", "0.005 s", "-1.5", "exponential"):
        assert part in str(caught.value)


def test_euler_accepts_a_step_of_exactly_one_time_constant():
    assert numbers(LIF(tau=1e-3), integrator="euler")["v_decay"] == 0.0


QUADRATIC = NeuronModel(
    "Quadratic",
    parameters={"k": "1/s", "th": ""},
    equations="dv/dt = k * v * v + a",
    spike="v > th",
    resets={"value": "v = 0.1"},
)


@pytest.mark.parametrize("integrator", ["exponential", "exact"])
def test_nonlinear_models_are_for_euler_only(integrator):
    with pytest.raises(EquationError) as caught:
        program(QUADRATIC(k=50.0, th=1.0), integrator=integrator)
    assert "Quadratic" in str(caught.value)
    assert "dv/dt" in str(caught.value)
    cures = str(caught.value).rpartition("use ")[2]
    assert "euler" in cures
    assert "exponential" not in cures  # it refuses this model too


def test_a_nonlinear_model_by_euler_is_the_written_equation():
    net = Network("n", dt=DT, integrator="euler")
    net.population("p", QUADRATIC(k=50.0, th=1.0, initial={"v": 0.1}), 1, bias=8.0)
    rec = compile_network(net, "reference").run({}, steps=80, record=["spikes", "p.v"])
    v, spikes, trace = 0.1, [], []
    for t in range(80):
        v = v + DT * (50.0 * v * v + 8.0)
        if v > 1.0:
            spikes.append(t)
            v = 0.1
        trace.append(v)
    assert spikes
    assert rec["p"].times.tolist() == spikes
    assert rec["p.v"].ravel() == pytest.approx(trace, rel=1e-13)


@pytest.mark.parametrize("name", ["v_decay", "v_a", "v_bias"])
@pytest.mark.parametrize("integrator", ["euler", "exponential", "exact"])
def test_a_parameter_named_as_a_coefficient_is_refused(name, integrator):
    """Otherwise the coefficient would silently take the place of the parameter's value."""
    equations, resets = "dv/dt = (a - v + 0.1) / tau", {"value": "v = 0"}
    model = NeuronModel("M", {"tau": "s", name: ""}, equations=equations, spike=f"v > {name}", resets=resets)
    with pytest.raises(EquationError, match=f"'{name}'"):
        program(model(tau=1e-2, **{name: 7.0}), integrator=integrator)


@pytest.mark.parametrize("name", ["bias", "decay", "next"])
@pytest.mark.parametrize("integrator", ["euler", "exponential", "exact"])
def test_a_state_whose_name_makes_coefficients_ambiguous_is_refused(name, integrator):
    """dv/dt = (x - v) / tau + 1 and dx/dt = -x / tau, whatever x is called."""

    def run(x):
        model = NeuronModel("M", {"tau": "s"}, equations=f"dv/dt = ({x} - v) / tau + 1\nd{x}/dt = -{x} / tau")
        net = Network("n", dt=DT, integrator=integrator)
        net.population("p", model(tau=1e-2, initial={x: 2.0}), 1)
        return compile_network(net, "reference").run({}, steps=10, record=["p.v"])["p.v"].ravel().tolist()

    if name == "next" and integrator != "exact":
        assert run(name) == run("x")
        return
    with pytest.raises(EquationError, match=f"'{name}'"):
        run(name)


# ------------------------------------------------------------------------------------------------------- affine, numerics


def _affine(text):
    parts = affine(parse_expression(text), {"v", "i", "a"})
    return None if parts is None else {key: to_text(value) for key, value in parts.items()}


def test_affine_parts():
    assert _affine("(v_leak - v + r * a) / tau") == {"": "v_leak / tau", "v": "-1 / tau", "a": "r / tau"}
    assert _affine("-(v - i) * 2") == {"v": "-1 * 2", "i": "2"}
    assert _affine("3 + k") == {"": "3 + k"}
    assert _affine("0") == {}
    assert _affine("a + a") == {"a": "1 + 1"}


@pytest.mark.parametrize("text", ["v * v", "v * i", "1 / v", "abs(v)", "where(v > 1, v, 0)", "v / i", "sqrt(a)", "v > 1"])
def test_not_affine(text):
    assert _affine(text) is None


def test_coefficients_are_correctly_rounded():
    assert numerics.exp([0.0, -0.1, -745.0]).tolist() == [1.0, 0.9048374180359595, 4.9406564584124654e-324]
    growth = numerics.relative_growth(np.array([0.0, -100.0, -1e-12]), 1e-3)
    assert growth.tolist() == [1e-3, pytest.approx(0.0009516258196404043, rel=1e-15), pytest.approx(1e-3, rel=1e-14)]

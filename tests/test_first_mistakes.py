"""What goes wrong on a first day: every mistake is named, none is silent, none costs a finished run."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import scipy.sparse as sp

import neurocomp as nc
from neurocomp.ir.errors import PrecisionWarning
from neurocomp.ir.expressions import parse_expression, parse_statements


def pair():
    net = nc.Network("pair", dt=1e-3)
    net.input("x", 3)
    net.population("y", nc.LIF(tau=10e-3), 3)
    net.connect("x", "y", nc.OneToOne(12.0))
    return net


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda net: net.connect("x", "y", nc.Dense), ["nc.Dense(weights)", "Dense"]),
        (lambda net: net.connect("x", "y", "Dense"), ["connectivity"]),
        (lambda net: net.connect(None, "y", nc.OneToOne()), ["None"]),
        (lambda net: net.population("z", "LIF", 3), ["population 'z'", "nc.LIF(tau=10e-3)", "'LIF'"]),
        (lambda net: net.population("z", nc.LIF, 3), ["population 'z'", "LIF(...)"]),
        (lambda net: net.input(5, 3), ["name is text", "5"]),
        (lambda net: net.input("z", 3, max_payload="16"), ["input 'z'", "max_payload", "'16'"]),
        (lambda net: net.input("z", 3, max_payload=2.5), ["max_payload", "2.5"]),
        (lambda net: net.connect(pair().node("x"), "y", nc.OneToOne()), ["'x'", "another network"]),
    ],
)
def test_building(build, words):
    with pytest.raises(nc.errors.ModelError) as caught:
        build(pair())
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nc.compile("model.neurocomp"), nc.errors.CompileError, ["Network", "str", "nc.load"]),
        (lambda: nc.compile(pair()).run(np.zeros((3, 3))), nc.errors.InputError, ["by name", "ndarray"]),
        (lambda: nc.compile(pair()).run({}, "ten"), nc.errors.InputError, ["steps", "'ten'"]),
        (lambda: nc.compile(pair()).run({}, float("nan")), nc.errors.InputError, ["steps", "nan"]),
        (lambda: nc.compile(pair()).run_batch({"x": np.zeros((3, 3))}, 4), nc.errors.InputError, ["list of samples"]),
        (lambda: nc.compile(pair()).run_batch([np.zeros((3, 3))], 4), nc.errors.InputError, ["by name"]),
        (lambda: nc.compile(pair()).step({"x": np.array([True, False, True])}), nc.errors.InputError, ["mask", "flatnonzero"]),
        (lambda: nc.compile(pair()).run({"x": ([0, 0], [True, False])}, 3), nc.errors.InputError, ["mask"]),
        (lambda: nc.compile(pair()).run({"x": nc.compile(pair()).run({}, 2)["y"], "y": 1}, 2), nc.errors.InputError, ["'y'"]),
    ],
)
def test_running(call, error, words):
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_a_tuple_of_ids_is_ids_on_a_plain_input():
    program = nc.compile(pair(), "cpu")
    assert program.step({"x": (0, 1)})["y"].tolist() == program.run({"x": ([0, 0], [0, 1])}, 1)["y"].ids.tolist()


def test_events_of_another_shape_are_refused():
    net = nc.Network("wide", dt=1e-3)
    net.input("x", 100)
    wide = nc.compile(net.with_changes(), "reference").run({"x": ([0], [1])}, 2)["x"]
    with pytest.raises(nc.errors.InputError, match=r"shape \(3,\).*shape of \(100,\)"):
        nc.compile(pair(), "reference").run({"x": wide}, 2)


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_a_compiled_network_is_not_compiled_again(target):
    program = nc.compile(pair(), target)
    with pytest.raises(nc.errors.CompileError, match="y: is already compiled"):
        nc.compile(program.lowered, target)


def test_a_refused_run_leaves_the_state_alone():
    program = nc.compile(pair(), "cpu")
    program.step({"x": [0]})
    with pytest.raises(nc.errors.InputError):
        program.run({"bad": []}, 3)
    one, two = nc.compile(pair(), "cpu"), program
    one.step({"x": [0]})
    assert one.run({}, 1, ["y.v"], resume=True)["y.v"].tolist() == two.run({}, 1, ["y.v"], resume=True)["y.v"].tolist()


def test_weights_that_vanish_are_told():
    net = pair()
    net.connect("x", "y", nc.OneToOne(1e9))
    with pytest.warns(PrecisionWarning, match=r"'x->y': 3 of 3 non-zero weights became 0.*mantissa_bits"):
        program = nc.compile(net, "reference")
    assert "3 of 3 non-zero weights" in program.explain()
    chip = nc.Network("chip", dt=1e-3)
    chip.input("x", 3)
    chip.population("y", nc.LoihiLIF(du=1, dv=1, vth=1), 3)
    chip.connect("x", "y", nc.OneToOne(0.9))
    with pytest.warns(PrecisionWarning, match="integers in -256..255"):
        nc.compile(chip, "reference")


def test_a_loihi_synapse_on_float_neurons_is_refused():
    net = pair()
    net.connect("x", "y", nc.OneToOne(1.0), loihi=nc.LoihiSynapse())
    with pytest.raises(nc.errors.CompileError, match=r"LoihiSynapse.*'y' is float"):
        nc.compile(net, "reference")


@pytest.mark.parametrize("target", ["reference"])
@pytest.mark.parametrize(
    "definition",
    [
        {"step": "g = g * k + 1.0\nv = v * k + a * g"},
        {"step": "gate = where(v > 0.5, 0.5, 1.0)\nv = v * k + a * gate"},
        {"before": "push = where(v > 0.5, 0.1, 0.0)", "equations": "dv/dt = (push - v + a) / k"},
    ],
)
@pytest.mark.parametrize("integrator", ["euler", "exponential", "exact", "decay"])
def test_gated_models_compile(target, definition, integrator):
    model = nc.NeuronModel("Gated", parameters={"k": ""}, spike="v > 1.0", resets={"value": "v = 0.0"}, **definition)
    net = nc.Network("gated", dt=1e-3)
    net.input("x", 2)
    net.population("y", model(k=0.5, integrator=integrator), 2)
    net.connect("x", "y", nc.OneToOne(0.7))
    assert np.isfinite(nc.compile(net, target).run({"x": np.ones((9, 2))}, record=["y.v"])["y.v"]).all()


def test_what_is_held_during_the_step_enters_the_equations():
    """dv/dt = (t - v) / tau with t = 1 throughout approaches 1 as 1 - exp(-n dt / tau), by every integrator that is exact."""
    model = nc.NeuronModel(
        "Held", parameters={"tau": "s"}, before="push = where(v > 2.0, 0.0, 1.0)", equations="dv/dt = (push - v + a) / tau"
    )
    for integrator in ("exponential", "exact"):
        net = nc.Network("held", dt=1e-3, integrator=integrator)
        net.population("y", model(tau=5e-3), 1)
        v = nc.compile(net, "reference").run({}, 10, ["y.v"])["y.v"][:, 0]
        np.testing.assert_allclose(v, 1 - np.exp(-np.arange(1, 11) / 5), rtol=1e-14)


def test_names_that_recordings_cannot_tell_apart():
    net = pair()
    net.population("y.v", nc.LIF(tau=1e-2), 2)
    with pytest.raises(nc.errors.VerificationError, match=r"y.v: .*state v of 'y'"):
        nc.verify(net)
    other = nc.Network("other", dt=1e-3)
    other.input("spikes", 2)
    with pytest.raises(nc.errors.VerificationError, match="spikes: "):
        nc.verify(other)


def test_a_network_keeps_its_own_numbers():
    tau, bias = np.full(3, 0.01), [1.0, 2.0, 3.0]
    net = nc.Network("own", dt=1e-3)
    net.population("y", nc.LIF(tau=tau, initial={"v": tau}), 3, bias=bias)
    before = str(net)
    tau[:], bias[0] = 5.0, 9.0
    assert str(net) == before
    twin = copy.copy(net)
    twin.input("x", 2)
    assert "x" not in net.graph
    assert nc.compile(copy.deepcopy(net), "reference").run({}, 2).steps == 2


def test_matrices_are_taken_as_they_are():
    net = pair()
    assert isinstance(net.connect("x", "y", np.eye(3)).connectivity, nc.Dense)
    assert isinstance(net.connect("x", "y", sp.csr_array(np.eye(3))).connectivity, nc.Sparse)
    weights = sp.csr_array(np.array([[0.0, 1, 0], [2, 0, 3], [0, 0, 4]]))
    delays = np.arange(9).reshape(3, 3)
    listed = net.connect("x", "y", nc.Sparse(weights), delay=delays)
    for pre, post, delay in zip(listed.connectivity.pre, listed.connectivity.post, listed.delay, strict=True):
        assert delay == delays[post, pre]


def test_constants_that_come_out_wrong_are_named():
    model = nc.NeuronModel("Bad", parameters={"tau": "s"}, equations="dv/dt = a / tau")
    net = nc.Network("bad", dt=1e-3)
    net.population("y", model(tau=0.0), 1)
    with pytest.raises(nc.errors.CompileError, match=r"y: Bad's constant v_a comes out as"):
        nc.compile(net, "reference")


@pytest.mark.parametrize("call", ['run({"x": raster})', 'run_batch([{"x": raster}] * 5, 30)'])
@pytest.mark.parametrize("threads", [1, 2])
def test_interruptions_at_any_moment_leave_a_program_that_works(threads, call):
    code = f"""
        import random, signal, threading
        import numpy as np, neurocomp as nc
        signal.signal(signal.SIGALRM, signal.default_int_handler)  # as Ctrl-C, from a timer that needs no thread
        net = nc.Network("n", dt=1e-3)
        net.input("x", 50)
        net.population("y", nc.LIF(tau=1e-2), 200)
        net.connect("x", "y", nc.Dense(np.random.default_rng(0).normal(1, 2, (200, 50))), delay=1)
        net.connect("y", "y", nc.Dense(np.random.default_rng(1).normal(0, 1, (200, 200))), delay=2)
        program = nc.compile(net, "cpu", threads={threads})
        raster = np.random.default_rng(2).random((30, 50)) < 0.3
        expected = program.run({{"x": raster}})["y"]
        random.seed(1)
        for trial in range(60):
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 0.02))
                while True:
                    program.{call}
            except KeyboardInterrupt:
                pass
        assert threading.active_count() == 1, threading.enumerate()
        assert program.run({{"x": raster}})["y"].same_as(expected)
        print("fine")
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    unmeasured = {x: y for x, y in os.environ.items() if x != "COVERAGE_PROCESS_CONFIG"}  # or it hangs, interrupted itself
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=unmeasured)
    assert done.stdout.strip() == "fine", (done.returncode, done.stderr[-2000:])
    assert done.returncode != -signal.SIGSEGV


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: nc.Dense(np.array([[1j]])), ["complex"]),
        (lambda: nc.Sparse(([1.0], ([0.9], [0])), (2, 2)), ["0.9", "whole"]),
        (lambda: nc.Network("n", dt=1e-3).input("x", True), ["shape", "True"]),
    ],
)
def test_numbers_are_not_cut_to_fit(build, words):
    with pytest.raises(nc.errors.ModelError) as caught:
        build()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--out", "no/such/folder/a.npz"], "no/such/folder"),
        (["--raster", "a.foo"], ".png"),
        (["--seed", "9" * 30], "--seed"),
        (["--steps", "9" * 15], "--steps"),
    ],
)
def test_commands_refuse_before_they_run(arguments, word, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from neurocomp.cli import main

    monkeypatch.chdir(tmp_path)
    nc.save(pair(), "pair.neurocomp")
    base = ["run", "pair.neurocomp", "--random", "0.1"]
    steps = [] if "--steps" in arguments else ["--steps", "5"]
    result = CliRunner().invoke(main, [*base, *steps, *arguments])
    assert result.exit_code == 2
    assert word in result.output
    assert " on cpu: " not in result.output


def test_an_input_that_one_wrap_cannot_bring_back_is_refused():
    """64 x 128 x 255 x 16 > 2^24: the current would leave 24 bits for good, and Lava's integers overflow after 130 steps."""
    net = nc.Network("flood", dt=1e-3)
    net.input("x", 128)
    net.population("h", nc.LoihiLIF(du=0, dv=100, vth=100), 1)
    net.connect("x", "h", nc.Dense(np.full((1, 128), 255.0)), loihi=nc.LoihiSynapse(weight_exp=4))
    with pytest.raises(nc.errors.CompileError, match=r"h: inputs can sum to 522240 in a step, beyond the 262143"):
        nc.compile(net, "reference")


def test_a_current_that_can_wrap_is_refused_until_it_is_accepted():
    net = nc.Network("wrap", dt=1e-3)
    net.input("x", 4)
    net.population("calm", nc.LoihiLIF(du=4095, dv=100, vth=100), 1)
    net.population("loud", nc.LoihiLIF(du=0, dv=100, vth=100), 1)
    for name in ("calm", "loud"):
        net.connect("x", name, nc.Dense(np.full((1, 4), 200.0)))
    with pytest.raises(nc.errors.CompileError, match=r"loud: the current u of neuron 0 can reach 209715200 .*accept_wrap=True"):
        nc.compile(net, "reference")
    text = nc.compile(net, "reference", accept_wrap=True).explain()
    assert "[loihi] calm: range of u -> within 24 bits (proven" in text
    assert "[loihi] loud: range of u -> not proven (worst case: neuron 0 can reach 209715200" in text


def neuron(**changes):
    given = {
        "parameters": {"tau": "s"},
        "equations": "dv/dt = (a - v) / tau",
        "spike": "v > 1.0",
        "resets": {"value": "v = 0.0"},
    }
    return nc.NeuronModel("Mine", **{**given, **changes})


def rule(**changes):
    given = {"parameters": {"tau": "s", "up": "w"}, "pre": {"x": nc.Trace("tau")}, "on_post": "w = w + up * x"}
    return nc.PlasticityRule("Mine", **{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parameters": ["tau"]}, ["parameters", "{'tau': 's'}", "['tau']"]),
        ({"parameters": {"tau": 0.01}}, ["parameters['tau']", "'s'", "defaults=", "0.01"]),
        ({"parameters": {"tau": "s", "lambda": ""}}, ["'lambda'", "keyword", "rename", "'lambda_'"]),
        ({"resets": "v = 0.0"}, ["resets", "{'value': 'v = 0.0'}"]),
        ({"resets": {"value": 0.0}}, ["resets['value']", "text", "0.0"]),
        ({"defaults": [0.01]}, ["defaults", "{'tau': 10e-3}"]),
        ({"initial": 3}, ["initial", "mapping", "got 3"]),
        ({"initial": {"v": np.zeros(3)}}, ["initial['v']", "text or a number", "where the model is used"]),
        ({"initial": {"v": True}}, ["initial['v']", "True"]),
        ({"spike": True}, ["spike", "'v > v_threshold'", "True"]),
        ({"equations": None, "step": "v = a"}, ["equations is text", "None"]),
        ({"equations": "", "step": ["v = a"]}, ["step is text", "['v = a']"]),
        ({"before": 1}, ["before is text", "got 1"]),
        ({"after": 1}, ["after is text", "got 1"]),
        ({"payload": 2}, ["payload is text", "got 2"]),
        ({"receptors": "exc"}, ["receptors", "('exc',)"]),
        ({"refractory": "v"}, ["refractory", "('v',)"]),
        ({"constraints": "tau > 0"}, ["constraints", "('tau > 0',)"]),
        ({"equations": "dv/dt = (a - v) / tau : volt"}, ["units are not written here", "leave ': volt' out"]),
        ({"equations": "dv/dt = (a - v) / tau\nI : amp"}, ["units are not written here", "parameters={'I': unit}"]),
        ({"equations": "dv/dt = (a - v + xi) / tau"}, ["'xi'", "randn() / sqrt(dt)"]),
        ({"equations": "dv/dt = (a - v + sin(2 * pi * t / tau)) / tau"}, ["'pi'", "3.141592653589793"]),
    ],
)
def test_neuron_models(changes, words):
    with pytest.raises(nc.errors.EquationError) as caught:
        neuron(**changes)
    assert str(caught.value).startswith("model Mine")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nc.LIF(tau=0.01, initial=3), ["LIF: initial is a mapping", "{'v': 3}"]),
        (lambda: nc.LIF(tau=0.01, initial=np.zeros(3)), ["LIF: initial is a mapping"]),
        (lambda: nc.LIF(tau=0.01, reset={"v": 0}), ["LIF has no reset {'v': 0}", "'value'"]),
    ],
)
def test_neuron_values(call, words):
    with pytest.raises(nc.errors.ModelError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("given", [-0.065, np.float32(-0.065), "-65*mV"])
def test_numbers_in_initial_are_in_si_units(given):
    parameters, equations = {"tau": "s", "v_leak": "V", "r": "ohm"}, "dv/dt = (v_leak - v + r * a) / tau"
    model = nc.NeuronModel("Cell", parameters=parameters, equations=equations, initial={"v": given})
    assert model.units["v"] == "V"
    net = nc.Network("cell", dt=1e-3)
    net.population("y", model(tau=10e-3, v_leak=float(given) if not isinstance(given, str) else -0.065, r=1.0), 1)
    assert nc.compile(net, "reference").run({}, 1, ["y.v"])["y.v"][0, 0] == pytest.approx(-0.065, rel=1e-7)


def test_numbers_in_initial_of_plain_models():
    assert neuron(initial={"v": 2}).initial == {"v": "2"}
    assert nc.NeuronModel("P", parameters={"k": ""}, step="v = v * k + a", initial={"v": -1e-30}).initial == {"v": "-1e-30"}
    with pytest.raises(nc.errors.EquationError, match="'q' is not a state"):
        neuron(initial={"q": 2.0})
    with pytest.raises(nc.errors.EquationError, match="unknown name 'q'"):
        neuron(equations="dv/dt = (a - v + q) / tau", initial={"v": 2.0})


def test_numbers_in_initial_of_any_unit():
    changes = {"parameters": {"tau": "s", "k": "V/s"}, "spike": None, "resets": {}}
    model = neuron(
        **changes, equations="dv/dt = k - v / tau\ndrate/dt = k / tau - rate / tau", initial={"rate": 3, "v": "2*mV"}
    )
    assert model.units["rate"] == "V/s"
    assert model.initial == {"rate": "3*V/s", "v": "2*mV"}
    with pytest.raises(nc.errors.EquationError, match="initial V: cannot start V, which is V"):
        neuron(**changes, equations="dV/dt = k - V / tau", initial={"V": -65e-3})  # its unit's name is taken


@pytest.mark.parametrize(
    "build",
    [
        lambda x: nc.Dense(x),
        lambda x: nc.Dense(np.eye(2), bias=x),
        lambda x: nc.OneToOne(x),
        lambda x: nc.OneToOne(x, 3),
        lambda x: nc.Sparse((x, ([0], [0])), (1, 1)),
        lambda x: nc.Sparse(np.eye(2), bias=x),
        lambda x: nc.OneToOne(1.0, 3, bias=x),
    ],
)
@pytest.mark.parametrize(("values", "draw"), [(nc.Uniform(0, 1), "uniform"), (nc.Normal(1, 0.1), "normal")])
def test_distributions_are_no_weights(build, values, draw):
    with pytest.raises(nc.errors.ModelError, match=rf"nc.{draw.title()} .*weights are arrays.*default_rng\(0\)\.{draw}\("):
        build(values)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rule(pre={"x": "tau"}), ["pre['x']", "Trace('tau')"]),
        (lambda: rule(post={"y": 20e-3}), ["post['y']", "Trace('tau')", "0.02"]),
        (lambda: rule(pre=nc.Trace("tau")), ["pre is a mapping", "{'x': Trace('tau')}"]),
        (lambda: rule(parameters=["tau"]), ["parameters is a mapping", "{'tau': 's'}"]),
        (lambda: rule(synapse={"c": nc.Trace("tau")}), ["synapse['c']", "name of the parameter"]),
        (lambda: rule(on_post=None), ["on_post is text", "None"]),
        (lambda: rule(parameters={"tau": "s", "up": "w", "lambda": ""}), ["'lambda'", "keyword"]),
        (lambda: rule(on_post="w = w + pi"), ["'pi'", "3.14159"]),
        (lambda: rule()(tau=0.02, up=0.1), ["Mine needs w_min, w_max"]),
        (lambda: rule()(tau=0.02, w_min=0), ["Mine needs up, w_max"]),
        (lambda: rule()(taus=0.02, up=0.1, w_min=0, w_max=1), ["'taus'", "did you mean tau?", "w_max"]),
        (lambda: nc.STDP(A_plus=0.1), ["STDP has no parameter 'A_plus'", "did you mean a_plus?", "pairing"]),
        (lambda: nc.TripletSTDP(a_plus=0.1), ["TripletSTDP has no parameter 'a_plus'", "a2_plus"]),
        (lambda: nc.RewardSTDP("r", wmax=0.1), ["RewardSTDP has no parameter 'wmax'", "did you mean w_max?"]),
    ],
)
def test_learning_rules(call, words):
    with pytest.raises((nc.errors.ModelError, nc.errors.EquationError)) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words", "arithmetic", "at"),
    [
        ("v ^ 2", ["'^'", "write **"], "float", "^ 2"),
        ("v ^ 2", ["'^'", "write a product"], "loihi", "^ 2"),
        ("(v > 1) & (w > 2)", ["'&'", "write and"], "float", "& (w"),
        ("a < v + 1 < b", ["write a < v + 1 and v + 1 < b"], "float", "a < v"),
        ("a <= v < b > c", ["write a <= v and v < b and b > c"], "float", "a <="),
        ("1 + (x * 2 if c > 0 else y)", ["write where(c > 0, x * 2, y)"], "float", "x * 2"),
        ("heaviside(v)", ["'heaviside'", "where(condition, 1.0, 0.0)", "sqrt"], "float", "heaviside"),
        ("2 * int(v > 1)", ["'int'", "where(condition, 1.0, 0.0)"], "float", "int"),
        ("np.exp(v)", ["no prefix", "exp(...)"], "float", "np"),
    ],
)
def test_expressions(text, words, arithmetic, at):
    with pytest.raises(nc.errors.EquationError) as caught:
        parse_expression(text, arithmetic)
    for word in words:
        assert word in str(caught.value)
    assert text[caught.value.column :].startswith(at)


def test_functions_that_are_listed_exist():
    for arithmetic, absent in (("float", "decay12"), ("loihi", "tanh")):
        with pytest.raises(nc.errors.EquationError) as caught:
            parse_expression("gamma(v)", arithmetic)
        assert "where" in str(caught.value)
        assert absent not in str(caught.value)


@pytest.mark.parametrize("sign", ["+", "-", "*", "/"])
def test_augmented_assignments(sign):
    (short,), (long,) = parse_statements(f"v {sign}= a + b"), parse_statements(f"v = v {sign} (a + b)")
    assert short == long
    assert short.source[short.column :] == "a + b"
    with pytest.raises(nc.errors.EquationError) as caught:
        parse_statements(f"u = 1; v {sign}= a + gamma(b)")
    assert caught.value.source[caught.value.column :] == "gamma(b)"
    with pytest.raises(nc.errors.EquationError, match="unknown name 'q'") as caught:
        neuron(resets={"value": f"v{sign}=q"})
    assert caught.value.column == 3


def test_augmented_assignments_run_and_have_units():
    changes = {"parameters": {"tau": "s", "v_leak": "V"}, "equations": "dv/dt = (v_leak - v + a) / tau", "spike": "v > 1*mV"}
    neuron(**changes, resets={"value": "v -= 1*mV"})
    with pytest.raises(nc.errors.EquationError, match="cannot subtract") as caught:
        neuron(**changes, resets={"value": "v -= tau"})
    assert caught.value.source[caught.value.column :] == "-= tau"
    with pytest.raises(nc.errors.EquationError, match="'/' does not exist in loihi"):
        parse_statements("v /= 2", "loihi")
    results = []
    for reset in ("v -= 0.5; v *= 2.0", "v = v - 0.5; v = v * 2.0"):
        net = nc.Network("short", dt=1e-3)
        net.population("y", neuron(resets={"value": reset})(tau=10e-3), 2, bias=[3.0, 5.0])
        results.append(nc.compile(net, "reference").run({}, 30, ["y.v"])["y.v"])
    assert (results[0] == results[1]).all()


@pytest.mark.parametrize("call", ["run(steps=200)", "run_batch([{}], 200)"])
def test_warnings_of_a_run_show_the_users_line(call):
    net = nc.Network("n", dt=1e-3)
    net.population("p", nc.Izhikevich(**nc.IZHIKEVICH["regular spiking"], initial={"v": -1e300}), 2)
    program = nc.compile(net, "cpu")
    with pytest.warns(nc.errors.NotANumberWarning) as caught:
        eval(compile(f"program.{call}", "users.py", "eval"), {"__name__": "users", "program": program})
    assert caught[0].filename == "users.py"

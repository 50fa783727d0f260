"""What goes wrong on a first day: every mistake is named, none is silent, none costs a finished run."""

from __future__ import annotations

import copy
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import scipy.sparse as sp

import neurocomp as nc
from neurocomp.ir.errors import PrecisionWarning


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


@pytest.mark.parametrize("threads", [1, 2])
def test_interruptions_at_any_moment_leave_a_program_that_works(threads):
    code = f"""
        import os, random, signal, threading, time
        import numpy as np, neurocomp as nc
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
            timer = threading.Timer(random.uniform(0, 0.02), os.kill, (os.getpid(), signal.SIGINT))
            try:
                timer.start()
                while True:
                    program.run({{"x": raster}})
            except KeyboardInterrupt:
                pass
            timer.join()
        assert threading.active_count() == 1, threading.enumerate()
        assert program.run({{"x": raster}})["y"].same_as(expected)
        print("fine")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
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

"""The front door: compile, run, batch, step, resume, explain, and what each refuses."""

from __future__ import annotations

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.conform import compare
from neurocomp.conformance import CASES

RESUMING = ["reference", "cpu"]


def small(**options):
    net = nc.Network("small", dt=1e-3)
    net.input("x", 4)
    net.input("g", 2, max_payload=9)
    net.population("h", nc.CubaLIF(tau_syn=5e-3, tau_mem=20e-3), 6)
    net.population("y", nc.LIF(tau=10e-3, reset="subtract"), (2, 3))
    rng = np.random.default_rng(3)
    net.connect("x", "h", nc.Dense(rng.normal(60, 40, (6, 4))))
    net.connect("g", "h", nc.Dense(rng.normal(5, 10, (6, 2))), delay=2)
    net.connect("h", "h", nc.Sparse(rng.normal(0, 20, (6, 6))), delay=rng.integers(1, 5, 36))
    net.connect("h", "y", nc.OneToOne(15.0), delay=0)
    return net


def some_input(steps, seed=0):
    rng = np.random.default_rng(seed)
    return {"x": rng.random((steps, 4)) < 0.3, "g": rng.integers(-9, 10, (steps, 2)) * (rng.random((steps, 2)) < 0.4)}


RECORD = ["spikes", "h.v", "h.i", "y.v"]


@pytest.mark.parametrize("target", RESUMING)
@pytest.mark.parametrize("pieces", [(1, 39), (7, 13, 20), (1,) * 40])
def test_a_run_in_pieces_equals_the_whole(target, pieces):
    program = nc.compile(small(), target)
    inputs = some_input(40)
    whole = program.run(inputs, 40, RECORD)
    program.reset()
    start, parts = 0, []
    for length in pieces:
        part = {name: raster[start : start + length] for name, raster in inputs.items()}
        parts.append(program.run(part, length, RECORD, resume=True))
        start += length
    for name in whole.states:
        assert np.concatenate([part[name] for part in parts]).tobytes() == whole[name].tobytes()
    for name in whole.spikes:
        assert np.array_equal(np.concatenate([part[name].raster() for part in parts]), whole[name].raster())
    for what in ("spikes", "updates", "events"):
        counts = getattr(whole.counters, what)
        assert {k: sum(getattr(part.counters, what)[k] for part in parts) for k in counts} == counts


@pytest.mark.parametrize("name", ["long-cycle", "skip-layer", "bias-CubaLIF", "no-input", "loihi-layers", "shape-1100"])
@pytest.mark.parametrize("threads", [1, 2])
def test_pieces_of_suite_cases(name, threads, reference):
    case = CASES[name]
    program = nc.compile(case.network, "cpu", threads=threads, **case.options)
    first = {key: raster[:11] for key, raster in case.inputs.items()}
    rest = {key: raster[11:] for key, raster in case.inputs.items()}
    parts = [program.run(first, 11, case.record), program.run(rest, case.steps - 11, case.record, resume=True)]
    whole = reference(case)
    for key in whole.states:
        assert np.concatenate([part[key] for part in parts]).tobytes() == whole[key].tobytes()


@pytest.mark.parametrize("target", RESUMING)
def test_step_by_step(target):
    program = nc.compile(small(), target)
    inputs = some_input(20)
    whole = program.run(inputs, 20)
    program.reset()
    for t in range(20):
        payloads = np.flatnonzero(inputs["g"][t])
        fired = program.step({"x": np.flatnonzero(inputs["x"][t]), "g": (payloads, inputs["g"][t][payloads])})
        for name in ("h", "y"):
            assert fired[name].tolist() == whole[name].ids[whole[name].times == t].tolist()
    assert program.step() is not None


@pytest.mark.parametrize("target", RESUMING)
def test_run_starts_from_the_initial_state(target):
    program = nc.compile(small(), target)
    first, second = (program.run(some_input(30), 30, RECORD) for _ in range(2))
    assert compare(first, second) == []


@pytest.mark.parametrize("target", RESUMING)
def test_batch_equals_single_runs(target):
    program = nc.compile(small(), target)
    samples = [some_input(25, seed) for seed in range(4)]
    for sample, result in zip(samples, program.run_batch(samples, 25, RECORD), strict=True):
        assert compare(program.run(sample, 25, RECORD), result) == []


def test_input_forms_agree():
    program = nc.compile(small(), "cpu")
    raster = some_input(30)
    expected = program.run(raster, 30)
    times, ids = np.nonzero(raster["x"])
    g_times, g_ids = np.nonzero(raster["g"])
    shuffled = np.random.default_rng(0).permutation(len(times))
    lists = {"x": (times[shuffled], ids[shuffled]), "g": (g_times, g_ids, raster["g"][g_times, g_ids])}
    assert compare(expected, program.run(lists, 30)) == []
    assert compare(expected, program.run({"x": expected["x"], "g": expected["g"]})) == []
    mapping = {"times": times, "ids": ids}
    assert compare(expected, program.run({**lists, "x": mapping}, 30)) == []


@pytest.mark.parametrize(
    ("inputs", "steps", "words"),
    [
        ({"z": np.zeros((3, 4))}, None, ["no input 'z'", "x, g"]),
        ({"x": np.zeros((3, 5))}, None, ["input 'x'", "(steps, 4)", "(3, 5)"]),
        ({"x": np.full((3, 4), 0.5)}, None, ["input 'x'", "whole numbers"]),
        ({"x": np.full((3, 4), 2)}, None, ["input 'x'", "payload 2", "max_payload=1"]),
        ({"g": np.full((3, 2), -10)}, None, ["input 'g'", "payload 10", "max_payload=10"]),
        ({"x": ([0, 1], [1])}, 3, ["input 'x'", "2 times but 1 ids"]),
        ({"x": ([0, 9], [1, 1])}, 3, ["input 'x'", "9", "steps=10"]),
        ({"x": ([0], [4])}, 3, ["input 'x'", "ids contains 4", "4 neurons"]),
        ({"x": ([-1], [0])}, 3, ["input 'x'", "times contains -1"]),
        ({"x": ([1, 1], [2, 2])}, 3, ["neuron 2", "twice at step 1"]),
        ({"x": ([0.5], [2])}, 3, ["input 'x'", "times must be whole numbers"]),
        ({"x": np.zeros((3, 4), "U1")}, None, ["input 'x'", "not a spike raster"]),
        ({"x": ([0], [1])}, None, ["steps is needed"]),
        ({"x": np.zeros((3, 4))}, 0, ["positive", "0"]),
        ({"x": np.zeros((5, 4))[:, :0]}, 2, ["input 'x'"]),
    ],
)
def test_bad_inputs_are_named(inputs, steps, words):
    with pytest.raises(nc.errors.InputError) as caught:
        nc.compile(small(), "reference").run(inputs, steps)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (["q"], ["cannot record 'q'", "x, g, h, y"]),
        (["h.w"], ["cannot record 'h.w'", "i, v"]),
        (["x.v"], ["cannot record 'x.v'", "no population 'x'"]),
    ],
)
def test_bad_recordings_are_named(record, words):
    with pytest.raises(nc.errors.InputError) as caught:
        nc.compile(small(), "reference").run({}, 3, record)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("target", RESUMING)
def test_recording_holds_what_was_asked(target):
    result = nc.compile(small(), target).run(some_input(10), 10, ["y", "h.i"])
    assert list(result.spikes) == ["y"]
    assert list(result.states) == ["h.i"]
    assert result["h.i"].shape == (10, 6)
    assert result["y"].raster().shape == (10, 2, 3)
    assert result["y"].counts().shape == (2, 3)
    with pytest.raises(KeyError, match=r"'h.v' was not recorded"):
        result["h.v"]
    assert nc.compile(small(), target).run(some_input(10), 10, "h").spikes.keys() == {"h"}


def test_recording_file_has_no_pickle(tmp_path):
    result = nc.compile(small(), "cpu").run(some_input(10), 10, RECORD)
    path = result.save(tmp_path / "run")
    with np.load(path, allow_pickle=False) as archive:
        assert np.array_equal(archive["spikes/h/times"], result["h"].times)
        assert archive["states/h.v"].tobytes() == result["h.v"].tobytes()
        assert archive["counters/events/x->h"] == result.counters.events["x->h"]


def test_arithmetic_is_checked():
    with pytest.raises(nc.errors.CompileError, match=r"quantise= is for arithmetic='loihi'"):
        nc.compile(small(), "reference", arithmetic="float", quantise="max")
    with pytest.raises(nc.errors.CompileError, match="'float', 'float32', 'loihi' or None, not 'double'"):
        nc.compile(small(), "reference", arithmetic="double")
    mixed = small()
    mixed.population("chip", nc.LoihiLIF(du=1, dv=1, vth=1), 2)
    with pytest.raises(nc.errors.CompileError, match=r"chip: LoihiLIF is loihi arithmetic"):
        nc.compile(mixed, "reference")


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("gpu", {}, ["'gpu'", "no such backend", "reference, cpu, lava"]),
        ("cpu", {"thread": 2}, ["no option 'thread'", "threads"]),
        ("cpu", {"threads": 0}, ["1 to 64", "0"]),
        ("reference", {"threads": 2}, ["no option 'threads'"]),
    ],
)
def test_unsupported_is_refused_before_lowering(target, options, words):
    with pytest.raises(nc.errors.UnsupportedError) as caught:
        nc.compile(small(), target, **options)
    for word in words:
        assert word in str(caught.value)


def test_explain_lists_every_pass():
    text = nc.compile(small(), "cpu").explain()
    for word in ("[discretise] h", "[fold] h: input gain", "[retime] y: lag 0 -> lag 2", "[grid] y", "spike: v > v_threshold"):
        assert word in text


def test_the_network_is_left_as_it_was():
    net = small()
    before = str(net)
    nc.compile(net, "cpu").run(some_input(5), 5)
    assert str(net) == before


def test_no_backend_is_imported_before_it_is_asked_for():
    import subprocess
    import sys

    code = "import sys, neurocomp; print([m for m in sys.modules if m.split('.')[0] in ('lava', 'sklearn', 'matplotlib')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_steps_are_those_of_the_longest_raster_of_all_samples():
    net = nc.Network("n", dt=1e-3)
    net.input("x", 2)
    net.population("h", nc.LIF(tau=1e-2, v_threshold=0.5), 2)
    net.connect("x", "h", nc.OneToOne(2.0))
    samples = [{"x": np.ones((steps, 2))} for steps in (3, 7, 5)]
    program = nc.compile(net, "cpu")
    assert [x.steps for x in program.run_batch(samples)] == [7, 7, 7]
    assert program.run_batch([]) == []
    assert nc.conform(net, samples, targets=["reference", "cpu"]).steps == 7
    with pytest.raises(nc.errors.InputError, match="steps is needed"):
        program.run_batch([{"x": ([0, 1], [0, 1])}])
    with pytest.raises(nc.errors.InputError, match="given by name"):
        nc.conform(net, [np.ones((3, 2))], targets=["reference", "cpu"])

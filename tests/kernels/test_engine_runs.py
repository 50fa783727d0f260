"""Long runs of the engine: interrupts, resumption, memory, and the same numbers for any number of threads."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.backends.cpu.executable import CpuExecutable

pytest.importorskip("neurocomp.kernels.engine")


def resident():
    """Resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def recurrent(size=400, seed=0):
    rng = np.random.default_rng(seed)
    net = nc.Network("n", dt=1e-3)
    net.input("x", size)
    net.population("p", nc.CubaLIF(tau_syn=3e-3, tau_mem=1e-2), size)
    net.population("q", nc.LIF(tau=1e-2), size)
    count = size * 20
    net.connect("x", "p", nc.OneToOne(30.0))
    for pre, post in (("p", "p"), ("p", "q"), ("q", "p")):
        ends = rng.integers(0, size, count), rng.integers(0, size, count)
        weights = nc.Sparse((rng.normal(0.5, 2, count), ends), (size, size))
        net.connect(pre, post, weights, delay=rng.integers(2, 9, count))
    return net, (rng.random((60, size)) < 0.1).astype(np.int64)


# -------------------------------------------------------------------------------------------------------------- interrupts


CHILD = """
    import signal, sys, time, numpy as np, neurocomp as nc
    signal.signal(signal.SIGINT, signal.default_int_handler)
    def network():
        net = nc.Network("n", dt=1e-3)
        net.population("p", nc.LIF(tau=1e-2, v_leak=np.linspace(1.1, 3.0, {size})), {size})
        net.connect("p", "p", {connectivity}, delay=1)
        return net
    program = nc.compile(network(), "cpu", threads={threads})
    program.run({{}}, steps=3)
    print("ready", flush=True)
    try:
        program.run({{}}, steps=2**40, record=[])
    except KeyboardInterrupt:
        print(time.monotonic(), flush=True)
    fresh = nc.compile(network(), "cpu").run({{}}, steps=40, record=["p", "p.v"])
    again = program.run({{}}, steps=40, record=["p", "p.v"])
    assert fresh["p"].same_as(again["p"]) and len(again["p"]) > 0
    assert fresh["p.v"].tobytes() == again["p.v"].tobytes()
    print("same", flush=True)
"""


def interrupted(**how):
    """Seconds between a SIGINT sent to a child in the middle of a run and its KeyboardInterrupt."""
    code = textwrap.dedent(CHILD).format(**how)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "ready\n", child.stderr.read()
            time.sleep(0.3)
            sent = time.monotonic()
            os.kill(child.pid, signal.SIGINT)
            caught = float(child.stdout.readline())
            assert child.stdout.read() == "same\n", child.stderr.read()
        finally:
            child.kill()
    return caught - sent


@pytest.mark.parametrize("threads", [1, 2])
def test_a_long_run_can_be_interrupted_and_the_program_used_again(threads):
    small = "nc.Sparse(([0.1, 0.2], ([0, 1], [1, 2])), (300, 300))"
    assert interrupted(size=300, connectivity=small, threads=threads) < 1.0


def test_a_run_of_slow_steps_can_be_interrupted_within_a_second():
    """Every neuron spikes at every step into a dense matrix of 2500 x 2500: milliseconds a step."""
    dense = "nc.Dense(np.full((2500, 2500), 3.0))"
    assert interrupted(size=2500, connectivity=dense, threads=1) < 1.0


# ------------------------------------------------------------------------------------------------------------------ memory


def growth(action, warm, count):
    """Bytes by which `count` calls grow a fresh process that has made `warm` calls before. action: lines that define `act`."""
    code = f"""
import gc, importlib.util
spec = importlib.util.spec_from_file_location("runs", {__file__!r})
runs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runs)
import neurocomp as nc
{textwrap.dedent(action)}
for k in range({warm + count}):
    act()
    if k == {warm - 1}:
        gc.collect()
        before = runs.resident()
gc.collect()
print(runs.resident() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_many_runs_do_not_grow_memory():
    """300 runs, each recording thousands of spikes and a trace of 100 kB."""
    action = """
        net, raster = runs.recurrent(200)
        program = nc.compile(net, "cpu", threads=2)
        def act():
            assert len(program.run({"x": raster}, record=["spikes", "p.v"])["p"]) > 2000
    """
    assert growth(action, 40, 300) < 4 * 2**20


def test_dropped_programs_give_their_memory_back():
    """Each holds several MB of synapses, rings and logs, so 60 kept ones would be hundreds of MB.

    The allocator itself settles anywhere from 0 to 40 MB above the first measurement (12 repetitions measured).
    """
    action = """
        net, raster = runs.recurrent(2000)
        def act():
            nc.compile(net, "cpu").run({"x": raster}, record=["p"])
    """
    assert growth(action, 8, 60) < 80 * 2**20


def test_a_failed_run_leaves_no_memory_behind_and_the_next_is_right():
    net, raster = recurrent(300)
    program = nc.compile(net, "cpu")
    engine, index = program._executable.engine, program._executable.index
    wanted = program.run({"x": raster})
    bad = (np.zeros(3, np.int64), np.zeros(0, np.int32), None)
    for _ in range(50):
        with pytest.raises(ValueError, match="offsets"):
            engine.run(60, {index["x"]: bad}, [index["p"]], [])
    again = program.run({"x": raster})
    assert all(wanted[name].same_as(again[name]) for name in ("p", "q"))


# ----------------------------------------------------------------------------------------------------------------- threads


def test_any_number_of_threads_gives_the_same_bits():
    net, raster = recurrent(150)
    record = ["spikes", "p.v", "p.i", "q.v"]
    wanted = nc.compile(net, "reference").run({"x": raster}, record=record)
    assert len(wanted["q"]) > 100
    for threads in (1, 2, 3, 5, 16):
        got = nc.compile(net, "cpu", threads=threads).run({"x": raster}, record=record)
        for name in ("p", "q"):
            assert got[name].same_as(wanted[name])
        for key in record[1:]:
            assert got[key].tobytes() == wanted[key].tobytes()
        assert dict(got.counters.events) == dict(wanted.counters.events)
        assert dict(got.counters.spikes) == dict(wanted.counters.spikes)


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_a_run_in_pieces_is_the_run(target):
    net, raster = recurrent(60)
    program = nc.compile(net, target)
    record = ["p", "q", "p.v"]
    whole = program.run({"x": raster}, record=record)
    pieces, start = [], 0
    for steps in (1, 1, 7, 20, 31):
        pieces.append(program.run({"x": raster[start : start + steps]}, steps=steps, record=record, resume=start > 0))
        start += steps
    assert start == 60
    assert np.concatenate([x["p.v"] for x in pieces]).tobytes() == whole["p.v"].tobytes()
    for name in ("p", "q"):
        assert np.array_equal(np.concatenate([x[name].raster() for x in pieces]), whole[name].raster())
    for name in whole.counters.spikes:
        assert sum(x.counters.spikes[name] for x in pieces) == whole.counters.spikes[name]


# -------------------------------------------------------------------------------------------------------------------- rest


def rested(net, inputs, steps, threads):
    """(recording of everything by the reference, result of the kernel, neuron updates it left out by population)."""
    program = nc.compile(net, "reference")
    record = ["spikes", *(f"{name}.v" for name in net.populations)]
    executable = CpuExecutable(program.lowered, threads)
    result = executable.run(*program.prepare(inputs, steps, record))
    left_out = {name: executable.engine.rested(executable.index[name]) for name in net.populations}
    return program.run(inputs, steps, record), result, left_out


@pytest.mark.parametrize("threads", [1, 2])
def test_neurons_at_rest_are_left_out_and_nothing_differs(threads):
    """Only neuron 700 gets input, late; the part of the population it belongs to works from then on, all others rest."""
    net = nc.Network("quiet", dt=1e-3)
    net.input("x", 1)
    net.population("still", nc.IF(r=1e3), 3000)
    net.population("leaky", nc.LIF(tau=5e-3, v_leak=0.5), 3000)
    net.population("noisy", nc.StochasticLIF(tau=5e-3, rate=1.0, delta_v=0.1), 3000)
    weights = nc.Sparse(([0.3], ([700], [0])), (3000, 1))
    net.connect("x", "still", weights)
    net.connect("still", "leaky", nc.OneToOne(3.0), delay=2)
    raster = np.zeros((600, 1), int)
    raster[400::3] = 1
    expected, result, left_out = rested(net, {"x": raster}, 600, threads)
    for name in net.populations:
        assert result.spikes[name].same_as(expected[name])
        assert result.states[name, "v"].tobytes() == expected[f"{name}.v"].tobytes()
    assert len(expected["still"]) > 10
    assert 0.75 * 3000 * 600 < left_out["still"] < 3000 * 600 - 200
    assert 0.4 * 3000 * 600 < left_out["leaky"] < 3000 * 500
    assert left_out["noisy"] == 0


def test_a_reset_wakes_what_had_settled():
    net = nc.Network("quiet", dt=1e-3)
    net.population("p", nc.IF(r=1e3, initial={"v": np.linspace(0.0, 3.0, 1000)}), 1000)
    program = nc.compile(net, "cpu")
    first = program.run(steps=100)["p"]
    assert len(first) > 500
    assert len(program.run(steps=100, resume=True)["p"]) == 0
    program.reset()
    assert program.run(steps=100)["p"].same_as(first)

"""Spikes over many delays: entered in a calendar when they arrive, or looked up step by step where they are too many."""

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.backends.cpu.executable import CpuExecutable

pytest.importorskip("neurocomp.kernels.engine")

STEPS = 120
RECORD = ["spikes", "p.v", "q.v"]


def network(delays, size=64, *, graded=False, seed=0):
    """An input of bursts and single spikes, onto populations that excite each other, over these delays."""
    rng = np.random.default_rng(seed)
    net = nc.Network("n", dt=1e-3)
    net.input("x", size, max_payload=9 if graded else 1)
    net.population("p", nc.CubaLIF(tau_syn=3e-3, tau_mem=1e-2), size)
    net.population("q", nc.LIF(tau=1e-2), size // 2)
    for pre, post, n_pre, n_post in (("x", "p", size, size), ("p", "q", size, size // 2), ("q", "p", size // 2, size)):
        count = 12 * n_pre
        ends = rng.integers(0, n_post, count), rng.integers(0, n_pre, count)
        weights = nc.Sparse((rng.normal(3, 6, count), ends), (n_post, n_pre))
        net.connect(pre, post, weights, delay=rng.choice(delays, count))
    return net


def drive(size=64, *, graded=False, seed=1):
    """Quiet, single spikes, and steps at which everybody spikes: these do not fit the calendar."""
    rng = np.random.default_rng(seed)
    raster = (rng.random((STEPS, size)) < 0.03).astype(np.int64)
    raster[[5, 6, 7, 40, 41, 80]] = 1
    raster[50:60] = 0
    return raster * rng.integers(-9, 10, raster.shape) if graded else raster


DELAYS = {
    "neighbouring": [1, 2, 3, 4, 5, 6, 7, 8],
    "from ten on": [10, 11, 12, 13, 14],
    "with gaps": [1, 3, 4, 9, 20],
    "too few": [2, 5, 6],
    "too far apart": [1, 2, 3, 110],
}


def same(got, wanted):
    for name in ("p", "q"):
        assert got[name].same_as(wanted[name])
    for name in ("p.v", "q.v"):
        assert got[name].tobytes() == wanted[name].tobytes()
    assert dict(got.counters.events) == dict(wanted.counters.events)


@pytest.mark.parametrize("graded", [False, True], ids=["plain", "graded"])
@pytest.mark.parametrize("delays", DELAYS.values(), ids=DELAYS.keys())
def test_events_are_those_of_the_reference(delays, graded):
    net, raster = network(delays, graded=graded), drive(graded=graded)
    wanted = nc.compile(net, "reference").run({"x": raster}, record=RECORD)
    assert len(wanted["q"]) > 100
    for threads in (1, 2, 3):
        same(nc.compile(net, "cpu", threads=threads).run({"x": raster}, record=RECORD), wanted)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("delays", [DELAYS["neighbouring"], DELAYS["with gaps"]], ids=["neighbouring", "gaps"])
def test_what_is_on_its_way_survives_pieces_resets_and_files(delays, threads, tmp_path):
    """A state is saved among and after bursts and loaded by another program."""
    net, raster = network(delays), drive()
    program, other = nc.compile(net, "cpu", threads=threads), nc.compile(net, "cpu", threads=4 - threads)
    wanted = nc.compile(net, "reference").run({"x": raster}, record=RECORD)
    for cut in (1, 5, 6, 7, 8, 12, 20, 41, 44, 60, 82, 110):
        first = program.run({"x": raster[:cut]}, steps=cut, record=RECORD)
        path = program.save_state(tmp_path / "state.npz")
        second = program.run({"x": raster[cut:]}, steps=STEPS - cut, record=RECORD, resume=True)
        other.run({"x": raster}, record=[])  # what this leaves in its calendar must not matter
        other.load_state(path)
        third = other.run({"x": raster[cut:]}, steps=STEPS - cut, record=RECORD, resume=True)
        for rest in (second, third):
            for name in ("p", "q"):
                pieces = [first[name].raster(), rest[name].raster()]
                assert np.array_equal(np.concatenate(pieces), wanted[name].raster()), (cut, name)
                assert np.concatenate([first[f"{name}.v"], rest[f"{name}.v"]]).tobytes() == wanted[f"{name}.v"].tobytes()
            events = {name: first.counters.events[name] + rest.counters.events[name] for name in first.counters.events}
            assert events == dict(wanted.counters.events)


def test_single_steps_are_the_run():
    net, raster = network(DELAYS["neighbouring"]), drive()
    wanted = nc.compile(net, "cpu").run({"x": raster}, record=["spikes"])
    program = nc.compile(net, "cpu", threads=2)
    program.reset()
    got = [program.step({"x": np.flatnonzero(row)}) for row in raster]
    for name in ("p", "q"):
        assert [spikes[name].tolist() for spikes in got] == [np.flatnonzero(row).tolist() for row in wanted[name].raster()]


@pytest.mark.parametrize("kept", ["too few", "neighbouring", "too far apart"])
def test_a_calendar_is_a_quarter_of_the_rows_and_only_kept_where_it_helps(kept):
    """Three words for every fourth row; where delays are few or far apart, there is none."""
    delays = DELAYS[kept]
    size = 400
    net = nc.Network("n", dt=1e-3)
    net.input("x", size)
    net.population("p", nc.LIF(tau=1e-2), size)
    ends = np.tile(np.arange(len(delays)), size), np.repeat(np.arange(size), len(delays))
    net.connect("x", "p", nc.Sparse((np.ones(size * len(delays)), ends), (size, size)), delay=np.tile(delays, size))
    held = CpuExecutable(nc.compile(net, "reference").lowered, 1).synapse_bytes()
    rows = size * len(delays)
    plain = 4 * (rows + 1) + 2 * rows + 2 * size  # segments, targets, owners
    calendar = (12 * rows // 4 + 5 * len(delays) + 16) if kept == "neighbouring" else 0
    assert plain + calendar <= held <= plain + calendar + 200


def test_chunks_lags_and_payloads_backwards_and_forwards():
    """Populations of several chunks, graded ones among them; the second and third run behind the first."""
    size, rng = 1300, np.random.default_rng(3)
    net = nc.Network("n", dt=1e-3)
    net.input("x", size)
    net.population("p", nc.LIF(tau=1e-2), size)
    net.population("g", nc.GradedRelu(threshold=0.5), size, max_payload=9)
    net.population("q", nc.CubaLIF(tau_syn=3e-3, tau_mem=1e-2), size)
    net.connect("x", "p", nc.OneToOne(30.0))
    net.connect("p", "g", nc.OneToOne(3.0), delay=0)
    net.connect("g", "q", nc.OneToOne(1.0), delay=0)
    for pre, post, least in (("p", "q", 1), ("g", "q", 1), ("q", "p", 3)):
        count = 12 * size
        ends = rng.integers(0, size, count), rng.integers(0, size, count)
        weights = nc.Sparse((rng.normal(1, 4, count), ends), (size, size))
        net.connect(pre, post, weights, delay=rng.integers(least, 9, count))
    raster = (rng.random((160, size)) < 0.05).astype(np.int64)  # long enough for threads to work together
    raster[[5, 20]] = 1
    wanted = nc.compile(net, "reference").run({"x": raster}, record=["spikes", "q.v"])
    assert len(wanted["g"]) > 1000
    assert len(wanted["q"]) > 1000
    for threads in (1, 2):
        got = nc.compile(net, "cpu", threads=threads).run({"x": raster}, record=["spikes", "q.v"])
        for name in ("p", "g", "q"):
            assert got[name].same_as(wanted[name])
        assert got["q.v"].tobytes() == wanted["q.v"].tobytes()
        assert dict(got.counters.events) == dict(wanted.counters.events)

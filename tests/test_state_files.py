"""A saved state goes on bit for bit, on any backend that keeps one and any number of threads; every other file is refused."""

from __future__ import annotations

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

import neurocomp as nc
from neurocomp import state_files
from neurocomp.backends import snapshot
from neurocomp.conform import compare
from neurocomp.conformance import CASES, random_case
from neurocomp.ir.errors import FileFormatError, UnsupportedError

WAYS = {"reference": ("reference", {}), "cpu": ("cpu", {}), "cpu on two threads": ("cpu", {"threads": 2})}
SOME = [
    name for k, name in enumerate(CASES) if k % 16 == 0 or name in ("plastic-reward-Sparse-each", "plastic-triplet-Dense-0")
]
SOME += [name for k, name in enumerate(x for x in CASES if x.startswith("loihi-rule")) if k % 4 == 1]


def programs(case):
    return {way: nc.compile(case.network, target, **case.options, **more) for way, (target, more) in WAYS.items()}


def halves(program, case):
    """The inputs of the first third and of the rest, and where they meet."""
    cut = max(1, case.steps // 3)
    events, *_ = program.prepare(case.inputs, case.steps, ())
    pieces = ((0, cut), (cut, case.steps))
    return *({name: x.between(*piece) for name, x in events.items()} for piece in pieces), cut


def check(case, folder):
    """Save everywhere after a third, load everywhere, and compare the rest with a run that was never interrupted."""
    there = programs(case)
    first, rest, cut = halves(there["reference"], case)
    there["reference"].run(first, cut)
    wanted = there["reference"].run(rest, case.steps - cut, case.record, resume=True)
    files, states = [], []
    for program in there.values():
        program.run(first, cut)
        states.append(dict(program._executable.snapshot()))
        files.append(program.save_state(folder / str(len(files))))
    for other in states[1:]:  # one and the same state, whoever holds it
        assert {key: (x.dtype, x.tobytes()) for key, x in other.items()} == {
            key: (x.dtype, x.tobytes()) for key, x in states[0].items()
        }
    for path, (way, program) in zip([files[1], files[2], files[0]], there.items(), strict=True):
        program.run({}, 3)  # somewhere else altogether
        program.load_state(path)
        assert compare(wanted, program.run(rest, case.steps - cut, case.record, resume=True)) == [], way


@pytest.mark.parametrize("name", SOME)
@pytest.mark.filterwarnings("ignore")
def test_cases_go_on_bit_for_bit(name, tmp_path):
    check(CASES[name], tmp_path)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore")
def test_random_networks_go_on_bit_for_bit(seed, tmp_path):
    check(random_case(seed), tmp_path)


def learning(weight=30.0, **more):
    """Everything a state is made of: delays, noise, graded spikes, a lag, learning with a reward."""
    net = nc.Network("learning", dt=1e-3, seed=5)
    net.input("x", 6)
    net.input("g", 2, max_payload=9)
    net.input("r", 1)
    net.population("h", nc.CubaLIF(tau_syn=5e-3, tau_mem=20e-3), 7)
    net.population("y", nc.StochasticLIF(tau=10e-3, rate=50.0, delta_v=0.5), 5)
    rng = np.random.default_rng(2)
    net.connect("x", "h", nc.Dense(rng.normal(weight, 20, (7, 6))), delay=3)
    net.connect("g", "h", nc.Dense(rng.normal(5, 10, (7, 2))), delay=2)
    weights = rng.uniform(1, 40, (5, 7)) * (rng.random((5, 7)) < 0.7)
    rule = nc.RewardSTDP("r", a_plus=1.0, a_minus=0.5, w_max=40.0, **more)
    net.connect("h", "y", nc.Sparse(weights), delay=0, plasticity=rule, name="learns")
    return net


def feed(steps, seed=9):
    rng = np.random.default_rng(seed)
    graded = rng.integers(-9, 10, (steps, 2)) * (rng.random((steps, 2)) < 0.4)
    return {"x": rng.random((steps, 6)) < 0.4, "g": graded, "r": rng.random((steps, 1)) < 0.1}


RECORD = ["spikes", "h.v", "h.i", "y.v", "learns.w"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A state file after 40 steps, and what the next 30 give."""
    program = nc.compile(learning(), "cpu")
    program.run(feed(40), 40)
    path = program.save_state(tmp_path_factory.mktemp("state") / "learning")
    assert path.suffix == ".state"
    weights = program.weights("learns").copy()
    after = program.run(feed(30, 1), 30, RECORD, resume=True)
    assert not np.array_equal(weights, program.network.projections["learns"].connectivity.weights)
    assert all(after[name].counts().any() for name in ("h", "y"))
    return path, weights, after


@pytest.mark.parametrize("way", WAYS)
def test_another_process_goes_on(way, saved, tmp_path):
    path, weights, after = saved
    code = (
        "import sys, numpy as np; sys.path.insert(0, sys.argv[1])\n"
        "import test_state_files as t\n"
        "target, more = t.WAYS[sys.argv[2]]\n"
        "program = t.nc.compile(t.learning(), target, **more)\n"
        "program.load_state(sys.argv[3])\n"
        "np.save(sys.argv[4] + '/w.npy', program.weights('learns'))\n"
        "program.run(t.feed(30, 1), 30, t.RECORD, resume=True).save(sys.argv[4] + '/after')\n"
    )
    folder = os.path.dirname(__file__)
    subprocess.run([sys.executable, "-c", code, folder, way, str(path), str(tmp_path)], check=True, timeout=120)
    assert np.load(tmp_path / "w.npy").tobytes() == weights.tobytes()
    after.save(tmp_path / "wanted")
    with np.load(tmp_path / "wanted.npz") as wanted, np.load(tmp_path / "after.npz") as got:
        assert wanted.files == got.files
        for name in wanted.files:
            assert wanted[name].tobytes() == got[name].tobytes(), name


def test_a_loaded_program_counts_steps_from_where_it_was(saved):
    program = nc.compile(learning(), "reference")
    program.load_state(saved[0])
    recording = program.run({}, 10, ["h.v"], every=7, resume=True)
    assert recording.start == 40
    assert recording.times.tolist() == [0.042, 0.049]
    program.load_state(saved[0])
    program.step({"x": [0, 1]})
    program.run({}, 5)  # without resume: from the initial state
    assert program._now == 5


def test_the_initial_state_is_a_state(tmp_path):
    program = nc.compile(learning(), "cpu", threads=2)
    path = program.save_state(tmp_path / "start.h5")
    assert path.name == "start.h5"
    whole = program.run(feed(30), 30, RECORD)
    other = nc.compile(learning(), "reference")
    other.run(feed(5), 5)
    other.load_state(path)
    assert compare(whole, other.run(feed(30), 30, RECORD, resume=True)) == []


@pytest.mark.filterwarnings("ignore")
def test_a_reference_that_watches_for_wraps_goes_on(tmp_path):
    net = nc.Network("wraps", dt=1e-3)
    net.input("x", 1, max_payload=1000)
    net.population("y", nc.LoihiLIF(du=10, dv=100, vth=100), 1)
    net.connect("x", "y", nc.Dense([[254.0]]))
    watched = nc.compile(net, "reference", accept_wrap=True)
    assert type(watched._executable).__name__ == "WatchedReference"
    spikes = np.full((60, 1), 1000)
    whole = watched.run({"x": spikes}, 60, ["spikes", "y.u", "y.v"])
    program = nc.compile(net, "cpu", accept_wrap=True)
    program.run({"x": spikes[:20]}, 20)
    watched.run({"x": spikes[:20]}, 20)
    paths = [one.save_state(tmp_path / str(k)) for k, one in enumerate((watched, program))]
    for path in paths:
        for other in (watched, program):
            other.run({}, 2)
            other.load_state(path)
            rest = other.run({"x": spikes[20:]}, 40, ["spikes", "y.u", "y.v"], resume=True)
            assert rest["y.u"].tobytes() == whole["y.u"][20:].tobytes()


def test_lava_keeps_no_state_and_says_so(tmp_path, lava):
    program = nc.compile(learning(), "lava")
    for call in (program.save_state, program.load_state):
        with pytest.raises(UnsupportedError, match=r"save_state\(\) and load_state\(\): every run is a process of its own"):
            call(tmp_path / "x")
    for call in (program._executable.snapshot, lambda: program._executable.restore({})):
        with pytest.raises(UnsupportedError, match="process of its own"):
            call()
    assert not list(tmp_path.iterdir())


def test_the_format_is_plain_hdf5(saved):
    with h5py.File(saved[0], "r") as file:
        assert file["format"][()] == b"neurocomp-state"
        assert (file["version"][()], file["step"][()]) == (1, 40)
        assert file["network"][()] == b"learning"
        assert file["nodes/3/state/v"].shape == (7,)


# ------------------------------------------------------------------------------------------------------------ what is refused


def refused(path, words, program=None):
    """Loading gives our error with these words, and the program's own state stays as it was."""
    program = program or nc.compile(learning(), "cpu")
    program.run(feed(10), 10)
    before = dict(program._executable.snapshot())
    with pytest.raises(FileFormatError, match=words) as caught:
        program.load_state(path)
    assert str(path) in str(caught.value)
    assert {k: x.tobytes() for k, x in before.items()} == {k: x.tobytes() for k, x in program._executable.snapshot().items()}
    assert program._now == 10


OTHERS = {
    "other weights": learning(weight=31.0),
    "another rule": learning(rate=0.5),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_state_of_another_network(name, saved):
    refused(saved[0], r"is the state of another network \('learning'\)", nc.compile(OTHERS[name], "cpu"))


def test_other_options_of_the_compiler_make_another_network(saved):
    refused(saved[0], "is the state of another network", nc.compile(learning(), "cpu", mantissa_bits=16))


def test_files_of_other_kinds(saved, tmp_path):
    for name, content, words in (
        ("empty", b"", "is empty"),
        ("text", b"hello", "is not an HDF5 file"),
        ("pickle", b"\x80\x04K\x01.", "is a Python pickle, which is never opened"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        refused(path, words)
    refused(tmp_path / "nowhere", "no such file")
    refused(tmp_path, "is a directory")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(3)
    refused(tmp_path / "other.h5", "is HDF5, but not a program's state")
    refused(nc.save(learning(), tmp_path / "net"), "zip archive")


def test_truncated_files(saved, tmp_path):
    content, path = saved[0].read_bytes(), tmp_path / "cut.state"
    for length in (1, 9, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        refused(path, "damaged|not an HDF5 file")


def test_a_flipped_byte_is_noticed_or_harmless(saved, tmp_path):
    content, path = bytearray(saved[0].read_bytes()), tmp_path / "flipped.state"
    rng = np.random.default_rng(0)
    program, noticed = nc.compile(learning(), "cpu"), 0
    for place in rng.integers(0, len(content), 12):
        content[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        content[:] = saved[0].read_bytes()
        try:
            program.load_state(path)
        except FileFormatError:
            noticed += 1
        else:
            assert compare(saved[2], program.run(feed(30, 1), 30, RECORD, resume=True)) == []
    assert noticed > 1


def rewritten(saved, path, change, forge=True):
    """The file with something changed, and its digest with it if forged."""
    path.write_bytes(saved[0].read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
        if forge:
            arrays = {}
            file.visititems(lambda key, x: arrays.update({key: x[()]}) if hasattr(x, "size") and x.size < 2**20 else None)
            arrays = {key: x for key, x in arrays.items() if key not in state_files.HEAD}
            del file["digest"]
            file["digest"] = state_files.digest({key: np.asarray(x) for key, x in arrays.items()})
    return path


def put(key, value):
    def change(file):
        del file[key]
        file[key] = value

    return change


def edit(key, place, value):
    def change(file):
        file[key][place] = value

    return change


FORGED = {
    "a version of tomorrow": (put("version", 2), "has format version 2; this release reads version 1; upgrade"),
    "a version that is text": (put("version", "one"), "has format version one"),
    "no version": (lambda file: file.pop("version"), "has format version None"),
    "another format": (put("format", "neurocomp-network"), "no format mark 'neurocomp-state'"),
    "a missing state": (lambda file: file.pop("nodes/3/state/v"), "it has no 'nodes/3/state/v'"),
    "something more": (lambda file: file.create_dataset("more", data=5), "unknown 'more'"),
    "text for numbers": (put("nodes/3/state/v", "high"), "'nodes/3/state/v' holds no numbers"),
    "a state of float32": (put("nodes/3/state/v", np.zeros(7, np.float32)), "is float32 of shape .7,., not float64"),
    "a state of another size": (put("nodes/3/state/v", np.zeros(8)), r"of shape \(8,\), not float64 of shape \(7,\)"),
    "a state of absurd size": (
        lambda file: (file.pop("nodes/3/state/v"), file.create_dataset("nodes/3/state/v", (2**40,), "f8", chunks=(1024,))),
        "beyond the limit",
    ),
    "a negative step": (put("step", -1), "step -1 is outside"),
    "a step beyond": (put("step", 2**60), "step 1152921504606846976 is outside"),
    "steps as a list": (put("step", np.array([1])), "'step' is int64 of shape"),
    "a spike of no neuron": (edit("nodes/0/ids", -1, 6), "its spikes of 'x' are none"),
    "a negative neuron": (edit("nodes/0/ids", 0, -1), "its spikes of 'x' are none"),
    "a spike twice": (lambda file: edit("nodes/0/ids", 1, file["nodes/0/ids"][0])(file), "its spikes of 'x' are none"),
    "a spike of tomorrow": (edit("nodes/0/steps", -1, 99), "its spikes of 'x' are none"),
    "a spike of long ago": (edit("nodes/0/steps", 0, 2), "its spikes of 'x' are none"),
    "more times than neurons": (lambda file: put("nodes/0/ids", file["nodes/0/ids"][:-1])(file), "its spikes of 'x' are none"),
    "fewer payloads": (lambda file: put("nodes/1/payload", file["nodes/1/payload"][:-1])(file), "its spikes of 'g' are none"),
    "a payload beyond 32 bits": (edit("nodes/1/payload", 0, 2**40), "its spikes of 'g' are none"),
    "a weight out of bounds": (edit("projections/2/weights", 0, 1e9), "a weight of 'learns' is 1e.09, outside 0..40"),
    "a weight that is no number": (edit("projections/2/weights", 0, np.nan), "a weight of 'learns' is nan"),
    "an event of tomorrow": (edit("projections/2/pre_since", 0, 41), "an event's time of 'learns' is 41, outside 0..40"),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_files(name, saved, tmp_path):
    change, words = FORGED[name]
    refused(rewritten(saved, tmp_path / "forged.state", change), words)


def test_a_changed_number_is_noticed_by_the_digest(saved, tmp_path):
    path = rewritten(saved, tmp_path / "changed.state", edit("nodes/3/state/v", 0, 0.5), forge=False)
    refused(path, "is damaged: its content does not have the SHA-256")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("x", 128, "a trace"), ("y", -1, "a trace"), ("tags", 300, "a tag"), ("x_last", 99, "time"), ("weights", 999, "a weight")],
)
def test_what_would_lead_the_learning_engine_astray(key, value, words, tmp_path):
    """Traces are indices into the kernel's tables, and times into its history."""
    case = CASES["loihi-rule-tagged"]
    program = nc.compile(case.network, "cpu", **case.options)
    program.run(case.inputs, case.steps)
    good = dict(program._executable.snapshot())
    name = next(k for k in good if k.endswith(f"/{key}"))
    bad = {**good, name: good[name].copy()}
    bad[name].flat[0] = value
    assert snapshot.problem(program.lowered, good, good) == ""
    assert words in snapshot.problem(program.lowered, bad, good)


# ------------------------------------------------------------------------------------------------------------ bad days


def test_a_full_disk_leaves_the_old_file(saved, tmp_path, monkeypatch):
    program = nc.compile(learning(), "cpu")
    path = program.save_state(tmp_path / "old")
    before = path.read_bytes()
    program.run(feed(10), 10)

    def full(*_):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left on device"):
        program.save_state(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_disk_that_fills_up_while_writing(tmp_path, monkeypatch):
    from neurocomp.ir import files

    monkeypatch.setattr(files, "open", lambda *_: open("/dev/full", "wb"), raising=False)  # noqa: SIM115
    with pytest.raises(OSError, match="No space left on device"):
        nc.compile(learning(), "cpu").save_state(tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        nc.compile(learning(), "cpu").save_state(tmp_path / "nowhere" / "x")

"""The command line: every command does what its help says, and every mistake is one readable message."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import neurocomp as nc
from neurocomp.backends import registry
from neurocomp.backends.reference import ReferenceBackend
from neurocomp.chunks import run_in_chunks
from neurocomp.cli import COMMANDS, main
from neurocomp.cli.inputs import read_inputs
from neurocomp.conform import Difference, TargetReport, compare
from neurocomp.ir import files
from neurocomp.ir.errors import FileFormatError
from neurocomp.ir.events import empty


@pytest.fixture
def net():
    rng = np.random.default_rng(3)
    net = nc.Network("tiny", dt=1e-3)
    net.input("x", (2, 2), max_payload=3)
    net.population("h", nc.LIF(tau=5e-3, v_threshold=0.3), 3)
    net.population("y", nc.IF(r=1000.0, reset="subtract"), 2)
    net.connect("x", "h", nc.Dense(rng.uniform(0, 2, (3, 4)), bias=0.1))
    net.connect("h", "y", nc.Dense(rng.uniform(0, 1, (2, 3))))
    net.connect("y", "h", nc.Dense(rng.uniform(-1, 0, (3, 2))), delay=3)
    return net


@pytest.fixture
def model(net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return nc.save(net, tmp_path / "tiny.neurocomp").name


def neurocomp(*arguments, code=0):
    result = CliRunner().invoke(main, list(map(str, arguments)), prog_name="neurocomp")
    assert result.exit_code == code, result.output + result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result


def load(path):
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


# ------------------------------------------------------------------------------------------------------------- running


def test_run_on_random_input_records_and_draws(model, net):
    pytest.importorskip("matplotlib")
    arguments = ["--random", 0.4, "--seed", 5, "--steps", 40, "--target", "reference"]
    result = neurocomp("run", model, *arguments, "--record", "y", "--record", "h.v", "--out", "r.npz", "--raster", "r.png")
    stored = load("r.npz")
    assert stored["states/h.v"].shape == (40, 3)
    assert "spikes/y/times" in stored
    assert "spikes/h/times" not in stored
    assert Path("r.png").read_bytes().startswith(b"\x89PNG")
    assert "tiny on reference: 40 steps (0.04 s)" in result.output
    assert str(int(stored["counters/events/h->y"])) in result.output


def test_random_input_depends_on_the_seed_only(model):
    runs = []
    for seed in (1, 1, 2):
        neurocomp("run", model, "--random", 0.4, "--seed", seed, "--steps", 30, "--target", "reference", "--out", "r.npz")
        runs.append(load("r.npz"))
    assert all(np.array_equal(runs[0][key], runs[1][key]) for key in runs[0])
    assert not np.array_equal(runs[0]["spikes/x/times"], runs[2]["spikes/x/times"])
    assert set(runs[0]["spikes/x/payload"]) == {1, 2, 3}


@pytest.fixture
def raster():
    return np.random.default_rng(0).integers(-1, 4, (12, 2, 2))


def write_csv(path, raster, header):
    flat = raster.reshape(len(raster), -1)
    rows = [f"{t},{i},{flat[t, i]}" for t, i in zip(*np.nonzero(flat), strict=True)]
    path.write_text("\n".join([*header, *rows]) + "\n")


@pytest.mark.parametrize("kind", ["npy", "npz raster", "npz events", "csv", "csv header"])
def test_every_input_format_says_the_same(model, net, tmp_path, raster, kind):
    path, flat = tmp_path / f"in.{kind[:3]}", raster.reshape(len(raster), -1)
    times, ids = np.nonzero(flat)
    match kind:
        case "npy":
            np.save(path, raster)
        case "npz raster":
            np.savez(path, x=raster)
        case "npz events":
            np.savez(path, **{"x/times": times, "x/ids": ids, "x/payload": flat[times, ids]})
        case _:
            write_csv(path, raster, ["time,id,payload"] if "header" in kind else [])
    steps = [] if kind in ("npy", "npz raster") else ["--steps", 12]
    neurocomp("run", model, "--input", path, *steps, "--target", "reference", "--out", "r.npz")
    expected = nc.compile(net, "reference").run({"x": raster}, 12)
    stored = load("r.npz")
    for name in ("x", "h", "y"):
        assert np.array_equal(stored[f"spikes/{name}/times"], expected[name].times)
        assert np.array_equal(stored[f"spikes/{name}/ids"], expected[name].ids)


def test_chunks_are_the_whole(net):
    inputs = {"x": np.random.default_rng(0).integers(0, 4, (50, 2, 2))}
    program, record, seen = nc.compile(net, "reference"), ["spikes", "h.v"], []
    pieces = run_in_chunks(program, inputs, 50, record, seen.append, chunk=7)
    whole = program.run(inputs, 50, record)
    assert seen == [7, 14, 21, 28, 35, 42, 49, 50]
    assert compare(whole, pieces) == []


# ------------------------------------------------------------------------------------------------------------- conform


def test_conform_identical(model):
    result = neurocomp("conform", model, "--targets", "reference,reference2", "--random", 0.3, "--steps", 20, code=2)
    assert "there is no such backend" in result.stderr
    registry.register("twin", lambda: registry.get("reference"))
    try:
        result = neurocomp("conform", model, "--targets", "reference,twin", "--random", 0.3, "--steps", 20)
        assert result.output.startswith("identical: reference = twin (")
    finally:
        registry.unregister("twin")


class Deaf(ReferenceBackend):
    """A backend that hears no input."""

    name = "deaf"

    def lower(self, net):
        executable = super().lower(net)
        run = executable.run
        executable.run = lambda inputs, steps, record: run(
            {name: empty(events.shape, steps) for name, events in inputs.items()}, steps, record
        )
        return executable


def test_conform_different_exits_with_1(model):
    registry.register("deaf", Deaf)
    try:
        arguments = ["conform", model, "--targets", "reference,deaf", "--random", 0.9, "--steps", 20]
        text = neurocomp(*arguments, code=1).output
        report = json.loads(neurocomp(*arguments, "--json", code=1).output)
    finally:
        registry.unregister("deaf")
    assert "deaf parts from reference at\n  step 0, 'x', neuron" in text
    assert report["identical"] is False
    assert report["targets"][1]["differences"][0]["subject"] == "x"


def test_conform_with_nothing_to_compare_is_no_success(model):
    result = neurocomp("conform", model, "--targets", "reference", "--random", 0.3, "--steps", 5, code=2)
    assert "nothing compared" in result.output


# ---------------------------------------------------------------------------------------------------------------- show


def test_show_prints_the_text_form(model, net):
    assert neurocomp("show", model).output == nc.text(net) + "\n"


def test_show_stops_after_a_pass_and_explains(model, net):
    retimed = neurocomp("show", model, "--after", "retime").output
    assert "lag=2" in retimed
    assert "grid=" not in retimed
    compiled = neurocomp("show", model, "--compiled").output
    assert compiled == nc.text(nc.compile(net, "reference").lowered) + "\n"
    assert "[retime] y: lag 0 -> lag 2" in neurocomp("show", model, "--explain").output
    passes = neurocomp("show", model, "--passes").output
    assert passes.startswith("--- as written\n" + nc.text(net))
    assert passes.endswith(compiled)
    assert [line for line in passes.splitlines() if line.startswith("--- after ")][:2] == [
        "--- after discretise",
        "--- after fold",
    ]


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "absent.neurocomp"], "absent.neurocomp: no such file"),
        (["run", "MODEL"], "give --input FILE, or --random RATE"),
        (["run", "MODEL", "--random", "0.5"], "--steps N"),
        (["run", "MODEL", "--random", "1.5", "--steps", "3"], "1.5 is not in the range 0<=x<=1"),
        (["run", "MODEL", "--random", "0.5", "--input", "x.npy", "--steps", "3"], "exclude each other"),
        (["run", "MODEL", "--random", "0.5", "--steps", "3", "--target", "tpu"], "there is no such backend"),
        (["run", "MODEL", "--random", "0.5", "--steps", "3", "--target", "reference", "--record", "q"], "cannot record 'q'"),
        (
            ["run", "MODEL", "--random", "0.5", "--steps", "3", "--target", "reference", "-o", "threads=2"],
            "no option 'threads'",
        ),
        (["run", "MODEL", "--random", "0.5", "--steps", "3", "-o", "threads"], "not of the form KEY=VALUE"),
        (["run", "MODEL", "--random", "0.5", "--steps", "3", "--target", "reference", "--out", "no/where.npz"], "no/where.npz"),
        (["run", "MODEL", "--input", "absent.npy"], "absent.npy: no such file"),
        (["run", "MODEL", "--input", "in.txt"], "input files are .npy, .npz, .csv, not '.txt'"),
        (["show", "MODEL", "--after", "lunch"], "'lunch' is not one of"),
        (["wash"], "No such command 'wash'"),
    ],
)
def test_mistakes_are_one_message_and_exit_code_2(model, arguments, message):
    result = neurocomp(*[model if x == "MODEL" else x for x in arguments], code=2)
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", "time,id\n0,1\n1\n", "line 3: 1 columns where 2 are expected"),
        ("in.csv", "0,1\n0,one\n", "line 2: '0,one' is not a list of whole numbers"),
        ("in.csv", "when,id\n0,1\n", "has columns when,id; expected time,id"),
        ("in.csv", "0\n1\n", "expected time,id"),
        ("in.csv", "0,9\n", "ids contains 9, outside 0..3"),
        ("in.npy", "not numpy", "cannot be read as NumPy arrays"),
    ],
)
def test_damaged_inputs_say_where(model, tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    result = neurocomp("run", model, "--input", name, "--steps", 5, "--target", "reference", code=2)
    assert message in result.stderr


def test_archives_with_foreign_members_are_refused(model):
    np.savez("in.npz", **{"x/when": np.zeros(1)})
    assert "member 'x/when'" in neurocomp("run", model, "--input", "in.npz", code=2).stderr
    np.savez("in.npz", **{"x/times": np.zeros(1, int)})
    assert "event lists need x/times and x/ids" in neurocomp("run", model, "--input", "in.npz", "--steps", 2, code=2).stderr
    np.savez("in.npz", q=np.zeros((3, 2, 2)))
    assert "there is no input 'q'" in neurocomp("run", model, "--input", "in.npz", "--target", "reference", code=2).stderr
    np.save("in.npy", np.array([{"a": 1}]), allow_pickle=True)
    assert "cannot be read" in neurocomp("run", model, "--input", "in.npy", code=2).stderr


def test_version_and_help_teach():
    assert neurocomp("--version").output == f"neurocomp, version {nc.__version__}\n"
    assert "model.neurocomp" in neurocomp("--help").output
    for name in COMMANDS:
        text = neurocomp(name, "--help").output
        assert "Example" in text
        assert f"neurocomp {name}" in text


# ---------------------------------------------------------------------------------------------------------------- demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    from neurocomp.demo import run_demo

    stages = []
    result = run_demo(tmp_path_factory.mktemp("demo"), compared=10, progress=lambda stage, done, total: stages.append(stage))
    return result, stages


def test_the_demo_keeps_its_promises(demo):
    result, stages = demo
    assert result.ok
    assert result.snn_accuracy >= 0.96
    assert result.ann_accuracy - result.snn_accuracy <= 0.015
    assert (result.trained, result.held_out) == (1198, 599)
    assert result.conformance.samples == 10
    assert all(path.stat().st_size for path in result.files)
    assert {"train", "convert", "compare", "draw"} <= set(stages)
    assert result.updates == 32 * 138
    assert result.energy.activity.samples == 10
    assert result.energy.total.value > result.energy.dynamic.value > 0
    assert "energy.html" in {path.name for path in result.files}
    assert sum(result.seconds.values()) < 90


def test_the_demo_leaves_a_model_to_go_on_with(demo, tmp_path):
    files = {path.name: path for path in demo[0].files}
    arguments = ["--input", files["digit.npz"], "--steps", 32, "--target", "reference", "--out", tmp_path / "r.npz"]
    neurocomp("run", files["digits.neurocomp"], *arguments)
    assert load(tmp_path / "r.npz")["counters/updates/output"] == 320


@pytest.fixture
def bad_demo(demo, monkeypatch):
    """The command with the figures of the run above, changed."""

    def install(**changes):
        monkeypatch.setattr("neurocomp.cli.demo.run_demo", lambda *a, **k: replace(demo[0], **changes))

    return install


def test_the_demo_command_fails_where_a_promise_is_broken(demo, bad_demo):
    bad_demo()
    assert "held out" in neurocomp("demo").output
    bad_demo(snn_accuracy=0.9)
    assert "too few" in neurocomp("demo", code=1).output
    report = demo[0].conformance
    broken = TargetReport("chip", (Difference("spikes", "hidden1", 1, 0, 3, 17),))
    bad_demo(conformance=replace(report, targets=(*report.targets, broken)))
    assert "step 3, 'hidden1', neuron 17" in neurocomp("demo", code=1).output


# ------------------------------------------------------------------------------------------------------------ bad days


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--out", "new.npz"],
        ["run", "--raster", "new.png"],
        ["quantise", "--out", "new.html"],
        ["quantise", "--out", "new.json"],
        ["energy", "--html", "new.html"],
    ],
)
def test_a_full_disk_is_one_message_and_leaves_nothing(arguments, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    net = nc.Network("small", dt=1e-3)
    net.input("x", 4)
    net.population("h", nc.CubaLIF(tau_syn=5e-3, tau_mem=20e-3), 3)
    net.connect("x", "h", nc.Dense(np.full((3, 4), 20.0)))
    nc.save(net, "small.neurocomp")
    monkeypatch.setattr(files, "open", lambda *_: open("/dev/full", "wb"), raising=False)  # noqa: SIM115
    command, option, name = arguments
    result = neurocomp(command, "small.neurocomp", "--random", 0.3, "--steps", 20, option, name, code=2)
    assert f"Error: {name}: No space left on device" in result.stderr
    assert [x.name for x in tmp_path.iterdir()] == ["small.neurocomp"]


def test_an_interruption_is_not_taken_for_a_difference(model, monkeypatch):
    def interrupted(*given, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("neurocomp.cli.conform.conform", interrupted)
    result = neurocomp("conform", model, "--random", 0.1, "--steps", 5, code=130)
    assert result.stderr == "interrupted\n"


def test_nan_is_in_no_range(model):
    result = neurocomp("run", model, "--random", "nan", "--steps", 5, code=2)
    assert "nan is not a finite number" in result.stderr


def test_damaged_input_files_are_one_message(model, tmp_path):
    """Whatever zipfile and zlib make of flipped bytes."""
    rng = np.random.default_rng(0)
    np.savez_compressed("x.npz", x=rng.integers(0, 4, (40, 2, 2)))
    whole, network = Path("x.npz").read_bytes(), nc.load(model)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        Path("d.npz").write_bytes(damaged)
        with suppress(FileFormatError):
            read_inputs("d.npz", network)

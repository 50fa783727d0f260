"""`neurocomp check`, and .nir files in run, conform and show."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from click.testing import CliRunner

from neurocomp.cli import main
from neurocomp.importers.nir.check import check

h5py = pytest.importorskip("h5py")
LIF = {"type": "LIF", "tau": np.full(2, 4e-3), "r": np.full(2, 8.0), "v_leak": np.zeros(2), "v_threshold": np.ones(2)}


@pytest.fixture
def model(tmp_path):
    """A function that writes a graph to a .nir file."""

    def write(name="net.nir", lif=LIF, **more):
        nodes = {
            "input": {"type": "Input", "shape": np.array([3])},
            "fc": {"type": "Linear", "weight": np.ones((2, 3))},
            "lif": lif,
        }
        nodes |= {**more, "output": {"type": "Output", "shape": np.array([2])}}
        with h5py.File(tmp_path / name, "w") as file:
            for node, values in nodes.items():
                for key, value in values.items():
                    file[f"node/nodes/{node}/{key}"] = value
            file["node/edges"] = [list(pair) for pair in itertools.pairwise(nodes)]
            file["node/type"] = "NIRGraph"
        return str(tmp_path / name)

    return write


def run(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_supported(model):
    result = run("check", model(), "--dt", "1e-3", "--no-targets")
    assert result.exit_code == 0, result.output
    for word in ("fc", "Linear", "Dense input -> lif", "LIF of shape (2,)", "output of 'lif'", "supported"):
        assert word in result.output


def test_json_and_targets(model):
    result = run("check", model(), "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    assert report["ok"]
    assert {node["name"]: node["ok"] for node in report["nodes"]} == dict.fromkeys(["fc", "input", "lif", "output"], True)
    assert report["targets"]["cpu"] == "" == report["targets"]["reference"]
    assert any(note["after"] == "0.0001 s" and "assumed" in note["why"] for note in report["notes"])


def test_every_unsupported_node_is_named(model):
    bad = model(
        lif={**LIF, "tau": np.array([1e-3, np.nan])}, odd={"type": "Spline", "k": 3}, delay={"type": "Delay", "delay": -1.0}
    )
    result = run("check", bad, "--json", "--dt", "1e-3")
    assert result.exit_code == 1
    report = json.loads(result.output)
    wrong = {node["name"]: node["message"] for node in report["nodes"] if not node["ok"]}
    assert wrong.keys() == {"lif", "odd", "delay"}
    assert wrong["lif"].startswith("tau is nan")
    assert wrong["odd"].startswith("unknown type")
    text = run("check", bad, "--dt", "1e-3")
    assert text.exit_code == 1
    assert "not supported" in text.output


def test_what_only_shows_when_put_together(model):
    analog = {"type": "LI", "tau": np.full(2, 4e-3), "r": np.ones(2), "v_leak": np.zeros(2)}
    report = check(model(lif=analog, more={"type": "Scale", "scale": np.ones(2)}), dt=1e-3)
    assert not report.ok
    assert [node.name for node in report.nodes if not node.ok] == ["lif"]
    assert "only spikes travel" in next(node.message for node in report.nodes if not node.ok)
    sizes = check(model(fc2={"type": "Linear", "weight": np.ones((2, 5))}), dt=1e-3)
    assert [node.name for node in sizes.nodes if not node.ok] == ["fc2"]
    refused = check(model(lif={**LIF, "v_leak": np.ones(2)}), dialect="snntorch")
    assert [node.name for node in refused.nodes if not node.ok] == ["lif"]
    fast = check(model(), dt=1.0, dialect="norse")  # a step longer than the time constant
    assert not fast.ok
    assert all("decay factor" in reason for reason in fast.targets.values() if reason)


def test_a_graph_that_verify_refuses(model):
    report = check(model(lif={**LIF, "v_reset": np.full(2, 3.0)}), dt=1e-3)
    assert not report.ok
    assert "v_reset <= v_threshold" in report.problems[0]


def test_unreadable(tmp_path):
    path = tmp_path / "net.nir"
    path.write_bytes(b"\x80\x04pickle")
    result = run("check", str(path))
    assert result.exit_code == 2
    assert "never opened" in result.output
    assert run("check", str(path) + "x").exit_code == 2
    assert run("check", str(path), "--dialect", "brian").exit_code == 2


def test_run_show_and_conform_take_nir(model, tmp_path):
    path = model()
    np.save(tmp_path / "in.npy", (np.random.default_rng(0).random((50, 3)) < 0.3).astype(np.uint8))
    given = ["--dt", "1e-3", "--dialect", "norse"]
    result = run("run", path, *given, "--input", str(tmp_path / "in.npy"), "--out", str(tmp_path / "out.npz"))
    assert result.exit_code == 0, result.output
    assert np.load(tmp_path / "out.npz")["spikes/lif/times"].size
    result = run("show", path, *given, "--explain")
    assert result.exit_code == 0, result.output
    assert "[from_nir]" in result.output
    result = run("conform", path, *given, "--random", "0.2", "--steps", "50", "--targets", "reference,cpu")
    assert result.exit_code == 0, result.output
    assert run("run", path, "--random", "0.2", "--steps", "5").exit_code == 2  # no dt


def test_dt_is_only_for_nir(tmp_path):
    result = run("show", str(tmp_path / "model.neurocomp"), "--dt", "1e-3")
    assert result.exit_code == 2
    assert "--dt and --dialect are for .nir files" in result.output


def test_lavadl_nets_are_taken_too(tmp_path):
    with h5py.File(tmp_path / "net.net", "w") as file:
        layer = file.create_group("layer/0")
        layer["type"], layer["shape"], layer["weight"] = b"dense", [2], np.full((2, 3), 50)
        for key, value in {"type": b"LOIHI", "iDecay": 1024, "vDecay": 128, "vThMant": 80}.items():
            layer[f"neuron/{key}"] = value
    result = run("run", str(tmp_path / "net.net"), "--random", "0.5", "--steps", "20")
    assert result.exit_code == 0, result.output
    assert "layer0" in result.output

"""`neurocomp energy`: the same numbers as the function, and its files."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

import neurocomp as nc
from neurocomp.cli import main
from neurocomp.energy import names

from .conftest import layered, raster


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("spikes.npz", x=raster())
    return nc.save(layered(), tmp_path / "layered.neurocomp").name


def neurocomp(*arguments, code=0):
    result = CliRunner().invoke(main, list(map(str, arguments)), prog_name="neurocomp")
    assert result.exit_code == code, result.output + result.stderr
    assert "Traceback" not in result.output
    return result


def test_files_hold_the_functions_numbers(model, tmp_path, report):
    pytest.importorskip("matplotlib")
    out = ["--html", "e.html", "--json", "e.json", "--csv", "e.csv", "--figure", "e.pdf"]
    result = neurocomp("energy", model, "--input", "spikes.npz", "--profile", "loihi1-sanafe,truenorth", *out)
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["numbers"]["dynamic"]["value"] == report.dynamic.value
    assert found["numbers"]["total"]["value"] == report.total.value
    assert [x["profile"]["name"] for x in found["others"]] == ["truenorth"]
    with open(tmp_path / "e.csv", newline="") as stream:
        assert sum(float(x["value_J"]) for x in csv.DictReader(stream) if x["profile"] == "loihi1-sanafe") == pytest.approx(
            report.dynamic.value
        )
    assert "<title>layered on Intel Loihi" in (tmp_path / "e.html").read_text()
    for line in ("page: e.html", "JSON: e.json", "CSV: e.csv", "figure: e.pdf"):
        assert line in result.stdout
    assert "energy of this machine:" in result.stdout
    assert (tmp_path / "e.pdf").read_bytes().startswith(b"%PDF")


def test_traces_pace_and_static_power(model, report):
    arguments = ["--input", "spikes.npz", "--profile", "loihi1-sanafe"]
    result = neurocomp("energy", model, *arguments, "--trace", "dynamic.h", "--trace", "total")
    assert report.trace("dynamic.h") in result.stdout
    assert "as fast as it can" in neurocomp("energy", model, *arguments, "--pace", "fast").stdout
    assert "10 µs per step" in neurocomp("energy", model, *arguments, "--pace", "1e-5").stdout
    assert "given by the user" in neurocomp("energy", model, *arguments, "--static", 0.2, "--trace", "static").stdout


def test_all_profiles(model):
    result = neurocomp("energy", model, "--random", 0.1, "--steps", 20, "--profile", "odin,all")
    assert result.stdout.startswith("layered on ODIN")
    assert all(name in result.stdout for name in names())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "loihi3"], "there is no profile 'loihi3'"),
        (["--profile", "spinnaker1", "--static", 1], "is an aggregate constant"),
        (["--pace", "slow"], "--pace is real-time, fast or seconds"),
        (["--trace", "nothing"], "has no number 'nothing'"),
        (["--html", "missing/e.html"], "does not exist or cannot be written to"),
    ],
)
def test_mistakes_exit_2(model, arguments, message):
    assert message in neurocomp("energy", model, "--input", "spikes.npz", *arguments, code=2).stderr


def test_what_does_not_fit_exits_1(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = nc.Network("fan", dt=1e-3)
    net.input("x", 5000)
    net.population("y", nc.IF(), 2)
    net.connect("x", "y", nc.Dense(np.ones((2, 5000))), delay=1)
    nc.save(net, "fan.neurocomp")
    result = neurocomp("energy", "fan.neurocomp", "--random", 0.01, "--steps", 4, code=1)
    assert result.stderr.startswith("Does not fit: y: neuron 0 alone needs 5,000 in-axons")

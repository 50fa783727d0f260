"""`neurocomp place`: text, JSON and map agree with the function; 1 where the network does not fit; and the map's drawing."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

import neurocomp as nc
from neurocomp.cli import main
from neurocomp.ir.chips import Chip
from neurocomp.ir.passes.place import place
from neurocomp.plot_placement import placement_map


@pytest.fixture
def net():
    rng = np.random.default_rng(1)
    net = nc.Network("pair", dt=1e-3)
    net.input("x", 20)
    net.population("h", nc.LIF(tau=5e-3, v_threshold=0.5), 1500)
    net.population("y", nc.IF(r=1e3), 10)
    net.connect("x", "h", nc.Dense(rng.uniform(0, 3, (1500, 20))))
    net.connect("h", "y", nc.Dense(rng.uniform(0, 0.1, (10, 1500))))
    return net


@pytest.fixture
def model(net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return nc.save(net, tmp_path / "pair.neurocomp").name


def neurocomp(*arguments, code=0):
    result = CliRunner().invoke(main, list(map(str, arguments)), prog_name="neurocomp")
    assert result.exit_code == code, result.output + result.stderr
    assert "Traceback" not in result.output
    return result


def test_text_and_json_are_those_of_the_compiled_network(model, net):
    lowered = nc.compile(net, "reference").lowered
    assert neurocomp("place", model, "--chip", "loihi1").stdout == place(lowered, "loihi1").text + "\n"
    assert json.loads(neurocomp("place", model, "--json").stdout) == place(lowered).to_dict()


def test_spikes_of_a_run_are_the_messages(model, net, tmp_path):
    pytest.importorskip("matplotlib")
    arguments = ["--random", 0.3, "--steps", 25, "--seed", 4, "--target", "reference", "--json", "--png", "map.svg"]
    result = neurocomp("place", model, "--chip", "loihi1", *arguments)
    found = json.loads(result.stdout)
    assert result.stderr == "map: map.svg\n"
    assert (tmp_path / "map.svg").read_text().startswith("<?xml")
    assert found["steps"] == 25
    assert found["rate"] is None
    per_step = found["per_step"]
    assert per_step["input_messages"] > 0
    raster = np.zeros((25, 20), int)
    generator = neurocomp("run", model, "--random", 0.3, "--steps", 25, "--seed", 4, "--target", "reference", "--out", "r.npz")
    assert generator.exit_code == 0
    with np.load(tmp_path / "r.npz") as archive:
        raster[archive["spikes/x/times"], archive["spikes/x/ids"]] = 1
        assert len(archive["spikes/h/ids"]) > 0
    recording = nc.compile(net, "reference").run({"x": raster}, 25)
    assert found == place(nc.compile(net, "reference").lowered, "loihi1", recording=recording, seed=4).to_dict()


def test_what_does_not_fit_exits_1_and_mistakes_exit_2(model, net):
    wide = nc.Network("wide", dt=1e-3)
    wide.input("x", 5000)
    wide.population("y", nc.IF(), 2)
    wide.connect("x", "y", nc.Dense(np.ones((2, 5000))))
    nc.save(wide, "wide.neurocomp")
    result = neurocomp("place", "wide.neurocomp", "--chip", "loihi1", code=1)
    assert result.stderr.startswith("Does not fit: y: neuron 0 alone needs 5,000 in-axons")
    assert result.stdout == ""
    wide.population("z", nc.IF(reset="subtract"), 2)
    nc.save(wide, "custom.neurocomp")
    result = neurocomp("place", "custom.neurocomp", "--chip", "loihi1", code=1)
    assert result.stderr.startswith("Does not fit: z: loihi1 has no such neurons: they reset by subtraction")
    assert "there is no chip 'loihi9'" in neurocomp("place", model, "--chip", "loihi9", code=2).stderr
    assert "chips must be a whole number from 1 to 1152" in neurocomp("place", model, "--chips", 2000, code=2).stderr
    assert "no such file" in neurocomp("place", "missing.neurocomp", code=2).stderr
    assert "give the number of steps" in neurocomp("place", model, "--random", 0.1, code=2).stderr


# ------------------------------------------------------------------------------------------------------------------- map


def rectangles(axis):
    return [patch for patch in axis.patches if patch.get_facecolor()[3] and patch.get_fill()]


def test_the_map_shows_every_core_and_names_every_population(net, tmp_path):
    pytest.importorskip("matplotlib")
    small = replace(Chip.load("loihi1"), compartments=8, cores=120)
    placement = place(net, small, chips=2, partitioner="ordered")
    assert placement.chips_used == 2
    figure = placement_map(placement, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    meshes = [axis for axis in figure.axes if axis.get_xlabel() == "tile x"]
    assert [axis.get_title("left") for axis in meshes] == ["chip 0", "chip 1"]
    assert sum(len(rectangles(axis)) for axis in meshes) == len(placement.cores) + len(placement.slices)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["h: 1500 on 188 cores", "y: 10 on 2 cores"]
    assert f"{len(placement.cores)} cores" in figure.get_suptitle()


def test_many_populations_are_cut_in_the_legend():
    pytest.importorskip("matplotlib")
    net = nc.Network("many", dt=1e-3)
    for k in range(40):
        net.population(f"p{k}", nc.IF(), 3)
    (legend,) = placement_map(place(net)).legends
    assert len(legend.get_texts()) == 25
    assert legend.get_texts()[-1].get_text() == "and 16 more"


def test_importing_the_command_does_not_import_matplotlib():
    code = "import sys, neurocomp.cli.place; sys.exit('matplotlib' in sys.modules or 'pymetis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

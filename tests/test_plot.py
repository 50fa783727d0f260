"""Rasters: one panel per node that says what it shows, without touching anybody's matplotlib."""

import subprocess
import sys

import numpy as np
import pytest

import neurocomp as nc
from neurocomp import plot
from neurocomp.ir.errors import InputError

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def recording():
    net = nc.Network("pair", dt=2e-3)
    net.input("x", (2, 3), max_payload=9)
    net.population("h", nc.IF(r=500.0), 500)
    net.connect("x", "h", nc.Dense(np.full((500, 6), 0.3)))
    raster = np.zeros((20, 2, 3), int)
    raster[::4, 1, 2], raster[5, 0, 0] = 9, 3
    return nc.compile(net, "reference").run({"x": raster}, 20)


def panels(figure):
    return [axis for axis in figure.axes if axis.get_ylabel() == "neuron"]


def test_every_node_has_a_panel_with_its_counts(recording, tmp_path):
    figure = plot.raster(recording, tmp_path / "run.png", title="pair")
    first, second = panels(figure)
    assert first.get_title("left") == "x: 6 neurons, 6 spikes"
    assert second.get_title("left") == f"h: 500 neurons, {len(recording['h'])} spikes"
    assert first.collections[0].get_offsets().tolist() == [
        [t, i] for t, i in zip(recording["x"].times, recording["x"].ids, strict=True)
    ]
    assert figure.get_suptitle() == f"pair: {6 + len(recording['h'])} spikes in 20 steps of 2 ms"
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


def test_axes_carry_steps_and_milliseconds(recording):
    figure = plot.raster(recording)
    first, second = panels(figure)
    assert second.get_xlabel() == "step"
    [time] = first.child_axes
    assert time.get_xlabel() == "time (ms)"
    figure.draw_without_rendering()
    assert time.get_xlim() == pytest.approx([2 * x for x in first.get_xlim()])


def test_populations_differ_in_colour_and_payloads_in_strength(recording):
    first, second = (axis.collections[0] for axis in panels(plot.raster(recording)))
    assert not np.array_equal(first.get_facecolor()[0][:3], second.get_facecolor()[0][:3])
    shades = first.get_alpha()
    assert shades[recording["x"].payload == 3] < shades[recording["x"].payload == 9].min()


def test_nodes_can_be_chosen_and_missing_ones_are_named(recording):
    assert len(panels(plot.raster(recording, nodes=["h"]))) == 1
    with pytest.raises(InputError, match=r"no spikes of 'q' were recorded \(recorded: x, h\)"):
        plot.raster(recording, nodes=["q"])
    with pytest.raises(InputError, match="nothing to draw"):
        plot.raster(recording, nodes=[])


def test_a_silent_node_is_drawn(recording):
    net = nc.Network("silent", dt=1e-3)
    net.input("x", 3, max_payload=5)
    net.population("h", nc.IF(), 3)
    net.connect("x", "h", nc.OneToOne(1.0))
    figure = plot.raster(nc.compile(net, "reference").run({}, 5))
    assert panels(figure)[1].get_title("left") == "h: 3 neurons, 0 spikes"


def test_unknown_picture_formats_are_refused(recording, tmp_path):
    with pytest.raises(InputError, match=r"cannot write the picture .*run\.bmp2"):
        plot.raster(recording, tmp_path / "run.bmp2")


def test_matplotlib_is_imported_late_and_pyplot_never():
    code = (
        "import sys, numpy as np, neurocomp as nc, neurocomp.plot as plot\n"
        "assert 'matplotlib' not in sys.modules\n"
        "net = nc.Network('n', dt=1e-3); net.input('x', 2); net.population('h', nc.IF(), 2)\n"
        "net.connect('x', 'h', nc.OneToOne())\n"
        "plot.raster(nc.compile(net, 'reference').run({}, 3))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_the_cure_is_named(recording, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(plot.PlotError, match=r'pip install "neurocomp\[plot\]"'):
        plot.raster(recording)

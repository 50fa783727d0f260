"""The stored traces of the NIR paper's frameworks, and its trained networks, on every backend."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.importers.nir import from_nir, read

TARGETS = [
    "reference",
    "cpu",
    pytest.param("lava", marks=pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava is not installed")),
]
DT = 1e-4
THETA = 0.1
# dialect -> (csv, the framework's voltage unit in ours)
TRACES = {
    "norse": ("norse", 1.0),
    "snntorch": ("snntorch", 25.0),
    "nengo": ("nengo", 10.0),
    "lava": ("lava_cpu_float", 1.0),
    "sinabs": ("sinabs", 1.0),
    "rockpool": ("rockpool", 1.0),
}


def trace(shared, name):
    """(input, v, spike) columns."""
    return np.loadtxt(shared / "nir" / f"lif_{name}.csv", delimiter=",").T


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dialect", TRACES)
def test_the_stored_trace_is_reproduced(shared, dialect, target):
    name, unit = TRACES[dialect]
    given, voltage, spikes = trace(shared, name)
    net = from_nir(shared / "nir" / "lif_norse.nir", dt=DT, dialect=dialect)
    recording = nc.compile(net, target).run({"input": (given > 0)[:, None]}, record=["spikes", "1.v"])
    assert np.array_equal(recording["1"].raster()[:, 0], spikes > 0)
    assert np.abs(recording["1.v"][:, 0] * unit - voltage).max() <= 5e-7 * THETA * unit
    assert spikes.sum() == 4


def test_sinabs_with_its_own_scaled_input(shared):
    """Sinabs adds its input unscaled; the paper's script gave it 0.04 = dt / tau, as its csv says."""
    given, voltage, spikes = trace(shared, "sinabs")
    graph = read(shared / "nir" / "lif_norse.nir")
    assert np.isclose(given.max(), DT / 0.0025)
    graph.nodes["0"].params["weight"] = graph.nodes["0"].params["weight"] * given.max()
    graph.nodes["1"].params["tau"] = graph.nodes["1"].params["tau"] / DT  # in steps, as Sinabs writes it
    net = from_nir(graph, dt=DT, dialect="sinabs")
    recording = nc.compile(net, "reference").run({"input": (given > 0)[:, None]}, record=["spikes", "1.v"])
    assert np.array_equal(recording["1"].raster()[:, 0], spikes > 0)
    assert np.abs(recording["1.v"][:, 0] - voltage).max() <= 5e-7 * THETA


@pytest.mark.parametrize(
    ("file", "dialect"), [("braille_noDelay_bias_zero", "snntorch"), ("braille_noDelay_noBias_subtract", "snntorch-subtract")]
)
def test_trained_recurrent_nets_agree_on_all_backends(shared, file, dialect):
    net = from_nir(shared / "nir" / f"{file}.nir", dialect=dialect)
    sample = np.load(shared / "nir" / "braille_sample0_input.npy")
    report = nc.conform(net, {"input": sample}, len(sample))
    assert report.identical, report.text
    assert report.spikes > 200


@pytest.mark.parametrize("file", ["braille_noDelay_bias_zero", "braille_noDelay_noBias_subtract"])
def test_recurrent_nets_equal_a_plain_loop_in_numpy(shared, file):
    """The same file, stepped by twenty lines that share nothing with the package but h5py's arrays."""
    h5py = pytest.importorskip("h5py")
    sample = np.load(shared / "nir" / "braille_sample0_input.npy").astype(float)
    with h5py.File(shared / "nir" / f"{file}.nir") as stored:
        nodes = {
            name: {k: np.asarray(v[()], float) for k, v in node.items() if k != "type"}
            for name, node in stored["node/nodes"].items()
        }
    subtract = "subtract" in file
    expected = plain_loop(nodes, sample, subtract)
    net = from_nir(shared / "nir" / f"{file}.nir", dialect="snntorch-subtract" if subtract else "snntorch")
    recording = nc.compile(net, "reference", mantissa_bits=31).run({"input": sample.astype(int)})
    for name, raster in expected.items():
        assert np.array_equal(recording[name].raster(), raster), name
        assert raster.sum() > 100


def plain_loop(nodes, sample, subtract):
    """Rasters of lif1.lif and lif2: Euler, current first, snnTorch's zero or subtract reset without delay."""
    state = {name: np.zeros((3, nodes[name]["v_threshold"].size)) for name in ("lif1.lif", "lif2")}
    rasters = {name: [] for name in state}

    def weighted(name, spikes):
        return nodes[name]["weight"] @ spikes + nodes[name].get("bias", 0.0)

    def step(name, drive):
        p, (i, v, _) = nodes[name], state[name]
        theta = p["v_threshold"]
        old = (v > theta) * theta if subtract else 0.0
        i = i * (1 - DT / p["tau_syn"]) + DT / p["tau_syn"] * p["w_in"] * drive
        v = v * (1 - DT / p["tau_mem"]) + DT / p["tau_mem"] * p["r"] * i - old
        fired = v > theta
        v = v - (fired * theta - old) if subtract else np.where(fired, 0.0, v)
        state[name] = np.array([i, v, fired])
        rasters[name].append(fired)
        return fired.astype(float)

    for row in sample:
        hidden = step("lif1.lif", weighted("fc1", row) + weighted("lif1.w_rec", state["lif1.lif"][2]))
        step("lif2", weighted("fc2", hidden))
    return {name: np.array(raster) for name, raster in rasters.items()}


def test_the_convolutional_net_runs_alike(shared):
    """Reference and cpu on the whole net; Lava on the same net (it takes Sparse where its Conv does not fit)."""
    net = from_nir(shared / "nir" / "cnn_sinabs.nir", dt=1e-3, dialect="sinabs")
    assert [type(p.connectivity).__name__ for p in net.projections.values()] == ["Conv2d", "Conv2d", "Conv2d", "Dense", "Dense"]
    raster = np.random.default_rng(0).random((300, 2, 34, 34)) < 0.02
    report = nc.conform(net, {"input": raster}, 300, ["reference", "cpu"], states=False)
    assert report.identical, report.text
    assert all(nc.compile(net, "cpu").run({"input": raster})[name].ids.size for name in net.populations)


@pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava is not installed")
def test_the_convolutional_net_on_lava(shared):
    net = from_nir(shared / "nir" / "cnn_sinabs.nir", dt=1e-3, dialect="sinabs")
    raster = np.random.default_rng(0).random((20, 2, 34, 34)) < 0.02
    report = nc.conform(net, {"input": raster}, 20, ["cpu", "lava"], states=False)
    assert report.identical, report.text

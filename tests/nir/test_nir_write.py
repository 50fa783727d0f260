"""Networks written as NIR: what can be said comes back bit for bit, what cannot is refused by name."""

from __future__ import annotations

import contextlib
import importlib
import itertools

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.importers.nir import DIALECTS, LOSSES, from_nir, read, to_nir

nir = pytest.importorskip("nir")
pytest.importorskip("h5py")
DT = 1e-3


def network(neuron=None, **options):
    net = nc.Network("net", dt=DT, **options)
    net.input("input", 3)
    net.population("n", neuron or nc.LIF(tau=np.array([4e-3, 5e-3]), v_reset=-0.1), 2)
    net.connect("input", "n", nc.Dense(np.array([[0.1, 0.2, 0.3], [1.5, -2, 0]]), bias=[0.25, 0.1]), name="input->fc->n")
    net.output("output", "n")
    return net


def params(graph):
    return {
        name: {k: np.asarray(v) for k, v in vars(node).items() if isinstance(v, np.ndarray)}
        for name, node in graph.nodes.items()
    }


def assert_same_behaviour(one, other, steps=40, rate=0.4, **renamed):
    rng = np.random.default_rng(0)
    given = {name: (rng.random((steps, *x.shape)) < rate).astype(int) for name, x in one.inputs.items()}
    record = [*one.populations, *(f"{n}.{s}" for n, p in one.populations.items() for s in p.neuron.model.state)]
    first = nc.compile(one, "cpu").run(given, steps, record)
    second = nc.compile(other, "cpu").run({renamed.get(k, k): v for k, v in given.items()}, steps, record)
    for name in one.populations:
        assert np.array_equal(first[name].raster(), second[name].raster()), name
    for name in first.states:
        assert np.array_equal(first.states[name].ravel(), second.states[name].ravel()), name


def test_round_trip_of_a_network(tmp_path):
    net = network()
    graph = to_nir(net, tmp_path / "net.nir")
    assert set(graph.nodes) == {"input", "fc", "n", "output"}
    assert isinstance(graph.nodes["fc"], nir.Affine)
    assert graph.nodes["fc"].weight.dtype == np.float64  # 0.1 is not a float32
    back = from_nir(tmp_path / "net.nir")  # dt from the metadata
    assert back.dt == DT
    assert np.array_equal(
        back.projections["input->fc->n"].connectivity.weights, net.projections["input->fc->n"].connectivity.weights
    )
    assert back.populations["n"].neuron.parameters["tau"].tolist() == [4e-3, 5e-3]
    assert_same_behaviour(net, back)
    nir.read(tmp_path / "net.nir")  # with the package's own type check


@pytest.mark.parametrize(
    ("file", "dialect", "lossy"),
    [
        ("lif_norse", "norse", ["integrator"]),
        ("two_lif_neurons", "nir", []),
        ("braille_noDelay_bias_zero", "snntorch", ["integrator"]),
        ("braille_noDelay_noBias_subtract", "snntorch-subtract", ["integrator", "model"]),
        ("cnn_sinabs", "sinabs", ["integrator", "model"]),
    ],
)
def test_files_there_and_back_keep_every_number(shared, tmp_path, file, dialect, lossy):
    net = from_nir(shared / "nir" / f"{file}.nir", dt=1e-4, dialect=dialect)
    with pytest.raises(nc.errors.ModelError, match="integrator") if lossy else contextlib.nullcontext():
        to_nir(net)
    to_nir(net, tmp_path / "back.nir", allow_lossy=lossy)
    back = from_nir(tmp_path / "back.nir", dt=1e-4, dialect=dialect)
    given = {"in": "input"}
    assert {given.get(x, x) for x in net.inputs} == set(back.inputs)
    if file != "cnn_sinabs":  # r was replaced by the dialect, and is again
        first, second = read(shared / "nir" / f"{file}.nir"), read(tmp_path / "back.nir")
        for name, node in first.nodes.items():
            for key, value in node.params.items():
                if isinstance(value, np.ndarray) and node.type not in ("Input", "Output"):
                    assert np.array_equal(second.nodes[name].params[key], value), (name, key)
    assert_same_behaviour(net, back, rate=0.1, **given)


def test_convolutions_and_pools_keep_their_kernels(tmp_path):
    rng = np.random.default_rng(0)
    nodes = {
        "input": {"type": "Input", "shape": [2, 8, 9]},
        "c": {
            "type": "Conv2d",
            "weight": rng.normal(size=(4, 1, 3, 2)).astype(np.float32),
            "groups": 2,
            "padding": [1, 0],
            "stride": [1, 2],
            "bias": np.arange(4.0),
        },
        "a": {"type": "IF", "r": np.full((4, 8, 4), 500.0), "v_threshold": np.ones((4, 8, 4))},
        "p": {"type": "AvgPool2d", "kernel_size": [2, 2], "stride": [2, 2], "padding": [0, 0]},
        "b": {"type": "IF", "r": np.full((4, 4, 2), 3000.0), "v_threshold": np.ones((4, 4, 2))},
        "output": {"type": "Output"},
    }
    net = from_nir({"nodes": nodes, "edges": list(itertools.pairwise(nodes))}, dt=DT)
    graph = to_nir(net, tmp_path / "net.nir")
    assert [type(graph.nodes[x]).__name__ for x in ("c", "p")] == ["Conv2d", "AvgPool2d"]
    assert np.array_equal(graph.nodes["c"].weight, nodes["c"]["weight"])
    assert_same_behaviour(net, from_nir(tmp_path / "net.nir"))
    line = {
        "input": {"type": "Input", "shape": [2, 9]},
        "c": {"type": "Conv1d", "weight": rng.normal(size=(2, 2, 3)), "stride": 2, "padding": 1, "bias": np.zeros(2)},
        "a": {"type": "IF", "r": np.full((2, 5), 500.0), "v_threshold": np.ones((2, 5))},
        "output": {"type": "Output"},
    }
    net = from_nir({"nodes": line, "edges": list(itertools.pairwise(line))}, dt=DT)
    assert isinstance(to_nir(net, tmp_path / "line.nir").nodes["c"], nir.Conv1d)
    assert_same_behaviour(net, from_nir(tmp_path / "line.nir"))


def test_delays_recurrence_and_structures(tmp_path):
    rng = np.random.default_rng(1)
    net = nc.Network("net", dt=DT)
    net.input("x", 4)
    net.input("y", (2, 2))
    net.population("a", nc.LIF(tau=4e-3, r=4.0), 4, bias=0.125)
    net.population("b", nc.CubaLIF(tau_syn=3e-3, tau_mem=5e-3, r=20.0), 4)
    net.connect("x", "a", nc.OneToOne(2.0), delay=np.array([0, 1, 2, 3]))
    net.connect("x", "a", nc.OneToOne(1.0), delay=4)
    net.connect("y", "a", nc.Sparse(np.diag([1.0, 0, 2, -1])))
    net.connect("a", "a", nc.Dense(rng.normal(size=(4, 4))), delay=1)
    net.connect("a", "b", nc.Dense(rng.normal(size=(4, 4))), delay=np.repeat([[1, 2, 3, 0]], 4, axis=0))
    net.connect("a", "b", nc.Dense(rng.normal(size=(4, 4))), delay=np.repeat([[0], [2], [1], [2]], 4, axis=1))
    net.connect("b", "b", nc.OneToOne(1.0), delay=3)
    to_nir(net, tmp_path / "net.nir")
    back = from_nir(tmp_path / "net.nir")
    assert back.outputs == {"output": "b"}
    assert_same_behaviour(net, back)


def test_readouts_and_several_ends(tmp_path):
    net = nc.Network("net", dt=DT)
    net.input("left", 2)
    net.input("right", 2)
    net.population("sum", nc.Readout(), 1)
    net.population("n", nc.LIF(tau=4e-3, r=8.0), 2)
    net.connect("left", "n", nc.OneToOne(1.0))
    net.connect("n", "sum", nc.Dense([[1.0, 2.0]]))
    net.connect("right", "sum", nc.Dense([[-1.0, 0.5]]))
    net.output("total", "sum")
    net.output("spikes", "n")
    graph = to_nir(net, tmp_path / "net.nir")
    assert {name for name, node in graph.nodes.items() if isinstance(node, nir.Output)} == {"total", "spikes"}
    back = from_nir(tmp_path / "net.nir")
    rng = np.random.default_rng(0)
    given = {name: rng.integers(0, 2, (20, 2)) for name in ("left", "right")}
    first = nc.compile(net, "cpu").run(given, record=["sum.v", "n"])
    second = nc.compile(back, "cpu").run(given, record=["total.v", "n"])
    assert np.array_equal(first["sum.v"], second["total.v"])
    assert np.array_equal(first["n"].raster(), second["n"].raster())


def refusals():
    graded = nc.Network("net", dt=DT)
    graded.input("input", 3, max_payload=7)
    graded.population("n", nc.LIF(tau=4e-3), 2)
    graded.connect("input", "n", nc.Dense(np.ones((2, 3))))
    synapses = network()
    synapses.connect("input", "n", nc.Dense(np.ones((2, 3))), delay=np.arange(6).reshape(2, 3))
    late = network()
    late.population("m", nc.LIF(tau=4e-3), 2)
    late.connect("n", "m", nc.OneToOne(1.0))
    late.connect("m", "n", nc.OneToOne(1.0))
    return {
        "reset": network(nc.LIF(tau=4e-3, reset="subtract")),
        "model": network(nc.SnnTorchLIF(tau=4e-3)),
        "integrator": network(integrator="euler"),
        "initial": network(nc.LIF(tau=4e-3, initial={"v": 0.5})),
        "delays": synapses,
        "payload": graded,
        "recurrence": late,
    }


@pytest.mark.parametrize("key", ["reset", "model", "integrator", "initial", "delays", "payload", "recurrence"])
def test_what_nir_cannot_say_is_refused_by_name(key):
    net = refusals()[key]
    with pytest.raises(nc.errors.ModelError, match=rf"allow_lossy=\['{key}'\]"):
        to_nir(net)
    assert isinstance(to_nir(net, allow_lossy=[key]), nir.NIRGraph)


def test_every_loss_is_listed_at_once_and_keys_are_checked():
    net = network(nc.LIF(tau=4e-3, reset="subtract", initial={"v": 0.5}), integrator="euler")
    with pytest.raises(nc.errors.ModelError) as caught:
        to_nir(net, allow_lossy=["reset"])
    assert "['integrator']" in str(caught.value)
    assert "['initial']" in str(caught.value)
    assert "['reset']" not in str(caught.value)
    with pytest.raises(nc.errors.ModelError, match="does not know 'everything'"):
        to_nir(net, allow_lossy=["everything"])
    loihi = nc.Network("net", dt=DT)
    loihi.population("n", nc.LoihiLIF(du=1, dv=1, vth=1), 1)
    with pytest.raises(nc.errors.ModelError, match="no neuron like LoihiLIF"):
        to_nir(loihi, allow_lossy=LOSSES)


def test_the_error_says_how_to_install(monkeypatch):
    whole = importlib.import_module

    def without(name, *args):
        if name == "nir":
            raise ImportError(name)
        return whole(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(nc.errors.FileFormatError, match="pip install nir"):
        to_nir(network())


def test_in_memory_graphs_equal_files(shared, tmp_path):
    path = shared / "nir" / "braille_noDelay_bias_zero.nir"
    memory, file = (from_nir(x, dialect="snntorch") for x in (nir.read(path, type_check=False), path))
    assert set(memory.populations) == set(file.populations)
    for label, projection in file.projections.items():
        assert np.array_equal(memory.projections[label].connectivity.weights, projection.connectivity.weights)
        assert memory.projections[label].delay == projection.delay


def test_all_dialects_are_rows_of_one_table():
    wanted = {"nir", "snntorch", "norse", "sinabs", "rockpool", "spyx", "nengo", "lava", "spinnaker2"}
    assert wanted <= set(DIALECTS)
    with pytest.raises(nc.errors.ModelError, match="no dialect 'brian'"):
        from_nir({"nodes": {}, "edges": []}, dt=DT, dialect="brian")

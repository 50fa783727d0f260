"""Files nobody should trust: one clear error each, no crash, no hang; legacy files with a note."""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
import pickle
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import neurocomp as nc
from neurocomp.importers.nir import NirError, from_nir, hdf5, read

h5py = pytest.importorskip("h5py")

LIF = {"type": "LIF", "tau": np.full(2, 4e-3), "r": np.ones(2), "v_leak": np.zeros(2), "v_threshold": np.ones(2)}
NODES = {
    "input": {"type": "Input", "shape": np.array([3])},
    "fc": {"type": "Affine", "weight": np.ones((2, 3), np.float32), "bias": np.zeros(2, np.float32)},
    "lif": LIF,
    "output": {"type": "Output", "shape": np.array([2])},
}
EDGES = list(itertools.pairwise(NODES))


def store(group, tree):
    for key, value in tree.items():
        if isinstance(value, dict):
            store(group.create_group(key), value)
        elif isinstance(value, str):
            group.create_dataset(key, data=value, dtype=h5py.string_dtype())
        elif key == "edges":
            pairs = [list(pair) for pair in value]
            group.create_dataset(key, data=pairs, dtype=h5py.string_dtype()) if pairs else group.create_dataset(key, data=pairs)
        else:
            group.create_dataset(key, data=value)


def write(path, nodes, edges, **more):
    with h5py.File(path, "w") as file:
        store(file, {"version": "1.0.8", "node": {"type": "NIRGraph", "nodes": nodes, "edges": edges, **more}})
    return path


def changed(node, **values):
    nodes = copy.deepcopy(NODES)
    nodes[node] |= values
    nodes[node] = {key: value for key, value in nodes[node].items() if value is not None}
    return nodes


def test_a_sound_file(tmp_path):
    path = write(tmp_path / "net.nir", NODES, EDGES)
    raw = read(path)
    assert raw.version == "1.0.8"
    assert {name: node.type for name, node in raw.nodes.items()} == {k: v["type"] for k, v in NODES.items()}
    assert sorted(raw.edges) == sorted(EDGES)
    assert not raw.notes
    net = from_nir(path, dt=1e-3)
    assert net.name == "net"
    assert np.array_equal(net.projections["input->fc->lif"].connectivity.weights, np.ones((2, 3)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello", "is not an HDF5 file"),
        (pickle.dumps({"weights": [1, 2]}), "Python pickle, which is never opened"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "is damaged"),
    ],
)
def test_foreign_files(tmp_path, content, message):
    path = tmp_path / "net.nir"
    path.write_bytes(content)
    with pytest.raises(nc.errors.FileFormatError, match=message) as caught:
        from_nir(path, dt=1e-3)
    assert caught.value.path == str(path)


def test_a_pickle_is_never_loaded(tmp_path, monkeypatch):
    for name in ("load", "loads"):
        monkeypatch.setattr(pickle, name, lambda *_, **__: pytest.fail("unpickled"))
    path = tmp_path / "net.nir"
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'echo pwned'\ntR.")
    with pytest.raises(NirError, match="never opened"):
        read(path)


def test_no_such_file_and_directory(tmp_path):
    with pytest.raises(NirError, match="no such file"):
        read(tmp_path / "none.nir")
    with pytest.raises(NirError, match="is a directory"):
        read(tmp_path)


def test_hdf5_that_is_not_nir(tmp_path):
    path = tmp_path / "other.nir"
    with h5py.File(path, "w") as file:
        file.create_dataset("weights", data=np.ones(3))
    with pytest.raises(NirError, match=r"no group 'node' \(it has: weights\)"):
        read(path)


BAD = {
    "unknown type": (changed("lif", type="Izhikevich"), EDGES, "lif", "unknown type"),
    "no type": (changed("lif", type=None), EDGES, "lif", "has no type"),
    "missing parameter": (changed("lif", tau=None), EDGES, "lif", "has no tau"),
    "missing weight": (changed("fc", weight=None), EDGES, "fc", "has no weight"),
    "nan": (changed("lif", tau=np.array([1e-3, np.nan])), EDGES, "lif", r"tau is nan at index \(1,\)"),
    "inf": (changed("fc", weight=np.full((2, 3), np.inf)), EDGES, "fc", "weight is inf"),
    "negative tau": (changed("lif", tau=np.array([-1e-3, 1e-3])), EDGES, "lif", "tau = -0.001 must be above 0"),
    "text as number": (changed("lif", tau="fast"), EDGES, "lif", "tau = fast is not numeric"),
    "missing target": (NODES, [*EDGES, ("lif", "ghost")], "ghost", "names a node that does not exist"),
    "missing source": (NODES, [*EDGES, ("ghost", "lif")], "ghost", "names a node that does not exist"),
    "sizes differ": (changed("fc", weight=np.ones((2, 4))), EDGES, "fc", r"takes \(4,\), but 'input' gives \(3,\)"),
    "parameters differ": (changed("lif", **{k: np.ones(3) for k in LIF if k != "type"}), EDGES, "lif", "parameters have shape"),
    "bias size": (changed("fc", bias=np.zeros(5)), EDGES, "fc", r"bias of shape \(5,\) does not fit"),
    "one-axis weight": (changed("fc", weight=np.ones(3)), EDGES, "fc", "expected"),
    "absurd input": (changed("input", shape=np.array([2**20, 2**20])), EDGES, "input", "more than"),
    "negative shape": (changed("input", shape=np.array([-3])), EDGES, "input", "below 1"),
    "fractional shape": (changed("input", shape=np.array([2.5])), EDGES, "input", "not a whole number"),
    "no edges": (NODES, None, "", "no edges"),
    "edges of three": (NODES, [("input", "fc", "lif")], "", "pairs of node names"),
    "one node, twice nested": ({"g": {"type": "NIRGraph", "nodes": {"a": LIF}}}, [], "g", "no edges"),
    "reset above threshold": (changed("lif", v_reset=np.full(2, 2.0)), EDGES, "lif", None),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_graphs_name_file_and_node(tmp_path, name):
    nodes, edges, node, message = BAD[name]
    path = tmp_path / "bad.nir"
    with h5py.File(path, "w") as file:
        store(file, {"node": {"type": "NIRGraph", "nodes": nodes, **({} if edges is None else {"edges": edges})}})
    if message is None:  # found by verify, which names the population
        with pytest.raises(nc.errors.VerificationError, match=node):
            nc.compile(from_nir(path, dt=1e-3))
        return
    with pytest.raises(NirError, match=message) as caught:
        from_nir(path, dt=1e-3)
    assert caught.value.path == str(path)
    assert str(path) in str(caught.value)
    assert caught.value.node == node


CONV = {
    "type": "Conv2d",
    "weight": np.ones((2, 1, 3, 3)),
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "bias": np.zeros(2),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"padding": "full"}, "padding 'full'"),
        ({"padding": "same", "stride": 2}, "'same' with stride"),
        ({"stride": 0}, r"stride = \[0\] must be 2 whole numbers of at least 1"),
        ({"stride": np.array([1, 1, 1])}, "stride"),
        ({"padding": -1}, "padding"),
        ({"dilation": 1.5}, "dilation = 1.5 is not a whole number"),
        ({"groups": 3}, "groups"),
        ({"bias": np.zeros(3)}, "bias"),
        ({"weight": np.ones((2, 1, 3))}, "weight has shape"),
        ({"weight": np.ones((2, 4, 3, 3))}, r"takes 4 channels .* gives \(1, 5, 5\)"),
        ({"weight": np.ones((2, 1, 9, 9))}, "kernel of .* does not fit"),
    ],
)
def test_bad_convolutions(change, message):
    nodes = {"input": {"type": "Input", "shape": [1, 5, 5]}, "c": {**CONV, **change}, "output": {"type": "Output"}}
    with pytest.raises(NirError, match=message) as caught:
        from_nir({"nodes": nodes, "edges": list(itertools.pairwise(nodes))}, dt=1e-3)
    assert caught.value.node == "c"


def test_dt_is_never_guessed(tmp_path):
    path = write(tmp_path / "net.nir", NODES, EDGES)
    with pytest.raises(NirError, match="give dt in seconds"):
        from_nir(path)
    stored = write(tmp_path / "with_dt.nir", NODES, EDGES, metadata={"dt": 2e-4})
    net = from_nir(stored)
    assert net.dt == 2e-4
    assert any("metadata" in str(change) for change in net.changes)
    assert from_nir(stored, dt=1e-3).dt == 1e-3


# ----------------------------------------------------------------------------------------------------------- legacy files


def notes(net):
    return "\n".join(map(str, net.changes))


def test_scalars_of_shape_one_and_bytes(tmp_path):
    nodes = copy.deepcopy(NODES)
    nodes["lif"] = {key: value if key == "type" else value[:1] for key, value in LIF.items()}
    path = write(tmp_path / "net.nir", nodes, EDGES)
    with h5py.File(path, "a") as file:
        lif = file["node/nodes/lif"]
        del lif["type"]
        lif.create_dataset("type", data=np.array([b"LIF"]))  # fixed-length bytes, in a list
        del lif["r"]
        lif.create_dataset("r", data=1.0)
    net = from_nir(path, dt=1e-3)
    assert net.populations["lif"].size == 2
    assert net.populations["lif"].neuron.parameters["tau"] == 4e-3


def test_edges_to_missing_input_and_output(tmp_path):
    nodes = {name: node for name, node in NODES.items() if name not in ("input", "output")}
    net = from_nir(write(tmp_path / "net.nir", nodes, EDGES), dt=1e-3)
    assert net.inputs["input"].shape == (3,)
    assert net.outputs == {"output": "lif"}
    assert notes(net).count("the edges name it, the nodes do not") == 2


def test_duplicate_edges(tmp_path):
    net = from_nir(write(tmp_path / "net.nir", NODES, [*EDGES, EDGES[0]]), dt=1e-3)
    assert len(net.projections) == 1
    assert "input -> fc: listed several times -> one edge" in notes(net)


def test_missing_and_wrong_shapes_of_convolutions():
    weight = np.ones((2, 1, 2, 3))
    nodes = {
        "input": {"type": "Input", "shape": [1, 6, 7]},
        "conv": {"type": "Conv2d", "weight": weight, "input_shape": [7, 6]},
        "flat": {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": [2, 5, 5]},
        "fc": {"type": "Linear", "weight": np.ones((1, 50))},
        "output": {"type": "Output", "shape": [3]},
    }
    edges = list(itertools.pairwise(nodes))
    net = from_nir({"nodes": nodes, "edges": edges}, dt=1e-3)
    text = notes(net)
    assert "conv: input_shape (7, 6) -> input_shape (6, 7)" in text
    assert "output: stored shape (3,) -> shape (1,)" in text
    assert text.count("the file leaves it out") == 4  # stride, padding, dilation, groups
    del nodes["input"]["shape"], nodes["conv"]["input_shape"]
    with pytest.raises(NirError, match="its shape is unknown"):
        from_nir({"nodes": nodes, "edges": edges}, dt=1e-3)
    nodes["conv"]["input_shape"] = [6, 7]
    assert from_nir({"nodes": nodes, "edges": edges}, dt=1e-3).inputs["input"].shape == (1, 6, 7)


def test_unknown_parameters_are_told():
    nodes = {**NODES, "lif": {**LIF, "refractory": 2.0}}
    assert "lif: parameter refractory -> ignored" in notes(from_nir({"nodes": nodes, "edges": EDGES}, dt=1e-3))


# ---------------------------------------------------------------------------------------------------------- HDF5's tricks


def test_links_are_not_followed(tmp_path):
    other = write(tmp_path / "other.nir", NODES, EDGES)
    for link in (h5py.ExternalLink(str(other), "node/nodes/lif"), h5py.SoftLink("/node/nodes/fc")):
        path = write(tmp_path / "net.nir", NODES, EDGES)
        with h5py.File(path, "a") as file:
            del file["node/nodes/lif"]
            file["node/nodes/lif"] = link
        with pytest.raises(NirError, match="'node/nodes/lif' is a link to another place"):
            read(path)


def test_data_in_other_files_is_not_read(tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(16))
    path = write(tmp_path / "net.nir", NODES, EDGES)
    with h5py.File(path, "a") as file:
        del file["node/nodes/lif/tau"]
        file["node/nodes/lif"].create_dataset("tau", (2,), "f8", external=[(str(secret), 0, 16)])
    with pytest.raises(NirError, match="keeps its data in another file"):
        read(path)
    path = write(tmp_path / "virtual.nir", NODES, EDGES)
    with h5py.File(path, "a") as file:
        layout = h5py.VirtualLayout((2,), "f8")
        layout[:] = h5py.VirtualSource("other.h5", "x", (2,))
        del file["node/nodes/lif/tau"]
        file["node/nodes/lif"].create_virtual_dataset("tau", layout)
    with pytest.raises(NirError, match="keeps its data in another file"):
        read(path)


def test_absurd_sizes_are_refused_before_reading(tmp_path):
    path = write(tmp_path / "net.nir", NODES, EDGES)
    with h5py.File(path, "a") as file:  # a petabyte that takes no room in the file
        del file["node/nodes/fc/weight"]
        file["node/nodes/fc"].create_dataset("weight", (2**25, 2**22), "f8", chunks=(1024, 1024))
    assert path.stat().st_size < 2**20
    began = time.perf_counter()
    with pytest.raises(NirError, match="beyond the limit"):
        read(path)
    assert time.perf_counter() - began < 5


def test_groups_in_circles_end(tmp_path):
    path = write(tmp_path / "net.nir", NODES, EDGES)
    with h5py.File(path, "a") as file:
        file["node/nodes/lif/again"] = file["node/nodes"]
        file["node/nodes/fc/again"] = file["node/nodes"]
    began = time.perf_counter()
    with pytest.raises(NirError, match=r"nested more than|more than .* members"):
        read(path)
    assert time.perf_counter() - began < 60


def test_other_kinds_of_data(tmp_path):
    path = write(tmp_path / "net.nir", NODES, EDGES)
    with h5py.File(path, "a") as file:
        del file["node/nodes/lif/tau"]
        file["node/nodes/lif"].create_dataset("tau", data=np.zeros(2, [("a", "f4"), ("b", "i4")]))
    with pytest.raises(NirError, match="expected numbers or strings"):
        read(path)


# ------------------------------------------------------------------------------------------------------------------ fuzz

EXAMPLES = int(os.environ.get("NEUROCOMP_FUZZ", "20"))
FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def little_patience(monkeypatch):
    """libhdf5 does loop for ever on some damaged files; the reader's process is then ended."""
    monkeypatch.setattr(hdf5, "SECONDS", 5.0)


def attempt(path):
    """Only our errors may come out, and soon."""
    began = time.perf_counter()
    try:
        net = from_nir(path, dt=1e-3)
        nc.verify(net)
    except nc.errors.NeurocompError:
        pass
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize("name", ["lif_norse", "braille_noDelay_bias_zero", "cnn_sinabs", "two_lif_neurons"])
def test_truncated_and_flipped_files(shared, tmp_path, name):
    whole = (shared / "nir" / f"{name}.nir").read_bytes()
    path = tmp_path / "fuzzed.nir"

    @FUZZ
    @given(st.integers(0, len(whole)), st.lists(st.tuples(st.integers(8, len(whole) - 1), st.integers(1, 255)), max_size=8))
    def check(length, flips):
        data = bytearray(whole)
        for at, value in flips:
            data[at] ^= value
        path.write_bytes(bytes(data[: length if length % 3 == 0 else len(data)]))
        attempt(path)

    check()


@pytest.mark.parametrize("seed", range(8))
def test_headers_full_of_noise(shared, tmp_path, seed):
    """Flips where HDF5 keeps its structure: the first kilobytes."""
    whole = (shared / "nir" / "lif_norse.nir").read_bytes()
    rng = np.random.default_rng(seed)
    path = tmp_path / "fuzzed.nir"
    for _ in range(EXAMPLES // 4):
        data = np.frombuffer(whole, np.uint8).copy()
        at = rng.integers(8, 4096, rng.integers(1, 12))
        data[at] = rng.integers(0, 256, len(at))
        path.write_bytes(data.tobytes())
        attempt(path)


leaves = st.one_of(
    st.integers(-3, 40),
    st.floats(),
    st.sampled_from(["LIF", "Input", "Output", "NIRGraph", "Conv2d", "same", "", "input", "ü"]),
    st.lists(st.floats(width=32), max_size=4),
    st.lists(st.integers(-2, 5), max_size=4),
    st.lists(st.lists(st.sampled_from(["input", "a", "b", "output"]), min_size=2, max_size=2), max_size=4),
)
keys = st.sampled_from(
    [
        "type",
        "nodes",
        "edges",
        "input",
        "a",
        "b",
        "output",
        "weight",
        "bias",
        "tau",
        "r",
        "v_threshold",
        "v_leak",
        "shape",
        "stride",
    ]
)
trees = st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, max_size=6), max_leaves=25)


@FUZZ
@given(tree=st.dictionaries(keys, trees, max_size=6))
def test_any_structure_gives_only_our_errors(tmp_path, tree):
    path = tmp_path / "structure.nir"

    def put(group, values):
        for key, value in values.items():
            if isinstance(value, dict):
                put(group.create_group(key), value)
            elif isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], list)):
                group.create_dataset(key, data=value, dtype=h5py.string_dtype())
            else:
                group.create_dataset(key, data=value)

    with h5py.File(path, "w") as file:
        put(file, {"node": {"type": "NIRGraph", **tree}} if "type" not in tree else {"node": tree})
    attempt(path)


@settings(FUZZ, max_examples=10 * EXAMPLES)
@given(tree=st.dictionaries(keys, trees, max_size=6))
def test_any_structure_in_memory(tree):
    with contextlib.suppress(nc.errors.NeurocompError):
        nc.verify(from_nir({"nodes": {}, "edges": [], **tree}, dt=1e-3))

"""lava-dl's .net files: small ones written here with h5py in netx's layout, against the bit-accurate equations in NumPy."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.importers.lavadl import from_lavadl

h5py = pytest.importorskip("h5py")
NEURON = {"type": np.array([b"LOIHI"]), "iDecay": 1024, "vDecay": 128, "vThMant": 80, "refDelay": 1, "wgtExp": 0}


def write(path, *layers):
    with h5py.File(path, "w") as file:
        for k, layer in enumerate(layers):
            store(file.create_group(f"layer/{k}"), layer)
    return path


def store(group, values):
    for key, value in values.items():
        if isinstance(value, dict):
            store(group.create_group(key), value)
        else:
            group.create_dataset(key, data=value)


def dense(weight, kind=b"dense", **more):
    return {"type": np.array([kind]), "shape": [len(weight)], "weight": weight, "neuron": NEURON, **more}


def loihi(drive, bias=0, du=1023, dv=128, vth=80):
    """Spikes of Lava's bit-accurate LIF for integer drive (steps, neurons)."""

    def decay(x, d):
        return np.sign(x) * ((np.abs(x) * (4096 - d)) >> 12)

    u = v = np.zeros(drive.shape[1], np.int64)
    spikes = []
    for a in drive:
        u = decay(u, du + 1) + (a.astype(np.int64) << 6)
        v = np.clip(decay(v, dv) + u + (np.asarray(bias, np.int64) << 6), -(2**23) + 1, 2**23 - 1)
        fired = v > vth << 6
        v = np.where(fired, 0, v)
        spikes.append(fired)
    return np.array(spikes)


def later(raster):
    return np.vstack([np.zeros_like(raster[:1]), raster[:-1]])


def even(rng, *shape, high=30):
    return 2 * rng.integers(-high, high, shape)


def test_dense_with_bias_and_delay(tmp_path):
    rng = np.random.default_rng(0)
    weight, bias, delay = even(rng, 5, 6), rng.integers(-3, 4, 5), rng.integers(0, 4, 6)
    path = write(tmp_path / "net.net", dense(weight.astype(np.float32), bias=bias, delay=delay))
    net = from_lavadl(path)
    raster = (rng.random((60, 6)) < 0.3).astype(int)
    delayed = np.array([np.r_[np.zeros(d + 1, int), column][:60] for d, column in zip(delay, raster.T, strict=True)]).T
    expected = loihi(delayed @ weight.T, bias)
    recording = nc.compile(net, "cpu").run({"input": raster})
    assert np.array_equal(recording["layer0"].raster(), expected)
    assert expected.sum() > 20
    assert net.outputs == {"output": "layer0"}


def test_input_layer_recurrence_and_flat_weights(tmp_path):
    rng = np.random.default_rng(1)
    first, recurrent = even(rng, 4, 3), even(rng, 4, 4)
    path = write(
        tmp_path / "net.net",
        {"type": b"input", "shape": [3], "neuron": {**NEURON, "vThMant": 20}},
        {**dense(first, b"dense_rec", weight_rec=recurrent), "weight": first.ravel()},
    )
    net = from_lavadl(path)
    raster = (rng.random((80, 3)) < 0.4).astype(int)
    entrance = loihi(raster * 64, vth=20)
    drive, spikes, u, v = later(entrance) @ first.T, [], np.zeros(4, np.int64), np.zeros(4, np.int64)
    back = np.zeros(4, np.int64)
    for a in drive:  # one neuron layer with its own spikes of the last step
        u = np.sign(u) * ((np.abs(u) * (4096 - 1024)) >> 12) + ((a + recurrent @ back) << 6)
        v = np.sign(v) * ((np.abs(v) * (4096 - 128)) >> 12) + u
        back = (v > 80 << 6).astype(np.int64)
        v = np.where(back > 0, 0, v)
        spikes.append(back > 0)
    recording = nc.compile(net, "cpu").run({"input": raster})
    assert np.array_equal(recording["layer0"].raster(), entrance)
    assert np.array_equal(recording["layer1"].raster(), np.array(spikes))
    assert np.array(spikes).sum() > 20


def conv_file(tmp_path, rng):
    kernel = even(rng, 3, 2, 3, 2, 1)
    matrix = even(rng, 4, 3 * 3 * 5)
    conv = {"type": b"conv", "shape": [3, 3, 5], "weight": kernel, "neuron": NEURON, "bias": np.array([1, 0, -1])}
    conv |= {"stride": [2, 1], "padding": [1, 0], "dilation": [1, 1], "groups": 1, "kernelSize": [3, 2]}
    layers = {"type": b"input", "shape": [2, 5, 6]}, conv, {"type": b"flatten", "shape": [45]}, dense(matrix)
    return write(tmp_path / "net.net", *layers), kernel[..., 0], matrix


def test_conv_and_flatten(tmp_path):
    rng = np.random.default_rng(2)
    path, kernel, matrix = conv_file(tmp_path, rng)
    net = from_lavadl(path)
    assert [p.connectivity.kind for p in net.projections.values()] == ["Conv2d", "Dense"]
    raster = (rng.random((40, 2, 5, 6)) < 0.3).astype(int)
    padded = np.pad(raster, [(0, 0), (0, 0), (1, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 2), axis=(2, 3))[:, :, ::2]
    sums = np.einsum("tcyxij,ocij->toyx", windows, kernel).reshape(40, -1)
    hidden = loihi(later(sums), np.repeat([1, 0, -1], 15))
    expected = loihi(later(hidden) @ matrix.T)
    recording = nc.compile(net, "cpu").run({"input": raster})
    assert np.array_equal(recording["layer1"].raster().reshape(40, -1), hidden)
    assert np.array_equal(recording["layer3"].raster(), expected)
    assert hidden.sum() > 50
    assert expected.sum() > 10


@pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava is not installed")
def test_all_backends_agree(tmp_path):
    rng = np.random.default_rng(3)
    net = from_lavadl(conv_file(tmp_path, rng)[0])
    report = nc.conform(net, {"input": (rng.random((30, 2, 5, 6)) < 0.3).astype(int)}, 30)
    assert report.identical, report.text
    assert len(report.compared) == 3


@pytest.mark.parametrize(
    ("weight", "exponent"),
    [
        ([[2.0, -4.0]], 0),
        ([[1.0, -3.0]], -1),
        ([[400.0, -512.0]], 1),
        ([[7.0, 255.0]], 0),
        ([[510.0, 2.0]], 1),
        ([[-255.0, -1.0]], 0),
    ],
)
def test_weights_are_kept_exactly(tmp_path, weight, exponent):
    net = from_lavadl(write(tmp_path / "net.net", dense(np.array(weight))))
    (projection,) = net.projections.values()
    assert projection.loihi.weight_exp == exponent
    lowered = nc.compile(net, "cpu").lowered.projections[projection.name]
    assert np.array_equal(np.ldexp(lowered.connectivity.weights, -lowered.shift), weight)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"type": b"average", "shape": [3]}], "layer 0: type 'average' is not supported"),
        ([{"shape": [3]}], "layer 0: has no 'type'"),
        ([{"type": b"dense", "shape": [3], "neuron": NEURON}], "layer 0: has no 'weight'"),
        ([dense(np.ones((2, 3))), dense(np.ones((2, 5)))], r"layer 1: weight \(2, 5\) .* does not fit 2 inputs"),
        ([dense(np.ones((2, 3)), neuron={**NEURON, "type": b"SDNN"})], "neuron type 'SDNN'"),
        ([dense(np.full((2, 3), np.nan))], "layer 0: weight holds something else"),
        ([dense(np.ones((2, 3)), delay=np.arange(5))], "layer 0: delay of shape"),
        ([dense(np.ones((2, 3)), bias=np.zeros(4))], "layer 0: 4 biases"),
        ([{"type": b"input", "shape": [2**20, 2**20]}], "makes no sense"),
        ([{"type": b"input", "shape": [3], "neuron": NEURON, "bias": 3}], "bias in the input's transform"),
        ([{"type": b"conv", "shape": [1], "weight": np.ones((1, 1, 2, 2)), "neuron": NEURON}], "needs an input layer"),
        ([{"type": b"input", "shape": [3]}], "no layer of neurons"),
    ],
)
def test_errors_name_file_and_layer(tmp_path, layers, message):
    path = write(tmp_path / "bad.net", *layers)
    with pytest.raises(nc.errors.FileFormatError, match=message) as caught:
        from_lavadl(path)
    assert caught.value.path == str(path)


def test_foreign_files(tmp_path):
    path = tmp_path / "net.net"
    path.write_bytes(b"\x80\x04pickle")
    with pytest.raises(nc.errors.FileFormatError, match="never opened"):
        from_lavadl(path)
    with h5py.File(path, "w") as file:
        file["weights"] = np.ones(3)
    with pytest.raises(nc.errors.FileFormatError, match="no group 'layer'"):
        from_lavadl(path)


def test_ignored_parameters_are_told(tmp_path):
    net = from_lavadl(write(tmp_path / "net.net", dense(np.ones((2, 3)), neuron={**NEURON, "refDelay": 4}, delay=np.array(70))))
    text = "\n".join(map(str, net.changes))
    assert "refDelay = 4 -> ignored" in text
    assert "delay 70 -> delay 62" in text
    assert next(iter(net.projections.values())).delay == 63

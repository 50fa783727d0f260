"""Each of NIR's 16 primitives in a small graph, against NumPy and scipy.signal code that shares nothing with the package."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.signal

import neurocomp as nc
from neurocomp.importers.nir import NirError, from_nir

STEPS, DT = 12, 1e-3


def graph(shape, nodes, edges=None):
    """input -> the nodes in a row -> output, or the given edges."""
    names = ["input", *nodes, "output"]
    everything = {"input": {"type": "Input", "shape": shape}, **nodes, "output": {"type": "Output"}}
    return {"nodes": everything, "edges": edges or list(itertools.pairwise(names))}


def dyadic(rng, *shape):
    """Weights that are exact on any grid."""
    return rng.integers(-16, 17, shape) / 8.0


def raster(rng, *shape):
    return (rng.random((STEPS, *shape)) < 0.3).astype(int)


def readout(description, given, target="cpu", **options):
    """What arrives at the output, per step."""
    net = from_nir(description, dt=DT, **options)
    recording = nc.compile(net, target).run({"input": given}, record=[f"{net.outputs['output']}.v"])
    return recording[f"{net.outputs['output']}.v"]


def test_linear_affine_and_scale():
    rng = np.random.default_rng(1)
    weight, bias, scale, given = dyadic(rng, 4, 5), dyadic(rng, 4), dyadic(rng, 4), raster(rng, 5)
    assert np.array_equal(readout(graph([5], {"w": {"type": "Linear", "weight": weight}}), given), given @ weight.T)
    affine = {"type": "Affine", "weight": weight, "bias": bias}
    assert np.array_equal(readout(graph([5], {"w": affine}), given), given @ weight.T + bias)
    both = graph([5], {"w": affine, "s": {"type": "Scale", "scale": scale}})
    assert np.array_equal(readout(both, given), (given @ weight.T + bias) * scale)
    alone = graph([4], {"s": {"type": "Scale", "scale": scale}})
    assert np.array_equal(readout(alone, given[:, :4]), given[:, :4] * scale)


@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 3, 5)])
def test_a_matrix_acts_on_the_last_axis_and_stacked_matrices_in_blocks(shape):
    rng = np.random.default_rng(2)
    given, one, many = raster(rng, *shape), dyadic(rng, 4, 5), dyadic(rng, *shape[:2], 4, 5)
    got = readout(graph(list(shape), {"w": {"type": "Linear", "weight": one}}), given)
    assert np.array_equal(got, np.einsum("oi,tabi->tabo", one, given))
    got = readout(graph(list(shape), {"w": {"type": "Linear", "weight": many}}), given)
    assert np.array_equal(got, np.einsum("aboi,tabi->tabo", many, given))


CONVOLUTIONS = [
    # (channels in, out, groups, (H, W), kernel, stride, padding, dilation)
    (1, 1, 1, (6, 6), (3, 3), (1, 1), (0, 0), (1, 1)),
    (2, 3, 1, (7, 5), (3, 2), (1, 1), (1, 0), (1, 1)),
    (2, 4, 2, (8, 9), (2, 3), (2, 3), (1, 2), (1, 1)),
    (4, 4, 4, (9, 8), (3, 3), (1, 2), (2, 1), (2, 1)),
    (3, 2, 1, (10, 7), (5, 1), (3, 1), (0, 3), (1, 4)),
    (2, 2, 1, (6, 7), (3, 4), (1, 1), "same", (1, 1)),
    (2, 2, 2, (9, 9), (2, 3), (1, 1), "same", (3, 2)),
    (1, 2, 1, (5, 8), (4, 4), (2, 1), "valid", (1, 2)),
]


def correlate(images, weight, groups, stride, padding, dilation):
    """Torch's conv for (T, C, ...) arrays of one or two axes, by scipy.signal.correlate on a dilated kernel."""
    axes = weight.ndim - 2
    span = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    if padding == "same":
        sides = [(total // 2, total - total // 2) for total in span]
    else:
        sides = [(0, 0)] * axes if padding == "valid" else [(p, p) for p in padding]
    padded = np.pad(images, [(0, 0), (0, 0), *sides])
    wide = np.zeros((*weight.shape[:2], *(s + 1 for s in span)))
    wide[(..., *(slice(None, None, d) for d in dilation))] = weight
    c_out, per_group = weight.shape[:2]
    result = []
    for image, co in itertools.product(padded, range(c_out)):
        first = co // (c_out // groups) * per_group
        planes = [scipy.signal.correlate(image[first + k], wide[co, k], "valid") for k in range(per_group)]
        result.append(sum(planes)[tuple(slice(None, None, s) for s in stride)])
    return np.array(result).reshape(len(images), c_out, *result[0].shape)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("bias", [False, True])
def test_conv2d(case, bias):
    c_in, c_out, groups, size, kernel, stride, padding, dilation = case
    rng = np.random.default_rng(3)
    weight, given = dyadic(rng, c_out, c_in // groups, *kernel), raster(rng, c_in, *size)
    node = {"type": "Conv2d", "weight": weight, "stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    node["bias"] = dyadic(rng, c_out) if bias else None
    expected = correlate(given, weight, groups, stride, padding, dilation)
    expected = expected + (node["bias"][:, None, None] if bias else 0.0)
    got = readout(graph([c_in, *size], {"c": node}), given)
    assert got.shape == expected.shape
    assert np.allclose(got, expected, rtol=0, atol=1e-12)  # scipy may convolve by FFT
    assert np.array_equal(got, np.round(expected * 8) / 8)


@pytest.mark.parametrize(
    ("c_in", "c_out", "groups", "length", "k", "stride", "padding", "dilation"),
    [(1, 1, 1, 9, 3, 1, 0, 1), (2, 4, 2, 12, 3, 2, 1, 2), (3, 2, 1, 7, 4, 1, "same", 1), (2, 2, 1, 11, 2, 3, "valid", 4)],
)
def test_conv1d(c_in, c_out, groups, length, k, stride, padding, dilation):
    rng = np.random.default_rng(4)
    weight, bias, given = dyadic(rng, c_out, c_in // groups, k), dyadic(rng, c_out), raster(rng, c_in, length)
    node = {"type": "Conv1d", "weight": weight, "bias": bias, "stride": stride, "padding": padding, "dilation": dilation}
    node |= {"groups": groups, "input_shape": length}
    sides = padding if isinstance(padding, str) else (padding,)
    expected = correlate(given, weight, groups, (stride,), sides, (dilation,)) + bias[:, None]
    got = readout(graph([c_in, length], {"c": node}), given)
    assert got.shape == expected.shape
    assert np.array_equal(got, np.round(expected * 8) / 8)


@pytest.mark.parametrize("kind", ["SumPool2d", "AvgPool2d"])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [((4, 6), (2, 2), (2, 2), (0, 0)), ((7, 5), (2, 4), (2, 1), (1, 2)), ((6, 9), (1, 2), (3, 3), (0, 0))],
)
def test_pools(kind, size, kernel, stride, padding):
    rng = np.random.default_rng(5)
    given = raster(rng, 3, *size)
    padded = np.pad(given, [(0, 0), (0, 0), *((p, p) for p in padding)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    expected = windows.sum(axis=(-2, -1)) if kind == "SumPool2d" else windows.mean(axis=(-2, -1))
    node = {"type": kind, "kernel_size": np.array(kernel), "stride": np.array(stride), "padding": np.array(padding)}
    assert np.array_equal(readout(graph([3, *size], {"p": node}), given), expected)


@pytest.mark.parametrize(("start", "end"), [(0, -1), (1, -1), (0, 1), (1, 2), (-2, -1)])
def test_flatten_only_renames(start, end):
    rng = np.random.default_rng(6)
    given = raster(rng, 2, 3, 4)
    description = graph([2, 3, 4], {"f": {"type": "Flatten", "start_dim": start, "end_dim": end, "input_type": [2, 3, 4]}})
    net = from_nir(description, dt=DT)
    assert net.outputs == {"output": "input"}  # nothing between them has an effect
    full = graph([2, 3, 4], {"f": description["nodes"]["f"], "s": {"type": "Scale", "scale": 2.0}})
    assert np.array_equal(readout(full, given).reshape(STEPS, -1), 2.0 * given.reshape(STEPS, -1))


def test_delay_per_element():
    rng = np.random.default_rng(7)
    given, weight = raster(rng, 3), dyadic(rng, 2, 3)
    steps = np.array([0, 2, 5])
    nodes = {"d": {"type": "Delay", "delay": steps * DT}, "w": {"type": "Linear", "weight": weight}}
    delayed = np.array([np.r_[np.zeros(k), column[: STEPS - k]] for k, column in zip(steps, given.T, strict=True)]).T
    assert np.array_equal(readout(graph([3], nodes), given), delayed @ weight.T)
    assert np.array_equal(readout(graph([3], {"d": nodes["d"]}), given), delayed)
    uniform = graph([3], {"w": nodes["w"], "d": {"type": "Delay", "delay": np.full(2, 3 * DT)}})
    net = from_nir(uniform, dt=DT)
    assert [p.delay for p in net.projections.values()] == [3]
    with pytest.raises(NirError, match=r"node 'd'.*delay of 0.0025 s is 2.5 steps"):
        from_nir(graph([3], {"d": {"type": "Delay", "delay": 0.0025}}), dt=DT)


def test_threshold():
    rng = np.random.default_rng(8)
    given, weight, theta = raster(rng, 6), dyadic(rng, 4, 6), np.array([0.0, 0.5, -1.0, 1.0])
    description = graph([6], {"w": {"type": "Linear", "weight": weight}, "t": {"type": "Threshold", "threshold": theta}})
    recording = nc.compile(from_nir(description, dt=DT), "cpu").run({"input": given})
    assert np.array_equal(recording["t"].raster(), given @ weight.T > theta)


NEURONS = {
    "I": {"r": 3.0},
    "LI": {"tau": 4e-3, "r": 2.0, "v_leak": 0.25},
    "CubaLI": {"tau_syn": 3e-3, "tau_mem": 5e-3, "r": 2.0, "v_leak": -0.5, "w_in": 1.5},
    "IF": {"r": 300.0, "v_threshold": 0.8, "v_reset": -0.2},
    "LIF": {"tau": 4e-3, "r": 2.0, "v_leak": 0.125, "v_threshold": 0.7, "v_reset": -0.1},
    "CubaLIF": {"tau_syn": 3e-3, "tau_mem": 5e-3, "r": 3.0, "v_leak": 0.0, "v_threshold": 0.9, "v_reset": 0.1, "w_in": 1.5},
}


def integrate(kind, p, drive, rule):
    """(v, spikes) per step by the textbook: Euler, or the exact solution of each equation under a constant input."""

    def move(x, target, tau):
        return x + (target - x) * (DT / tau if rule == "euler" else 1.0 - np.exp(-DT / tau))

    i, v, voltages, spikes = np.zeros_like(drive[0]), np.zeros_like(drive[0]), [], []
    for a in drive:
        if "tau_syn" in p:
            i = move(i, p["w_in"] * a, p["tau_syn"])
            a = i
        v = v + DT * p["r"] * a if kind in ("I", "IF") else move(v, p["v_leak"] + p["r"] * a, p.get("tau", p.get("tau_mem")))
        fired = v > p.get("v_threshold", np.inf)
        v = np.where(fired, p.get("v_reset", 0.0), v)
        voltages.append(v)
        spikes.append(fired)
    return np.array(voltages), np.array(spikes)


@pytest.mark.parametrize("rule", ["euler", "exponential"])
@pytest.mark.parametrize("kind", NEURONS)
def test_neurons(kind, rule):
    rng = np.random.default_rng(9)
    size, steps = 5, 200
    given, weight = (rng.random((steps, 3)) < 0.4).astype(int), dyadic(rng, size, 3) + 0.5
    p = {key: np.full(size, value) if k % 2 else np.asarray(value) for k, (key, value) in enumerate(NEURONS[kind].items())}
    description = graph([3], {"w": {"type": "Linear", "weight": weight}, "n": {"type": kind, **p}})
    net = from_nir(description, dt=DT, integrator=rule)
    assert net.outputs == {"output": "n"}
    recording = nc.compile(net, "cpu").run({"input": given}, record=["n", "n.v"])
    voltages, spikes = integrate(kind, NEURONS[kind], given @ weight.T, rule)
    assert np.array_equal(recording["n"].raster(), spikes)
    assert np.abs(recording["n.v"] - voltages).max() < 1e-6 * max(1.0, np.abs(voltages).max())
    assert spikes.any() == (kind in ("IF", "LIF", "CubaLIF"))


def test_v_reset_may_differ_between_neurons():
    p = {"tau": np.full(3, 4e-3), "r": np.full(3, 9.0), "v_leak": np.zeros(3), "v_threshold": np.ones(3)}
    p["v_reset"] = np.array([0.0, -1.0, 0.5])
    net = from_nir(graph([3], {"n": {"type": "LIF", **p}}), dt=DT)
    recording = nc.compile(net, "cpu").run({"input": np.ones((1, 3), int)}, record=["n", "n.v"])
    assert np.array_equal(recording["n.v"][0], p["v_reset"])
    assert recording["n"].counts().tolist() == [1, 1, 1]

"""Convolutions and pools against scipy.signal: shapes, values, and the listed synapses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

import neurocomp as nc
from neurocomp.ir.connectivity import Dense


def by_scipy(image, weights, stride, padding, dilation, groups):
    """torch's conv2d by scipy: pad, dilate the kernel, correlate every channel pair, stride."""
    (c_out, per_group, kh, kw), (sy, sx), (py, px), (dy, dx) = weights.shape, stride, padding, dilation
    padded = np.pad(image, ((0, 0), (py, py), (px, px)))
    dilated = np.zeros((c_out, per_group, dy * (kh - 1) + 1, dx * (kw - 1) + 1))
    dilated[:, :, ::dy, ::dx] = weights
    out = []
    for co in range(c_out):
        first = co // (c_out // groups) * per_group
        full = sum(correlate(padded[first + k], dilated[co, k], mode="valid") for k in range(per_group))
        out.append(full[::sy, ::sx])
    return np.array(out)


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.tuples(st.integers(1, 9), st.integers(1, 9)),
    pairs, pairs, st.tuples(st.integers(0, 3), st.integers(0, 3)), pairs, st.integers(0, 2**31),
)  # fmt: skip
def test_conv2d_equals_scipy(groups, per_group, out_per_group, size, kernel, stride, padding, dilation, seed):
    for axis in (0, 1):
        assume(size[axis] + 2 * padding[axis] >= dilation[axis] * (kernel[axis] - 1) + 1)
    rng = np.random.default_rng(seed)
    weights = rng.integers(-9, 10, (groups * out_per_group, per_group, *kernel)).astype(float)
    layer = nc.Conv2d(weights, size, stride, padding, dilation, groups)
    image = rng.integers(0, 5, layer.in_shape).astype(float)
    expected = by_scipy(image, weights, stride, padding, dilation, groups)
    assert layer.output_shape == expected.shape
    listed = layer.expand()
    out = np.bincount(listed.post, weights=listed.weights * image.ravel()[listed.pre], minlength=layer.n_post)
    assert np.array_equal(out.reshape(expected.shape), expected)
    assert len(layer) == len(listed)
    assert np.array_equal(layer.row_lengths(), listed.row_lengths())
    assert (layer.fan_in(np.abs(layer.weights)) >= listed.fan_in(np.abs(listed.weights))).all()


@pytest.mark.parametrize("kernel", [(3, 3), (2, 5), (4, 1)])
def test_same_padding_keeps_the_size(kernel):
    weights = np.random.default_rng(0).integers(-5, 6, (2, 1, *kernel)).astype(float)
    layer = nc.Conv2d(weights, (6, 7), padding="same")
    assert layer.output_shape == (2, 6, 7)
    image = np.random.default_rng(1).integers(0, 9, (1, 6, 7)).astype(float)
    top, left = (kernel[0] - 1) // 2, (kernel[1] - 1) // 2
    padded = np.pad(image[0], ((top, kernel[0] - 1 - top), (left, kernel[1] - 1 - left)))
    expected = [correlate(padded, w[0], mode="valid") for w in weights]
    listed = layer.expand()
    out = np.bincount(listed.post, weights=listed.weights * image.ravel()[listed.pre], minlength=layer.n_post)
    assert np.array_equal(out.reshape(layer.output_shape), expected)


def test_conv1d_equals_scipy():
    rng = np.random.default_rng(2)
    weights = rng.integers(-5, 6, (3, 2, 4)).astype(float)
    layer = nc.Conv1d(weights, 11, stride=2, padding=1, bias=[1.0, 2.0, 3.0])
    assert layer.in_shape == (2, 1, 11)
    assert layer.output_shape == (3, 1, 5)
    assert layer.bias.tolist() == np.repeat([1.0, 2.0, 3.0], 5).tolist()
    image = rng.integers(0, 9, (2, 1, 11)).astype(float)
    listed = layer.expand()
    out = np.bincount(listed.post, weights=listed.weights * image.ravel()[listed.pre], minlength=layer.n_post)
    expected = by_scipy(image, weights[:, :, None], (1, 2), (0, 1), (1, 1), 1)
    assert np.array_equal(out.reshape(expected.shape), expected)


@pytest.mark.parametrize(("pool", "divisor"), [(nc.SumPool2d, 1.0), (nc.AvgPool2d, 6.0)])
def test_pools(pool, divisor):
    layer = pool(2, (4, 7), (2, 3))
    image = np.arange(56.0).reshape(2, 4, 7)
    listed = layer.expand()
    out = np.bincount(listed.post, weights=listed.weights * image.ravel()[listed.pre], minlength=layer.n_post)
    expected = image[:, :, :6].reshape(2, 2, 2, 2, 3).sum(axis=(2, 4)) / divisor
    assert layer.output_shape == (2, 2, 2)
    np.testing.assert_allclose(out.reshape(2, 2, 2), expected, rtol=1e-14)


def test_scaling_per_channel_keeps_the_kernel_and_per_neuron_does_not():
    layer = nc.Conv2d(np.ones((2, 1, 2, 2)), 3, bias=[1.0, 2.0])
    per_channel = np.repeat([2.0, 3.0], 4)
    scaled = layer.scaled(per_channel)
    assert isinstance(scaled, nc.Conv2d)
    assert scaled.weights[:, 0, 0, 0].tolist() == [2.0, 3.0]
    assert scaled.bias.tolist() == [2.0] * 4 + [6.0] * 4
    each = np.arange(8.0)
    assert not layer.can_scale(each)
    listed = layer.scaled(each)
    assert isinstance(listed, nc.Sparse)
    assert np.array_equal(listed.weights, each[listed.post])


def test_dense_columns_equal_the_full_matrix():
    weights = np.arange(6.0).reshape(2, 3)
    layer = Dense(weights, columns=[0, 0, 2, -1, 1])
    full = np.array([[0.0, 0, 2, 0, 1], [3, 3, 5, 0, 4]])
    listed = layer.expand()
    dense = np.zeros((2, 5))
    dense[listed.post, listed.pre] = listed.weights
    assert np.array_equal(dense, full)
    assert (layer.n_pre, len(layer)) == (5, 8)
    assert layer.row_lengths().tolist() == [2, 2, 2, 0, 2]
    assert layer.fan_in(np.abs(layer.weights)).tolist() == np.abs(full).sum(axis=1).tolist()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: nc.Conv2d(np.ones((2, 1, 3)), 5), ["Conv2d", "(2, 1, 3)"]),
        (lambda: nc.Conv2d(np.ones((3, 1, 3, 3)), 5, groups=2), ["3 output channels", "2 groups"]),
        (lambda: nc.Conv2d(np.ones((1, 1, 5, 5)), 3), ["reaches over 5", "input of 3"]),
        (lambda: nc.Conv2d(np.ones((1, 1, 3, 3)), 5, stride=0), ["stride", "at least 1", "0"]),
        (lambda: nc.Conv2d(np.ones((1, 1, 3, 3)), 5, stride=1.5), ["stride", "whole", "1.5"]),
        (lambda: nc.Conv2d(np.ones((1, 1, 3, 3)), 5, padding="full"), ["padding", "'full'"]),
        (lambda: nc.Conv2d(np.ones((1, 1, 3, 3)), 5, stride=2, padding="same"), ["'same'", "stride 1", "(2, 2)"]),
        (lambda: nc.Conv2d(np.ones((2, 1, 3, 3)), 5, bias=[1.0, 2.0, 3.0]), ["3 biases", "2 channels", "18 targets"]),
        (lambda: nc.Conv1d(np.ones((2, 1, 3, 1)), 5), ["Conv1d", "(2, 1, 3, 1)"]),
        (lambda: Dense(np.ones((2, 3)), columns=[0, 3]), ["columns", "-1..2"]),
    ],
)
def test_errors_name_the_numbers(build, words):
    with pytest.raises(nc.errors.ModelError) as caught:
        build()
    for word in words:
        assert word in str(caught.value)


def test_delays_per_synapse_need_listed_synapses():
    net = nc.Network("delays", dt=1e-3)
    net.input("x", (1, 4, 4))
    net.population("h", nc.LIF(tau=0.01), (1, 2, 2))
    layer = nc.Conv2d(np.ones((1, 1, 3, 3)), 4)
    net.connect("x", "h", layer, delay=np.ones((1, 1, 3, 3), int))
    with pytest.raises(nc.errors.VerificationError, match=r"shares its weights; use connectivity.expand\(\)"):
        nc.verify(net)

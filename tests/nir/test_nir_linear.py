"""Chains of linear nodes as one projection: equal to the product of their matrices, structured where promised."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse as sp

import neurocomp as nc
from neurocomp.importers.nir import from_nir
from neurocomp.importers.nir.linear import Wait, fuse, join, through
from neurocomp.ir.convolution import AvgPool2d, Conv1d, Conv2d, SumPool2d

RNG = np.random.default_rng(0)


def numbers(*shape):
    return RNG.integers(-16, 17, shape) / 8.0


def matrix(connectivity):
    pre, post = connectivity.synapses()
    return sp.csr_array((connectivity.values(), (post, pre)), shape=(connectivity.n_post, connectivity.n_pre)).toarray()


def conv(c_in, c_out, size, kernel, **options):
    return Conv2d(numbers(c_out, c_in // options.get("groups", 1), *kernel), size, **options)


# name -> (links, the kind that keeps the structure or None where any will do)
CHAINS = {
    "pool, conv": ([SumPool2d(2, (8, 6), 2), conv(2, 3, (4, 3), (3, 3), padding=1)], "Conv2d"),
    "avg pool, conv": ([AvgPool2d(2, (8, 6), 2), conv(2, 3, (4, 3), (3, 2))], "Conv2d"),
    "pool 2x3, strided grouped conv": (
        [SumPool2d(4, (10, 12), (2, 3)), conv(4, 2, (5, 4), (2, 3), stride=(2, 1), padding=(2, 1), groups=2)],
        "Conv2d",
    ),
    "pool with remainder, conv without padding": ([SumPool2d(1, (9, 11), 2), conv(1, 2, (4, 5), (2, 2), stride=2)], "Conv2d"),
    "pool with remainder, padded conv": ([SumPool2d(1, (9, 11), 2), conv(1, 2, (4, 5), (2, 2), padding=1)], None),
    "pool, dilated conv": ([SumPool2d(1, (12, 12), 2), conv(1, 1, (6, 6), (2, 2), dilation=2)], None),
    "pool, 'same' conv": ([SumPool2d(2, (8, 8), 2), conv(2, 2, (4, 4), (2, 2), padding="same")], "Conv2d"),
    "pool, pool": ([SumPool2d(2, (8, 8), 2), AvgPool2d(2, (4, 4), 2)], "Conv2d"),
    "overlapping pool, conv": ([SumPool2d(1, (8, 8), 3, 1), conv(1, 1, (6, 6), (2, 2))], None),
    "pool, matrix": ([SumPool2d(2, (6, 4), 2), nc.Dense(numbers(5, 12))], "Dense"),
    "pool with gaps, matrix": ([AvgPool2d(2, (7, 8), (2, 1), (3, 2)), nc.Dense(numbers(3, 16))], "Dense"),
    "pool, matrix, scale, matrix": (
        [SumPool2d(1, (4, 4), 2), nc.Dense(numbers(3, 4)), nc.OneToOne(numbers(3)), nc.Dense(numbers(2, 3))],
        "Dense",
    ),
    "padded pool, matrix": ([SumPool2d(1, (4, 4), 2, 2, 1), nc.Dense(numbers(5, 9))], None),
    "matrix, matrix": ([nc.Dense(numbers(4, 7)), nc.Dense(numbers(3, 4))], "Dense"),
    "scale, matrix": ([nc.OneToOne(numbers(6)), nc.Dense(numbers(4, 6))], "Dense"),
    "matrix, scale": ([nc.Dense(numbers(4, 6)), nc.OneToOne(numbers(4))], "Dense"),
    "scale, scale": ([nc.OneToOne(numbers(6)), nc.OneToOne(numbers(6))], "OneToOne"),
    "uniform scale, conv": ([nc.OneToOne(np.full(36, 0.5)), conv(1, 2, (6, 6), (3, 3))], "Conv2d"),
    "scale per channel, conv": ([nc.OneToOne(np.repeat(numbers(4), 20)), conv(4, 6, (4, 5), (2, 3), groups=2)], "Conv2d"),
    "conv, scale per channel": ([conv(1, 3, (5, 5), (2, 2)), nc.OneToOne(np.repeat(numbers(3), 16))], "Conv2d"),
    "conv, scale per neuron": ([conv(1, 2, (4, 4), (2, 2)), nc.OneToOne(numbers(18))], None),
    "scale per neuron, conv": ([nc.OneToOne(numbers(16)), conv(1, 2, (4, 4), (2, 2))], None),
    "conv, conv": ([conv(1, 2, (7, 7), (3, 3)), conv(2, 2, (5, 5), (2, 2), stride=2)], None),
    "conv, pool, matrix": ([conv(1, 2, (7, 7), (2, 2)), SumPool2d(2, (6, 6), 2), nc.Dense(numbers(3, 18))], None),
    "conv1d, scale": ([Conv1d(numbers(2, 1, 3), 9, stride=2), nc.OneToOne(np.repeat(numbers(2), 4))], "Conv2d"),
    "sparse, matrix": ([nc.Sparse(sp.random_array((6, 8), density=0.3, rng=1)), nc.Dense(numbers(2, 6))], None),
}


@pytest.mark.parametrize("name", CHAINS)
def test_fused_is_the_product(name):
    links, kind = CHAINS[name]
    fused = fuse(links, links[0].n_pre).connectivity
    product = matrix(links[0])
    for link in links[1:]:
        product = matrix(link) @ product
    assert np.allclose(matrix(fused), product, rtol=0, atol=1e-12)
    assert np.allclose(matrix(fused.expand()), product, rtol=0, atol=1e-12)
    if kind is not None:
        assert fused.kind == kind
    constant = numbers(links[0].n_pre)
    assert np.allclose(through(links, constant), product @ constant, rtol=0, atol=1e-11)


def test_structured_chains_store_few_numbers():
    links, _ = CHAINS["pool, matrix"]
    fused = fuse(links, links[0].n_pre).connectivity
    assert fused.weights.shape == (5, 12)
    assert len(fused) == 5 * 48


DELAYED = {
    "wait, matrix": [Wait(np.array([0.0, 1.0, 3.0])), nc.Dense(numbers(2, 3))],
    "matrix, wait": [nc.Dense(numbers(2, 3)), Wait(np.array([2.0, 0.0]))],
    "matrix, wait, matrix": [nc.Dense(numbers(4, 3)), Wait(np.array([2.0, 0.0, 1.0, 2.0])), nc.Dense(numbers(2, 4))],
    "conv, wait, matrix": [conv(1, 2, (3, 3), (2, 2)), Wait(np.arange(8) % 3.0), nc.Dense(numbers(2, 8))],
    "wait, conv, wait": [Wait(np.arange(9) % 2.0), conv(1, 1, (3, 3), (2, 2)), Wait(np.arange(4.0))],
    "wait, scale, wait": [Wait(np.arange(3.0)), nc.OneToOne(numbers(3)), Wait(np.arange(3.0))],
    "wait, uniform wait": [Wait(np.arange(3.0)), Wait(np.full(3, 2.0)), nc.Dense(numbers(2, 3))],
    "pool, wait, pool": [SumPool2d(1, (4, 4), 2), Wait(np.arange(4.0)), SumPool2d(1, (2, 2), 2)],
}


@pytest.mark.parametrize("name", DELAYED)
def test_delays_inside_a_chain_stay_with_their_path(name):
    """Impulse responses of the fused synapses against the chain applied link by link to spike trains."""
    links = DELAYED[name]
    size = next(x.n_pre for x in links if not isinstance(x, Wait))
    fused = fuse(links, size)
    pre, post = fused.connectivity.synapses()
    delay = np.broadcast_to(np.ravel(fused.delay), pre.shape).astype(int)
    horizon = 12
    for source in range(size):
        signal = np.zeros((horizon, size))
        signal[0, source] = 1.0
        for link in links:
            if isinstance(link, Wait):
                waits = np.broadcast_to(link.seconds, (signal.shape[1],)).astype(int)
                signal = np.array(
                    [np.r_[np.zeros(w), column[: horizon - w]] for w, column in zip(waits, signal.T, strict=True)]
                ).T
            else:
                signal = signal @ matrix(link).T
        got = np.zeros_like(signal)
        mine = pre == source
        np.add.at(got, (delay[mine], post[mine]), fused.connectivity.values()[mine])
        assert np.allclose(got, signal, rtol=0, atol=1e-12)


def test_products_do_not_depend_on_the_matrix_library():
    left, right = np.random.default_rng(5).normal(size=(2, 30, 30))
    expected = np.zeros((30, 30))
    for k in range(30):
        expected += np.outer(left[:, k], right[k])
    assert np.array_equal(join(nc.Dense(right), nc.Dense(left)).weights, expected)


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_a_fused_network_equals_the_unfused_arithmetic(target):
    """input -> SumPool -> Flatten -> Linear -> Scale -> LIF: the sum the neuron gets is that of the written chain."""
    rng = np.random.default_rng(3)
    weight, scale = numbers(4, 12), numbers(4)
    nodes = {
        "input": {"type": "Input", "shape": [3, 4, 4]},
        "pool": {"type": "SumPool2d", "kernel_size": [2, 2], "stride": [2, 2], "padding": [0, 0]},
        "flat": {"type": "Flatten", "start_dim": 0, "end_dim": -1},
        "fc": {"type": "Affine", "weight": weight, "bias": np.arange(4) / 8},
        "gain": {"type": "Scale", "scale": scale},
        "output": {"type": "Output"},
    }
    net = from_nir({"nodes": nodes, "edges": list(itertools.pairwise(nodes))}, dt=1e-3)
    (projection,) = net.projections.values()
    assert projection.connectivity.weights.shape == (4, 12)
    given = (rng.random((20, 3, 4, 4)) < 0.4).astype(int)
    pooled = given.reshape(20, 3, 2, 2, 2, 2).sum(axis=(3, 5)).reshape(20, 12)
    expected = (pooled @ weight.T + np.arange(4) / 8) * scale
    got = nc.compile(net, target).run({"input": given}, record=["output.v"])["output.v"]
    assert np.array_equal(got, expected)
    assert "SumPool2d -> Flatten -> Affine -> Scale" in nc.compile(net, target).explain()


@pytest.mark.parametrize("seed", range(20))
def test_convolution_then_pool_is_one_convolution(seed):
    """The usual order of layers; overlapping pools included. Integer weights, so that equality is exact."""
    from neurocomp.importers.nir.linear import _general, join

    rng = np.random.default_rng(seed)
    groups = int(rng.integers(1, 3))
    kernel, stride, padding = (tuple(int(x) for x in rng.integers(low, 4, 2)) for low in (1, 1, 0))
    weights = rng.integers(-9, 10, (2 * groups, 2, *kernel)).astype(float)
    first = nc.Conv2d(weights, (11, 12), stride, padding, groups=groups)
    window = tuple(int(rng.integers(1, 1 + min(3, size))) for size in first.output_shape[1:])
    step = tuple(int(x) for x in rng.integers(1, 4, 2))
    second = nc.SumPool2d(2 * groups, first.output_shape[1:], window, step)
    fused, product = join(first, second), _general(first, second)
    assert isinstance(fused, nc.Conv2d)
    dense = np.zeros((2, fused.n_post, fused.n_pre))
    for k, listed in enumerate((fused.expand(), product.expand())):
        np.add.at(dense[k], (listed.post, listed.pre), listed.weights)
    assert np.array_equal(dense[0], dense[1])

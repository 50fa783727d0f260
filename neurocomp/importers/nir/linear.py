"""Chains of linear nodes as one connectivity: structured where that is exact, listed synapses else.

A chain is a list of links: connectivities without bias, and `Wait`s. Products are formed in one fixed order, so that they do
not depend on the machine's matrix library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeGuard

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from neurocomp.importers.nir.schema import Checked
from neurocomp.importers.nir.shapes import Shape
from neurocomp.ir.connectivity import Connectivity, Dense, OneToOne, Sparse
from neurocomp.ir.convolution import AvgPool2d, Conv1d, Conv2d, SumPool2d
from neurocomp.ir.errors import ModelError

Floats = NDArray[np.float64]
MAX_SYNAPSES = 2**27


@dataclass(frozen=True)
class Wait:
    """A delay in seconds, a scalar or one per neuron."""

    seconds: Floats


Link = Connectivity | Wait


@dataclass(frozen=True)
class Fused:
    """What a chain does. delay: seconds, a scalar or an array shaped as the connectivity's weights."""

    connectivity: Connectivity
    delay: Floats


def link_of(kind: str, values: Checked, into: Shape) -> Link | None:
    """The link of one linear NIR node without its bias, None where it only renames neurons. into: its input shape."""
    if kind in ("Linear", "Affine"):
        return _matrix(values["weight"], into)
    if kind == "Scale":
        scale = values["scale"]
        return OneToOne(scale if scale.size > 1 else np.full(prod(into), scale.ravel()[0]), size=prod(into))
    if kind == "Conv1d":
        sizes = (into[1], values["stride"][0], _padding1(values["padding"]), values["dilation"][0], values["groups"])
        return Conv1d(values["weight"], *sizes)
    if kind == "Conv2d":
        padding = values["padding"] if isinstance(values["padding"], str) else tuple(values["padding"])
        image, stride, dilation = (into[1], into[2]), tuple(values["stride"]), tuple(values["dilation"])
        return Conv2d(values["weight"], image, stride, padding, dilation, values["groups"])
    if kind in ("SumPool2d", "AvgPool2d"):
        pool = SumPool2d if kind == "SumPool2d" else AvgPool2d
        kernel, stride, padding = (tuple(values[key]) for key in ("kernel_size", "stride", "padding"))
        return pool(into[0], (into[1], into[2]), kernel, stride, padding)
    if kind == "Delay":
        delay = np.asarray(values["delay"], np.float64)
        return Wait(delay.ravel() if delay.size > 1 else delay.reshape(()))
    return None


def bias_of(kind: str, values: Checked, out: Shape) -> Floats | None:
    """The bias of a linear NIR node, one number per output neuron. out: its output shape."""
    bias = values.get("bias")
    if bias is None:
        return None
    flat = np.asarray(bias, np.float64).ravel()
    size = prod(out)
    if kind.startswith("Conv"):
        return np.repeat(np.broadcast_to(flat, (out[0],)), size // out[0])
    return np.tile(flat, size // flat.size)


def fuse(links: Sequence[Link], size: int) -> Fused:
    """The links one after the other, from `size` source neurons, as one connectivity."""
    connectivity: Connectivity = OneToOne(1.0, size)
    delay: Floats = np.zeros(())
    for link in links:
        if isinstance(link, Wait):
            connectivity, delay = _wait(connectivity, delay, link.seconds)
        elif delay.ndim:
            connectivity, delay = _join_delayed(connectivity, delay, link)
        else:
            connectivity = join(connectivity, link)
    return Fused(connectivity, delay)


def through(links: Sequence[Link], values: Floats) -> Floats:
    """A constant vector after the links (delays change nothing about a constant)."""
    for link in links:
        if not isinstance(link, Wait):
            values = np.asarray(_csr(link) @ values, np.float64)
    return values


# ------------------------------------------------------------------------------------------------------------------ join


def join(first: Connectivity, second: Connectivity) -> Connectivity:
    """`second` after `first`, both without bias."""
    for rule in RULES:
        result = rule(first, second)
        if result is not None:
            return result
    return _general(first, second)


def _uniform(first: Connectivity, second: Connectivity) -> Connectivity | None:
    """A factor that is the same for all neurons goes into the other's weights."""
    for one, other in ((first, second), (second, first)):
        if isinstance(one, OneToOne) and one.weights.size and (one.weights == one.weights[0]).all():
            factor = one.weights[0]
            return other if factor == 1.0 else other.with_weights(other.weights * factor, None)
    return None


def _diagonals(first: Connectivity, second: Connectivity) -> Connectivity | None:
    if isinstance(first, OneToOne) and isinstance(second, OneToOne):
        return OneToOne(first.weights * second.weights)
    return None


def _scaled_rows(first: Connectivity, second: Connectivity) -> Connectivity | None:
    """A factor per target neuron (or channel)."""
    if isinstance(second, OneToOne) and isinstance(first, (Dense, Conv2d)) and first.can_scale(second.weights):
        return first.scaled(second.weights)
    return None


def _scaled_columns(first: Connectivity, second: Connectivity) -> Connectivity | None:
    """A factor per source neuron (or channel)."""
    if not isinstance(first, OneToOne):
        return None
    if isinstance(second, Dense) and second.columns is None:
        return Dense(second.weights * first.weights[None, :])
    if isinstance(second, Conv2d):
        channels = first.weights.reshape(second.in_shape[0], -1)
        if (channels == channels[:, :1]).all():
            per_group = channels[:, 0].reshape(second.groups, 1, -1)
            c_out = second.weights.shape[0]
            factor = np.broadcast_to(per_group, (second.groups, c_out // second.groups, per_group.shape[-1])).reshape(c_out, -1)
            return second.with_weights(second.weights * factor[:, :, None, None], None)
    return None


def _matrices(first: Connectivity, second: Connectivity) -> Connectivity | None:
    if isinstance(first, Dense) and isinstance(second, Dense) and second.columns is None:
        return Dense(_product(second.weights, first.weights), columns=first.columns)
    return None


def _pool_then_conv(first: Connectivity, second: Connectivity) -> Connectivity | None:
    """Pooling by k and a convolution are one convolution with k times the stride and each weight repeated k times."""
    if not isinstance(second, Conv2d) or not _is_pool(first) or second.dilation != (1, 1):
        return None
    assert isinstance(first, Conv2d)
    window = first.kernel
    divisible = all(first.in_shape[1 + k] == first.output_shape[1 + k] * window[k] for k in (0, 1))
    if first.stride != window or (any(map(any, second.padding)) and not divisible):
        return None
    weights = second.weights * first.weights.flat[0]
    weights = np.repeat(np.repeat(weights, window[0], axis=2), window[1], axis=3)
    stride = second.stride[0] * window[0], second.stride[1] * window[1]
    padding = tuple((side[0] * k, side[1] * k) for side, k in zip(second.padding, window, strict=True))
    return Conv2d(weights, first.in_shape[1:], stride, padding, 1, second.groups)  # type: ignore[arg-type]


def _conv_then_pool(first: Connectivity, second: Connectivity) -> Connectivity | None:
    """A convolution and an unpadded pool are one convolution whose kernel is the sum of the shifted ones."""
    if not (isinstance(first, Conv2d) and isinstance(second, Conv2d) and _is_window_sum(second)) or first.dilation != (1, 1):
        return None
    size, (step_y, step_x) = first.kernel, first.stride
    reach = [k + (window - 1) * step for k, window, step in zip(size, second.kernel, first.stride, strict=True)]
    weights = np.zeros((*first.weights.shape[:2], *reach))
    for y in range(second.kernel[0]):
        for x in range(second.kernel[1]):
            weights[:, :, y * step_y : y * step_y + size[0], x * step_x : x * step_x + size[1]] += first.weights
    stride = step_y * second.stride[0], step_x * second.stride[1]
    return Conv2d(weights * second.weights.flat[0], first.in_shape[1:], stride, first.padding, 1, first.groups)


def _pool_then_matrix(first: Connectivity, second: Connectivity) -> Connectivity | None:
    """Pooling in windows that do not overlap only says which column of the matrix a neuron uses."""
    if not isinstance(second, Dense) or second.columns is not None or not _is_pool(first):
        return None
    assert isinstance(first, Conv2d)
    channels, height, width = first.output_shape
    (y, in_y), (x, in_x) = (_window(first, axis) for axis in (0, 1))
    columns = np.where(in_y[:, None] & in_x[None, :], y[:, None] * width + x[None, :], -1)
    offsets = np.arange(channels)[:, None, None] * (height * width)
    columns = np.where(columns[None] < 0, -1, columns[None] + offsets)
    return Dense(second.weights * first.weights.flat[0], columns=columns.ravel())


def _window(pool: Conv2d, axis: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Along an axis: the window of each input coordinate, and whether it is in one."""
    at = np.arange(pool.in_shape[1 + axis])
    window = at // pool.stride[axis]
    return window, (at % pool.stride[axis] < pool.kernel[axis]) & (window < pool.output_shape[1 + axis])


def _is_pool(connectivity: Connectivity) -> bool:
    """Whether it adds up windows that do not overlap, channel by channel, with one factor."""
    return _is_window_sum(connectivity) and all(
        step >= size for step, size in zip(connectivity.stride, connectivity.kernel, strict=True)
    )


def _is_window_sum(connectivity: Connectivity) -> TypeGuard[Conv2d]:
    """Whether it adds up windows, channel by channel, with one factor and without padding."""
    return (
        isinstance(connectivity, Conv2d)
        and connectivity.groups == connectivity.in_shape[0] == connectivity.output_shape[0]
        and connectivity.dilation == (1, 1)
        and connectivity.padding == ((0, 0), (0, 0))
        and bool((connectivity.weights == connectivity.weights.flat[0]).all())
    )


RULES: tuple[Callable[[Connectivity, Connectivity], Connectivity | None], ...] = (
    _uniform,
    _diagonals,
    _scaled_rows,
    _scaled_columns,
    _matrices,
    _conv_then_pool,
    _pool_then_conv,
    _pool_then_matrix,
)


def _general(first: Connectivity, second: Connectivity) -> Connectivity:
    """The product of the two lists of synapses."""
    left, right = _csr(second), _csr(first)
    uses = np.diff(left.tocsc().indptr).astype(np.int64) @ np.diff(right.indptr).astype(np.int64)
    if uses > MAX_SYNAPSES:
        raise ModelError(
            f"composing these linear nodes takes {uses:,} products, more than {MAX_SYNAPSES:,}; put neurons between"
        )
    product = (left @ right).tocsr()
    product.sort_indices()
    if product.nnz == product.shape[0] * product.shape[1]:
        return Dense(product.toarray())
    return Sparse(sp.coo_array(product))


def _csr(connectivity: Connectivity) -> sp.csr_array:
    if isinstance(connectivity, Dense) and connectivity.columns is None:
        rows, columns = connectivity.weights.shape
        index = np.arange(0, rows * columns + 1, columns)
        return sp.csr_array((connectivity.weights.ravel(), np.tile(np.arange(columns), rows), index), shape=(rows, columns))
    pre, post = connectivity.synapses()
    return sp.csr_array((connectivity.values(), (post, pre)), shape=(connectivity.n_post, connectivity.n_pre))


def _product(left: Floats, right: Floats) -> Floats:
    """The product left @ right, added in the order of the inner index on every machine."""
    result = np.zeros((left.shape[0], right.shape[1]))
    for k in range(left.shape[1]):
        result += left[:, k, None] * right[k]
    return result


def _matrix(weight: Floats, into: Shape) -> Connectivity:
    """A matrix on the last axis of `into`; with leading axes, a block for each."""
    blocks = prod(into) // weight.shape[-1]
    if weight.ndim > 2:
        stacked = weight.reshape(-1, *weight.shape[-2:])
    elif blocks > 1:
        stacked = np.broadcast_to(weight, (blocks, *weight.shape))
    else:
        return Dense(weight)
    if len(stacked) == 1:
        return Dense(stacked[0])
    block, row, column = np.indices(stacked.shape).reshape(3, -1)
    post, pre = block * stacked.shape[1] + row, block * stacked.shape[2] + column
    return Sparse((stacked.ravel(), (post, pre)), (len(stacked) * stacked.shape[1], len(stacked) * stacked.shape[2]))


def _padding1(padding: list[int] | str) -> int | str:
    return padding if isinstance(padding, str) else padding[0]


# ---------------------------------------------------------------------------------------------------------------- delays


def _wait(connectivity: Connectivity, delay: Floats, seconds: Floats) -> tuple[Connectivity, Floats]:
    """Every synapse waits as long as its target neuron says."""
    if seconds.ndim and (seconds == seconds[0]).all():
        seconds = seconds[0].reshape(())
    if not seconds.ndim:
        return connectivity, delay + seconds
    if isinstance(connectivity, Dense) and connectivity.columns is None:
        return connectivity, np.broadcast_to(delay + seconds[:, None], connectivity.weights.shape).copy()
    if not isinstance(connectivity, (OneToOne, Sparse)):
        connectivity = connectivity.expand()
    return connectivity, delay + seconds[connectivity.synapses()[1]]


def _join_delayed(first: Connectivity, delay: Floats, second: Connectivity) -> tuple[Connectivity, Floats]:
    """As `join`, where each synapse of `first` has its own delay, which the joined synapses keep."""
    if isinstance(second, OneToOne):
        factor = second.weights[first.synapses()[1]].reshape(first.weights.shape)
        return first.with_weights(first.weights * factor, None), delay
    if isinstance(first, OneToOne) and isinstance(second, Dense) and second.columns is None:
        joined = Dense(second.weights * first.weights[None, :])
        return joined, np.broadcast_to(delay[None, :], joined.weights.shape).copy()
    pre, mid = first.synapses()
    mid2, post = second.synapses()
    order = np.argsort(mid2, kind="stable")
    starts = np.searchsorted(mid2[order], np.arange(second.n_pre + 1))
    counts = (starts[1:] - starts[:-1])[mid]
    if counts.sum() > MAX_SYNAPSES:
        raise ModelError(f"composing these delays takes {int(counts.sum()):,} synapses, more than {MAX_SYNAPSES:,}")
    source = np.repeat(np.arange(len(mid)), counts)
    within = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
    target = order[starts[mid[source]] + within]
    weights = first.values()[source] * second.values()[target]
    return _merged(pre[source], post[target], weights, delay.ravel()[source], (second.n_post, first.n_pre))


def _merged(
    pre: NDArray[np.int64], post: NDArray[np.int64], weights: Floats, delay: Floats, shape: tuple[int, int]
) -> tuple[Connectivity, Floats]:
    """Synapses of the same pair and delay added up, in order."""
    order = np.lexsort((delay, pre, post))
    pre, post, weights, delay = pre[order], post[order], weights[order], delay[order]
    new = np.ones(len(pre), bool)
    new[1:] = (np.diff(pre) != 0) | (np.diff(post) != 0) | (np.diff(delay) != 0)
    summed = np.bincount(np.cumsum(new) - 1, weights=weights, minlength=int(new.sum()))
    return Sparse((summed, (post[new], pre[new])), shape), delay[new]

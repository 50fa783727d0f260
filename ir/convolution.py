"""Structured connectivities: convolutions and pools keep their kernel once and are never expanded to a matrix.

Neurons of an image-like population are flattened row-major from (channels, height, width). As in torch, a convolution is a
cross-correlation: `out[co, y, x] = sum over ci, ky, kx of w[co, ci, ky, kx] * in[ci, y*stride - pad + ky*dilation, ...]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from neurocomp.ir.connectivity import Connectivity, Floats, Ints, frozen_array
from neurocomp.ir.errors import ModelError

Pair = tuple[int, int]
Size = int | Sequence[int]  # one number for both axes, or (vertical, horizontal)
Padding = str | int | Sequence[int] | tuple[Pair, Pair]


class Conv2d(Connectivity):
    """A two-dimensional convolution.

    weights: (c_out, c_in / groups, k_height, k_width). input_shape: (height, width) of the source. stride, dilation: int or
    pair. padding: int, pair, "valid" or "same" (stride 1 only). groups: channels are split into so many independent groups.
    bias: one per output channel, or one per target neuron. `in_shape` and `output_shape` are (channels, height, width).
    """

    kind = "Conv2d"

    def __init__(
        self,
        weights: ArrayLike,
        input_shape: Size,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: ArrayLike | None = None,
    ) -> None:
        self.weights = frozen_array(weights)
        if self.weights.ndim != 4:
            raise ModelError(f"{self.kind} weights have shape (c_out, c_in / groups, height, width); got {self.weights.shape}")
        c_out, c_in_group, *kernel = self.weights.shape
        self.groups = int(groups)
        if self.groups < 1 or c_out % self.groups:
            raise ModelError(f"{self.kind}: {c_out} output channels cannot be split into {groups} groups")
        self.kernel: Pair = (kernel[0], kernel[1])
        self.stride, self.dilation = self._pair("stride", stride, 1), self._pair("dilation", dilation, 1)
        self.padding = self._padding(padding)
        height, width = self._pair("input_shape", input_shape, 1)
        self.in_shape = (c_in_group * self.groups, height, width)
        self.output_shape = (c_out, *(self._out(axis) for axis in (0, 1)))
        self.n_pre, self.n_post = int(np.prod(self.in_shape)), int(np.prod(self.output_shape))
        self.bias = self._bias(bias)

    def _pair(self, what: str, value: Size, least: int) -> Pair:
        try:
            pair = tuple(int(x) for x in np.broadcast_to(np.asarray(value), (2,)))
        except (TypeError, ValueError):
            raise ModelError(f"{self.kind}: {what} must be an int or a pair of them, not {value!r}") from None
        if min(pair) < least or not np.array_equal(pair, np.broadcast_to(np.asarray(value, float), (2,))):
            raise ModelError(f"{self.kind}: {what} must be whole numbers of at least {least}, not {value!r}")
        return pair[0], pair[1]

    def _padding(self, padding: Any) -> tuple[Pair, Pair]:
        """((top, bottom), (left, right))."""
        if padding == "same":
            if self.stride != (1, 1):
                raise ModelError(f"{self.kind}: padding='same' needs stride 1, not {self.stride}; give the padding in numbers")
            total = [d * (k - 1) for d, k in zip(self.dilation, self.kernel, strict=True)]
            return (total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2)
        if isinstance(padding, str):
            if padding != "valid":
                raise ModelError(f"{self.kind}: padding is 'same', 'valid' or numbers, not {padding!r}")
            padding = 0
        if np.ndim(padding) == 2:  # ((top, bottom), (left, right)), as stored
            return self._pair("padding", padding[0], 0), self._pair("padding", padding[1], 0)
        vertical, horizontal = self._pair("padding", padding, 0)
        return (vertical, vertical), (horizontal, horizontal)

    def _out(self, axis: int) -> int:
        size, reach = self.in_shape[1 + axis], self.dilation[axis] * (self.kernel[axis] - 1) + 1
        free = size + sum(self.padding[axis]) - reach
        if free < 0:
            padded = f"{size} plus padding {self.padding[axis]}" if sum(self.padding[axis]) else f"{size}"
            raise ModelError(f"{self.kind}: a kernel that reaches over {reach} does not fit an input of {padded}")
        return free // self.stride[axis] + 1

    def _bias(self, bias: ArrayLike | None) -> Floats | None:
        if bias is None:
            return None
        values = np.asarray(bias, np.float64).ravel()
        if values.size == self.output_shape[0]:
            values = np.repeat(values, self.n_post // self.output_shape[0])
        if values.size not in (1, self.n_post):
            raise ModelError(
                f"{self.kind}: {values.size} biases fit neither {self.output_shape[0]} channels nor {self.n_post} targets"
            )
        return frozen_array(np.broadcast_to(values, (self.n_post,)))

    def taps(self, axis: int) -> list[list[Pair]]:
        """For every input coordinate along an axis (0: height, 1: width) its (kernel index, output coordinate) pairs."""
        step, pad, dilation = self.stride[axis], self.padding[axis][0], self.dilation[axis]
        result: list[list[Pair]] = [[] for _ in range(self.in_shape[1 + axis])]
        for out in range(self.output_shape[1 + axis]):
            for k in range(self.kernel[axis]):
                at = out * step - pad + k * dilation
                if 0 <= at < len(result):
                    result[at].append((k, out))
        return result

    @cached_property
    def _listing(self) -> tuple[Ints, Ints, Ints]:
        """(pre, post, index into weights.ravel()) of every synapse."""
        (c_out, height, width), (_, in_height, in_width) = self.output_shape, self.in_shape
        y, in_y, ky = _axis_lists(self.taps(0))
        x, in_x, kx = _axis_lists(self.taps(1))
        per_group = c_out // self.groups
        co, ci = np.indices((c_out, self.weights.shape[1])).reshape(2, -1)
        source = co // per_group * self.weights.shape[1] + ci
        grid = (slice(None), None, None), (None, slice(None), None), (None, None, slice(None))
        pre = (source[grid[0]] * in_height + in_y[grid[1]]) * in_width + in_x[grid[2]]
        post = (co[grid[0]] * height + y[grid[1]]) * width + x[grid[2]]
        channels = (co * self.weights.shape[1] + ci)[grid[0]]
        index = (channels * self.kernel[0] + ky[grid[1]]) * self.kernel[1] + kx[grid[2]]
        return pre.ravel(), post.ravel(), index.ravel()

    def synapses(self) -> tuple[Ints, Ints]:
        return self._listing[0], self._listing[1]

    def values(self) -> Floats:
        return self.weights.ravel()[self._listing[2]]

    def __len__(self) -> int:
        return int(self.row_lengths().sum())

    def row_lengths(self) -> Ints:
        vertical, horizontal = (np.array([len(x) for x in self.taps(axis)], np.int64) for axis in (0, 1))
        plane = np.outer(vertical, horizontal) * (self.output_shape[0] // self.groups)
        return np.broadcast_to(plane.ravel(), (self.in_shape[0], plane.size)).ravel()

    def fan_in(self, values: Floats) -> Floats:
        """An upper bound at the border (the padding's taps count), exact elsewhere; meant for non-negative values."""
        per_channel = values.reshape(self.output_shape[0], -1).sum(axis=1)
        return np.repeat(per_channel, self.n_post // self.output_shape[0])

    def can_scale(self, gain: Floats) -> bool:
        channels = gain.reshape(self.output_shape[0], -1) if gain.ndim else gain.reshape(1, 1)
        return bool((channels == channels[:, :1]).all())

    def scaled(self, gain: Floats) -> Connectivity:
        if not self.can_scale(gain):
            return super().scaled(gain)
        factor = gain.reshape(self.output_shape[0], -1)[:, 0] if gain.ndim else np.full(self.output_shape[0], gain)
        bias = None if self.bias is None else self.bias * gain.ravel()
        return self.with_weights(self.weights * factor[:, None, None, None], bias)

    def with_weights(self, weights: Floats, bias: Floats | None) -> Connectivity:
        return Conv2d(weights, self.in_shape[1:], self.stride, self.padding, self.dilation, self.groups, bias)

    def describe(self) -> str:
        shapes = (
            f"{_cross(self.output_shape)} <- {_cross(self.in_shape)} kernel={_cross(self.kernel)} stride={_cross(self.stride)}"
        )
        extra = "" if self.padding == ((0, 0), (0, 0)) else f" padding={self.padding}"
        extra += "" if self.dilation == (1, 1) else f" dilation={_cross(self.dilation)}"
        extra += "" if self.groups == 1 else f" groups={self.groups}"
        return f"{self.kind} {shapes}{extra} synapses={len(self)} {self.span()}"


class Conv1d(Conv2d):
    """A one-dimensional convolution. weights: (c_out, c_in / groups, k); input_shape: length; otherwise as `Conv2d`."""

    kind = "Conv1d"

    def __init__(
        self,
        weights: ArrayLike,
        input_shape: int,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: ArrayLike | None = None,
    ) -> None:
        array = np.asarray(weights, np.float64)
        if array.ndim != 3:
            raise ModelError(f"Conv1d weights have shape (c_out, c_in / groups, k); got {array.shape}")
        pad = padding if isinstance(padding, str) else (0, _one(padding))
        sizes = (1, _one(input_shape)), (1, _one(stride)), pad, (1, _one(dilation))
        super().__init__(array[:, :, None, :], *sizes, groups, bias)


class SumPool2d(Conv2d):
    """The sum over windows, channel by channel. kernel_size, stride (default: the kernel's size), padding: int or pair."""

    kind = "SumPool2d"

    def __init__(
        self,
        channels: int,
        input_shape: Size,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
    ) -> None:
        size = self._pair("kernel_size", kernel_size, 1)
        weights = np.full((channels, 1, *size), self._weight(size))
        super().__init__(weights, input_shape, size if stride is None else stride, padding, 1, channels)

    @staticmethod
    def _weight(size: Pair) -> float:
        return 1.0


class AvgPool2d(SumPool2d):
    """The mean over windows, padding included, channel by channel; arguments as `SumPool2d`."""

    kind = "AvgPool2d"

    @staticmethod
    def _weight(size: Pair) -> float:
        return 1.0 / (size[0] * size[1])


def _axis_lists(taps: list[list[Pair]]) -> tuple[Ints, Ints, Ints]:
    """(output, input, kernel) coordinates of every pair along one axis."""
    rows = [(out, at, k) for at, pairs in enumerate(taps) for k, out in pairs]
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    return columns[0], columns[1], columns[2]


def _one(value: int) -> int:
    array = np.asarray(value).ravel()
    if array.size != 1:
        raise ModelError(f"Conv1d: expected one number, not {value!r}")
    return int(array[0])


def _cross(values: tuple[int, ...]) -> str:
    return "x".join(map(str, values))

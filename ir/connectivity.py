"""Connectivities: which neuron of the source reaches which of the target, with what weight.

Weight matrices have shape (n_post, n_pre), as in NIR, torch and Lava. Weights and biases are float64 (a bias is added to
the target's input at every step). A connectivity never changes: `with_weights` and `scaled` return new ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from neurocomp.ir.errors import ModelError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def frozen_array(values: Any, dtype: type[np.generic] | None = np.float64) -> NDArray[Any]:
    """A private, read-only, C-contiguous copy."""
    array = np.array(values, dtype=dtype, order="C")
    array.setflags(write=False)
    return array


class Connectivity(ABC):
    """Base of all connectivities. `weights` holds one number per synapse, in the order of `synapses()`."""

    kind: ClassVar[str]
    weights: Floats
    bias: Floats | None
    n_pre: int
    n_post: int

    @abstractmethod
    def synapses(self) -> tuple[Ints, Ints]:
        """(pre, post): flat neuron indices of each synapse, aligned with `weights.ravel()`."""

    @abstractmethod
    def with_weights(self, weights: Floats, bias: Floats | None) -> Self:
        """The same structure with other numbers."""

    def __len__(self) -> int:
        return int(self.weights.size)

    def scaled(self, gain: Floats) -> Self:
        """Weights and bias times `gain`, a scalar or one factor per target neuron."""
        if gain.ndim == 0:
            weights = self.weights * gain
        else:
            _, post = self.synapses()
            weights = self.weights * gain.ravel()[post].reshape(self.weights.shape)
        return self.with_weights(weights, None if self.bias is None else self.bias * gain.ravel())

    def row_lengths(self) -> Ints:
        """(n_pre,) number of synapses of each source neuron: what one of its spikes costs."""
        return np.bincount(self.synapses()[0], minlength=self.n_pre).astype(np.int64)

    def fan_in(self, values: Floats) -> Floats:
        """(n_post,) sums of `values` (one per synapse, shaped as `weights`) over the synapses of each target."""
        return np.bincount(self.synapses()[1], weights=values.ravel(), minlength=self.n_post).astype(np.float64)

    def describe(self) -> str:
        """A short stable text: kind, size, range of the weights."""
        span = f"[{self.weights.min():.6g}, {self.weights.max():.6g}]" if len(self) else "[]"
        return f"{self.kind} {self.n_post}x{self.n_pre} synapses={len(self)} w={span}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.describe()}{'' if self.bias is None else ' bias'})"


def _bias(bias: ArrayLike | None, n_post: int) -> Floats | None:
    if bias is None:
        return None
    return frozen_array(np.broadcast_to(np.asarray(bias, np.float64).ravel(), (n_post,)))


class Dense(Connectivity):
    """Every source neuron to every target neuron. weights: (n_post, n_pre); bias: scalar or (n_post,), optional."""

    kind = "Dense"

    def __init__(self, weights: ArrayLike, bias: ArrayLike | None = None) -> None:
        self.weights = frozen_array(weights)
        if self.weights.ndim != 2:
            raise ModelError(f"Dense weights have shape (n_post, n_pre); got {self.weights.shape}")
        self.n_post, self.n_pre = self.weights.shape
        try:
            self.bias = _bias(bias, self.n_post)
        except ValueError:
            raise ModelError(f"Dense bias of shape {np.asarray(bias).shape} does not fit {self.n_post} targets") from None

    def synapses(self) -> tuple[Ints, Ints]:
        post, pre = np.indices(self.weights.shape, dtype=np.int64).reshape(2, -1)
        return pre, post

    def with_weights(self, weights: Floats, bias: Floats | None) -> Self:
        return type(self)(weights, bias)

    def row_lengths(self) -> Ints:
        return np.full(self.n_pre, self.n_post, np.int64)

    def fan_in(self, values: Floats) -> Floats:
        return np.asarray(values.sum(axis=1), np.float64)


class Sparse(Connectivity):
    """Listed synapses: a scipy sparse matrix (n_post, n_pre), or scipy's triples `(weights, (post, pre))` with `shape`.

    Of a two-dimensional array the non-zero entries are taken. Explicit zeros of the other forms are synapses. The same pair may be listed several times in triples (several synapses, which may have
    different delays). `pre` and `post` are (k,) int64, in the order given; per-synapse delays follow that order.
    """

    kind = "Sparse"

    def __init__(self, matrix: Any, shape: tuple[int, int] | None = None, bias: ArrayLike | None = None) -> None:
        if sp.issparse(matrix) or (isinstance(matrix, np.ndarray) and matrix.ndim == 2):
            coo = sp.coo_array(matrix)
            post, pre, data, shape = coo.row, coo.col, coo.data, coo.shape
        else:
            try:
                data, (post, pre) = matrix
            except (TypeError, ValueError):
                raise ModelError(
                    "Sparse takes a scipy sparse matrix or the triples (weights, (post, pre)) with shape=(n_post, n_pre)"
                ) from None
        if shape is None:
            raise ModelError("Sparse triples need shape=(n_post, n_pre)")
        self.n_post, self.n_pre = int(shape[0]), int(shape[1])
        self.post, self.pre = frozen_array(post, np.int64), frozen_array(pre, np.int64)
        values = np.asarray(data, np.float64)
        if values.ndim and values.shape != self.post.shape:
            raise ModelError(f"Sparse: {values.shape} weights for {self.post.shape} post indices; each synapse needs both")
        self.weights = frozen_array(np.broadcast_to(values, self.post.shape))
        if self.post.ndim != 1 or self.pre.shape != self.post.shape:
            raise ModelError(f"Sparse: {self.post.shape} post indices, {self.pre.shape} pre indices; each synapse needs both")
        for name, ids, bound in (("post", self.post, self.n_post), ("pre", self.pre, self.n_pre)):
            if len(ids) and (ids.min() < 0 or ids.max() >= bound):
                bad = int(ids.min() if ids.min() < 0 else ids.max())
                raise ModelError(f"Sparse: {name} index {bad} is outside 0..{bound - 1} (shape {tuple(shape)})")
        try:
            self.bias = _bias(bias, self.n_post)
        except ValueError:
            raise ModelError(f"Sparse bias of shape {np.asarray(bias).shape} does not fit {self.n_post} targets") from None

    def synapses(self) -> tuple[Ints, Ints]:
        return self.pre, self.post

    def with_weights(self, weights: Floats, bias: Floats | None) -> Self:
        return type(self)((weights, (self.post, self.pre)), (self.n_post, self.n_pre), bias)


class OneToOne(Connectivity):
    """Neuron k to neuron k. weights: scalar or one per neuron; the size follows the populations when given by scalar."""

    kind = "OneToOne"

    def __init__(self, weights: ArrayLike = 1.0, size: int | None = None, bias: ArrayLike | None = None) -> None:
        array = np.asarray(weights, np.float64)
        self.size = size if size is not None else (array.size if array.ndim else None)
        if self.size is None:
            self.weights, self.bias = frozen_array(array), None if bias is None else frozen_array(bias)
            self.n_pre = self.n_post = 0
            return
        try:
            self.weights = frozen_array(np.broadcast_to(array.ravel(), (self.size,)))
        except ValueError:
            raise ModelError(f"OneToOne: {array.size} weights do not fit {self.size} neurons") from None
        try:
            self.bias = _bias(bias, self.size)
        except ValueError:
            raise ModelError(f"OneToOne bias of shape {np.asarray(bias).shape} does not fit {self.size} neurons") from None
        self.n_pre = self.n_post = self.size

    def sized(self, size: int) -> OneToOne:
        """The connectivity for populations of `size` neurons, where it was given by a scalar."""
        return self if self.size is not None else OneToOne(self.weights, size, self.bias)

    def synapses(self) -> tuple[Ints, Ints]:
        ids = np.arange(self.n_pre, dtype=np.int64)
        return ids, ids

    def with_weights(self, weights: Floats, bias: Floats | None) -> Self:
        return type(self)(weights, self.size, bias)

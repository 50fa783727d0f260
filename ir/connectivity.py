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

from neurocomp.ir.distributions import Distribution, Uniform
from neurocomp.ir.errors import ModelError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def frozen_array(values: Any, dtype: type[np.generic] | None = np.float64) -> NDArray[Any]:
    """A private, read-only, C-contiguous copy. Numbers that would be cut to fit the dtype are refused."""
    refuse_distribution(values)
    given = np.asarray(values)
    if dtype is not None and given.dtype.kind == "c":
        raise ModelError("complex numbers do not fit here; give real ones")
    if dtype is np.int64 and given.dtype.kind == "f" and not np.array_equal(given, np.rint(given)):
        raise ModelError(
            f"{given.ravel()[given.ravel() != np.rint(given.ravel())][0]} is not a whole number; indices and columns are"
        )
    array = np.array(values, dtype=dtype, order="C")
    array.setflags(write=False)
    return array


def refuse_distribution(*given: Any) -> None:
    """Refuse `nc.Uniform` and `nc.Normal` where arrays are needed."""
    for values in given:
        if isinstance(values, Distribution):
            name, draw = type(values).__name__, "uniform" if isinstance(values, Uniform) else "normal"
            raise ModelError(
                f"nc.{name} is for parameters and initial values; weights are arrays: draw them with NumPy, as in "
                f"np.random.default_rng(0).{draw}(..., size=(n_post, n_pre))"
            )


class Connectivity(ABC):
    """Base of all connectivities. `weights` holds the numbers that are stored, `values()` the weight of each synapse."""

    kind: ClassVar[str]
    weights: Floats
    bias: Floats | None
    n_pre: int
    n_post: int

    @abstractmethod
    def synapses(self) -> tuple[Ints, Ints]:
        """(pre, post): flat neuron indices of each synapse, in the order of `values()`."""

    def values(self) -> Floats:
        """The weight of each synapse."""
        return self.weights.ravel()

    @abstractmethod
    def with_weights(self, weights: Floats, bias: Floats | None) -> Connectivity:
        """The same structure with other numbers."""

    def __len__(self) -> int:
        """Number of synapses."""
        return int(self.weights.size)

    def expand(self) -> Sparse:
        """The same synapses, listed."""
        pre, post = self.synapses()
        return Sparse((self.values(), (post, pre)), (self.n_post, self.n_pre), self.bias)

    def can_scale(self, gain: Floats) -> bool:
        """Whether `scaled` keeps the structure."""
        return True

    def scaled(self, gain: Floats) -> Connectivity:
        """Weights and bias times `gain`, a scalar or one factor per target neuron."""
        bias = None if self.bias is None else self.bias * gain.ravel()
        if gain.ndim == 0:
            return self.with_weights(self.weights * gain, bias)
        listed = self.expand()
        return listed.with_weights(listed.weights * gain.ravel()[listed.post], bias)

    def row_lengths(self) -> Ints:
        """(n_pre,) number of synapses of each source neuron: what one of its spikes costs."""
        return np.bincount(self.synapses()[0], minlength=self.n_pre).astype(np.int64)

    def fan_in(self, values: Floats) -> Floats:
        """(n_post,) sums of `values` (shaped as `weights`) over the synapses of each target; at least, for values >= 0."""
        return np.bincount(self.synapses()[1], weights=values.ravel(), minlength=self.n_post).astype(np.float64)

    def describe(self) -> str:
        """A short stable text: kind, size, range of the weights."""
        return f"{self.kind} {self.n_post}x{self.n_pre} synapses={len(self)} {self.span()}"

    def span(self) -> str:
        """The range of the weights, as text."""
        return f"w=[{self.weights.min():.6g}, {self.weights.max():.6g}]" if self.weights.size else "w=[]"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.describe()}{'' if self.bias is None else ' bias'})"


def _bias(bias: ArrayLike | None, n_post: int) -> Floats | None:
    if bias is None:
        return None
    return frozen_array(np.broadcast_to(np.asarray(bias, np.float64).ravel(), (n_post,)))


class Dense(Connectivity):
    """Every source neuron to every target neuron. weights: (n_post, n_pre); bias: scalar or (n_post,), optional.

    columns: optional (n_pre,) integers that say which column of the weights each source neuron uses, -1 for none; then the
    weights have as many columns as there are different ones (a sum pool before a full matrix keeps one matrix this way).
    """

    kind = "Dense"

    def __init__(self, weights: ArrayLike, bias: ArrayLike | None = None, columns: ArrayLike | None = None) -> None:
        refuse_distribution(weights, bias)
        self.weights = frozen_array(weights)
        if self.weights.ndim != 2:
            raise ModelError(f"Dense weights have shape (n_post, n_pre); got {self.weights.shape}")
        self.n_post, self.n_pre = self.weights.shape
        self.columns: Ints | None = None
        if columns is not None:
            self.columns = frozen_array(columns, np.int64)
            self.n_pre = len(self.columns)
            if self.columns.ndim != 1 or (
                self.n_pre and not -1 <= self.columns.min() <= self.columns.max() < self.weights.shape[1]
            ):
                raise ModelError(f"Dense columns must be one-dimensional, within -1..{self.weights.shape[1] - 1}")
        try:
            self.bias = _bias(bias, self.n_post)
        except ValueError:
            raise ModelError(f"Dense bias of shape {np.asarray(bias).shape} does not fit {self.n_post} targets") from None

    def synapses(self) -> tuple[Ints, Ints]:
        post, pre = np.indices((self.n_post, self.n_pre), dtype=np.int64).reshape(2, -1)
        if self.columns is None:
            return pre, post
        keep = self.columns[pre] >= 0
        return pre[keep], post[keep]

    def values(self) -> Floats:
        if self.columns is None:
            return self.weights.ravel()
        pre, post = self.synapses()
        return self.weights[post, self.columns[pre]]

    def with_weights(self, weights: Floats, bias: Floats | None) -> Self:
        return type(self)(weights, bias, self.columns)

    def scaled(self, gain: Floats) -> Connectivity:
        factor = gain if gain.ndim == 0 else gain.ravel()[:, None]
        return self.with_weights(self.weights * factor, None if self.bias is None else self.bias * gain.ravel())

    def __len__(self) -> int:
        return int(self.row_lengths().sum())

    def row_lengths(self) -> Ints:
        if self.columns is None:
            return np.full(self.n_pre, self.n_post, np.int64)
        return np.where(self.columns >= 0, self.n_post, 0).astype(np.int64)

    def fan_in(self, values: Floats) -> Floats:
        if self.columns is None:
            return np.asarray(values.sum(axis=1), np.float64)
        uses = np.bincount(self.columns[self.columns >= 0], minlength=values.shape[1])
        return np.asarray((values * uses).sum(axis=1), np.float64)


class Sparse(Connectivity):
    """Listed synapses: a scipy sparse matrix (n_post, n_pre), or scipy's triples `(weights, (post, pre))` with `shape`.

    Of a two-dimensional array the non-zero entries are taken; explicit zeros of the other forms are synapses. The same pair
    may be listed several times in triples (several synapses, which may have
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
        refuse_distribution(data, bias)
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

    def expand(self) -> Sparse:
        return self


class OneToOne(Connectivity):
    """Neuron k to neuron k. weights: scalar or one per neuron; the size follows the populations when given by scalar."""

    kind = "OneToOne"

    def __init__(self, weights: ArrayLike = 1.0, size: int | None = None, bias: ArrayLike | None = None) -> None:
        refuse_distribution(weights, bias)
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

    def scaled(self, gain: Floats) -> Connectivity:
        return self.with_weights(self.weights * gain.ravel(), None if self.bias is None else self.bias * gain.ravel())

    def with_weights(self, weights: Floats, bias: Floats | None) -> Self:
        return type(self)(weights, self.size, bias)

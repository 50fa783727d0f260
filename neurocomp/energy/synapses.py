"""Which synapses lie on which core: what one spike costs where, without expanding what has structure."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from neurocomp.ir.connectivity import Dense
from neurocomp.ir.convolution import Conv2d
from neurocomp.ir.network import Projection

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Synapses:
    """The synapses of a compiled projection by source neuron and core. core_of: (n_post,) core of each target, of `cores`."""

    projection: Projection
    core_of: Ints
    cores: int
    _lists: dict[str, tuple[Ints, Ints]] = field(default_factory=dict, repr=False)

    @property
    def kind(self) -> str:
        """The kind of its synaptic operations."""
        layer = self.projection.connectivity
        return "synop.dense" if isinstance(layer, Dense) else "synop.conv" if isinstance(layer, Conv2d) else "synop.sparse"

    @cached_property
    def by_delay(self) -> list[tuple[int, sp.csr_array]]:
        """(delay, (n_pre, cores) int64 number of synapses a spike reaches on each core)."""
        layer = self.projection.connectivity
        shape = (layer.n_pre, self.cores)
        if isinstance(layer, Dense) and not np.ndim(self.projection.delay):
            row = np.bincount(self.core_of, minlength=self.cores).astype(np.int64)
            used = (layer.row_lengths() > 0).astype(np.int64)
            return [(int(self.projection.delay), sp.csr_array(used[:, None] * row))]
        pre, post = layer.synapses()
        delays = np.broadcast_to(np.ravel(self.projection.delay), pre.shape)
        parts = []
        for delay in np.unique(delays):
            at = delays == delay
            cells = np.bincount(pre[at] * self.cores + self.core_of[post[at]], minlength=shape[0] * shape[1])
            parts.append((int(delay), sp.csr_array(cells.reshape(shape).astype(np.int64))))
        return parts

    @cached_property
    def reached_cores(self) -> sp.csr_array:
        """(n_pre, cores) 1 where a neuron has a synapse on the core: a spike is one message to each."""
        total = sum(
            (counts for _, counts in self.by_delay),
            sp.csr_array((self.projection.connectivity.n_pre, self.cores), dtype=np.int64),
        )
        return sp.csr_array((total > 0).astype(np.int64))

    @cached_property
    def fan_in(self) -> Ints:
        """(n_post,) number of synapses of each target."""
        layer = self.projection.connectivity
        if isinstance(layer, Dense):
            return np.full(layer.n_post, int((layer.row_lengths() > 0).sum()), np.int64)
        return np.asarray(np.bincount(layer.synapses()[1], minlength=layer.n_post), np.int64)

    def nonzero_rows(self) -> Ints:
        """(n_pre,) synapses of each source neuron whose weight is not 0."""
        layer = self.projection.connectivity
        if isinstance(layer, Dense) and layer.columns is None:
            return np.asarray(np.count_nonzero(layer.weights, axis=0), np.int64)
        values, (pre, _) = layer.values(), layer.synapses()
        return np.asarray(np.bincount(pre[values != 0], minlength=layer.n_pre), np.int64)

    def targets(self, delay: int, sources: Ints) -> NDArray[np.bool_]:
        """(n_post,) which targets the spikes of these source neurons reach with this delay."""
        layer = self.projection.connectivity
        if isinstance(layer, Dense) and not np.ndim(self.projection.delay):
            return np.full(layer.n_post, bool((layer.row_lengths()[sources] > 0).any()))
        starts, post = self._listed(delay)
        hit = np.zeros(layer.n_post, bool)
        for neuron in sources.tolist():
            hit[post[starts[neuron] : starts[neuron + 1]]] = True
        return hit

    def _listed(self, delay: int) -> tuple[Ints, Ints]:
        """(n_pre + 1,) offsets by source neuron into the targets reached with this delay."""
        key = str(delay)
        if key not in self._lists:
            layer = self.projection.connectivity
            pre, post = layer.synapses()
            at = np.broadcast_to(np.ravel(self.projection.delay), pre.shape) == delay
            pre, post = pre[at], post[at]
            order = np.argsort(pre, kind="stable")
            starts = np.concatenate([[0], np.cumsum(np.bincount(pre, minlength=layer.n_pre))]).astype(np.int64)
            self._lists[key] = (starts, post[order])
        return self._lists[key]

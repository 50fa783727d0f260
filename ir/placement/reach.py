"""What a projection asks of a core that holds some neurons of its target: source neurons, in-axons, bits of synaptic memory.

Neurons on a core are given as runs, a tuple of (start, stop) ranges of flat indices of the target population.
Convolutions are never expanded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.chips import Chip
from neurocomp.ir.connectivity import Dense
from neurocomp.ir.convolution import Conv2d
from neurocomp.ir.errors import ModelError
from neurocomp.ir.network import Network, Projection
from neurocomp.ir.passes.loihi import sign_mode, synapse_of
from neurocomp.ir.placement.result import PlacementError

Ints = NDArray[np.int64]
Runs = tuple[tuple[int, int], ...]
ASSUMED_BITS = 8  # of a weight in float arithmetic


@dataclass(frozen=True)
class Need:
    """What one projection asks of one core. sources: ids of the source neurons that reach it. axons: ids of in-axons."""

    sources: Ints
    axons: Ints
    bits: int


class Reach(ABC):
    """Base: a projection's demand on a core. `format`: what makes its synapse format differ from others on the core."""

    channelled = False  # whether the neurons of a pixel share an axon, which carries the channel

    def __init__(self, projection: Projection, arithmetic: str, chip: Chip) -> None:
        self.projection, self.packing = projection, chip.packing
        self.n_pre, self.n_post = projection.connectivity.n_pre, projection.connectivity.n_post
        self.n_axons = self.n_pre
        bits, scale = _weight_format(projection, arithmetic)
        delay_bits = max(projection.max_delay - 1, 0).bit_length()  # the first step of a delay is the hop itself
        indexed = None if isinstance(projection.connectivity, Dense) else chip.compartments
        try:
            self.width = self.packing.synapse_width(bits, delay_bits, indexed)
        except ModelError as error:
            raise PlacementError(projection.name, "packing", None, None, str(error)) from None
        self.format = (type(self).__name__, self.width, delay_bits, *scale)

    @abstractmethod
    def need(self, runs: Runs) -> Need:
        """What the target neurons of these runs ask of their core."""

    def axon_of(self, neurons: Ints) -> Ints:
        """The axon of each source neuron."""
        return neurons


class DenseReach(Reach):
    """A full matrix: every source neuron reaches every core. Columns that several neurons share are stored once."""

    def __init__(self, projection: Projection, arithmetic: str, chip: Chip) -> None:
        super().__init__(projection, arithmetic, chip)
        matrix = projection.connectivity
        assert isinstance(matrix, Dense)
        if matrix.columns is None:
            self.sources, self.n_lists = np.arange(self.n_pre), self.n_pre
        else:
            self.sources = np.flatnonzero(matrix.columns >= 0)
            self.n_lists = len(np.unique(matrix.columns[self.sources]))

    def need(self, runs: Runs) -> Need:
        """As `Reach.need`."""
        count = sum(stop - start for start, stop in runs)
        if not count:
            return _NOTHING
        bits = self.n_lists * int(self.packing.list_bits(np.array(count), self.width))
        return Need(self.sources, self.sources, bits)


class ListedReach(Reach):
    """Listed synapses: each source neuron has a list of its targets on the core."""

    def __init__(self, projection: Projection, arithmetic: str, chip: Chip) -> None:
        super().__init__(projection, arithmetic, chip)
        pre, post = projection.connectivity.synapses()
        if len(post) and (np.diff(post) < 0).any():
            pre = pre[np.argsort(post, kind="stable")]
        self.pre = pre  # source of each synapse, in the order of targets
        self.offsets = np.concatenate([[0], np.cumsum(np.bincount(post, minlength=self.n_post))])

    def need(self, runs: Runs) -> Need:
        """As `Reach.need`."""
        chunks = [self.pre[self.offsets[start] : self.offsets[stop]] for start, stop in runs]
        sources, counts = _distinct(chunks[0] if len(chunks) == 1 else np.concatenate(chunks), self.n_pre)
        return Need(sources, sources, int(self.packing.list_bits(counts, self.width).sum()))


class ConvolutionReach(Reach):
    """A convolution or pool: the kernels of the channels on a core are stored there once, for all positions.

    The channels of an input pixel share an axon (nengo-loihi's population axons). The axon's list of an input channel holds
    that channel's part of all kernels on the core. Truncated lists for the pixels of a border are not counted.
    """

    channelled = True

    def __init__(self, projection: Projection, arithmetic: str, chip: Chip) -> None:
        super().__init__(projection, arithmetic, chip)
        layer = projection.connectivity
        assert isinstance(layer, Conv2d)
        self.layer = layer
        self.n_axons = layer.in_shape[1] * layer.in_shape[2]

    def need(self, runs: Runs) -> Need:
        """As `Reach.need`."""
        layer = self.layer
        held = np.zeros(self.n_post, bool)
        for start, stop in runs:
            held[start:stop] = True
        grouped = held.reshape(layer.groups, -1, *layer.output_shape[1:])
        seen = self._seen(np.asarray(grouped.any(axis=1)))
        per_group = layer.weights.shape[1]
        sources = np.flatnonzero(np.repeat(seen, per_group, axis=0))
        channels = grouped.any(axis=(2, 3)).sum(axis=1)
        lists = self.packing.list_bits(channels * (layer.kernel[0] * layer.kernel[1]), self.width)
        return Need(sources, np.flatnonzero(seen.any(axis=0)), int(lists.sum()) * per_group)

    def axon_of(self, neurons: Ints) -> Ints:
        """The pixel of each source neuron."""
        return neurons % self.n_axons

    def _seen(self, outputs: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(groups, height, width) input pixels that the given outputs look at."""
        layer = self.layer
        seen = outputs
        for axis in (0, 1):
            size = layer.in_shape[1 + axis]
            shape = [*seen.shape]
            shape[1 + axis] = size
            wider = np.zeros(shape, bool)
            for k in range(layer.kernel[axis]):
                at = np.arange(seen.shape[1 + axis]) * layer.stride[axis] - layer.padding[axis][0] + k * layer.dilation[axis]
                inside = (at >= 0) & (at < size)
                target: list[Any] = [slice(None)] * 3
                target[1 + axis] = at[inside]
                wider[tuple(target)] |= seen.compress(inside, axis=1 + axis)
            seen = wider
        return seen


def reach(net: Network, projection: Projection, chip: Chip) -> Reach:
    """The demand of a projection, by its kind of connectivity. Raises `PlacementError` for delays the chip cannot hold."""
    if chip.max_delay is not None and projection.max_delay - 1 > chip.max_delay:
        raise PlacementError(
            projection.name,
            "max_delay",
            projection.max_delay - 1,
            chip.max_delay,
            f"delays of {projection.max_delay - 1} steps (beyond the hop's own), {chip.name} holds {chip.max_delay}: shorten "
            "them, or relay the spikes through another population",
        )
    arithmetic = net.populations[projection.post].neuron.model.arithmetic
    kinds: tuple[tuple[type, type[Reach]], ...] = ((Dense, DenseReach), (Conv2d, ConvolutionReach))
    kind = next((kind for layer, kind in kinds if isinstance(projection.connectivity, layer)), ListedReach)
    return kind(projection, arithmetic, chip)


_NOTHING = Need(np.zeros(0, np.int64), np.zeros(0, np.int64), 0)


def _weight_format(projection: Projection, arithmetic: str) -> tuple[int, tuple[Any, ...]]:
    """(bits of a weight, exponent and sign mode). Float projections get an exponent each once they are quantised."""
    if arithmetic == "float":
        return ASSUMED_BITS, (projection.name,)
    synapse = synapse_of(projection)
    mode = sign_mode(projection.connectivity.weights, synapse)
    return synapse.num_weight_bits, (synapse.num_weight_bits, synapse.weight_exp, mode)


def _distinct(ids: Ints, size: int) -> tuple[Ints, Ints]:
    """Sorted distinct values of ids in 0..size-1, and how often each occurs."""
    if len(ids) * 8 < size:
        values, counts = np.unique(ids, return_counts=True)
        return values, counts.astype(np.int64)
    every = np.bincount(ids, minlength=size)
    values = np.flatnonzero(every)
    return values, every[values]

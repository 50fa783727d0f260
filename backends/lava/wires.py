"""Projections as Lava connections: pure data, so that the parent process and tests can look at it without Lava.

Lava's connections take one step themselves, so a delay of d steps is Lava's delay d - 1. They hold at most one synapse per
pair of neurons and, on Loihi, delays up to 63. What does not fit goes through a `Relay` first: several synapses of one pair
become one column each, and longer delays (float arithmetic only) wait there for a multiple of 64 steps. Columns of one
connection, not several connections, because a negative weight exponent rounds the sum of all synapses of a step and delay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from neurocomp.ir.connectivity import Dense, Sparse
from neurocomp.ir.convolution import Conv2d
from neurocomp.ir.network import LoihiSynapse, Network, Population, Projection
from neurocomp.ir.passes.loihi import stored_weights
from neurocomp.ir.plasticity import LoihiRule

SLOTS = 64  # delays 0..63 in one Lava connection
MESSAGE_BITS = 24  # of a graded spike; 0 makes Lava read spikes as true or false


@dataclass(frozen=True)
class Wire:
    """One Lava Dense (array) or Sparse (csr_matrix), or their Delay variants where `delays` is given.

    columns: source neuron of each column where these differ. wait: steps in the relay. loihi: Lava's parameters of the
    same names, sign_mode by its name. conv: a Lava Conv instead, of this geometry and `weights`. rule: a Lava LearningDense
    instead, of the projection `name`.
    """

    pre: str
    post: str
    weights: Any
    delays: Any = None
    columns: NDArray[np.int64] | None = None
    wait: int = 0
    message_bits: int = 0
    conv: Conv2d | None = None
    loihi: Mapping[str, Any] = field(default_factory=dict)
    rule: LoihiRule | None = None
    name: str = ""

    @property
    def relayed(self) -> bool:
        """Whether spikes go through a relay first."""
        return self.columns is not None or self.wait > 0


def wires(net: Network) -> list[Wire]:
    """All connections of a compiled network."""
    result = []
    for projection in net.projections.values():
        if projection.learning is not None:
            if why_generated(projection) is None:
                result.append(_learning_wire(projection))
            continue  # others are a process of their own
        source, population = net.node(projection.pre), net.populations[projection.post]
        graded = source.graded
        loihi = population.program is not None and population.program.form.arithmetic == "loihi"
        bound = population.grid.bound if population.grid is not None else 0
        projection = onto_concatenated(projection, population)
        result += _wires(projection, MESSAGE_BITS if graded else 0, loihi, bound)
    return result


def onto_concatenated(projection: Projection, population: Population) -> Projection:
    """The projection onto a process whose one port takes all receptors' inputs, one after the other."""
    receptors = len(population.neuron.model.inputs)
    if receptors == 1:
        return projection
    listed, size = projection.connectivity.expand(), population.size
    post = listed.post + population.slot(projection.receptor) * size
    sparse = Sparse((listed.weights, (post, listed.pre)), (receptors * size, listed.n_pre))
    delay = np.ravel(projection.delay) if np.ndim(projection.delay) else projection.delay
    return replace(projection, connectivity=sparse, delay=delay)


def _wires(projection: Projection, message_bits: int, loihi: bool, bound: int) -> list[Wire]:
    connectivity = projection.connectivity
    if len(connectivity) == 0:
        return []
    if _conv_fits(projection, bound if loihi else 0):
        connectivity = cast(Conv2d, connectivity)
        return [Wire(projection.pre, projection.post, connectivity.weights, message_bits=message_bits, conv=connectivity)]
    left = max(projection.loihi.weight_exp, 0) if loihi and projection.loihi else 0  # Lava does that shift itself
    common: dict[str, Any] = {"message_bits": message_bits, "loihi": loihi_parameters(projection) if loihi else {}}
    extra = np.asarray(projection.delay, np.int64) - 1
    if isinstance(connectivity, Dense) and connectivity.columns is None and extra.max() < SLOTS:
        weights = np.ldexp(connectivity.weights, -left)
        delays = np.broadcast_to(extra, weights.shape).copy() if extra.any() else None
        return [Wire(projection.pre, projection.post, weights, delays, **common)]
    pre, post = connectivity.synapses()
    weights, shape, result = np.ldexp(connectivity.values(), -left), (connectivity.n_post, connectivity.n_pre), []
    extra = np.broadcast_to(extra.ravel(), weights.shape)
    for bucket in np.unique(extra // SLOTS):
        chosen = np.flatnonzero(extra // SLOTS == bucket)
        columns, column = _columns(post[chosen], pre[chosen], shape)
        size = (shape[0], shape[1] if columns is None else len(columns))
        place = (post[chosen], column)
        matrix = sp.csr_matrix((weights[chosen], place), shape=size)
        rest = extra[chosen] - bucket * SLOTS
        delays = sp.csr_matrix((rest, place), shape=size) if rest.any() else None
        result.append(Wire(projection.pre, projection.post, matrix, delays, columns, int(bucket * SLOTS), **common))
    return result


def why_generated(projection: Projection) -> str | None:
    """Why a projection that learns is not Lava's LearningDense, or None where it is.

    LearningSparse is not used: it fails on factors w and t and on weights of one sign, and forgets synapses that start at 0.
    """
    if not isinstance(projection.learning, LoihiRule):
        return "its rule is not one of Loihi's learning engine"
    if np.unique(projection.delay).size > 1:
        return "its synapses have several delays, and a LearningDense has one"
    pre, post = projection.connectivity.synapses()
    pairs = projection.connectivity.n_pre * projection.connectivity.n_post
    if len(pre) != pairs or np.unique(post * projection.connectivity.n_pre + pre).size != pairs:
        return "in a LearningDense every pair of neurons has one synapse that learns"
    return None


def _learning_wire(projection: Projection) -> Wire:
    """Lava's connection takes one step itself; what a delay is longer waits in a relay."""
    assert isinstance(projection.learning, LoihiRule)
    pre, post = projection.connectivity.synapses()
    weights = np.zeros((projection.connectivity.n_post, projection.connectivity.n_pre))
    weights[post, pre] = projection.connectivity.values()
    synapse = projection.loihi or LoihiSynapse()
    loihi = {"weight_exp": synapse.weight_exp, "num_weight_bits": synapse.num_weight_bits, "sign_mode": synapse.sign_mode}
    wait, rule = projection.min_delay - 1, projection.learning
    return Wire(projection.pre, projection.post, weights, wait=wait, loihi=loihi, rule=rule, name=projection.name)


def _conv_fits(projection: Projection, bound: int) -> bool:
    """Whether Lava's Conv can take it: no dilation, the same padding on both sides, one step, and no rounded exponent.

    Lava's Conv ignores weight_exp; the loihi pass has multiplied left shifts into the weights. Geometry is int8 there, and
    fixed-point sums wrap at 24 bits, so the proven bound must stay below (0 where it does not apply).
    """
    if bound >= 2**23:
        return False
    connectivity = projection.connectivity
    if not isinstance(connectivity, Conv2d) or np.any(np.asarray(projection.delay) != 1) or projection.shift:
        return False
    even = all(before == after for before, after in connectivity.padding)
    small = max(*connectivity.kernel, *connectivity.stride, *connectivity.padding[0], *connectivity.padding[1]) < 128
    return connectivity.dilation == (1, 1) and even and small and connectivity.groups < 128


def _columns(
    post: NDArray[np.int64], pre: NDArray[np.int64], shape: tuple[int, int]
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64]]:
    """(source neuron of each column or None for one column each, column of each synapse), so that no pair repeats."""
    pair = post * shape[1] + pre
    order = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.diff(pair[order], prepend=-1))
    lengths = np.diff(starts, append=len(pair))
    if lengths.max() == 1:
        return None, pre
    rank = np.empty_like(pair)
    rank[order] = np.arange(len(pair)) - np.repeat(starts, lengths)
    keys, column = np.unique(rank * shape[1] + pre, return_inverse=True)
    return keys % shape[1], column.reshape(pair.shape)


def loihi_parameters(projection: Projection) -> dict[str, Any]:
    """Lava's weight parameters, such that its own truncation changes nothing in the weights that the loihi pass left."""
    synapse = projection.loihi or LoihiSynapse()
    weights = np.ldexp(projection.connectivity.weights, -max(synapse.weight_exp, 0))
    modes = (synapse.sign_mode,) if synapse.sign_mode else ("excitatory", "inhibitory", "mixed")
    for mode in modes:
        kept = LoihiSynapse(synapse.weight_exp, synapse.num_weight_bits, mode)
        if np.array_equal(stored_weights(weights, kept), weights):
            return {"weight_exp": synapse.weight_exp, "num_weight_bits": synapse.num_weight_bits, "sign_mode": mode}
    raise ValueError(f"projection '{projection.name}': its weights did not go through the loihi pass")

"""What a network is made of: inputs, populations, projections, and the records that passes add to them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from neurocomp.ir.connectivity import Connectivity, Dense, Floats
from neurocomp.ir.model import Neuron
from neurocomp.ir.patterns import Drawn, DrawnDelays
from neurocomp.ir.plasticity import LearningProgram, LoihiRule, Plasticity
from neurocomp.ir.program import StepProgram


@dataclass(frozen=True)
class Change:
    """One thing a pass changed, for `explain()`: which pass, on what, from what to what, and why."""

    by: str
    subject: str
    before: str
    after: str
    why: str

    def __str__(self) -> str:
        return f"[{self.by}] {self.subject}: {self.before} -> {self.after} ({self.why})"


@dataclass(frozen=True)
class Grid:
    """The number grid of one population's input: values are integers times 2**exponent.

    bound: the largest sum any neuron can receive in a step, in grid units, proven from all weights, biases and payloads.
    """

    exponent: int
    bound: int

    @property
    def bits(self) -> int:
        """Width of the accumulator that holds every possible sum: 32 or 64."""
        return 32 if self.bound < 2**31 else 64


@dataclass(frozen=True)
class Input:
    """Where spikes come in. max_payload: largest absolute value of a graded spike (1: plain spikes).

    spikes: (times in steps, flat neuron indices, payloads or None) it plays after a reset where a run gives it nothing else.
    """

    name: str
    shape: tuple[int, ...]
    max_payload: int = 1
    lag: int = 0
    spikes: tuple[Any, Any, Any] | None = None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @property
    def graded(self) -> bool:
        """Whether spikes carry payloads."""
        return self.max_payload != 1


@dataclass(frozen=True)
class Population:
    """Neurons of one model. bias: constant added to the input `a` of every step, scalar or of the population's shape.

    max_payload: largest absolute payload of its spikes, 1 where the model sends plain spikes.

    The other fields are written by passes: `program` by discretise, `grid` by grid or loihi, `lag` by retime (the
    number of steps by which the population runs behind the written network; recordings are shifted back).
    """

    name: str
    neuron: Neuron
    shape: tuple[int, ...]
    bias: Any = 0.0
    program: StepProgram | None = None
    grid: Grid | None = None
    lag: int = 0
    max_payload: int = 1

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @property
    def graded(self) -> bool:
        """Whether spikes carry payloads."""
        return bool(self.neuron.model.payload)

    def slot(self, receptor: str) -> int:
        """The number of a receptor among the model's inputs."""
        return self.neuron.model.inputs.index(receptor) if receptor else 0

    def bias_vector(self) -> NDArray[np.float64]:
        """(size,) the bias of every neuron, a constant part of its first input."""
        return np.broadcast_to(np.asarray(self.bias, np.float64).ravel(), (self.size,))


@dataclass(frozen=True)
class LoihiSynapse:
    """How Loihi stores a projection's weights (Lava's Dense/Sparse parameters of the same names).

    weight_exp: the sum of a step's weights is shifted left by it (right, rounding down, where negative).
    num_weight_bits: 1..8. sign_mode: "mixed", "excitatory", "inhibitory" or None (decided by the weights, as Lava does; "mixed"
    where they learn).
    """

    weight_exp: int = 0
    num_weight_bits: int = 8
    sign_mode: str | None = None

    @property
    def learned_range(self) -> tuple[int, int]:
        """The lowest and highest weight that a rule can reach, before the exponent."""
        return {"excitatory": (0, 255), "inhibitory": (-255, 0)}.get(self.sign_mode or "", (-256, 255))


@dataclass(frozen=True)
class Projection:
    """Synapses from `pre` to `post`. delay: steps, an int, an int64 array shaped as the connectivity's weights, or
    `DrawnDelays`.

    receptor: the input of the target they add to, "" where it has only one. plasticity: how they learn, None for fixed weights;
    `discretise` writes its numbers to `learning` (a `LoihiRule` as it is: it does not know dt).
    shift: the sum of each step and delay is shifted right by this many bits before it is added (Loihi only).
    """

    name: str
    pre: str
    post: str
    connectivity: Connectivity
    delay: Any = 0
    loihi: LoihiSynapse | None = None
    shift: int = 0
    receptor: str = ""
    plasticity: Plasticity | LoihiRule | None = None
    learning: LearningProgram | LoihiRule | None = None

    @property
    def weight_range(self) -> tuple[Floats, Floats]:
        """The lowest and highest value each weight can ever have when it acts, shaped as the connectivity's weights."""
        weights, rule = self.connectivity.weights, self.plasticity
        if rule is None:
            return weights, weights
        low, high = rule.bounds if isinstance(rule, Plasticity) else self._learned_range()
        return np.full_like(weights, low), np.full_like(weights, high)

    def _learned_range(self) -> tuple[float, float]:
        synapse = self.loihi or LoihiSynapse()
        low, high = synapse.learned_range
        return low * 2.0 ** max(synapse.weight_exp, 0), high * 2.0 ** max(synapse.weight_exp, 0)

    @property
    def largest_weights(self) -> Floats:
        """The largest absolute value each weight can ever have, shaped as the weights; one for all of a pattern."""
        if isinstance(self.connectivity, Drawn) and self.plasticity is None:
            return np.array([max(map(abs, self.connectivity.weight_span))])
        low, high = self.weight_range
        return np.maximum(np.abs(low), np.abs(high))

    def by_delay(self) -> list[tuple[int, Any]]:
        """(delay, W) pairs, W of shape (n_post, n_pre), dense or sparse; synapses of one pair and delay add up."""
        connectivity = self.connectivity
        if isinstance(connectivity, Dense) and connectivity.columns is None and not np.ndim(self.delay):
            return [(int(self.delay), connectivity.weights)]
        (pre, post), weights = connectivity.synapses(), connectivity.values()
        delays = np.broadcast_to(np.ravel(self.delay), weights.shape)
        shape = (connectivity.n_post, connectivity.n_pre)
        parts = [(int(delay), delays == delay) for delay in np.unique(delays)]
        return [(delay, sp.csr_array((weights[at], (post[at], pre[at])), shape=shape)) for delay, at in parts]

    @property
    def min_delay(self) -> int:
        """The smallest delay of any synapse, in steps."""
        if isinstance(self.delay, DrawnDelays):
            return self.delay.span[0]
        return int(np.min(self.delay)) if np.size(self.delay) else 0

    @property
    def max_delay(self) -> int:
        """The largest delay of any synapse, in steps."""
        if isinstance(self.delay, DrawnDelays):
            return self.delay.span[1]
        return int(np.max(self.delay)) if np.size(self.delay) else 0


Node = Input | Population

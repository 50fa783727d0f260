"""Loihi's learning engine in NumPy, written to be read: shared by the reference backend and Lava's generated connections.

It is what Lava's `LearningDense` computes in fixed point, on listed synapses. In step t of the target population

1. spikes that arrive are added with the weights as they are; then
2. they enter the engine together with the target's spikes of step t - 1, which take a step to come back to the synapses;
3. at the end of an epoch of `t_epoch` steps the engine learns; the new weights act from step t + 1 on.

The engine counts the chip's steps: it has made t + lag of them at the end of step t of a population `retime` put `lag` behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backends.plastic import ListedSynapses, PlasticSynapses
from neurocomp.ir.network import LoihiSynapse, Network, Projection
from neurocomp.ir.plasticity import LoihiRule
from neurocomp.ir.plasticity.loihi import TAG_HIGH, TAG_LOW, TRACE_TOP
from neurocomp.ir.plasticity.products import ACCUMULATOR, POST, PRE, WIDTHS, Factor, Product

Array = NDArray[Any]
UNIT = 2 ** (ACCUMULATOR - 8)  # of the accumulator: a weight of 1
TOP = 2**ACCUMULATOR
PIECE = 2**16  # steps whose random numbers are drawn at once
WEIGHT_SEED = 2  # of the rounding of weights and tags, whatever the rule's seed


class Draws:
    """The random numbers of an engine: one of each kind a step, shared by all synapses, in the order Lava draws them.

    Lava draws traces' numbers twice a step, after the arriving spikes and after the target's.
    """

    COLUMNS = ("pre_decay", "pre_impulse", "post_again", "post_decay", "post_impulse", "weight")

    def __init__(self, rule: LoihiRule) -> None:
        self.epoch, self.seeds = rule.t_epoch, (*(rule.rng_seed + k for k in range(4)), WEIGHT_SEED)
        self.reset()

    def reset(self) -> None:
        """Back to the first step."""
        self.time = 0
        self.generators = [np.random.default_rng(seed) for seed in self.seeds]
        for k in range(len(self.seeds)):
            self._draw(k, 1)  # those of before the first step, which nothing uses

    def _draw(self, k: int, count: int) -> Array:
        generator = self.generators[k]
        if k in (1, 3):
            return generator.integers(0, TRACE_TOP + 1, size=count, dtype=np.int64).astype(np.float64)
        return generator.random(count)

    def skip(self, steps: int) -> None:
        """Be where `steps` steps lead."""
        for done in range(0, steps, PIECE):
            self.take(min(PIECE, steps - done))

    def take(self, steps: int) -> Array:
        """(steps, columns) numbers of the next steps. Those of weights are drawn at the end of an epoch only."""
        pre_decay, pre_impulse, post_decay, post_impulse = (self._draw(k, 2 * steps) for k in range(4))
        times = np.arange(self.time + 1, self.time + steps + 1)
        ends = times % self.epoch == 0
        weight = np.zeros(steps)
        weight[ends] = self._draw(4, int(ends.sum()))
        self.time += steps
        columns = (pre_decay[1::2], pre_impulse[1::2], post_impulse[0::2], post_decay[1::2], post_impulse[1::2], weight)
        return np.column_stack(columns)


@dataclass
class Side:
    """The traces of one side. values: (traces, size) integers 0..127. last: (size,) step of the epoch's last spike, or 0."""

    rule: LoihiRule
    traces: tuple[str, ...]
    size: int

    def __post_init__(self) -> None:
        self.values = np.zeros((len(self.traces), self.size), np.int64)
        self.last = np.zeros(self.size, np.int64)
        self.whole, self.fraction = self.rule.decays(self.traces)
        self.impulse, self.chance = self.rule.impulses(self.traces)

    def spike(self, now: int, fired: Array, random: float) -> None:
        """Spikes in step `now`. A second one of an epoch jumps at once, and takes the first one's place in time."""
        again = fired & (self.last > 0)
        self.values[:, again] = self._jumped(self.values[:, again], random)
        self.last[fired] = now

    def history(self, decay: float, impulse: float) -> Array:
        """(steps + 1, traces, size) values before and after each step of the epoch; the last ones stay."""
        past = [self.values]
        for now in range(1, self.rule.t_epoch + 1):
            number = np.arange(len(self.traces))[:, None]
            later = self.whole[number, past[-1]] + (decay < self.fraction[number, past[-1]])
            later[:, self.last == now] = self._jumped(later[:, self.last == now], impulse)
            past.append(later)
        self.values = past[-1]
        return np.array(past)

    def _jumped(self, values: Array, random: float) -> Array:
        return np.asarray(np.clip(values + (self.impulse + (random < self.chance))[:, None], 0, TRACE_TOP))


class LoihiSynapses(ListedSynapses):
    """The weights of one projection with a `LoihiRule`, and all that its engine remembers.

    lag: of the target population. weights: (k,) whole numbers as float64, before the exponent.
    """

    def __init__(self, projection: Projection, lag: int) -> None:
        super().__init__(projection)
        assert isinstance(projection.learning, LoihiRule)
        self.rule, self.lag = projection.learning, lag
        synapse = projection.loihi or LoihiSynapse()
        self.exponent, self.range = synapse.weight_exp, synapse.learned_range
        self.reset()

    def reset(self) -> None:
        """Back to the initial weights, with nothing remembered."""
        self.weights = self.start.copy()
        self.tags = np.zeros(len(self.start), np.int64)
        self.sides = Side(self.rule, PRE, self.rows), Side(self.rule, POST, self.n_post)
        self.draws, self.time = Draws(self.rule), 0
        self.back = np.zeros(self.n_post, bool)

    def memory(self) -> dict[str, Array]:
        """The weights and all that is remembered, as arrays of a snapshot."""
        result: dict[str, Array] = {"weights": self.weights, "tags": self.tags}
        for name, side in zip("xy", self.sides, strict=True):
            result |= {name: side.values, f"{name}_last": side.last}
        return result

    def recall(self, memory: Mapping[str, Array], time: int, last: Array | None) -> None:
        """Be as `memory` was after `time` steps of the engine. last: (n_post,) the target's spikes of the step before."""
        self.reset()
        self.weights, self.tags, self.time = memory["weights"].copy(), memory["tags"].copy(), time
        for name, side in zip("xy", self.sides, strict=True):
            side.values, side.last = memory[name].copy(), memory[f"{name}_last"].copy()
        self.draws.skip(time)
        self.back = np.zeros(self.n_post, bool) if last is None else last != 0

    def input(self, arrivals: Array) -> Array:
        """(n_post,) summed weights of the spikes that arrive; each delay's sum is shifted by the exponent, rounding down."""
        while self.time < self.lag - 1:  # the chip's steps before the population's first: u<k> may change weights in them
            self._step(np.zeros(self.rows, bool), np.zeros(self.n_post, bool))
        reached, total = arrivals.ravel()[self.row], np.zeros(self.n_post)
        for k in range(len(self.delays)):
            at = reached & (self.slot == k)
            sums = np.bincount(self.post[at], weights=self.weights[at], minlength=self.n_post)
            total += np.floor(np.ldexp(sums, self.exponent))
        return total

    def learn(self, t: int, arrivals: Array, fired: Array, reward: float = 0.0) -> None:
        """What the engine does at the end of step t."""
        if self.time < t + self.lag:  # equal before the chip's first step only
            self._step(arrivals.ravel(), self.back)
        self.back = fired.copy()

    def _step(self, came: Array, fired: Array) -> None:
        random = dict(zip(Draws.COLUMNS, self.draws.take(1)[0], strict=True))
        self.time += 1
        epoch, now = divmod(self.time - 1, self.rule.t_epoch)
        pre, post = self.sides
        pre.spike(now + 1, came, 0.0)
        post.spike(now + 1, fired, random["post_again"])
        if now + 1 < self.rule.t_epoch:
            return
        histories = (
            pre.history(random["pre_decay"], random["pre_impulse"]),
            post.history(random["post_decay"], random["post_impulse"]),
        )
        counted = self.rule.k is not None and (epoch + 1) % 2**self.rule.k == 0
        active = np.ones(len(self.weights), bool) if counted else (pre.last[self.row] > 0) | (post.last[self.post] > 0)
        if active.any():
            self._change(np.flatnonzero(active), histories, counted, random["weight"])
        pre.last[:] = post.last[:] = 0

    def _change(self, which: Array, histories: Sequence[Array], counted: bool, random: float) -> None:
        """Apply dw and dt to these synapses."""
        times = {"x0": self.sides[0].last[self.row[which]], "y0": self.sides[1].last[self.post[which]]}
        times["u"] = np.full(len(which), self.rule.t_epoch if counted else 0)
        values = _Values(times, histories, (self.row[which], self.post[which]), self.weights[which], self.tags[which])
        if "dw" in self.rule.products:
            self.weights[which] = _rounded(values.added(values.w, self.rule.products["dw"]), random, *self.range)
        if "dt" in self.rule.products:
            self.tags[which] = _rounded(values.added(values.t, self.rule.products["dt"]), random, TAG_LOW, TAG_HIGH)


class _Values:
    """What products see at some synapses. times: by dependency, the step of the epoch where it was met, or 0."""

    def __init__(
        self, times: dict[str, Array], histories: Sequence[Array], places: Sequence[Array], weights: Array, tags: Array
    ) -> None:
        self.times, self.histories, self.places = times, histories, places
        self.w, self.t = weights.astype(np.int64), tags

    def added(self, start: Array, products: Sequence[Product]) -> Array:
        """The accumulator after all products, of 16 bits."""
        total: Array = start * UNIT
        for product in products:
            part = np.where(self.times[product.dependency] > 0, product.mantissa, 0)
            for factor in product.factors:
                top = 2 ** WIDTHS[factor.name]
                part = part * np.clip(self._factor(factor, product.dependency), -top, top - 1)
            part = np.clip((part >> product.right) << product.left, -TOP - 1, TOP - 1)
            total = np.clip(total + part, -TOP - 1, TOP - 1)
        return total

    def _factor(self, factor: Factor, dependency: str) -> Array:
        """A trace is taken at the step where the dependency was met."""
        if factor.name in ("w", "t"):
            value = (self.w if factor.name == "w" else self.t) + factor.constant
            return np.asarray(np.sign(value) if factor.sign else value)
        side = int(factor.name in POST)
        number = (PRE, POST)[side].index(factor.name)
        return np.asarray(self.histories[side][self.times[dependency], number, self.places[side]] + factor.constant)


def _rounded(total: Array, random: float, low: int, high: int) -> Array:
    """The accumulator as a weight or tag: up where the random number is below what is dropped."""
    whole = total // UNIT + (random < total % UNIT / UNIT)
    return np.asarray(np.clip(whole, low, high))


def synapses_of(net: Network, projection: Projection) -> PlasticSynapses | LoihiSynapses:
    """The synapses of a compiled projection that learns."""
    if isinstance(projection.learning, LoihiRule):
        return LoihiSynapses(projection, net.node(projection.post).lag)
    return PlasticSynapses(projection, net.exponent(projection.post))

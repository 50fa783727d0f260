"""Synapses that learn, in NumPy, written to be read: shared by the reference backend and Lava's generated connections.

The rules of a step are in `ir/plasticity/rule.py`. Synapses are listed; `row` numbers the pairs (source neuron, delay), as each
such pair has arrivals, and so traces, of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.expressions import Assign
from neurocomp.ir.network import Projection
from neurocomp.ir.plasticity.form import LearningProgram, rate_of
from neurocomp.ir.printers.numpy import numpy_assignments
from neurocomp.kernels.functions import TABLE

Array = NDArray[Any]


class Decaying:
    """Values that jump at events and decay exponentially between them, evaluated only when they are asked for."""

    def __init__(self, names: Sequence[str], constants: dict[str, float], size: int) -> None:
        self.rates = {name: constants[rate_of(name)] for name in names}
        self.values = {name: np.zeros(size) for name in names}
        self.since = np.zeros(size, np.int64)  # step of the last event

    def at(self, t: int, which: Array) -> dict[str, Array]:
        """Their values at step t, for the numbers in `which`."""
        steps = (t - self.since[which]).astype(np.float64)
        return {name: values[which] * TABLE["exp"](-steps * self.rates[name]) for name, values in self.values.items()}

    def put(self, t: int, which: Array, values: dict[str, Array]) -> None:
        """Their values at step t from now on."""
        for name, array in self.values.items():
            array[which] = values[name]
        self.since[which] = t


class ListedSynapses:
    """The synapses of one projection in the connectivity's order. start: (k,) initial weights. slot: number of the delay."""

    def __init__(self, projection: Projection) -> None:
        connectivity = projection.connectivity
        self.n_post = connectivity.n_post
        self.pre, self.post = connectivity.synapses()
        self.start = np.array(connectivity.values(), np.float64)
        delays = np.broadcast_to(np.ravel(projection.delay), self.start.shape)
        self.delays, slot = np.unique(delays, return_inverse=True)
        self.slot = slot.reshape(-1)
        self.row = self.slot * connectivity.n_pre + self.pre
        self.rows = len(self.delays) * connectivity.n_pre


class PlasticSynapses(ListedSynapses):
    """The weights of one projection, and everything its rule remembers.

    exponent: of the population's grid. weights: (k,) float64, one a synapse in the connectivity's order.
    """

    def __init__(self, projection: Projection, exponent: int) -> None:
        super().__init__(projection)
        assert isinstance(projection.learning, LearningProgram)
        form = projection.learning.form
        self.form, self.exponent = form, exponent
        self.constants = dict(projection.learning.constants)
        self.events = {where: self._event(form.event(where)) for where in ("on_pre", "on_post", "on_reward")}
        self.jump_pre, self.jump_post = self._event(form.jump_pre), self._event(form.jump_post)
        self.reset()

    def _event(self, assigns: Sequence[Assign]) -> Any:
        return numpy_assignments(assigns, TABLE) if assigns else None

    def reset(self) -> None:
        """Back to the initial weights, with nothing remembered."""
        self.weights = self.start.copy()
        self.traces_pre = Decaying(self.form.pre, self.constants, self.rows)
        self.traces_post = Decaying(self.form.post, self.constants, self.n_post)
        self.variables = Decaying(self.form.synapse, self.constants, len(self.weights))

    def input(self, arrivals: Array) -> Array:
        """(n_post,) summed weights of the spikes that arrive. arrivals: (delays, n_pre) true or false.

        A weight acts with its nearest value on the population's grid, so sums are exact.
        """
        reached = arrivals.ravel()[self.row]
        units = np.rint(np.ldexp(self.weights[reached], -self.exponent))
        return np.ldexp(np.bincount(self.post[reached], weights=units, minlength=self.n_post), self.exponent)

    def learn(self, t: int, arrivals: Array, fired: Array, reward: float) -> None:
        """What the rule does at the end of step t. fired: (n_post,) true or false. reward: the step's, 0 for none."""
        came = arrivals.ravel()
        self._apply("on_pre", t, np.flatnonzero(came[self.row]))
        self._jump(self.traces_pre, self.jump_pre, t, np.flatnonzero(came))
        self._apply("on_post", t, np.flatnonzero(fired[self.post]))
        self._jump(self.traces_post, self.jump_post, t, np.flatnonzero(fired))
        if reward:
            self._apply("on_reward", t, np.arange(len(self.weights)), reward)

    def memory(self) -> dict[str, Array]:
        """The weights and all that is remembered, as arrays of a snapshot."""
        result: dict[str, Array] = {"weights": self.weights}
        for side, values in self._sides().items():
            result |= {side: np.array(list(values.values.values())), f"{side}_since": values.since}
        return result

    def recall(self, memory: Mapping[str, Array], time: int, last: Array | None) -> None:
        """Be as `memory` was."""
        self.weights = memory["weights"].copy()
        for side, values in self._sides().items():
            values.since = memory[f"{side}_since"].copy()
            for name, row in zip(values.values, memory[side], strict=True):
                values.values[name] = row.copy()

    def _sides(self) -> dict[str, Decaying]:
        sides = {"pre": self.traces_pre, "post": self.traces_post, "synapse": self.variables}
        return {side: values for side, values in sides.items() if values.values}

    def _apply(self, where: str, t: int, which: Array, reward: float = 0.0) -> None:
        event = self.events[where]
        if event is None or len(which) == 0:
            return
        values: dict[str, Any] = {**self.constants, "w": self.weights[which], "reward": reward}
        values |= self.traces_pre.at(t, self.row[which])
        values |= self.traces_post.at(t, self.post[which])
        values |= self.variables.at(t, which)
        event(values)
        self.weights[which] = values["w"]
        if any(x.target in self.form.synapse for x in self.form.event(where)):
            self.variables.put(t, which, values)

    def _jump(self, traces: Decaying, jump: Any, t: int, which: Array) -> None:
        if jump is not None and len(which):
            values: dict[str, Any] = {**self.constants, **traces.at(t, which)}
            jump(values)
            traces.put(t, which, values)

"""Bounds of Loihi's state: what the current u and the voltage v can reach, by proof or on samples.

u is 24 bits wide and wraps around; v saturates. Worst case: every synapse that helps spikes at every step, for ever. With
largest input sums A of a step (from all weights and payloads) and decays k_u, k_v the geometric series give

    u <= 64 A / (1 - k_u)        v before its reset <= k_v threshold + u + bias        v >= (u_low + bias) / (1 - k_v)

Decays round toward zero, so the bounds hold for the integers too. Without leak, v has no lower bound and saturates at some
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurocomp.ir.connectivity import Floats
from neurocomp.ir.network import Projection

LIMIT = 2**23  # u beyond +-LIMIT wraps, v saturates at +-(LIMIT - 1)
HELD = f"24 bits hold +-{LIMIT}"
ALIGN = 64  # a weight is six bits above the state's least significant


@dataclass(frozen=True)
class Bounds:
    """(n,) lowest and highest values of u before wrapping and v before saturation, in integer units of the state.

    observed: seen on samples, not proven. v can be -inf or inf.
    """

    u_low: Floats
    u_high: Floats
    v_low: Floats
    v_high: Floats
    observed: bool = False

    @property
    def largest_u(self) -> float:
        """The largest |u| of any neuron."""
        return float(max(self.u_high.max(initial=0.0), -self.u_low.min(initial=0.0)))

    @property
    def largest_v(self) -> float:
        """The largest |v| of any neuron, inf where it has no bound."""
        return float(max(self.v_high.max(initial=0.0), -self.v_low.min(initial=0.0)))

    @property
    def wraps(self) -> bool:
        """Whether a current can leave the 24 bits: above +2^23, or at -2^23 and below."""
        return bool(np.any(self.u_high > LIMIT) or np.any(self.u_low <= -LIMIT))

    @property
    def saturates(self) -> bool:
        """Whether a voltage can be cut off at +-(2^23 - 1)."""
        return bool(np.any(self.v_high >= LIMIT) or np.any(self.v_low <= -LIMIT))

    def worst_u(self) -> tuple[int, float]:
        """(neuron, u) of the current farthest out; of equal ones the negative, which wraps at the limit itself."""
        high, low = int(np.argmax(self.u_high)), int(np.argmin(self.u_low))
        return (high, float(self.u_high[high])) if self.u_high[high] > -self.u_low[low] else (low, float(self.u_low[low]))

    def text(self) -> str:
        """Both ranges in words."""
        what = "observed" if self.observed else "worst case"
        ranges = (f"u {_span(self.u_low, self.u_high)}", f"v {_span(self.v_low, self.v_high)}")
        return f"{what}: {', '.join(ranges)}"


@dataclass(frozen=True)
class Dynamics:
    """(n,) arrays that decide what state follows from an input: decays as factors, the rest in one common unit."""

    u_decay: Floats
    v_decay: Floats
    bias: Floats
    threshold: Floats
    u0: Floats
    v0: Floats
    subtract: bool


def input_bounds(size: int, incoming: Sequence[tuple[Projection, int]]) -> tuple[Floats, Floats]:
    """(lowest, highest) sum (n,) a neuron can receive in a step, from projections with the largest payload of their source.

    Plain spikes only add; payloads come in both signs. A projection's `shift` rounds the sum of each delay down.
    """
    low, high = np.zeros(size), np.zeros(size)
    for projection, payload in incoming:
        connectivity, (lowest, highest) = projection.connectivity, projection.weight_range
        up = connectivity.fan_in(np.maximum(highest, 0.0))
        down = connectivity.fan_in(np.maximum(-lowest, 0.0))
        if payload != 1:
            up = down = payload * (up + down)
        factor = 2.0**-projection.shift
        slots = np.unique(projection.delay).size if projection.shift else 0
        high += up * factor
        low -= down * factor + np.where(down > 0, slots, 0)
    return low, high


def state_bounds(a_low: Floats, a_high: Floats, neuron: Dynamics) -> Bounds:
    """What u and v can reach when the step's input, in the unit of the state, lies between a_low and a_high."""
    with np.errstate(divide="ignore", invalid="ignore"):
        u_high = np.maximum(_series(np.maximum(a_high, 0.0), neuron.u_decay), neuron.u0)
        u_low = np.minimum(_series(np.minimum(a_low, 0.0), neuron.u_decay), neuron.u0)
        up, down = u_high + neuron.bias, np.minimum(u_low + neuron.bias, 0.0)
        start = np.maximum(neuron.threshold, neuron.v0)
        v_high = neuron.v_decay * start + np.maximum(up, 0.0)
        if neuron.subtract:  # what is left after a reset adds up where the input outruns one reset a step
            excess = np.maximum(up - neuron.v_decay * neuron.threshold, 0.0)
            v_high = np.maximum(v_high, _series(excess, neuron.v_decay))
        v_low = np.minimum(_series(down, neuron.v_decay), neuron.v0)
    return Bounds(u_low, u_high, v_low, v_high)


def _series(step: Floats, decay: Floats) -> Floats:
    """The series' sum step / (1 - decay): 0 where nothing is added, without bound where nothing decays."""
    return np.where(step == 0, 0.0, step / np.where(decay == 1, 0.0, 1.0 - decay))


def _span(low: Floats, high: Floats) -> str:
    """The range of a state over all neurons, in words where it has no end."""
    bottom, top = float(low.min()), float(high.max())
    if np.isinf(bottom) and np.isinf(top):
        return "without bound"
    if np.isinf(bottom):
        return f"up to {top:.0f} and without lower bound"
    if np.isinf(top):
        return f"from {bottom:.0f} and without upper bound"
    return f"from {bottom:.0f} to {top:.0f}"

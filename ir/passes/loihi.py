"""`loihi`: integer weights as Loihi stores them, by the rules of Lava's bit-accurate Dense and Sparse.

Per projection: the sign mode (given, or decided by the signs present), clipping to 8 bits plus sign, truncation of the low bits
(one more in mixed mode), and the weight exponent: the sum of each step and delay is shifted by it, rounding down.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.connectivity import Floats
from neurocomp.ir.errors import CompileError, PrecisionWarning
from neurocomp.ir.network import Change, Grid, LoihiSynapse, Network, Population
from neurocomp.ir.passes.base import Pass
from neurocomp.ir.passes.grid import prove_bound
from neurocomp.ir.quantisation.ranges import ALIGN, LIMIT, Dynamics, input_bounds, state_bounds

# The current wraps once a step: |u| <= 2^23 decayed, plus 64 times an input below this, comes back into 24 bits by one wrap. A
# larger input would leave u outside for good, growing until Lava's 32-bit integers overflow.
MAX_INPUT = 2**18
MAX_DELAY = 63


@dataclass(frozen=True)
class LoihiWeights(Pass):
    """Clip and truncate the weights of projections onto Loihi populations; prove that the 32-bit input cannot overflow."""

    name: ClassVar[str] = "loihi"

    def __call__(self, net: Network) -> Network:
        nodes, projections, changes = {}, {}, []
        for population in net.populations.values():
            if population.program is None or population.program.form.arithmetic != "loihi":
                continue
            if np.any(population.bias_vector() != 0):
                raise CompileError(
                    population.name, "a bias on the input does not exist on Loihi; use LoihiLIF(bias_mant=..., bias_exp=...)"
                )
            for projection in net.incoming(population.name):
                if projection.max_delay - 1 > MAX_DELAY:
                    raise CompileError(
                        projection.name, f"delay {projection.max_delay} exceeds the {MAX_DELAY + 1} steps Loihi can hold"
                    )
                synapse = projection.loihi or LoihiSynapse()
                given = projection.connectivity.weights
                weights = stored_weights(given, synapse)
                if len(weights) and not weights.any() and given.any():
                    warnings.warn(
                        f"projection '{projection.name}': all its weights became 0; Loihi's weights are integers in -256..255 "
                        "of the signs its sign mode allows",
                        PrecisionWarning,
                        stacklevel=2,
                    )
                if not np.array_equal(weights, given):
                    count = int(np.sum(weights != given))
                    why = f"{synapse.num_weight_bits} bits, sign mode {sign_mode(given, synapse)}"
                    changes.append(
                        Change(self.name, projection.name, f"{count} of {given.size} weights", "clipped or truncated", why)
                    )
                left = max(synapse.weight_exp, 0)
                connectivity = projection.connectivity.with_weights(np.ldexp(weights, left), None)
                shift = max(-synapse.weight_exp, 0)
                projections[projection.name] = replace(projection, connectivity=connectivity, shift=shift)
            incoming = [projections[x.name] for x in net.incoming(population.name)]
            low, high = input_bounds(population.size, [(x, net.node(x.pre).max_payload) for x in incoming])
            most = int(max(high.max(initial=0), -low.min(initial=0)))
            if most >= MAX_INPUT:
                raise CompileError(
                    population.name,
                    f"inputs can sum to {most} in a step, beyond the {MAX_INPUT - 1} that one wrap can bring back; lower "
                    "weight_exp, weights or fan-in",
                )
            bound = prove_bound(net, population, incoming, 0)
            nodes[population.name] = replace(population, grid=Grid(0, bound))
            changes += _range_note(population, low, high)
        return net.with_changes(nodes, projections, changes)


def _range_note(population: Population, low: Floats, high: Floats) -> list[Change]:
    """Whether the 24-bit current of a LoihiLIF can wrap, as a change that `explain()` shows."""
    program = population.program
    if program is None or population.neuron.model.name != "LoihiLIF":
        return []
    values = {name: np.asarray(value, np.float64) for name, value in population.neuron.parameters.items()}
    zero = np.zeros(population.size)
    neuron = Dynamics(
        u_decay=zero + (4095 - values["du"]) / 4096,
        v_decay=zero + (4096 - values["dv"]) / 4096,
        bias=zero + values["bias_mant"] * 2.0 ** values["bias_exp"],
        threshold=zero + values["vth"] * 64,
        u0=zero + np.asarray(program.initial["u"], np.float64),
        v0=zero + np.asarray(program.initial["v"], np.float64),
        subtract=population.neuron.reset == "subtract",
    )
    bounds = state_bounds(low * ALIGN, high * ALIGN, neuron)
    if not bounds.wraps:
        return [Change("loihi", population.name, "range of u", "within 24 bits", f"proven, {bounds.text()}")]
    worst, value = bounds.worst_u()
    why = f"worst case: neuron {worst} can reach {value:.0f}, beyond +-{LIMIT}, and its current would wrap around"
    return [Change("loihi", population.name, "range of u", "not proven", why)]


def sign_mode(weights: NDArray[np.float64], synapse: LoihiSynapse) -> str:
    """The sign mode in force: the given one, else decided by the signs present, as Lava does."""
    if synapse.sign_mode is not None:
        return synapse.sign_mode
    if weights.min(initial=0) >= 0:
        return "excitatory"
    return "inhibitory" if weights.max(initial=0) <= 0 else "mixed"


def stored_weights(weights: NDArray[np.float64], synapse: LoihiSynapse) -> NDArray[np.float64]:
    """The weights Loihi would store, before the exponent: integers in -256..255, low bits dropped."""
    integers = np.trunc(weights).astype(np.int64)
    mode = sign_mode(integers.astype(np.float64), synapse)
    mixed = int(mode == "mixed")
    sign = -1 if mode == "inhibitory" else 1
    clipped = np.clip(sign * integers, -256 * mixed, 255)
    dropped = 8 - synapse.num_weight_bits + mixed
    return (sign * ((clipped >> dropped) << dropped)).astype(np.float64)

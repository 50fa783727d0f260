"""`loihi`: integer weights as Loihi stores them, by the rules of Lava's bit-accurate Dense and Sparse.

Per projection: the sign mode (given, or decided by the signs present), clipping to 8 bits plus sign, truncation of the low bits
(one more in mixed mode), and the weight exponent: the sum of each step and delay is shifted by it, rounding down.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.connectivity import Floats
from neurocomp.ir.errors import CompileError, PrecisionWarning, callers_level
from neurocomp.ir.expressions import Assign
from neurocomp.ir.integrators import scheme
from neurocomp.ir.network import Change, Grid, LoihiSynapse, Network, Node, Population, Projection
from neurocomp.ir.neurons import LoihiLIF
from neurocomp.ir.passes.base import Pass
from neurocomp.ir.passes.grid import prove_bound
from neurocomp.ir.quantisation.ranges import ALIGN, HELD, LIMIT, Bounds, Dynamics, input_bounds, state_bounds

# The current wraps once a step: |u| <= 2^23 decayed, plus 64 times an input below this, comes back into 24 bits by one wrap. A
# larger input would leave u outside for good, growing until Lava's 32-bit integers overflow.
MAX_INPUT = 2**18
# Steps a synapse can hold a spike beyond the hop's own: 62 in Davies et al. 2018 (doi:10.1109/MM.2018.112130359), and lava-dl
# cuts Lava's `delays` to it. Lava's simulation takes 63, which no chip does.
MAX_DELAY = 62


@dataclass(frozen=True)
class LoihiWeights(Pass):
    """Clip and truncate the weights of projections onto Loihi populations; prove that the 32-bit input cannot overflow.

    Whether the 24-bit current can wrap around is noted; `refuse_wraps` makes an error of it.
    """

    name: ClassVar[str] = "loihi"

    def __call__(self, net: Network) -> Network:
        nodes: dict[str, Node] = {}
        projections: dict[str, Projection] = {}
        changes: list[Change] = []
        for population in net.populations.values():
            if population.program is None or population.program.form.arithmetic != "loihi":
                continue
            if np.any(population.bias_vector() != 0):
                raise CompileError(
                    population.name, "a bias on the input does not exist on Loihi; use LoihiLIF(bias_mant=..., bias_exp=...)"
                )
            incoming = []
            for projection in net.incoming(population.name):
                _check_delay(net, projection)
                stored, change = _stored(projection)
                incoming.append(stored)
                changes += change
            low, high = _input_bounds(net, population, incoming)
            _check_input(population, low, high)
            nodes[population.name] = replace(population, grid=Grid(0, prove_bound(net, population, incoming, 0)))
            projections |= {x.name: x for x in incoming}
            changes += _range_note(population, low, high)
        return net.with_changes(nodes, projections, changes)


def wrap_risks(net: Network) -> dict[str, Bounds]:
    """The LoihiLIF populations of a lowered network whose current u can wrap around in the worst case, with their bounds."""
    neurons = {name: x for name, x in net.populations.items() if _is_loihi_lif(x)}
    found = {name: _current_bounds(x, *_input_bounds(net, x, net.incoming(name))) for name, x in neurons.items()}
    return {name: bounds for name, bounds in found.items() if bounds.wraps}


def refuse_wraps(risks: Mapping[str, Bounds]) -> None:
    """Raise `CompileError` where currents could wrap around, with neuron and value of the one farthest out."""
    if not risks:
        return
    worst = max(risks, key=lambda name: abs(risks[name].worst_u()[1]))
    neuron, value = risks[worst].worst_u()
    others = [f"'{name}'" for name in risks if name != worst]
    also = f"; so can the currents of {', '.join(others)}" if others else ""
    raise CompileError(
        worst,
        f"the current u of neuron {neuron} can reach {value:.0f} when all its synapses are active, beyond the 24 bits "
        f"(+-{LIMIT}) where it wraps around{also}. Lower weight_exp, weights or fan-in, raise du, or, where the inputs never "
        "get so busy, pass accept_wrap=True: target='reference' then warns of the neuron and step of the first wrap",
    )


def _check_delay(net: Network, projection: Projection) -> None:
    """Refuse delays beyond `MAX_DELAY` steps and the hop's own, as they are after `retime`."""
    delay, most = projection.max_delay, MAX_DELAY + 1
    if delay <= most:
        return
    added = net.node(projection.post).lag - net.node(projection.pre).lag
    parts = f" ({delay - added} as written and {added} by retime)" if added else ""
    raise CompileError(
        projection.name,
        f"a delay of {delay} steps{parts} exceeds the {most} that a synapse of Loihi can hold; shorten it, relay the spikes "
        "through a population that takes part of it, or use a larger dt",
    )


def _stored(projection: Projection) -> tuple[Projection, list[Change]]:
    """The projection with the weights as Loihi computes with them, and what was clipped or truncated."""
    synapse, given = synapse_of(projection), projection.connectivity.weights
    weights = stored_weights(given, synapse)
    if len(weights) and not weights.any() and given.any():
        warnings.warn(
            f"projection '{projection.name}': all its weights became 0; Loihi's weights are integers in -256..255 "
            "of the signs its sign mode allows",
            PrecisionWarning,
            stacklevel=callers_level(),
        )
    changes = []
    if not np.array_equal(weights, given):
        count = int(np.sum(weights != given))
        why = f"{synapse.num_weight_bits} bits, sign mode {sign_mode(given, synapse)}"
        changes.append(Change("loihi", projection.name, f"{count} of {given.size} weights", "clipped or truncated", why))
    shift = max(-synapse.weight_exp, 0)
    if projection.plasticity is not None:  # weights that learn stay as they are stored
        kept = projection.connectivity.with_weights(weights, None)
        return replace(projection, connectivity=kept, loihi=synapse, shift=shift), changes
    connectivity = projection.connectivity.with_weights(np.ldexp(weights, max(synapse.weight_exp, 0)), None)
    return replace(projection, connectivity=connectivity, shift=shift), changes


def _input_bounds(net: Network, population: Population, incoming: Sequence[Projection]) -> tuple[Floats, Floats]:
    """(lowest, highest) sum (n,) of a step, from projections as they are stored."""
    return input_bounds(population.size, [(x, net.node(x.pre).max_payload) for x in incoming])


def _check_input(population: Population, low: Floats, high: Floats) -> None:
    most = int(max(high.max(initial=0), -low.min(initial=0)))
    if most >= MAX_INPUT:
        raise CompileError(
            population.name,
            f"inputs can sum to {most} in a step, beyond the {MAX_INPUT - 1} that one wrap can bring back; lower "
            "weight_exp, weights or fan-in",
        )


def _range_note(population: Population, low: Floats, high: Floats) -> list[Change]:
    """Whether the 24-bit current of a LoihiLIF can wrap, as a change that `explain()` shows."""
    if not _is_loihi_lif(population):
        return []
    bounds = _current_bounds(population, low, high)
    if not bounds.wraps:
        return [Change("loihi", population.name, "range of u", "within 24 bits", f"proven, {bounds.text()}; {HELD}")]
    worst, value = bounds.worst_u()
    why = f"worst case: neuron {worst} can reach {value:.0f}, beyond +-{LIMIT}, and its current would wrap around"
    return [Change("loihi", population.name, "range of u", "not proven", why)]


def _is_loihi_lif(population: Population) -> bool:
    """Whether it computes as LoihiLIF does, whatever its reset; nothing is proven of other models."""
    return population.program is not None and population.program.form.updates == _loihi_updates()


def _current_bounds(population: Population, low: Floats, high: Floats) -> Bounds:
    """Bounds of u and v of a LoihiLIF whose input of a step lies between low and high."""
    program = population.program
    assert program is not None
    values = {name: _full(population, x) for name, x in (*program.constants.items(), *program.initial.items())}
    neuron = Dynamics(
        u_decay=(4095 - values["du"]) / 4096,
        v_decay=(4096 - values["dv"]) / 4096,
        bias=np.floor(values["bias_mant"] * 2.0 ** values["bias_exp"]),
        threshold=values["vth"] * ALIGN,
        u0=values["u"],
        v0=values["v"],
        subtract=population.neuron.reset == "subtract",
    )
    return state_bounds(low * ALIGN, high * ALIGN, neuron)


@cache
def _loihi_updates() -> tuple[Assign, ...]:
    return scheme(LoihiLIF, "", "value").form.updates


def _full(population: Population, value: Any) -> Floats:
    """(size,) a constant or initial value of every neuron."""
    return np.broadcast_to(np.asarray(value, np.float64).ravel(), (population.size,))


def synapse_of(projection: Projection) -> LoihiSynapse:
    """How a projection's weights are stored. Those that learn are in mixed mode unless another is asked for, as in Lava."""
    synapse = projection.loihi or LoihiSynapse()
    learns = projection.plasticity is not None and synapse.sign_mode is None
    return replace(synapse, sign_mode="mixed") if learns else synapse


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

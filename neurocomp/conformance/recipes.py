"""How to make a lively neuron of each built-in model at random, and the size of the weights that make it spike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from neurocomp.conformance.draws import Random
from neurocomp.ir.distributions import Uniform
from neurocomp.ir.model import NeuronModel
from neurocomp.ir.neurons import IZHIKEVICH

DT = 1e-3
Draw = Callable[[Random, int], Mapping[str, Any]]
Span = tuple[float, float]
LEAKY: Mapping[str, Span] = {
    "r": (0.5, 2.0),
    "w_in": (0.5, 2.0),
    "v_leak": (-0.5, 0.8),
    "v_threshold": (0.5, 2.0),
    "v_reset": (-0.5, 0.5),
}


@dataclass(frozen=True)
class Recipe:
    """scale: of weights onto it. always, sometimes: ranges of parameters. preset: parameters that only make sense together."""

    scale: float
    always: Mapping[str, Span] = field(default_factory=dict)
    sometimes: Mapping[str, Span] = field(default_factory=dict)
    initial: Span = (-0.5, 0.5)
    preset: Draw | None = None


def maybe_each(rng: Random, size: int, low: float, high: float) -> Any:
    """A scalar, one value per neuron, or a distribution."""
    kind = rng.random()
    if kind < 0.3:
        return rng.uniform(low, high, size)
    return Uniform(low, high) if kind < 0.4 else float(rng.uniform(low, high))


def _izhikevich(rng: Random, size: int) -> Mapping[str, Any]:
    presets = list(IZHIKEVICH.values())
    return presets[int(rng.integers(len(presets)))]


_TAU, _TAUS = {"tau": (2e-3, 30e-3)}, {"tau_syn": (2e-3, 30e-3), "tau_mem": (2e-3, 30e-3)}
_SYNAPSES = {"tau_exc": (2e-3, 9e-3), "tau_inh": (2e-3, 12e-3), "tau_mem": (5e-3, 30e-3), "v_threshold": (-58e-3, -50e-3)}
_VOLTS = (-75e-3, -60e-3)
_MEMBRANE: Mapping[str, Any] = {"sometimes": _SYNAPSES, "initial": _VOLTS}

RECIPES: Mapping[str, Recipe] = {
    **{f"SnnTorch{kind}LIF": Recipe(12.0, _TAU, LEAKY) for kind in ("", "Delayed", "DelayedZero")},
    **{f"SnnTorch{kind}CubaLIF": Recipe(12.0, _TAUS, LEAKY) for kind in ("", "Delayed", "DelayedZero")},
    **{name: Recipe(1 / DT, {}, LEAKY) for name in ("IF", "I", "SinabsIF")},
    **{name: Recipe(12.0, _TAU, LEAKY) for name in ("LIF", "LI", "SinabsLIF")},
    **{name: Recipe(12.0, _TAUS, LEAKY) for name in ("CubaLIF", "CubaLI")},
    "Threshold": Recipe(1.0, {"threshold": (0.2, 1.0)}),
    "GradedRelu": Recipe(1.0, {"threshold": (0.2, 1.0), "gain": (-2.0, 6.0)}),
    "Readout": Recipe(1.0),
    "Functions": Recipe(1.0, {"k": (0.5, 3.0)}),
    "ALIF": Recipe(12.0, {**_TAU, "tau_adapt": (10e-3, 200e-3), "beta": (0.0, 1.0)}, LEAKY),
    "StochasticLIF": Recipe(12.0, {**_TAU, "rate": (1.0, 900.0), "delta_v": (0.05, 0.5)}, LEAKY),
    "SigmaDelta": Recipe(2.0, {}, {"threshold": (0.5, 3.0), "unit": (0.25, 2.0), "bias": (-1.0, 1.0)}),
    "ResonateFire": Recipe(900.0, {"damping": (5.0, 60.0), "omega": (60.0, 900.0)}),
    "AdEx": Recipe(2e-9, {}, {"delta_t": (1e-3, 3e-3), "tau_adapt": (20e-3, 200e-3), "b_adapt": (0.0, 1e-10)}, _VOLTS),
    "Izhikevich": Recipe(15.0, {}, {}, (-70.0, -55.0), _izhikevich),
    "ExpLIF": Recipe(8e-9, **_MEMBRANE),
    "AlphaLIF": Recipe(5e-9, **_MEMBRANE),
    "CobaLIF": Recipe(1e-7, **_MEMBRANE),
    "HodgkinHuxley": Recipe(0.2, {}, {"i_offset": (0.0, 0.2)}, _VOLTS),
    "TraubMiles": Recipe(6e-8, {}, {"i_offset": (0.0, 3e-10)}, _VOLTS),
    "Poisson": Recipe(1.0, {"rate": (5.0, 99.0)}, {"start": (0.0, 0.01), "stop": (0.01, 0.05)}),
    "PoissonCounts": Recipe(1.0, {"rate": (5.0, 4000.0)}, {"start": (0.0, 0.01), "stop": (0.01, 0.05)}),
    "StepCurrent": Recipe(1.0, {}, {"start": (0.0, 0.01), "stop": (0.01, 0.05)}),
    "NoisyCurrent": Recipe(1.0, {}, {"start": (0.0, 0.01), "stop": (0.01, 0.05)}),
}


def parameters(model: NeuronModel, rng: Random, size: int) -> dict[str, Any]:
    """Random parameters, now and then a refractory period."""
    recipe = RECIPES[model.name]
    result: dict[str, Any] = dict(recipe.preset(rng, size)) if recipe.preset else {}
    result |= {name: maybe_each(rng, size, *span) for name, span in recipe.always.items()}
    for name, span in recipe.sometimes.items():
        if name in model.parameters and rng.random() < 0.4:
            result[name] = maybe_each(rng, size, *span)
    if model.refractory and rng.random() < 0.2:
        result["t_ref"] = int(rng.integers(0, 6)) * DT
    return result

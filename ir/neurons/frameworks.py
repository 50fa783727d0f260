"""Variants that trained networks of other frameworks need to run as they were trained (docs/nir.md has the measurements)."""

from __future__ import annotations

from dataclasses import replace

from neurocomp.ir.model import NeuronModel
from neurocomp.ir.neurons.leaky import IF, LIF, CubaLIF

_SNNTORCH = "reset by subtraction as snnTorch computes it: the reset of the last step is decided again from the stored voltage"


def _snntorch(name: str, base: NeuronModel) -> NeuronModel:
    return replace(
        base,
        name=name,
        before="last = where(v > v_threshold, v_threshold, 0.0)",
        spike="v - last > v_threshold",
        resets={"subtract": "v = v - v_threshold"},
        refractory=(),
        description=f"{base.description}; {_SNNTORCH}",
    )


SnnTorchLIF = _snntorch("SnnTorchLIF", LIF)
SnnTorchCubaLIF = _snntorch("SnnTorchCubaLIF", CubaLIF)

_NO_RESET_YET = {"delayed": "v = v"}  # the reset of a spike happens in the step after it


def _delayed(base: NeuronModel) -> NeuronModel:
    return replace(
        base,
        name=f"SnnTorchDelayed{base.name}",
        before="last = where(v > v_threshold, v_threshold, 0.0)",
        after="v = v - last",
        resets=_NO_RESET_YET,
        refractory=(),
        description=f"{base.description}; the threshold is subtracted a step after the spike, as by snnTorch's reset_delay",
    )


def _delayed_zero(base: NeuronModel) -> NeuronModel:
    return replace(
        base,
        name=f"SnnTorchDelayedZero{base.name}",
        before="keep = where(v > v_threshold, 0.0, 1.0)",
        after="v = keep * v",
        resets=_NO_RESET_YET,
        refractory=(),
        description=f"{base.description}; the voltage is 0 in the step after a spike, as by snnTorch's reset_delay",
    )


SnnTorchDelayedLIF = _delayed(LIF)
SnnTorchDelayedCubaLIF = _delayed(CubaLIF)
SnnTorchDelayedZeroLIF = _delayed_zero(LIF)
SnnTorchDelayedZeroCubaLIF = _delayed_zero(CubaLIF)

SinabsIF = replace(
    IF,
    name="SinabsIF",
    after="v = max(v, -v_threshold)",
    spike="v >= v_threshold",
    resets={"subtract": "v = v - v_threshold", "value": "v = v_reset"},
    description="integrate and fire as in Sinabs: it spikes at the threshold, and stays at or above minus the threshold",
)
SinabsLIF = replace(
    LIF,
    name="SinabsLIF",
    spike="v >= v_threshold",
    resets={"subtract": "v = v - v_threshold", "value": "v = v_reset"},
    description="leaky integrate and fire as in Sinabs: it spikes at the threshold",
)

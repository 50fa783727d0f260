"""Neurons that only snnTorch's delayed reset needs: the reset of a spike happens in the step after it."""

from __future__ import annotations

from dataclasses import replace

from neurocomp.ir.model import NeuronModel
from neurocomp.ir.neurons import LIF, CubaLIF

_NONE = {"delayed": "v = v"}


def _delayed(base: NeuronModel) -> NeuronModel:
    return replace(
        base,
        name=f"SnnTorchDelayed{base.name}",
        before="last = where(v > v_threshold, v_threshold, 0.0)",
        after="v = v - last",
        resets=_NONE,
        description=f"{base.description}; the threshold is subtracted in the step after the spike (reset_delay)",
    )


def _delayed_zero(base: NeuronModel) -> NeuronModel:
    return replace(
        base,
        name=f"SnnTorchDelayedZero{base.name}",
        before="keep = where(v > v_threshold, 0.0, 1.0)",
        after="v = keep * v",
        resets=_NONE,
        description=f"{base.description}; the voltage is 0 in the step after a spike (reset_delay)",
    )


SnnTorchDelayedLIF = _delayed(LIF)
SnnTorchDelayedCubaLIF = _delayed(CubaLIF)
SnnTorchDelayedZeroLIF = _delayed_zero(LIF)
SnnTorchDelayedZeroCubaLIF = _delayed_zero(CubaLIF)

"""Neurons that only look at the input of the step."""

from __future__ import annotations

from neurocomp.ir.model import NeuronModel

Threshold = NeuronModel(
    "Threshold",
    parameters={"threshold": ""},
    step="v = a",
    spike="v > threshold",
    resets={"value": "v = 0.0"},
    description="spikes where the input of the step exceeds a threshold; remembers nothing",
)

GradedRelu = NeuronModel(
    "GradedRelu",
    parameters={"threshold": "", "gain": ""},
    defaults={"threshold": 0.0, "gain": 1.0},
    step="v = a",
    spike="v > threshold",
    payload="gain * v",
    resets={"value": "v = 0.0"},
    description="sends its input of the step, times a gain and rounded, as a graded spike where it exceeds the threshold",
)

Readout = NeuronModel(
    "Readout",
    parameters={},
    step="v = a",
    description="shows its input of the step as v, never spikes: for weights that lead straight to an output",
)

"""Neurons in Loihi's integer arithmetic."""

from __future__ import annotations

from neurocomp.ir.model import NeuronModel

LoihiLIF = NeuronModel(
    "LoihiLIF",
    parameters={"du": "", "dv": "", "vth": "", "bias_mant": "", "bias_exp": ""},
    defaults={"bias_mant": 0, "bias_exp": 0},
    step="""
        u = wrap24(decay12(u, du + 1) + (a << 6))
        v = clip24(decay12(v, dv) + u + shift(bias_mant, bias_exp))
    """,
    spike="v > vth << 6",
    resets={"value": "v = 0", "subtract": "v = v - (vth << 6)"},
    constraints=(
        "0 <= du",
        "du <= 4095",
        "0 <= dv",
        "dv <= 4095",
        "0 <= vth",
        "vth <= 131071",
        "abs(bias_mant) <= 4096",
        "abs(bias_exp) <= 7",
    ),
    arithmetic="loihi",
    description="Loihi's current-based LIF in its own integers, equal to Lava's bit-accurate LIF "
    "(12-bit decays with ds_offset 1 and dm_offset 0, 24-bit state, 17-bit threshold, bias mantissa and exponent); "
    "reset by subtraction is a custom neuron on Loihi 2",
)

LoihiGradedRelu = NeuronModel(
    "LoihiGradedRelu",
    parameters={"vth": "", "exp": ""},
    defaults={"vth": 0, "exp": 0},
    step="v = a",
    spike="v > vth",
    payload="v >> exp",
    resets={"value": "v = 0"},
    constraints=("0 <= exp", "exp <= 24"),
    arithmetic="loihi",
    description="sends its input of the step, divided by 2**exp and rounded down, as a graded spike where it exceeds vth "
    "(as Lava's GradedReluVec; a neuron of one's own on Loihi 2)",
)

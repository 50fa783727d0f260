"""The neurons that come with the package. Adding one means adding its definition here and its name to `BUILTIN`.

Names, parameters and equations follow NIR (Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9) unless said otherwise.
A subtractive reset lowers the voltage by the threshold; a reset to value puts it at v_reset.
"""

from __future__ import annotations

from dataclasses import replace

from neurocomp.ir.model import NeuronModel

_RESETS = {"value": "v = v_reset", "subtract": "v = v - v_threshold"}

IF = NeuronModel(
    "IF",
    parameters={"r": "ohm", "v_threshold": "V", "v_reset": "V"},
    defaults={"r": 1.0, "v_threshold": 1.0, "v_reset": 0.0},
    equations="dv/dt = r * a",
    spike="v > v_threshold",
    resets=_RESETS,
    constraints=("v_reset <= v_threshold",),
    description="integrate and fire, without leak",
)

LIF = NeuronModel(
    "LIF",
    parameters={"tau": "s", "r": "ohm", "v_leak": "V", "v_threshold": "V", "v_reset": "V"},
    defaults={"r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0},
    equations="dv/dt = (v_leak - v + r * a) / tau",
    spike="v > v_threshold",
    resets=_RESETS,
    constraints=("tau > 0", "v_reset <= v_threshold"),
    description="leaky integrate and fire",
)

CubaLIF = NeuronModel(
    "CubaLIF",
    parameters={
        "tau_syn": "s",
        "tau_mem": "s",
        "r": "ohm",
        "v_leak": "V",
        "v_threshold": "V",
        "v_reset": "V",
        "w_in": "",
    },
    defaults={"r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, "w_in": 1.0},
    equations="""
        di/dt = (w_in * a - i) / tau_syn
        dv/dt = (v_leak - v + r * i) / tau_mem
    """,
    spike="v > v_threshold",
    resets=_RESETS,
    constraints=("tau_syn > 0", "tau_mem > 0", "v_reset <= v_threshold"),
    description="leaky integrate and fire with an exponential synaptic current",
)

I = NeuronModel(  # noqa: E741 - NIR's name
    "I",
    parameters={"r": "ohm"},
    defaults={"r": 1.0},
    equations="dv/dt = r * a",
    description="integrator, never spikes",
)

LI = NeuronModel(
    "LI",
    parameters={"tau": "s", "r": "ohm", "v_leak": "V"},
    defaults={"r": 1.0, "v_leak": 0.0},
    equations="dv/dt = (v_leak - v + r * a) / tau",
    constraints=("tau > 0",),
    description="leaky integrator, never spikes",
)

CubaLI = NeuronModel(
    "CubaLI",
    parameters={"tau_syn": "s", "tau_mem": "s", "r": "ohm", "v_leak": "V", "w_in": ""},
    defaults={"r": 1.0, "v_leak": 0.0, "w_in": 1.0},
    equations="""
        di/dt = (w_in * a - i) / tau_syn
        dv/dt = (v_leak - v + r * i) / tau_mem
    """,
    constraints=("tau_syn > 0", "tau_mem > 0"),
    description="leaky integrator with an exponential synaptic current, never spikes",
)

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

Readout = NeuronModel(
    "Readout",
    parameters={},
    step="v = a",
    description="shows its input of the step as v, never spikes: for weights that lead straight to an output",
)

# Variants that trained networks of other frameworks need to run as they were trained (docs/nir.md has the measurements).

_SNNTORCH = "reset by subtraction as snnTorch computes it: the reset of the last step is decided again from the stored voltage"


def _snntorch(name: str, base: NeuronModel) -> NeuronModel:
    return replace(
        base,
        name=name,
        before="last = where(v > v_threshold, v_threshold, 0.0)",
        spike="v - last > v_threshold",
        resets={"subtract": "v = v - v_threshold"},
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
        description=f"{base.description}; the threshold is subtracted a step after the spike, as by snnTorch's reset_delay",
    )


def _delayed_zero(base: NeuronModel) -> NeuronModel:
    return replace(
        base,
        name=f"SnnTorchDelayedZero{base.name}",
        before="keep = where(v > v_threshold, 0.0, 1.0)",
        after="v = keep * v",
        resets=_NO_RESET_YET,
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

BUILTIN: tuple[NeuronModel, ...] = (
    IF,
    LIF,
    CubaLIF,
    I,
    LI,
    CubaLI,
    LoihiLIF,
    Threshold,
    GradedRelu,
    LoihiGradedRelu,
    Readout,
    SnnTorchLIF,
    SnnTorchCubaLIF,
    SnnTorchDelayedLIF,
    SnnTorchDelayedCubaLIF,
    SnnTorchDelayedZeroLIF,
    SnnTorchDelayedZeroCubaLIF,
    SinabsIF,
    SinabsLIF,
)

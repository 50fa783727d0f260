"""Integrators and leaky integrators, with and without spikes.

Names, parameters and equations follow NIR (Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9) unless said otherwise.
A subtractive reset lowers the voltage by the threshold; a reset to value puts it at v_reset.
"""

from __future__ import annotations

from neurocomp.ir.model import NeuronModel

RESETS = {"value": "v = v_reset", "subtract": "v = v - v_threshold"}

IF = NeuronModel(
    "IF",
    parameters={"r": "ohm", "v_threshold": "V", "v_reset": "V"},
    defaults={"r": 1.0, "v_threshold": 1.0, "v_reset": 0.0},
    equations="dv/dt = r * a",
    spike="v > v_threshold",
    resets=RESETS,
    refractory=("v",),
    constraints=("v_reset <= v_threshold",),
    description="integrate and fire, without leak",
)

LIF = NeuronModel(
    "LIF",
    parameters={"tau": "s", "r": "ohm", "v_leak": "V", "v_threshold": "V", "v_reset": "V"},
    defaults={"r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0},
    equations="dv/dt = (v_leak - v + r * a) / tau",
    spike="v > v_threshold",
    resets=RESETS,
    refractory=("v",),
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
    resets=RESETS,
    refractory=("v",),
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

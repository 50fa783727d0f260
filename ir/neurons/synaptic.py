"""Leaky integrate-and-fire neurons with synapses of their own time course: excitatory and inhibitory receptors.

Like NEST's `iaf_psc_exp`, `iaf_psc_alpha` and `iaf_cond_exp` (PyNN's `IF_curr_exp`, `IF_curr_alpha`, `IF_cond_exp`): what
arrives in a step is added after the state has moved on, so it first acts in the next step. Weights are currents (A) or
conductances (S), positive for both receptors of conductances, negative for inhibitory currents.
"""

from __future__ import annotations

from neurocomp.ir.model import NeuronModel

RECEPTORS = ("exc", "inh")
_MEMBRANE = {"c_m": "F", "tau_mem": "s", "v_leak": "V", "tau_exc": "s", "tau_inh": "s", "v_threshold": "V", "v_reset": "V"}
_DEFAULTS = {  # of PyNN's standard cells
    "c_m": 1e-9,
    "tau_mem": 20e-3,
    "v_leak": -65e-3,
    "tau_exc": 5e-3,
    "tau_inh": 5e-3,
    "v_threshold": -50e-3,
    "v_reset": -65e-3,
    "i_offset": 0.0,
}
_CONSTRAINTS = ("c_m > 0", "tau_mem > 0", "tau_exc > 0", "tau_inh > 0", "v_reset < v_threshold")

ExpLIF = NeuronModel(
    "ExpLIF",
    receptors=RECEPTORS,
    parameters={**_MEMBRANE, "i_offset": "A"},
    defaults=_DEFAULTS,
    equations="""
        di_exc/dt = -i_exc / tau_exc
        di_inh/dt = -i_inh / tau_inh
        dv/dt = (v_leak - v) / tau_mem + (i_exc + i_inh + i_offset) / c_m
    """,
    after="i_exc = i_exc + exc; i_inh = i_inh + inh",
    spike="v >= v_threshold",
    resets={"value": "v = v_reset"},
    refractory=("v",),
    initial={"v": "v_leak"},
    integrator="exact",
    constraints=_CONSTRAINTS,
    description="leaky integrate and fire with exponential synaptic currents (NEST's iaf_psc_exp)",
)

AlphaLIF = NeuronModel(
    "AlphaLIF",
    receptors=RECEPTORS,
    parameters={**_MEMBRANE, "i_offset": "A"},
    defaults=_DEFAULTS,
    equations="""
        dj_exc/dt = -j_exc / tau_exc
        di_exc/dt = j_exc - i_exc / tau_exc
        dj_inh/dt = -j_inh / tau_inh
        di_inh/dt = j_inh - i_inh / tau_inh
        dv/dt = (v_leak - v) / tau_mem + (i_exc + i_inh + i_offset) / c_m
    """,
    after="j_exc = j_exc + 2.718281828459045 / tau_exc * exc; j_inh = j_inh + 2.718281828459045 / tau_inh * inh",
    spike="v >= v_threshold",
    resets={"value": "v = v_reset"},
    refractory=("v",),
    initial={"v": "v_leak"},
    integrator="exact",
    constraints=_CONSTRAINTS,
    description="leaky integrate and fire with alpha-shaped synaptic currents, whose peak is the weight (NEST's iaf_psc_alpha)",
)

CobaLIF = NeuronModel(
    "CobaLIF",
    receptors=RECEPTORS,
    parameters={**_MEMBRANE, "e_exc": "V", "e_inh": "V", "i_offset": "A"},
    defaults={**_DEFAULTS, "e_exc": 0.0, "e_inh": -70e-3},
    before="""
        mean_exc = g_exc * (tau_exc / dt * -expm1(-dt / tau_exc))
        mean_inh = g_inh * (tau_inh / dt * -expm1(-dt / tau_inh))
    """,
    equations="""
        dg_exc/dt = -g_exc / tau_exc
        dg_inh/dt = -g_inh / tau_inh
        dv/dt = (v_leak - v) / tau_mem + (mean_exc * (e_exc - v) + mean_inh * (e_inh - v) + i_offset) / c_m
    """,
    after="g_exc = g_exc + exc; g_inh = g_inh + inh",
    spike="v >= v_threshold",
    resets={"value": "v = v_reset"},
    refractory=("v",),
    initial={"v": "v_leak"},
    integrator="exponential",
    constraints=_CONSTRAINTS,
    description="leaky integrate and fire with exponential synaptic conductances (PyNN's IF_cond_exp)",
)

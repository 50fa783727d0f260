"""Neurons with ion channels. A spike is an upward crossing of v_threshold; nothing is reset.

The gates' equations are linear in the gate, so `integrator="exponential"` (exponential Euler) is exact for each at fixed
voltage. Rates of the form x / (1 - exp(-x)) are written with exprel, which has no gap at 0.
"""

from __future__ import annotations

from neurocomp.ir.model import NeuronModel
from neurocomp.ir.neurons.synaptic import RECEPTORS

HodgkinHuxley = NeuronModel(
    "HodgkinHuxley",
    parameters={
        "c_m": "F/m^2",
        "g_na": "S/m^2",
        "g_k": "S/m^2",
        "g_leak": "S/m^2",
        "e_na": "V",
        "e_k": "V",
        "e_leak": "V",
        "v_threshold": "V",
        "i_offset": "A/m^2",
    },
    defaults={
        "c_m": 0.01,
        "g_na": 1200.0,
        "g_k": 360.0,
        "g_leak": 3.0,
        "e_na": 50e-3,
        "e_k": -77e-3,
        "e_leak": -54.387e-3,
        "v_threshold": 0.0,
        "i_offset": 0.0,
    },
    before="""
        last = v
        alpha_m = 1000.0 * Hz / exprel(-(v + 40.0 * mV) / (10.0 * mV))
        beta_m = 4000.0 * Hz * exp(-(v + 65.0 * mV) / (18.0 * mV))
        alpha_h = 70.0 * Hz * exp(-(v + 65.0 * mV) / (20.0 * mV))
        beta_h = 1000.0 * Hz * sigmoid((v + 35.0 * mV) / (10.0 * mV))
        alpha_n = 100.0 * Hz / exprel(-(v + 55.0 * mV) / (10.0 * mV))
        beta_n = 125.0 * Hz * exp(-(v + 65.0 * mV) / (80.0 * mV))
    """,
    equations="""
        dm/dt = alpha_m * (1.0 - m) - beta_m * m
        dh/dt = alpha_h * (1.0 - h) - beta_h * h
        dn/dt = alpha_n * (1.0 - n) - beta_n * n
        dv/dt = (g_na * m ** 3 * h * (e_na - v) + g_k * n ** 4 * (e_k - v) + g_leak * (e_leak - v) + a + i_offset) / c_m
    """,
    spike="v > v_threshold and last <= v_threshold",
    resets={"none": "v = v"},
    initial={"v": "-65.0 * mV", "m": "0.0529325", "h": "0.5961208", "n": "0.3176769"},  # at rest
    integrator="exponential",
    constraints=("c_m > 0",),
    description="the squid giant axon (Hodgkin & Huxley 1952, doi:10.1113/jphysiol.1952.sp004764), with the resting potential "
    "at -65 mV; all per square metre of membrane: 1 uA/cm2 is 0.01 A/m2",
)

TraubMiles = NeuronModel(
    "TraubMiles",
    receptors=RECEPTORS,
    parameters={
        "c_m": "F",
        "g_na": "S",
        "g_k": "S",
        "g_leak": "S",
        "e_na": "V",
        "e_k": "V",
        "e_leak": "V",
        "v_t": "V",
        "tau_exc": "s",
        "tau_inh": "s",
        "e_exc": "V",
        "e_inh": "V",
        "v_threshold": "V",
        "i_offset": "A",
    },
    defaults={
        "c_m": 200e-12,
        "g_na": 20e-6,
        "g_k": 6e-6,
        "g_leak": 10e-9,
        "e_na": 50e-3,
        "e_k": -90e-3,
        "e_leak": -60e-3,
        "v_t": -63e-3,
        "tau_exc": 5e-3,
        "tau_inh": 10e-3,
        "e_exc": 0.0,
        "e_inh": -80e-3,
        "v_threshold": -20e-3,
        "i_offset": 0.0,
    },
    before="""
        last = v
        x = v - v_t
        alpha_m = 1280.0 * Hz / exprel((13.0 * mV - x) / (4.0 * mV))
        beta_m = 1400.0 * Hz / exprel((x - 40.0 * mV) / (5.0 * mV))
        alpha_h = 128.0 * Hz * exp((17.0 * mV - x) / (18.0 * mV))
        beta_h = 4000.0 * Hz * sigmoid((x - 40.0 * mV) / (5.0 * mV))
        alpha_n = 160.0 * Hz / exprel((15.0 * mV - x) / (5.0 * mV))
        beta_n = 500.0 * Hz * exp((10.0 * mV - x) / (40.0 * mV))
        mean_exc = g_exc * (tau_exc / dt * -expm1(-dt / tau_exc))
        mean_inh = g_inh * (tau_inh / dt * -expm1(-dt / tau_inh))
    """,
    equations="""
        dm/dt = alpha_m * (1.0 - m) - beta_m * m
        dh/dt = alpha_h * (1.0 - h) - beta_h * h
        dn/dt = alpha_n * (1.0 - n) - beta_n * n
        dg_exc/dt = -g_exc / tau_exc
        dg_inh/dt = -g_inh / tau_inh
        dv/dt = (g_leak * (e_leak - v) + mean_exc * (e_exc - v) + mean_inh * (e_inh - v) + g_na * m ** 3 * h * (e_na - v) \
+ g_k * n ** 4 * (e_k - v) + i_offset) / c_m
    """,
    after="g_exc = g_exc + exc; g_inh = g_inh + inh",
    spike="v > v_threshold and last <= v_threshold",
    resets={"none": "v = v"},
    initial={"v": "e_leak"},
    integrator="exponential",
    constraints=("c_m > 0", "tau_exc > 0", "tau_inh > 0"),
    description="hippocampal pyramidal cell with conductance synapses (Traub & Miles 1991, as in the COBAHH benchmark of "
    "Brette et al. 2007, doi:10.1007/s10827-007-0038-6); with the benchmark's leak it spikes by itself every 72 ms, with "
    "e_leak = -65 mV it rests",
)

"""Neurons that adapt, burst, resonate or spike by chance: more than a leak, less than ion channels."""

from __future__ import annotations

from collections.abc import Mapping

from neurocomp.ir.model import NeuronModel

ALIF = NeuronModel(
    "ALIF",
    parameters={
        "tau": "s",
        "r": "ohm",
        "v_leak": "V",
        "v_threshold": "V",
        "v_reset": "V",
        "tau_adapt": "s",
        "beta": "V",
    },
    defaults={"r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0},
    equations="""
        dv/dt = (v_leak - v + r * a) / tau
        db/dt = -b / tau_adapt
    """,
    spike="v > v_threshold + beta * b",
    resets={"value": "v = v_reset; b = b + 1.0", "subtract": "v = v - (v_threshold + beta * b); b = b + 1.0"},
    refractory=("v",),
    constraints=("tau > 0", "tau_adapt > 0", "v_reset <= v_threshold"),
    description="leaky integrate and fire whose threshold rises by beta with each spike and decays with tau_adapt "
    "(Bellec et al. 2018, arXiv:1803.09574)",
)

AdEx = NeuronModel(
    "AdEx",
    parameters={
        "c_m": "F",
        "g_leak": "S",
        "v_leak": "V",
        "v_threshold": "V",
        "delta_t": "V",
        "g_adapt": "S",
        "tau_adapt": "s",
        "b_adapt": "A",
        "v_peak": "V",
        "v_reset": "V",
        "i_offset": "A",
    },
    defaults={
        "c_m": 281e-12,
        "g_leak": 30e-9,
        "v_leak": -70.6e-3,
        "v_threshold": -50.4e-3,
        "delta_t": 2e-3,
        "g_adapt": 4e-9,
        "tau_adapt": 144e-3,
        "b_adapt": 80.5e-12,
        "v_peak": 0.0,
        "v_reset": -70.6e-3,
        "i_offset": 0.0,
    },
    # w comes first: in the step of a spike, Euler's v lies far beyond the peak, where w must not follow it
    equations="""
        dw/dt = (g_adapt * (v - v_leak) - w) / tau_adapt
        dv/dt = (g_leak * (v_leak - v + delta_t * exp((min(v, v_peak) - v_threshold) / delta_t)) - w + a + i_offset) / c_m
    """,
    spike="v > v_peak",
    resets={"value": "v = v_reset; w = w + b_adapt"},
    refractory=("v",),
    initial={"v": "v_leak"},
    integrator="euler",
    constraints=("c_m > 0", "g_leak > 0", "delta_t > 0", "tau_adapt > 0", "v_reset < v_peak", "v_threshold <= v_peak"),
    description="adaptive exponential integrate and fire (Brette & Gerstner 2005, doi:10.1152/jn.00686.2005; defaults from "
    "there); v_threshold is V_T, g_adapt is a, b_adapt is b",
)

Izhikevich = NeuronModel(
    "Izhikevich",
    receptors=("i",),
    parameters=dict.fromkeys(("a", "b", "c", "d", "slope", "constant", "v_u", "u_leak", "i_offset"), ""),
    defaults={"slope": 5.0, "constant": 140.0, "v_u": 0.0, "u_leak": 1.0, "i_offset": 0.0},
    equations="""
        dv/dt = (0.04 * v ** 2 + slope * v + constant - u + i + i_offset) * 1000.0
        du/dt = a * (b * (v - v_u) - u_leak * u) * 1000.0
    """,
    spike="v >= 30.0",
    resets={"value": "v = c; u = u + d"},
    initial={"v": "c", "u": "b * c"},
    integrator="euler",
    description="Izhikevich's neuron in the units of his papers: v and c in mV, time in ms inside (2003, "
    "doi:10.1109/TNN.2003.820440; 2004, doi:10.1109/TNN.2004.832719). `nc.IZHIKEVICH` has the parameters of the firing classes",
)

# The neurons of Izhikevich 2003 (fig. 2) and of the twenty firing classes of Izhikevich 2004 (fig. 1), with the current that
# shows each class where it is a constant one.
IZHIKEVICH: Mapping[str, Mapping[str, float]] = {
    "regular spiking": {"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0},
    "intrinsically bursting": {"a": 0.02, "b": 0.2, "c": -55.0, "d": 4.0},
    "chattering": {"a": 0.02, "b": 0.2, "c": -50.0, "d": 2.0},
    "fast spiking": {"a": 0.1, "b": 0.2, "c": -65.0, "d": 2.0},
    "thalamo-cortical": {"a": 0.02, "b": 0.25, "c": -65.0, "d": 0.05},
    "low-threshold spiking": {"a": 0.02, "b": 0.25, "c": -65.0, "d": 2.0},
    "tonic spiking": {"a": 0.02, "b": 0.2, "c": -65.0, "d": 6.0},
    "phasic spiking": {"a": 0.02, "b": 0.25, "c": -65.0, "d": 6.0},
    "tonic bursting": {"a": 0.02, "b": 0.2, "c": -50.0, "d": 2.0},
    "phasic bursting": {"a": 0.02, "b": 0.25, "c": -55.0, "d": 0.05},
    "mixed mode": {"a": 0.02, "b": 0.2, "c": -55.0, "d": 4.0},
    "spike frequency adaptation": {"a": 0.01, "b": 0.2, "c": -65.0, "d": 8.0},
    "class 1": {"a": 0.02, "b": -0.1, "c": -55.0, "d": 6.0, "slope": 4.1, "constant": 108.0},
    "class 2": {"a": 0.2, "b": 0.26, "c": -65.0, "d": 0.0},
    "spike latency": {"a": 0.02, "b": 0.2, "c": -65.0, "d": 6.0},
    "subthreshold oscillations": {"a": 0.05, "b": 0.26, "c": -60.0, "d": 0.0},
    "resonator": {"a": 0.1, "b": 0.26, "c": -60.0, "d": -1.0},
    "integrator": {"a": 0.02, "b": -0.1, "c": -55.0, "d": 6.0, "slope": 4.1, "constant": 108.0},
    "rebound spike": {"a": 0.03, "b": 0.25, "c": -60.0, "d": 4.0},
    "rebound burst": {"a": 0.03, "b": 0.25, "c": -52.0, "d": 0.0},
    "threshold variability": {"a": 0.03, "b": 0.25, "c": -60.0, "d": 4.0},
    "bistability": {"a": 0.1, "b": 0.26, "c": -60.0, "d": 0.0},
    "depolarizing after-potential": {"a": 1.0, "b": 0.2, "c": -60.0, "d": -21.0},
    "accommodation": {"a": 0.02, "b": 1.0, "c": -55.0, "d": 4.0, "v_u": -65.0, "u_leak": 0.0},
    "inhibition-induced spiking": {"a": -0.02, "b": -1.0, "c": -60.0, "d": 8.0},
    "inhibition-induced bursting": {"a": -0.026, "b": -1.0, "c": -45.0, "d": -2.0},
}

ResonateFire = NeuronModel(
    "ResonateFire",
    parameters={"damping": "Hz", "omega": "Hz", "gain": "Hz", "threshold": "", "x_reset": "", "y_reset": ""},
    defaults={"gain": 1.0, "threshold": 1.0, "x_reset": 0.0, "y_reset": 1.0},
    equations="""
        dx/dt = -damping * x - omega * y + gain * a
        dy/dt = omega * x - damping * y
    """,
    spike="y > threshold",
    resets={"value": "x = x_reset; y = y_reset"},
    refractory=("x", "y"),
    integrator="exact",
    constraints=("damping >= 0", "y_reset <= threshold"),
    description="resonate and fire (Izhikevich 2001, doi:10.1016/S0893-6080(01)00078-8): a damped oscillation of omega rad/s "
    "that spikes where its imaginary part y exceeds the threshold",
)

StochasticLIF = NeuronModel(
    "StochasticLIF",
    parameters={
        "tau": "s",
        "r": "ohm",
        "v_leak": "V",
        "v_threshold": "V",
        "v_reset": "V",
        "rate": "Hz",
        "delta_v": "V",
    },
    defaults={"r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0},
    equations="dv/dt = (v_leak - v + r * a) / tau",
    spike="rand() < -expm1(-rate * dt * exp((v - v_threshold) / delta_v))",
    resets={"value": "v = v_reset", "subtract": "v = v - v_threshold"},
    refractory=("v",),
    constraints=("tau > 0", "rate >= 0", "delta_v > 0"),
    description="leaky integrate and fire with escape noise: it spikes at the rate `rate * exp((v - v_threshold) / delta_v)` "
    "(Gerstner et al. 2014, Neuronal Dynamics, section 9.1)",
)

SigmaDelta = NeuronModel(
    "SigmaDelta",
    parameters={"threshold": "", "unit": "", "bias": ""},
    defaults={"threshold": 1.0, "unit": 1.0, "bias": 0.0},
    step="""
        sigma = sigma + a
        activation = max(sigma + bias, 0.0)
        change = activation - sent
        message = max(min(round(change / unit), payload_limit), -payload_limit)
    """,
    spike="abs(change) >= threshold and message != 0.0",
    payload="message",
    resets={"value": "sent = sent + message * unit"},
    constraints=("unit > 0", "threshold >= 0"),
    description="sigma-delta neuron with a ReLU: sums the changes it receives, and where its activation has moved by the "
    "threshold since its last message, sends the difference as a graded spike, in whole units",
)

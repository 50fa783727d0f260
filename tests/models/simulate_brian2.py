"""Run by test_against_simulators.py in an environment with Brian2: networks as JSON, their spikes or voltages too.

All networks of a file become one of Brian2's, side by side and unconnected, with parameters for each neuron. All numbers are
in SI units; Brian2 only has to know of seconds.
"""

import json
import sys

import numpy as np
from brian2 import (
    ExplicitStateUpdater,
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    prefs,
    second,
)

prefs.codegen.target = "numpy"

# For linear equations whose solutions oscillate, as "exact" does none with complex eigenvalues: eleven terms of the Taylor
# series of the matrix exponential, x + dt f(x + dt/2 f(x + dt/3 f(...))), more than a double can tell from all of them.
TAYLOR = ExplicitStateUpdater(
    "\n".join([f"x_{n} = x + dt * f({f'x_{n + 1}' if n < 11 else 'x'}, t) / {n}" for n in range(11, 0, -1)] + ["x_new = x_1"])
)

# Equations, threshold, reset and, where it is not "exact", the method. {} is for what a refractory period does to v.
HELD = "a = arriving : 1 (constant over dt)\narriving : 1\n"
LEAK = "dv/dt = (v_leak - v + current) / tau : 1 {}\n"
CUBA = "di_syn/dt = (w_in * a - i_syn) / tau_syn : 1\ndv/dt = (v_leak - v + r * i_syn) / tau_mem : 1 {}\n" + HELD
CURRENTS = """
    dv/dt = (v_leak - v) / tau_mem + (i_exc + i_inh + current) / (c_m * second) : 1 {}
"""
CONDUCTANCES = """
    synaptic = g_exc * (e_exc - v) + g_inh * (e_inh - v) : 1
    dg_exc/dt = -g_exc / tau_exc : 1
    dg_inh/dt = -g_inh / tau_inh : 1
"""
CHANNELS = """
    channels = g_na * m ** 3 * h * (e_na - v) + g_k * n ** 4 * (e_k - v) + g_leak * (e_leak - v) : 1
    dv/dt = (channels + synaptic + current) / (c_m * second) : 1
    dm/dt = alpha_m * (1 - m) - beta_m * m : 1
    dh/dt = alpha_h * (1 - h) - beta_h * h : 1
    dn/dt = alpha_n * (1 - n) - beta_n * n : 1
"""
VALUE, CROSSING = "v = v_reset", "v > v_threshold"
MODELS = {
    "IF": ("dv/dt = current / second : 1", "v > v_threshold", VALUE, "euler"),  # exact for a constant slope
    "LIF": (LEAK, "v > v_threshold", VALUE),
    "LI": (LEAK, None, None),
    "CubaLIF": (CUBA, "v > v_threshold", VALUE),
    "CubaLI": (CUBA, None, None),
    "ALIF": (LEAK + "db/dt = -b / tau_adapt : 1", "v > v_threshold + beta * b", VALUE + "; b = b + 1"),
    "ResonateFire": (
        """
        dx/dt = (-damping * x - omega * v + gain * a) / second : 1
        dv/dt = (omega * x - damping * v) / second : 1
        """
        + HELD,
        "v > threshold",
        "x = x_reset; v = y_reset",
        TAYLOR,
    ),
    "ExpLIF": (
        CURRENTS
        + """
        di_exc/dt = -i_exc / tau_exc : 1
        di_inh/dt = -i_inh / tau_inh : 1
        """,
        "v >= v_threshold",
        VALUE,
    ),
    "AlphaLIF": (
        CURRENTS
        + """
        di_exc/dt = (j_exc - i_exc) / tau_exc : 1
        dj_exc/dt = -j_exc / tau_exc : 1
        di_inh/dt = (j_inh - i_inh) / tau_inh : 1
        dj_inh/dt = -j_inh / tau_inh : 1
        """,
        "v >= v_threshold",
        VALUE,
    ),
    "CobaLIF": (
        CONDUCTANCES + "dv/dt = (v_leak - v) / tau_mem + (synaptic + current) / (c_m * second) : 1 {}",
        "v >= v_threshold",
        VALUE,
        "exponential_euler",
    ),
    "AdEx": (
        """
        rise = g_leak * (v_leak - v + delta_t * exp((clip(v, -1, v_peak) - v_threshold) / delta_t)) : 1
        dv/dt = (rise - w + current) / (c_m * second) : 1
        dw/dt = (g_adapt * (v - v_leak) - w) / tau_adapt : 1
        """,
        "v > v_peak",
        "v = v_reset; w = w + b_adapt",
        "euler",
    ),
    "Izhikevich": (
        """
        dv/dt = (0.04 * v ** 2 + 5 * v + 140 - u + current) * 1000 / second : 1
        du/dt = a * (b * v - u) * 1000 / second : 1
        """,
        "v >= 30",
        "v = c; u = u + d",
        "euler",
    ),
    "HodgkinHuxley": (
        CHANNELS
        + """
        synaptic = 0 : 1
        alpha_m = 1000 / exprel(-(v + 0.040) / 0.010) / second : Hz
        beta_m = 4000 * exp(-(v + 0.065) / 0.018) / second : Hz
        alpha_h = 70 * exp(-(v + 0.065) / 0.020) / second : Hz
        beta_h = 1000 / (1 + exp(-(v + 0.035) / 0.010)) / second : Hz
        alpha_n = 100 / exprel(-(v + 0.055) / 0.010) / second : Hz
        beta_n = 125 * exp(-(v + 0.065) / 0.080) / second : Hz
        """,
        CROSSING,
        "",
        "exponential_euler",
    ),
    "TraubMiles": (
        CHANNELS
        + CONDUCTANCES
        + """
        alpha_m = 1280 / exprel((0.013 - v + v_t) / 0.004) / second : Hz
        beta_m = 1400 / exprel((v - v_t - 0.040) / 0.005) / second : Hz
        alpha_h = 128 * exp((0.017 - v + v_t) / 0.018) / second : Hz
        beta_h = 4000 / (1 + exp((0.040 - v + v_t) / 0.005)) / second : Hz
        alpha_n = 160 / exprel((0.015 - v + v_t) / 0.005) / second : Hz
        beta_n = 500 * exp((0.010 - v + v_t) / 0.040) / second : Hz
        """,
        CROSSING,
        "",
        "exponential_euler",
    ),
}
JUMP = ("v_post += w", "after_groups")
HOLD = ("arriving_post += w", "end")
CONDUCTANCE = ("g_exc_post += w * int(w > 0); g_inh_post -= w * int(w < 0)", "synapses")
ARRIVALS = {  # what a synapse of weight w does, and when
    **dict.fromkeys(("IF", "LIF", "LI", "ALIF"), JUMP),
    **dict.fromkeys(("CubaLIF", "CubaLI", "ResonateFire"), HOLD),
    **dict.fromkeys(("CobaLIF", "TraubMiles"), CONDUCTANCE),
    "ExpLIF": ("i_exc_post += w * int(w > 0); i_inh_post += w * int(w < 0)", "synapses"),
    "AlphaLIF": ("j_exc_post += exp(1) * w * int(w > 0); j_inh_post += exp(1) * w * int(w < 0)", "synapses"),
}


class Job:
    """Networks of one model, side by side. first, inputs: where each one's neurons and inputs begin."""

    def __init__(self, nets, dt):
        self.nets, self.dt = nets, dt
        self.model = nets[0]["case"].split("-")[0]
        self.refractory = nets[0]["t_ref"] is not None
        self.sizes = [net["size"] for net in nets]
        self.first = np.cumsum([0, *self.sizes])
        self.inputs = np.cumsum([0, *(net["inputs"] for net in nets)])

    def all(self, name, start=None):
        """The arrays of that name one after the other; start: what to add to each."""
        arrays = [np.array(net[name]) for net in self.nets]
        return np.concatenate(arrays if start is None else [x.astype(int) + k for x, k in zip(arrays, start, strict=False)])

    def neurons(self):
        """All neurons, with their parameters and where they start."""
        equations, threshold, reset, *method = MODELS[self.model]
        given = self.nets[0]["parameters"]
        lines = [equations.format("(unless refractory)" if self.refractory else "").replace("    ", "")]
        lines += [f"{name} : {'second' if name.startswith('tau') else '1'} (constant)" for name in (*given, "current")]
        lines += ["t_ref : second (constant)"] if self.refractory else []
        pause = "t_ref" if self.refractory else CROSSING if reset == "" else False
        group = NeuronGroup(
            self.first[-1],
            "\n".join(lines),
            threshold=threshold,
            reset=reset,
            refractory=pause,
            method=method[0] if method else "exact",
        )
        for name in given:
            values = np.repeat([net["parameters"][name] for net in self.nets], self.sizes)
            setattr(group, name, values * second if name.startswith("tau") else values)
        if self.refractory:
            group.t_ref = np.repeat([(net["t_ref"] + 1) * self.dt for net in self.nets], self.sizes) * second
        group.current = self.all("current")
        for name in self.nets[0]["initial"]:
            setattr(group, name, np.concatenate([net["initial"][name] for net in self.nets]))
        return group

    def synapses(self, source, group, from_inputs):
        """All synapses from the inputs, or all from the neurons; nothing where there are none."""
        effect, when = ARRIVALS.get(self.model, JUMP)
        if self.refractory and when == "after_groups":
            effect += " * int(not_refractory_post)"
        is_input = np.concatenate([np.array(net["pre"], int) < net["inputs"] for net in self.nets])
        mine = is_input == from_inputs
        if not mine.any():
            return []
        start = self.inputs if from_inputs else [k - net["inputs"] for k, net in zip(self.first, self.nets, strict=False)]
        made = Synapses(source, group, "w : 1 (constant)", on_pre=effect)
        made.pre.when = when
        made.connect(i=self.all("pre", start)[mine], j=self.all("post", self.first)[mine])
        made.w = self.all("weight")[mine]
        earlier = 0 if when == "synapses" else 1  # these find the spikes of the step before
        made.delay = (self.all("delay")[mine] - earlier) * self.dt * second
        return [made]

    def answers(self):
        """Spikes of every network; voltages where the model does not spike."""
        defaultclock.dt = self.dt * second
        group = self.neurons()
        drive = SpikeGeneratorGroup(self.inputs[-1], self.all("ids", self.inputs), self.all("times") * self.dt * second)
        parts = [group, drive, *self.synapses(drive, group, True), *self.synapses(group, group, False)]
        if ARRIVALS.get(self.model) == HOLD:
            group.arriving = group.current[:]
            parts.append(group.run_regularly("arriving = current", when="groups"))
        spiking = MODELS[self.model][1] is not None
        monitor = SpikeMonitor(group) if spiking else StateMonitor(group, "v", record=True, when="end")
        Network(*parts, monitor).run(max(net["steps"] for net in self.nets) * self.dt * second)
        spans = list(zip(self.nets, self.first, self.first[1:], strict=False))
        if not spiking:
            v = np.array(monitor.v)
            return [{"v": v[begin:end, : net["steps"]].T.tolist()} for net, begin, end in spans]
        steps, ids = np.round(np.array(monitor.t) / self.dt).astype(int), np.array(monitor.i)
        found = []
        for net, begin, end in spans:
            mine = (ids >= begin) & (ids < end) & (steps < net["steps"])
            found.append({"times": steps[mine].tolist(), "ids": (ids[mine] - begin).tolist()})
        return found


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        given = json.load(file)
    result = Job(given["nets"], given["dt"]).answers()
    with open(sys.argv[2], "w") as file:
        json.dump(result, file)

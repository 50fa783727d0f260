"""Run by test_against_simulators.py in an environment with NEST: networks as JSON, their spikes too."""

import json
import sys

import nest
import numpy as np

nest.set_verbosity("M_WARNING")


def alike(net):
    """NEST's model and its parameters; in mV, ms, pF and pA."""
    given, current = net["parameters"], np.array(net["current"])
    shared = {
        "E_L": given["v_leak"] * 1e3,
        "V_th": given["v_threshold"] * 1e3,
        "V_reset": given["v_reset"] * 1e3,
        "t_ref": (net["t_ref"] or 0) * 0.1,
    }
    if "c_m" not in given:  # of capacity 1, so that a current is a slope; volts are millivolts
        tau = given["tau"] * 1e3
        volts = {"E_L": given["v_leak"], "V_th": given["v_threshold"], "V_reset": given["v_reset"]}
        return "iaf_psc_delta", shared | volts | {"tau_m": tau, "C_m": 1.0, "I_e": current / tau}, 1.0, 1.0
    taus = {"tau_m": "tau_mem", "tau_syn_ex": "tau_exc", "tau_syn_in": "tau_inh"}
    shared |= {name: given[ours] * 1e3 for name, ours in taus.items()} | {"C_m": given["c_m"] * 1e12, "I_e": current * 1e12}
    return ("iaf_psc_exp" if net["case"].startswith("ExpLIF") else "iaf_psc_alpha"), shared, 1e3, 1e12


def build(net, dt):
    """The network and what records it."""
    model, parameters, volt, weight = alike(net)
    currents = parameters.pop("I_e")
    neurons = nest.Create(model, net["size"], params=parameters)
    neurons.V_m = (np.array(net["initial"]["v"]) * volt).tolist()
    neurons.I_e = currents.tolist()
    times, ids = np.array(net["times"]), np.array(net["ids"])
    drive = nest.Create("spike_generator", net["inputs"])
    for k in range(net["inputs"]):
        drive[k].spike_times = np.round((times[ids == k] + 1) * dt * 1e3, 1).tolist()
    recorder = nest.Create("spike_recorder")
    nest.Connect(neurons, recorder)
    sources, targets = [*drive.tolist(), *neurons.tolist()], neurons.tolist()
    pre, post = (np.array(net[x], int) for x in ("pre", "post"))
    synapse = {"weight": np.array(net["weight"]) * weight, "delay": np.round(np.array(net["delay"]) * dt * 1e3, 1)}
    for chosen in (pre < net["inputs"], pre >= net["inputs"]):
        if chosen.any():
            nest.Connect(
                np.array(sources)[pre[chosen]],
                np.array(targets)[post[chosen]],
                "one_to_one",
                {name: values[chosen] for name, values in synapse.items()},
            )
    return targets[0], recorder


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        job = json.load(file)
    nest.ResetKernel()
    nest.resolution = job["dt"] * 1e3
    built = [build(net, job["dt"]) for net in job["nets"]]
    nest.Simulate((max(net["steps"] for net in job["nets"]) + 2) * job["dt"] * 1e3)
    answers = []
    for net, (first, recorder) in zip(job["nets"], built, strict=True):
        steps = np.round(np.array(recorder.events["times"]) / (job["dt"] * 1e3)).astype(int) - 1
        mine = steps < net["steps"]
        answers.append({"times": steps[mine].tolist(), "ids": (np.array(recorder.events["senders"])[mine] - first).tolist()})
    with open(sys.argv[2], "w") as file:
        json.dump(answers, file)

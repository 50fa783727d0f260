"""Runs networks in SANA-FE, in a process and environment of its own: JSON on stdin, JSON to the file given.

A network has `groups`, `projections` (pre, post, edges [pre, post, weight]) and `steps`. A group has its name, cores (the
tile and core of each neuron), the synapse unit of what comes in, and spikes (a list of steps per neuron) or threshold, leak and
bias. Tiles are numbered column by column, as SANA-FE does.
"""

import json
import sys

import sanafe


def simulate(case):
    arch, net, groups = sanafe.load_loihi(), sanafe.Network(), {}
    for group in case["groups"]:
        groups[group["name"]] = add(net, group, case["steps"])
    for projection in case["projections"]:
        pre, post = groups[projection["pre"]], groups[projection["post"]]
        for source, target, weight in projection["edges"]:
            pre[source].connect_to_neuron(post[target], {"weight": weight})
    for group in case["groups"]:
        for neuron, (tile, core) in zip(groups[group["name"]], group["cores"], strict=True):
            neuron.map_to_core(arch.tiles[tile].cores[core])
    chip = sanafe.SpikingChip(arch)
    chip.load(net)
    result = chip.sim(case["steps"], timing_model="simple", spike_trace=True)
    spikes = {name: [] for name in groups}
    for step, fired in enumerate(result["spike_trace"]):
        for neuron in fired:
            spikes[neuron.group_name].append([step, neuron.neuron_offset])
    numbers = {key: result[key] for key in ("energy", "sim_time", "spikes", "packets_sent", "neurons_updated", "neurons_fired")}
    return numbers | {"trace": spikes}


def add(net, group, steps):
    size = len(group["cores"])
    if "spikes" not in group:
        lif = {"threshold": group["threshold"], "reset": 0.0, "leak_decay": group["leak"]}
        made = net.create_neuron_group(
            group["name"], size, lif, soma_hw_name="loihi_lif", default_synapse_hw_name=group["unit"]
        )
        for neuron, bias in zip(made, group["bias"], strict=True):
            neuron.set_attributes(log_spikes=True, model_attributes={"bias": bias})
        return made
    made = net.create_neuron_group(group["name"], size, {}, soma_hw_name="loihi_inputs[0]")
    for k, neuron in enumerate(made):
        train = [False] * steps
        for step in group["spikes"][k]:
            train[step] = True
        unit = f"loihi_inputs[{k}]"
        neuron.set_attributes(soma_hw_name=unit, log_spikes=True, model_attributes={"spikes": train})
    return made


if __name__ == "__main__":
    found = [simulate(case) for case in json.load(sys.stdin)]
    with open(sys.argv[1], "w") as stream:
        json.dump(found, stream)

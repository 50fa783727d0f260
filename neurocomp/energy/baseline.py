"""What the network is compared with: NeuroBench's fields, and a network without spikes of the same shape.

NeuroBench (Yik et al. 2025, doi:10.1038/s41467-025-56739-4; neurobench 2.3.0) counts per sample; the same fields follow from
our counters. Its `Effective_*` leave out weights of 0, its `Dense` is every synapse at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np

from neurocomp.energy.activity import Activity
from neurocomp.energy.bill import Item
from neurocomp.energy.profile import Profile
from neurocomp.energy.quantity import Quantity, exact, ratio, total
from neurocomp.energy.synapses import Synapses
from neurocomp.ir.connectivity import Dense
from neurocomp.ir.convolution import Conv2d
from neurocomp.ir.network import Network, Projection
from neurocomp.recording import Recording

FLOAT_BYTES = 4  # of a parameter, as in frameworks; Loihi's weights take their bits
CMOS = ("cmos45-fp32", "cmos45-int8")


@dataclass(frozen=True)
class Equivalent:
    """The same layers without spikes, beside the spiking network, both at the price of arithmetic in 45 nm CMOS.

    macs: of the network without spikes, per inference. ann: their energy. dense: the spiking network's accumulates if every
    synapse worked at every step. events: those that happened. break_even: events per synapse and inference at which the
    spiking network's arithmetic costs as much as the other's.
    """

    profile: str
    macs: Quantity
    ann: Quantity
    dense: Quantity
    events: Quantity
    density: Quantity
    break_even: Quantity


def neurobench(net: Network, recordings: Sequence[Recording], activity: Activity) -> dict[str, Any]:
    """NeuroBench's static and workload metrics, under its names; workloads per sample."""
    counts, samples = activity.counts(), activity.samples
    projections = list(net.projections.values())
    zero, weights = (sum(x) for x in zip(*(_zeros(x) for x in projections), strict=True)) if projections else (0, 0)
    fired = sum(float(activity.spikes[name].sum()) for name in net.populations if name in activity.spikes)
    chances = activity.steps * sum(x.size for x in net.populations.values())
    effective = {"mac": 0, "ac": 0}
    for projection in projections:
        rows = Synapses(projection, np.zeros(projection.connectivity.n_post, np.int64), 1).nonzero_rows()
        kind = "mac" if net.node(projection.pre).graded else "ac"
        effective[kind] += sum(int(rows[x.spikes[projection.pre].ids].sum()) for x in recordings)
    return {
        "Footprint": sum(_bytes(net, x) for x in projections),
        "ParameterCount": sum(_parameters(x) for x in projections),
        "ConnectionSparsity": zero / weights if weights else 0.0,
        "ActivationSparsity": 1.0 - fired / chances if chances else 0.0,
        "SynapticOperations": {
            "Effective_MACs": effective["mac"] / samples,
            "Effective_ACs": effective["ac"] / samples,
            "Dense": float(activity.steps * sum(_dense(x) for x in projections)),
        },
        "MembraneUpdates": counts.get("neuron.active", 0) / samples,
    }


def equivalent(net: Network, activity: Activity, profile: Profile) -> Equivalent:
    """The network without spikes and the spiking one at the price of a CMOS profile, per inference."""
    synapses = sum(len(x.connectivity) for x in net.projections.values())
    recurrent = not nx.is_directed_acyclic_graph(nx.DiGraph(net.graph))
    times = activity.steps if recurrent else 1
    why = f"{synapses:,} synapses" + (f" × {times:,} steps: the network is recurrent" if recurrent else ", once")
    macs = exact("MACs", float(synapses * times), "MACs", why)
    mac, ac = profile.energy["op.mac"], profile.energy["op.ac"]
    ann = Item("op.mac", "without spikes", macs.value, mac).energy.named("without spikes")
    dense = Item("op.ac", "dense", float(synapses * activity.steps), ac).energy.named("with spikes, all synapses each step")
    lines = [Item(x.kind, x.subject, x.count, {"op.ac": ac, "op.mac": mac}[x.kind], activity.samples).energy
             for x in activity.tallies if x.kind in ("op.ac", "op.mac")]  # fmt: skip
    events = total("with spikes, events only", lines)
    happened = sum(x.count for x in activity.tallies if x.kind in ("op.ac", "op.mac")) / activity.samples
    density = exact("events per synapse", happened / max(synapses, 1), "", f"{happened:,.6g} events / {synapses:,} synapses")
    share = ratio("events per synapse at equal energy", ann, events, "") if events.value else exact("", np.inf)
    how = f"{density.value:.4g} events per synapse × {ann.text} / {events.text}"
    at = density.value * share.value
    return Equivalent(profile.name, macs, ann, dense, events, density, exact("break-even", at, "", how, "arithmetic only"))


def _zeros(projection: Projection) -> tuple[int, int]:
    """(weights that are 0 or absent, weights) of the full matrix, or of the kernels of a convolution."""
    layer = projection.connectivity
    if isinstance(layer, Conv2d):
        return int((layer.weights == 0).sum()), int(layer.weights.size)
    size = layer.n_pre * layer.n_post
    return size - int(np.count_nonzero(layer.values())), size


def _dense(projection: Projection) -> int:
    layer = projection.connectivity
    return len(layer) if isinstance(layer, Conv2d) else layer.n_pre * layer.n_post


def _parameters(projection: Projection) -> int:
    layer = projection.connectivity
    return int(layer.weights.size) + (0 if layer.bias is None else int(np.size(layer.bias)))


def _bytes(net: Network, projection: Projection) -> int:
    layer = projection.connectivity
    if net.populations[projection.post].neuron.model.arithmetic == "float":
        return FLOAT_BYTES * _parameters(projection)
    bits = projection.loihi.num_weight_bits if projection.loihi else 8
    stored = layer.weights.size * bits if isinstance(layer, Dense | Conv2d) else len(layer) * bits
    return int(-(-stored // 8))

"""What is counted: the kinds of events a run consists of, by which profiles put prices on them.

Three views of the same run exist, because prices are published for different things: `events` (what a neuromorphic chip
does), `operations` (arithmetic, as in estimates from CMOS tables) and `dense` (what a machine does that ignores sparsity).
A profile uses one view, so nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

View = Literal["events", "operations", "dense"]
Grows = Literal["activity", "rest", "never"]


@dataclass(frozen=True)
class Kind:
    """A kind of event. component: the part of the chip it belongs to. views: those in which it is counted.

    grows: "activity" scales with the spikes, "rest" shrinks as more neurons become active, "never" depends on sizes and steps.
    """

    title: str
    component: str
    views: tuple[View, ...]
    grows: Grows


COMPONENTS: Mapping[str, str] = {
    "synapse": "synaptic operations",
    "neuron": "neuron updates and spikes",
    "network": "messages and hops",
    "learning": "weight updates",
}

KINDS: Mapping[str, Kind] = {
    "synop.dense": Kind("synaptic operations, dense weights", "synapse", ("events",), "activity"),
    "synop.sparse": Kind("synaptic operations, listed synapses", "synapse", ("events",), "activity"),
    "synop.conv": Kind("synaptic operations, convolutions", "synapse", ("events",), "activity"),
    "learn": Kind("weight updates of plastic synapses", "learning", ("events",), "activity"),
    "neuron.access": Kind("neuron updates, all", "neuron", ("events", "dense"), "never"),
    "neuron.active": Kind("neuron updates, active", "neuron", ("events",), "activity"),
    "neuron.always": Kind("neuron updates, active without any spike", "neuron", (), "never"),  # bias or noise
    "neuron.inactive": Kind("neuron updates, at rest", "neuron", ("events",), "rest"),
    "neuron.spike": Kind("spikes of populations", "neuron", ("events",), "activity"),
    "neuron.random": Kind("random numbers drawn", "neuron", ("events",), "never"),
    "message": Kind("messages, one per spike and target core", "network", ("events",), "activity"),
    "message.input": Kind("messages from inputs", "network", ("events",), "activity"),
    "message.receive": Kind("messages received", "network", (), "activity"),  # takes time; its energy is the sender's
    "hop.x": Kind("hops between tiles, along x", "network", ("events",), "activity"),
    "hop.y": Kind("hops between tiles, along y", "network", ("events",), "activity"),
    "op.ac": Kind("accumulates (plain spikes)", "synapse", ("operations",), "activity"),
    "op.mac": Kind("multiply-accumulates (graded spikes)", "synapse", ("operations",), "activity"),
    "op.neuron.add": Kind("additions of neuron updates", "neuron", ("operations",), "never"),
    "op.neuron.multiply": Kind("multiplications of neuron updates", "neuron", ("operations",), "never"),
    "op.neuron.other": Kind("other operations of neuron updates", "neuron", ("operations",), "never"),
    "op.memory": Kind("weights read from memory", "synapse", ("operations",), "activity"),
    "dense.mac": Kind("multiply-accumulates, all synapses each step", "synapse", ("dense",), "never"),
}

# Which side of a core's pipeline an event keeps busy: it computes and sends, or it receives.
SENDS = ("neuron.access", "neuron.active", "neuron.inactive", "neuron.spike", "message")
RECEIVES = ("message.receive", "synop.dense", "synop.sparse", "synop.conv", "learn")
TIMED = (*SENDS, *RECEIVES)


def kinds_of(view: View) -> tuple[str, ...]:
    """The kinds counted in a view."""
    return tuple(name for name, kind in KINDS.items() if view in kind.views)

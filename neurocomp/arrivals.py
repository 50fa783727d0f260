"""Which spikes reached a neuron at a step: what stands behind a state on which two backends part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurocomp.ir.network import Network, Projection
from neurocomp.recording import Recording

SHOWN = 8  # spikes of a projection in the text


@dataclass(frozen=True)
class Arrival:
    """A spike that reached the neuron over one synapse.

    ago: steps since it was sent, in the written network. payload: 1 for a plain spike. weight: as compiled, None where it
    learns.
    """

    projection: str
    neuron: int
    ago: int
    payload: int
    weight: float | None

    def __str__(self) -> str:
        payload = "" if self.payload == 1 else f" payload {self.payload}"
        weight = "" if self.weight is None else f" weight {self.weight:.6g}"
        return f"{self.neuron} ({self.ago} step{'s' if self.ago != 1 else ''} ago{payload}{weight})"


def arrivals(net: Network, recording: Recording, population: str, step: int, neuron: int) -> tuple[Arrival, ...]:
    """All spikes that reached a neuron (flat index) of a population at a step. net: compiled; recording: with all spikes."""
    return tuple(x for projection in net.incoming(population) for x in _over(net, recording, projection, step, neuron))


def _over(net: Network, recording: Recording, projection: Projection, step: int, neuron: int) -> Iterator[Arrival]:
    pre, post = projection.connectivity.synapses()
    at = np.flatnonzero(post == neuron)
    later = net.node(projection.post).lag - net.node(projection.pre).lag
    ago = np.broadcast_to(np.ravel(projection.delay), pre.shape)[at] - later  # in the written network
    weights = projection.connectivity.values()[at]
    events = recording.spikes[projection.pre]
    payloads = np.ones(len(events), np.int64) if events.payload is None else events.payload
    sent = dict(zip(zip(events.times.tolist(), events.ids.tolist(), strict=True), payloads.tolist(), strict=True))
    for source, steps, weight in zip(pre[at].tolist(), ago.tolist(), weights.tolist(), strict=True):
        payload = sent.get((step - steps, source), 0)
        if payload:
            yield Arrival(projection.name, source, steps, payload, None if projection.learning is not None else weight)


def described(found: tuple[Arrival, ...]) -> str:
    """The spikes in words, a line for each projection."""
    if not found:
        return "no spike reached it at this step"
    by_projection: dict[str, list[Arrival]] = {}
    for arrival in found:
        by_projection.setdefault(arrival.projection, []).append(arrival)
    lines = ["spikes that reached it at this step"]
    for name, parts in by_projection.items():
        more = f" and {len(parts) - SHOWN} more" if len(parts) > SHOWN else ""
        lines.append(f"    {name}: from neurons {', '.join(map(str, parts[:SHOWN]))}{more}")
    return "\n".join(lines)


def plain(arrival: Arrival) -> Mapping[str, Any]:
    """Ready for JSON."""
    return dict(vars(arrival))

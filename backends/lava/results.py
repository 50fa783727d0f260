"""From what Lava recorded to a `Result`: counters, the user's variables, and the samples of a batch apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backends.base import Counters, Record, Result, readable_state
from neurocomp.ir.events import Events, empty
from neurocomp.ir.network import Input, Network, Node, Projection


@dataclass(frozen=True)
class Raw:
    """Spikes of every population, the asked states (steps, size) in stored form, and what plastic projections have learned."""

    spikes: Mapping[str, Events]
    states: Mapping[tuple[str, str], NDArray[Any]]
    weights: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def collect(net: Network, inputs: Mapping[str, Events], steps: int, record: Record, raw: Raw, seconds: float) -> Result:
    """The result of one run."""
    spikes = {name: _of_node(node, inputs, raw, steps) for name, node in net.nodes.items()}
    states = {}
    for key, trace in raw.states.items():
        if key[0] in net.projections:  # recorded as often as asked
            states[key] = trace.reshape(len(trace), *net.projections[key[0]].connectivity.weights.shape)
        else:
            states[key] = readable_state(net.populations[key[0]], key[1], trace[record.every - 1 :: record.every])
    counters = Counters(
        spikes={name: len(events) for name, events in spikes.items()},
        updates={name: population.size * steps for name, population in net.populations.items()},
        events={name: _delivered(net, projection, spikes[projection.pre]) for name, projection in net.projections.items()},
    )
    return Result({name: spikes[name] for name in record.spikes}, states, counters, seconds, raw.weights)


def split(net: Network, samples: Sequence[Mapping[str, Events]], steps: int, record: Record, whole: Result) -> list[Result]:
    """Results of the samples of a batch that ran as one replicated network, all of whose spikes were recorded."""
    copies, results = len(samples), []
    parts = {name: _apart(whole.spikes[name], node.shape, copies) for name, node in net.populations.items()}
    for b, inputs in enumerate(samples):
        raw = Raw({name: part[b] for name, part in parts.items()}, {})
        result = collect(net, inputs, steps, record, raw, whole.seconds / copies)
        states = {key: trace[:, b] for key, trace in whole.states.items()}
        results.append(Result(result.spikes, states, result.counters, result.seconds))
    return results


def join(net: Network, samples: Sequence[Mapping[str, Events]], steps: int) -> dict[str, Events]:
    """The samples' inputs as those of the replicated network."""
    joined = {}
    for name, node in net.inputs.items():
        events = [sample.get(name) or empty(node.shape, steps) for sample in samples]
        times = np.concatenate([x.times for x in events])
        ids = np.concatenate([x.ids + b * node.size for b, x in enumerate(events)])
        payload = None
        if any(x.payload is not None for x in events):
            payload = np.concatenate([np.ones(len(x), np.int64) if x.payload is None else x.payload for x in events])
        order = np.lexsort((ids, times))
        payload = None if payload is None else payload[order]
        joined[name] = Events(times[order], ids[order], (len(samples), *node.shape), steps, payload)
    return joined


def _of_node(node: Node, inputs: Mapping[str, Events], raw: Raw, steps: int) -> Events:
    if not isinstance(node, Input):
        return raw.spikes[node.name]
    events = inputs.get(node.name) or empty(node.shape, steps)
    payload = events.payload
    if not node.graded:
        payload = None
    elif payload is None:
        payload = np.ones(len(events), np.int64)
    return Events(events.times, events.ids, node.shape, steps, payload)


def _delivered(net: Network, projection: Projection, spikes: Events) -> int:
    """Synapses reached within the run: a spike of step t reaches those of written delay d in step t + d."""
    lag = net.node(projection.post).lag - net.node(projection.pre).lag
    connectivity = projection.connectivity
    if not np.ndim(projection.delay):
        in_time = spikes.times + (projection.delay - lag) < spikes.steps
        return int(connectivity.row_lengths()[spikes.ids[in_time]].sum())
    pre, _ = connectivity.synapses()
    delays, total = np.ravel(projection.delay), 0
    for delay in np.unique(delays):
        lengths = np.bincount(pre[delays == delay], minlength=connectivity.n_pre)
        total += int(lengths[spikes.ids[spikes.times + (delay - lag) < spikes.steps]].sum())
    return total


def _apart(events: Events, shape: tuple[int, ...], copies: int) -> list[Events]:
    size = int(np.prod(shape))
    owner = events.ids // size
    result = []
    for b in range(copies):
        mine = owner == b
        payload = None if events.payload is None else events.payload[mine]
        result.append(Events(events.times[mine], events.ids[mine] - b * size, shape, events.steps, payload))
    return result

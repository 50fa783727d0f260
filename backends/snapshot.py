"""The state of a program between two steps, in a form that all backends and numbers of threads share.

A snapshot is a flat dictionary of arrays. Nodes and projections are numbered in the network's order:

`step`: () int64, steps since the reset. Random numbers are drawn by step, so this is also their position.
`nodes/<n>/state/<name>`: (size,) float64, float32 or int64.
`nodes/<n>/steps`, `ids`, `payload`: (k,) int64, spikes that can still arrive, by machine step, then neuron; graded payloads.
`projections/<n>/weights`: (synapses,) float64 in the connectivity's order. This and what follows is of plastic projections.
`projections/<n>/pre`, `post`, `synapse`: (traces, rows, targets or synapses) float64 at the last event; `..._since`: its step.
`projections/<n>/x`, `x_last`, `y`, `y_last`, `tags`: of Loihi's learning engine: traces, step of the epoch's last spike, tags.

A row is a source neuron and a delay, `slot * n_pre + neuron`, where slot numbers the projection's delays that occur.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.network import LoihiSynapse, Network, Projection
from neurocomp.ir.plasticity import LearningProgram, LoihiRule
from neurocomp.ir.plasticity.loihi import TAG_HIGH, TAG_LOW, TRACE_TOP
from neurocomp.ir.plasticity.products import POST, PRE

Array = NDArray[Any]
Snapshot = Mapping[str, Array]
Spikes = tuple[Array, Array, Array | None]  # machine steps, ids, payloads of graded nodes
SIDES = ("pre", "post", "synapse")
MOST = 2**53  # steps


def spikes_of(net: Network, snapshot: Snapshot) -> Iterator[tuple[str, Spikes]]:
    """The spikes on their way from each node."""
    for n, (name, node) in enumerate(net.nodes.items()):
        key = f"nodes/{n}"
        yield name, (snapshot[f"{key}/steps"], snapshot[f"{key}/ids"], snapshot[f"{key}/payload"] if node.graded else None)


def put_spikes(result: dict[str, Array], net: Network, name: str, spikes: Spikes) -> None:
    """Write the spikes on their way from a node, without those that nothing is to reach any more."""
    steps, ids, payload = spikes
    keep = steps >= result["step"] - reach(net, name)
    key = f"nodes/{list(net.nodes).index(name)}"
    result[f"{key}/steps"], result[f"{key}/ids"] = steps[keep].astype(np.int64), ids[keep].astype(np.int64)
    if payload is not None:
        result[f"{key}/payload"] = payload[keep].astype(np.int64)


def reach(net: Network, name: str) -> int:
    """Steps for which a node's spikes are needed: its longest delay, at least one where its own synapses learn from them."""
    steps = [x.max_delay for x in net.projections.values() if x.pre == name]
    for projection in net.projections.values():
        if projection.learning is not None and projection.post == name:
            steps.append(1)
        if projection.plasticity is not None and projection.plasticity.reward == name:
            steps.append(projection.plasticity.reward_delay)
    return max(steps, default=-net.max_lag)


def part(snapshot: Snapshot, prefix: str) -> dict[str, Array]:
    """The arrays below a prefix, by the rest of their names."""
    return {key.removeprefix(prefix): value for key, value in snapshot.items() if key.startswith(prefix)}


def engine_time(net: Network, projection: Projection, step: int) -> int:
    """The steps that a projection's learning engine has made when `step` steps of the network have ended."""
    return max(step - 1 + net.node(projection.post).lag, 0) if step else 0


def sizes(net: Network, like: Snapshot) -> dict[str, int]:
    """The most values each array of a snapshot can hold. like: a snapshot of the same network."""
    most = {key: array.size for key, array in like.items()}
    for n, node in enumerate(net.nodes.values()):
        for what in ("steps", "ids", "payload"):
            if f"nodes/{n}/{what}" in most:
                most[f"nodes/{n}/{what}"] = (net.longest_delay + net.max_lag) * node.size
    return most


def problem(net: Network, given: Snapshot, like: Snapshot) -> str:
    """What makes a snapshot unusable for a network, or "". like: a snapshot of this network, at any step."""
    if given.keys() != like.keys():
        wrong = min(given.keys() ^ like.keys())
        return f"it {'has no' if wrong in like else 'holds an unknown'} '{wrong}'"
    for key, array in given.items():
        free = key.endswith(("/steps", "/ids", "/payload"))
        if array.dtype != like[key].dtype or array.ndim != like[key].ndim or (not free and array.shape != like[key].shape):
            return f"'{key}' is {array.dtype} of shape {array.shape}, not {like[key].dtype} of shape {like[key].shape}"
    step = int(given["step"])
    if not 0 <= step < MOST:
        return f"step {step} is outside 0..2^53 - 1"
    for name, spikes in spikes_of(net, given):
        if not _possible(net, name, step, spikes):
            return f"its spikes of '{name}' are none that this network can have on their way"
    return next((text for text in _of_projections(net, given, step) if text), "")


def _possible(net: Network, name: str, step: int, spikes: Spikes) -> bool:
    """Whether spikes on their way are in order, once each, and of times and neurons that exist."""
    steps, ids, payload = spikes
    node = net.nodes[name]
    if len(steps) != len(ids) or (payload is not None and len(payload) != len(ids)):
        return False
    later = (np.diff(steps) > 0) | ((np.diff(steps) == 0) & (np.diff(ids) > 0))
    first = max(step - reach(net, name), 0)
    within = (steps >= first) & (steps < step + node.lag) & (ids >= 0) & (ids < node.size)
    fits = payload is None or bool((np.abs(payload) < 2**31).all())
    return bool(later.all() and within.all()) and fits


def _of_projections(net: Network, given: Snapshot, step: int) -> Iterator[str]:
    """What is out of its range: the kernel's proofs and its memory depend on these."""
    for n, (name, projection) in enumerate(net.projections.items()):
        learned = part(given, f"projections/{n}/")
        if not learned:
            continue
        low, high = bounds(projection)
        yield _range(f"a weight of '{name}'", learned["weights"], low, high)
        if isinstance(projection.learning, LoihiRule):
            yield _range(f"a tag of '{name}'", learned["tags"], TAG_LOW, TAG_HIGH)
            for side in "xy":
                yield _range(f"a trace of '{name}'", learned[side], 0, TRACE_TOP)
                yield _range(f"a spike's time of '{name}'", learned[f"{side}_last"], 0, projection.learning.t_epoch)
        for side in SIDES:
            if f"{side}_since" in learned:
                yield _range(f"an event's time of '{name}'", learned[f"{side}_since"], 0, step)


def _range(what: str, values: Array, low: float, high: float) -> str:
    bad = values[~((values >= low) & (values <= high))]
    return f"{what} is {bad.flat[0]:g}, outside {low:g}..{high:g}" if bad.size else ""


def bounds(projection: Projection) -> tuple[float, float]:
    """What the weights of a plastic projection stay within."""
    if isinstance(projection.learning, LoihiRule):
        return (projection.loihi or LoihiSynapse()).learned_range
    assert isinstance(projection.learning, LearningProgram)
    return projection.learning.constants["w_min"], projection.learning.constants["w_max"]


def traces_of(projection: Projection) -> dict[str, tuple[str, ...]]:
    """The names of what a projection remembers, by side: `SIDES`, or "x" and "y" of Loihi's learning engine."""
    if isinstance(projection.learning, LoihiRule):
        return {"x": PRE, "y": POST}
    assert projection.learning is not None
    form = projection.learning.form
    return {side: names for side, names in zip(SIDES, (form.pre, form.post, form.synapse), strict=True) if names}

"""The ordered fill: populations in the order of their connections, each core filled until one of its limits is reached."""

from __future__ import annotations

import networkx as nx

from neurocomp.ir.network import Network
from neurocomp.ir.placement.demand import Content, Demand
from neurocomp.ir.placement.reach import Runs


def ordered(demand: Demand) -> list[dict[str, Runs]]:
    """What lies on each core. Raises `PlacementError` for a neuron that fits no core."""
    cores: list[dict[str, Runs]] = [{}]
    for name in _order(demand.net):
        start, size, guess = 0, demand.sizes[name], demand.sizes[name]
        while start < size:
            stop = _furthest(demand, cores[-1], name, start, guess)
            if stop > start:
                cores[-1] = {**cores[-1], name: ((start, stop),)}
                start, guess = stop, stop - start
            elif cores[-1]:
                cores.append({})
            else:
                raise demand.too_much(name, start)
    return [core for core in cores if core]


def merged(content: Content, other: Content) -> dict[str, Runs]:
    """The content of two cores as one, with neighbouring runs joined."""
    result = dict(content)
    for name, runs in other.items():
        joined: list[tuple[int, int]] = []
        for start, stop in sorted((*result.get(name, ()), *runs)):
            if joined and joined[-1][1] == start:
                joined[-1] = (joined[-1][0], stop)
            else:
                joined.append((start, stop))
        result[name] = tuple(joined)
    return result


def _order(net: Network) -> list[str]:
    """Populations along their connections; those of a cycle as they were created."""
    created = {name: k for k, name in enumerate(net.nodes)}
    parts = nx.condensation(nx.DiGraph(net.graph))
    first = {part: min(created[name] for name in parts.nodes[part]["members"]) for part in parts}
    order = nx.lexicographical_topological_sort(parts, key=first.__getitem__)
    names = [name for part in order for name in sorted(parts.nodes[part]["members"], key=created.__getitem__)]
    return [name for name in names if name in net.populations]


def _furthest(demand: Demand, core: Content, name: str, start: int, guess: int) -> int:
    """The largest stop for which the core also holds neurons start..stop of a population; start if there is none.

    What a core needs only grows with the neurons on it, so this is a bisection; it begins around `guess` neurons.
    """
    held = sum(stop - first for runs in core.values() for first, stop in runs)
    low, high = start, min(demand.sizes[name], start + demand.chip.compartments - held)
    probe, margin, tries = start + guess, max(guess // 16, 1), 0
    while low < high:
        probe = min(max(probe, low + 1), high)
        fits = demand.fits(merged(core, {name: ((start, probe),)}))
        low, high = (probe, high) if fits else (low, probe - 1)
        near = low + margin if fits else high - margin
        probe = near if tries == 0 else (low + high + 1) // 2
        tries += 1
    return low

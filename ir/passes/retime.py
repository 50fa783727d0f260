"""`retime`: give every hop at least one step, without changing what the written network computes.

Retiming as in circuit design (Leiserson & Saxe 1991, doi:10.1007/BF01759032): find a lag r(p) >= 0 for every node so that the
new delay d + r(post) - r(pre) of every edge is at least 1. Delays around a cycle keep their sum. A node with lag r does
at step t + r what the written network does at step t; recordings are shifted back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import networkx as nx
import numpy as np

from neurocomp.ir.connectivity import frozen_array
from neurocomp.ir.errors import RetimeError
from neurocomp.ir.network import Change, Network, Node, Projection
from neurocomp.ir.passes.base import Pass
from neurocomp.ir.patterns import DrawnDelays
from neurocomp.ir.plasticity import Plasticity

_ORIGIN = object()  # a source before all nodes, which keeps lags at 0 or above


@dataclass(frozen=True)
class Retime(Pass):
    """The smallest lags that make every delay at least one step."""

    name: ClassVar[str] = "retime"

    def __call__(self, net: Network) -> Network:
        lags = _lags(net)
        nodes: dict[str, Node] = {}
        projections: dict[str, Projection] = {}
        changes = []
        for name, node in net.nodes.items():
            if lags[name] != 0:
                nodes[name] = replace(node, lag=node.lag + lags[name])
                why = "every hop needs at least one step; recordings are shifted back"
                changes.append(Change(self.name, name, f"lag {node.lag}", f"lag {node.lag + lags[name]}", why))
        for projection in net.projections.values():
            plasticity = projection.plasticity
            if isinstance(plasticity, Plasticity) and plasticity.reward is not None:
                later = lags[projection.post] - lags[plasticity.reward]
                reward_delay = plasticity.reward_delay + later if len(projection.connectivity) else 1  # nothing to reward
                plasticity = replace(plasticity, reward_delay=reward_delay)
                projection = projections[projection.name] = replace(projection, plasticity=plasticity)
            extra = lags[projection.post] - lags[projection.pre]
            if len(projection.connectivity) == 0:  # nothing travels here, so nothing constrains its delay
                projections[projection.name] = replace(projection, delay=1)
            elif extra:
                delay = projection.delay + extra
                delay = delay if isinstance(delay, int | DrawnDelays) else frozen_array(delay, np.int64)
                projections[projection.name] = replace(projection, delay=delay)
        return net.with_changes(nodes, projections, changes)


def _lags(net: Network) -> dict[str, int]:
    """Longest paths with edge length 1 - delay, found as shortest paths over delay - 1."""
    graph: nx.DiGraph[object] = nx.DiGraph()
    graph.add_weighted_edges_from((_ORIGIN, name, 0) for name in net.graph)
    for pre, post, delay in _hops(net):
        known = graph.get_edge_data(pre, post, {"weight": delay - 1})["weight"]
        graph.add_edge(pre, post, weight=min(delay - 1, known))
    try:
        distance = nx.single_source_bellman_ford_path_length(graph, _ORIGIN)
        return {str(name): -int(value) for name, value in dict(distance).items() if name is not _ORIGIN}
    except nx.NetworkXUnbounded:
        raise _impossible(graph) from None


def _hops(net: Network) -> Iterator[tuple[str, str, int]]:
    """(source, target, shortest delay) of everything that takes a step: spikes, and rewards."""
    for projection in net.projections.values():
        if len(projection.connectivity):
            yield projection.pre, projection.post, projection.min_delay
            plasticity = projection.plasticity
            if plasticity is not None and plasticity.reward is not None:
                yield plasticity.reward, projection.post, plasticity.reward_delay


def _negative_cycle(graph: nx.DiGraph[object]) -> list[str]:
    """A cycle with fewer steps of delay than hops, by Bellman and Ford (networkx's may return one that is not negative)."""
    distance, before = dict.fromkeys(graph, 0), dict[object, object]()
    moved: object = None
    for _ in range(len(graph)):
        for pre, post, length in graph.edges(data="weight"):
            if distance[pre] + length < distance[post]:
                distance[post], before[post], moved = distance[pre] + length, pre, post
    for _ in range(len(graph)):  # from a node that still moves, back into the cycle that moves it
        moved = before[moved]
    cycle, node = [str(moved)], before[moved]
    while node != moved:
        cycle.append(str(node))
        node = before[node]
    return cycle[::-1]


def _impossible(graph: nx.DiGraph[object]) -> RetimeError:
    cycle = _negative_cycle(graph)
    start = cycle.index(min(cycle))
    cycle = cycle[start:] + cycle[:start]
    hops = list(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    delay = sum(graph.edges[hop]["weight"] + 1 for hop in hops)
    lacking = len(hops) - delay
    shortest = min(hops, key=lambda hop: graph.edges[hop]["weight"])
    now = graph.edges[shortest]["weight"] + 1
    return RetimeError(
        cycle,
        delay,
        f"this cycle has {len(hops)} hop{'s' if len(hops) != 1 else ''} but a total delay of only {delay} "
        f"step{'s' if delay != 1 else ''}, so it lacks {lacking}: a spike cannot travel round it within a step. Give one "
        f"of its projections more delay, for example {shortest[0]} -> {shortest[1]} delay={now + lacking}",
    )

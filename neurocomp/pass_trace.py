"""The reference run on the network as it is after each pass: which pass changed the spikes, and where two programs part.

The reference needs nothing of a network but step programs, so it can run one that is not retimed or on its grid yet: nodes
that act on each other within a step only have to be updated in that order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import networkx as nx

from neurocomp.backends.base import Record
from neurocomp.backends.reference import ReferenceExecutable
from neurocomp.differences import Difference, compare
from neurocomp.ir.events import Events
from neurocomp.ir.network import Network
from neurocomp.ir.plasticity import Plasticity
from neurocomp.recording import Recording, from_result

LEARNS = "synapses learn on the grid, which is not there yet"


@dataclass(frozen=True)
class PassEffect:
    """What a pass did to the spikes that the reference gives.

    changed: the first spike that is another one than before this pass, None where there is none. skipped: why the network as it
    is after this pass was not run, "" where it was.
    """

    name: str
    changed: Difference | None = None
    skipped: str = ""

    def __str__(self) -> str:
        if self.skipped:
            return f"{self.name}: not run ({self.skipped})"
        if self.changed is None:
            return f"{self.name}: the reference gives the same spikes"
        return (
            f"{self.name}: the reference's spikes change, first at {self.changed.describe('before', 'after').splitlines()[0]}"
        )


class PassTrace:
    """The reference's recordings after each pass. after: (pass, network after it), in order; events: what the inputs give."""

    def __init__(self, after: Sequence[tuple[str, Network]], events: Mapping[str, Events], steps: int) -> None:
        self.runs: list[tuple[str, Recording]] = []
        self.effects: list[PassEffect] = []
        for name, net in after:
            learning = [x for x in net.projections.values() if x.learning is not None]
            if any(net.populations[x.post].grid is None for x in learning):
                self.effects.append(PassEffect(name, skipped=LEARNS))
                continue
            recording = _run(net, events, steps)
            found = _spikes_differ(self.runs[-1][1], recording) if self.runs else []
            self.runs.append((name, recording))
            self.effects.append(PassEffect(name, found[0] if found else None))

    def parted(self, recording: Recording, states: bool) -> tuple[str, str]:
        """(the pass after which the reference no longer gives this recording, or "" where there is none; the same in words).

        states: whether spikes agree and only states differ.
        """
        same = [not _differ(run, recording, states) for _, run in self.runs]
        names = [name for name, _ in self.runs]
        if same and not same[-1] and any(same):
            last = len(same) - 1 - same[::-1].index(True)
            before, after = names[last : last + 2]
            return after, f"the two programs differ after pass '{after}': up to '{before}' the reference gives what it gives"
        changing = [x.name for x in self.effects if x.changed is not None]
        if changing:
            also = f"; of the passes, {' and '.join(changing)} changed what the reference gives"
            return "", f"it differs from the reference after every pass: the difference is in its own lowering or code{also}"
        return "", "no pass changes what the reference gives: the difference is in its own lowering or code"


def causal_order(net: Network) -> list[str]:
    """Nodes so that what acts within the same step comes first."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(net.nodes)
    for projection in net.projections.values():
        if not len(projection.connectivity):
            continue
        if projection.min_delay == 0:
            graph.add_edge(projection.pre, projection.post)
        rule = projection.plasticity
        if isinstance(rule, Plasticity) and rule.reward is not None and rule.reward_delay == 0:
            graph.add_edge(rule.reward, projection.post)
    return list(nx.topological_sort(graph))


def _run(net: Network, events: Mapping[str, Events], steps: int) -> Recording:
    """The reference, with nodes in causal order."""
    ordered = Network(net.name, dt=net.dt, integrator=net.integrator, seed=net.seed)
    for name in causal_order(net):
        ordered.graph.add_node(name, node=net.node(name))
    for projection in net.projections.values():
        ordered.graph.add_edge(projection.pre, projection.post, key=projection.name, projection=projection)
    states = tuple((name, state) for name, x in net.populations.items() for state in x.neuron.model.state)
    result = ReferenceExecutable(ordered).run(events, steps, Record(tuple(net.nodes), states))
    return from_result(result, steps, net.dt)


def _spikes_differ(one: Recording, other: Recording) -> list[Difference]:
    return [x for x in compare(one, other) if x.kind == "spikes"]


def _differ(run: Recording, recording: Recording, states: bool) -> bool:
    """Whether they differ in spikes, or, where states count, in the states that both have, within the steps of the first."""
    cut = replace(
        recording,
        spikes={name: events.between(0, run.steps) for name, events in recording.spikes.items()},
        states={name: trace[: run.steps] for name, trace in recording.states.items()},
    )
    kinds = ("spikes", "state") if states else ("spikes",)
    return any(x.kind in kinds for x in compare(run, cut))

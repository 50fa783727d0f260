"""What of a NIR graph can be run, node by node, without running it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import Any

from neurocomp.importers.nir.dialects import Dialect, dialect_of
from neurocomp.importers.nir.lower import Lowering
from neurocomp.importers.nir.raw import BY, NirError, RawGraph
from neurocomp.importers.nir.read import read
from neurocomp.importers.nir.schema import check_node
from neurocomp.ir.errors import NeurocompError
from neurocomp.ir.network import Change, Network
from neurocomp.ir.verify import verify

ASSUMED_DT = 1e-4


@dataclass
class NodeReport:
    """One node: what it becomes, or why it cannot be used (message)."""

    name: str
    type: str
    ok: bool = True
    becomes: str = ""
    message: str = ""


@dataclass
class GraphReport:
    """Of a whole graph. problems: about the graph rather than a node. targets: "" where it runs, else why not."""

    source: str
    version: str
    dialect: str
    dt: float
    nodes: list[NodeReport]
    problems: list[str] = field(default_factory=list)
    notes: list[Change] = field(default_factory=list)
    targets: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every node is supported and some backend runs the network."""
        runs = not self.targets or any(not reason for reason in self.targets.values())
        return not self.problems and all(node.ok for node in self.nodes) and runs

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"ok": self.ok, **asdict(self)}


def check(
    graph: str | os.PathLike[str] | Any, *, dt: float | None = None, dialect: str | Dialect = "nir", targets: bool = True
) -> GraphReport:
    """Check a graph as `from_nir` would read it. targets: also ask every backend whether it can run the result.

    Without `dt`, and where neither file nor dialect fix it, the check assumes 1e-4 s and says so. Raises `NirError` only for
    what cannot be read at all.
    """
    raw, row = read(graph), dialect_of(dialect)
    report = GraphReport(raw.source, raw.version, row.name, dt or 0.0, [NodeReport(n, x.type) for n, x in raw.nodes.items()])
    by_name = {node.name: node for node in report.nodes}
    report.notes = list(raw.notes)
    for name, node in by_name.items():
        try:
            check_node(raw, name)
        except NirError as error:
            node.ok, node.message = False, _message(error, raw)
    del raw.notes[len(report.notes) :]
    if not all(node.ok for node in report.nodes):
        return report
    net = _lowered(raw, row, dt, report, by_name)
    if net is not None:
        report.dt, report.notes = net.dt, [change for change in net.changes if change.by == BY]
        _describe(net, by_name)
        if targets:
            _ask_targets(net, report)
    return report


def _lowered(
    raw: RawGraph, row: Dialect, dt: float | None, report: GraphReport, by_name: dict[str, NodeReport]
) -> Network | None:
    if dt is None and row.dt is None and not {"dt", "timestep"} & set(raw.metadata):
        dt = ASSUMED_DT
        raw.note("dt", "not in the file", f"{dt:g} s", "assumed for this check; running it needs --dt")
    try:
        net = Lowering(raw, row, dt).network()
        verify(net)
    except NirError as error:
        if error.node in by_name:
            by_name[error.node].ok, by_name[error.node].message = False, _message(error, raw)
        else:
            report.problems.append(_message(error, raw))
        return None
    except NeurocompError as error:
        report.problems.append(str(error))
        return None
    return net


def _describe(net: Network, by_name: dict[str, NodeReport]) -> None:
    """What each node became."""
    for name in net.inputs:
        by_name[name].becomes = f"input of shape {net.inputs[name].shape}"
    for name, population in net.populations.items():
        by_name[name].becomes = f"{population.neuron.model.name} of shape {population.shape}"
    for name, target in net.outputs.items():
        by_name[name].becomes = f"output of '{target}'" if name != target else by_name[name].becomes
    for projection in net.projections.values():
        for link in projection.name.partition("#")[0].split("->")[1:-1]:
            if link in by_name and not by_name[link].becomes:
                by_name[link].becomes = f"{projection.connectivity.kind} {projection.pre} -> {projection.post}"


def _ask_targets(net: Network, report: GraphReport) -> None:
    from neurocomp.backends import registry
    from neurocomp.program import compile as compile_network

    for target in registry.names():
        try:
            compile_network(net, target)
            report.targets[target] = ""
        except (NeurocompError, ImportError) as error:
            report.targets[target] = " ".join(str(error).split())


def _message(error: NirError, raw: RawGraph) -> str:
    text = str(error).removeprefix(f"{raw.source}: ")
    if error.node:
        text = text.removeprefix(f"node '{error.node}': ")
        if error.node in raw.nodes:
            text = text.removeprefix(f"({raw.nodes[error.node].type}) ")
    return text

"""A NIR graph as plain data: nodes with a type and parameters, edges between names, nested graphs flattened.

Nothing here depends on the `nir` package. Whatever is wrong is a `NirError` that names the file and the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from neurocomp.ir.errors import FileFormatError
from neurocomp.ir.network import Change

BY = "from_nir"
MAX_DEPTH = 16
MAX_NODES = 100_000
MAX_EDGES = 1_000_000
IDENTITY = "Identity"  # what the Input and Output of a nested graph become


class NirError(FileFormatError):
    """A NIR graph cannot be read or used. `path` is the file (or the graph's name), `node` the node, "" for the whole."""

    def __init__(self, path: str, message: str, node: str = "") -> None:
        self.node = node
        super().__init__(path, f"node '{node}': {message}" if node else message)


@dataclass(frozen=True)
class RawNode:
    """One node: its NIR type and its parameters as they were stored (arrays, numbers, strings)."""

    type: str
    params: Mapping[str, Any]


@dataclass
class RawGraph:
    """A flat NIR graph.

    source: file or name, for messages. nodes: by dotted name, in the order stored. edges: unique, in the order stored.
    version: of the nir package that wrote the file, "" where unknown. metadata: of the outermost graph. notes: what had to be
    understood rather than read.
    """

    source: str
    nodes: dict[str, RawNode]
    edges: list[tuple[str, str]]
    version: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: list[Change] = field(default_factory=list)

    def error(self, message: str, node: str = "") -> NirError:
        """An error about this graph or one of its nodes."""
        kind = f"({self.nodes[node].type}) " if node in self.nodes else ""
        return NirError(self.source, kind + message, node)

    def note(self, subject: str, before: str, after: str, why: str) -> None:
        """Remember something for `explain()`."""
        self.notes.append(Change(BY, subject, before, after, why))

    def successors(self) -> dict[str, list[str]]:
        """Node -> nodes its edges lead to, in the order of the nodes."""
        return self._adjacent(0, 1)

    def predecessors(self) -> dict[str, list[str]]:
        """Node -> nodes whose edges lead to it, in the order of the nodes."""
        return self._adjacent(1, 0)

    def _adjacent(self, key: int, value: int) -> dict[str, list[str]]:
        order = {name: k for k, name in enumerate(self.nodes)}
        lists: dict[str, list[str]] = {name: [] for name in self.nodes}
        for edge in self.edges:
            lists[edge[key]].append(edge[value])
        return {name: sorted(ends, key=order.__getitem__) for name, ends in lists.items()}


def flatten(source: str, graph: Mapping[str, Any], version: str = "") -> RawGraph:
    """A graph in NIR's dictionary form ({"nodes": ..., "edges": ...}, possibly nested) as one flat graph."""
    flat = _Flattener(source)
    flat.add(graph, "", 0)
    result = RawGraph(source, flat.nodes, [], version, _mapping(graph.get("metadata")), flat.notes)
    for pre, post in flat.edges:
        if (pre, post) not in flat.unique:
            result.note(f"{pre} -> {post}", "listed several times", "one edge", "NIR's edges are a set")
            continue
        flat.unique.discard((pre, post))
        result.edges.append((pre, post))
    return result


class _Flattener:
    """Collects nodes and edges under dotted names."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.nodes: dict[str, RawNode] = {}
        self.edges: list[tuple[str, str]] = []
        self.unique: set[tuple[str, str]] = set()
        self.notes: list[Change] = []
        self.graphs: dict[str, tuple[list[str], list[str]]] = {}  # nested graph -> its inputs, its outputs

    def add(self, graph: Mapping[str, Any], prefix: str, depth: int) -> None:
        """Add a graph whose names get `prefix`."""
        where = prefix.rstrip(".")
        if depth > MAX_DEPTH:
            raise NirError(self.source, f"graphs are nested more than {MAX_DEPTH} deep", where)
        nodes, edges = graph.get("nodes"), graph.get("edges")
        if not isinstance(nodes, Mapping) or edges is None:
            missing = "nodes" if not isinstance(nodes, Mapping) else "edges"
            raise NirError(self.source, f"a NIRGraph has nodes and edges; this one has no {missing}", where)
        ends: tuple[list[str], list[str]] = ([], [])
        for name, node in nodes.items():
            self._add_node(f"{prefix}{name}", node, ends, depth)
        self.graphs[where] = ends
        pairs = list(_pairs(self.source, edges, where))
        self._repair(prefix, pairs, ends, depth)
        for pre, post in pairs:
            edge = self._end(prefix + pre, (pre, post), "source"), self._end(prefix + post, (pre, post), "target")
            self.edges.append(edge)
            self.unique.add(edge)
        if len(self.edges) > MAX_EDGES:
            raise NirError(self.source, f"has more than {MAX_EDGES} edges")

    def _add_node(self, name: str, node: Any, ends: tuple[list[str], list[str]], depth: int) -> None:
        kind = kind_of(node)
        if kind is None:
            raise NirError(self.source, "has no type", name)
        if name in self.nodes or name in self.graphs:
            raise NirError(self.source, "this name exists twice (nested nodes are called graph.node)", name)
        if kind == "NIRGraph":
            self.add(node, f"{name}.", depth + 1)
            return
        if kind in ("Input", "Output"):
            ends[kind == "Output"].append(name)
            kind = IDENTITY if depth else kind
        self.nodes[name] = RawNode(kind, {key: value for key, value in node.items() if key != "type"})
        if len(self.nodes) > MAX_NODES:
            raise NirError(self.source, f"has more than {MAX_NODES} nodes")

    def _repair(self, prefix: str, pairs: list[tuple[str, str]], ends: tuple[list[str], list[str]], depth: int) -> None:
        """Old files list edges from `input` and to `output` without such nodes: add them where nothing else can be meant."""
        if depth:
            return
        for k, (name, kind) in enumerate((("input", "Input"), ("output", "Output"))):
            used = any(pair[k] == name for pair in pairs)
            if used and not ends[k] and name not in self.nodes and name not in self.graphs:
                self.nodes[name] = RawNode(kind, {})
                why = "the edges name it, the nodes do not; its shape is that of what it is connected to"
                self.notes.append(Change(BY, name, "missing node", kind, why))

    def _end(self, name: str, edge: tuple[str, str], role: str) -> str:
        if name in self.nodes:
            return name
        if name in self.graphs:
            inner = self.graphs[name][role == "source"]
            if len(inner) == 1:
                return inner[0]
            what = "Output" if role == "source" else "Input"
            raise NirError(
                self.source,
                f"the edge {edge[0]} -> {edge[1]} needs one {what} in the nested graph, which has {len(inner)}; "
                f"name the {what} in the edge, as graph.node",
                name,
            )
        known = ", ".join(list(self.nodes)[:12]) + (", ..." if len(self.nodes) > 12 else "")
        message = f"the edge {edge[0]} -> {edge[1]} names a node that does not exist (there is: {known})"
        raise NirError(self.source, message, name)


def kind_of(node: Any) -> str | None:
    """The type of a node, which some files store as a list of one string."""
    kind = node.get("type") if isinstance(node, Mapping) else None
    if isinstance(kind, list) and len(kind) == 1:
        kind = kind[0]
    return kind if isinstance(kind, str) and kind else None


def _pairs(source: str, edges: Any, where: str) -> Iterable[tuple[str, str]]:
    try:
        for edge in edges:
            pre, post = edge
            if not isinstance(pre, str) or not isinstance(post, str):
                raise TypeError
            yield pre, post
    except (TypeError, ValueError):
        raise NirError(source, "edges must be pairs of node names", where) from None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

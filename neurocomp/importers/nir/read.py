"""Read NIR files (HDF5) through h5py alone, and graphs in memory by their attributes; the nir package is not needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurocomp.importers.nir.hdf5 import read_tree
from neurocomp.importers.nir.raw import MAX_DEPTH, MAX_EDGES, NirError, RawGraph, flatten, kind_of
from neurocomp.ir.errors import FileFormatError


def read(graph: str | os.PathLike[str] | Any) -> RawGraph:
    """A `RawGraph` from a file, from an in-memory `nir.NIRGraph`, or from NIR's dictionary form.

    Raises `NirError` (a `FileFormatError`) for anything that is not a sound NIR graph.
    """
    if isinstance(graph, RawGraph):
        return graph
    if isinstance(graph, (str, os.PathLike)):
        return read_file(graph)
    return flatten("NIR graph", _from_memory(graph, 0))


def read_file(path: str | os.PathLike[str]) -> RawGraph:
    """Read a `.nir` file."""
    source = str(path)
    try:
        tree = read_tree(source)
    except FileFormatError as error:
        raise NirError(source, str(error).removeprefix(f"{source}: ")) from None
    root = tree.get("node")
    if not isinstance(root, Mapping):
        found = ", ".join(list(tree)[:8]) or "nothing"
        raise NirError(source, f"is HDF5, but not a NIR file: it has no group 'node' (it has: {found})")
    version = tree.get("version", "")
    version = version if isinstance(version, str) else ""
    if kind_of(root) != "NIRGraph":  # a single node is a legal file
        root = {"type": "NIRGraph", "nodes": {"node": root}, "edges": []}
    return flatten(source, root, version)


# ---------------------------------------------------------------------------------------------------------------- memory


def _from_memory(graph: Any, depth: int) -> dict[str, Any]:
    """NIR's dictionary form of a graph in memory, which may be a `nir.NIRGraph` or already such a dictionary."""
    if depth > MAX_DEPTH:
        raise NirError("NIR graph", f"graphs are nested more than {MAX_DEPTH} deep")
    nodes = graph.get("nodes") if isinstance(graph, Mapping) else getattr(graph, "nodes", None)
    edges = graph.get("edges") if isinstance(graph, Mapping) else getattr(graph, "edges", None)
    if not isinstance(nodes, Mapping) or edges is None:
        kind = type(graph).__name__
        raise NirError(
            "NIR graph", f"expected a path, a nir.NIRGraph or a dictionary with nodes and edges, not {kind} without them"
        )
    metadata = graph.get("metadata") if isinstance(graph, Mapping) else getattr(graph, "metadata", None)
    result: dict[str, Any] = {"type": "NIRGraph", "nodes": {}, "edges": _edges(edges), "metadata": _plain_mapping(metadata)}
    for name, node in nodes.items():
        result["nodes"][str(name)] = _node_from_memory(str(name), node, depth)
    return result


def _node_from_memory(name: str, node: Any, depth: int) -> dict[str, Any]:
    kind = kind_of(node) if isinstance(node, Mapping) else type(node).__name__
    if kind == "NIRGraph" or (not isinstance(node, Mapping) and hasattr(node, "nodes") and hasattr(node, "edges")):
        return _from_memory(node, depth + 1)
    if not isinstance(node, Mapping) and not hasattr(node, "__dict__"):
        raise NirError("NIR graph", f"is {kind} {node!r:.40}, not a node", name)
    fields = dict(node) if isinstance(node, Mapping) else dict(vars(node))
    return {"type": kind, **{str(key): _plain(name, key, value) for key, value in fields.items() if key != "type"}}


def _plain(name: str, key: str, value: Any) -> Any:
    """Numbers, strings, arrays and dictionaries of them; torch tensors become arrays."""
    if value is None or isinstance(value, (str, bool, int, float, np.ndarray)):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return {str(k): _plain(name, key, x) for k, x in value.items()}
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise NirError("NIR graph", f"{key} cannot be read as numbers ({error})", name) from None


def _plain_mapping(value: Any) -> dict[str, Any]:
    return {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else {}


def _edges(edges: Any) -> list[tuple[str, str]]:
    try:
        pairs = edges.tolist() if isinstance(edges, np.ndarray) else list(edges)
        if len(pairs) > MAX_EDGES:
            raise NirError("NIR graph", f"has more than {MAX_EDGES} edges")
        return [(_name(pre), _name(post)) for pre, post in pairs]
    except NirError:
        raise
    except (TypeError, ValueError):
        raise NirError("NIR graph", "edges must be pairs of node names") from None


def _name(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def is_nir(path: str | os.PathLike[str]) -> bool:
    """Whether a file name says NIR."""
    return Path(path).suffix.lower() == ".nir"

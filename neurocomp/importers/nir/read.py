"""Read NIR files (HDF5) through h5py alone, and graphs in memory by their attributes.

Files are not trusted: nothing is unpickled, links that leave the file are refused, and sizes are checked before anything is
read into memory.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurocomp.importers.nir.raw import MAX_DEPTH, MAX_EDGES, MAX_NODES, NirError, RawGraph, flatten
from neurocomp.ir.errors import NeurocompError

MAX_DATASET_BYTES = 2**30
MAX_TOTAL_BYTES = 2**32
MAX_MEMBERS = 32 * MAX_NODES
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
FOREIGN = {
    b"\x80": "is a Python pickle, which is never opened because that would run its code; export the network with nir.write",
    b"PK": "is a zip archive (a PyTorch checkpoint?), not a NIR file; export the network with nir.write",
    b"version https://git-lfs": "is a git-lfs pointer, not the file itself; fetch it with: git lfs pull",
}


def read(graph: str | os.PathLike[str] | Any) -> RawGraph:
    """A `RawGraph` from a file, from an in-memory `nir.NIRGraph`, or from NIR's dictionary form.

    Raises `NirError` (a `FileFormatError`) for anything that is not a sound NIR graph.
    """
    if isinstance(graph, RawGraph):
        return graph
    if isinstance(graph, (str, os.PathLike)):
        return read_file(graph)
    return flatten("NIR graph", _from_memory(graph, 0))


# ----------------------------------------------------------------------------------------------------------------- files


def check_hdf5(path: str | os.PathLike[str]) -> str:
    """The path as text, if it is an HDF5 file; else a `NirError` that says what it is."""
    source = str(path)
    if not os.path.exists(source):
        raise NirError(source, "no such file")
    if os.path.isdir(source):
        raise NirError(source, "is a directory, not a file")
    with open(source, "rb") as stream:
        head = stream.read(64)
    if head.startswith(HDF5_MAGIC):
        return source
    for magic, message in FOREIGN.items():
        if head.startswith(magic):
            raise NirError(source, message)
    raise NirError(source, "is empty" if not head else "is not an HDF5 file, which NIR files are")


def open_hdf5(source: str) -> Any:
    """The open h5py file."""
    try:
        import h5py
    except ImportError:
        raise NirError(source, "reading HDF5 files needs h5py: pip install h5py") from None
    try:
        return h5py.File(source, "r")
    except Exception as error:  # libhdf5 raises nearly anything for damaged bytes
        raise NirError(source, f"is damaged: HDF5 cannot open it ({_short(error)})") from None


def read_file(path: str | os.PathLike[str]) -> RawGraph:
    """Read a `.nir` file."""
    source = check_hdf5(path)
    with open_hdf5(source) as file:
        try:
            tree = Hdf5Reader(source).group(file, "", 0)
        except NeurocompError:
            raise
        except Exception as error:  # as above
            raise NirError(source, f"is damaged: HDF5 cannot read it ({_short(error)})") from None
    root = tree.get("node")
    if not isinstance(root, Mapping):
        found = ", ".join(list(tree)[:8]) or "nothing"
        raise NirError(source, f"is HDF5, but not a NIR file: it has no group 'node' (it has: {found})")
    version = tree.get("version", "")
    version = version if isinstance(version, str) else ""
    if root.get("type") != "NIRGraph":  # a single node is a legal file
        root = {"type": "NIRGraph", "nodes": {str(root.get("type", "node")).lower(): root}, "edges": []}
    return flatten(source, root, version)


@dataclass
class Hdf5Reader:
    """Reads groups of an HDF5 file into dictionaries, within the limits."""

    source: str
    bytes: int = 0
    members: int = 0

    def group(self, group: Any, where: str, depth: int) -> dict[str, Any]:
        """A group as a dictionary, whose values are dictionaries, arrays, numbers and strings."""
        import h5py

        if depth > 4 * MAX_DEPTH:
            raise NirError(self.source, f"groups are nested more than {4 * MAX_DEPTH} deep", where)
        result: dict[str, Any] = {}
        for name in group:
            path = f"{where}/{name}" if where else str(name)
            self.members += 1
            if self.members > MAX_MEMBERS:
                raise NirError(self.source, f"has more than {MAX_MEMBERS} members")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise NirError(self.source, f"'{path}' is a link to another place, which is not followed")
            item = group[name]
            if isinstance(item, h5py.Group):
                result[str(name)] = self.group(item, path, depth + 1)
            elif isinstance(item, h5py.Dataset):
                result[str(name)] = self.dataset(item, path)
        return result

    def dataset(self, item: Any, path: str) -> Any:
        """The value of a dataset: a string, a list of (lists of) strings, or a numeric array."""
        import h5py

        if item.is_virtual or item.external is not None:
            raise NirError(self.source, f"'{path}' keeps its data in another file, which is not followed")
        if item.shape is None:
            return None
        text = h5py.check_string_dtype(item.dtype) is not None
        if not text and item.dtype.kind not in "biuf":
            raise NirError(self.source, f"'{path}' holds {item.dtype}; expected numbers or strings")
        size = math.prod(item.shape) * (64 if text else item.dtype.itemsize)
        self.bytes += size
        if size > MAX_DATASET_BYTES or self.bytes > MAX_TOTAL_BYTES:
            raise NirError(
                self.source,
                f"'{path}' of shape {item.shape} needs {size / 2**20:,.0f} MiB, beyond the limit of "
                f"{MAX_DATASET_BYTES >> 20:,} MiB per array and {MAX_TOTAL_BYTES >> 20:,} MiB per file",
            )
        value = item[()]
        return _text(value) if text else np.asarray(value)


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, np.ndarray):
        flat = value.tolist()
        return _text(flat)
    if isinstance(value, list):
        return [_text(x) for x in value]
    return str(value)


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__


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
    kind = node.get("type") if isinstance(node, Mapping) else type(node).__name__
    if kind == "NIRGraph" or (not isinstance(node, Mapping) and hasattr(node, "nodes") and hasattr(node, "edges")):
        return _from_memory(node, depth + 1)
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
        raise NirError("NIR graph", f"{key} cannot be read as numbers ({_short(error)})", name) from None


def _plain_mapping(value: Any) -> dict[str, Any]:
    return {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else {}


def _edges(edges: Any) -> list[tuple[str, str]]:
    pairs = edges.tolist() if isinstance(edges, np.ndarray) else list(edges)
    if len(pairs) > MAX_EDGES:
        raise NirError("NIR graph", f"has more than {MAX_EDGES} edges")
    try:
        return [(_name(pre), _name(post)) for pre, post in pairs]
    except (TypeError, ValueError):
        raise NirError("NIR graph", "edges must be pairs of node names") from None


def _name(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def is_nir(path: str | os.PathLike[str]) -> bool:
    """Whether a file name says NIR."""
    return Path(path).suffix.lower() == ".nir"

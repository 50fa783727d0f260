"""Files of a program's state between two steps: HDF5, versioned, tied to one lowered network, checked before they are used."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backends import snapshot
from neurocomp.ir.errors import FileFormatError
from neurocomp.ir.files import whole_file
from neurocomp.ir.network import Network
from neurocomp.ir.storage import fingerprint

FORMAT = "neurocomp-state"
VERSION = 1
SUFFIX = ".state"
HEAD = ("format", "version", "network", "fingerprint", "digest")
ROOM = 2**20  # bytes for the head of a file

Arrays = Mapping[str, NDArray[Any]]


def save(net: Network, arrays: Arrays, path: str | os.PathLike[str]) -> Path:
    """Write a snapshot of a lowered network, whole or not at all; `.state` is appended where there is no suffix."""
    import h5py

    target = Path(path)
    target = target if target.suffix else target.with_suffix(SUFFIX)
    image = io.BytesIO()  # HDF5 itself ends badly on a full disk
    with h5py.File(image, "w") as file:
        for name, value in zip(HEAD, (FORMAT, VERSION, net.name, fingerprint(net), digest(arrays)), strict=True):
            file[name] = value
        for key, array in arrays.items():
            file[key] = array
    with whole_file(target) as stream:
        stream.write(image.getbuffer())
    return target


def load(net: Network, like: Arrays, path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read a snapshot of a lowered network. like: any snapshot of it, which says what belongs into one.

    Raises `FileFormatError` for files that are not ours, damaged, too new, or of another network. No array is read that
    is larger than the network's own.
    """
    from neurocomp.importers.nir.hdf5 import LIMITS, read_tree

    source = str(path)
    sizes = [8 * size for size in snapshot.sizes(net, like).values()]
    tree = read_tree(path, {**LIMITS, "array": max(*sizes, ROOM), "file": sum(sizes) + ROOM, "members": 8 * len(sizes) + 64})
    head = {name: tree.pop(name, None) for name in HEAD}
    if head["format"] != FORMAT:
        raise FileFormatError(source, f"is HDF5, but not a program's state (no format mark '{FORMAT}')")
    version = head["version"]
    if not isinstance(version, np.ndarray) or version.shape != () or version != VERSION:
        raise FileFormatError(source, f"has format version {version}; this release reads version {VERSION}; upgrade neurocomp")
    arrays = dict(_flat(source, tree, ""))
    if head["digest"] != digest(arrays):
        raise FileFormatError(source, "is damaged: its content does not have the SHA-256 it was written with")
    if head["fingerprint"] != fingerprint(net):
        raise FileFormatError(
            source,
            f"is the state of another network ('{head['network']}'): load it into a program compiled from the same "
            "network, with the same options and release of neurocomp, as it was saved from",
        )
    why = snapshot.problem(net, arrays, like)
    if why:
        raise FileFormatError(source, f"is no state of network '{net.name}': {why}")
    return arrays


def digest(arrays: Arrays) -> str:
    """SHA-256 over names, types, shapes and content."""
    result = hashlib.sha256()
    for key in sorted(arrays):
        array = arrays[key]
        result.update(f"{key} {array.dtype.newbyteorder('<').str} {array.shape}\n".encode())
        result.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return result.hexdigest()


def _flat(source: str, tree: Mapping[str, Any], prefix: str) -> Any:
    """(path, array) of every dataset."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(source, value, f"{prefix}{name}/")
        elif isinstance(value, np.ndarray):
            yield f"{prefix}{name}", value
        else:
            raise FileFormatError(source, f"is damaged: '{prefix}{name}' holds no numbers")

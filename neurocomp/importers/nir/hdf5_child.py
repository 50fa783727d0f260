"""Reads one HDF5 file in a process of its own, and writes it as arrays and JSON to stdout (see `hdf5.py`).

libhdf5 can loop for ever or crash on damaged bytes; here it only takes this process with it. Nothing of the package is
imported, so that starting is quick. Arguments: the file, then the limits as JSON.
"""

from __future__ import annotations

import io
import json
import math
import resource
import sys
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np


class RefusedError(Exception):
    """The file cannot be read; the message says why."""


class Reader:
    """Reads groups into dictionaries, within the limits."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self.limits = limits
        self.bytes = self.members = 0
        self.arrays: list[np.ndarray[Any, Any]] = []

    def group(self, group: Any, where: str, depth: int) -> dict[str, Any]:
        """A group as a dictionary; arrays become {"": number of the array}."""
        if depth > self.limits["depth"]:
            raise RefusedError(f"groups are nested more than {self.limits['depth']} deep, at '{where[:200]}'")
        result: dict[str, Any] = {}
        for name in group:
            path = f"{where}/{name}" if where else str(name)
            self.members += 1
            if self.members > self.limits["members"]:
                raise RefusedError(f"has more than {self.limits['members']} members")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise RefusedError(f"'{path}' is a link to another place, which is not followed")
            item = group[name]
            if isinstance(item, h5py.Group):
                result[str(name)] = self.group(item, path, depth + 1)
            elif isinstance(item, h5py.Dataset):
                result[str(name)] = self.dataset(item, path)
        return result

    def dataset(self, item: Any, path: str) -> Any:
        """The value of a dataset: a string, (lists of) strings, or the number of its array."""
        if item.is_virtual or item.external is not None:
            raise RefusedError(f"'{path}' keeps its data in another file, which is not followed")
        if item.shape is None:
            return None
        text = h5py.check_string_dtype(item.dtype) is not None
        if not text and item.dtype.kind not in "biuf":
            raise RefusedError(f"'{path}' holds {item.dtype}; expected numbers or strings")
        size = math.prod(item.shape) * (64 if text else item.dtype.itemsize)
        self.bytes += size
        if size > self.limits["array"] or self.bytes > self.limits["file"]:
            raise RefusedError(
                f"'{path}' of shape {item.shape} needs {size / 2**20:,.0f} MiB, beyond the limit of "
                f"{self.limits['array'] >> 20:,} MiB per array and {self.limits['file'] >> 20:,} MiB per file"
            )
        value = item[()]
        if text:
            return _text(value)
        self.arrays.append(np.asarray(value))
        return {"": len(self.arrays) - 1}


def _text(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [_text(x) for x in value]
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def read(path: str, limits: Mapping[str, int]) -> bytes:
    """The file as an .npz whose member `tree` is the JSON of {"tree": ...} or {"error": message}."""
    reader = Reader(limits)
    try:
        with h5py.File(path, "r") as file:
            answer: dict[str, Any] = {"tree": reader.group(file, "", 0)}
        text = json.dumps(answer)
    except RefusedError as refusal:
        text = json.dumps({"error": str(refusal)})
    except MemoryError:
        text = json.dumps({"error": f"needs more than the {limits.get('memory', 0) >> 20:,} MiB of memory it is read in"})
    except Exception as error:  # libhdf5 raises nearly anything for damaged bytes
        message = " ".join(str(error).split())[:160]
        text = json.dumps({"error": f"is damaged: HDF5 cannot read it ({type(error).__name__}: {message})"})
    stream = io.BytesIO()
    arrays: dict[str, Any] = {f"a{k}": array for k, array in enumerate(reader.arrays)} if '"tree"' in text[:8] else {}
    np.savez(stream, tree=np.frombuffer(text.encode("utf-8", "replace"), np.uint8), **arrays)
    return stream.getvalue()


def main() -> None:
    """Read the file that the arguments name, in no more memory than they allow."""
    limits = json.loads(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (limits["memory"], limits["memory"]))
    sys.stdout.buffer.write(read(sys.argv[1], limits))


if __name__ == "__main__":
    main()

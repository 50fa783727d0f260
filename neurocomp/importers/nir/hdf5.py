"""HDF5 files as dictionaries, read by a child process so that no file can hang or crash the caller.

Files are not trusted: nothing is unpickled, links and data that leave the file are refused, sizes are checked before anything
is read into memory.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurocomp.backends.memory import available
from neurocomp.ir.errors import FileFormatError

MAGIC = b"\x89HDF\r\n\x1a\n"
FOREIGN = {
    b"\x80": "is a Python pickle, which is never opened because that would run its code; export the network again",
    b"PK": "is a zip archive (a PyTorch checkpoint?), not an HDF5 file; export the network again",
    b"version https://git-lfs": "is a git-lfs pointer, not the file itself; fetch it with: git lfs pull",
}
LIMITS: Mapping[str, int] = {"depth": 64, "members": 1_000_000, "array": 2**30, "file": 2**32}
SECONDS = 30.0  # to read a file
BYTES_PER_SECOND = 20e6  # more time for large files
BASE = 2 * 2**30  # bytes of addresses of a child that reads nothing
CHILD = Path(__file__).with_name("hdf5_child.py")


def read_tree(path: str | os.PathLike[str], limits: Mapping[str, int] = LIMITS) -> dict[str, Any]:
    """The whole file: groups as dictionaries, datasets as arrays, strings and (lists of) lists of strings.

    limits: how deep groups are nested, how many members there are, bytes of an array (shape x item, unpacked) and of all.
    Raises `FileFormatError` for anything that is not a sound HDF5 file of numbers and strings.
    """
    source = str(path)
    _check_magic(source)
    if importlib.util.find_spec("h5py") is None:
        raise FileFormatError(source, "reading HDF5 files needs h5py: pip install h5py")
    answer = _ask_child(source, limits)
    try:
        with np.load(io.BytesIO(answer), allow_pickle=False) as archive:
            body = json.loads(archive["tree"].tobytes())
            if "error" in body:
                raise FileFormatError(source, str(body["error"]))
            tree: dict[str, Any] = _with_arrays(body["tree"], archive)
    except (ValueError, KeyError, OSError, EOFError, RecursionError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(source, f"is damaged: what HDF5 gives is not readable ({error})") from None
    return tree


def _check_magic(source: str) -> None:
    if not os.path.exists(source):
        raise FileFormatError(source, "no such file")
    if os.path.isdir(source):
        raise FileFormatError(source, "is a directory, not a file")
    with open(source, "rb") as stream:
        head = stream.read(64)
    if head.startswith(MAGIC):
        return
    for magic, message in FOREIGN.items():
        if head.startswith(magic):
            raise FileFormatError(source, message)
    raise FileFormatError(source, "is empty" if not head else "is not an HDF5 file")


def _ask_child(source: str, limits: Mapping[str, int]) -> bytes:
    """What the child writes to stdout."""
    limits = {
        **limits,
        "memory": max(BASE, min(BASE + 3 * limits["file"], available())),
    }  # of the child, whatever the file holds
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(x for x in sys.path if x), "HDF5_USE_FILE_LOCKING": "FALSE"}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # each would take addresses
    command = [sys.executable, "-P", str(CHILD), os.path.abspath(source), json.dumps(limits)]
    allowed = SECONDS + os.path.getsize(source) / BYTES_PER_SECOND
    try:
        done = subprocess.run(command, capture_output=True, timeout=allowed, env=environment, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise FileFormatError(source, f"is damaged: HDF5 did not finish reading it within {allowed:.0f} s") from None
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        why = f"signal {-done.returncode}" if done.returncode < 0 else "".join(last)[:200]
        raise FileFormatError(source, f"is damaged: the process that read it ended with {why}")
    return done.stdout


def _with_arrays(value: Any, archive: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {""}:
            return archive[f"a{value['']}"]
        return {key: _with_arrays(item, archive) for key, item in value.items()}
    return value

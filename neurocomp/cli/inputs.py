"""Input spikes from files or from a seed. Nothing is unpickled.

.npy    a raster (steps, *shape) of 0/1 or integer payloads, for networks with one input
.npz    per input either the raster `name`, or `name/times` and `name/ids` (and `name/payload`)
.csv    columns time,id[,payload] (steps, flat neuron index), with or without a header; for networks with one input
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurocomp.ir.errors import FileFormatError, InputError
from neurocomp.ir.network import Network

COLUMNS = ("time", "id", "payload")


def gather(net: Network, source: str | None, rate: float | None, seed: int, steps: int | None) -> tuple[dict[str, Any], int]:
    """Inputs for `Program.run` and the number of steps, from the options --input, --random, --seed and --steps."""
    if source is not None and rate is not None:
        raise InputError("--input and --random exclude each other; give one of them")
    if source is None and rate is None and all(node.spikes is not None for node in net.inputs.values()):
        if steps is None:
            raise InputError("give the number of steps: --steps N")
        return {}, steps  # inputs play the spikes they were made with
    if source is None and rate is None:
        raise InputError("the network needs input: give --input FILE, or --random RATE (0 for silence)")
    if source is None:
        if steps is None:
            raise InputError("give the number of steps: --steps N")
        return random_inputs(net, rate or 0.0, steps, seed), steps
    inputs = read_inputs(source, net)
    if steps is None:
        lengths = [len(data) for data in inputs.values() if isinstance(data, np.ndarray)]
        if not lengths:
            raise InputError(f"{source} holds event lists, which do not say how long the run is: give --steps N")
        steps = max(lengths)
    return inputs, steps


def random_inputs(net: Network, rate: float, steps: int, seed: int) -> dict[str, Any]:
    """Input name -> (times, ids, payloads): each neuron spikes with probability `rate` per step.

    Graded inputs get payloads 1..max_payload. The draws of an input depend only on seed, its name, steps, rate and size.
    """
    result = {}
    for name, node in net.inputs.items():
        generator = np.random.Generator(np.random.Philox(key=[seed, zlib.crc32(name.encode())]))
        times, ids = np.nonzero(generator.random((steps, node.size)) < rate)
        result[name] = (times, ids, generator.integers(1, node.max_payload, len(times), endpoint=True))
    return result


def read_inputs(path: str, net: Network) -> dict[str, Any]:
    """Input name -> raster, or times, ids and payloads, from a file in one of the formats above."""
    readers = {".npy": _npy, ".npz": _npz, ".csv": _csv}
    suffix = Path(path).suffix.lower()
    if suffix not in readers:
        raise FileFormatError(path, f"input files are {', '.join(readers)}, not '{suffix}'")
    return readers[suffix](path, net)


def _npy(path: str, net: Network) -> dict[str, Any]:
    return {_only_input(path, net): _load(path)}


def _npz(path: str, net: Network) -> dict[str, Any]:
    archive = _load(path)
    if not isinstance(archive, Mapping):
        raise FileFormatError(path, "is a single array, not an archive; rename it to .npy")
    inputs: dict[str, Any] = {}
    for key, array in archive.items():
        name, _, part = key.partition("/")
        if not part:
            inputs[name] = array
        elif part in ("times", "ids", "payload"):
            inputs.setdefault(name, {})[part] = array
        else:
            raise FileFormatError(path, f"member '{key}' is neither NAME nor NAME/times, NAME/ids or NAME/payload")
    for name, data in inputs.items():
        if isinstance(data, dict) and not {"times", "ids"} <= data.keys():
            raise FileFormatError(path, f"input '{name}' has {', '.join(data)}; event lists need {name}/times and {name}/ids")
    return inputs


def _csv(path: str, net: Network) -> dict[str, Any]:
    name = _only_input(path, net)
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            lines = list(csv.reader(stream))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(path, f"is not a text file with columns time,id[,payload] ({error})") from None
    rows = [(k, [x.strip() for x in row]) for k, row in enumerate(lines, 1) if row]
    columns = list(COLUMNS)
    if rows and not rows[0][1][0].lstrip("+-").isdigit():
        columns = rows.pop(0)[1]
        if not {"time", "id"} <= set(columns) <= set(COLUMNS):
            raise FileFormatError(path, f"has columns {','.join(columns)}; expected time,id or time,id,payload")
    width = len(rows[0][1]) if rows else len(columns)
    events = np.array([_row(path, line, row, min(width, len(columns))) for line, row in rows], np.int64).reshape(-1, width)
    parts = dict(zip(columns, events.T, strict=False))
    if len(parts) < 2:
        raise FileFormatError(path, f"has {len(parts)} column(s); expected time,id or time,id,payload")
    return {name: {"times": parts["time"], "ids": parts["id"], "payload": parts.get("payload")}}


def _row(path: str, line: int, row: list[str], width: int) -> list[int]:
    try:
        values = [int(x) for x in row]
    except ValueError:
        raise FileFormatError(path, f"line {line}: '{','.join(row)}' is not a list of whole numbers") from None
    if len(values) != width:
        raise FileFormatError(path, f"line {line}: {len(values)} columns where {width} are expected")
    return values


def _load(path: str) -> Any:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {key: loaded[key] for key in loaded.files}
    except FileNotFoundError:
        raise FileFormatError(path, "no such file") from None
    except (ValueError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:  # of damaged bytes
        raise FileFormatError(path, f"cannot be read as NumPy arrays ({error})") from None


def _only_input(path: str, net: Network) -> str:
    names = list(net.inputs)
    if len(names) != 1:
        known = ", ".join(names) or "none"
        raise InputError(f"{path} feeds one input, but the network has {len(names)} ({known}); use an .npz with their names")
    return names[0]

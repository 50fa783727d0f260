"""Coverage-guided fuzzing of the file readers: python tests/fuzz/readers.py nir|network|hdf5 [options of libFuzzer].

nir, network: the bytes decide a tree of nodes, or of a description, and arrays; the readers get it without a file in between.
hdf5: the bytes are an HDF5 file, read as the reading process does. Seeds are made here, into the folder `--corpus` names.
Needs atheris (pip install atheris, on a Python it has wheels for). Ends with an error at the first exception that is not ours.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import neurocomp as nc
from neurocomp.importers.nir.hdf5 import LIMITS
from neurocomp.importers.nir.hdf5_child import Reader, RefusedError
from neurocomp.importers.nir.lower import from_nir
from neurocomp.importers.nir.raw import flatten
from neurocomp.ir.errors import NeurocompError
from neurocomp.ir.storage import _Reader, load, save
from neurocomp.ir.verify import verify

TYPES = ("Input", "Output", "LIF", "CubaLIF", "CubaLI", "LI", "IF", "I", "Affine", "Linear", "Conv1d", "Conv2d", "SumPool2d")
TYPES += ("AvgPool2d", "Flatten", "Scale", "Threshold", "Delay", "NIRGraph", "Nonsense")
KEYS = (
    "shape",
    "tau",
    "tau_syn",
    "tau_mem",
    "r",
    "v_leak",
    "v_threshold",
    "v_reset",
    "w_in",
    "weight",
    "bias",
    "stride",
    "padding",
)
KEYS += (
    "dilation",
    "groups",
    "input_shape",
    "kernel_size",
    "start_dim",
    "end_dim",
    "input_type",
    "scale",
    "delay",
    "threshold",
)


class Bytes:
    """Choices made by bytes; when they are used up, every choice is the first."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def below(self, n: int) -> int:
        self.at += 1
        return self.data[self.at - 1] % n if self.at <= len(self.data) else 0

    def of(self, items: Any) -> Any:
        return items[self.below(len(items))]

    def number(self) -> Any:
        return self.of(
            (0, 1, -1, 2, 3, 0.5, 1e-3, 1e308, -1e308, float("nan"), float("inf"), 2**31, 2**63 - 1, True, None, "x")
        )

    def value(self) -> Any:
        kind = self.below(8)
        if kind < 3:
            return self.number()
        if kind == 3:
            return self.of(("", "valid", "same", "é" * 9, "1", b"bytes".decode()))
        if kind == 4:
            return [self.number() for _ in range(self.below(4))]
        shape = tuple(self.below(4) for _ in range(self.below(5)))
        return np.full(shape, self.of((0.0, 1.0, -1.0, 0.02, np.nan, 1e300)), self.of(("f8", "f4", "i8", "u1", "?", "f2")))


def nir(data: bytes) -> None:
    """A tree of nodes through the NIR reader, to a verified network."""
    pick = Bytes(data)

    def graph(depth: int) -> dict[str, Any]:
        nodes: dict[str, Any] = {}
        for _ in range(1 + pick.below(5)):
            kind = pick.of(TYPES)
            inner = {"type": kind, **{pick.of(KEYS): pick.value() for _ in range(pick.below(8))}}
            if kind == "NIRGraph" and depth < 3:
                inner = graph(depth + 1)
            nodes[pick.of(("input", "output", "a", "b", "c", "a.b", ""))] = inner
        ends = (*nodes, "input", "output", "nobody")
        edges: Any = [(pick.of(ends), pick.of(ends)) for _ in range(pick.below(8))]
        return {
            "type": pick.of(("NIRGraph", "NIRGraph", "NIRGraph", None)),
            "nodes": nodes,
            "edges": edges if pick.below(9) else 5,
        }

    with contextlib.suppress(NeurocompError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from_nir(flatten("fuzz", graph(0)), dt=1e-3, dialect=pick.of(("nir", "snntorch", "norse", "lava", "sinabs")))


def seed_networks() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Descriptions of networks as they are stored, and their arrays."""
    from neurocomp.conformance import CASES

    result = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("long-cycle", "skip-layer", "plastic-reward-Sparse-each", "loihi-layers", "pattern-receptors"):
            for net in (CASES[name].network, nc.compile(CASES[name].network, "reference").lowered):
                with np.load(save(net, Path(folder) / "n"), allow_pickle=False) as archive:
                    arrays = dict(archive)
                result.append((json.loads(arrays.pop("network").tobytes()), arrays))
    return result


SEEDS: list[tuple[dict[str, Any], dict[str, Any]]] = []


def network(data: bytes) -> None:
    """The description of a stored network, changed in a few places."""
    if not SEEDS:
        SEEDS.extend(seed_networks())
    pick = Bytes(data)
    body, arrays = pick.of(SEEDS)
    body = json.loads(json.dumps(body))
    for _ in range(1 + pick.below(4)):
        at: Any = body
        while isinstance(at, (dict, list)) and at:
            keys = list(at) if isinstance(at, dict) else range(len(at))
            key = keys[(pick.below(256) * 256 + pick.below(256)) % len(keys)]
            if not isinstance(at[key], (dict, list)) or not at[key] or not pick.below(7):
                value = pick.value()
                at[key] = value.tolist() if isinstance(value, np.ndarray) else value
                break
            at = at[key]
    with contextlib.suppress(NeurocompError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            net = _Reader("fuzz", arrays).network(json.dumps(body).encode())
            verify(net)
        except (RecursionError, MemoryError):
            raise
        except Exception as error:  # `load` makes its own error of whatever a description does
            if not isinstance(
                error, (NeurocompError, ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError)
            ):
                raise


def hdf5(data: bytes) -> None:
    """An HDF5 file in memory, as the reading process reads it; libhdf5's own exceptions are what it answers."""
    import h5py

    with contextlib.suppress(RefusedError, OSError, RuntimeError, KeyError, ValueError, TypeError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with h5py.File(io.BytesIO(data), "r") as file:
            Reader({**LIMITS, "array": 2**20, "file": 2**22, "members": 1000}).group(file, "", 0)


def npz(data: bytes) -> None:
    """A stored network's bytes, through `load`."""
    with tempfile.NamedTemporaryFile(suffix=".neurocomp") as file:
        file.write(data)
        file.flush()
        with contextlib.suppress(NeurocompError):
            load(file.name)


def seeds(target: str) -> list[bytes]:
    """A few inputs to begin with."""
    rng = random.Random(0)
    if target == "hdf5":
        import h5py

        image = io.BytesIO()
        with h5py.File(image, "w", libver="earliest") as file:
            file["node/type"] = "NIRGraph"
            file["node/nodes/lif/tau"] = np.ones(3)
            file["node/edges"] = np.array([("input", "lif")], dtype=h5py.string_dtype())
        return [image.getvalue()]
    if target == "npz":
        with tempfile.TemporaryDirectory() as folder:
            from neurocomp.conformance import CASES

            return [save(CASES["long-cycle"].network, Path(folder) / "n").read_bytes()]
    return [rng.randbytes(n) for n in (8, 32, 64, 128, 256)]


TARGETS = {"nir": nir, "network": network, "hdf5": hdf5, "npz": npz}


def main() -> None:
    """Fuzz one target."""
    import atheris

    target = sys.argv.pop(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for k, seed in enumerate(seeds(target)):
            (folder / f"seed{k}").write_bytes(seed)
    for name in ("neurocomp.importers.nir", "neurocomp.ir.storage", "neurocomp.ir.verify"):
        for module in [m for n, m in list(sys.modules.items()) if n.startswith(name)]:
            for attribute, value in list(vars(module).items()):
                if callable(value) and getattr(value, "__module__", None) == module.__name__ and hasattr(value, "__code__"):
                    setattr(module, attribute, atheris.instrument_func(value))
    atheris.Setup(sys.argv, TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

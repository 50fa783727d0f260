"""The project's own file format: one zip of plain `.npy` arrays and a JSON description. No pickle, bit-exact, versioned.

What is written and read follows from the dataclasses' fields, so a new field cannot be forgotten. Arrays are stored as members
`a0, a1, ...`; the member `network` holds the JSON text (as bytes) in which arrays appear as `{"array": k}`.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurocomp.ir import connectivity as conn
from neurocomp.ir import expressions as ex
from neurocomp.ir.convolution import AvgPool2d, Conv1d, Conv2d, SumPool2d
from neurocomp.ir.distributions import Normal, Uniform
from neurocomp.ir.errors import FileFormatError
from neurocomp.ir.field_types import check_fields
from neurocomp.ir.files import whole_file
from neurocomp.ir.model import Neuron, NeuronModel
from neurocomp.ir.network import Change, Grid, Input, LoihiSynapse, Network, Population, Projection
from neurocomp.ir.patterns import PATTERNS, Drawn, DrawnDelays
from neurocomp.ir.plasticity import LearningProgram, LoihiRule, Plasticity, PlasticityRule, RuleForm, Trace
from neurocomp.ir.program import StepForm, StepProgram
from neurocomp.ir.verify import verify

FORMAT = "neurocomp-network"
VERSION = 1
SUFFIX = ".neurocomp"
MAGIC = b"PK"  # of zip archives
MAX_JSON = 256 * 2**20
MAX_SYNAPSES = 2**36  # of a pattern: a few bytes describe any number, and verifying it draws them all

_DATACLASSES: Mapping[str, type[Any]] = {
    cls.__name__: cls
    for cls in (
        Input,
        Population,
        Projection,
        LoihiSynapse,
        Grid,
        Change,
        Normal,
        Uniform,
        *PATTERNS,
        DrawnDelays,
        Neuron,
        NeuronModel,
        Trace,
        PlasticityRule,
        Plasticity,
        LoihiRule,
        RuleForm,
        LearningProgram,
        StepForm,
        StepProgram,
        ex.Assign,
        ex.Number,
        ex.Name,
        ex.Unary,
        ex.Binary,
        ex.Compare,
        ex.Logic,
        ex.Call,
    )
}


def save(net: Network, path: str | os.PathLike[str]) -> Path:
    """Write the network (also a compiled one) to `path`; `.neurocomp` is appended where there is no suffix.

    The file appears whole or not at all.
    """
    target = Path(path)
    target = target if target.suffix else target.with_suffix(SUFFIX)
    writer = _Writer()
    body = {
        "format": FORMAT,
        "version": VERSION,
        "name": net.name,
        "dt": net.dt,
        "integrator": net.integrator,
        "seed": net.seed,
        "outputs": net.outputs,
        "nodes": [writer.encode(node) for node in net.nodes.values()],
        "projections": [writer.encode(projection) for projection in net.projections.values()],
        "changes": [writer.encode(change) for change in net.changes],
    }
    text = json.dumps(body, allow_nan=False).encode()
    arrays: dict[str, Any] = {f"a{k}": array for k, array in enumerate(writer.arrays)}
    with whole_file(target) as stream:
        np.savez(stream, network=np.frombuffer(text, np.uint8), **arrays)
    return target


def fingerprint(net: Network) -> str:
    """64 hexadecimal digits that change with whatever decides how a network runs; not with its name or what changed it."""
    writer = _Writer()
    body = [net.dt, net.integrator, net.seed, *map(writer.encode, (*net.nodes.values(), *net.projections.values()))]
    digest = hashlib.sha256(json.dumps(body).encode())
    for array in writer.arrays:
        digest.update(f"\n{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def load(path: str | os.PathLike[str], check: bool = True) -> Network:
    """Read a network. Raises `FileFormatError` naming the file for anything that is not ours, corrupt or too new."""
    source = str(path)
    try:
        with open(path, "rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:  # of which NumPy would say to load it unsafely
                raise FileFormatError(source, "is not a neurocomp network file (it does not begin as a zip archive)")
        with np.load(path, allow_pickle=False) as archive:
            if "network" not in archive.files:
                raise FileFormatError(source, "is a NumPy archive, but not a network (it has no member 'network')")
            for member in archive.zip.infolist():  # as a small file could ask for any memory
                if member.compress_type != zipfile.ZIP_STORED:
                    raise FileFormatError(source, f"its member '{member.filename}' is compressed; in network files none is")
            text = archive["network"].tobytes()
            arrays = {name: archive[name] for name in archive.files if name != "network"}
            if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                raise FileFormatError(source, "holds a member that is not an array")
            reader = _Reader(source, arrays)
    except FileNotFoundError:
        raise FileFormatError(source, "no such file") from None
    except IsADirectoryError:
        raise FileFormatError(source, "is a directory, not a network file") from None
    except PermissionError:
        raise FileFormatError(source, "cannot be read (Permission denied)") from None
    except FileFormatError:
        raise
    except Exception as error:  # whatever zipfile, zlib and NumPy make of foreign bytes
        raise FileFormatError(source, f"is not a neurocomp network file, or it is damaged ({error})") from None
    try:
        net = reader.network(text)
        if check:
            verify(net)
    except FileFormatError:
        raise
    except Exception as error:  # a description can be wrong in every way there is
        raise FileFormatError(source, f"its description is damaged: {error}") from error
    return net


class _Writer:
    def __init__(self) -> None:
        self.arrays: list[np.ndarray[Any, Any]] = []

    def encode(self, value: Any) -> Any:
        if isinstance(value, conn.Connectivity):
            return {
                "connectivity": value.kind,
                "fields": {k: self.encode(v) for k, v in _CONNECTIVITY[value.kind][0](value).items()},
            }
        if is_dataclass(value):
            return {
                "type": type(value).__name__,
                "fields": {f.name: self.encode(getattr(value, f.name)) for f in fields(value)},
            }
        if isinstance(value, (np.ndarray, np.generic)):
            self.arrays.append(np.asarray(value))
            return {"array": len(self.arrays) - 1}
        if isinstance(value, Mapping):
            return {"map": [[key, self.encode(item)] for key, item in value.items()]}
        if isinstance(value, (tuple, list)):
            return {"tuple": [self.encode(item) for item in value]}
        if isinstance(value, float):
            return {"float": value.hex()}
        if value is None or isinstance(value, (bool, int, str)):
            return value
        raise TypeError(f"cannot store a {type(value).__name__}")


class _Reader:
    def __init__(self, source: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self.source, self.arrays = source, arrays

    def network(self, text: bytes) -> Network:
        if len(text) > MAX_JSON:
            raise FileFormatError(self.source, f"its description has {len(text)} bytes, more than {MAX_JSON}")
        body = json.loads(text)
        if not isinstance(body, dict) or body.get("format") != FORMAT:
            raise FileFormatError(self.source, f"is not a network file (no format mark '{FORMAT}')")
        if body.get("version") != VERSION:
            raise FileFormatError(
                self.source,
                f"has format version {body.get('version')}; this release reads version {VERSION}; upgrade neurocomp",
            )
        net = Network(body["name"], dt=body["dt"], integrator=body["integrator"], seed=body.get("seed", 0))
        for item in body["nodes"]:
            node = self.decode(item, (Input, Population))
            if node.name in net.graph:
                raise FileFormatError(self.source, f"holds two nodes named '{node.name}'")
            net.graph.add_node(node.name, node=node)
        for item in body["projections"]:
            projection = self.decode(item, (Projection,))
            drawn = projection.connectivity
            if isinstance(drawn, Drawn) and not 0 <= drawn.pattern.expected(drawn.n_pre, drawn.n_post) <= MAX_SYNAPSES:
                raise FileFormatError(self.source, f"projection '{projection.name}' has more than {MAX_SYNAPSES} synapses")
            if net.graph.has_edge(projection.pre, projection.post, projection.name):
                raise FileFormatError(self.source, f"holds two projections named '{projection.name}'")
            for end in (projection.pre, projection.post):
                if end not in net.graph:
                    raise FileFormatError(self.source, f"projection '{projection.name}' names '{end}', which does not exist")
            net.graph.add_edge(projection.pre, projection.post, key=projection.name, projection=projection)
        for name, population in body["outputs"].items():
            net.output(name, population)
        net.changes = tuple(self.decode(item, (Change,)) for item in body["changes"])
        return net

    def decode(self, value: Any, expected: tuple[type[Any], ...] = ()) -> Any:
        result = self._decode(value)
        if expected and not isinstance(result, expected):
            raise FileFormatError(self.source, f"holds a {type(result).__name__} where a {expected[0].__name__} belongs")
        return result

    def _decode(self, value: Any) -> Any:
        match value:
            case {"connectivity": str(kind), "fields": dict(items)}:
                return _CONNECTIVITY[kind][1]({key: self._decode(item) for key, item in items.items()})
            case {"type": str(name), "fields": dict(items)}:
                made = _DATACLASSES[name](**{key: self._decode(item) for key, item in items.items()})
                check_fields(made)
                _check_program(made)
                return made
            case {"array": int(index)}:
                if f"a{index}" not in self.arrays:
                    raise FileFormatError(self.source, f"is damaged: it has no member 'a{index}.npy'")
                return self.arrays[f"a{index}"]
            case {"map": list(pairs)}:
                return {key: self._decode(item) for key, item in pairs}
            case {"tuple": list(items)}:
                return tuple(self._decode(item) for item in items)
            case {"float": str(text)}:
                return float.fromhex(text)
            case None | bool() | int() | str():
                return value
        raise FileFormatError(self.source, f"holds an unknown construct {str(value)[:60]!r}")


def _check_program(made: Any) -> None:
    """Refuse programs that no text could have given: backends print them as code."""
    if isinstance(made, ex.Assign | ex.Expr):
        ex.check_node(made)
    elif isinstance(made, StepForm):
        for name in (*made.state, *made.inputs):
            ex.check_identifier(name, "state or input")
    elif isinstance(made, RuleForm):
        for name in (*made.pre, *made.post, *made.synapse):
            ex.check_identifier(name, "trace")


Fields = dict[str, Any]


def _sparse_fields(value: Any) -> Fields:
    return {
        "weights": value.weights,
        "post": value.post,
        "pre": value.pre,
        "n": (value.n_post, value.n_pre),
        "bias": value.bias,
    }


def _conv_fields(value: Any) -> Fields:
    return {
        "weights": value.weights,
        "input_shape": value.in_shape[1:],
        "stride": value.stride,
        "padding": value.padding,
        "dilation": value.dilation,
        "groups": value.groups,
        "bias": value.bias,
    }


def _conv(cls: type[Conv2d]) -> tuple[Callable[[Any], Fields], Callable[[Fields], conn.Connectivity]]:
    def build(stored: Fields) -> conn.Connectivity:
        value = cls.__new__(cls)  # the stored form is Conv2d's for all of them
        Conv2d.__init__(value, **stored)
        return value

    return _conv_fields, build


def _drawn_fields(value: Any) -> Fields:
    return {field.name: getattr(value, field.name) for field in fields(Drawn)}


_CONNECTIVITY: Mapping[str, tuple[Callable[[Any], Fields], Callable[[Fields], conn.Connectivity]]] = {
    "Dense": (
        lambda x: {"weights": x.weights, "bias": x.bias, "columns": x.columns},
        lambda f: conn.Dense(f["weights"], f["bias"], f["columns"]),
    ),
    "Sparse": (
        _sparse_fields,
        lambda f: conn.Sparse((f["weights"], (f["post"], f["pre"])), f["n"], f["bias"]),
    ),
    "OneToOne": (
        lambda x: {"weights": x.weights, "size": x.size, "bias": x.bias},
        lambda f: conn.OneToOne(f["weights"], f["size"], f["bias"]),
    ),
    **{cls.__name__: (_drawn_fields, lambda f: Drawn(**f)) for cls in PATTERNS},
    **{cls.kind: _conv(cls) for cls in (Conv2d, Conv1d, SumPool2d, AvgPool2d)},
}

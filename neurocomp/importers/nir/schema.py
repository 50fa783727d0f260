"""What the parameters of each NIR primitive are, and how stored values become checked arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.importers.nir.raw import IDENTITY, RawGraph

Checked = dict[str, Any]
MAX_NEURONS = 2**27  # per node
KNOWN_ELSEWHERE = {"metadata", "input_type", "output_type", "type_check"}

MAX_WINDOW = 1024  # of a pool, along an axis
MAX_PADDING = 4096


@dataclass(frozen=True)
class Primitive:
    """A NIR type. required, optional: parameter -> kind ("float", "int", "padding", "shape"). legacy: what old files leave out.

    role: "spiking" and "analog" neurons, "linear" nodes between them, and the "end"s of the graph.
    """

    required: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, str] = field(default_factory=dict)
    legacy: Mapping[str, Any] = field(default_factory=dict)
    role: str = "linear"


def _floats(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "float")


_CONV = {"stride": "int", "padding": "padding", "dilation": "int", "groups": "int"}
_CONV_LEGACY = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
_LIF = _floats("tau", "r", "v_leak")
_CUBA = _floats("tau_syn", "tau_mem", "r", "v_leak")

PRIMITIVES: Mapping[str, Primitive] = {
    "Input": Primitive(optional={"shape": "shape"}, role="end"),
    "Output": Primitive(optional={"shape": "shape"}, role="end"),
    IDENTITY: Primitive(optional={"shape": "shape"}),
    "Linear": Primitive(_floats("weight")),
    "Affine": Primitive(_floats("weight"), _floats("bias")),
    "Scale": Primitive(_floats("scale")),
    "Conv1d": Primitive(_floats("weight"), {"input_shape": "shape", **_CONV, "bias": "float"}, _CONV_LEGACY),
    "Conv2d": Primitive(_floats("weight"), {"input_shape": "shape", **_CONV, "bias": "float"}, _CONV_LEGACY),
    "SumPool2d": Primitive({"kernel_size": "int"}, {"stride": "int", "padding": "int"}, {"padding": 0}),
    "AvgPool2d": Primitive({"kernel_size": "int"}, {"stride": "int", "padding": "int"}, {"padding": 0}),
    "Flatten": Primitive(
        optional={"start_dim": "int", "end_dim": "int", "input_type": "shape"}, legacy={"start_dim": 0, "end_dim": -1}
    ),
    "Delay": Primitive(_floats("delay")),
    "Threshold": Primitive(_floats("threshold"), role="spiking"),
    "I": Primitive(_floats("r"), role="analog"),
    "LI": Primitive(_LIF, role="analog"),
    "CubaLI": Primitive(_CUBA, _floats("w_in"), role="analog"),
    "IF": Primitive(_floats("r", "v_threshold"), _floats("v_reset"), role="spiking"),
    "LIF": Primitive({**_LIF, "v_threshold": "float"}, _floats("v_reset"), role="spiking"),
    "CubaLIF": Primitive({**_CUBA, "v_threshold": "float"}, _floats("v_reset", "w_in"), role="spiking"),
}
DEFAULTS: Mapping[str, float] = {"v_reset": 0.0, "w_in": 1.0}  # as the nir package fills them in


def check_node(graph: RawGraph, name: str) -> Checked:
    """The parameters of a node: float64 arrays, lists of ints, strings; None for what may be missing and is.

    Raises `NirError` for unknown types and for missing, misshapen or non-finite parameters. Adds notes for what old files leave
    out and for parameters that mean nothing here.
    """
    node = graph.nodes[name]
    primitive = PRIMITIVES.get(node.type)
    if primitive is None:
        known = ", ".join(sorted(x for x in PRIMITIVES if x != IDENTITY))
        raise graph.error(f"unknown type; NIR's primitives are {known} and nested NIRGraphs", name)
    values: Checked = {}
    for key, kind in {**primitive.required, **primitive.optional}.items():
        value = _stored(node.params, key)
        if value is None and key in primitive.required:
            raise graph.error(f"has no {key}", name)
        if value is None and key in primitive.legacy:
            value = primitive.legacy[key]
            graph.note(name, f"no {key}", f"{key} = {value}", "the file leaves it out; this is NIR's usual meaning")
        values[key] = None if value is None else _READERS[kind](graph, name, key, value)
    for key in node.params:
        if key not in values and key not in KNOWN_ELSEWHERE:
            graph.note(name, f"parameter {key}", "ignored", f"NIR's {node.type} has no such parameter")
    for key, default in DEFAULTS.items():
        if key in values and values[key] is None:
            values[key] = np.asarray(default)
    if node.type in _CHECKS:
        _CHECKS[node.type](graph, name, values)
    return values


def _stored(params: Mapping[str, Any], key: str) -> Any:
    """A parameter; shapes may come as `shape`, or as the `input_type`/`output_type` of a node in memory."""
    value = params.get(key)
    if value is None and key == "shape":
        value = params.get("input_type", params.get("output_type"))
    if isinstance(value, Mapping):
        value = next(iter(value.values()), None)
    if isinstance(value, np.ndarray) and value.dtype.kind == "O" and value.size == 1:
        value = value.ravel()[0]  # an array of None or of one string
    return value


def _float(graph: RawGraph, name: str, key: str, value: Any) -> NDArray[np.float64]:
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError
        array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise graph.error(f"{key} = {_shown(value)} is not numeric", name) from None
    bad = ~np.isfinite(array)
    if bad.any():
        index = tuple(int(k) for k in np.argwhere(bad)[0])
        raise graph.error(
            f"{key} is {array[bad].flat[0]} at index {index} ({int(bad.sum())} of {array.size} values); it must be finite", name
        )
    return array


def _ints(graph: RawGraph, name: str, key: str, value: Any) -> list[int]:
    try:
        array = np.atleast_1d(np.asarray(value))
        if array.dtype.kind not in "biuf" or array.ndim != 1 or not array.size or not (array == np.rint(array)).all():
            raise ValueError
        if np.abs(array).max() >= 2**31:
            raise ValueError
    except (TypeError, ValueError):
        raise graph.error(f"{key} = {_shown(value)} is not a whole number or a few of them", name) from None
    return [int(x) for x in array]


def _padding(graph: RawGraph, name: str, key: str, value: Any) -> list[int] | str:
    text = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(text, np.ndarray) and text.dtype.kind in "US" and text.size == 1:
        text = text.ravel()[0]
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if isinstance(text, str):
        if text not in ("same", "valid"):
            raise graph.error(f"padding '{text[:40]}' is neither 'same', 'valid' nor a number", name)
        return str(text)
    return _ints(graph, name, key, value)


def _shape(graph: RawGraph, name: str, key: str, value: Any) -> tuple[int, ...]:
    sizes = _ints(graph, name, key, value)
    if min(sizes) < 1:
        raise graph.error(f"{key} = {sizes} has a size below 1", name)
    return check_size(graph, name, tuple(sizes))


def check_size(graph: RawGraph, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape, if it has no more neurons than the limit."""
    size = 1
    for length in shape:
        size *= length
        if size > MAX_NEURONS:
            raise graph.error(f"shape {shape} has more than {MAX_NEURONS:,} neurons, the limit of a node", name)
    return shape


_READERS: Mapping[str, Callable[[RawGraph, str, str, Any], Any]] = {
    "float": _float,
    "int": _ints,
    "padding": _padding,
    "shape": _shape,
}


# ----------------------------------------------------------------------------------------------------- checks of one type


def _check_matrix(graph: RawGraph, name: str, values: Checked) -> None:
    weight, bias = values["weight"], values.get("bias")
    if weight.ndim < 2 or not weight.size:
        raise graph.error(f"weight has shape {weight.shape}; expected (..., out, in)", name)
    outputs = weight.shape[:-1]
    if bias is not None and bias.size not in (1, int(np.prod(outputs))):
        raise graph.error(f"bias of shape {bias.shape} does not fit {outputs} outputs", name)


def _check_conv(graph: RawGraph, name: str, values: Checked) -> None:
    axes = 1 if graph.nodes[name].type == "Conv1d" else 2
    weight, bias, groups = values["weight"], values["bias"], values["groups"]
    if weight.ndim != 2 + axes or not weight.size:
        wanted = "(c_out, c_in / groups, k)" if axes == 1 else "(c_out, c_in / groups, height, width)"
        raise graph.error(f"weight has shape {weight.shape}; expected {wanted}", name)
    if groups is None or len(groups) != 1 or groups[0] < 1 or weight.shape[0] % groups[0]:
        raise graph.error(f"groups = {groups} does not divide {weight.shape[0]} output channels", name)
    if bias is not None and bias.size not in (1, weight.shape[0]):
        raise graph.error(f"bias of shape {bias.shape} does not fit {weight.shape[0]} output channels", name)
    for key, least in (("stride", 1), ("dilation", 1), ("padding", 0)):
        if not isinstance(values[key], str):
            values[key] = _per_axis(graph, name, key, values[key], axes, least)
    shape = values["input_shape"]
    if shape is not None and len(shape) != axes:
        raise graph.error(f"input_shape {shape} has {len(shape)} axes; expected {axes} (without channels)", name)
    values["groups"] = groups[0]


def _check_pool(graph: RawGraph, name: str, values: Checked) -> None:
    values["kernel_size"] = _per_axis(graph, name, "kernel_size", values["kernel_size"], 2, 1)
    if values["stride"] is None:
        values["stride"] = list(values["kernel_size"])
        graph.note(name, "no stride", f"stride = {values['stride']}", "the file leaves it out; a pool moves by its own size")
    values["stride"] = _per_axis(graph, name, "stride", values["stride"], 2, 1)
    values["padding"] = _per_axis(graph, name, "padding", values["padding"], 2, 0)
    for size, pad in zip(values["kernel_size"], values["padding"], strict=True):
        if size > MAX_WINDOW or 2 * pad > size:
            raise graph.error(
                f"kernel_size = {values['kernel_size']} with padding {values['padding']}: windows up to {MAX_WINDOW} wide, "
                "padded by at most half their size, can be read",
                name,
            )


def _per_axis(graph: RawGraph, name: str, key: str, value: list[int], axes: int, least: int) -> list[int]:
    result = value * axes if len(value) == 1 else value
    if key == "padding" and max(result, default=0) > MAX_PADDING:
        raise graph.error(f"padding = {value} is beyond {MAX_PADDING}", name)
    if len(result) != axes or min(result) < least:
        raise graph.error(f"{key} = {value} must be {axes} whole number{'s' if axes > 1 else ''} of at least {least}", name)
    return result


def _check_flatten(graph: RawGraph, name: str, values: Checked) -> None:
    for key in ("start_dim", "end_dim"):
        if len(values[key]) != 1:
            raise graph.error(f"{key} = {values[key]} must be one whole number", name)
        values[key] = values[key][0]


def _check_positive(*keys: str) -> Callable[[RawGraph, str, Checked], None]:
    def check(graph: RawGraph, name: str, values: Checked) -> None:
        for key in keys:
            if (values[key] <= 0).any():
                raise graph.error(f"{key} = {values[key].min():g} must be above 0 seconds", name)

    return check


def _check_delay(graph: RawGraph, name: str, values: Checked) -> None:
    if (values["delay"] < 0).any():
        raise graph.error(f"delay = {values['delay'].min():g} s is negative", name)


_CHECKS: Mapping[str, Callable[[RawGraph, str, Checked], None]] = {
    "Linear": _check_matrix,
    "Affine": _check_matrix,
    "Conv1d": _check_conv,
    "Conv2d": _check_conv,
    "SumPool2d": _check_pool,
    "AvgPool2d": _check_pool,
    "Flatten": _check_flatten,
    "Delay": _check_delay,
    "LI": _check_positive("tau"),
    "LIF": _check_positive("tau"),
    "CubaLI": _check_positive("tau_syn", "tau_mem"),
    "CubaLIF": _check_positive("tau_syn", "tau_mem"),
}


def _shown(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else text[:57] + "..."

"""The text form of a network: short, stable, one line a thing, made to be read and diffed."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurocomp.ir.network import Input, Network, Population, Projection
from neurocomp.ir.plasticity import LoihiRule
from neurocomp.ir.printers.text import form_text


def text(net: Network) -> str:
    """The network as text: inputs and populations with their parameters, then projections; after passes also programs."""
    lines = [f'network "{net.name}" dt={net.dt:g} s integrator={net.integrator}' + (f" seed={net.seed}" if net.seed else "")]
    for node in net.nodes.values():
        lines += _input(node) if isinstance(node, Input) else _population(node)
    lines += [_projection(projection) for projection in net.projections.values()]
    lines += [f"  output {name} <- {node}" for name, node in net.outputs.items()]
    return "\n".join(lines)


def _input(node: Input) -> list[str]:
    graded = f" max_payload={node.max_payload}" if node.max_payload != 1 else ""
    return [f"  input {node.name} {_shape(node.shape)}{graded}{_lag(node.lag)}"]


def _population(node: Population) -> list[str]:
    neuron = node.neuron
    parts = [f"  population {node.name} {_shape(node.shape)} {neuron.model.name}"]
    parts += [f"{name}={_value(value)}" for name, value in neuron.parameters.items()]
    parts += [f"reset={neuron.reset}"] if neuron.reset else []
    parts += [f"integrator={neuron.integrator}"] if neuron.integrator else []
    parts += [f"initial {name}={_value(value)}" for name, value in neuron.initial.items()]
    parts += [f"bias={_value(node.bias)}"] if np.any(np.asarray(node.bias) != 0) else []
    parts += [f"grid=2^{node.grid.exponent} bound={node.grid.bound} int{node.grid.bits}"] if node.grid else []
    parts += [f"max_payload={node.max_payload}"] if node.graded else []
    lines = [" ".join(parts) + _lag(node.lag)]
    if node.program is not None:
        lines += [f"    {line}" for line in form_text(node.program.form).splitlines()]
        lines += [f"    {name} = {_value(value)}" for name, value in node.program.constants.items()]
        lines += [f"    stored {name} = {name} * {_value(value)}" for name, value in node.program.scale.items()]
    return lines


def _projection(projection: Projection) -> str:
    shown = str(projection.delay) if not np.ndim(projection.delay) else f"{projection.min_delay}..{projection.max_delay}"
    extra = f" {projection.loihi}" if projection.loihi else ""
    extra += f" shift={projection.shift}" if projection.shift else ""
    default = f"{projection.pre}->{projection.post}"
    label = "" if projection.name == default else f' "{projection.name}"'
    extra += f" receptor={projection.receptor}" if projection.receptor else ""
    extra += _plasticity(projection)
    bias = " bias" if projection.connectivity.bias is not None else ""
    return f"  {projection.pre} -> {projection.post}{label}: {projection.connectivity.describe()}{bias} delay={shown}{extra}"


def _plasticity(projection: Projection) -> str:
    plasticity = projection.plasticity
    if plasticity is None:
        return ""
    if isinstance(plasticity, LoihiRule):
        return f" learns by {plasticity.describe()}"
    numbers = " ".join(f"{name}={value:g}" for name, value in plasticity.parameters.items())
    reward = f" reward={plasticity.reward} delay={plasticity.reward_delay}" if plasticity.reward else ""
    return f" learns by {plasticity.rule.name} {numbers}{reward}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _lag(lag: int) -> str:
    return f" lag={lag}" if lag else ""


def _value(value: Any) -> str:
    array = np.asarray(value)
    if array.size == 1:
        return f"{array.ravel()[0]:g}"
    low, high = array.min(), array.max()
    return f"{low:g}" if low == high else f"[{low:g}..{high:g}]"

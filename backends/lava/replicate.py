"""Many copies of a compiled network side by side, so that one Lava run serves a whole batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neurocomp.ir.connectivity import Connectivity, Sparse
from neurocomp.ir.network import Input, Network, Node, Population, Projection
from neurocomp.ir.program import StepProgram


def replicate(net: Network, copies: int) -> Network:
    """`copies` independent copies of the network in one: same names, a new first axis of every shape.

    Neuron k of copy b is neuron b * size + k; connectivities become block-diagonal.
    """
    nodes = {name: _node(node, copies) for name, node in net.nodes.items()}
    projections = {name: _projection(projection, copies) for name, projection in net.projections.items()}
    return net.with_changes(nodes, projections)


def _node(node: Node, copies: int) -> Node:
    shape = (copies, *node.shape)
    if isinstance(node, Input):
        return replace(node, shape=shape)
    program = node.program
    if program is not None:
        constants, initial, scale = (
            {k: _tiled(v, copies) for k, v in x.items()} for x in (program.constants, program.initial, program.scale)
        )
        individuals = program.individuals or node.size
        program = StepProgram(program.form, constants, initial, scale, program.key, individuals, program.start)
    given = node.neuron
    neuron = replace(
        given,
        parameters={k: _tiled(v, copies) for k, v in given.parameters.items()},
        initial={k: _tiled(v, copies) for k, v in given.initial.items()},
    )
    return Population(node.name, neuron, shape, _tiled(node.bias, copies), program, node.grid, node.lag)


def _projection(projection: Projection, copies: int) -> Projection:
    return replace(
        projection,
        connectivity=_block_diagonal(projection.connectivity, copies),
        delay=_tiled(projection.delay, copies) if np.ndim(projection.delay) else projection.delay,
    )


def _block_diagonal(connectivity: Connectivity, copies: int) -> Connectivity:
    listed, block = connectivity.expand(), np.arange(copies)[:, None]
    n_post, n_pre = listed.n_post, listed.n_pre
    pre, post = (block * n_pre + listed.pre).ravel(), (block * n_post + listed.post).ravel()
    bias = None if listed.bias is None else _tiled(listed.bias, copies)
    return Sparse((_tiled(listed.weights, copies), (post, pre)), (n_post * copies, n_pre * copies), bias)


def _tiled(value: Any, copies: int) -> Any:
    return np.tile(np.ravel(value), copies) if np.ndim(value) else value

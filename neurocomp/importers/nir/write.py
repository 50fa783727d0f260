"""From a `Network` to NIR: what NIR can say is written, the rest is refused by name unless the caller accepts its loss."""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.importers.nir.dialects import BASE, DIALECTS
from neurocomp.importers.nir.lower import closing_edges
from neurocomp.importers.nir.raw import NirError, RawGraph, RawNode
from neurocomp.ir.connectivity import Connectivity, Dense, OneToOne
from neurocomp.ir.convolution import AvgPool2d, Conv2d, SumPool2d
from neurocomp.ir.errors import ModelError
from neurocomp.ir.files import whole_file
from neurocomp.ir.network import Network, Population, Projection
from neurocomp.ir.verify import verify

MAX_MATRIX = 2**27  # entries of a matrix that is written in full
VARIANTS = {  # neurons that dialects run a NIR type as -> that type
    model.name: next(kind for kind in ("CubaLIF", "LIF", "IF") if model.name.endswith(kind))
    for row in DIALECTS.values()
    for model in (*row.models.values(), *row.self_loop_models.values())
}
LOSSES: Mapping[str, str] = {
    "reset": "NIR resets to v_reset; a reset by subtraction is not in it",
    "model": "NIR has no such neuron; its plain form is written",
    "integrator": "NIR does not say how equations are integrated",
    "initial": "NIR starts every state at 0",
    "delays": "NIR delays whole signals, not single synapses; the smallest delay is written for all",
    "recurrence": "NIR does not say which edge of a cycle is a step late",
    "payload": "NIR's inputs are plain spikes",
    "loihi": "NIR does not know how Loihi stores weights",
}


def to_nir(net: Network, path: str | os.PathLike[str] | None = None, allow_lossy: Iterable[str] = ()) -> Any:
    """The network as a `nir.NIRGraph`, also written to `path` where one is given.

    allow_lossy: names of what may get lost, out of `LOSSES`: reset, model, integrator, initial, delays, recurrence, payload,
    loihi. The time step and the integrator go into the graph's metadata, where other readers do not look. A single input is
    called `input`, a single output `output`. Needs the nir package. Raises `ModelError` listing everything NIR cannot say.
    """
    verify(net)
    allowed = set(allow_lossy)
    unknown = allowed - LOSSES.keys()
    if unknown:
        raise ModelError(f"allow_lossy does not know '{min(unknown)}'; it knows {', '.join(LOSSES)}")
    writer = _Writer(net)
    graph = writer.graph()
    refused = [(key, what) for key, what in writer.losses if key not in allowed]
    if refused:
        lines = "\n".join(f"  - {what}: {LOSSES[key]} (allow_lossy=['{key}'])" for key, what in refused)
        raise ModelError(f"network '{net.name}' cannot be written to NIR without loss:\n{lines}")
    return _to_package(graph, path)


class _Writer:
    """Collects NIR nodes and edges, and what gets lost."""

    def __init__(self, net: Network) -> None:
        self.net = net
        self.losses: list[tuple[str, str]] = []
        self.nodes: dict[str, RawNode] = {}
        self.edges: list[tuple[str, str]] = []
        self.names = self._end_names()

    def graph(self) -> RawGraph:
        """The finished graph."""
        net = self.net
        if net.integrator != "exponential" or any(x.neuron.integrator for x in net.populations.values()):
            kinds = {x.neuron.integrator or net.integrator for x in net.populations.values()}
            self._lose("integrator", f"integrator {', '.join(sorted(kinds))}")
        for node in net.inputs.values():
            if node.max_payload > 1:
                self._lose("payload", f"input '{node.name}' with max_payload = {node.max_payload}")
            self.nodes[self.names[node.name]] = RawNode("Input", {"shape": np.array(node.shape)})
        for population in net.populations.values():
            if population.neuron.model.name != "Readout":
                self.nodes[population.name] = self._neuron(population)
        outputs = self._outputs()
        for name, target in outputs.items():
            self.nodes[name] = RawNode("Output", {"shape": np.array(net.node(target).shape)})
            if not self._is_readout(target):
                self.edges.append((self.names.get(target, target), name))
        ends = {target: name for name, target in outputs.items() if self._is_readout(target)}
        late = self._recurrent()
        for projection in net.projections.values():
            self._projection(projection, ends.get(projection.post, projection.post), late)
        for population in net.populations.values():
            self._population_bias(population, ends.get(population.name, population.name))
        return RawGraph(net.name, self.nodes, self.edges, metadata={"dt": net.dt, "integrator": net.integrator})

    def _lose(self, key: str, what: str) -> None:
        self.losses.append((key, what))

    def _end_names(self) -> dict[str, str]:
        inputs = list(self.net.inputs)
        single = len(inputs) == 1 and "input" not in self.net.populations
        return {inputs[0]: "input"} if single else {name: name for name in inputs}

    def _is_readout(self, name: str) -> bool:
        node = self.net.node(name)
        return isinstance(node, Population) and node.neuron.model.name == "Readout"

    def _outputs(self) -> dict[str, str]:
        """Output name -> node: those declared, else every population that leads nowhere."""
        given = dict(self.net.outputs)
        for name in self.net.populations:
            ends_here = all(projection.post == name for projection in self.net.outgoing(name))
            if ends_here and name not in given.values() and (not self.net.outputs or self._is_readout(name)):
                given[f"output_{name}"] = name
        if len(given) == 1 and "output" not in self.nodes:
            return {"output": next(iter(given.values()))}
        taken = {*self.names.values(), *(x for x in self.net.populations if not self._is_readout(x))}
        return {(f"{name}_output" if name in taken else name): target for name, target in given.items()}

    # ---------------------------------------------------------------------------------------------------------- neurons

    def _neuron(self, population: Population) -> RawNode:
        neuron, name = population.neuron, population.name
        kind = VARIANTS.get(neuron.model.name, neuron.model.name)
        if kind not in BASE or (kind == neuron.model.name and neuron.model != BASE[kind]):
            raise ModelError(f"population '{name}': NIR has no neuron like {neuron.model.name}; it has {', '.join(BASE)}")
        if kind != neuron.model.name:
            self._lose("model", f"population '{name}' is {neuron.model.name}, written as {kind}")
        elif neuron.reset not in (None, "value"):
            self._lose("reset", f"population '{name}' has reset '{neuron.reset}'")
        if any(np.any(np.asarray(value) != 0) for value in neuron.initial.values()):
            self._lose("initial", f"population '{name}' starts at {', '.join(neuron.initial)}")
        shape = population.shape
        params = {key: _full(value, shape) for key, value in neuron.parameters.items()}
        return RawNode(kind, params)

    def _population_bias(self, population: Population, target: str) -> None:
        """A bias of the population itself is that of an affine node with zero weights."""
        bias = population.bias_vector()
        if not bias.any():
            return
        source = next(iter(self.net.inputs.values()), None)
        if source is None:
            raise ModelError(f"population '{population.name}': its bias needs an input in the network to be written to NIR")
        node = self._unique(f"{population.name}_bias")
        weight = np.zeros((population.size, source.size), np.float32)
        chain = [RawNode("Flatten", _flatten(source.shape))] if len(source.shape) > 1 else []
        self._chain(source.name, target, node, [*chain, RawNode("Affine", {"weight": weight, "bias": _compact(bias)})])

    # ------------------------------------------------------------------------------------------------------ projections

    def _recurrent(self) -> set[str]:
        """Projections of delay 1 that a reader of the written graph takes for the recurrent ones."""
        order = list(self.net.inputs) + list(self.net.populations)
        plain = [p for p in self.net.projections.values() if np.ndim(p.delay) == 0]
        late = {p.name for p in plain if p.delay == 1 and self._in_cycle(p)}
        edges = [(p.pre, p.post, p.name) for p in plain if p.delay == 0 or p.name in late]
        closing = set(closing_edges(edges, order, list(self.net.inputs)))
        for name in sorted(closing ^ late):
            if name in closing:
                self._lose("recurrence", f"projection '{name}' closes a cycle without a delay")
        return closing & late

    def _in_cycle(self, projection: Projection) -> bool:
        return projection.pre == projection.post or bool(nx.has_path(self.net.graph, projection.post, projection.pre))

    def _projection(self, projection: Projection, target: str, late: set[str]) -> None:
        if projection.loihi is not None:
            self._lose("loihi", f"projection '{projection.name}' with weight_exp or num_weight_bits")
        shape = self.net.node(projection.pre).shape
        connectivity = projection.connectivity
        nodes = self._weights(projection.name, connectivity, shape, self.net.node(projection.post).shape)
        delay = np.asarray(projection.delay) - (projection.name in late)
        before, after = self._delays(projection, delay)
        if before is not None:
            nodes.insert(0, RawNode("Delay", {"delay": np.broadcast_to(before * self.net.dt, shape).copy()}))
        if after is not None:
            sizes = self.net.node(projection.post).shape
            nodes.append(RawNode("Delay", {"delay": (after * self.net.dt).reshape(sizes)}))
        self._chain(projection.pre, target, projection.name, nodes)

    def _delays(self, projection: Projection, delay: NDArray[Any]) -> tuple[Any, Any]:
        """Steps of delay before and after the weights, None for none."""
        if delay.ndim == 0:
            return (None if delay == 0 else delay), None
        connectivity = projection.connectivity
        shape = self.net.node(projection.pre).shape
        if isinstance(connectivity, OneToOne):
            return delay.reshape(shape), None
        if isinstance(connectivity, Dense) and (delay == delay[:1]).all():
            return delay[0].reshape(shape), None
        if isinstance(connectivity, Dense) and (delay == delay[:, :1]).all():
            return None, delay[:, 0]
        self._lose(
            "delays", f"projection '{projection.name}' has a delay for each synapse ({delay.min()}..{delay.max()} steps)"
        )
        return np.asarray(delay.min()), None

    def _weights(self, name: str, connectivity: Connectivity, shape: tuple[int, ...], out: tuple[int, ...]) -> list[RawNode]:
        """The NIR nodes that do what the connectivity does to a signal of `shape`."""
        if isinstance(connectivity, OneToOne):
            if connectivity.bias is None:
                plain = bool((connectivity.weights == 1).all())
                return [] if plain else [RawNode("Scale", {"scale": _full(connectivity.weights, shape)})]
        elif (isinstance(connectivity, Conv2d) and shape == connectivity.in_shape) or self._is_line(connectivity, shape):
            assert isinstance(connectivity, Conv2d)
            written = _conv(connectivity, shape)
            if written is not None:
                return [written]
        size = connectivity.n_pre * connectivity.n_post
        if size > MAX_MATRIX:
            raise ModelError(
                f"projection '{name}': NIR would need a full matrix of {size:,} entries for this {connectivity.kind}, "
                f"beyond {MAX_MATRIX:,}"
            )
        nodes = [RawNode("Flatten", _flatten(shape))] if len(shape) > 1 else []
        weight = _compact(_matrix(connectivity))
        if connectivity.bias is None:
            return [*nodes, RawNode("Linear", {"weight": weight})]
        return [*nodes, RawNode("Affine", {"weight": weight, "bias": _compact(connectivity.bias)})]

    @staticmethod
    def _is_line(connectivity: Connectivity, shape: tuple[int, ...]) -> bool:
        if not isinstance(connectivity, Conv2d) or connectivity.in_shape[1] != 1 or connectivity.kernel[0] != 1:
            return False
        return shape == (connectivity.in_shape[0], connectivity.in_shape[2])

    def _chain(self, source: str, target: str, label: str, nodes: list[RawNode]) -> None:
        """Nodes in a row from source to target. Names come from the projection's: pre->a->b->post."""
        given = label.split("->")[1:-1]
        names = given if len(given) == len(nodes) else [f"{source}_{target}_{node.type.lower()}" for node in nodes]
        before = self.names.get(source, source)
        if not nodes and (before, target) in self.edges:
            nodes, names = [RawNode("Scale", {"scale": _full(1.0, self.net.node(source).shape)})], [f"{source}_{target}_again"]
        for name, node in zip(names, nodes, strict=True):
            unique = self._unique(name)
            self.nodes[unique] = node
            self.edges.append((before, unique))
            before = unique
        self.edges.append((before, target))

    def _unique(self, name: str) -> str:
        taken = {*self.nodes, *self.net.populations, *self.names.values()}
        result, count = name, 1
        while result in taken:
            count += 1
            result = f"{name}_{count}"
        return result


# ---------------------------------------------------------------------------------------------------------------- arrays


def _compact(values: Any) -> NDArray[Any]:
    """float32 where that keeps every number, else float64."""
    array = np.asarray(values, np.float64)
    with np.errstate(over="ignore"):
        short = array.astype(np.float32)
    return short if np.array_equal(short.astype(np.float64), array) else array.copy()


def _full(value: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.asarray(value, np.float64)
    return _compact(np.broadcast_to(array, shape) if array.size == 1 else array.reshape(shape))


def _matrix(connectivity: Connectivity) -> NDArray[np.float64]:
    if isinstance(connectivity, Dense) and connectivity.columns is None:
        return connectivity.weights
    pre, post = connectivity.synapses()
    result = np.zeros((connectivity.n_post, connectivity.n_pre))
    np.add.at(result, (post, pre), connectivity.values())
    return result


def _flatten(shape: tuple[int, ...]) -> dict[str, Any]:
    return {"start_dim": 0, "end_dim": -1, "input_type": np.array(shape)}


def _conv(connectivity: Conv2d, shape: tuple[int, ...]) -> RawNode | None:
    """A Conv or Pool node, None where NIR cannot say this one (unequal padding, a bias for each neuron)."""
    padding: Any = [top for top, _ in connectivity.padding]
    if connectivity.padding == _same(connectivity) and any(top != bottom for top, bottom in connectivity.padding):
        padding = "same"
    elif any(top != bottom for top, bottom in connectivity.padding):
        return None
    if type(connectivity) in (SumPool2d, AvgPool2d):
        sizes = {"kernel_size": connectivity.kernel, "stride": connectivity.stride, "padding": padding}
        return RawNode(type(connectivity).__name__, {key: np.array(value) for key, value in sizes.items()})
    bias = np.zeros(connectivity.output_shape[0]) if connectivity.bias is None else None
    if connectivity.bias is not None:
        channels = connectivity.bias.reshape(connectivity.output_shape[0], -1)
        if (channels != channels[:, :1]).any():
            return None
        bias = channels[:, 0]
    line = len(shape) == 2
    weight = connectivity.weights[:, :, 0] if line else connectivity.weights
    numbers: dict[str, Any] = {"stride": connectivity.stride, "padding": padding, "dilation": connectivity.dilation}
    params: dict[str, Any] = {
        key: value if isinstance(value, str) else (value[1] if line else tuple(value)) for key, value in numbers.items()
    }
    params |= {"weight": _compact(weight), "bias": _compact(bias), "groups": connectivity.groups}
    params["input_shape"] = shape[1] if line else shape[1:]
    return RawNode("Conv1d" if line else "Conv2d", params)


def _same(connectivity: Conv2d) -> tuple[tuple[int, int], ...] | None:
    """The padding that "same" means for this kernel, None where stride forbids it."""
    if connectivity.stride != (1, 1):
        return None
    total = [d * (k - 1) for d, k in zip(connectivity.dilation, connectivity.kernel, strict=True)]
    return tuple((x // 2, x - x // 2) for x in total)


def _to_package(graph: RawGraph, path: str | os.PathLike[str] | None) -> Any:
    """As objects of the nir package, written to `path` where one is given."""
    try:
        nir = importlib.import_module("nir")
    except ImportError:
        raise NirError(str(path or graph.source), "writing NIR needs the nir package: pip install nir") from None
    nodes = {}
    for name, node in graph.nodes.items():
        params = dict(node.params)
        if node.type in ("Input", "Output"):
            params = {f"{node.type.lower()}_type": {node.type.lower(): params["shape"]}}
        elif node.type == "Flatten":
            params["input_type"] = {"input": params["input_type"]}
        nodes[name] = getattr(nir, node.type)(**params)
    result = nir.NIRGraph(nodes=nodes, edges=list(graph.edges), metadata=dict(graph.metadata), type_check=False)
    if path is not None:
        image = io.BytesIO()  # HDF5 itself ends badly on a full disk
        nir.write(image, result)
        with whole_file(Path(path)) as stream:
            stream.write(image.getbuffer())
    return result

"""From a NIR graph to a `Network`: weights become projections, chains of linear nodes one projection each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from neurocomp.importers.nir.dialects import Dialect, dialect_of, neuron_of
from neurocomp.importers.nir.linear import Floats, Link, Wait, bias_of, fuse, link_of, through
from neurocomp.importers.nir.raw import BY, IDENTITY, NirError, RawGraph
from neurocomp.importers.nir.read import read
from neurocomp.importers.nir.schema import PRIMITIVES, check_node
from neurocomp.importers.nir.shapes import Shapes
from neurocomp.ir.connectivity import Connectivity
from neurocomp.ir.errors import NeurocompError
from neurocomp.ir.integrators import INTEGRATORS
from neurocomp.ir.network import Change, Network
from neurocomp.ir.neurons import Readout

MAX_PATHS = 10_000  # through linear nodes, onto one neuron node


@dataclass(frozen=True)
class Term:
    """A way from spikes to neurons: source node, the linear nodes between, target node."""

    source: str
    chain: tuple[str, ...]
    target: str

    label: str  # the name of its projection


def from_nir(
    graph: str | os.PathLike[str] | Any,
    *,
    dt: float | None = None,
    dialect: str | Dialect = "nir",
    integrator: str | None = None,
    name: str | None = None,
) -> Network:
    """A NIR graph as a network.

    graph: path of a `.nir` file, a `nir.NIRGraph`, or its dictionary form. dt: seconds per step; needed unless the file's
    metadata or the dialect fix it. dialect: whose reading of NIR to follow, a row of `DIALECTS` (or a `Dialect` of your own):
    "nir" takes the equations as written. integrator: instead of the dialect's. name: of the network.

    Populations have the names of the NIR nodes (nested ones as graph.node); `net.outputs` has the Output nodes. Edges within
    a step have delay 0, the edge that closes a cycle 1. `net.changes` (and `explain()`) list what the dialect changes or
    ignores. Raises `NirError`, a `FileFormatError` that names file and node, for what cannot be read or run as meant.
    """
    return Lowering(read(graph), dialect_of(dialect), dt, integrator, name).network()


class Lowering:
    """One conversion: checks, shapes, populations, then projections."""

    def __init__(
        self, graph: RawGraph, dialect: Dialect, dt: float | None = None, integrator: str | None = None, name: str | None = None
    ) -> None:
        self.graph, self.dialect = graph, dialect
        self.notes_before = len(graph.notes)
        self.checked = {node: check_node(graph, node) for node in graph.nodes}
        self.shapes = Shapes(graph, self.checked)
        self.kinds = {node: PRIMITIVES[raw.type].role for node, raw in graph.nodes.items()}
        self.before = graph.predecessors()
        self.labels: dict[str, int] = {}
        self.dt = self._dt(dt)
        self.asked = integrator is not None
        chosen = integrator or self._stored_integrator() or dialect.integrator
        self.net = Network(name or _stem(graph.source), dt=self.dt, integrator=chosen)
        self._introduce(chosen)

    def network(self) -> Network:
        """The finished network."""
        targets = [n for n, kind in self.kinds.items() if kind in ("spiking", "analog") or self.graph.nodes[n].type == "Output"]
        terms = {node: self._terms(node) for node in targets}
        self._add_nodes(terms)
        closing = self._closing([term for found in terms.values() for term in found[0]])
        for node in targets:
            if self.graph.nodes[node].type != "Output" or node in self.net.graph:
                self._connect(node, *terms[node], closing)
        self.net.changes = (*self.net.changes, *self.graph.notes)
        del self.graph.notes[self.notes_before :]  # a graph can be lowered again
        return self.net

    # ----------------------------------------------------------------------------------------------------------- header

    def _dt(self, given: float | None) -> float:
        stored = next((self.graph.metadata[key] for key in ("dt", "timestep") if key in self.graph.metadata), None)
        if given is not None:
            built_in = self.dialect.dt
            if built_in is not None and not np.isclose(built_in, given, rtol=1e-9):
                self.graph.note(
                    "dt", f"{built_in:g} s", f"{given:g} s", f"{self.dialect.name} has the former built in; asked for"
                )
            return float(given)
        if stored is not None:
            value = _seconds(stored)
            if value is None:
                raise self.graph.error(f"its metadata dt = {stored!r:.40} is not one positive number of seconds; give dt=")
            self.graph.note("dt", "not given", f"{value:g} s", "the file's metadata say so")
            return value
        if self.dialect.dt is not None:
            self.graph.note("dt", "not given", f"{self.dialect.dt:g} s", f"{self.dialect.name} has it built in")
            return self.dialect.dt
        hint = (
            ""
            if self.dialect.steps_from is None
            else " (Sinabs writes time constants in steps, so any dt gives the same spikes)"
        )
        raise self.graph.error(f"NIR files do not say how long a step is: give dt in seconds, for example dt=1e-4{hint}")

    def _stored_integrator(self) -> str | None:
        """The integrator a file of ours names, taken by the dialect "nir"; other dialects have their own."""
        stored = self.graph.metadata.get("integrator")
        if stored not in INTEGRATORS or stored == self.dialect.integrator:
            return None
        if self.dialect.name != "nir":
            self.graph.note(
                "integrator", str(stored), self.dialect.integrator, f"as {self.dialect.name} steps, not as the file says"
            )
            return None
        return str(stored)

    def _introduce(self, integrator: str) -> None:
        row = self.dialect
        why = f"{row.summary} ({row.source})" if row.source else row.summary
        self.graph.note(self.net.name, "NIR graph", f"dialect {row.name}, integrator {integrator}", why)
        if integrator != row.integrator:
            self.graph.note(
                self.net.name,
                f"integrator {row.integrator}",
                f"integrator {integrator}",
                "asked for" if self.asked else "the file's metadata say so",
            )
        for quirk in row.quirks:
            self.net.changes = (*self.net.changes, Change(BY, row.name, "NIR", "its habit", quirk))

    # ------------------------------------------------------------------------------------------------------------ terms

    def _terms(self, target: str) -> tuple[list[Term], list[tuple[str, ...]]]:
        """Ways from spikes to `target`, and the chains that start at a node with a bias."""
        terms: list[Term] = []
        biases: list[tuple[str, ...]] = []
        stack: list[tuple[str, tuple[str, ...]]] = [(target, ())]
        paths = 0
        while stack:
            node, chain = stack.pop()
            for pre in reversed(self.before[node]):
                paths += 1
                if paths > MAX_PATHS:
                    raise self.graph.error(f"more than {MAX_PATHS} paths of linear nodes lead to it", target)
                if self.kinds[pre] != "linear":
                    self._must_spike(pre, node)
                    terms.append(Term(pre, chain, target, self._label(pre, chain, target)))
                    continue
                if pre in chain:
                    cycle = " -> ".join((pre, *chain[: chain.index(pre)], pre))
                    raise self.graph.error(f"the cycle {cycle} has no neuron in it, so its value is not defined", pre)
                if self.checked[pre].get("bias") is not None:
                    biases.append((pre, *chain))
                stack.append((pre, (pre, *chain)))
        order = {name: k for k, name in enumerate(self.graph.nodes)}
        return sorted(terms, key=lambda x: [order[n] for n in (x.source, *x.chain)]), biases

    def _label(self, source: str, chain: tuple[str, ...], target: str) -> str:
        """source->weights->target, without the ends of nested graphs; unique."""
        label = "->".join((source, *(x for x in chain if self.graph.nodes[x].type != IDENTITY), target))
        self.labels[label] = self.labels.get(label, 0) + 1
        return label if self.labels[label] == 1 else f"{label}#{self.labels[label]}"

    def _must_spike(self, source: str, node: str) -> None:
        kind = self.graph.nodes[source].type
        if kind == "Output":
            raise self.graph.error(f"an Output leads on to '{node}'; an Output is the end of a graph", source)
        if self.kinds[source] == "analog" and self.graph.nodes[node].type != "Output":
            raise self.graph.error(
                f"its voltage is fed to '{node}', but here only spikes travel; {kind} can lead to an Output", source
            )

    # ------------------------------------------------------------------------------------------------------------ nodes

    def _add_nodes(self, terms: dict[str, tuple[list[Term], list[tuple[str, ...]]]]) -> None:
        for node in self._from_the_inputs():
            raw, shape = self.graph.nodes[node], self.shapes.out[node]
            with self._about(node):
                if raw.type == "Input":
                    self.net.input(node, shape)
                elif self.kinds[node] in ("spiking", "analog"):
                    self._broadcast(node, shape)
                    loop = any(term.source == node for term in terms[node][0])
                    neuron = neuron_of(self.graph, node, self.checked[node], self.dialect, self.dt, loop)
                    self.net.population(node, neuron, shape)
        for node, raw in self.graph.nodes.items():
            if raw.type == "Output":
                with self._about(node):
                    self._output(node, *terms[node])

    def _from_the_inputs(self) -> list[str]:
        """All nodes, those first that others follow from (files store them by the alphabet)."""
        after, order = self.graph.successors(), list(self.graph.nodes)
        starts = [name for name in order if self.graph.nodes[name].type == "Input"]
        finished: dict[str, None] = {}
        for start in (*reversed(starts), *order):
            path = {start: iter(reversed(after[start]))} if start not in finished else {}
            while path:
                node = next(reversed(path))
                follower = next(path[node], None)
                if follower is None:
                    finished[node] = None
                    del path[node]
                elif follower not in path and follower not in finished:
                    path[follower] = iter(reversed(after[follower]))
        inputs_first = list(reversed(finished))
        return sorted(inputs_first, key=lambda name: self.graph.nodes[name].type != "Input")

    def _broadcast(self, node: str, shape: tuple[int, ...]) -> None:
        """Parameters in the population's shape, scalars left alone."""
        for key, value in self.checked[node].items():
            if value is None or value.size == 1:
                continue
            try:
                full = value.reshape(shape) if value.size == prod(shape) else np.broadcast_to(value, shape)
            except ValueError:
                raise self.graph.error(f"{key} of shape {value.shape} does not fit neurons of shape {shape}", node) from None
            self.checked[node][key] = full

    def _output(self, node: str, terms: list[Term], biases: list[tuple[str, ...]]) -> None:
        """An Output is its neurons where only renaming nodes lie between, else a readout of what arrives."""
        plain = [self.graph.nodes[link].type in ("Flatten", IDENTITY) for term in terms for link in term.chain]
        if len(terms) == 1 and all(plain) and not biases:
            self.net.output(node, terms[0].source)
            return
        if not terms and not biases:
            raise self.graph.error("nothing leads to this Output", node)
        for term in terms:
            if self.kinds[term.source] == "analog":
                raise self.graph.error(
                    f"its voltage is weighted or added on the way to '{node}', but here only spikes travel", term.source
                )
        self.net.population(node, Readout(), self.shapes.out[node])
        self.net.output(node, node)
        sources = ", ".join(dict.fromkeys(term.source for term in terms))
        self.graph.note(node, "Output", "Readout", f"weights lead straight to it from {sources or 'a bias'}; its v is the sum")

    # ------------------------------------------------------------------------------------------------------ projections

    def _closing(self, terms: Sequence[Term]) -> set[Term]:
        """The terms that close a cycle of same-step edges."""
        edges = [(term.source, term.target, term) for term in terms if self._least_delay(term) == 0]
        inputs = [name for name, node in self.graph.nodes.items() if node.type == "Input"]
        return set(closing_edges(edges, list(self.graph.nodes), inputs))

    def _least_delay(self, term: Term) -> float:
        return sum(float(self.checked[x]["delay"].min()) for x in term.chain if self.graph.nodes[x].type == "Delay")

    def _connect(self, node: str, terms: list[Term], biases: list[tuple[str, ...]], closing: set[Term]) -> None:
        left = list(biases)
        for term in terms:
            with self._about(term.chain[0] if term.chain else node):
                fused = fuse(self._links(term.chain), prod(self.shapes.out[term.source]))
                mine = [chain for chain in left if set(chain) <= set(term.chain)]
                left = [chain for chain in left if chain not in mine]
                connectivity = self._with_bias(fused.connectivity, mine)
                delay = self._delay(term, self._steps(term, fused.delay), closing)
                self.net.connect(term.source, node, connectivity, delay if np.ndim(delay) else int(delay), name=term.label)
                self._tell_fused(term, connectivity)
        for chain in left:  # a bias that no spike passes
            population = self.net.populations[node]
            bias = population.bias_vector() + self._bias(chain)
            self.net = self.net.with_changes({node: replace(population, bias=bias)})

    def _links(self, chain: Sequence[str]) -> list[Link]:
        found = (link_of(self.graph.nodes[x].type, self.checked[x], self.shapes.into[x]) for x in chain)
        return [link for link in found if link is not None]

    def _bias(self, chain: tuple[str, ...]) -> Floats:
        first = chain[0]
        bias = bias_of(self.graph.nodes[first].type, self.checked[first], self.shapes.out[first])
        assert bias is not None
        links = self._links(chain[1:])
        if any(isinstance(link, Wait) for link in links):
            self.graph.note(first, "bias before a Delay", "bias from the first step on", "a constant is not delayed")
        return through(links, bias)

    def _with_bias(self, connectivity: Connectivity, chains: list[tuple[str, ...]]) -> Connectivity:
        """The connectivity with the biases of these chains."""
        if not chains:
            return connectivity
        total = sum((self._bias(chain) for chain in chains[1:]), self._bias(chains[0]))
        return connectivity.with_weights(connectivity.weights, total)

    def _steps(self, term: Term, seconds: Floats) -> Any:
        steps = seconds / self.dt
        whole = np.rint(steps)
        off = np.abs(steps - whole) > 1e-6 * np.maximum(whole, 1)
        if np.any(off):
            worst = float(np.asarray(seconds)[off].flat[0])
            delays = [x for x in term.chain if self.graph.nodes[x].type == "Delay"]
            steps_text = f"{worst / self.dt:.6g} steps of dt = {self.dt:g} s"
            raise self.graph.error(f"a delay of {worst:g} s is {steps_text}; choose a dt that divides it", delays[0])
        return whole.astype(np.int64)

    def _delay(self, term: Term, steps: Any, closing: set[Term]) -> Any:
        """Steps of delay; what closes a cycle within the step comes one step later, other delays stay as they are."""
        outside = self.graph.nodes[term.source].type == "Input"
        hop = self.dialect.from_input if outside else self.dialect.from_population
        if hop:
            why = f"such a hop takes {hop} step in {self.dialect.name}"
            self.graph.note(term.label, "within the step", f"{hop} step later", why)
        if term in closing and hop < 1:
            why = "it closes a cycle: spikes of step t-1 enter at step t"
            self.graph.note(term.label, "within the step", "1 step later", why)
            return np.maximum(steps, 1)
        return steps + hop

    def _tell_fused(self, term: Term, connectivity: Connectivity) -> None:
        types = [self.graph.nodes[x].type for x in term.chain]
        if len([x for x in types if x not in ("Flatten", IDENTITY, "Delay")]) > 1:
            why = "a chain of linear nodes is one projection"
            self.graph.note(term.label, " -> ".join(types), connectivity.describe(), why)

    @contextmanager
    def _about(self, node: str) -> Iterator[None]:
        """Errors of the IR while working on a node name the file and the node."""
        try:
            yield
        except NirError:
            raise
        except NeurocompError as error:
            raise self.graph.error(str(error), node) from None


def closing_edges(edges: Sequence[tuple[str, str, Any]], order: Sequence[str], inputs: Sequence[str]) -> list[Any]:
    """Labels of the edges (source, target, label) that close a cycle: found depth first from the inputs, then in `order`."""
    place = {name: k for k, name in enumerate(order)}
    after: dict[str, list[tuple[str, Any]]] = {name: [] for name in order}
    for source, target, label in edges:
        after[source].append((target, label))
    closing: list[Any] = []
    done: set[str] = set()
    for start in (*inputs, *order):
        path: dict[str, Iterator[tuple[str, Any]]] = {}
        if start not in done:
            path[start] = iter(sorted(after[start], key=lambda edge: place[edge[0]]))
        while path:
            node = next(reversed(path))
            found = next(path[node], None)
            if found is None:
                done.add(node)
                del path[node]
            elif found[0] in path:
                closing.append(found[1])
            elif found[0] not in done:
                path[found[0]] = iter(sorted(after[found[0]], key=lambda edge: place[edge[0]]))
    return closing


def _stem(source: str) -> str:
    return os.path.splitext(os.path.basename(source))[0] or "network"


def _seconds(stored: Any) -> float | None:
    """One positive finite number, else None."""
    values = np.asarray(stored)
    if values.size != 1 or values.dtype.kind not in "iuf" or not np.isfinite(values).all() or values.item() <= 0:
        return None
    return float(values.item())

"""A compiled network as connected Lava processes. Imports Lava: only the child process may import this module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from lava.magma.core.learning.learning_rule import Loihi2FLearningRule
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense, LearningDense
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF
from lava.proc.sparse.process import DelaySparse, Sparse
from lava.utils.weightutils import SignMode

from neurocomp.backends.base import initial_state
from neurocomp.backends.lava.chip import SHARED
from neurocomp.backends.lava.match import library_lif
from neurocomp.backends.lava.processes.plastic import PlasticConnection
from neurocomp.backends.lava.processes.recorders import SpikeRecorder, StateRecorder, WeightRecorder
from neurocomp.backends.lava.processes.relay import Relay
from neurocomp.backends.lava.processes.step_neuron import StepNeuron
from neurocomp.backends.lava.wires import Wire, wires
from neurocomp.ir.convolution import Conv2d
from neurocomp.ir.events import Events
from neurocomp.ir.network import Network, Population, Projection
from neurocomp.ir.plasticity import LoihiRule
from neurocomp.ir.plasticity.products import TRACES

FLOAT, FIXED = "floating_pt", "fixed_pt"


def tag_of(net: Network) -> str:
    """Lava's name of the network's arithmetic."""
    programs = [x.program for x in net.populations.values() if x.program is not None]
    return FIXED if programs and programs[0].form.arithmetic == "loihi" else FLOAT


class ProcessGraph:
    """The connected processes of a network: `neurons` by population, `sources` by input, `connections` by number.

    chip: build for a chip, where a pipeline just fills, so that lags do not keep populations from the library's LIF.
    """

    def __init__(self, net: Network, inputs: Mapping[str, Events], steps: int, chip: bool = False) -> None:
        self.net, self.inputs, self.steps, self.chip = net, inputs, steps, chip
        self.machine_steps = steps + net.max_lag
        self.fixed = tag_of(net) == FIXED
        self.neurons = {name: self._neurons(x) for name, x in net.populations.items()}
        self.sources: dict[str, Any] = {}
        self.connections: list[Any] = []
        self.learning: dict[str, Any] = {}  # LearningDense by projection
        self._connect()

    def _neurons(self, population: Population) -> Any:
        lif, program = library_lif(replace(population, lag=0) if self.chip else population), population.program
        if lif:
            one = SHARED if self.chip else ()
            arguments = {k: _plain(np.ravel(v)[0] if k in one else v) for k, v in lif.arguments.items()}
            return LIF(shape=(population.size,), **arguments)
        assert program is not None
        dtype = np.int64 if self.fixed else np.float64
        initial = np.zeros((max(len(program.form.state), 1), population.size), dtype)
        for k, values in enumerate(initial_state(population).values()):
            initial[k] = values
        bias = population.bias_vector().astype(dtype)
        return StepNeuron(program=program, initial=initial, bias=bias, first=population.lag, dt=self.net.dt)

    def _connect(self) -> None:
        for wire in wires(self.net):
            spikes = self._spikes(wire.pre)
            if wire.relayed:
                size = self.net.node(wire.pre).size
                columns = np.arange(size) if wire.columns is None else wire.columns
                relay = Relay(size=size, columns=columns, wait=wire.wait)
                spikes.connect(relay.s_in)
                spikes = relay.s_out
            to = self.neurons[wire.post].a_in
            if wire.conv is not None:
                self.connections.append(_connect_conv(wire, wire.conv, spikes, to))
                continue
            connection = _connection(wire) if wire.rule is None else _learning(wire, wire.rule)
            spikes.connect(connection.s_in)
            if wire.rule is not None:
                self._spikes(wire.post).connect(connection.s_in_bap)
                self.learning[wire.name] = connection
            connection.a_out.connect(to)
            self.connections.append(connection)

    def _spikes(self, name: str) -> Any:
        """The port where a node's spikes come out; inputs become sources when they are first asked for."""
        if name not in self.neurons and name not in self.sources:
            self.sources[name] = RingBuffer(data=self._columns(name))
        return (self.neurons.get(name) or self.sources[name]).s_out

    def _columns(self, name: str) -> Any:
        """(size, machine steps): what the input sends at each machine step."""
        node, events = self.net.inputs[name], self.inputs.get(name)
        data = np.zeros((node.size, self.machine_steps), np.int32 if self.fixed else np.float64)
        if events is not None:
            data[events.ids, events.times + node.lag] = 1 if events.payload is None else events.payload
        return data


class Builder(ProcessGraph):
    """A process graph with recorders, for one run.

    folder: where the recorders write `spikes<k>.npy` (k-th population), `state<k>.npy` (k-th asked state) and `weights<k>.npy`
    (of the k-th projection at the end, where it learns).
    """

    def __init__(
        self,
        net: Network,
        inputs: Mapping[str, Events],
        steps: int,
        folder: Path,
        states: Sequence[tuple[str, str]] = (),
        every: int = 1,
    ) -> None:
        super().__init__(net, inputs, steps)
        self.folder = folder
        for k, (name, projection) in enumerate(net.projections.items()):
            if projection.learning is not None:
                asked = [n for n, key in enumerate(states) if key == (name, "w")]
                trace = folder / f"state{asked[0]}.npy" if asked else None
                connect = self._record_weights if name in self.learning else self._connect_plastic
                connect(projection, folder / f"weights{k}.npy", trace, every)
        self._record_states(states)
        self.recorders = self._record_spikes()

    @property
    def root(self) -> Any:
        """The process to run; all others are connected to it. None where there is no population."""
        return next(iter(self.neurons.values()), None)

    def _connect_plastic(self, projection: Projection, final: Path, trace: Path | None, every: int) -> None:
        population, plasticity = self.net.populations[projection.post], projection.plasticity
        assert plasticity is not None
        inputs = len(population.neuron.model.inputs)
        process = PlasticConnection(
            projection=projection,
            net=self.net,
            size=inputs * population.size,
            place=population.slot(projection.receptor) * population.size,
            first=population.lag,
            steps=self.steps,
            final=final,
            trace=trace,
            every=every,
        )
        self._spikes(projection.pre).connect(process.s_in)
        self._spikes(projection.post).connect(process.s_back)
        if plasticity.reward is not None:
            self._spikes(plasticity.reward).connect(process.reward_in)
        process.a_out.connect(self.neurons[projection.post].a_in)
        self.connections.append(process)

    def _record_weights(self, projection: Projection, final: Path, trace: Path | None, every: int) -> None:
        """Add a recorder for what a LearningDense has learned by the end of each step of its target."""
        pre, post = projection.connectivity.synapses()
        recorder = WeightRecorder(
            weights=self.learning[projection.name].weights.init,
            places=(post, pre),
            lag=self.net.node(projection.post).lag,
            steps=self.steps,
            final=final,
            trace=trace,
            every=every,
        )
        recorder.source.connect_var(self.learning[projection.name].weights)

    def _record_states(self, states: Sequence[tuple[str, str]]) -> None:
        """Add a recorder for each (population, state)."""
        dtype = np.int64 if self.fixed else np.float64
        for k, (name, state) in enumerate(states):
            if name in self.net.projections:
                continue  # the connection itself keeps its weights
            population, process = self.net.populations[name], self.neurons[name]
            lif = library_lif(population)
            var = getattr(process, lif.variables[state]) if lif else process.state
            recorder = StateRecorder(
                path=self.folder / f"state{k}.npy", shape=var.shape, first=population.lag, steps=self.steps, dtype=dtype
            )
            recorder.source.connect_var(var)

    def _record_spikes(self) -> dict[str, Any]:
        recorders: dict[str, Any] = {}
        for k, (name, population) in enumerate(self.net.populations.items()):
            path = self.folder / f"spikes{k}.npy"
            recorder = SpikeRecorder(
                path=path, size=population.size, first=population.lag, steps=self.steps, graded=population.graded
            )
            self.neurons[name].s_out.connect(recorder.s_in)
            recorders[name] = recorder
        linked = nx.Graph()
        linked.add_nodes_from(self.net.graph)
        linked.add_edges_from((x.pre, x.post) for x in self.net.projections.values() if len(x.connectivity) or x.learning)
        rewards = ((x.plasticity.reward, x.post) for x in self.net.projections.values() if x.plasticity and x.plasticity.reward)
        linked.add_edges_from(rewards)
        parts = [[x for x in part if x in recorders] for part in nx.connected_components(linked)]
        ends = [recorders[part[0]] for part in parts if part]
        for one, other in pairwise(ends):
            one.link_out.connect(other.link_in)
        return recorders


def _connect_conv(wire: Wire, conv: Conv2d, spikes: Any, to: Any) -> Any:
    """Lava's Conv has images as (width, height, channels) and flips its kernel."""
    weights = np.ascontiguousarray(wire.weights.transpose(0, 3, 2, 1)[:, ::-1, ::-1, :])
    process = Conv(
        weight=weights,
        input_shape=conv.in_shape[::-1],
        stride=conv.stride[::-1],
        padding=(conv.padding[1][0], conv.padding[0][0]),
        groups=conv.groups,
        num_message_bits=wire.message_bits,
    )
    spikes.reshape(conv.in_shape).transpose([2, 1, 0]).connect(process.s_in)
    process.a_out.transpose([2, 1, 0]).reshape((conv.n_post,)).connect(to)
    return process


def _connection(wire: Wire) -> Any:
    parameters = dict(wire.loihi)
    if "sign_mode" in parameters:
        parameters["sign_mode"] = SignMode[parameters["sign_mode"].upper()]
    dense = isinstance(wire.weights, np.ndarray)
    plain: Callable[..., Any] = Dense if dense else Sparse
    delayed: Callable[..., Any] = DelayDense if dense else DelaySparse
    parameters |= {"weights": wire.weights, "num_message_bits": wire.message_bits}
    return plain(**parameters) if wire.delays is None else delayed(delays=wire.delays, **parameters)


def _learning(wire: Wire, rule: LoihiRule) -> Any:
    """Lava's LearningDense, with the rule in Lava's words."""
    numbers = {f"{trace}_{what}": getattr(rule, f"{trace}_{what}") for trace in TRACES for what in ("impulse", "tau")}
    words = Loihi2FLearningRule(**rule.texts, **numbers, t_epoch=rule.t_epoch, rng_seed=rule.rng_seed)
    parameters = {**wire.loihi, "sign_mode": SignMode[wire.loihi["sign_mode"].upper()]}
    return LearningDense(weights=wire.weights, learning_rule=words, **parameters)


def _plain(value: Any) -> Any:
    """A scalar as Python's own int or float, as Lava keeps it in a variable that is not an array."""
    return value.item() if np.ndim(value) == 0 else value

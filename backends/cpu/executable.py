"""A network in the compiled kernel."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backends.base import Counters, Record, Result, initial_state, readable_state, run_in_turn
from neurocomp.backends.cpu import layout
from neurocomp.backends.cpu.codegen import digest
from neurocomp.ir.connectivity import Dense
from neurocomp.ir.convolution import Conv2d
from neurocomp.ir.errors import UnsupportedError
from neurocomp.ir.events import Events
from neurocomp.ir.network import Input, Network, Population


class CpuExecutable:
    """Owns the state arrays and the engine that runs over them."""

    def __init__(self, net: Network, threads: int = 1) -> None:
        from neurocomp.kernels.engine import Engine

        if not isinstance(threads, int) or not 1 <= threads <= 64:
            raise UnsupportedError("cpu", [f"threads must be a whole number from 1 to 64, not {threads!r}"])
        self.net, self.threads = net, threads
        ring = max((x.max_delay for x in net.projections.values()), default=1) + net.max_lag + 2
        self.engine = Engine(threads, ring, net.max_lag, net.dt)
        self.state: dict[str, dict[str, NDArray[Any]]] = {}
        self.index = {name: self._add_node(node) for name, node in net.nodes.items()}
        self._add_projections()
        self.engine.seal()

    def _add_node(self, node: Input | Population) -> int:
        if isinstance(node, Input):
            return self.engine.add_input(node.size, node.lag, node.graded)
        program, grid = node.program, node.grid
        assert program is not None
        assert grid is not None
        state = self.state[node.name] = initial_state(node)
        integer = program.form.arithmetic == "loihi"
        dtype = np.int64 if integer else np.float64
        constants = [np.atleast_1d(np.array(program.constants[name], dtype)) for name in program.form.constants]
        return self.engine.add_population(
            node.size,
            node.lag,
            self._compiled(node),
            [state[name] for name in program.form.state],
            constants,
            layout.resting_input(node, grid.exponent),
            2.0**grid.exponent,
            integer,
            grid.bits == 64,
            program.spikes,
            node.graded,
            layout.channel_plane(self.net.incoming(node.name)),
            program.key,
        )

    def _compiled(self, node: Population) -> object:
        from neurocomp.kernels.updates import TABLE

        assert node.program is not None
        key = digest(node.program.form)
        if key not in TABLE:
            raise UnsupportedError(
                "cpu",
                [
                    f"population '{node.name}': the update of {node.neuron.model.name} was not compiled when the package was "
                    "built (built-in neurons are); run it with target='reference'"
                ],
            )
        return TABLE[key]

    def _add_projections(self) -> None:
        self.projections: list[str] = []
        for projection in self.net.projections.values():
            population = self.net.populations[projection.post]
            grid, receptor = population.grid, population.slot(projection.receptor)
            assert grid is not None
            pre, post = self.index[projection.pre], self.index[projection.post]
            where = (pre, post, layout.delays_of(projection), projection.shift)
            connectivity = projection.connectivity
            if isinstance(connectivity, Conv2d):
                self.engine.add_conv(
                    *where,
                    layout.conv_weights(connectivity, grid.exponent),
                    connectivity.in_shape,
                    connectivity.output_shape,
                    connectivity.groups,
                    layout.conv_taps(connectivity, 0),
                    layout.conv_taps(connectivity, 1),
                    receptor,
                )
            elif isinstance(connectivity, Dense) and not np.ndim(projection.delay):
                rows = None if connectivity.columns is None else connectivity.columns.astype(np.int32)
                self.engine.add_dense(*where, layout.dense_rows(connectivity, grid.exponent), rows, receptor)
            else:
                blocks = layout.sparse_blocks(projection, grid.exponent, self.engine.bounds(post))
                self.engine.add_sparse(*where, blocks, receptor)
            self.projections.append(projection.name)

    def synapse_bytes(self) -> int:
        """Memory the kernel holds for synapses, in bytes."""
        return self.engine.synapse_bytes()

    def reset(self) -> None:
        """Back to the initial state and step 0."""
        self.engine.reset()
        for name, population in self.net.populations.items():
            for state, values in initial_state(population).items():
                self.state[name][state][:] = values

    def run_batch(self, samples: Sequence[Mapping[str, Events]], steps: int, record: Record) -> list[Result]:
        """One sample after the other, each from the initial state."""
        return run_in_turn(self, samples, steps, record)

    def run(self, inputs: Mapping[str, Events], steps: int, record: Record) -> Result:
        """Continue from the current state for `steps` steps."""
        began = time.perf_counter()
        traces = {key: self._trace(key, steps // record.every) for key in record.states}
        wanted = [name for name in record.spikes if name in self.net.populations]
        try:
            spikes, counts, events = self.engine.run(
                steps,
                {self.index[name]: self._given(name, x) for name, x in inputs.items()},
                [self.index[name] for name in wanted],
                [(self.index[name], self._state_number(name, state), trace) for (name, state), trace in traces.items()],
                record.every,
            )
        except BaseException:
            self.reset()
            raise
        recorded = {name: inputs[name] for name in record.spikes if name in inputs}
        for name in wanted:
            times, ids, payload = spikes[self.index[name]]
            recorded[name] = Events(times, ids, self.net.populations[name].shape, steps, payload)
        counters = Counters(
            {name: counts[index] for name, index in self.index.items()},
            {name: x.size * steps for name, x in self.net.populations.items()},
            dict(zip(self.projections, events, strict=True)),
        )
        states = {key: readable_state(self.net.populations[key[0]], key[1], trace) for key, trace in traces.items()}
        return Result({name: recorded[name] for name in record.spikes}, states, counters, time.perf_counter() - began)

    def _trace(self, key: tuple[str, str], rows: int) -> NDArray[Any]:
        values = self.state[key[0]][key[1]]
        return np.empty((rows, len(values)), values.dtype)

    def _state_number(self, name: str, state: str) -> int:
        return list(self.state[name]).index(state)

    def _given(self, name: str, events: Events) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32] | None]:
        graded = self.net.inputs[name].graded
        payload = None
        if graded:
            given = np.ones(len(events)) if events.payload is None else events.payload
            payload = given.astype(np.int32)
        return events.by_step(), events.ids.astype(np.int32), payload

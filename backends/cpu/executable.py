"""A network in the compiled kernel."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backends.base import Counters, Record, Result, check_numbers, initial_state, readable_state, run_in_turn
from neurocomp.backends.cpu import layout, tables
from neurocomp.backends.cpu.compiled import JIT, Update, update_for
from neurocomp.backends.cpu.plastic import Memory, PlasticArrays, constants_of, engine_of, rule_of
from neurocomp.backends.cpu.toolchain import CannotCompileError
from neurocomp.backends.loihi_learning import Draws
from neurocomp.backends.snapshot import Snapshot, engine_time, part, put_spikes, spikes_of
from neurocomp.ir.connectivity import Dense
from neurocomp.ir.convolution import Conv2d
from neurocomp.ir.errors import CacheWarning, NumpyFallbackWarning, UnsupportedError, callers_level
from neurocomp.ir.events import Events
from neurocomp.ir.network import Input, LoihiSynapse, Network, Population, Projection
from neurocomp.ir.plasticity import LoihiRule
from neurocomp.ir.program import StepForm
from neurocomp.kernels.checks import aligned

SPINS = 4000  # some 0.1 ms: steps are shorter, unless another process has the core


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class CpuExecutable:
    """Owns the state arrays and the engine that runs over them."""

    def __init__(self, net: Network, threads: int = 1, jit: str = "auto") -> None:
        from neurocomp.kernels.engine import Engine

        if not isinstance(threads, int) or not 1 <= threads <= 64:
            raise UnsupportedError("cpu", [f"threads must be a whole number from 1 to 64, not {threads!r}"])
        if jit not in JIT:
            raise UnsupportedError("cpu", [f"jit is one of {', '.join(map(repr, JIT))}, not {jit!r}"])
        self.net, self.threads, self.jit, self.now = net, threads, jit, 0
        self.updates: dict[StepForm, Update] = {}
        ring = net.longest_delay + net.max_lag + 2
        self.engine = Engine(threads, ring, net.max_lag, net.dt, SPINS if threads <= _cores() else 0)
        self.state: dict[str, dict[str, NDArray[Any]]] = {}
        self.index = {name: self._add_node(node) for name, node in net.nodes.items()}
        self._add_projections()
        self.engine.seal()
        self._warn()

    def _add_node(self, node: Input | Population) -> int:
        if isinstance(node, Input):
            return self.engine.add_input(node.size, node.lag, node.graded)
        program, grid = node.program, node.grid
        assert program is not None
        assert grid is not None
        state = self.state[node.name] = {name: aligned(values) for name, values in initial_state(node).items()}
        arithmetic, dtype = program.form.arithmetic, program.form.dtype
        update = self._update(node, program.form)
        constants = [np.atleast_1d(np.array(program.constants[name], dtype)) for name in program.form.constants]
        return self.engine.add_population(
            node.size,
            node.lag,
            update.capsule,
            [state[name] for name in program.form.state],
            constants,
            layout.resting_input(node, grid.exponent),
            2.0**grid.exponent,
            arithmetic == "loihi",
            grid.bits == 64,
            node.graded,
            layout.channel_plane(self.net.incoming(node.name)),
            program.key,
            update.context,
            program.form.autonomous,
            arithmetic == "float32",
        )

    def _update(self, node: Population, form: StepForm) -> Update:
        """The update of a form, found or made once."""
        if form not in self.updates:
            try:
                self.updates[form] = update_for(form, self.jit)
            except CannotCompileError as error:
                raise UnsupportedError("cpu", [f"population '{node.name}' of {node.neuron.model.name}: {error}"]) from None
        return self.updates[form]

    def _own(self) -> Iterator[tuple[str, Update]]:
        """The updates that are not built in, each with whose it is."""
        for name, node in self.net.populations.items():
            assert node.program is not None
            update = self.updates[node.program.form]
            if update.how != "built in":
                yield f"population '{name}': update of {node.neuron.model.name}", update
        for name, rule in self.rules.items():
            if rule.how != "built in":
                yield f"projection '{name}': its learning rule", rule

    def _warn(self) -> None:
        """Say once per program what is slow, and what will have to be compiled again."""
        slow = [f"\n  {whose} {update.story}" for whose, update in self._own() if update.how == "numpy"]
        unkept = [f"\n  {whose}, as {update.unkept}" for whose, update in self._own() if update.unkept]
        if slow and self.jit != "off":
            text = "not compiled: spikes are the same, but take much longer (jit='off' asks for that, without a warning)"
            warnings.warn(text + "".join(slow), NumpyFallbackWarning, stacklevel=callers_level())
        if unkept:
            warnings.warn(f"compiled for this process only:{''.join(unkept)}", CacheWarning, stacklevel=callers_level())

    def notes(self) -> list[str]:
        """For `Program.explain`: where each update that is not built in comes from."""
        return [f"[cpu] {whose} {update.story}" for whose, update in self._own()]

    def _add_projections(self) -> None:
        self.projections: list[str] = []
        self.plastic: dict[str, PlasticArrays] = {}
        self.rules: dict[str, Update] = {}
        self.draws: dict[str, Draws] = {}
        listed: list[tables.Listed] = []
        for projection in self.net.projections.values():
            population = self.net.populations[projection.post]
            grid, receptor = population.grid, population.slot(projection.receptor)
            assert grid is not None
            pre, post = self.index[projection.pre], self.index[projection.post]
            where = (pre, post, layout.delays_of(projection), projection.shift)
            connectivity = projection.connectivity
            if projection.learning is not None:
                self._add_plastic(projection, receptor)
            elif isinstance(connectivity, Conv2d):
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
                number = self.engine.add_sparse(*where, connectivity.row_lengths(), receptor)
                listed.append(tables.Listed(number, projection, grid.exponent, self.engine.places(post), receptor))
            self.projections.append(projection.name)
        for members in tables.together(self.net, listed):
            self.engine.add_table(*tables.table(members, self.threads))

    def _add_plastic(self, projection: Projection, receptor: int) -> None:
        pre, post = self.index[projection.pre], self.index[projection.post]
        arrays = self.plastic[projection.name] = PlasticArrays(projection, self.engine.bounds(post))
        if isinstance(projection.learning, LoihiRule):
            self._add_engine(projection, projection.learning, arrays, receptor)
            return
        plasticity = projection.plasticity
        assert plasticity is not None
        rule = self.rules[projection.name] = rule_of(projection)
        self.engine.add_plastic(
            pre,
            post,
            layout.delays_of(projection),
            rule.capsule,
            constants_of(projection),
            2.0 ** -self.net.exponent(projection.post),
            arrays.blocks,
            -1 if plasticity.reward is None else self.index[plasticity.reward],
            plasticity.reward_delay,
            receptor,
        )

    def _add_engine(self, projection: Projection, rule: LoihiRule, arrays: PlasticArrays, receptor: int) -> None:
        self.draws[projection.name] = Draws(rule)
        self.engine.add_plastic(
            self.index[projection.pre],
            self.index[projection.post],
            layout.delays_of(projection),
            None,
            np.zeros(0),
            2.0 ** max((projection.loihi or LoihiSynapse()).weight_exp, 0),
            arrays.blocks,
            receptor=receptor,
            shift=projection.shift,
            engine=engine_of(projection, rule),
        )

    def _drawn(self, steps: int) -> list[tuple[int, NDArray[np.float64]]]:
        """The random numbers that learning engines use in the next `steps` steps, by number of the projection."""
        result = []
        for name, draws in self.draws.items():
            last = self.now + steps - 1 + self.net.node(self.net.projections[name].post).lag
            result.append((self.projections.index(name), draws.take(last - draws.time)))
        return result

    def weights(self, name: str) -> NDArray[np.float64]:
        """The current weights of a plastic projection, one a synapse."""
        return self.plastic[name].weights().ravel()

    def synapse_bytes(self) -> int:
        """Memory the kernel holds for synapses, in bytes."""
        return self.engine.synapse_bytes()

    def reset(self) -> None:
        """Back to the initial state and step 0."""
        self.now = 0
        self.engine.reset()
        for name, population in self.net.populations.items():
            for state, values in initial_state(population).items():
                self.state[name][state][:] = values
        for arrays in self.plastic.values():
            arrays.reset()
        for draws in self.draws.values():
            draws.reset()

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """The state between two steps; see `backends/snapshot.py`."""
        result: dict[str, NDArray[Any]] = {"step": np.array(self.now, np.int64)}
        for n, (name, index) in enumerate(self.index.items()):
            result |= {f"nodes/{n}/state/{state}": x.copy() for state, x in self.state.get(name, {}).items()}
            put_spikes(result, self.net, name, self.engine.on_the_way(index))
        for n, memory in self._memories():
            result |= {f"projections/{n}/{key}": x for key, x in memory.taken().items()}
        return result

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of this network, taken with any number of threads."""
        self.reset()
        self.now = int(snapshot["step"])
        spikes = {}
        for name, (steps, ids, payload) in spikes_of(self.net, snapshot):
            sent = None if payload is None else payload.astype(np.int32)
            spikes[self.index[name]] = (np.ascontiguousarray(steps), ids.astype(np.int32), sent)
        self.engine.recall(self.now, spikes)
        for n, name in enumerate(self.index):
            for state, values in part(snapshot, f"nodes/{n}/state/").items():
                self.state[name][state][:] = values
        for n, memory in self._memories():
            time = engine_time(self.net, memory.projection, self.now)
            memory.recall(part(snapshot, f"projections/{n}/"), time)
            if memory.projection.name in self.draws:
                self.draws[memory.projection.name].skip(time)

    def _memories(self) -> Iterator[tuple[int, Memory]]:
        """Of every plastic projection, with its number in the network."""
        for n, (name, projection) in enumerate(self.net.projections.items()):
            if name in self.plastic:
                memory = self.engine.memory_of(self.projections.index(name))
                yield n, Memory(projection, self.plastic[name], memory)

    def run_batch(self, samples: Sequence[Mapping[str, Events]], steps: int, record: Record) -> list[Result]:
        """One sample after the other, each from the initial state."""
        return run_in_turn(self, samples, steps, record)

    def run(self, inputs: Mapping[str, Events], steps: int, record: Record) -> Result:
        """Continue from the current state for `steps` steps."""
        began = time.perf_counter()
        rows = (self.now + steps) // record.every - self.now // record.every
        traces = {key: self._trace(key, rows) for key in record.states if key[0] in self.state}
        learned = {key: self.plastic[key[0]].recorders(rows) for key in record.states if key[0] in self.plastic}
        wanted = [name for name in record.spikes if name in self.net.populations]
        try:
            spikes, counts, events = self.engine.run(
                steps,
                {self.index[name]: self._given(name, x) for name, x in inputs.items()},
                [self.index[name] for name in wanted],
                [(self.index[name], self._state_number(name, state), trace) for (name, state), trace in traces.items()],
                record.every,
                [(self.projections.index(name), arrays) for (name, _), arrays in learned.items()],
                self._drawn(steps),
            )
        except BaseException:
            self.reset()
            raise
        self.now += steps
        check_numbers(self.net, self.state)
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
        states |= {key: self.plastic[key[0]].restored(arrays) for key, arrays in learned.items()}
        states = {key: states[key] for key in record.states}
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

"""`compile` and `Program`: from a network to something that runs."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp import state_files
from neurocomp.backends import base, memory, registry
from neurocomp.ir import passes
from neurocomp.ir.errors import CompileError, InputError, UnsupportedError
from neurocomp.ir.events import Events, empty, from_data
from neurocomp.ir.network import Change, Input, Network
from neurocomp.ir.passes.loihi import refuse_wraps, wrap_risks
from neurocomp.ir.program import DTYPES
from neurocomp.ir.verify import verify
from neurocomp.quantisation_wraps import watching
from neurocomp.recording import Recording, from_result

Inputs = Mapping[str, Any]


def compile(
    net: Network,
    target: str = "cpu",
    *,
    arithmetic: str | None = None,
    mantissa_bits: int = 24,
    quantise: passes.Quantise | str | None = None,
    accept_wrap: bool = False,
    callback: passes.Callback | None = None,
    **options: Any,
) -> Program:
    """Compile a network for a backend.

    target: "reference", "cpu" or "lava". arithmetic: "float", "float32" or "loihi"; None takes what the neurons are written in.
    A float network computes in 32 bits with "float32", and is quantised with "loihi"; quantise: how (`passes.Quantise(...)` or
    a strategy's name, default "mse"). accept_wrap: go on where a current of Loihi's could wrap around in the worst case (also
    by the same option of `Quantise`); "reference" then warns where one first does. mantissa_bits: precision of the weight grid
    (24: float32's). callback(pass, before, after): called after each pass. options: the backend's own, such as threads=2 or
    timeout=60. Raises `VerificationError` for an invalid network, `CompileError` where a pass cannot transform it or a current
    could wrap around, and `UnsupportedError` with all reasons where the backend cannot run it.
    """
    if not isinstance(net, Network):
        raise CompileError("compile", f"takes a Network, not a {type(net).__name__} (load files with nc.load or nc.from_nir)")
    memory.check_network(net, target)
    verify(net)
    if not isinstance(accept_wrap, bool):
        raise CompileError(net.name, f"accept_wrap is True or False, not {reprlib.repr(accept_wrap)}")
    given = None if quantise is None else as_quantise(quantise)
    accepted = accept_wrap or (given is not None and given.accept_wrap)
    how = _quantise(net, arithmetic, given, accepted)
    lowered = passes.standard(mantissa_bits, callback, how, arithmetic == "float32")(net)
    risks = wrap_risks(lowered)
    if not accepted:
        vouched = {x.name for x in net.populations.values() if how is not None and how.vouches_for(x)}
        refuse_wraps({name: bounds for name, bounds in risks.items() if name not in vouched})
    return _program(net, lowered, target, options)


def _program(net: Network, lowered: Network, target: str, options: Mapping[str, Any]) -> Program:
    backend = registry.get(target)
    base.check(backend, lowered, options)
    return Program(net, lowered, target, backend, watching(backend.lower(lowered, **options), wrap_risks(lowered)))


def _quantise(net: Network, wanted: str | None, given: passes.Quantise | None, accepted: bool) -> passes.Quantise | None:
    """The quantise pass where float neurons are to run in Loihi's integers; mixtures that are not asked for are refused."""
    if wanted is not None and wanted not in DTYPES:
        raise CompileError(net.name, f"arithmetic is {', '.join(map(repr, DTYPES))} or None, not {wanted!r}")
    if given is not None and wanted in ("float", "float32"):
        raise CompileError(net.name, "quantise= is for arithmetic='loihi'; leave one of them out")
    kinds = {name: population.neuron.model.arithmetic for name, population in net.populations.items()}
    if given is not None or wanted == "loihi":
        return replace(as_quantise(given), accept_wrap=accepted) if "float" in kinds.values() else None
    wanted = wanted or next(iter(kinds.values()), "float")
    for name, kind in kinds.items():
        if kind != ("float" if wanted == "float32" else wanted):
            model = net.populations[name].neuron.model.name
            cure = "compile with arithmetic='loihi'" if wanted == "loihi" else "use a float model such as CubaLIF"
            raise CompileError(name, f"{model} is {kind} arithmetic, but the program is to be {wanted}; {cure}")
    return None


def as_quantise(given: passes.Quantise | str | None) -> passes.Quantise:
    """The pass itself, one of the strategy named, or the default one. Raises `CompileError` for anything else."""
    if isinstance(given, passes.Quantise):
        return given
    if given is not None and not isinstance(given, str):
        raise CompileError(
            "quantise", f"quantise= takes a strategy's name such as 'mse', or nc.Quantise(...), not {reprlib.repr(given)}"
        )
    return passes.Quantise() if given is None else passes.Quantise(given)  # type: ignore[arg-type] # it checks the name


class Program:
    """A compiled network. `run` starts from the initial state; `step` goes on from where the last call ended."""

    def __init__(self, net: Network, lowered: Network, target: str, backend: base.Backend, executable: base.Executable) -> None:
        self.network, self.lowered, self.target = net, lowered, target
        self._backend, self._executable = backend, executable
        self._now = 0  # steps since the last reset

    def run(
        self,
        inputs: Inputs | None = None,
        steps: int | None = None,
        record: Iterable[str] = ("spikes",),
        *,
        every: int = 1,
        resume: bool = False,
    ) -> Recording:
        """Run the network.

        inputs: input name -> raster (steps, *shape), pair (times, ids), triple with payloads, or `Events`; inputs left out
        play the spikes they were made with, or are silent. steps: number of steps; None takes the longest raster. record:
        "spikes" (of all nodes), "name" (spikes of one node) and "name.state" (a state after every `every`-th step). resume:
        go on from the current state.
        """
        if resume:
            self._need("resume")
        start = self._now if resume else 0
        events, steps, what = self.prepare({} if inputs is None else inputs, steps, record, every=every, start=start)
        if not resume:
            self.reset()
        return self._go_on(events, steps, what)

    def _go_on(self, events: Mapping[str, Events], steps: int, what: base.Record) -> Recording:
        memory.check_record(self.lowered, what, steps)
        result, start = self._executable.run(events, steps, what), self._now
        self._now += steps
        return from_result(result, steps, self.network.dt, what.every, start)

    def prepare(
        self,
        inputs: Inputs,
        steps: int | None = None,
        record: Iterable[str] = ("spikes",),
        *,
        every: int = 1,
        start: int = 0,
    ) -> tuple[dict[str, Events], int, base.Record]:
        """Check the arguments of `run` and give them in the backends' form, without running. start: steps since the reset."""
        steps = steps_of([inputs], steps)
        return self._events(inputs, steps, start), steps, self._record(record, every)

    def run_batch(
        self, samples: Sequence[Inputs], steps: int | None = None, record: Iterable[str] = ("spikes",), *, every: int = 1
    ) -> list[Recording]:
        """Run every sample from the initial state; one `Recording` each. Backends may run several at once.

        steps: of every sample; None takes the longest raster of all. Samples differ only in their inputs: random numbers are
        the same in each.
        """
        what = self._record(record, every)
        if isinstance(samples, Mapping | np.ndarray):
            raise InputError("run_batch takes a list of samples, each what `run` takes: [{'x': raster}, {'x': raster}, ...]")
        if not samples:
            return []
        steps = steps_of(samples, steps)
        memory.check_record(self.lowered, what, steps, len(samples))
        events = [self._events(inputs, steps) for inputs in samples]
        results = self._executable.run_batch(events, steps, what)
        self._now = steps
        return [from_result(result, steps, self.network.dt, every) for result in results]

    def step(self, inputs: Mapping[str, Any] | None = None) -> dict[str, NDArray[np.int64]]:
        """One step of a closed loop, from the current state.

        inputs: input name -> ids of the neurons that spike now, or for graded inputs a pair (ids, payloads).
        Returns the ids that spiked, by population.
        """
        self._need("resume")
        events = {}
        for name, ids in (inputs or {}).items():
            graded = name in self.lowered.inputs and self.lowered.inputs[name].max_payload != 1
            parts = ids if graded and isinstance(ids, tuple) else (ids,)
            times = np.zeros(np.size(parts[0]), np.int64)
            events[name] = (times, *(np.atleast_1d(part) for part in parts))
        record = base.Record(spikes=tuple(self.lowered.populations))
        recording = self._go_on(self._events(events, 1, self._now), 1, record)
        return {name: spikes.ids for name, spikes in recording.spikes.items()}

    def on(self, target: str, **options: Any) -> Program:
        """The same compiled network on another backend, or with other options of it: no pass runs again.

        Raises `UnsupportedError` with all reasons where the backend cannot run it.
        """
        return _program(self.network, self.lowered, target, options)

    def weights(self, projection: str) -> NDArray[np.float64]:
        """The current weights of a projection, shaped as its connectivity's; of one that learns, as learned so far."""
        if projection not in self.lowered.projections:
            known = ", ".join(self.lowered.projections) or "none"
            raise InputError(f"there is no projection '{projection}'; the network's projections are {known}")
        written = self.network.projections[projection]
        if written.plasticity is None:
            return written.connectivity.weights
        return self._executable.weights(projection).reshape(written.connectivity.weights.shape).copy()

    def learned(self) -> Network:
        """The network as it was written, with the weights learned so far: save it, or compile it again."""
        changed = {}
        for name, projection in self.network.projections.items():
            if projection.plasticity is not None:
                connectivity = projection.connectivity.with_weights(self.weights(name), None)
                changed[name] = replace(projection, connectivity=connectivity)
        return self.network.with_changes(projections=changed)

    def save_state(self, path: str | os.PathLike[str]) -> Path:
        """Write the state the last run or step ended in, to go on from it in another process; returns the file's path.

        The file holds states, spikes on their way, the number of steps (random numbers are drawn by step), and what plastic
        projections have learned and remember; it names its network. `.state` is appended where there is no suffix.
        Raises `UnsupportedError` where the backend keeps no state, `OSError` where the file cannot be written; an older file is
        then left as it was.
        """
        self._need("resume")
        return state_files.save(self.lowered, self._executable.snapshot(), path)

    def load_state(self, path: str | os.PathLike[str]) -> None:
        """Go on from a saved state, bit for bit: `run(..., resume=True)` and `step` continue where the saving program was.

        The file may come from any backend with `resume` and any number of threads, if its program was compiled from the same
        network with the same options. Raises `FileFormatError` for any other file; the program's own state then stays.
        """
        self._need("resume")
        state = state_files.load(self.lowered, self._executable.snapshot(), path)
        self._executable.restore(state)
        self._now = int(state["step"])

    def reset(self) -> None:
        """Back to the initial state."""
        self._now = 0
        self._executable.reset()

    @property
    def changes(self) -> tuple[Change, ...]:
        """Every change the compiler made, in order."""
        return self.lowered.changes

    def explain(self) -> str:
        """Every change the compiler made: pass, subject, before, after, why; then the program of each population."""
        lines = [f"{self.network.name} -> {self.target} ({self._backend.description})", *map(str, self.changes)]
        notes = getattr(self._executable, "notes", None)  # what a backend has to say beyond the passes
        return "\n".join([*lines, *(notes() if notes else []), "", str(self.lowered)])

    def lava_processes(self, inputs: Inputs | None = None, steps: int = 1) -> dict[str, Any]:
        """The built, unrun Lava processes, for users who have a chip and its run configuration (target="lava" only).

        Populations whose neurons differ in du, dv or vth are split, as these belong to a process on Loihi. Returns
        "neurons": population -> list of (process, flat neuron indices); "sources": input -> RingBuffer that plays `inputs`
        over `steps` steps; "connections": projection -> list of its Dense, Sparse or Conv processes, one for each pair of
        parts; "notes": which convolutions had to be expanded into single synapses, which projections learn in a process that is
        not Lava's, and why. Imports Lava into this process.
        """
        from neurocomp.backends.lava.chip import by_projection

        build = getattr(self._executable, "process_graph", None)
        if build is None:
            raise UnsupportedError(self.target, ["it has no Lava processes; compile with target='lava'"])
        events, steps, _ = self.prepare(inputs or {}, steps, ())
        graph: dict[str, Any] = build(events, steps)
        connections, notes = by_projection(self.lowered, graph["connections"])
        return {**graph, "connections": connections, "notes": notes}

    def __repr__(self) -> str:
        return f"<Program '{self.network.name}' for {self.target}>"

    # ---------------------------------------------------------------------------------------------------------- inside

    def _need(self, feature: str) -> None:
        declared = base.support(self._backend, feature)
        if not declared.ok:
            raise UnsupportedError(self.target, [f"{base.FEATURES[feature]}: {declared.reason}"])

    def _events(self, inputs: Inputs, steps: int, start: int = 0) -> dict[str, Events]:
        for name in inputs:
            if name not in self.lowered.inputs:
                known = ", ".join(self.lowered.inputs) or "none"
                raise InputError(f"there is no input '{name}'; the network's inputs are {known}")
        return {
            name: from_data(name, inputs[name], node.shape, steps, node.max_payload)
            if name in inputs
            else _own_events(node, start, steps)
            for name, node in self.lowered.inputs.items()
        }

    def _record(self, record: Iterable[str], every: int = 1) -> base.Record:
        if not isinstance(every, int | np.integer) or every < 1:
            raise InputError(f"every must be a positive whole number of steps, not {every!r}")
        if isinstance(record, str):
            record = (record,)
        spikes: dict[str, None] = {}
        states = []
        for item in record:
            name, _, state = item.rpartition(".")
            if item == "spikes":
                spikes |= dict.fromkeys(self.lowered.nodes)
            elif item in self.lowered.nodes:
                spikes[item] = None
            elif name in self.lowered.nodes or name in self.lowered.projections:
                states.append((name, state))
            else:
                known = ", ".join(self.lowered.nodes)
                raise InputError(f"cannot record '{item}'; use 'spikes', a node ({known}) or 'population.state'")
        base.check_states(self.lowered, states)
        return base.Record(tuple(spikes), tuple(states), int(every))


def _own_events(node: Input, start: int, steps: int) -> Events:
    """What an input plays by itself in the steps from start on."""
    if node.spikes is None:
        return empty(node.shape, steps)
    times, ids, payload = node.spikes
    return Events(times, ids, node.shape, start + steps, payload).between(start, start + steps)


def _check_mapping(inputs: Any) -> None:
    if not isinstance(inputs, Mapping):
        raise InputError(f"inputs are given by name, such as {{'x': raster}}, not as {type(inputs).__name__}")


def steps_of(samples: Sequence[Inputs], steps: int | None) -> int:
    """The number of steps, checked as the samples are; None takes that of the longest raster. Raises `InputError`."""
    for inputs in samples:
        _check_mapping(inputs)
    if steps is None:
        lengths = [
            x.steps if isinstance(x, Events) else len(x)
            for inputs in samples
            for x in inputs.values()
            if not isinstance(x, (tuple, Mapping))
        ]
        if not lengths:
            raise InputError("steps is needed: event lists do not say how long the run is")
        steps = max(lengths)
    if not isinstance(steps, int | np.integer) or steps < 1:
        raise InputError(f"steps must be a positive whole number, not {steps!r}")
    return int(steps)

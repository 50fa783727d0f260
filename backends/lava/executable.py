"""`LavaBackend` and what it makes of a network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from neurocomp.backends.base import FEATURES, Job, Record, Result, Support
from neurocomp.backends.lava.chip import custom_reason, groups, uniform
from neurocomp.backends.lava.jobs import run_jobs, try_jobs
from neurocomp.backends.lava.match import library_lif
from neurocomp.backends.lava.replicate import replicate
from neurocomp.backends.lava.results import join, split
from neurocomp.backends.lava.wires import why_generated
from neurocomp.ir.errors import BackendError, UnsupportedError
from neurocomp.ir.events import Events
from neurocomp.ir.network import Network

INSTALL = (
    'pip install "neurocomp[lava]" and, as its own requirements are outdated, '
    "pip install --no-deps --ignore-requires-python lava-nc==0.10.0"
)
BUDGET = 20_000_000  # synapses, input and recording cells of one batch run


class LavaBackend:
    """Lava's CPU simulation: library LIF, Dense and Sparse where they fit, generated processes elsewhere."""

    name = "lava"
    description = "Lava processes on the CPU, with Loihi's own arithmetic where asked"
    features: Mapping[str, Support] = {
        **{name: Support(True) for name in FEATURES},
        "resume": Support(False, "every run is a process of its own; use target='cpu' for closed loops"),
        "threads": Support(False, "Lava already runs one process for each population and projection"),
    }
    options: Mapping[str, str] = {
        "timeout": "seconds one run (or one part of a batch) may take; default: 120 and a generous allowance for its size"
    }

    def available(self) -> Support:
        """Whether lava-nc and what it imports are installed; looks without importing."""
        if os.name != "posix":
            return Support(False, "Lava's processes need fork, which this system does not have; use target='cpu'")
        if not _has_lava():
            return Support(False, f"lava-nc is not installed: {INSTALL}")
        missing = [name for name in ("asteval", "sklearn", "scipy") if find_spec(name) is None]
        return Support(False, f"lava-nc needs {', '.join(missing)}: {INSTALL}") if missing else Support(True)

    def lower(self, net: Network, timeout: float | None = None) -> LavaExecutable:
        """The network, ready to run. timeout: seconds per run."""
        if timeout is not None and not timeout > 0:
            raise UnsupportedError(self.name, [f"timeout = {timeout!r} is not a positive number of seconds"])
        return LavaExecutable(net, timeout)

    def try_jobs(self, jobs: Sequence[Job], timeout: float | None = None) -> list[Result | BackendError]:
        """Many networks in one child process, each one's result or its error. timeout: seconds each may take."""
        return try_jobs(jobs, timeout)


class LavaExecutable:
    """A network for Lava. Nothing is kept between runs: each starts a child process and begins at the initial state."""

    def __init__(self, net: Network, timeout: float | None = None) -> None:
        self.net, self.timeout = net, timeout
        self.learned: Mapping[str, Any] = {}

    @property
    def processes(self) -> dict[str, str]:
        """The Lava process of each population: "LIF" is the library's, which maps to Loihi, "StepNeuron" is generated."""
        return {name: "LIF" if library_lif(x) else "StepNeuron" for name, x in self.net.populations.items()}

    def notes(self) -> list[str]:
        """What became of each population, and of projections that learn, for `explain()`."""
        lines = []
        for name, population in self.net.populations.items():
            reason = custom_reason(population)
            if reason is None:
                parts = len(groups(population))
                more = f"; on Loihi as {parts} processes, one for each different du, dv and vth" if parts > 1 else ""
                lines.append(f"[lava] {name}: library LIF, maps to Loihi{more}")
            else:
                lines.append(f"[lava] {name}: generated process, a neuron of one's own on Loihi 2: {reason}")
        for name, projection in self.net.projections.items():
            if projection.learning is not None:
                reason = why_generated(projection)
                made = "LearningDense, maps to Loihi" if reason is None else f"learns in a generated process: {reason}"
                lines.append(f"[lava] {name}: {made}")
        return lines

    def process_graph(self, inputs: Mapping[str, Events], steps: int) -> Any:
        """The built, unrun Lava processes for a chip; see `Program.lava_processes`. Imports Lava into this process."""
        from neurocomp.backends.lava.shim import prepare_lava

        prepare_lava()
        from neurocomp.backends.lava.build import ProcessGraph

        net, parts = uniform(self.net)
        graph = ProcessGraph(net, inputs, steps, chip=True)
        neurons = {name: [(graph.neurons[part], ids) for part, ids in pieces] for name, pieces in parts.items()}
        return {"neurons": neurons, "sources": graph.sources, "connections": graph.connections}

    def reset(self) -> None:
        """Back to the initial weights; every run begins at the initial state anyway."""
        self.learned = {}

    def weights(self, name: str) -> Any:
        """The weights of a plastic projection after the last run."""
        return self.learned.get(name, self.net.projections[name].connectivity.values())

    def snapshot(self) -> Mapping[str, Any]:
        """Refused: nothing is kept between runs."""
        raise UnsupportedError("lava", [f"{FEATURES['resume']}: {LavaBackend.features['resume'].reason}"])

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Refused: every run begins at the initial state."""
        self.snapshot()

    def run(self, inputs: Mapping[str, Events], steps: int, record: Record) -> Result:
        """Run from the initial state."""
        result = run_jobs([Job(self.net, inputs, steps, record)], self.timeout)[0]
        self.learned = result.weights
        return result

    def run_batch(self, samples: Sequence[Mapping[str, Events]], steps: int, record: Record) -> list[Result]:
        """Run every sample from the initial state, many at once as copies of the network side by side."""
        copies = self._copies(steps, record)
        parts = [samples[k : k + copies] for k in range(0, len(samples), copies)]
        everything = replace(record, spikes=tuple(self.net.populations))
        jobs = []
        for part in parts:
            if len(part) == 1:
                jobs.append(Job(self.net, part[0], steps, record))
            else:
                jobs.append(Job(replicate(self.net, len(part)), join(self.net, part, steps), steps, everything))
        results = []
        for part, whole in zip(parts, run_jobs(jobs, self.timeout), strict=True):
            self.learned = whole.weights
            results += [whole] if len(part) == 1 else split(self.net, part, steps, record, whole)
        return results

    def _copies(self, steps: int, record: Record) -> int:
        """How many samples run at once."""
        if any(x.learning is not None for x in self.net.projections.values()):
            return 1  # each sample learns for itself
        synapses = sum(len(x.connectivity) for x in self.net.projections.values())
        states = sum(self.net.populations[name].size for name, _ in record.states)
        columns = sum(x.size for x in self.net.inputs.values()) + states
        return max(1, BUDGET // max(1, synapses + steps * columns))


def _has_lava() -> bool:
    spec = find_spec("lava")
    return spec is not None and any((Path(x) / "magma").is_dir() for x in spec.submodule_search_locations or ())

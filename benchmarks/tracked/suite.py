"""The networks of `benchmarks/` as asv tracks them: seconds per biological second, nanoseconds per neuron and step."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).parents[1]))

import microcircuit
import networks
import neurons

import neurocomp as nc
from neurocomp.ir.neurons import BUILTIN

NETWORKS: dict[str, Callable[[], nc.Network]] = {
    "cuba": lambda: networks.cuba(4000, *networks.connected(4000)),
    "brunel": networks.brunel,
    "microcircuit at 0.1": lambda: microcircuit.network(0.1),
}


class Networks:
    """Whole networks on the kernel."""

    params: ClassVar[list[list[Any]]] = [list(NETWORKS), [1, 2]]
    param_names: ClassVar[list[str]] = ["network", "threads"]
    timeout = 300

    def setup(self, network: str, threads: int) -> None:
        """Compile, and leave the first transient behind."""
        self.program = nc.compile(NETWORKS[network](), "cpu", threads=threads, mantissa_bits=15)
        self.program.run(steps=1000, record=[])

    def track_seconds(self, network: str, threads: int) -> float:
        """Seconds per biological second (10,000 steps), median of 5."""
        return statistics.median(self.program.run(steps=10_000, record=[]).seconds for _ in range(5))

    track_seconds.unit = "s"  # type: ignore[attr-defined]


class Neurons:
    """One step of 4,000 neurons without synapses."""

    params: ClassVar[list[str]] = [model.name for model in BUILTIN if model.name in ("LIF", "CubaLIF", "AdEx", "HodgkinHuxley")]
    param_names: ClassVar[list[str]] = ["model"]

    def track_step(self, model: str) -> float:
        """Nanoseconds per neuron and step, median of 5."""
        run = neurons.timer(next(x for x in BUILTIN if x.name == model), 4000, 0.1)
        return statistics.median(run() for _ in range(5))

    track_step.unit = "ns"  # type: ignore[attr-defined]

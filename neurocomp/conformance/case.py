"""One conformance case: a network, its inputs, and how long it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurocomp.conformance.draws import Random
from neurocomp.ir.network import Network


@dataclass(frozen=True)
class Case:
    """A network with inputs. Every state of every population is compared, and all spikes and counters.

    inputs: as for `Program.run`. options: further arguments of `compile` (mantissa_bits, accept_wrap, arithmetic).
    """

    name: str
    network: Network
    inputs: Mapping[str, Any]
    steps: int
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def record(self) -> list[str]:
        """Everything there is to compare, in the written network."""
        return everything(self.network)

    @property
    def arithmetic(self) -> str:
        """As asked for, else of the first population: `float`, `float32` or `loihi`."""
        own: str = next(iter(self.network.populations.values())).neuron.model.arithmetic
        return str(self.options.get("arithmetic", own))


def everything(net: Network) -> list[str]:
    """All that can be recorded of a network: give the compiled one where passes change the states, as `quantise` does."""
    states = [f"{name}.{state}" for name, x in net.populations.items() for state in x.neuron.model.state]
    weights = [f"{name}.w" for name, x in net.projections.items() if x.plasticity is not None]
    return ["spikes", *states, *weights]


def spikes(rng: Random, steps: int, shape: tuple[int, ...], rate: float) -> Any:
    """A random raster (steps, *shape) of 0 and 1."""
    return (rng.random((steps, *shape)) < rate).astype(np.int64)


def graded(rng: Random, steps: int, shape: tuple[int, ...], rate: float, largest: int) -> Any:
    """A random raster of payloads in -largest..largest."""
    return spikes(rng, steps, shape, rate) * rng.integers(-largest, largest + 1, (steps, *shape))

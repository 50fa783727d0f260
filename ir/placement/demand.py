"""`Demand`: what a network's neurons ask of the cores they lie on, and what their spikes send from core to core."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.chips import LIMITS, Chip
from neurocomp.ir.network import Network, Population
from neurocomp.ir.placement.reach import Need, Reach, Runs, reach
from neurocomp.ir.placement.result import PlacementError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Content = Mapping[str, Runs]  # what lies on a core: runs of neurons by population
_THRESHOLDS = ("vth", "v_threshold", "threshold")
_PER_NEURON = frozenset({"bias_mant", "bias_exp"})  # stored with each compartment, so they need no format
_FOLDED = frozenset({"r", "w_in", "v_leak", "v_reset"})  # of float models: they become weights, biases and shifts


@dataclass(frozen=True)
class Traffic:
    """What spikes cost between cores. between: (cores, cores) spikes from core to core; inputs: (cores,) spikes of inputs.

    out_axons: (cores,) the output axons each core needs.
    """

    between: Floats
    inputs: Floats
    out_axons: Ints

    @property
    def cost(self) -> float:
        """Spikes that travel: between different cores and from inputs."""
        return float(self.between.sum() - np.trace(self.between) + self.inputs.sum())


class Demand:
    """Everything placement needs to know of a network. counts: spikes of every neuron by node, (size,) float64."""

    def __init__(self, net: Network, chip: Chip, counts: Mapping[str, Floats]) -> None:
        self.net, self.chip, self.counts = net, chip, counts
        self.sizes = {name: population.size for name, population in net.populations.items()}
        self.reaches: dict[str, list[Reach]] = {name: [] for name in self.sizes}
        for projection in net.projections.values():
            self.reaches[projection.post].append(reach(net, projection, chip))
        self._formats = {kind: _formats(net.populations.values(), kind, net.dt) for kind in ("compartment", "threshold")}

    def needs(self, content: Content) -> Iterable[tuple[Reach, Need]]:
        """The needs of every projection that reaches a core with this content."""
        for name, runs in content.items():
            for way in self.reaches[name]:
                need = way.need(runs)
                if len(need.sources):
                    yield way, need

    def use(self, content: Content) -> dict[str, int]:
        """How much of each limit a core with this content takes, but for out-axons, which depend on the other cores."""
        needs = list(self.needs(content))
        formats = {kind: self._count_formats(kind, content) for kind in self._formats}
        return {
            "compartments": sum(stop - start for runs in content.values() for start, stop in runs),
            "in_axons": self._in_axons(needs),
            "out_axons": 0,
            "synapse_bits": sum(need.bits for _, need in needs),
            "compartment_formats": formats["compartment"],
            "threshold_formats": formats["threshold"],
            "synapse_formats": len({way.format for way, _ in needs}),
        }

    def exceeded(self, content: Content) -> dict[str, int]:
        """The limits a core with this content exceeds, and by what number it does so."""
        limits = self.chip.limits
        return {name: value for name, value in self.use(content).items() if name in limits and value > limits[name]}

    def fits(self, content: Content) -> bool:
        """Whether a core can hold this content."""
        count = sum(stop - start for runs in content.values() for start, stop in runs)
        return count <= self.chip.compartments and not self.exceeded(content)

    def fullness(self, content: Content) -> float:
        """The share of the limit that is taken most, 0..1."""
        use = self.use(content)
        return max(use[name] / limit for name, limit in self.chip.limits.items())

    def traffic(self, contents: Sequence[Content]) -> Traffic:
        """Spikes between cores, and the out-axons they need."""
        number = len(contents)
        core_of = self._core_of(contents)
        between, inputs, out_axons = np.zeros((number, number)), np.zeros(number), np.zeros(number, np.int64)
        for target, content in enumerate(contents):
            reached: dict[str, list[Ints]] = {}
            plain: dict[str, list[Ints]] = {}
            for way, need in self.needs(content):
                node = way.projection.pre
                reached.setdefault(node, []).append(need.sources)
                if not way.channelled:
                    plain.setdefault(node, []).append(need.sources)
                elif node in core_of:
                    pairs = np.unique(core_of[node][need.sources] * way.n_axons + way.axon_of(need.sources))
                    slots = self.chip.packing.convolution_slots
                    out_axons += slots * np.bincount(pairs // way.n_axons, minlength=number)
            for node, parts in reached.items():
                ids = _union(parts)
                if node in core_of:
                    between[:, target] += np.bincount(core_of[node][ids], self.counts[node][ids], number)
                else:
                    inputs[target] += self.counts[node][ids].sum()
            for node, parts in plain.items():
                if node in core_of:
                    out_axons += np.bincount(core_of[node][_union(parts)], minlength=number)
        return Traffic(between, inputs, out_axons)

    def too_much(self, population: str, neuron: int) -> PlacementError:
        """The error for a neuron that fits no core, naming the first limit it exceeds and who asks for how much."""
        runs = ((neuron, neuron + 1),)
        limit, needed = next(iter(self.exceeded({population: runs}).items()))
        available = self.chip.limits[limit]
        asking = []
        for way in self.reaches[population]:
            need = way.need(runs)
            amounts = {"in_axons": len(need.axons), "synapse_bits": need.bits, "synapse_formats": min(len(need.axons), 1)}
            asking.append((amounts[limit], way.projection.name))
        shares = ", ".join(f"{amount:,} for '{name}'" for amount, name in sorted(asking, key=lambda x: -x[0])[:3])
        return PlacementError(
            population,
            limit,
            needed,
            available,
            f"neuron {neuron} alone needs {needed:,} {LIMITS[limit]} ({shares}), a core of {self.chip.name} has {available:,}: "
            f"{_CURES[limit]}{self._other_chip(limit, needed)}",
        )

    def _other_chip(self, limit: str, needed: int) -> str:
        from_names = {"loihi1": "loihi2"}.get(self.chip.name)
        if from_names is None:
            return ""
        bound = Chip.load(from_names).limits.get(limit)
        return f", or use chip='{from_names}'" if bound is None or bound >= needed else ""

    def _in_axons(self, needs: Iterable[tuple[Reach, Need]]) -> int:
        total = 0
        plain: dict[str, list[Ints]] = {}
        for way, need in needs:
            if way.channelled:
                total += len(need.axons)
            else:
                plain.setdefault(way.projection.pre, []).append(need.axons)
        return total + sum(len(_union(parts)) for parts in plain.values())

    def _count_formats(self, kind: str, content: Content) -> int:
        formats = self._formats[kind]
        found = [np.unique(formats[name][start:stop]) for name, runs in content.items() for start, stop in runs]
        return len(np.unique(np.concatenate(found))) if found else 0

    def _core_of(self, contents: Sequence[Content]) -> dict[str, Ints]:
        """The core of every neuron, by population."""
        result = {name: np.full(size, -1, np.int64) for name, size in self.sizes.items()}
        for core, content in enumerate(contents):
            for name, runs in content.items():
                for start, stop in runs:
                    result[name][start:stop] = core
        return result


_CURES = {
    "in_axons": "split its source population and add the parts up in between, lower its fan-in",
    "synapse_bits": "lower its fan-in, or give its weights fewer bits",
    "synapse_formats": "let its projections share weight exponents, sign modes and largest delays",
    "out_axons": "lower its fan-out, or put a relay population in between",
}


def _as_stored(name: str, values: Floats, dt: float) -> Floats:
    """A parameter as the chip tells it apart: time constants are 12-bit decays there."""
    return np.rint(4096 * np.exp(-dt / values)) if name.startswith("tau") else values


def _formats(populations: Iterable[Population], kind: str, dt: float) -> dict[str, Ints]:
    """(size,) numbers by population: neurons of equal number share a format of this kind on a core."""
    known: dict[Any, int] = {}
    result = {}
    for population in populations:
        mine = {
            name: _as_stored(name, np.asarray(value, np.float64).ravel(), dt)
            for name, value in population.neuron.parameters.items()
            if name not in _PER_NEURON | _FOLDED and (name in _THRESHOLDS) == (kind == "threshold")
        }
        label = (population.neuron.model.name, *mine) if kind == "compartment" else ()
        rows = np.stack(np.broadcast_arrays(np.zeros(1), *mine.values()), axis=1)  # one row for all neurons, or one each
        distinct, index = np.unique(rows, axis=0, return_inverse=True)
        numbers = np.array([known.setdefault((label, *row), len(known)) for row in distinct.tolist()], np.int64)
        result[population.name] = np.broadcast_to(numbers[index.ravel()], population.size)
    return result


def _union(parts: Sequence[Ints]) -> Ints:
    """Sorted distinct ids of several sorted lists."""
    if len(parts) == 1:
        return parts[0]
    flags = np.zeros(max(int(part[-1]) for part in parts) + 1, bool)
    for part in parts:
        flags[part] = True
    return np.flatnonzero(flags)

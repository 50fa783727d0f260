"""`Placement`: which neurons lie on which core, how full the cores are, and what travels between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.chips import LIMITS, Chip
from neurocomp.ir.errors import CompileError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class PlacementError(CompileError):
    """A network does not fit. `limit` names what is exceeded, `needed` and `available` its numbers where there are such."""

    def __init__(self, subject: str, limit: str, needed: int | None, available: int | None, message: str) -> None:
        self.limit, self.needed, self.available = limit, needed, available
        super().__init__(subject, message)


@dataclass(frozen=True)
class Slice:
    """Neurons start <= k < stop (flat indices) of a population, on a core. core: an index into `Placement.cores`."""

    population: str
    start: int
    stop: int
    core: int

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.stop - self.start


@dataclass(frozen=True)
class Core:
    """A core in use: its chip, its number on the chip, and the tile it belongs to. use: how much of each limit is taken."""

    chip: int
    number: int
    tile: tuple[int, int]
    use: Mapping[str, int]

    def utilisation(self, chip: Chip) -> dict[str, float]:
        """Taken share of every limit of the chip, 0..1."""
        return {name: self.use[name] / limit for name, limit in chip.limits.items()}


@dataclass(frozen=True)
class Placement:
    """Where a network's neurons lie on a chip.

    slices: every neuron of every population lies in exactly one. cores: those in use. traffic: (cores, cores) float64, messages
    per step from core to core; a spike is one message to each core on which it has synapses, its own included (the
    diagonal). input_traffic: (cores,) messages per step that come from inputs, which are outside of the cores.
    steps: length of the recording the traffic was counted from, or None where `rate` spikes per neuron and step were assumed.
    """

    network: str
    chip: Chip
    chips: int
    slices: tuple[Slice, ...]
    cores: tuple[Core, ...]
    traffic: Floats
    input_traffic: Floats
    steps: int | None
    rate: float
    partitioner: str
    notes: tuple[str, ...] = ()

    # ------------------------------------------------------------------------------------------------------------ look

    @cached_property
    def populations(self) -> dict[str, tuple[Slice, ...]]:
        """Slices by population, in order."""
        result: dict[str, tuple[Slice, ...]] = {}
        for piece in self.slices:
            result[piece.population] = (*result.get(piece.population, ()), piece)
        return result

    def core_of(self, population: str) -> Ints:
        """(size,) int64 index into `cores` of every neuron of a population."""
        pieces = sorted(self.populations[population], key=lambda piece: piece.start)
        return np.repeat([piece.core for piece in pieces], [piece.size for piece in pieces])

    @property
    def chips_used(self) -> int:
        """Number of chips with a core in use."""
        return len({core.chip for core in self.cores})

    @property
    def messages(self) -> float:
        """Messages per step from one core to another."""
        return float(self.traffic.sum() - self.local_messages)

    @property
    def local_messages(self) -> float:
        """Messages per step from a core to itself."""
        return float(np.trace(self.traffic))

    @property
    def input_messages(self) -> float:
        """Messages per step from inputs to cores."""
        return float(self.input_traffic.sum())

    @property
    def chip_messages(self) -> float:
        """Messages per step from one chip to another."""
        chip = np.array([core.chip for core in self.cores])
        return float(self.traffic[chip[:, None] != chip].sum())

    @cached_property
    def positions(self) -> Ints:
        """(cores, 2) x and y of every core's tile, on one grid over all chips."""
        return np.array([global_tile(self.chip, self.chips, core.chip, core.tile) for core in self.cores]).reshape(-1, 2)

    @cached_property
    def _hops(self) -> tuple[float, float]:
        distance = np.abs(self.positions[:, None] - self.positions)
        return float((self.traffic * distance[..., 0]).sum()), float((self.traffic * distance[..., 1]).sum())

    @property
    def hops_x(self) -> float:
        """Tile-to-tile hops per step along x (messages of inputs are not counted)."""
        return self._hops[0]

    @property
    def hops_y(self) -> float:
        """Tile-to-tile hops per step along y."""
        return self._hops[1]

    @property
    def hops(self) -> float:
        """Tile-to-tile hops per step: Manhattan distance, summed over all messages between cores."""
        return self.hops_x + self.hops_y

    def utilisation(self) -> dict[str, tuple[float, float]]:
        """(mean, largest) taken share of every limit over the cores in use, 0..1."""
        shares = [core.utilisation(self.chip) for core in self.cores]
        names = self.chip.limits
        return {name: (float(np.mean([x[name] for x in shares])), max(x[name] for x in shares)) for name in names}

    # ----------------------------------------------------------------------------------------------------------- write

    @property
    def text(self) -> str:
        """The placement as text: cores, messages, hops, utilisation, populations, and what was assumed."""
        chip = self.chip
        basis = f"counted over {self.steps} steps" if self.steps else f"if every neuron spikes with {self.rate:g} per step"
        between = f", {self.chip_messages:.6g} of them between chips" if self.chips_used > 1 else ""
        available = f"{len(self.cores)} of {chip.cores * self.chips} cores on {plural(self.chips, 'chip')}"
        lines = [
            f"placement of '{self.network}' on {chip.name} ({chip.description}): {available}, partitioner {self.partitioner}",
            f"  messages per step, {basis}:",
            f"    {self.messages:.6g} between cores{between}; {self.local_messages:.6g} within cores; "
            f"{self.input_messages:.6g} from inputs",
            f"    {self.hops:.6g} hops from tile to tile (x {self.hops_x:.6g}, y {self.hops_y:.6g}) "
            f"on {chip.columns}x{chip.rows} tiles of {chip.cores_per_tile} cores",
            *self._limits_text(),
            *self._populations_text(),
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def _limits_text(self) -> list[str]:
        lines = [f"  {'per core':<24}{'limit':>10}{'largest':>10}{'':>7}{'mean':>6}"]
        shares = self.utilisation()
        for name, title in LIMITS.items():
            largest = max(core.use[name] for core in self.cores)
            limit = self.chip.limits.get(name)
            tail = f"{shares[name][1]:>7.0%}{shares[name][0]:>6.0%}" if limit is not None else ""
            lines.append(f"  {title:<24}{'-' if limit is None else limit:>10}{largest:>10}{tail}")
        return lines

    def _populations_text(self) -> list[str]:
        lines = []
        for name, pieces in self.populations.items():
            size = sum(piece.size for piece in pieces)
            where = ", ".join(_where(self.cores[piece.core], piece, self.chips) for piece in pieces[:4])
            more = f" and {len(pieces) - 4} more" if len(pieces) > 4 else ""
            lines.append(f"  {name}: {plural(size, 'neuron')} in {plural(len(pieces), 'slice')}: {where}{more}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: totals, cores with their use, slices (`core` counts in `cores`), traffic as triples."""
        used = np.argwhere(self.traffic > 0)
        return {
            "network": self.network,
            "chip": self.chip.name,
            "chips": self.chips,
            "chips_used": self.chips_used,
            "cores_used": len(self.cores),
            "partitioner": self.partitioner,
            "steps": self.steps,
            "rate": None if self.steps else self.rate,
            "per_step": {
                "messages": self.messages,
                "local_messages": self.local_messages,
                "input_messages": self.input_messages,
                "chip_messages": self.chip_messages,
                "hops_x": self.hops_x,
                "hops_y": self.hops_y,
            },
            "limits": self.chip.limits,
            "utilisation": {name: {"mean": x[0], "largest": x[1]} for name, x in self.utilisation().items()},
            "cores": [
                {"chip": core.chip, "number": core.number, "tile": list(core.tile), "use": dict(core.use)}
                for core in self.cores
            ],
            "slices": [{"population": x.population, "start": x.start, "stop": x.stop, "core": x.core} for x in self.slices],
            "traffic": [[int(i), int(j), float(self.traffic[i, j])] for i, j in used],
            "input_traffic": [float(x) for x in self.input_traffic],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Placement of '{self.network}' on {len(self.cores)} cores of {self.chip.name}>"


def global_tile(chip: Chip, chips: int, number: Any, tile: tuple[Any, Any]) -> tuple[Any, Any]:
    """(x, y) of a tile of chip `number`, where the meshes of `chips` chips lie side by side in a nearly square grid."""
    across = int(np.ceil(np.sqrt(chips)))
    return number % across * chip.columns + tile[0], number // across * chip.rows + tile[1]


def _where(core: Core, piece: Slice, chips: int) -> str:
    chip = f"chip {core.chip} " if chips > 1 else ""
    return f"[{piece.start}:{piece.stop}] on {chip}core {core.number}"


def plural(count: int, noun: str) -> str:
    """`1 core`, `2 cores`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

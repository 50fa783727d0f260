"""`Chip`: what one core and one chip hold, loaded from a TOML file; and how a chip packs synapses into memory words."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.errors import FileFormatError, ModelError

Ints = NDArray[np.int64]

# The limits of a core, with the words messages use for them.
LIMITS: Mapping[str, str] = {
    "compartments": "compartments",
    "in_axons": "in-axons",
    "out_axons": "out-axons",
    "synapse_bits": "bits of synaptic memory",
    "compartment_formats": "compartment formats",
    "threshold_formats": "threshold formats",
    "synapse_formats": "synapse formats",
}
_REQUIRED = ("cores", "compartments", "max_chips")
_OPTIONAL = (
    "in_axons",
    "out_axons",
    "synapse_bits",
    "compartment_formats",
    "threshold_formats",
    "synapse_formats",
    "max_delay",
)
_MESH = ("columns", "rows", "cores_per_tile")
_PACKING = ("word", "block", "header", "weight_widths", "index_widths", "convolution_slots")
_SECTIONS = {"name", "description", "limits", "absent", "neurons", "mesh", "packing", "boards"}


@dataclass(frozen=True)
class Fact:
    """Where a number comes from."""

    unit: str
    source: str


@dataclass(frozen=True)
class Packing:
    """How lists of synapses lie in a core's memory, by the formula of nengo-loihi's `SynapseConfig.bits_per_axon`.

    A list is cut into blocks of up to `block` synapses. A block takes `header` bits and its synapses, and is rounded up to
    whole words of `word` bits. A synapse takes a weight of one of `weight_widths` bits, its delay, and, unless the list is
    dense (all targets in order), an index of one of `index_widths` bits. convolution_slots: out-axons that an axon
    which carries a channel number takes.
    """

    word: int
    block: int
    header: int
    weight_widths: tuple[int, ...]
    index_widths: tuple[int, ...]
    convolution_slots: int

    def synapse_width(self, weight_bits: int, delay_bits: int, neurons: int | None) -> int:
        """Bits of a synapse. neurons: how many targets an index must tell apart, or None for a dense list.

        Raises `ModelError` where the chip has no field that wide.
        """
        width = _fitting(self.weight_widths, weight_bits, "weights") + delay_bits
        return width if neurons is None else width + _fitting(self.index_widths, max(neurons - 1, 0).bit_length(), "indices")

    def list_bits(self, lengths: Ints, width: int) -> Ints:
        """Bits of lists of so many synapses of `width` bits each, as int64 of the same shape."""
        lengths = np.asarray(lengths, np.int64)
        full, rest = np.divmod(lengths, self.block)
        bits: Ints = full * self._words(self.block, width) + np.where(rest > 0, self._words(rest, width), 0)
        return bits

    def _words(self, synapses: Any, width: int) -> Any:
        return -(-(synapses * width + self.header) // self.word) * self.word


@dataclass(frozen=True)
class Chip:
    """A chip's cores, their limits and the mesh between them. None: not limited, or unknown (`absent` says which).

    All limits but `cores` (per chip), `max_delay` (steps) and `max_chips` are per core. The mesh has columns x rows tiles of
    `cores_per_tile` cores. custom_neurons: whether neurons can be programs of one's own; if not, they are Loihi's LIF, which is
    reset to 0. `boards`: chips of boards one can have. `facts`: unit and source of every number, by its name.
    `dataclasses.replace(chip, cores=120)` gives a chip with another number.
    """

    name: str
    description: str
    cores: int
    compartments: int
    max_chips: int
    columns: int
    rows: int
    cores_per_tile: int
    packing: Packing
    custom_neurons: bool = True
    in_axons: int | None = None
    out_axons: int | None = None
    synapse_bits: int | None = None
    compartment_formats: int | None = None
    threshold_formats: int | None = None
    synapse_formats: int | None = None
    max_delay: int | None = None
    boards: Mapping[str, int] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.cores > self.columns * self.rows * self.cores_per_tile:
            raise ModelError(
                f"chip '{self.name}': {self.cores} cores do not fit {self.columns}x{self.rows} tiles of {self.cores_per_tile}"
            )

    @classmethod
    def load(cls, chip: str | os.PathLike[str]) -> Self:
        """The chip of that name, or of your own TOML file written like those that come with the package.

        Raises `ModelError` listing the known names, and `FileFormatError` naming what is wrong in a file.
        """
        known = names()
        if chip in known:
            source, text = f"{chip}.toml", resources.files(__package__).joinpath(f"{chip}.toml").read_text(encoding="utf-8")
        else:
            path = Path(chip)
            if path.suffix != ".toml" or not path.is_file():
                raise ModelError(f"there is no chip '{chip}'; known are {', '.join(known)}, or give the path of a .toml file")
            source, text = os.fspath(chip), path.read_text(encoding="utf-8")
        try:
            return cls._from_tables(source, tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise FileFormatError(source, f"is not TOML ({error})") from None

    @classmethod
    def _from_tables(cls, source: str, tables: Mapping[str, Any]) -> Self:
        unknown = set(tables) - _SECTIONS
        missing = _SECTIONS - {"absent", "boards"} - set(tables)
        if unknown or missing:
            wrong = f"has an unknown section '{min(unknown)}'" if unknown else f"lacks '{min(missing)}'"
            raise FileFormatError(
                source, f"{wrong}; a chip has name, description, limits, neurons, mesh, packing (and absent, boards)"
            )
        read = _Reader(source, tables)
        limits = read.section("limits", _REQUIRED, _OPTIONAL)
        silent = [name for name in _OPTIONAL if name not in limits and name not in tables.get("absent", {})]
        if silent:
            raise FileFormatError(source, f"says nothing of '{silent[0]}'; give it in [limits], or the reason in [absent]")
        boards = read.section("boards", (), tuple(tables.get("boards", {})))
        packing = Packing(**read.section("packing", _PACKING))
        mesh = read.section("mesh", _MESH)
        custom = read.section("neurons", ("custom",))["custom"]
        description, absent = str(tables["description"]), dict(tables.get("absent", {}))
        own = {"packing": packing, "custom_neurons": custom, "boards": boards, "absent": absent}
        chip = cls(str(tables["name"]), description, **limits, **mesh, **own)
        return replace(chip, facts=read.facts)

    @property
    def limits(self) -> dict[str, int]:
        """The limits of a core that are known, by name, in the order of `LIMITS`."""
        values = {name: getattr(self, name) for name in LIMITS}
        return {name: value for name, value in values.items() if value is not None}

    def tile(self, core: Any) -> tuple[Any, Any]:
        """(x, y) of the tile of a core's number within its chip: tiles are numbered row by row."""
        index = np.asarray(core) // self.cores_per_tile
        return index % self.columns, index // self.columns


def names() -> list[str]:
    """The chips that come with the package."""
    files = resources.files(__package__).iterdir()
    return sorted(item.name.removesuffix(".toml") for item in files if item.name.endswith(".toml"))


class _Reader:
    """Reads sections of `{ value, unit, source }` tables and keeps where each number comes from."""

    def __init__(self, source: str, tables: Mapping[str, Any]) -> None:
        self.source, self.tables = source, tables
        self.facts: dict[str, Fact] = {}

    def section(self, name: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
        """The values of a section by key."""
        table = self.tables.get(name, {})
        for key in required:
            if key not in table:
                raise FileFormatError(self.source, f"[{name}] lacks '{key}'")
        for key in table:
            if key not in required + optional:
                known = ", ".join(required + optional)
                raise FileFormatError(self.source, f"[{name}] has an unknown key '{key}'; it has {known}")
        return {key: self._value(f"[{name}] {key}", key, entry) for key, entry in table.items()}

    def _value(self, where: str, key: str, entry: Any) -> Any:
        if not isinstance(entry, dict) or set(entry) != {"value", "unit", "source"}:
            raise FileFormatError(self.source, f"{where} must be a table {{ value, unit, source }}")
        value = entry["value"]
        if key == "custom" and not isinstance(value, bool):
            raise FileFormatError(self.source, f"{where} must be true or false, not {value!r}")
        self.facts[key] = Fact(str(entry["unit"]), str(entry["source"]))
        if key == "custom":
            return value
        numbers = value if isinstance(value, list) else [value]
        wanted_list = key.endswith("_widths")
        least = 0 if key in ("header", "max_delay") else 1
        if wanted_list != isinstance(value, list) or not numbers or not all(type(x) is int and x >= least for x in numbers):
            kind = "a list of whole numbers" if wanted_list else "a whole number"
            raise FileFormatError(self.source, f"{where} must be {kind} of at least {least}, not {value!r}")
        return tuple(sorted(value)) if wanted_list else value


def _fitting(widths: tuple[int, ...], bits: int, what: str) -> int:
    """The narrowest field of at least so many bits."""
    for width in widths:
        if width >= bits:
            return width
    raise ModelError(f"{what} of {bits} bits do not exist on this chip; its fields have {', '.join(map(str, widths))}")

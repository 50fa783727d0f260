"""`narrow`: states and constants of float populations in float32 instead of float64: half the memory, twice the lanes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.errors import CompileError, PrecisionWarning, callers_level
from neurocomp.ir.network import Change, Network
from neurocomp.ir.passes.base import Pass


@dataclass(frozen=True)
class Narrow(Pass):
    """Coefficients are still computed in float64 and then rounded once; every operation of a step rounds to float32."""

    name: ClassVar[str] = "narrow"

    def __call__(self, net: Network) -> Network:
        nodes, changes = {}, []
        for name, population in net.populations.items():
            program = population.program
            if program is None or program.form.arithmetic != "float":
                continue
            narrow = replace(
                program,
                form=replace(program.form, arithmetic="float32"),
                constants=to_float32(name, "constant", program.constants),
                initial=to_float32(name, "initial value of", program.initial),
            )
            nodes[name] = replace(population, program=narrow)
            changes.append(Change(self.name, name, "float64 states", "float32 states", "compiled with arithmetic='float32'"))
        return net.with_changes(nodes, {}, changes)


def to_float32(population: str, what: str, values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The numbers of a population in float32; raises `CompileError` for those beyond it, and warns of those that are too small.

    what: they are, for the messages.
    """
    result = {}
    for name, given in values.items():
        with np.errstate(over="ignore", under="ignore"):
            result[name] = np.asarray(given, np.float32)
        beyond = np.isfinite(given) & ~np.isfinite(result[name])
        if np.any(beyond):
            value = np.asarray(given)[beyond].ravel()[0]
            raise CompileError(
                population, f"its {what} {name} is {value:g}, beyond float32's 3.4e38; use larger units, or arithmetic='float'"
            )
        below = (given != 0) & (np.abs(given) < np.finfo(np.float32).tiny)
        if np.any(below):
            value = np.asarray(given)[below].ravel()[0]
            warnings.warn(
                f"population '{population}': its {what} {name} is {value:g}, below float32's normal numbers of 1.2e-38, and "
                "loses digits or becomes 0; use smaller units, or arithmetic='float'",
                PrecisionWarning,
                stacklevel=callers_level(),
            )
    return result

"""`narrow`: states and constants of float populations in float32 instead of float64: half the memory, twice the lanes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.errors import CompileError
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
                constants=_rounded(name, "constant", program.constants),
                initial=_rounded(name, "initial value of", program.initial),
            )
            nodes[name] = replace(population, program=narrow)
            changes.append(Change(self.name, name, "float64 states", "float32 states", "compiled with arithmetic='float32'"))
        return net.with_changes(nodes, {}, changes)


def _rounded(population: str, what: str, values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    result = {}
    for name, given in values.items():
        with np.errstate(over="ignore", under="ignore"):
            result[name] = np.asarray(given, np.float32)
        beyond = np.isfinite(given) & ~np.isfinite(result[name])
        if np.any(beyond):
            value = np.asarray(given)[beyond].ravel()[0]
            raise CompileError(
                population, f"its {what} {name} is {value:g}, beyond float32's 3.4e38; use smaller units, or arithmetic='float'"
            )
    return result

"""Dialects: how each framework really steps a NIR file, as one table of data.

NIR writes differential equations and says nothing of time step, integrator, input gain and reset; no two importers agree. A row
of `DIALECTS` pins one reading. Where it was read or measured is in docs/nir.md.

All rows share the order of a step: the current first, then the voltage with the new current, then the comparison, then the reset;
recurrent spikes of step t - 1 enter at step t.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from neurocomp.importers.nir.raw import RawGraph
from neurocomp.importers.nir.schema import Checked
from neurocomp.ir import neurons
from neurocomp.ir.model import Neuron, NeuronModel

Gain = Literal["model", "unscaled"]
NEUTRAL: Mapping[str, float] = {"r": 1.0, "v_leak": 0.0, "v_reset": 0.0, "w_in": 1.0}
BASE: Mapping[str, NeuronModel] = {
    model.name: model
    for model in (neurons.I, neurons.LI, neurons.CubaLI, neurons.IF, neurons.LIF, neurons.CubaLIF, neurons.Threshold)
}
SPIKING = ("IF", "LIF", "CubaLIF")


@dataclass(frozen=True)
class Dialect:
    """One framework's reading of NIR.

    integrator: of all neurons. gain: NIR type -> "model" (the equation's own input factor under the integrator) or "unscaled"
    (the weighted sum enters with factor 1; r and w_in are replaced). resets: NIR type -> "value" (v_reset is honoured), "zero"
    or "subtract". ignores: NIR type -> parameters the framework does not look at. refuses: NIR type -> parameters that must be
    at rest (v_leak 0), else the framework does not load the file. models: NIR type -> the neuron model where it is not the plain
    one. self_loop_models: the same for neurons that feed themselves, where that differs. from_input, from_population: steps
    between a spike and its effect. dt: the time step that is hard-coded in the framework, None where the user gives one.
    steps_from: time constants of at least this many seconds are meant in steps. reads: neuron types its importer knows. quirks:
    what else to know. source: the version whose source was read.
    """

    name: str
    summary: str
    integrator: str
    gain: Mapping[str, Gain] = field(default_factory=dict)
    resets: Mapping[str, str] = field(default_factory=dict)
    ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refuses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    models: Mapping[str, NeuronModel] = field(default_factory=dict)
    self_loop_models: Mapping[str, NeuronModel] = field(default_factory=dict)
    from_input: int = 0
    from_population: int = 0
    dt: float | None = None
    steps_from: float | None = None
    leaky_if: float | None = None
    leak_per_step: bool = False
    reads: tuple[str, ...] = ("IF", "LIF", "CubaLIF")
    quirks: tuple[str, ...] = ()
    source: str = ""


def _each(value: Any, *types: str) -> dict[str, Any]:
    return dict.fromkeys(types, value)

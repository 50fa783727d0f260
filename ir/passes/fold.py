"""`fold`: biases and input gains move to where they cost nothing, so that LIF-family programs reach one common form.

That form is `u = u * u_decay + a` and `v = v * v_decay + u + v_bias`: Lava's library LIF, which maps to Loihi. Three rewrites:

* the bias of a projection is added to its target population's bias;
* a state that only feeds another one through a constant factor is stored multiplied by that factor (`StepProgram.scale`
  undoes it when the state is read);
* where `a` appears once, times a constant, that constant moves into the incoming weights and the bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from neurocomp.ir.expressions import Binary, Expr, Name
from neurocomp.ir.folding import fold_form
from neurocomp.ir.network import Change, Network, Population, Projection
from neurocomp.ir.passes.base import Pass
from neurocomp.ir.program import StepProgram


@dataclass(frozen=True)
class Fold(Pass):
    """Fold biases and input gains into weights."""

    name: ClassVar[str] = "fold"

    def __call__(self, net: Network) -> Network:
        net = self._biases(net)
        nodes, projections, changes = {}, {}, []
        for population in net.populations.values():
            folded = _fold_program(population)
            if folded is None:
                continue
            program, gain = folded
            if not all(x.connectivity.can_scale(gain) for x in net.incoming(population.name)):
                continue  # a convolution shares its weights among neurons, so it cannot take a gain for each
            if any(x.plasticity is not None for x in net.incoming(population.name)):
                continue  # weights that learn stay in the user's unit
            nodes[population.name] = replace(population, program=program, bias=population.bias_vector() * gain)
            for projection in net.incoming(population.name):
                scaled = replace(projection, connectivity=projection.connectivity.scaled(gain))
                projections[projection.name] = scaled
            if np.all(gain == 1):
                continue
            why = "the input gain moved into the incoming weights and the bias"
            changes.append(Change(self.name, population.name, f"input gain {_span(gain)}", "input gain 1", why))
        return net.with_changes(nodes, projections, changes)

    def _biases(self, net: Network) -> Network:
        nodes: dict[str, Population] = {}
        projections: dict[str, Projection] = {}
        changes = []
        for projection in net.projections.values():
            bias = projection.connectivity.bias
            if bias is None:
                continue
            population = nodes.get(projection.post) or net.populations[projection.post]
            nodes[projection.post] = replace(population, bias=population.bias_vector() + bias)
            bare = projection.connectivity.with_weights(projection.connectivity.weights, None)
            projections[projection.name] = replace(projection, connectivity=bare)
            why = "a bias is a constant input of every step"
            changes.append(Change(self.name, projection.name, "bias of the projection", f"bias of {projection.post}", why))
        return net.with_changes(nodes, projections, changes)


def _fold_program(population: Population) -> tuple[StepProgram, np.ndarray[Any, Any]] | None:
    """The folded program and the gain to move into the weights, or None where nothing can be folded."""
    program = population.program
    if program is None or program.form.arithmetic != "float":
        return None
    plan = fold_form(program.form)
    if plan.gain is None:
        return None
    constants: dict[str, Any] = dict(program.constants)
    scale, initial, start = dict(program.scale), dict(program.initial), dict(program.start)
    for state, factor in plan.rescaled.items():
        value = np.asarray(constants[factor], np.float64)
        if np.any(np.abs(value) < np.finfo(np.float64).tiny):
            return None  # a factor of 0 could not be undone when the state is read
        scale[state], initial[state] = value, np.asarray(initial[state], np.float64) * value
        if state in start:
            start[state] = Binary("*", start[state], Name(factor))
        for update in program.form.updates:
            if update.target == state:
                _rescale(update.value, state, value, constants)
    gain = np.asarray(constants[plan.gain], np.float64)
    kept = {name: _exact_complement(name, constants[name]) for name in plan.form.constants}
    folded = replace(program, form=plan.form, initial=initial, scale=scale, start=start)
    return replace(folded, constants=kept | {name: constants[name] for name in folded.start_constants - {*kept}}), gain


def _rescale(expr: Expr, state: str, factor: Any, constants: dict[str, Any]) -> None:
    """Multiply every term of a state's update but the state's own by the factor."""
    match expr:
        case Binary("+", left, right):
            _rescale(left, state, factor, constants)
            _rescale(right, state, factor, constants)
        case Binary("*", Name(variable), Name(constant)) if variable != state:
            constants[constant] = constants[constant] * factor
        case Name(constant) if constant in constants:
            constants[constant] = constants[constant] * factor


def _exact_complement(name: str, value: Any) -> Any:
    """Snap a decay k so that k = 1 - (1 - k) exactly: chips and Lava store 1 - k. Changes k by at most 2**-54."""
    return 1.0 - (1.0 - value) if name.endswith("_decay") else value


def _span(values: np.ndarray[Any, Any]) -> str:
    return f"{values:.6g}" if values.ndim == 0 else f"{values.min():.6g}..{values.max():.6g}"

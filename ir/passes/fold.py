"""`fold`: biases and input gains move to where they cost nothing, so that LIF-family programs reach one common form.

That form is `u = u * u_decay + a` and `v = v * v_decay + u + v_bias`: Lava's library LIF, which maps to Loihi. Three rewrites:

* the bias of a projection is added to its target population's bias;
* a state that only feeds another one through a constant factor is stored multiplied by that factor (`StepProgram.scale`
  undoes it when the state is read);
* where `a` appears once, times a constant, that constant moves into the incoming weights and the bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from neurocomp.ir.expressions import Assign, Binary, Expr, Name, names
from neurocomp.ir.network import Change, Network, Population, Projection
from neurocomp.ir.passes.base import Pass
from neurocomp.ir.program import StepForm, StepProgram


@dataclass(frozen=True)
class FoldPlan:
    """What can be folded in a form: states to rescale by a constant, and the constant that multiplies the input."""

    form: StepForm
    rescaled: Mapping[str, str]
    gain: str | None


def fold_form(form: StepForm) -> FoldPlan:
    """The folded text of a step form. Only looks at the text, so equal forms fold alike."""
    rescaled: dict[str, str] = {}
    for state in form.state:
        factor = _only_factor(form, state)
        if factor is not None:
            rescaled[state] = factor
            form = _without_factor(form, state, factor)
    gain = _only_factor(form, "a")
    if gain is not None:
        form = _without_factor(form, "a", gain)
    return FoldPlan(form, rescaled, gain)


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
            nodes[population.name] = replace(population, program=program, bias=population.bias_vector() * gain)
            for projection in net.incoming(population.name):
                scaled = replace(projection, connectivity=projection.connectivity.scaled(gain))
                projections[projection.name] = scaled
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
    scale, initial = dict(program.scale), dict(program.initial)
    for state, factor in plan.rescaled.items():
        value = np.asarray(constants[factor], np.float64)
        if np.any(np.abs(value) < np.finfo(np.float64).tiny):
            return None  # a factor of 0 could not be undone when the state is read
        scale[state], initial[state] = value, np.asarray(initial[state] * value)
        for update in program.form.updates:
            if update.target == state:
                _rescale(update.value, state, value, constants)
    gain = np.asarray(constants[plan.gain], np.float64)
    kept = {name: _exact_complement(name, constants[name]) for name in plan.form.constants}
    return StepProgram(plan.form, kept, initial, scale), gain


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


def _only_factor(form: StepForm, variable: str) -> str | None:
    """The constant c, where the variable occurs outside its own update exactly once, as the term `variable * c`."""
    uses = sum(
        list(names(x.value)).count(variable) for x in form.updates if x.target != variable
    ) + sum(list(names(x)).count(variable) for x in form.expressions()[len(form.updates) :])
    if uses != 1 or not _rescalable(form, variable):
        return None
    for update in form.updates:
        if update.target != variable:
            factor = _factor_in_sum(update.value, variable)
            if factor is not None:
                return factor
    return None


def _rescalable(form: StepForm, variable: str) -> bool:
    """Whether the variable's own update is a plain sum of products (the input has none), after which it is used."""
    positions = [k for k, x in enumerate(form.updates) if x.target == variable]
    if variable == "a":
        return True
    users = [k for k, x in enumerate(form.updates) if x.target != variable and variable in names(x.value)]
    if len(positions) != 1 or any(k < positions[0] for k in users):
        return False
    return _plain_sum(form.updates[positions[0]].value) and not any(x.target == variable for x in form.reset)


def _plain_sum(expr: Expr) -> bool:
    match expr:
        case Binary("+", left, right):
            return _plain_sum(left) and _plain_sum(right)
        case Binary("*", Name(), Name()) | Name():
            return True
    return False


def _factor_in_sum(expr: Expr, variable: str) -> str | None:
    match expr:
        case Binary("+", left, right):
            return _factor_in_sum(left, variable) or _factor_in_sum(right, variable)
        case Binary("*", Name(name), Name(constant)) if name == variable:
            return constant
    return None


def _without_factor(form: StepForm, variable: str, factor: str) -> StepForm:
    marker = Binary("*", Name(variable), Name(factor))
    updates = tuple(Assign(x.target, _replace(x.value, marker, Name(variable))) for x in form.updates)
    return replace(form, updates=updates)


def _replace(expr: Expr, old: Expr, new: Expr) -> Expr:
    if expr == old:
        return new
    if isinstance(expr, Binary):
        return Binary(expr.op, _replace(expr.left, old, new), _replace(expr.right, old, new))
    return expr


def _span(values: np.ndarray[Any, Any]) -> str:
    return f"{values:.6g}" if values.ndim == 0 else f"{values.min():.6g}..{values.max():.6g}"

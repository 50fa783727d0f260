"""The textual half of `fold`: which factors of a step form can move elsewhere. Equal forms fold alike, so built-in
programs can be compiled when the package is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from neurocomp.ir.expressions import Assign, Binary, Expr, Name, names
from neurocomp.ir.program import StepForm


@dataclass(frozen=True)
class FoldPlan:
    """What can be folded in a form: states to rescale by a constant, and the constant that multiplies the input."""

    form: StepForm
    rescaled: Mapping[str, str]
    gain: str | None


def fold_form(form: StepForm) -> FoldPlan:
    """The folded text of a step form. Only looks at the text, so equal forms fold alike."""
    rescaled: dict[str, str] = {}
    for state in reversed([x.target for x in form.updates if x.target in form.state]):  # receivers before their sources
        factor = _only_factor(form, state)
        if factor is not None:
            rescaled[state] = factor
            form = _without_factor(form, state, factor)
    gain = _only_factor(form, "a")
    if gain is not None:
        form = _without_factor(form, "a", gain)
    return FoldPlan(form, rescaled, gain)


def _only_factor(form: StepForm, variable: str) -> str | None:
    """The constant c, where the variable occurs outside its own update exactly once, as the term `variable * c`."""
    uses = sum(list(names(x.value)).count(variable) for x in form.updates if x.target != variable) + sum(
        list(names(x)).count(variable) for x in form.expressions()[len(form.updates) :]
    )
    if uses != 1 or not _rescalable(form, variable):
        return None
    for update in form.updates:
        if update.target != variable:
            factor = _factor_in_sum(update.value, variable)
            if factor in form.constants:
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
    return not any(x.target == variable for x in form.reset) and all(
        _scalable_term(form, variable, term) for term in _terms(form.updates[positions[0]].value)
    )


def _terms(expr: Expr) -> tuple[Expr, ...]:
    match expr:
        case Binary("+", left, right):
            return (*_terms(left), *_terms(right))
    return (expr,)


def _scalable_term(form: StepForm, state: str, term: Expr) -> bool:
    """Whether the term is `state * constant`, or ends in a constant of its own that can take up a factor."""
    match term:
        case Binary("*", Name(variable), Name(constant)) if variable == state:
            return constant in form.constants
        case Name(variable) if variable == state:
            return True
        case Binary("*", Name(variable), Name(constant)) if variable in form.constants:
            return False
        case Binary("*", Name(), Name(constant)) | Name(constant):
            used = [name for expr in form.expressions() for name in names(expr)]
            return constant in form.constants and used.count(constant) == 1
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

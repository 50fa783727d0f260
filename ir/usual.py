"""The usual step of a neuron: no spike, and not within a refractory period. What most neurons do in most steps can be computed
for all of them, in vectors; the few that differ are put right afterwards.

A refractory period is found by what it does, not by its name: a state that counts down while it is above zero, during which
other states stay as they are or go on as always, and no spike is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from neurocomp.ir.expressions import (
    Assign,
    Binary,
    Call,
    Compare,
    Expr,
    Logic,
    Name,
    Number,
    Unary,
    draws,
    names,
    rewrite,
    substitute,
)
from neurocomp.ir.program import StepForm


@dataclass(frozen=True)
class Usual:
    """A step form for the many and the few.

    form: the step of a neuron that does not wait; spike and reset read nothing but states as the updates leave them, constants
        and the time, so that they can be looked at later. Same states and inputs as the whole form.
    changed: the states that its updates assign.
    wait: the state above zero in neurons that wait, or None where neurons do not; it counts down by 1, and no update reads it.
        start: the constant it begins from after a spike. held: the states that waiting neurons keep; all others change
        as usual. None that waits spikes.
    """

    form: StepForm
    changed: tuple[str, ...]
    wait: str | None = None
    start: str = ""
    held: tuple[str, ...] = ()


def usual(form: StepForm) -> Usual | None:
    """The usual step of a form, or None where spikes or resets need more than what the updates leave behind."""
    if form.payload is not None or any(True for x in _late(form) for _ in draws(x)):
        return None
    return next((found for wait in (None, *form.state) if (found := _split(form, wait)) is not None), None)


def _late(form: StepForm) -> tuple[Expr, ...]:
    return form.expressions()[len(form.updates) :]


def _split(form: StepForm, wait: str | None) -> Usual | None:
    numbers = _Numbers()
    many = numbers.follow(form, wait, False)
    lost = {*form.temporaries, *form.inputs}
    if any(name in lost for expr in _late(many.form) for name in names(expr)):
        return None
    changed = tuple(x for x in form.state if many.values[x] != numbers.first(x))
    if wait is None:
        return Usual(_pruned(many.form, changed), changed)
    few = numbers.follow(form, wait, True)
    held = tuple(x for x in changed if few.values[x] == numbers.first(x))
    others = [x for x in form.state if x != wait and x not in held]
    if wait in changed or few.form.spike != FALSE or any(few.values[x] != many.values[x] for x in others):
        return None
    if numbers.meaning(few.values[wait]) != Binary("-", Name(wait), Number(1)):
        return None
    pruned, start = _pruned(many.form, changed), _start(form, wait)
    if not start or any(wait in names(x.value) for x in pruned.updates):
        return None
    return Usual(pruned, changed, wait, start, held)


def _start(form: StepForm, wait: str) -> str:
    """The constant that the state counts down from, or "": so it always is a number if constants are."""
    match [x.value for x in form.reset if x.target == wait]:
        case [Name(name)] if name in form.constants:
            return name
    return ""


def _pruned(form: StepForm, changed: tuple[str, ...]) -> StepForm:
    """Without assignments that nothing reads."""
    kept: list[Assign] = []
    needed = {*changed, *(name for expr in _late(form) for name in names(expr))}
    for assign in reversed(form.updates):
        if assign.target in needed and assign.value != Name(assign.target):
            needed = needed - {assign.target} | {*names(assign.value)}
            kept.append(assign)
    return replace(form, updates=tuple(reversed(kept)))


TRUE, FALSE = Compare("==", Number(0), Number(0)), Compare("!=", Number(0), Number(0))


@dataclass
class _Followed:
    """A form with what is known put in, and the number of every name's value after the updates."""

    form: StepForm
    values: dict[str, Name]


class _Numbers:
    """Value numbering: two computations of the same value, in whatever names it is kept, get the same number."""

    def __init__(self) -> None:
        self.known: dict[Expr, Name] = {}

    def first(self, state: str) -> Name:
        """The value a state has before the step."""
        return self._number(Call("before", (Name(state),)))

    def _number(self, expr: Expr) -> Name:
        if isinstance(expr, Name) and expr.id.startswith("#"):
            return expr
        return self.known.setdefault(expr, Name(f"#{len(self.known)}"))

    def meaning(self, value: Name) -> Expr:
        """The value in terms of states before the step."""
        of = {number: expr for expr, number in self.known.items()}

        def resolve(part: Expr) -> Expr:
            match part:
                case Name() if part in of:
                    return resolve(of[part]) if isinstance(of[part], Call) else rewrite(of[part], resolve)
                case Call("before", (state,)):
                    return state
            return part

        return resolve(value)

    def follow(self, form: StepForm, wait: str | None, waits: bool) -> _Followed:
        """The form where the state `wait` is above zero (waits), or not."""
        values = {state: self.first(state) for state in form.state}

        def settle(expr: Expr) -> Expr:
            """With comparisons of `wait` decided, and the names of before."""

            def decide(part: Expr) -> Expr:
                match part:
                    case Compare(">" | "<=" as op, Name(name), Number(0)) if wait and values.get(name) == self.first(wait):
                        return TRUE if (op == ">") == waits else FALSE
                return _simplified(part)

            return rewrite(expr, decide)

        updates = []
        for assign in form.updates:
            value = settle(assign.value)
            updates.append(replace(assign, value=value))
            values[assign.target] = self._number(substitute(value, values))
        spike = None if form.spike is None else settle(form.spike)
        reset = form.reset if wait is None else tuple(replace(x, value=_simplified(x.value)) for x in form.reset)
        return _Followed(replace(form, updates=tuple(updates), spike=spike, reset=reset), values)


def _simplified(expr: Expr) -> Expr:
    """With truth values that are known taken out of conditions."""
    match expr:
        case Unary("not", operand) if operand in (TRUE, FALSE):
            return FALSE if operand == TRUE else TRUE
        case Logic("and", left, right):
            if FALSE in (left, right):
                return FALSE
            return right if left == TRUE else left if right == TRUE else expr
        case Logic("or", left, right):
            if TRUE in (left, right):
                return TRUE
            return right if left == FALSE else left if right == FALSE else expr
        case Call("where", (condition, yes, no)) if condition in (TRUE, FALSE):
            return yes if condition == TRUE else no
    return expr

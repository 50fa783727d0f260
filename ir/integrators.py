"""Symbolic discretisation: from a model's differential equations to a step program and recipes for its coefficients.

Four integrators, with the inputs (`a`) held constant during the step:

* `euler`: forward Euler, one equation after the other in the written order, each seeing the states already updated
  (this "current first, then voltage with the new current" order is what NIR's importers and Lava do);
* `exponential`: each equation solved exactly in its own state, the other states held at their newest values
  (exponential Euler). Where its coefficients depend on other states, as those of Hodgkin-Huxley gates do, they are evaluated in
  every step;
* `decay`: the decay of `exponential` with the gains of `euler`, as Rockpool and Sinabs step their neurons;
* `exact`: the whole linear system solved at once by its matrix exponential (Rotter & Diesmann 1999, doi:10.1007/s004220050570).

Everything here is text to text; `passes/discretise.py` computes the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal

from neurocomp.ir.errors import EquationError
from neurocomp.ir.expressions import (
    Assign,
    Binary,
    Call,
    Expr,
    Name,
    Number,
    Unary,
    draws,
    number_draws,
    parse_condition,
    parse_equations,
    parse_number,
    parse_statements,
)
from neurocomp.ir.hoisting import Hoister
from neurocomp.ir.linear import REST, Terms, affine
from neurocomp.ir.model import NeuronModel
from neurocomp.ir.program import TIME, StepForm

INTEGRATORS = ("euler", "exponential", "exact", "decay")
ZERO = Number(0)


@dataclass(frozen=True)
class Coefficient:
    """How to compute one constant of a step program from the parameters and dt.

    `decay` is the factor of the state itself, `gain` that of another term, with `own` and `term` the coefficients of the
    state and of the term in the differential equation. `propagator` is entry (row, column) of exp(dt * system), the
    columns of `system` being the states, what is held during the step, the input, and the constant term. `value` is `term`
    itself.
    """

    role: Literal["decay", "gain", "propagator", "value"]
    integrator: str
    own: Expr = ZERO
    term: Expr = ZERO
    system: tuple[tuple[Expr, ...], ...] = ()
    row: int = 0
    column: int = 0


@dataclass(frozen=True)
class Scheme:
    """A step form whose constants are the model's parameters, `dt`, and these coefficients."""

    form: StepForm
    coefficients: Mapping[str, Coefficient]


def scheme(model: NeuronModel, integrator: str, reset: str | None) -> Scheme:
    """The step program of a model under an integrator (ignored where the model is written in steps) and a reset rule."""
    spike = None if model.spike is None else model.parse(parse_condition, model.spike)
    rules = () if reset is None else model.parse(parse_statements, model.resets[reset])
    if model.step.strip():
        updates = model.parse(parse_statements, model.step)
        return _scheme(model, updates, spike, rules, {})
    if integrator not in INTEGRATORS:
        raise EquationError(f"unknown integrator '{integrator}'; known are {', '.join(INTEGRATORS)}")
    equations = model.parse(parse_equations, model.equations)
    states = tuple(x.target for x in equations)
    before = (x.target for x in parse_statements(model.before))
    held = tuple(dict.fromkeys(x for x in (*model.state, *before) if x not in states))  # constant while they are integrated
    columns = Columns(states, (*held, *model.inputs, TIME))
    terms = [_terms(equation.value, columns) for equation in equations]
    if integrator == "exact":
        updates, coefficients = _exact(model, equations, terms, columns)
    else:
        updates, coefficients = _sequential(model, equations, terms, columns, integrator)
    made = [*coefficients, *(x.target for x in updates if x.target not in model.state)]
    for name in (*model.parameters, *model.state):
        if name in made:
            raise EquationError(f"model {model.name}: '{name}' is a name the {integrator} integrator needs; rename it")
    updates = (*model.parse(parse_statements, model.before), *updates, *model.parse(parse_statements, model.after))
    return _scheme(model, updates, spike, rules, coefficients)


@dataclass(frozen=True)
class Columns:
    """What the equations of a step are linear in: the integrated states, and what is held during the step."""

    states: tuple[str, ...]
    held: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Everything, the term without any of them last."""
        return (*self.states, *self.held, REST)


def _terms(expr: Expr, columns: Columns) -> Terms | None:
    """The expression as a sum of constants times columns, or None where a factor is not the same in every step."""
    return None if any(draws(expr)) else affine(expr, columns.all)


def _scheme(
    model: NeuronModel,
    updates: tuple[Assign, ...],
    spike: Expr | None,
    rules: tuple[Assign, ...],
    coefficients: dict[str, Coefficient],
) -> Scheme:
    """The step form, with constants for what only depends on parameters, and a number of its own for each random draw."""
    payload = _payload(model)
    if model.arithmetic == "float":
        names = {*model.parameters, *model.state, *model.inputs, *coefficients, *(x.target for x in updates)}
        hoister = Hoister({*model.parameters, "dt", "payload_limit"}, names)
        updates, rules = hoister.assigns(updates), hoister.assigns(rules)
        spike, payload = (None if x is None else hoister.expr(x) for x in (spike, payload))
        coefficients |= {name: Coefficient("value", "", term=x) for name, x in hoister.found.items()}
    sites = count()
    form = StepForm(
        model.arithmetic,
        model.state,
        tuple(replace(x, value=number_draws(x.value, sites)) for x in updates),
        None if spike is None else number_draws(spike, sites),
        tuple(replace(x, value=number_draws(x.value, sites)) for x in rules),
        None if payload is None else number_draws(payload, sites),
        model.inputs,
    )
    return Scheme(form, coefficients)


def _payload(model: NeuronModel) -> Expr | None:
    """What a spike carries: whole, and within the population's limit."""
    if not model.payload:
        return None
    value, limit = model.parse(parse_number, model.payload), Name("payload_limit")
    whole = value if model.arithmetic == "loihi" else Call("round", (value,))
    return Call("max", (Call("min", (whole, limit)), Unary("-", limit)))


def _sequential(
    model: NeuronModel, equations: tuple[Assign, ...], terms: list[Terms | None], columns: Columns, integrator: str
) -> tuple[tuple[Assign, ...], dict[str, Coefficient]]:
    updates, coefficients = [], {}
    for equation, parts in zip(equations, terms, strict=True):
        state = equation.target
        if parts is None:
            updates += _in_step(model, equation, integrator)
            continue
        own = parts.get(state, ZERO)
        factors: dict[str, str | None] = {state: None}  # term -> name of its constant; None is a factor of 1
        if state in parts:
            factors[state] = f"{state}_decay"
            coefficients[f"{state}_decay"] = Coefficient("decay", integrator, own)
        for other in columns.all:
            if other in parts and other != state:
                name = f"{state}_{other or 'bias'}"
                if name in coefficients or (other and name in (f"{state}_bias", f"{state}_decay")):
                    raise EquationError(f"model {model.name}: a state named '{other}' is ambiguous beside {state}; rename it")
                factors[other] = name
                coefficients[name] = Coefficient("gain", integrator, own, parts[other])
        updates.append(Assign(state, _sum(factors)))
    return tuple(updates), coefficients


def _in_step(model: NeuronModel, equation: Assign, integrator: str) -> list[Assign]:
    """The update of an equation whose coefficients change from step to step.

    exponential: of dx/dt = r x + b, exactly x + (r x + b) * dt * exprel(r * dt), r and b at the newest values.
    """
    state = equation.target
    if integrator == "euler":
        return [Assign(state, Binary("+", Name(state), Binary("*", Name("dt"), equation.value)))]
    parts = affine(equation.value, {state}) if integrator == "exponential" else None
    if parts is None:
        raise EquationError(
            f"model {model.name}: d{state}/dt is not linear in {state}, so the {integrator} integrator does not apply; "
            "use integrator='euler'"
            if integrator == "exponential"
            else f"model {model.name}: d{state}/dt is not linear in the states and the input, so the {integrator} integrator "
            "does not apply; use integrator='euler'"
        )
    if state not in parts:
        return [Assign(state, Binary("+", Name(state), Binary("*", Name("dt"), equation.value)))]
    name = f"{state}_rate"
    if name in {*model.state, *model.parameters, *model.inputs, *(x.target for x in parse_statements(model.before))}:
        raise EquationError(f"model {model.name}: '{name}' is a name the {integrator} integrator needs; rename it")
    rate, slope = Name(name), Binary("*", Name(name), Name(state))
    whole = Binary("+", slope, parts[REST]) if REST in parts else slope
    step = Binary("*", Name("dt"), Call("exprel", (Binary("*", rate, Name("dt")),)))
    return [Assign(name, parts[state]), Assign(state, Binary("+", Name(state), Binary("*", whole, step)))]


def _exact(
    model: NeuronModel, equations: tuple[Assign, ...], terms: list[Terms | None], columns: Columns
) -> tuple[tuple[Assign, ...], dict[str, Coefficient]]:
    linear: list[Terms] = []
    for equation, parts in zip(equations, terms, strict=True):
        if parts is None:
            raise EquationError(
                f"model {model.name}: d{equation.target}/dt is not linear, so it has no exact propagator; "
                "use integrator='euler'"
            )
        linear.append(parts)
    system = tuple(tuple(parts.get(column, ZERO) for column in columns.all) for parts in linear)
    reach = _reachable(columns.states, linear)
    coefficients, updates = {}, []
    for row, state in enumerate(columns.states):
        factors: dict[str, str | None] = {}
        for column, other in enumerate(columns.all):
            if other == state and state not in linear[row] and not reach[state] & {*columns.states} - {state}:
                factors[state] = None
            elif other == state or other in reach[state]:
                name = f"{state}_decay" if other == state else f"{state}_{other or 'bias'}"
                if name in coefficients or (other not in (state, REST) and other in ("bias", "decay", "next")):
                    raise EquationError(f"model {model.name}: a state named '{other}' is ambiguous beside {state}; rename it")
                factors[other] = name
                coefficients[name] = Coefficient("propagator", "exact", system=system, row=row, column=column)
        ordered = {state: factors.pop(state), **factors}
        updates.append(Assign(state, _sum(ordered)))
    return _simultaneous(columns.states, updates, reach), coefficients


def _simultaneous(state: tuple[str, ...], updates: list[Assign], reach: Mapping[str, set[str]]) -> tuple[Assign, ...]:
    """Order the updates so that each reads old states: last equation first where that works, else by temporaries."""
    if all(not (reach[x] & set(state[k + 1 :])) for k, x in enumerate(state)):
        return tuple(reversed(updates))
    first = [replace(update, target=f"{update.target}_next") for update in updates]
    return (*first, *(Assign(x, Name(f"{x}_next")) for x in state))


def _reachable(state: tuple[str, ...], linear: list[Terms]) -> dict[str, set[str]]:
    """For each state the columns that influence it within a step (transitive closure of the system's structure)."""
    reach = {x: set(parts) for x, parts in zip(state, linear, strict=True)}
    for middle in state:
        for x in state:
            if middle in reach[x]:
                reach[x] |= reach[middle]
    return reach


def _sum(factors: Mapping[str, str | None]) -> Expr:
    result: Expr | None = None
    for variable, constant in factors.items():
        if variable == REST:
            term: Expr = Name(constant or "")
        else:
            term = Name(variable) if constant is None else Binary("*", Name(variable), Name(constant))
        result = term if result is None else Binary("+", result, term)
    assert result is not None
    return result

"""Units in neuron models: unit names in equations, and the check that what is added, compared and assigned has one unit.

Parameters declare their units. The dimensions of states, inputs and temporaries follow from the equations: every sum,
comparison, function and assignment claims that two dimensions are the same, which is linear in their exponents. The claims are
taken one by one; each either settles something not known yet, or holds by what is known, or is the user's error.

A model in which no parameter has a unit and no equation names one is in plain numbers, and is not checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from neurocomp.ir.dimensions import ONE, SECOND, UNIT_NAMES, Dimension, Exponent, nearest, parse_unit, readable
from neurocomp.ir.errors import EquationError
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
    children,
    names,
    one_line,
    parse_condition,
    parse_equations,
    parse_number,
    parse_statements,
)
from neurocomp.ir.program import TIME

if TYPE_CHECKING:
    from neurocomp.ir.model import NeuronModel

T = TypeVar("T", Expr, tuple[Assign, ...])

# The order in which claims are taken. Where some contradict each other the last one is blamed, so the surest come first.
EQUAL, DEMAND, LITERAL, IF_KNOWN = range(4)
ZERO = "0"  # begins the names of the dimensions of literal zeros
KEEPS = ("abs", "wrap24", "clip24", "decay12", "shift")  # functions whose value has the dimension of their first argument
AGREE = ("min", "max", "where")  # functions whose last two arguments have the dimension of their value


def unit_names(model: NeuronModel) -> set[str]:
    """The names that mean a unit in this model's texts: those it uses for nothing else. None in integer arithmetic."""
    return set() if model.arithmetic == "loihi" else {*UNIT_NAMES} - model.known_names


def hint(model: NeuronModel, name: str) -> str:
    """What an unknown name was perhaps meant to be, to follow the name in a message."""
    meant = nearest(name, (*sorted(model.known_names), *(x for x in UNIT_NAMES if x in unit_names(model))))
    return f" (did you mean {meant}?)" if meant else ""


def resolve(model: NeuronModel, parsed: T) -> T:
    """An expression, or assignments, with unit names as what they are in SI units: `10 * mV` is 10 * 0.001."""
    units = unit_names(model)
    if isinstance(parsed, tuple):
        return tuple(replace(x, value=_resolve(x.value, units)) for x in parsed)
    return _resolve(parsed, units)


def _resolve(expr: Expr, units: set[str]) -> Expr:
    if units.isdisjoint(names(expr)):
        return expr
    match expr:
        case Name(name):
            return Number(UNIT_NAMES[name].scale)
        case Binary("*" | "/", left, Name(name)) if name in units and UNIT_NAMES[name].scale == 1:
            return _resolve(left, units)
        case Binary() | Compare() | Logic():
            return replace(expr, left=_resolve(expr.left, units), right=_resolve(expr.right, units))
        case Unary():
            return replace(expr, operand=_resolve(expr.operand, units))
        case Call():
            return replace(expr, args=tuple(_resolve(arg, units) for arg in expr.args))
        case Number():
            return expr


def check(model: NeuronModel) -> None:
    """Raise `EquationError` for a unit that is none, and where dimensions contradict each other."""
    solution = _solve(model)
    if solution is not None and solution.wrong:
        wrong = min(solution.wrong, key=lambda claim: claim.order)
        message = f"model {model.name}, {wrong.text.place}: {wrong.say(solution, unit_names(model))}"
        raise EquationError(message, wrong.text.source, wrong.column)


def of(model: NeuronModel) -> dict[str, str]:
    """The unit of every state and input: "" for plain numbers, "?" where the equations do not tell."""
    solution = _solve(model)
    found = {x: None if solution is None else solution.reduce(_unknown(x)) for x in (*model.state, *model.inputs)}
    return {x: "?" if unit is None or unit.unknowns else _unit_text(unit) for x, unit in found.items()}


def _unit_text(unit: Dimension) -> str:
    return readable(unit) if unit.powers else ""


def _unknown(name: str) -> Dimension:
    return Dimension({f"[{name}]": 1})


def _solve(model: NeuronModel) -> _Solution | None:
    """All claims of a model, taken; None for a model in plain numbers."""
    units = unit_names(model)
    known = {name: _declared(model, name) for name in model.parameters}
    known |= {name: _unknown(name) for name in model.known_names if name not in known}
    known |= {"dt": SECOND, TIME: SECOND, "payload_limit": ONE} | {name: UNIT_NAMES[name].unscaled for name in units}
    texts = list(_texts(model, known))
    declares = any(unit.strip() for unit in model.parameters.values())
    if not declares and all(units.isdisjoint(names(text.value)) for text in texts):
        return None
    claims: list[_Claim] = []
    zeros = count()
    for text in texts:
        _Reader(text, known, zeros, claims).read()
    solution = _Solution()
    for claim in sorted(claims, key=lambda claim: claim.rank):
        solution.take(claim)
    return solution


def _declared(model: NeuronModel, parameter: str) -> Dimension:
    text, where = model.parameters[parameter].strip(), f"model {model.name}, parameter {parameter}"
    try:
        unit = parse_unit(text)
    except EquationError as error:
        raise error.within(where) from None
    if unit == unit.unscaled:
        return unit
    cure = f"; in equations, 20*{text} works" if text in unit_names(model) else ""
    raise EquationError(
        f"{where}: numbers are in SI units without prefixes; declare '{readable(unit.unscaled)}' and give 20 {text} as "
        f"{20 * unit.scale:g}{cure}",
        text,
    )


@dataclass(frozen=True, slots=True)
class _Text:
    """One expression of a model. Where its value goes somewhere, `target` is the dimension there."""

    place: str
    value: Expr
    source: str
    column: int = 0
    target: Dimension | None = None
    complaint: str = ""  # with {left} for the target's dimension and {right} for the value's
    rank: int = DEMAND


def _texts(model: NeuronModel, known: Mapping[str, Dimension]) -> Iterator[_Text]:
    """All expressions of a model, as written; the equations first, as they say best what their states are."""

    def assigned(place: str, text: str) -> Iterator[_Text]:
        for x in parse_statements(text, model.arithmetic):
            complaint = f"cannot assign {{right}} to {x.target}, which is {{left}}"
            rank = DEMAND if x.target in model.state else EQUAL
            yield _Text(place, x.value, x.source, x.column, known[x.target], complaint, rank)

    for x in parse_equations(model.equations, model.arithmetic):
        complaint = f"the right-hand side is {{right}}, but d{x.target}/dt is {{left}}"
        yield _Text(f"d{x.target}/dt", x.value, x.source, x.column, known[x.target] / SECOND, complaint)
    for place, text in (("step", model.step), ("before", model.before), ("after", model.after)):
        yield from assigned(place, text)
    if model.spike is not None:
        yield _Text("spike", parse_condition(model.spike, model.arithmetic), one_line(model.spike))
    if model.payload:
        value = parse_number(model.payload, model.arithmetic)
        yield _Text("payload", value, one_line(model.payload), 0, ONE, "a payload is a plain number, not {right}", IF_KNOWN)
    for rule, text in model.resets.items():
        yield from assigned(f"reset '{rule}'", text)
    for state, text in model.initial.items():
        complaint = f"cannot start {state}, which is {{left}}, at {{right}}"
        yield _Text(f"initial {state}", parse_number(text, model.arithmetic), one_line(text), 0, known[state], complaint)
    for constraint in model.constraints:
        yield _Text(f"constraint '{constraint}'", parse_condition(constraint, model.arithmetic), one_line(constraint))


@dataclass(frozen=True, slots=True)
class _Claim:
    """Two dimensions that must be the same, and what is wrong where they are not."""

    text: _Text
    left: Dimension
    right: Dimension
    complaint: str
    rank: int
    order: int  # in the text
    column: int
    number: Expr | None = None  # the side that is a plain number, if one is

    def say(self, solution: _Solution, units: set[str]) -> str:
        """The complaint with both dimensions, and the cure where it is likely. `units` are names of units."""
        left, right = solution.reduce(self.left), solution.reduce(self.right)
        message = self.complaint.format(left=readable(left), right=readable(right))
        if self.text.place == "spike":  # far from what decided them
            found = {x: solution.solved[f"[{x}]"] for x in names(self.text.value) if f"[{x}]" in solution.solved}
            message += f" ({', '.join(f'{x} is {readable(unit)}' for x, unit in found.items())})" if found else ""
        unit = readable(right if left == ONE else left).replace("^", "**")
        bare = sorted(_bare(self.text.value, units))
        if bare:
            return f"{message} ({bare[0]} is a unit here, as the model defines no {bare[0]})"
        if isinstance(self.number, Number) and {*re.findall(r"[^\d/*]+", unit)} <= units:
            return f"{message}; a plain number has no unit: write {self.number.value}*{unit}"
        if self.text.place.endswith("/dt") and self.column == self.text.column and right / left == SECOND:
            return f"{message}; divide it by a time constant"
        return message


@dataclass
class _Solution:
    """What the claims taken so far say about unknown dimensions; `wrong` are those that contradicted earlier ones."""

    solved: dict[str, Dimension] = field(default_factory=dict)
    wrong: list[_Claim] = field(default_factory=list)

    def reduce(self, dimension: Dimension) -> Dimension:
        """The dimension with all that is known put in."""
        for symbol in dimension.unknowns:
            if symbol in self.solved:
                power = dimension.powers[symbol]
                dimension = dimension.times(Dimension({symbol: 1}), -power).times(self.solved[symbol], power)
        return dimension

    def take(self, claim: _Claim) -> None:
        """Let the claim settle an unknown, or find that it holds, or that it is wrong."""
        rest = self.reduce(claim.left / claim.right)
        if not rest.unknowns:
            self.wrong += [claim] if rest.powers else []
        elif claim.rank != IF_KNOWN:
            symbol = min(rest.unknowns, key=lambda x: not x.startswith(f"[{ZERO}"))  # that of a zero, if there is one
            power = rest.powers[symbol]
            value = Dimension({x: y for x, y in rest.powers.items() if x != symbol})
            self._settle(symbol, value ** (-power if power in (1, -1) else Fraction(-1) / power))

    def _settle(self, symbol: str, value: Dimension) -> None:
        self.solved[symbol] = value
        for other, dimension in self.solved.items():
            if symbol in dimension.powers:
                self.solved[other] = self.reduce(dimension)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the claims of one text."""

    text: _Text
    known: Mapping[str, Dimension]
    zeros: Iterator[int]  # numbers them: each is an unknown of its own, as 0 fits anything
    claims: list[_Claim]

    def read(self) -> None:
        """Add the claims of the text, from the inside out."""
        text, found = self.text, self.dimension(self.text.value)
        if text.target is not None:
            self._claim(text.target, found, text.complaint, text.rank, text.column, _plain(text.value))

    def _claim(self, left: Dimension, right: Dimension, complaint: str, rank: int, column: int, number: Expr | None) -> None:
        rank = rank if number is None else max(rank, LITERAL)
        self.claims.append(_Claim(self.text, left, right, complaint, rank, len(self.claims), column, number))

    def _demand_none(self, demand: str, arg: Expr, column: int) -> None:
        self._claim(self.dimension(arg), ONE, f"{demand}, not {{left}}", DEMAND, column, None)

    def _agree(self, left: Expr, right: Expr, complaint: str, column: int) -> Dimension:
        first, second = self.dimension(left), self.dimension(right)
        number = _plain(left) or _plain(right)
        self._claim(first, second, complaint, EQUAL, column, number)
        return second if number is left else first

    def dimension(self, expr: Expr) -> Dimension:
        """The dimension of an expression, in terms of what is not known yet."""
        match expr:
            case Number(value):
                return ONE if value else _unknown(f"{ZERO} {next(self.zeros)}")
            case Name(name):
                return self.known[name]
            case Unary(_, operand):
                return self.dimension(operand)
            case Binary("*", left, right):
                return self.dimension(left) * self.dimension(right)
            case Binary("/", left, right):
                return self.dimension(left) / self.dimension(right)
            case Binary("+", left, right):
                return self._agree(left, right, "cannot add {left} and {right}", expr.column)
            case Binary("-", left, right):
                return self._agree(left, right, "cannot subtract {right} from {left}", expr.column)
            case Binary(op, left, right):
                self._demand_none(f"{op} needs a plain number on its right", right, expr.column)
                return self.dimension(left)
            case Compare(_, left, right):
                self._agree(left, right, "cannot compare {left} with {right}", expr.column)
                return ONE
            case Logic():
                for side in children(expr):
                    self.dimension(side)
                return ONE
            case Call():
                return self._call(expr)

    def _call(self, call: Call) -> Dimension:
        function, args = call.function, call.args
        if function in AGREE:
            for condition in args[:-2]:
                self.dimension(condition)
            complaint = f"{function}() must get one unit, not {{left}} and {{right}}"
            return self._agree(args[-2], args[-1], complaint, call.column)
        if function == "sqrt":
            return self.dimension(args[0]) ** Fraction(1, 2)
        if function == "pow" and (exponent := _constant(args[1])) is not None:
            return self.dimension(args[0]) ** exponent
        demand = "a power that changes needs plain numbers" if function == "pow" else f"{function}() needs a plain number"
        for arg in args[1:] if function in KEEPS else args:
            self._demand_none(demand, arg, call.column)
        return self.dimension(args[0]) if function in KEEPS else ONE


def _plain(expr: Expr) -> Expr | None:
    """The expression, if it is made of literals only."""
    return expr if next(names(expr), None) is None else None


def _bare(expr: Expr, units: set[str]) -> set[str]:
    """Units of one letter that stand without a number: perhaps the user meant a state or a parameter."""
    if _is_quantity(expr, units) and not isinstance(expr, Name) and _has_number(expr):
        return set()
    if isinstance(expr, Name):
        return {expr.id} & units if len(expr.id) == 1 else set()
    return {name for child in children(expr) for name in _bare(child, units)}


def _is_quantity(expr: Expr, units: set[str]) -> bool:
    """Whether the expression is made of numbers and units only, such as 3 * V / s."""
    match expr:
        case Name(name):
            return name in units
        case Binary("*" | "/"):
            return all(_is_quantity(side, units) for side in children(expr))
    return isinstance(expr, Number)


def _has_number(expr: Expr) -> bool:
    return isinstance(expr, Number) or any(_has_number(child) for child in children(expr))


def _constant(expr: Expr) -> Exponent | None:
    """The value of a literal exponent, also of one such as 1 / 3."""
    match expr:
        case Number(value):
            return Fraction(repr(value))
        case Unary("-", operand) if (inner := _constant(operand)) is not None:
            return -inner
        case Binary("/", Number(above), Number(below)) if below:
            return Fraction(repr(above)) / Fraction(repr(below))
    return None

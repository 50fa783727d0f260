"""The equation language: a small typed expression tree, parsed from a white-listed part of Python's grammar.

Nothing outside this grammar is ever evaluated or reaches a compiler: the text is parsed by `ast`, each node is checked
here and rebuilt as one of our own frozen nodes, and the printers (`printers.py`) only know those.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from neurocomp.ir.errors import EquationError

# name -> (number of arguments, arithmetic it belongs to or "any")
FUNCTIONS: Mapping[str, tuple[int, str]] = {
    "where": (3, "any"),
    "abs": (1, "any"),
    "min": (2, "any"),
    "max": (2, "any"),
    "sqrt": (1, "float"),
    "round": (1, "float"),
    "decay12": (2, "loihi"),
    "wrap24": (1, "loihi"),
    "clip24": (1, "loihi"),
    "shift": (2, "loihi"),
}

_BINARY: Mapping[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.LShift: "<<",
    ast.RShift: ">>",
}
_COMPARE: Mapping[type[ast.cmpop], str] = {
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
MAX_DEPTH = 200  # of nested operators and calls: every walk over a tree is recursive
_DERIVATIVE = re.compile(r"d([A-Za-z][A-Za-z0-9_]*)/dt\s*=\s*")


@dataclass(frozen=True, slots=True)
class Number:
    """A literal. Integers stay integers, so that integer arithmetic can insist on them."""

    value: float | int


@dataclass(frozen=True, slots=True)
class Name:
    """A state variable, a parameter or constant, or the input `a`."""

    id: str


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x` or `not x`."""

    op: str
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary:
    """`left op right` for + - * / << >>."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right` for > >= < <= == !=; a truth value."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Logic:
    """`left and right`, `left or right`; a truth value."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Call:
    """One of `FUNCTIONS`."""

    function: str
    args: tuple[Expr, ...]


Expr = Number | Name | Unary | Binary | Compare | Logic | Call


@dataclass(frozen=True, slots=True)
class Assign:
    """`target = value`."""

    target: str
    value: Expr


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct sub-expressions, left to right."""
    match expr:
        case Number() | Name():
            return ()
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right) | Compare(_, left, right) | Logic(_, left, right):
            return (left, right)
        case Call(_, args):
            return args


def is_condition(expr: Expr) -> bool:
    """Whether the expression is a truth value (else it is a number)."""
    return isinstance(expr, Compare | Logic) or (isinstance(expr, Unary) and expr.op == "not")


def names(expr: Expr) -> Iterator[str]:
    """Every name in the expression, in order, with repeats."""
    if isinstance(expr, Name):
        yield expr.id
    for child in children(expr):
        yield from names(child)


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """The expression with names replaced; everything else stays as written."""
    match expr:
        case Name(name):
            return values.get(name, expr)
        case Number():
            return expr
        case Unary(op, operand):
            return Unary(op, substitute(operand, values))
        case Binary(op, left, right):
            return Binary(op, substitute(left, values), substitute(right, values))
        case Compare(op, left, right):
            return Compare(op, substitute(left, values), substitute(right, values))
        case Logic(op, left, right):
            return Logic(op, substitute(left, values), substitute(right, values))
        case Call(function, args):
            return Call(function, tuple(substitute(arg, values) for arg in args))


def check_identifier(name: str, what: str) -> None:
    """Refuse names that are not plain ASCII identifiers (they end up in generated code and in file keys)."""
    if not _IDENTIFIER.match(name):
        raise EquationError(f"{what} '{name}' is not a valid name: use letters, digits and _, starting with a letter")


def parse_condition(text: str, arithmetic: str = "float") -> Expr:
    """Parse a condition, such as `v > v_threshold`."""
    expr = parse_expression(text, arithmetic)
    if not is_condition(expr):
        raise EquationError("expected a condition, such as v > v_threshold", text.strip())
    return expr


def parse_number(text: str, arithmetic: str = "float") -> Expr:
    """Parse an expression whose value is a number."""
    expr = parse_expression(text, arithmetic)
    if is_condition(expr):
        raise EquationError("expected a number, not a condition; write where(condition, 1.0, 0.0)", text.strip())
    return expr


def parse_expression(text: str, arithmetic: str = "float") -> Expr:
    """Parse one expression. Raises `EquationError` that points at the column of what is not allowed."""
    source = text.strip()
    if not source.isascii():
        column = next(k for k, character in enumerate(source) if not character.isascii())
        raise EquationError(f"{source[column]!r} is not part of the equation language, which is plain ASCII", source, column)
    try:
        tree = ast.parse(source, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        column = max((getattr(error, "offset", 1) or 1) - 1, 0)
        raise EquationError(f"cannot parse expression: {getattr(error, 'msg', error)}", source, column) from None
    return _convert(tree.body, source, arithmetic)


def parse_statements(text: str, arithmetic: str = "float") -> tuple[Assign, ...]:
    """Parse assignments separated by newlines or semicolons: `v = v_reset; w = w + b`."""
    result: list[Assign] = []
    for line in _lines(text):
        target, separator, value = line.partition("=")
        if not separator or value.startswith("="):
            raise EquationError("expected an assignment `name = expression`", line)
        check_identifier(target.strip(), "assigned variable")
        result.append(Assign(target.strip(), parse_number(value, arithmetic)))
    return tuple(result)


def parse_equations(text: str) -> tuple[Assign, ...]:
    """Parse differential equations `dx/dt = expression`, one a line, into (state, right-hand side)."""
    result: list[Assign] = []
    for line in _lines(text):
        match = _DERIVATIVE.match(line)
        if match is None:
            raise EquationError("expected a differential equation `dx/dt = expression`", line)
        state = match.group(1)
        if any(state == earlier.target for earlier in result):
            raise EquationError(f"d{state}/dt is given twice", line)
        result.append(Assign(state, parse_number(line[match.end() :])))
    return tuple(result)


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for statement in line.split("#", 1)[0].split(";"):
            if statement.strip():
                yield statement.strip()


def _convert(node: ast.expr, source: str, arithmetic: str, depth: int = 0) -> Expr:
    def fail(message: str) -> EquationError:
        return EquationError(message, source, node.col_offset)

    def sub(child: ast.expr, condition: bool = False) -> Expr:
        result = _convert(child, source, arithmetic, depth + 1)
        if is_condition(result) != condition:
            found, wanted = ("a number", "a condition") if condition else ("a condition", "a number")
            raise EquationError(f"{found} stands where {wanted} is needed", source, child.col_offset)
        return result

    if depth > MAX_DEPTH:
        raise fail(f"the expression is nested more than {MAX_DEPTH} deep; split it")
    match node:
        case ast.Constant(value=bool()):
            raise fail("truth values are not numbers here; write a comparison")
        case ast.Constant(value=int() | float() as value):
            if arithmetic == "loihi" and not isinstance(value, int):
                raise fail(f"{value} is not an integer, and this model's arithmetic is integer")
            if isinstance(value, float) and not math.isfinite(value):
                raise fail("this number is too large")
            if isinstance(value, int) and value >= 2**63:
                raise fail(f"{value} is too large for a 64-bit integer; write it as a float")
            return Number(value)
        case ast.Name(id=name) if _IDENTIFIER.match(name):
            return Name(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = sub(operand)
            return Number(-inner.value) if isinstance(inner, Number) else Unary("-", inner)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return sub(operand)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Unary("not", sub(operand, condition=True))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            symbol = _BINARY[type(op)]
            if (symbol in ("<<", ">>")) != (arithmetic == "loihi") and symbol in ("<<", ">>", "/"):
                raise fail(f"'{symbol}' does not exist in {arithmetic} arithmetic")
            return Binary(symbol, sub(left), sub(right))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            return Compare(_COMPARE[type(op)], sub(left), sub(right))
        case ast.BoolOp(op=op, values=[first, *rest]):
            symbol = "and" if isinstance(op, ast.And) else "or"
            result = sub(first, condition=True)
            for term in rest:
                result = Logic(symbol, result, sub(term, condition=True))
            return result
        case ast.Call(func=ast.Name(id=function), args=args, keywords=[]) if function in FUNCTIONS:
            arity, needs = FUNCTIONS[function]
            if needs not in ("any", arithmetic):
                raise fail(f"{function}() does not exist in {arithmetic} arithmetic")
            if len(args) != arity:
                raise fail(f"{function}() takes {arity} arguments, not {len(args)}")
            return Call(function, tuple(sub(arg, function == "where" and k == 0) for k, arg in enumerate(args)))
        case ast.Call(func=ast.Name(id=function)):
            raise fail(f"unknown function '{function}'; known are {', '.join(sorted(FUNCTIONS))}")
    raise fail(f"{type(node).__name__} is not part of the equation language")

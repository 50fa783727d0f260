"""The equation language: a small typed expression tree, parsed from a white-listed part of Python's grammar.

Nothing outside this grammar is ever evaluated or reaches a compiler: the text is parsed by `ast`, each node is checked
here and rebuilt as one of our own frozen nodes, and the printers (`printers.py`) only know those.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from keyword import iskeyword

from neurocomp.ir.errors import EquationError

# name -> (number of arguments, arithmetic it belongs to or "any")
FUNCTIONS: Mapping[str, tuple[int, str]] = {
    "where": (3, "any"),
    "abs": (1, "any"),
    "min": (2, "any"),
    "max": (2, "any"),
    "sqrt": (1, "float"),
    "round": (1, "float"),
    "exp": (1, "float"),
    "expm1": (1, "float"),
    "exprel": (1, "float"),  # (exp(x) - 1) / x, and 1 at 0
    "log": (1, "float"),
    "log1p": (1, "float"),
    "tanh": (1, "float"),
    "sigmoid": (1, "float"),  # 1 / (1 + exp(-x))
    "sin": (1, "float"),
    "cos": (1, "float"),
    "pow": (2, "float"),
    "rand": (0, "float"),  # uniform in [0, 1)
    "randn": (0, "float"),  # standard normal
    "poisson": (1, "float"),  # Poisson of this mean
    "decay12": (2, "loihi"),
    "wrap24": (1, "loihi"),
    "clip24": (1, "loihi"),
    "shift": (2, "loihi"),
}

FUNCTIONS_MEANT: Mapping[str, str] = dict.fromkeys(("heaviside", "int", "bool", "float"), "where(condition, 1.0, 0.0)")
NAMES_MEANT: Mapping[str, str] = {"xi": "randn() / sqrt(dt)", "pi": "3.141592653589793"}
RANDOM = ("rand", "randn", "poisson")  # a fresh draw for each neuron, step and place in the program
MAX_POWER = 8  # x**k with a whole k up to this is multiplied out

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
_OTHER_SIGNS: Mapping[type[ast.operator], tuple[str, str]] = {
    ast.BitXor: ("^", "**"),
    ast.BitAnd: ("&", "and"),
    ast.BitOr: ("|", "or"),
}
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
AUGMENTED = ("+", "-", "*", "/")  # operators that may stand before the = of an assignment
MAX_DEPTH = 200  # of nested operators and calls: every walk over a tree is recursive
_DERIVATIVE = re.compile(r"d([A-Za-z][A-Za-z0-9_]*)/dt\s*=\s*")


@dataclass(frozen=True, slots=True)
class Number:
    """A literal. Integers stay integers, so that integer arithmetic can insist on them."""

    value: float | int


@dataclass(frozen=True, slots=True)
class Name:
    """A state variable, a parameter or constant, an input such as `a`, or the time `t`."""

    id: str
    column: int = field(default=0, compare=False, repr=False)  # in the text it was parsed from


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
    column: int = field(default=0, compare=False, repr=False)  # of the operator


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right` for > >= < <= == !=; a truth value."""

    op: str
    left: Expr
    right: Expr
    column: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Logic:
    """`left and right`, `left or right`; a truth value."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Call:
    """One of `FUNCTIONS`. `site` numbers the random draws of a program (`number_draws`)."""

    function: str
    args: tuple[Expr, ...]
    site: int = 0
    column: int = field(default=0, compare=False, repr=False)


Expr = Number | Name | Unary | Binary | Compare | Logic | Call


@dataclass(frozen=True, slots=True)
class Assign:
    """`target = value`, or `d target/dt = value`."""

    target: str
    value: Expr
    source: str = field(default="", compare=False, repr=False)  # the statement as written; columns count from its beginning
    column: int = field(default=0, compare=False, repr=False)  # where the value stands in it


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
    return (name.id for name in name_nodes(expr))


def name_nodes(expr: Expr) -> Iterator[Name]:
    """Every name in the expression with its column, in order, with repeats."""
    if isinstance(expr, Name):
        yield expr
    for child in children(expr):
        yield from name_nodes(child)


def rewrite(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The expression with `change` applied to every part, the inner ones first."""
    match expr:
        case Number() | Name():
            return change(expr)
        case Unary():
            return change(replace(expr, operand=rewrite(expr.operand, change)))
        case Binary() | Compare() | Logic():
            return change(replace(expr, left=rewrite(expr.left, change), right=rewrite(expr.right, change)))
        case Call():
            return change(replace(expr, args=tuple(rewrite(arg, change) for arg in expr.args)))


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """The expression with names replaced; everything else stays as written."""
    return rewrite(expr, lambda part: values.get(part.id, part) if isinstance(part, Name) else part)


def draws(expr: Expr) -> Iterator[Call]:
    """Every random draw in the expression, in order."""
    for child in children(expr):
        yield from draws(child)
    if isinstance(expr, Call) and expr.function in RANDOM:
        yield expr


def number_draws(expr: Expr, sites: Iterator[int]) -> Expr:
    """The expression with a number of its own for every random draw, so that no two give the same value."""
    match expr:
        case Number() | Name():
            return expr
        case Unary(op, operand):
            return Unary(op, number_draws(operand, sites))
        case Binary() | Compare() | Logic():
            return replace(expr, left=number_draws(expr.left, sites), right=number_draws(expr.right, sites))
        case Call(function, args):
            done = tuple(number_draws(arg, sites) for arg in args)
            return Call(function, done, next(sites) if function in RANDOM else 0, expr.column)


def check_identifier(name: str, what: str) -> None:
    """Refuse names that are not plain ASCII identifiers (they end up in generated code and in file keys)."""
    if not isinstance(name, str) or not _IDENTIFIER.match(name):
        raise EquationError(f"{what} '{name}' is not a valid name: use letters, digits and _, starting with a letter")


def check_node(node: Assign | Expr) -> None:
    """Refuse one node of a tree, or an assignment, that no text could have given: such trees come from forged files."""
    match node:
        case Number(value):
            good = isinstance(value, int | float)
        case Name(name) | Assign(target=name):
            good = isinstance(name, str) and bool(_IDENTIFIER.match(name))
        case Unary(op):
            good = op in ("-", "not")
        case Binary(op):
            good = op in _BINARY.values()
        case Compare(op):
            good = op in _COMPARE.values()
        case Logic(op):
            good = op in ("and", "or")
        case Call(function, args):
            good = function in FUNCTIONS and len(args) == FUNCTIONS[function][0] and isinstance(node.site, int)
        case _:
            good = False
    if not good:
        raise EquationError(f"{type(node).__name__} is outside the language of equations: {str(node)[:80]}")
    if not all(isinstance(x, Expr) for x in ((node.value,) if isinstance(node, Assign) else children(node))):
        raise EquationError(f"{type(node).__name__} holds something that is no expression")


def check_parameter(name: str, what: str) -> None:
    """Refuse names that equations cannot use, also Python's keywords."""
    check_identifier(name, what)
    if iskeyword(name):
        raise EquationError(f"{what} '{name}' is a keyword of Python, so equations cannot name it; rename it, as in '{name}_'")


def parse_condition(text: str, arithmetic: str = "float") -> Expr:
    """Parse a condition, such as `v > v_threshold`."""
    expr = parse_expression(text, arithmetic)
    if not is_condition(expr):
        raise EquationError("expected a condition, such as v > v_threshold", text.strip())
    return expr


def parse_number(text: str, arithmetic: str = "float") -> Expr:
    """Parse an expression whose value is a number."""
    return _number(one_line(text), 0, arithmetic)


def parse_expression(text: str, arithmetic: str = "float") -> Expr:
    """Parse one expression. Raises `EquationError` that points at the column of what is not allowed."""
    return _expression(one_line(text), 0, arithmetic)


def parse_statements(text: str, arithmetic: str = "float") -> tuple[Assign, ...]:
    """Parse assignments separated by newlines or semicolons: `v = v_reset; w = w + b`, the latter also as `w += b`."""
    result: list[Assign] = []
    for line in _lines(text):
        target, separator, value = line.partition("=")
        if not separator or value.startswith("="):
            raise EquationError("expected an assignment `name = expression`", line)
        operator, end = target[-1:], len(target) - 1  # of `w += b`, which is w = w + (b)
        augmented = operator in AUGMENTED
        name = (target[:end] if augmented else target).strip()
        check_identifier(name, "assigned variable")
        if operator == "/" and arithmetic == "loihi":
            raise EquationError(f"'/' does not exist in {arithmetic} arithmetic", line, end)
        start = len(line) - len(value.lstrip())
        number = _number(line, start, arithmetic)
        result.append(Assign(name, Binary(operator, Name(name), number, end) if augmented else number, line, start))
    return tuple(result)


def parse_equations(text: str, arithmetic: str = "float") -> tuple[Assign, ...]:
    """Parse differential equations `dx/dt = expression`, one a line, into (state, right-hand side)."""
    result: list[Assign] = []
    for line in _lines(text):
        match, colon = _DERIVATIVE.match(line), line.find(":")
        if colon >= 0 and line[colon + 1 : colon + 2] != "=":
            cure = f"leave '{line[colon:]}' out; the state's unit follows from those of the parameters"
            cure = cure if match else f"declare it in parameters={{'{line[:colon].strip()}': unit}}"
            raise EquationError(f"units are not written here: {cure}", line, colon)
        if match is None:
            raise EquationError("expected a differential equation `dx/dt = expression`", line)
        state = match.group(1)
        if any(state == earlier.target for earlier in result):
            raise EquationError(f"d{state}/dt is given twice", line)
        result.append(Assign(state, _number(line, match.end(), arithmetic), line, match.end()))
    return tuple(result)


def one_line(text: str) -> str:
    """An expression's text as errors show it."""
    return text.strip().replace("\n", " ")


def _number(source: str, start: int, arithmetic: str) -> Expr:
    expr = _expression(source, start, arithmetic)
    if is_condition(expr):
        raise EquationError("expected a number, not a condition; write where(condition, 1.0, 0.0)", source, start)
    return expr


@lru_cache(maxsize=4096)
def _expression(source: str, start: int, arithmetic: str) -> Expr:
    """What stands from `start` on in a statement; columns count from the statement's beginning."""
    if not source.isascii():
        column = next(k for k, character in enumerate(source) if not character.isascii())
        raise EquationError(f"{source[column]!r} is not part of the equation language, which is plain ASCII", source, column)
    try:
        tree = ast.parse(source[start:], mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        column = max((getattr(error, "offset", 1) or 1) - 1, 0)
        raise EquationError(f"cannot parse expression: {getattr(error, 'msg', error)}", source, start + column) from None
    return _convert(tree.body, source, start, arithmetic)


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for statement in line.split("#", 1)[0].split(";"):
            if statement.strip():
                yield statement.strip()


def _power(base: Expr, exponent: Expr, column: int) -> Expr:
    """`base ** exponent`: small whole powers as products, as they cost least and every compiler gives them the same bits."""
    match exponent:
        case Number(int() as times) if 1 <= times <= MAX_POWER and not any(draws(base)):
            result = base
            for _ in range(times - 1):
                result = Binary("*", result, base, column)
            return result
    return Call("pow", (base, exponent), column=column)


def _convert(node: ast.expr, source: str, start: int, arithmetic: str, depth: int = 0) -> Expr:
    column = start + node.col_offset

    def fail(message: str) -> EquationError:
        return EquationError(message, source, column)

    def text(part: ast.expr) -> str:
        return source[start + part.col_offset : start + (part.end_col_offset or 0)]

    def between(left: ast.expr, symbol: str) -> int:
        return source.find(symbol, start + (left.end_col_offset or 0))

    def sub(child: ast.expr, condition: bool = False) -> Expr:
        result = _convert(child, source, start, arithmetic, depth + 1)
        if is_condition(result) != condition:
            found, wanted = ("a number", "a condition") if condition else ("a condition", "a number")
            raise EquationError(f"{found} stands where {wanted} is needed", source, start + child.col_offset)
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
            return Name(name, column)
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
            return Binary(symbol, sub(left), sub(right), between(left, symbol))
        case ast.BinOp(left=left, op=ast.Pow(), right=right) if arithmetic == "float":
            return _power(sub(left), sub(right), between(left, "**"))
        case ast.BinOp(left=left, op=op) if type(op) in _OTHER_SIGNS:
            symbol, instead = _OTHER_SIGNS[type(op)]
            instead = "a product" if symbol == "^" and arithmetic == "loihi" else instead
            raise EquationError(f"'{symbol}' does not exist here; write {instead}", source, between(left, symbol))
        case ast.Compare(left=left, ops=ops, comparators=rights) if len(ops) > 1 and all(type(op) in _COMPARE for op in ops):
            pairs = zip((left, *rights), ops, rights, strict=False)
            instead = " and ".join(f"{text(one)} {_COMPARE[type(op)]} {text(two)}" for one, op, two in pairs)
            raise fail(f"comparisons cannot be chained; write {instead}")
        case ast.IfExp(test=test, body=body, orelse=other):
            raise fail(f"'if' does not exist here; write where({text(test)}, {text(body)}, {text(other)})")
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            symbol = _COMPARE[type(op)]
            return Compare(symbol, sub(left), sub(right), between(left, symbol))
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
            parsed = tuple(sub(arg, function == "where" and k == 0) for k, arg in enumerate(args))
            return Call(function, parsed, column=column)
        case ast.Call(func=ast.Name(id=function)):
            meant = f"write {FUNCTIONS_MEANT[function]}; " if function in FUNCTIONS_MEANT else ""
            meant = meant.replace(".0", "") if arithmetic == "loihi" else meant
            known = sorted(name for name, (_, needs) in FUNCTIONS.items() if needs in ("any", arithmetic))
            raise fail(f"unknown function '{function}'; {meant}known are {', '.join(known)}")
        case ast.Call(func=ast.Attribute(attr=function)) if function in FUNCTIONS:
            raise fail(f"functions have no prefix here; write {function}(...)")
    raise fail(f"{type(node).__name__} is not part of the equation language")

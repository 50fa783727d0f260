"""What a step would compute from parameters alone becomes a constant, computed once when the network is compiled."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from neurocomp.ir.expressions import (
    RANDOM,
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
    is_condition,
    names,
)


@dataclass
class Hoister:
    """Takes expressions of `parameters` out of others. found: the expressions, by the name of the constant that replaces each.

    taken: names that are in use.
    """

    parameters: Collection[str]
    taken: set[str]
    found: dict[str, Expr] = field(default_factory=dict)

    def assigns(self, given: Iterable[Assign]) -> tuple[Assign, ...]:
        """The assignments, with constants for what can be computed before."""
        return tuple(replace(x, value=self.expr(x.value)) for x in given)

    def expr(self, expr: Expr) -> Expr:
        """The expression, with constants for its largest parts that can be computed before."""
        if self._fixed(expr) and not is_condition(expr) and _worth(expr):
            return self._constant(expr)
        match expr:
            case Number() | Name():
                return expr
            case Unary(op, operand):
                return Unary(op, self.expr(operand))
            case Binary() | Compare() | Logic():
                return replace(expr, left=self.expr(expr.left), right=self.expr(expr.right))
            case Call(_, args):
                return replace(expr, args=tuple(self.expr(arg) for arg in args))

    def _fixed(self, expr: Expr) -> bool:
        return all(name in self.parameters for name in names(expr)) and not _random(expr)

    def _constant(self, expr: Expr) -> Expr:
        value = None if any(names(expr)) else _value(expr)
        if value is not None:
            return Number(value)
        for name, known in self.found.items():
            if known == expr:
                return Name(name)
        number = len(self.found) + 1
        while f"c{number}" in self.taken:
            number += 1
        name = f"c{number}"
        self.taken.add(name)
        self.found[name] = expr
        return Name(name)


def _random(expr: Expr) -> bool:
    return (isinstance(expr, Call) and expr.function in RANDOM) or any(_random(child) for child in children(expr))


def _worth(expr: Expr) -> bool:
    """Whether it holds an operation: a name, a number and their negatives cost nothing."""
    return isinstance(expr, Binary | Call) or any(_worth(child) for child in children(expr))


def _value(expr: Expr) -> float | None:
    """The value of an expression of numbers, in float64 and in the written order; None where it is more than arithmetic."""
    match expr:
        case Number(value):
            return float(value)
        case Unary("-", operand):
            inner = _value(operand)
            return None if inner is None else -inner
        case Binary(op, left, right):
            x, y = _value(left), _value(right)
            if x is None or y is None or (op == "/" and y == 0):
                return None
            return {"+": x.__add__, "-": x.__sub__, "*": x.__mul__, "/": x.__truediv__}[op](y)
    return None

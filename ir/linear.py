"""Affine decomposition of an expression: `f = sum(coefficient[x] * x) + rest`, the coefficients free of the variables."""

from __future__ import annotations

from collections.abc import Callable, Collection

from neurocomp.ir.expressions import Binary, Expr, Name, Number, Unary, names

REST = ""  # the key of the term without any variable
Terms = dict[str, Expr]
_ONE = Number(1)


def affine(expr: Expr, variables: Collection[str]) -> Terms | None:
    """The coefficients by variable (absent where structurally zero), or None where the expression is not affine."""
    if not any(name in variables for name in names(expr)):
        return {} if expr == Number(0) else {REST: expr}
    match expr:
        case Name(name):
            return {name: _ONE}
        case Unary("-", operand):
            return _map(affine(operand, variables), _negate)
        case Binary("+" | "-" as op, left, right):
            first, second = affine(left, variables), affine(right, variables)
            if op == "-":
                second = _map(second, _negate)
            return None if first is None or second is None else _add(first, second)
        case Binary("*", left, right):
            first, second = affine(left, variables), affine(right, variables)
            if first is None or second is None:
                return None
            if set(first) <= {REST}:
                return _map(second, lambda x: _multiply(first.get(REST, Number(0)), x))
            if set(second) <= {REST}:
                return _map(first, lambda x: _multiply(x, second.get(REST, Number(0))))
        case Binary("/", left, right) if not any(name in variables for name in names(right)):
            return _map(affine(left, variables), lambda x: Binary("/", x, right))
    return None


def _map(terms: Terms | None, change: Callable[[Expr], Expr]) -> Terms | None:
    return None if terms is None else {key: change(value) for key, value in terms.items()}


def _add(first: Terms, second: Terms) -> Terms:
    result = dict(first)
    for key, value in second.items():
        result[key] = Binary("+", result[key], value) if key in result else value
    return result


def _negate(expr: Expr) -> Expr:
    match expr:
        case Number(value):
            return Number(-value)
        case Unary("-", operand):
            return operand
    return Unary("-", expr)


def _multiply(left: Expr, right: Expr) -> Expr:
    if left == _ONE:
        return right
    if right == _ONE:
        return left
    return Binary("*", left, right)

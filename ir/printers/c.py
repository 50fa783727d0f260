"""Expressions as C, for the CPU kernel. Nothing is reordered, nothing needs libm.

Compiled with `-ffp-contract=off`, the C gives the same bits as the NumPy printer. Everything it calls is in `kernels/step.h`.
"""

from __future__ import annotations

import math
from collections.abc import Container

import numpy as np

from neurocomp.ir.expressions import (
    RANDOM,
    Binary,
    Call,
    Compare,
    Expr,
    Logic,
    Name,
    Number,
    Unary,
)


def to_c(expr: Expr, arithmetic: str, ahead: Container[int] = ()) -> str:
    """The expression as C, fully bracketed; float literals in hexadecimal so that no digit is lost.

    In float32, functions and random numbers are computed in float64 and rounded once; a uniform number is cut to 24 bits
    instead, so that it stays below 1.

    ahead: sites of the random numbers that stand in an array.
    """

    def sub(child: Expr) -> str:
        return to_c(child, arithmetic, ahead)

    suffix = "f" if arithmetic == "float32" else ""
    match expr:
        case Number(value):
            if arithmetic == "float32":
                return _float_literal(value)
            return f"INT64_C({value})" if arithmetic == "loihi" else float(value).hex()
        case Name(name):
            return f"{name}_"
        case Unary(op, operand):
            return f"({'!' if op == 'not' else op}{sub(operand)})"
        case Logic(op, left, right):
            return f"({sub(left)} {'&' if op == 'and' else '|'} {sub(right)})"
        case Binary("<<" | ">>" as op, left, right):
            return f"nc_shift({sub(left)}, {'' if op == '<<' else '-'}{sub(right)})"
        case Binary(op, left, right) | Compare(op, left, right):
            return f"({sub(left)} {op} {sub(right)})"
        case Call("where", (condition, yes, no)):
            return f"({sub(condition)} ? {sub(yes)} : {sub(no)})"
        case Call("min" | "max" as function, (x, y)):
            return f"nc_{function}_{arithmetic}({sub(x)}, {sub(y)})"
        case Call("abs", (x,)):
            return f"nc_abs_loihi({sub(x)})" if arithmetic == "loihi" else f"__builtin_fabs{suffix}({sub(x)})"
        case Call("sqrt", (x,)):
            return f"__builtin_sqrt{suffix}({sub(x)})"
        case Call(function, args, site):
            text = f"p{site}[j]" if function in RANDOM and site in ahead else _called(function, [sub(x) for x in args], site)
            return text if arithmetic != "float32" else f"nc_cut({text})" if function == "rand" else f"((float){text})"


def _float_literal(value: float) -> str:
    with np.errstate(over="ignore"):
        single = float(np.float32(value))
    return f"{single.hex()}f" if math.isfinite(single) else f"({'-' if single < 0 else ''}__builtin_inff())"


def _called(function: str, args: list[str], site: int) -> str:
    where = ["now->key", "now->step", "now->first + j", str(site)] if function in RANDOM else []
    return f"nc_{function}({', '.join([*where, *args])})"

"""Expressions as C, for the CPU kernel. Nothing is reordered, nothing needs libm.

Compiled with `-ffp-contract=off`, the C gives the same bits as the NumPy printer. Everything it calls is in `kernels/step.h`.
"""

from __future__ import annotations

from collections.abc import Container

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

    ahead: sites of the random numbers that stand in an array.
    """

    def sub(child: Expr) -> str:
        return to_c(child, arithmetic, ahead)

    match expr:
        case Number(value):
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
            return f"nc_abs_loihi({sub(x)})" if arithmetic == "loihi" else f"__builtin_fabs({sub(x)})"
        case Call("sqrt", (x,)):
            return f"__builtin_sqrt({sub(x)})"
        case Call(function, _, site) if function in RANDOM and site in ahead:
            return f"p{site}[j]"
        case Call(function, args) if function in RANDOM:
            where = ["now->key", "now->step", "now->first + j", str(expr.site)]
            return f"nc_{function}({', '.join([*where, *(sub(arg) for arg in args)])})"
        case Call(function, args):
            return f"nc_{function}({', '.join(sub(arg) for arg in args)})"

"""The step program as readable, stable, diff-able text."""

from __future__ import annotations

from neurocomp.ir.expressions import Binary, Call, Compare, Expr, Logic, Name, Number, Unary
from neurocomp.ir.program import StepForm

_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "<<": 0, ">>": 0}


def to_text(expr: Expr, parent: int = -1, right: bool = False) -> str:
    """The expression as one would write it, with the fewest brackets that keep the order of evaluation."""
    match expr:
        case Number(value):
            return repr(value)
        case Name(name):
            return name
        case Unary(op, operand):
            return f"{op}{' ' if op == 'not' else ''}{to_text(operand, 3)}"
        case Binary(op, left, right_side):
            level = _PRECEDENCE[op]
            text = f"{to_text(left, level)} {op} {to_text(right_side, level, right=True)}"
            return f"({text})" if level < parent or (level == parent and right) else text
        case Compare(op, left, right_side) | Logic(op, left, right_side):
            text = f"{to_text(left, 0)} {op} {to_text(right_side, 0)}"
            return f"({text})" if parent >= 0 else text
        case Call(function, args):
            return f"{function}({', '.join(to_text(arg) for arg in args)})"


def form_text(form: StepForm) -> str:
    """A step program as stable, diff-able lines; also its identity (equal text means equal code)."""
    lines: list[str] = [form.arithmetic] if form.arithmetic == "float32" else []  # a model's own arithmetic goes without saying
    lines += [f"{assign.target} = {to_text(assign.value)}" for assign in form.updates]
    if form.spike is not None:
        lines.append(f"spike: {to_text(form.spike)}")
        lines += [f"payload: {to_text(form.payload)}"] if form.payload is not None else []
        lines += [f"reset: {assign.target} = {to_text(assign.value)}" for assign in form.reset]
    return "\n".join(lines)

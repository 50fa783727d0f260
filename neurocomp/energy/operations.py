"""How many additions and multiplications one update of a neuron takes, counted in its step program."""

from __future__ import annotations

from neurocomp.ir.expressions import Binary, Call, Compare, Expr, Logic, Name, Number, Unary, children
from neurocomp.ir.network import Population

_ADDS = ("+", "-", "min", "max", "abs", "where", "<<", ">>", "shift", "clip24", "wrap24")


def operations(population: Population) -> dict[str, int]:
    """Operations of one update by kind. Comparisons count as additions, which is what they cost; resets are not counted."""
    program = population.program
    assert program is not None
    found = {"op.neuron.add": 0, "op.neuron.multiply": 0, "op.neuron.other": 0, "neuron.random": 0}
    form = program.form
    for expr in (*(x.value for x in form.updates), *(() if form.spike is None else (form.spike,))):
        _add(expr, found)
    return found


def _add(expr: Expr, found: dict[str, int]) -> None:
    if isinstance(expr, Compare):
        found["op.neuron.add"] += 1
    elif isinstance(expr, Binary | Call):
        name = expr.op if isinstance(expr, Binary) else expr.function
        if name in ("rand", "randn", "poisson"):
            found["neuron.random"] += 1
        elif name == "*":
            found["op.neuron.multiply"] += 1
        else:
            found["op.neuron.add" if name in _ADDS else "op.neuron.other"] += 1
    elif not isinstance(expr, Name | Number | Unary | Logic):
        raise TypeError(expr)
    for part in children(expr):
        _add(part, found)

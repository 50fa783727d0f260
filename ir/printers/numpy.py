"""The step program as NumPy: the reference backend and Lava's generated processes run this.

NumPy evaluates IEEE float64 (float32, or 64-bit integers, in the other arithmetics) operation by operation in the written
order. NumPy's own exp, log and the like differ between machines in the last bit, and random numbers must not depend on the
order of neurons: those functions are given by the caller (`neurocomp.kernels.functions.TABLE`). In float32 they are computed in
float64 and rounded once; a uniform number is cut to 24 bits instead, so that it stays below 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from neurocomp.ir import numerics
from neurocomp.ir.expressions import RANDOM, Assign, Binary, Call, Compare, Expr, Logic, Name, Number, Unary, names
from neurocomp.ir.program import DTYPES, TIME, StepForm


def _decay12(x: Any, d: Any) -> Any:
    product = x * (4096 - d)
    return np.sign(product) * (np.abs(product) >> 12)


def _wrap24(x: Any) -> Any:
    return np.where(x > 2**23, x - 2**24, np.where(x <= -(2**23), x + 2**24, x))


def _clip24(x: Any) -> Any:
    return np.clip(x, -(2**23) + 1, 2**23 - 1)


def _shift(x: Any, e: Any) -> Any:
    return np.where(np.asarray(e) >= 0, x << np.maximum(e, 0), x >> np.maximum(-np.asarray(e), 0))


def _single(x: Any) -> Any:
    return np.asarray(x, np.float32)


def _rounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of float64 for float32."""
    if name == "rand":
        return lambda *args: _single(np.floor(function(*args) * 2.0**24) * 2.0**-24)
    return lambda *args: _single(function(*args))


NumpyStep = Callable[..., Any]
_NUMPY_NAMES: dict[str, Any] = {
    "__builtins__": {},
    "float64": np.float64,
    "float32": np.float32,
    "single": _single,
    "where": np.where,
    "abs": np.abs,
    "min": lambda x, y: np.where(x < y, x, y),
    "max": lambda x, y: np.where(x > y, x, y),
    "sqrt": np.sqrt,
    "round": np.rint,
    "decay12": _decay12,
    "wrap24": _wrap24,
    "clip24": _clip24,
    "shift": _shift,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_not": np.logical_not,
}


def to_numpy(expr: Expr, arithmetic: str = "float") -> str:
    """The expression as NumPy source, fully bracketed; literals are NumPy's, as Python's divide and round differently."""

    def sub(child: Expr) -> str:
        return to_numpy(child, arithmetic)

    match expr:
        case Number(value):
            return repr(value) if arithmetic == "loihi" else f"{DTYPES[arithmetic].__name__}({float(value)!r})"
        case Name(name):
            return f"_{name}"
        case Unary("not", operand):
            return f"logical_not({sub(operand)})"
        case Unary(op, operand):
            return f"({op}{sub(operand)})"
        case Logic(op, left, right):
            return f"logical_{op}({sub(left)}, {sub(right)})"
        case Binary("<<" | ">>" as op, left, right):  # NumPy's own shifts know no negative amounts
            return f"shift({sub(left)}, {'' if op == '<<' else '-'}{sub(right)})"
        case Binary(op, left, right) | Compare(op, left, right):
            return f"({sub(left)} {op} {sub(right)})"
        case Call(function, args) if function in RANDOM:
            where = ["now.key", "now.step", "now.neurons", str(expr.site)]
            return f"{function}({', '.join([*where, *(sub(arg) for arg in args)])})"
        case Call(function, args):
            return f"{function}({', '.join(sub(arg) for arg in args)})"


def numpy_source(form: StepForm) -> str:
    """Source of `step(inputs, state, constants, now) -> spikes or payloads`, which updates the dict `state` of arrays."""
    used = {name for expr in form.expressions() for name in names(expr)}
    lines = ["def step(inputs, state, constants, now=None):"]
    as_state = "single" if form.arithmetic == "float32" else ""
    lines += [f"    _{name} = {as_state}(inputs['{name}'])" for name in form.inputs]
    lines += [f"    _t = {as_state}(now.t)"] if TIME in used else []
    lines += [f"    _{name} = state['{name}']" for name in form.state]
    lines += [f"    _{name} = constants['{name}']" for name in form.constants]
    lines += [f"    _{assign.target} = {to_numpy(assign.value, form.arithmetic)}" for assign in form.updates]
    if form.spike is not None:
        lines.append(f"    spikes = {to_numpy(form.spike, form.arithmetic)}")
        sent = "spikes" if form.payload is None else f"where(spikes, {to_numpy(form.payload, form.arithmetic)}, 0)"
        lines.append(f"    sent = {sent}")
        lines += [f"    _{x.target} = where(spikes, {to_numpy(x.value, form.arithmetic)}, _{x.target})" for x in form.reset]
    lines += [f"    state['{name}'] = _{name}" for name in form.state]
    lines.append(f"    return {'sent' if form.spike is not None else 'None'}")
    return "\n".join(lines) + "\n"


def numpy_step(form: StepForm, functions: Mapping[str, Any] | None = None) -> NumpyStep:
    """The step program as a NumPy function `step(inputs, state, constants, now)`.

    functions: exp, rand and the like by name. `now`, a `Moment`, may be left out where the form asks for neither time nor
    random numbers. Built from the checked tree, never from a user's text: the namespace holds only known functions.
    """
    given = {name: _rounded(name, f) for name, f in (functions or {}).items()} if form.arithmetic == "float32" else functions
    namespace = {**_NUMPY_NAMES, **(given or {})}
    exec(compile(numpy_source(form), "<step program>", "exec"), namespace)  # noqa: S102 - printed from our own tree
    step: NumpyStep = namespace["step"]
    return step


def numpy_assignments(
    assigns: Sequence[Assign], functions: Mapping[str, Any] | None = None
) -> Callable[[dict[str, Any]], None]:
    """Assignments one after the other as a function that updates a dict of values by name."""
    used = dict.fromkeys(x for assign in assigns for x in (*names(assign.value), assign.target))
    lines = ["def run(values):", "    pass"]
    lines += [f"    _{name} = values['{name}']" for name in used]
    lines += [f"    _{assign.target} = {to_numpy(assign.value)}" for assign in assigns]
    lines += [f"    values['{assign.target}'] = _{assign.target}" for assign in assigns]
    namespace = {**_NUMPY_NAMES, **(functions or {})}
    exec(compile("\n".join(lines), "<learning rule>", "exec"), namespace)  # noqa: S102 - printed from our own tree
    run: Callable[[dict[str, Any]], None] = namespace["run"]
    return run


def numpy_value(expr: Expr, values: dict[str, Any], arithmetic: str = "float") -> Any:
    """Evaluate an expression of parameters (for example a constraint, or a coefficient of `discretise`).

    exp, log and the like are correctly rounded here (`numerics.FUNCTIONS`): this happens once, not in every step.
    """
    namespace = {**_NUMPY_NAMES, **numerics.FUNCTIONS}
    namespace.update({f"_{name}": value for name, value in values.items()})
    code = compile(to_numpy(expr, arithmetic), "<expression>", "eval")
    return eval(code, namespace)  # noqa: S307 - printed from our own tree

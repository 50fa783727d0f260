"""Which populations are Lava's library LIF, decided by the structure of their step program, never by names.

The library process computes, in float64 or in Loihi's integers,

    u = u * (1 - du) + a;  v = v * (1 - dv) + u + bias;  spike where v > vth;  v = 0 where it spiked

and maps to a Loihi core. Everything else runs as the generated process (`processes/step_neuron.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from neurocomp.ir.expressions import (
    Binary,
    Call,
    Compare,
    Expr,
    Logic,
    Name,
    Number,
    Unary,
    children,
    parse_expression,
    parse_statements,
)
from neurocomp.ir.integrators import scheme
from neurocomp.ir.network import Population
from neurocomp.ir.neurons import LoihiLIF
from neurocomp.ir.program import StepForm, StepProgram

STATES = ("u", "v")
# Lava keeps these in 16- and 32-bit integers and checks none of them
LOIHI_RANGES: Mapping[str, tuple[int, int]] = {
    "u": (-(2**23), 2**23),
    "v": (-(2**23), 2**23),
    "du": (0, 4095),
    "dv": (0, 4095),
    "vth": (0, 2**17 - 1),
    "bias_mant": (-(2**12), 2**12),
    "bias_exp": (-7, 7),
}


@dataclass(frozen=True)
class LibraryLif:
    """A population as Lava's LIF. arguments: of the process; variables: user's state name -> name of Lava's Var."""

    arguments: Mapping[str, Any]
    variables: Mapping[str, str]


def library_lif(population: Population) -> LibraryLif | None:
    """The population as Lava's LIF, or None where the library process would not compute exactly the same."""
    program = population.program
    if program is None or program.form.arithmetic == "float32" or np.any(population.bias_vector() != 0):
        return None
    loihi = program.form.arithmetic == "loihi"
    for pattern in _loihi_patterns() if loihi else _float_patterns():
        roles = match_form(pattern, program.form)
        if roles is not None:
            arguments = (_loihi_arguments if loihi else _float_arguments)(program, pattern, roles)
            if arguments is None or (population.lag and not _at_rest(arguments)):
                return None
            return LibraryLif(arguments, {roles[x]: x for x in STATES if x in roles})
    return None


def match_form(pattern: StepForm, form: StepForm) -> dict[str, str] | None:
    """Names of `form` by the names of `pattern` where both have the same structure, else None."""
    expressions, wanted = form.expressions(), pattern.expressions()
    targets = [x.target for x in (*form.updates, *form.reset)]
    roles = [x.target for x in (*pattern.updates, *pattern.reset)]
    counts = [(len(x.updates), x.spike is None, x.payload is None, len(x.reset), len(x.state)) for x in (pattern, form)]
    if counts[0] != counts[1]:
        return None
    names = {"a": "a"}
    pairs = [*zip(map(Name, roles), map(Name, targets), strict=True), *zip(wanted, expressions, strict=True)]
    if not all(_unify(x, y, names) for x, y in pairs):
        return None
    states, constants = {names[x] for x in pattern.state}, {names[x] for x in pattern.constants}
    return names if states == set(form.state) and constants <= set(form.constants) else None


def _unify(pattern: Expr, expr: Expr, names: dict[str, str]) -> bool:
    match pattern, expr:
        case Name(role), Name(name):
            return names.setdefault(role, name) == name
        case Number(x), Number(y):
            return x == y
    if type(pattern) is not type(expr) or _operation(pattern) != _operation(expr):
        return False
    return all(_unify(x, y, names) for x, y in zip(children(pattern), children(expr), strict=True))


def _operation(expr: Expr) -> str:
    """Decides the number of children, too."""
    match expr:
        case Unary(op) | Binary(op) | Compare(op) | Logic(op) | Call(op):
            return op
    return ""


@cache
def _loihi_patterns() -> tuple[StepForm, ...]:
    return (scheme(LoihiLIF, "", "value").form,)


@cache
def _float_patterns() -> tuple[StepForm, ...]:
    return tuple(_float_forms())


def _float_forms() -> Iterator[StepForm]:
    """The library form with and without synaptic state, decays, bias and spikes."""
    for current in ("", "u = u * u_decay + a", "u = u + a"):
        for decay in ("v * v_decay", "v"):
            for bias in (" + v_bias", ""):
                updates = parse_statements(f"{current}\nv = {decay} + {'u' if current else 'a'}{bias}")
                state = STATES if current else STATES[1:]
                yield StepForm("float", state, updates)
                for reset in ("v = v_reset", "v = 0"):
                    spike = parse_expression("v > v_threshold")
                    yield StepForm("float", state, updates, spike, parse_statements(reset))


def _float_arguments(program: StepProgram, pattern: StepForm, roles: Mapping[str, str]) -> dict[str, Any] | None:
    def constant(role: str, otherwise: float) -> Any:
        return program.constants[roles[role]] if role in roles else np.float64(otherwise)

    u_decay = constant("u_decay", 1.0 if "u" in pattern.state else 0.0)
    v_decay, v_reset = constant("v_decay", 1.0), constant("v_reset", 0.0)
    if np.any(v_reset != 0) or np.any(np.signbit(v_reset)):
        return None
    for decay in (u_decay, v_decay):
        if np.any(1 - (1 - decay) != decay) or np.any(decay < 0) or np.any(decay > 1):
            return None
    return {
        "u": program.initial[roles["u"]] if "u" in roles else np.float64(0),
        "v": program.initial[roles["v"]],
        "du": 1 - u_decay,
        "dv": 1 - v_decay,
        "vth": constant("v_threshold", np.inf),
        "bias_mant": constant("v_bias", 0.0),
    }


def _loihi_arguments(program: StepProgram, pattern: StepForm, roles: Mapping[str, str]) -> dict[str, Any] | None:
    arguments: dict[str, Any] = {x: program.initial[roles[x]] for x in STATES}
    arguments |= {x: program.constants[roles[x]] for x in pattern.constants}
    for name, (low, high) in LOIHI_RANGES.items():
        if np.any(arguments[name] < low) or np.any(arguments[name] > high):
            return None
    return arguments


def _at_rest(arguments: Mapping[str, Any]) -> bool:
    """Whether nothing happens until input arrives, so that steps before the population's first do no harm."""
    return not any(np.any(arguments[x] != 0) for x in ("u", "v", "bias_mant")) and bool(np.all(arguments["vth"] >= 0))

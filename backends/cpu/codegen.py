"""The source of compiled state updates: one C function per step form, in a Cython module with a table by digest."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator

from neurocomp.ir.errors import EquationError
from neurocomp.ir.expressions import (
    Expr,
    Number,
    check_identifier,
    check_node,
    children,
)
from neurocomp.ir.folding import fold_form
from neurocomp.ir.integrators import INTEGRATORS, scheme
from neurocomp.ir.model import refractory
from neurocomp.ir.neurons import BUILTIN
from neurocomp.ir.printers.c_step import c_function, takes_sums
from neurocomp.ir.program import DTYPES, StepForm

# How the kernels and all generated C are compiled. No contraction into fused multiply-add and no reassociation, and integers
# that wrap: every backend must get the same bits.
EXACT = ("-ffp-contract=off", "-fwrapv", "-fno-strict-aliasing", "-std=gnu11", "-Wno-unused-function")
FAST = ("-O3", "-fno-math-errno", "-fno-trapping-math")  # which change no result

_MODULE = '''\
# Generated from the neuron models' equations by backends/cpu/codegen.py. Do not edit.
"""State updates of neurons, compiled. TABLE: digest of the step form -> capsule of the C function."""
from cpython.pycapsule cimport PyCapsule_New, PyCapsule_SetContext
from libc.stdint cimport intptr_t

cdef extern from *:
    """
#include "step.h"
{source}
    """
{declarations}

cdef capsule(
    void* function, intptr_t inputs, intptr_t states, intptr_t constants, bint takes, int wait, intptr_t held, intptr_t start
):
    """The function, and for the engine what it reads, as digits of one number: numbers of arrays (9: MAX_INPUTS + 1, 17:
    MAX_STATES + 1, 64: MAX_CONSTANTS); 0 where it cannot take sums itself, else 2 more than the number of the state that
    counts down while neurons wait, or 1 where none does; 1 more than the constant it begins from; the states that are held,
    a bit each.
    """
    result = PyCapsule_New(function, "neurocomp.update", NULL)
    cdef intptr_t waits = (held * 64 + start + 1) * 18 + (wait + 2 if takes else 0)
    PyCapsule_SetContext(result, <void*>(((waits * 9 + inputs) * 17 + states) * 64 + constants))
    return result


TABLE = {{
{table}
}}
'''


def digest(form: StepForm) -> str:
    """The identity of a form's compiled code: equal digests are equal functions, called in the same way."""
    return hashlib.sha256(c_function(form, "update").encode()).hexdigest()[:16]


def builtin_forms() -> Iterator[StepForm]:
    """Every step form a built-in neuron can have: with or without t_ref, each integrator and reset, before and after fold."""
    for model in (*BUILTIN, *(refractory(x) for x in BUILTIN if x.refractory)):
        for integrator in INTEGRATORS if model.equations else INTEGRATORS[:1]:
            for reset in (*model.resets,) or (None,):
                try:
                    form = scheme(model, integrator, reset).form
                except EquationError:
                    continue  # this model has no such integrator; compiling a network with it says why
                yield form
                yield fold_form(form).form


def check(form: StepForm) -> None:
    """Refuse whatever is not of the equation language: forms can be built by hand, and only checked ones reach a compiler.

    Every name is a plain identifier, printed with a `_` behind it so that it means nothing to C; operators and functions are
    of the known ones, numbers are numbers. Raises `EquationError`.
    """
    if form.arithmetic not in DTYPES:
        raise EquationError(f"there is no arithmetic {form.arithmetic!r}")
    targets = (assign.target for assign in (*form.updates, *form.reset))
    for name in {*form.inputs, *form.state, *form.constants, *targets}:
        check_identifier(name, "variable")
    for expr in form.expressions():
        _check(expr)


def _check(expr: Expr) -> None:
    check_node(expr)
    if isinstance(expr, Number) and (isinstance(expr.value, bool) or not math.isfinite(expr.value)):
        raise EquationError(f"{expr!r} cannot be written in C")
    for child in children(expr):
        _check(child)


def module_source(forms: Iterable[StepForm]) -> str:
    """The .pyx text of a module with the updates of these forms. Raises `EquationError` for what is not of the language."""
    forms = tuple(forms)
    for form in forms:
        check(form)
    by_digest = {digest(form): form for form in forms}
    functions = "\n".join(c_function(form, f"update_{key}") for key, form in by_digest.items())
    return _MODULE.format(
        source=functions,
        declarations="\n".join(f"    void update_{key}()" for key in by_digest),
        table="\n".join(
            f'    "{key}": capsule(<void*>update_{key}, {len(form.inputs)}, {len(form.state)}, {len(form.constants)}, '
            "{}, {}, {}, {}),".format(*takes_sums(form))
            for key, form in by_digest.items()
        ),
    )


def builtin_module() -> str:
    """The module that is compiled when the package is built."""
    return module_source(builtin_forms())

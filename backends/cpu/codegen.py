"""The source of compiled state updates: one C function per step form, in a Cython module with a table by digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from neurocomp.ir.errors import EquationError
from neurocomp.ir.folding import fold_form
from neurocomp.ir.integrators import INTEGRATORS, scheme
from neurocomp.ir.neurons import BUILTIN
from neurocomp.ir.printers.c import C_PRELUDE, c_function
from neurocomp.ir.program import StepForm

_MODULE = '''\
# Generated from the neuron models' equations by backends/cpu/codegen.py. Do not edit.
"""State updates of neurons, compiled. TABLE: digest of the step form -> capsule of the C function."""
from cpython.pycapsule cimport PyCapsule_New, PyCapsule_SetContext
from libc.stdint cimport int32_t, intptr_t

cdef extern from *:
    """
{source}
    """
{declarations}

cdef capsule(void* function, intptr_t states, intptr_t constants):
    """The function, with the numbers of arrays it reads, which the engine checks (64: the engine's MAX_CONSTANTS)."""
    result = PyCapsule_New(function, "neurocomp.update", NULL)
    PyCapsule_SetContext(result, <void*>(states * 64 + constants))
    return result


TABLE = {{
{table}
}}
'''


def digest(form: StepForm) -> str:
    """The identity of a form's compiled code: equal digests are equal functions."""
    return hashlib.sha256(c_function(form, "update").encode()).hexdigest()[:16]


def builtin_forms() -> Iterator[StepForm]:
    """Every step form a built-in neuron can have: each integrator and reset, before and after fold."""
    for model in BUILTIN:
        for integrator in INTEGRATORS if model.equations else INTEGRATORS[:1]:
            for reset in (*model.resets,) or (None,):
                try:
                    form = scheme(model, integrator, reset).form
                except EquationError:
                    continue  # this model has no such integrator; compiling a network with it says why
                yield form
                yield fold_form(form).form


def module_source(forms: Iterable[StepForm]) -> str:
    """The .pyx text of a module with the updates of these forms."""
    by_digest = {digest(form): form for form in forms}
    functions = "\n".join(c_function(form, f"update_{key}") for key, form in by_digest.items())
    signature = "(ptrdiff_t, const void*, void* const*, const void* const*, unsigned char*, int32_t*) noexcept nogil"
    return _MODULE.format(
        source=C_PRELUDE + functions,
        declarations="\n".join(f"    void update_{key}{signature}" for key in by_digest),
        table="\n".join(
            f'    "{key}": capsule(<void*>update_{key}, {len(form.state)}, {len(form.constants)}),'
            for key, form in by_digest.items()
        ),
    )


def builtin_module() -> str:
    """The module that is compiled when the package is built."""
    return module_source(builtin_forms())

"""The source of compiled learning rules: C functions for each rule, in a Cython module with a table by digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from neurocomp.ir.plasticity.form import RuleForm, rule_form
from neurocomp.ir.plasticity.rules import BUILTIN_RULES
from neurocomp.ir.printers.c_rules import c_rule

_MODULE = '''\
# Generated from the plasticity rules by backends/cpu/rulegen.py. Do not edit.
"""Learning rules, compiled. TABLE: digest of the rule's form -> capsule of its functions."""
from cpython.pycapsule cimport PyCapsule_New

cdef extern from *:
    """
#include "learning.h"
{source}
    """
{declarations}

TABLE = {{
{table}
}}
'''


def rule_digest(form: RuleForm) -> str:
    """The identity of a rule's compiled code."""
    return hashlib.sha256(c_rule(form, "rule").encode()).hexdigest()[:16]


def rules_source(forms: Iterable[RuleForm]) -> str:
    """The .pyx text of a module with these rules."""
    by_digest = {rule_digest(form): form for form in forms}
    return _MODULE.format(
        source="\n".join(c_rule(form, f"rule_{key}") for key, form in by_digest.items()),
        declarations="\n".join(f'    const void* rule_{key}_pointer "((void *)&rule_{key})"' for key in by_digest),
        table="\n".join(f'    "{key}": PyCapsule_New(<void*>rule_{key}_pointer, "neurocomp.rule", NULL),' for key in by_digest),
    )


def builtin_rules_module() -> str:
    """The module that is compiled when the package is built."""
    return rules_source(rule_form(rule) for rule in BUILTIN_RULES)

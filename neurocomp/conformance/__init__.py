"""The shared suite: small cases by construction, and random networks, for any backend.

As data: `CASES` by name, `random_case(seed)`, `random_cases()` as a Hypothesis strategy. As a pytest plugin:

    pytest -p neurocomp.conformance --backend=cpu

docs/conformance.md is the guide.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from neurocomp.conformance.plugin import (
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_report_header,
)

if TYPE_CHECKING:
    from neurocomp.conformance.case import Case
    from neurocomp.conformance.cases import CASES
    from neurocomp.conformance.fuzzing import replay
    from neurocomp.conformance.random_networks import random_case
    from neurocomp.conformance.shrinking import random_cases
    from neurocomp.conformance.storage import load_case, load_cases, save_case

_HOME = {  # made when first asked for: a pytest that has this as a plugin and does not use it waits for nothing
    "CASES": "cases",
    "Case": "case",
    "load_case": "storage",
    "load_cases": "storage",
    "random_case": "random_networks",
    "random_cases": "shrinking",
    "replay": "fuzzing",
    "save_case": "storage",
}

__all__ = [
    "CASES",
    "Case",
    "load_case",
    "load_cases",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_report_header",
    "random_case",
    "random_cases",
    "replay",
    "save_case",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'neurocomp.conformance' has no attribute '{name}'")
    return getattr(importlib.import_module(f"neurocomp.conformance.{_HOME[name]}"), name)

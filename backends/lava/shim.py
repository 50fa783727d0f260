"""lava-nc 0.10 on Python 3.11 and later, and faster to start, without touching the installed package.

On new Pythons a dataclass (`ByteEncoder`) used as another dataclass's default is in the way: since 3.11 a default must be
hashable, which `eq=False` makes it. On NumPy 2.4 its reshaping ports use an argument that is gone. Its compiler looks for the
models of every process anew, by running all files around it; here it looks once for each class of processes, which takes a
third off the time of a small network.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from functools import partial
from typing import Any

__all__ = ["prepare_lava"]

_MODULE, _CLASS = "lava.magma.compiler.var_model", "ByteEncoder"


def prepare_lava() -> None:
    """Make `import lava...` work. Call before anything of Lava is imported."""
    _import_patched()
    _mend_reshaping()
    _remember_models()


def _import_patched() -> None:
    if sys.version_info < (3, 11) or _MODULE in sys.modules:
        return
    original = dataclasses.dataclass

    def dataclass(cls: Any = None, /, **options: Any) -> Any:
        if cls is None:
            return original(**options)
        if (cls.__module__, cls.__name__) == (_MODULE, _CLASS):
            options["eq"] = False
        return original(cls, **options)

    dataclasses.dataclass = dataclass
    try:
        importlib.import_module(_MODULE)
    finally:
        dataclasses.dataclass = original


def _reshaped(data: Any, to: tuple[int, ...]) -> Any:
    return data.reshape(to)


def _mend_reshaping() -> None:
    port = importlib.import_module("lava.magma.core.process.ports.ports").ReshapePort
    port.get_transform_func_fwd = lambda self: partial(_reshaped, to=self.shape)
    port.get_transform_func_bwd = lambda self: partial(_reshaped, to=self.old_shape)


def _remember_models() -> None:
    graphs = importlib.import_module("lava.magma.compiler.compiler_graphs").ProcGroupDiGraphs
    find, known = graphs._find_proc_models, dict[type, Any]()

    def remembered(proc: Any) -> Any:
        if type(proc) not in known:
            known[type(proc)] = find(proc)
        return known[type(proc)]

    graphs._find_proc_models = staticmethod(remembered)

"""Backends: each turns a compiled network into something that runs. The semantics come from `neurocomp.ir`."""

from neurocomp.backends.base import Backend, Counters, Executable, Record, Result, Support
from neurocomp.backends.registry import get, names, register, unregister


def _reference() -> Backend:
    from neurocomp.backends.reference import ReferenceBackend

    return ReferenceBackend()


def _cpu() -> Backend:
    from neurocomp.backends.cpu import CpuBackend

    return CpuBackend()


def _lava() -> Backend:
    from neurocomp.backends.lava import LavaBackend

    return LavaBackend()


register("reference", _reference)
register("cpu", _cpu)
register("lava", _lava)

__all__ = ["Backend", "Counters", "Executable", "Record", "Result", "Support", "get", "names", "register", "unregister"]

"""The CPU backend: networks as arrays for the compiled event-driven kernel."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from neurocomp.backends.base import FEATURES, Support
from neurocomp.backends.cpu.executable import CpuExecutable
from neurocomp.ir.network import Network


class CpuBackend:
    """Cython kernel: event-driven delivery, generated state updates, the whole step loop in C."""

    name = "cpu"
    description = "compiled event-driven kernel"
    features: Mapping[str, Support] = {name: Support(True) for name in FEATURES}
    options: Mapping[str, str] = {
        "threads": "number of threads, 1..64 (default 1); spikes do not depend on it",
        "jit": "whether models of yours are compiled: 'auto' (default; where nothing can be compiled they run in NumPy, with a "
        "warning), 'require' (an error there) or 'off' (NumPy)",
    }

    def available(self) -> Support:
        """Whether the compiled kernels are there."""
        if importlib.util.find_spec("neurocomp.kernels.engine") is None:
            return Support(False, "the compiled kernels are missing; install the package with a C compiler: pip install .")
        return Support(True)

    def lower(self, net: Network, threads: int = 1, jit: str = "auto") -> CpuExecutable:
        """Lay the network out as arrays, with compiled updates."""
        return CpuExecutable(net, threads, jit)


__all__ = ["CpuBackend", "CpuExecutable"]

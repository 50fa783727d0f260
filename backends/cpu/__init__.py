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
    options: Mapping[str, str] = {"threads": "number of threads, 1..64 (default 1); spikes do not depend on it"}

    def available(self) -> Support:
        """Whether the compiled kernels are there."""
        if importlib.util.find_spec("neurocomp.kernels.engine") is None:
            return Support(False, "the compiled kernels are missing; install the package with a C compiler: pip install .")
        return Support(True)

    def lower(self, net: Network, threads: int = 1) -> CpuExecutable:
        """Lay the network out as arrays."""
        return CpuExecutable(net, threads)


__all__ = ["CpuBackend", "CpuExecutable"]

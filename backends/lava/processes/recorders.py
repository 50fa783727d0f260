"""Recorders that write straight to `.npy` files.

Lava hands a Var to the main process one number at a time (33 microseconds each: twenty seconds for a small batch), and only
before stop(). A memory-mapped file costs nothing and survives whatever happens to the run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class SpikeRecorder(AbstractProcess):
    """Writes the spikes of machine steps first .. first + steps to an array (steps, size): bool, or int32 where graded.

    `link_in` and `link_out` carry nothing: they tie unconnected parts of a network together, as Lava only runs what is
    connected.
    """

    def __init__(self, *, path: Path, size: int, first: int, steps: int, graded: bool) -> None:
        super().__init__(path=path, first=first, rows=steps, columns=(size,), dtype=np.int32 if graded else bool)
        self.s_in = InPort(shape=(size,))
        self.link_in = InPort(shape=(1,))
        self.link_out = OutPort(shape=(1,))


class StateRecorder(AbstractProcess):
    """Writes a Var of `shape` after each of the machine steps first .. first + steps, as an array (steps, *shape)."""

    def __init__(self, *, path: Path, shape: tuple[int, ...], first: int, steps: int, dtype: type[np.generic]) -> None:
        super().__init__(path=path, first=first, rows=steps, columns=shape, dtype=dtype)
        self.source = RefPort(shape)


class WeightRecorder(AbstractProcess):
    """Writes the weights of a LearningDense, in the order of `places` (targets, sources), as they are after the target's steps.

    weights: the initial ones. Lava's engine is a step ahead: with the target's step t it has made t + lag of its own, and shows
    the weights after these at its step t + lag - 1. final: file of the last, (k,). trace: of every `every`-th, or None.
    """

    def __init__(self, *, weights: Any, places: Any, lag: int, steps: int, final: Path, trace: Path | None, every: int) -> None:
        super().__init__(weights=weights, places=places, lag=lag, steps=steps, final=final, trace=trace, every=every)
        self.source = RefPort(weights.shape)


class _RecorderModel(PyLoihiProcessModel):
    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        path, rows, columns, dtype, self.first = (proc_params[x] for x in ("path", "rows", "columns", "dtype", "first"))
        self.data: Any = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(rows, *columns))

    def inside(self) -> bool:
        """Whether this machine step is to be kept."""
        return bool(self.first < self.time_step <= self.first + len(self.data))

    def keep(self, values: Any) -> None:
        """Write this step's row."""
        self.data[self.time_step - 1 - self.first] = values


@implements(proc=SpikeRecorder, protocol=LoihiProtocol)
@requires(CPU)
class PySpikeRecorder(_RecorderModel):
    """Either arithmetic."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    link_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    link_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def run_spk(self) -> None:
        """Receive every step, keep those asked for."""
        spikes = self.s_in.recv()
        if self.inside():
            self.keep(spikes if self.data.dtype == np.int32 else spikes != 0)


@implements(proc=StateRecorder, protocol=LoihiProtocol)
@requires(CPU)
class PyStateRecorder(_RecorderModel):
    """Either arithmetic. Lava reads Vars in the phase after the step."""

    source: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)

    def post_guard(self) -> bool:
        """Ask for the phase in the steps that are kept."""
        return self.inside()

    def run_post_mgmt(self) -> None:
        """Read and keep."""
        self.keep(self.source.read())


@implements(proc=WeightRecorder, protocol=LoihiProtocol)
@requires(CPU)
class PyWeightRecorder(PyLoihiProcessModel):
    """Reads only in steps that are kept: whole matrices travel."""

    source: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.places, self.lag, self.steps = (proc_params[x] for x in ("places", "lag", "steps"))
        self.every, trace, count = proc_params["every"], proc_params["trace"], len(proc_params["places"][0])
        shape = (self.steps // self.every, count)
        self.final: Any = np.lib.format.open_memmap(proc_params["final"], mode="w+", dtype=np.float64, shape=(count,))
        self.trace: Any = None if trace is None else np.lib.format.open_memmap(trace, mode="w+", dtype=np.float64, shape=shape)
        if self.lag == 0:
            self._keep(0, proc_params["weights"])  # the engine has made no step yet

    def _kept(self) -> int:
        """The target's step whose weights are seen now, or -1 where nobody asks."""
        t = self.time_step - self.lag
        traced = self.trace is not None and (t + 1) % self.every == 0
        return t if 0 <= t < self.steps and (traced or t == self.steps - 1) else -1

    def _keep(self, t: int, weights: Any) -> None:
        if t == self.steps - 1:
            self.final[:] = weights[self.places]
        if self.trace is not None and (t + 1) % self.every == 0:
            self.trace[t // self.every] = weights[self.places]

    def post_guard(self) -> bool:
        """Ask for the phase in the steps that are kept."""
        return self._kept() >= 0

    def run_post_mgmt(self) -> None:
        """Read and keep."""
        self._keep(self._kept(), self.source.read())

"""`PlasticConnection`: a projection that learns, as a Lava process. Weights and rule are those of the reference backend."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neurocomp.backends.loihi_learning import synapses_of
from neurocomp.ir.network import Network, Projection


class PlasticConnection(AbstractProcess):
    """Sends summed weights to `a_out` and learns from the spikes of both ends.

    net: the compiled network. size, place: of all the target's inputs together, and where this one begins. first, steps:
    machine step of the target's first step, and how many there are. final: file of the weights at the end, (k,). trace, every:
    file of the weights after every `every`-th step, (steps // every, k), or None.
    """

    def __init__(
        self,
        *,
        projection: Projection,
        net: Network,
        size: int,
        place: int,
        first: int,
        steps: int,
        final: Path,
        trace: Path | None,
        every: int,
    ) -> None:
        super().__init__(
            projection=projection,
            net=net,
            size=size,
            place=place,
            first=first,
            steps=steps,
            final=final,
            trace=trace,
            every=every,
        )
        self.s_in = InPort(shape=(projection.connectivity.n_pre,))
        self.s_back = InPort(shape=(projection.connectivity.n_post,))
        self.reward_in = InPort(shape=(1,))
        self.a_out = OutPort(shape=(size,))


class _PlasticModel(PyLoihiProcessModel):
    """Keeps the spikes of the last steps, as every delay needs them."""

    dtype: type[np.generic]  # of what is sent

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        projection: Projection = proc_params["projection"]
        self.size, self.place, self.first, self.steps = (proc_params[x] for x in ("size", "place", "first", "steps"))
        self.synapses = synapses_of(proc_params["net"], projection)
        plasticity = projection.plasticity
        assert plasticity is not None
        self.wait = max(plasticity.reward_delay, 1)
        longest = int(self.synapses.delays.max(initial=1))
        self.past: deque[Any] = deque([np.zeros(projection.connectivity.n_pre, bool)] * longest, maxlen=longest)
        self.rewards: deque[float] = deque([0.0] * self.wait, maxlen=self.wait)
        weights = self.synapses.weights
        self.final: Any = np.lib.format.open_memmap(proc_params["final"], mode="w+", dtype=np.float64, shape=weights.shape)
        self.every, trace = proc_params["every"], proc_params["trace"]
        shape = (self.steps // self.every, len(weights))
        self.trace: Any = None if trace is None else np.lib.format.open_memmap(trace, mode="w+", dtype=np.float64, shape=shape)
        self.final[:] = weights

    def run_spk(self) -> None:
        """Send what arrives in this step; then see who spikes in it, and learn."""
        arrivals = np.array([self.past[-d] for d in self.synapses.delays], bool)  # also of none
        reward = self.rewards[0]
        a = np.zeros(self.size, self.dtype)
        sums = self.synapses.input(arrivals)
        a[self.place : self.place + len(sums)] = sums
        self.a_out.send(a)
        self.past.append(self.s_in.recv() != 0)
        fired = self.s_back.recv() != 0
        self.rewards.append(float(self.reward_in.recv()[0]))
        t = self.time_step - 1 - self.first
        if 0 <= t < self.steps:
            self.synapses.learn(t, arrivals, fired, reward)
            self.final[:] = self.synapses.weights
            if self.trace is not None and (t + 1) % self.every == 0:
                self.trace[t // self.every] = self.synapses.weights


@implements(proc=PlasticConnection, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyPlasticConnectionFloat(_PlasticModel):
    """Rules of float arithmetic."""

    dtype = np.float64
    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_back: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    reward_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


@implements(proc=PlasticConnection, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyPlasticConnectionFixed(_PlasticModel):
    """Rules of Loihi's learning engine."""

    dtype = np.int32
    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_back: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    reward_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

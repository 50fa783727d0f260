"""`Relay`: spikes on their way to a connection, copied to several columns or held back."""

from __future__ import annotations

from collections import deque
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


class Relay(AbstractProcess):
    """Sends what it received `wait` steps ago (0: in this step); column k carries neuron columns[k]."""

    def __init__(self, *, size: int, columns: Any, wait: int) -> None:
        super().__init__(size=size, columns=columns, wait=wait)
        self.s_in = InPort(shape=(size,))
        self.s_out = OutPort(shape=(len(columns),))


class _RelayModel(PyLoihiProcessModel):
    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.columns, wait = proc_params["columns"], proc_params["wait"]
        self.past: deque[Any] = deque([np.zeros(proc_params["size"])] * (wait + 1), maxlen=wait + 1)

    def run_spk(self) -> None:
        """Receive, then send the oldest."""
        self.past.append(self.s_in.recv())
        self.s_out.send(self.past[0][self.columns])


@implements(proc=Relay, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyRelayFloat(_RelayModel):
    """Relay in float arithmetic."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


@implements(proc=Relay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyRelayFixed(_RelayModel):
    """Relay in Loihi arithmetic."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

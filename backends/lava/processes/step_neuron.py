"""`StepNeuron`: any step program as a Lava process, for populations the library LIF does not cover."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neurocomp.backends.steps import advance, moment
from neurocomp.ir.program import StepProgram


class StepNeuron(AbstractProcess):
    """Neurons of one step program. `state` holds the program's states as rows.

    bias: (size,) added to the first input of every step. first: machine step of the first update; nothing happens before it.
    `a_in` takes the inputs one after the other, size values each.
    """

    def __init__(self, *, program: StepProgram, initial: Any, bias: Any, first: int, dt: float) -> None:
        super().__init__(program=program, bias=bias, first=first, dt=dt)
        size = len(bias)
        self.a_in = InPort(shape=(size * len(program.form.inputs),))
        self.s_out = OutPort(shape=(size,))
        self.state = Var(shape=initial.shape, init=initial)


class _StepModel(PyLoihiProcessModel):
    """Runs the program's NumPy form on `values`, and shows the states in `state` for whoever records them."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.program: StepProgram = proc_params["program"]
        self.form, self.constants = self.program.form, dict(self.program.constants)
        self.advance = advance(self.form)
        self.bias, self.first, self.dt = (proc_params[x] for x in ("bias", "first", "dt"))
        self.silence = np.zeros(self.bias.shape, bool)
        self.values: dict[str, Any] | None = None

    def run_spk(self) -> None:
        """One step: receive, update, send."""
        a = self.a_in.recv()
        spikes = None
        if self.time_step > self.first:
            if self.values is None:
                self.values = {name: self.state[k].astype(self.form.dtype) for k, name in enumerate(self.form.state)}
            inputs = dict(zip(self.form.inputs, a.reshape(len(self.form.inputs), -1), strict=True))
            inputs[self.form.inputs[0]] = self.bias + inputs[self.form.inputs[0]]
            now = moment(self.program, len(self.bias), self.time_step - self.first - 1, self.dt)
            spikes = self.advance(inputs, self.values, self.constants, now)
            for k, name in enumerate(self.form.state):
                self.state[k] = self.values[name]
        self.s_out.send(self.silence if spikes is None else np.broadcast_to(spikes, self.silence.shape))


@implements(proc=StepNeuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyStepNeuronFloat(_StepModel):
    """Step programs of float arithmetic."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    state: Any = LavaPyType(np.ndarray, float)


@implements(proc=StepNeuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyStepNeuronFixed(_StepModel):
    """Step programs of Loihi arithmetic."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    state: Any = LavaPyType(np.ndarray, np.int64)

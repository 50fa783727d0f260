"""Step programs as NumPy with the deterministic functions of the kernels: what every backend that runs NumPy shares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.expressions import Assign
from neurocomp.ir.printers.numpy import NumpyStep, numpy_step
from neurocomp.ir.program import TIDY_STEPS, TINY, Moment, StepForm, StepProgram
from neurocomp.kernels.functions import TABLE


def advance(form: StepForm) -> NumpyStep:
    """The form as `step(inputs, state, constants, now)`. Overflow and the like are the model's own business, as in C."""
    step = numpy_step(form, TABLE)

    def quiet(inputs: Any, state: dict[str, Any], constants: Any, now: Moment) -> Any:
        with np.errstate(all="ignore"):
            sent = step(inputs, state, constants, now)
            if form.arithmetic == "float32" and (now.step + 1) % TIDY_STEPS == 0:
                state.update({name: np.where(np.abs(x) < TINY, np.float32(0), x) for name, x in state.items()})
        return sent

    return quiet


def moment(program: StepProgram, size: int, step: int, dt: float) -> Moment:
    """What the program of `size` neurons may ask about step number `step` (from 0 at the last reset)."""
    neurons = np.arange(size, dtype=np.int64)
    if program.individuals is not None:
        neurons %= program.individuals
    return Moment(step, step * dt, program.key, neurons)


def drawn_state(program: StepProgram, size: int) -> dict[str, NDArray[np.float64]]:
    """The initial values of states that are drawn at random: (size,) each, in the step before the first."""
    now, result = moment(program, size, -1, 0.0), {}
    for name, expr in program.start.items():
        form = StepForm("float", (name,), (Assign(name, expr),), inputs=())
        state = {name: np.zeros(size)}
        advance(form)({}, state, dict(program.constants), now)
        result[name] = np.array(np.broadcast_to(state[name], (size,)), np.float64)
    return result

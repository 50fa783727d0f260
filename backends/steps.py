"""Step programs as NumPy with the deterministic functions of the kernels: what every backend that runs NumPy shares."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurocomp.ir.printers.numpy import NumpyStep, numpy_step
from neurocomp.ir.program import Moment, StepForm, StepProgram
from neurocomp.kernels.functions import TABLE


def advance(form: StepForm) -> NumpyStep:
    """The form as `step(inputs, state, constants, now)`. Overflow and the like are the model's own business, as in C."""
    step = numpy_step(form, TABLE)

    def quiet(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return step(*arguments)

    return quiet


def moment(program: StepProgram, size: int, step: int, dt: float) -> Moment:
    """What the program of `size` neurons may ask about step number `step` (from 0 at the last reset)."""
    neurons = np.arange(size, dtype=np.int64)
    if program.individuals is not None:
        neurons %= program.individuals
    return Moment(step, step * dt, program.key, neurons)

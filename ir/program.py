"""The step program: what one population computes in one step, as straight-line assignments.

`StepForm` is the text of the program, the same for every population of a kind (it decides which compiled code runs);
`StepProgram` adds the numbers of one population: constants, initial state and how to read the state in the user's units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.expressions import Assign, Expr, draws, names

Arithmetic = Literal["float", "float32", "loihi"]
# NumPy's types of states, by arithmetic
DTYPES: Mapping[str, type[np.generic]] = {"float": np.float64, "float32": np.float32, "loihi": np.int64}
# After every TIDY_STEPS steps, float32 states below TINY become 0. Processors are slow with subnormal numbers (below 2^-126),
# which a silent neuron's states would soon be; with these numbers none gets there by a time constant of two steps or more.
TIDY_STEPS, TINY = 32, 2.0**-100
TIME = "t"  # the name of the time in equations


@dataclass(frozen=True)
class Moment:
    """What a step program may ask about the step it computes.

    step: number of the step, from 0 at the last reset. t: its time in seconds. key: 64 bits that no other population's
    random numbers have. neurons: number of each neuron, (n,) int64.
    """

    step: int
    t: float
    key: int
    neurons: NDArray[np.int64]


@dataclass(frozen=True)
class StepForm:
    """Assignments executed in order each step, then the spike condition, then the reset where it holds.

    `payload` is what a spike carries, of the state before the reset; None where spikes are worth 1.

    `inputs` name the step's summed input of each receptor. `t` is the time of the step, in seconds since step 0. Names that are
    none of these, nor in `state`, nor assigned in the step, are constants.
    """

    arithmetic: Arithmetic
    state: tuple[str, ...]
    updates: tuple[Assign, ...]
    spike: Expr | None = None
    reset: tuple[Assign, ...] = ()
    payload: Expr | None = None
    inputs: tuple[str, ...] = ("a",)

    @property
    def dtype(self) -> type[np.generic]:
        """NumPy's type of states, constants and inputs."""
        return DTYPES[self.arithmetic]

    @property
    def constants(self) -> tuple[str, ...]:
        """Names of all constants in order of first use."""
        known = {TIME, *self.inputs, *self.state, *self.temporaries}
        return tuple(dict.fromkeys(x for expr in self.expressions() for x in names(expr) if x not in known))

    @property
    def temporaries(self) -> tuple[str, ...]:
        """Names that are assigned within the step and forgotten after it."""
        return tuple(dict.fromkeys(x.target for x in self.updates if x.target not in self.state))

    @property
    def random(self) -> bool:
        """Whether the program draws random numbers."""
        return any(True for expr in self.expressions() for _ in draws(expr))

    @property
    def autonomous(self) -> bool:
        """Whether a step depends on nothing but state and inputs: not on the time, not on chance."""
        return not self.random and all(TIME not in names(x) for x in self.expressions())

    def expressions(self) -> tuple[Expr, ...]:
        """Every expression, in the order of evaluation."""
        spike = () if self.spike is None else (self.spike,)
        payload = () if self.payload is None else (self.payload,)
        return (*(x.value for x in self.updates), *spike, *payload, *(x.value for x in self.reset))


@dataclass(frozen=True)
class StepProgram:
    """A `StepForm` with the numbers of one population of n neurons.

    constants, initial: name -> array of shape () or (n,), of the form's dtype.
    scale: state name -> factor by which the stored state is divided when it is read as the user's variable
        (`fold` stores some states multiplied by a gain); absent means 1.
    key: 64 bits that make the population's random numbers its own. individuals: neurons k and k + individuals draw the same
        (copies of a network side by side do); None where all differ.
    start: state -> expression of constants and random draws that gives its initial value, instead of `initial`.
    """

    form: StepForm
    constants: Mapping[str, NDArray[np.generic]]
    initial: Mapping[str, NDArray[np.generic]]
    scale: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    key: int = 0
    individuals: int | None = None
    start: Mapping[str, Expr] = field(default_factory=dict)

    @property
    def start_constants(self) -> set[str]:
        """The constants that `start` needs, besides those of the form."""
        return {name for expr in self.start.values() for name in names(expr)}

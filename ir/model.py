"""`NeuronModel`: one definition of a neuron, from which every backend is derived; `Neuron`: a model with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from neurocomp.ir.errors import EquationError, ModelError
from neurocomp.ir.expressions import (
    FUNCTIONS,
    Assign,
    Expr,
    check_identifier,
    names,
    parse_condition,
    parse_equations,
    parse_number,
    parse_statements,
)
from neurocomp.ir.program import Arithmetic

T = TypeVar("T")
RESERVED = {"a", "dt", "payload_limit", *FUNCTIONS}


@dataclass(frozen=True)
class NeuronModel:
    """A neuron written once, as equations.

    parameters: name -> unit (SI symbol, "" for none). `defaults` gives values where the user may leave them out.
    equations: differential equations `dx/dt = ...`, one a line, in the order they are integrated; `a` is the input.
    step: instead of equations, the assignments of one step (for models that are defined in discrete time).
    before, after: assignments carried out before and after the equations, ahead of the spike condition.
    spike: condition on the updated state, or None for an integrator that never spikes.
    payload: what a spike carries (graded spikes): a number of the updated state, rounded to a whole one and kept within the
        population's max_payload; a payload of 0 is not sent. Without it spikes are worth 1.
    resets: name -> assignments carried out where the neuron spiked; the first is the default rule.
    constraints: conditions on the parameters that `verify` checks for every neuron.
    """

    name: str
    parameters: Mapping[str, str]
    equations: str = ""
    step: str = ""
    before: str = ""
    after: str = ""
    spike: str | None = None
    payload: str = ""
    resets: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, float] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    arithmetic: Arithmetic = "float"
    description: str = ""

    def __post_init__(self) -> None:
        check_identifier(self.name, "model name")
        for parameter in self.parameters:
            check_identifier(parameter, f"model {self.name}: parameter")
            if parameter in RESERVED | {"reset", "integrator", "initial"}:  # the latter are arguments of the call
                raise EquationError(f"model {self.name}: '{parameter}' is a reserved name; rename the parameter")
        if bool(self.equations.strip()) == bool(self.step.strip()):
            raise EquationError(f"model {self.name}: give either equations or step")
        if (self.spike is None) != (not self.resets):
            raise EquationError(f"model {self.name}: spike and resets come together; give both or neither")
        if self.payload and self.spike is None:
            raise EquationError(f"model {self.name}: a payload needs a spike condition that sends it")
        self._check_names()

    def _check_names(self) -> None:
        clash = {*self.state, *(x.target for x in self._updates)} & {*self.parameters, *RESERVED}
        if clash:
            raise EquationError(f"model {self.name}: '{min(clash)}' is a parameter or a reserved name; it cannot be assigned")
        for name in self.defaults:
            if name not in self.parameters:
                raise EquationError(f"model {self.name}: a default for '{name}', which is not a parameter")
        for constraint in self.constraints:
            for name in names(self._parsed(f"constraint '{constraint}'", parse_condition, constraint)):
                if name not in self.parameters:
                    raise EquationError(f"model {self.name}, constraint '{constraint}': '{name}' is not a parameter")
        known = {*self.parameters, *self.state, "a", "dt"} | {x.target for x in self._updates}
        for where, expr in self._expressions():
            for name in names(expr):
                if name not in known:
                    raise EquationError(
                        f"model {self.name}, {where}: unknown name '{name}'; states are {', '.join(self.state)}, "
                        f"parameters {', '.join(self.parameters)}, the input is a"
                    )

    def _expressions(self) -> Iterator[tuple[str, Expr]]:
        """Every expression with the place where it stands."""
        yield from ((x.target, x.value) for x in self._updates)
        if self.spike is not None:
            yield "spike", self._parsed("spike", parse_condition, self.spike)
        if self.payload:
            yield "payload", self._parsed("payload", parse_number, self.payload)
        for rule, text in self.resets.items():
            for assign in self._parsed(f"reset '{rule}'", parse_statements, text):
                if assign.target not in self.state:
                    raise EquationError(f"model {self.name}: reset '{rule}' assigns '{assign.target}', not a state")
                yield f"reset '{rule}'", assign.value

    def _parsed(self, where: str, parse: Callable[[str, str], T], text: str) -> T:
        try:
            return parse(text, self.arithmetic)
        except EquationError as error:
            raise error.within(f"model {self.name}, {where}") from None

    @cached_property
    def _updates(self) -> tuple[Assign, ...]:
        if self.step.strip():
            return self._parsed("step", parse_statements, self.step)
        equations = self._parsed("equations", lambda text, _: parse_equations(text), self.equations)
        before, after = (
            self._parsed(k, parse_statements, text) for k, text in (("before", self.before), ("after", self.after))
        )
        return (*before, *equations, *after)

    @cached_property
    def state(self) -> tuple[str, ...]:
        """Names of the state variables, in the order of the equations."""
        if not self.step.strip():
            return tuple(x.target for x in parse_equations(self.equations))
        pending = {x.target for x in self._updates}
        carried: dict[str, None] = {}  # read before it is assigned, or set by a reset: it lives on between steps
        for update in self._updates:
            carried |= dict.fromkeys(name for name in names(update.value) if name in pending)
            pending.discard(update.target)
        for text in self.resets.values():
            carried |= dict.fromkeys(x.target for x in parse_statements(text, self.arithmetic))
        return tuple(carried) or tuple(dict.fromkeys(x.target for x in self._updates))  # nothing lives on: show it all

    def __call__(
        self,
        *,
        reset: str | None = None,
        integrator: str | None = None,
        initial: Mapping[str, Any] | None = None,
        **parameters: Any,
    ) -> Neuron:
        """This model with values: scalars for all neurons, or arrays of the population's shape.

        reset: one of `resets` (default: the first). integrator: overrides the network's.
        initial: state name -> initial value (default 0). Raises `ModelError` for unknown or missing names.
        """
        return Neuron(self, self._complete(parameters), self._reset(reset), integrator, self._initial(initial or {}))

    def _complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        for name in given:
            if name not in self.parameters:
                raise ModelError(f"{self.name} has no parameter '{name}'; it has {', '.join(self.parameters)}")
        missing = [name for name in self.parameters if name not in given and name not in self.defaults]
        if missing:
            units = ", ".join(f"{name} ({self.parameters[name] or 'no unit'})" for name in missing)
            raise ModelError(f"{self.name} needs {units}")
        return {name: given.get(name, self.defaults.get(name)) for name in self.parameters}

    def _reset(self, reset: str | None) -> str | None:
        if reset is None:
            return next(iter(self.resets), None)
        if reset not in self.resets:
            known = ", ".join(f"'{name}'" for name in self.resets) or "none, as it does not spike"
            raise ModelError(f"{self.name} has no reset '{reset}'; it has {known}")
        return reset

    def _initial(self, given: Mapping[str, Any]) -> dict[str, Any]:
        for name in given:
            if name not in self.state:
                raise ModelError(f"{self.name} has no state '{name}'; it has {', '.join(self.state)}")
        return dict(given)

    def __hash__(self) -> int:
        return hash((self.name, self.equations, self.step, self.spike))

    def __repr__(self) -> str:
        parts = [f"NeuronModel {self.name}: {self.description}".rstrip(": ")]
        parts += [f"    before: {self.before}"] if self.before else []
        parts += [f"    {line.strip()}" for line in (self.equations or self.step).strip().splitlines()]
        parts += [f"    after: {self.after}"] if self.after else []
        if self.spike is not None:
            parts.append(f"    spike: {self.spike}")
            parts += [f"    payload: {self.payload}"] if self.payload else []
            parts += [f"    reset '{rule}': {text}" for rule, text in self.resets.items()]
        shown = (
            f"{name}{f' [{unit}]' if unit else ''}{f' = {self.defaults[name]}' if name in self.defaults else ''}"
            for name, unit in self.parameters.items()
        )
        return "\n".join([*parts, f"    parameters: {', '.join(shown)}"])


@dataclass(frozen=True)
class Neuron:
    """A neuron model with parameter values (float or array), a reset rule, an integrator and initial state."""

    model: NeuronModel
    parameters: Mapping[str, Any]
    reset: str | None = None
    integrator: str | None = None
    initial: Mapping[str, Any] = field(default_factory=dict)

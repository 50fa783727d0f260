"""`NeuronModel`: one definition of a neuron, from which every backend is derived; `Neuron`: a model with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from numbers import Integral, Real
from typing import Any, NoReturn, TypeVar

from neurocomp.ir import units
from neurocomp.ir.errors import EquationError, ModelError
from neurocomp.ir.expressions import (
    FUNCTIONS,
    NAMES_MEANT,
    Assign,
    Expr,
    check_identifier,
    check_parameter,
    name_nodes,
    names,
    one_line,
    parse_condition,
    parse_equations,
    parse_number,
    parse_statements,
)
from neurocomp.ir.program import TIME, Arithmetic

T = TypeVar("T")
Parsed = TypeVar("Parsed", Expr, tuple[Assign, ...])
DEFAULT_PAYLOAD = 255  # where graded spikes of a population saturate unless it or its model says otherwise
RESERVED = {"dt", "payload_limit", TIME}
ARGUMENTS = {"reset", "integrator", "initial"}  # of a model's call, so no parameter has these names


@dataclass(frozen=True)
class NeuronModel:
    """A neuron written once, as equations.

    parameters: name -> unit (SI symbol, "" for none). `defaults` gives values where the user may leave them out.
    receptors: names of the inputs, each the summed weights of a step of the projections onto it. Without, there is one: `a`.
    equations: differential equations `dx/dt = ...`, one a line, in the order they are integrated. Besides parameters, states
        and inputs they may use the time `t` (s), `dt` (s), and the functions of docs/neurons.md.
    integrator: what the equations need where neither user nor network can choose freely (None: the network's).
    step: instead of equations, the assignments of one step (for models that are defined in discrete time).
    before, after: assignments carried out before and after the equations, ahead of the spike condition. What they assign
        is forgotten after the step, unless it is read before it is assigned or set by a reset: then it is a state, too.
    spike: condition on the updated state, or None for an integrator that never spikes.
    payload: what a spike carries (graded spikes): a number of the updated state, rounded to a whole one and kept within the
        population's max_payload (`payload_limit` in equations); a payload of 0 is not sent. Without it spikes are worth 1.
    max_payload: of populations that do not say.
    resets: name -> assignments carried out where the neuron spiked; the first is the default rule.
    refractory: states that stay as they are during an absolute refractory period; the model then takes `t_ref` (s).
    initial: state -> where it starts unless the user says otherwise, an expression of the parameters, dt and random
        draws (default 0), or a number in the state's SI unit.
    constraints: conditions on the parameters that `verify` checks for every neuron.
    cautions: condition on the parameters and dt -> what a user should know where it holds, a warning when it is compiled.
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
    receptors: tuple[str, ...] = ()
    integrator: str | None = None
    refractory: tuple[str, ...] = ()
    initial: Mapping[str, str] = field(default_factory=dict)
    max_payload: int = DEFAULT_PAYLOAD
    cautions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_identifier(self.name, "model name")
        self._check_kinds()
        for parameter in self.parameters:
            check_parameter(parameter, f"model {self.name}: parameter")
            if parameter in self._reserved | ARGUMENTS | {*self.inputs}:
                raise EquationError(f"model {self.name}: '{parameter}' is a reserved name; rename the parameter")
        if bool(self.equations.strip()) == bool(self.step.strip()):
            raise EquationError(f"model {self.name}: give either equations or step")
        if (self.spike is None) != (not self.resets):
            raise EquationError(f"model {self.name}: spike and resets come together; give both or neither")
        if self.payload and self.spike is None:
            raise EquationError(f"model {self.name}: a payload needs a spike condition that sends it")
        self._check_inputs()
        numbers = self._initial_numbers()
        self._check_names()
        self._write_units(numbers)
        units.check(self)

    def _check_kinds(self) -> None:
        examples = {
            "parameters": "{'tau': 's'}",
            "resets": "{'value': 'v = 0.0'}",
            "defaults": "{'tau': 10e-3}",
            "initial": "{'v': 0.0}",
        }
        for argument, example in examples.items():
            if not isinstance(given := getattr(self, argument), Mapping):
                self._refuse(argument, f"is a mapping, such as {example}", given)
        for argument in ("receptors", "refractory", "constraints"):
            given = getattr(self, argument)
            if not isinstance(given, tuple | list) or not all(isinstance(x, str) for x in given):
                self._refuse(
                    argument,
                    f"is a tuple of texts, such as ({given!r},)" if isinstance(given, str) else "is a tuple of texts",
                    given,
                )
        for argument in ("equations", "step", "before", "after", "payload"):
            if not isinstance(given := getattr(self, argument), str):
                self._refuse(argument, "is text", given)
        if not isinstance(self.spike, str | None):
            self._refuse("spike", "is a condition as text, such as 'v > v_threshold', or None", self.spike)
        for rule, text in self.resets.items():
            if not isinstance(text, str):
                self._refuse(f"resets['{rule}']", "is text, such as 'v = 0.0'", text)
        for name, unit in self.parameters.items():
            if not isinstance(unit, str):
                self._refuse(f"parameters['{name}']", "is the unit as text, such as 's' or '' (values go into defaults=)", unit)

    def _refuse(self, argument: str, wanted: str, given: Any) -> NoReturn:
        raise EquationError(f"model {self.name}: {argument} {wanted}; got {given!r:.60}")

    def _initial_numbers(self) -> dict[str, str]:
        """The states whose initial value is a number, which becomes text."""
        numbers: dict[str, str] = {}
        for state, given in self.initial.items():
            if isinstance(given, Real) and not isinstance(given, bool):
                numbers[state] = repr(int(given) if isinstance(given, Integral) else float(given))
            elif not isinstance(given, str):
                cure = "text or a number (arrays and distributions are given where the model is used)"
                self._refuse(f"initial['{state}']", f"is {cure}", given)
        if numbers:
            object.__setattr__(self, "initial", {**self.initial, **numbers})
        return numbers

    def _write_units(self, numbers: Mapping[str, str]) -> None:
        """Give initial values that are numbers the unit of their state, as far as the equations tell."""
        if not numbers:
            return
        initial = dict(self.initial)
        object.__setattr__(self, "initial", {state: text for state, text in initial.items() if state not in numbers})
        for state, unit in units.of(self).items():
            text = unit.replace("^", "**")
            if state in numbers and unit not in ("", "?") and {*names(parse_number(text))} <= units.unit_names(self):
                initial[state] = f"{numbers[state]}*{text}"
        object.__setattr__(self, "initial", initial)

    def _check_inputs(self) -> None:
        for receptor in self.receptors:
            check_parameter(receptor, f"model {self.name}: receptor")
            if receptor in self._reserved or self.receptors.count(receptor) > 1:
                raise EquationError(f"model {self.name}: receptor '{receptor}' is a reserved name or given twice; rename it")
        if self.receptors and self.arithmetic == "loihi":
            raise EquationError(f"model {self.name}: neurons of Loihi's arithmetic have one input, a; leave receptors out")

    def _check_names(self) -> None:
        clash = {*self.state, *(x.target for x in self._updates)} & {*self.parameters, *self.inputs, *self._reserved}
        if clash:
            raise EquationError(f"model {self.name}: '{min(clash)}' is a parameter or a reserved name; it cannot be assigned")
        for name in self.defaults:
            if name not in self.parameters:
                raise EquationError(f"model {self.name}: a default for '{name}', which is not a parameter")
        for name in (*self.refractory, *self.initial):
            if name not in self.state:
                raise EquationError(f"model {self.name}: '{name}' is not a state; states are {', '.join(self.state)}")
        for where, source, expr in self._expressions():
            self._check_known(where, source, expr, self.known_names)
        for where, source, expr in self._of_parameters():
            more = {"dt"} if where.startswith("initial") else set()
            self._check_known(where, source, expr, frozenset({*self.parameters, *more}))

    def _check_known(self, where: str, source: str, expr: Expr, known: frozenset[str]) -> None:
        for name in name_nodes(expr):
            if name.id in known or name.id in units.unit_names(self):
                continue
            if name.id in self.known_names:
                problem = f"'{name.id}' is not a parameter"
            else:
                meant = NAMES_MEANT.get(name.id)
                hint = f" (write {meant})" if meant else units.hint(self, name.id)
                problem = (
                    f"unknown name '{name.id}'{hint}; states are {', '.join(self.state)}, "
                    f"parameters {', '.join(self.parameters)}, inputs {', '.join(self.inputs)}"
                )
            raise EquationError(f"model {self.name}, {where}: {problem}", source, name.column)

    def _expressions(self) -> Iterator[tuple[str, str, Expr]]:
        """Every expression of a step, with the place where it stands and its text."""
        yield from ((x.target, x.source, x.value) for x in self._updates)
        if self.spike is not None:
            yield "spike", one_line(self.spike), self._parsed("spike", parse_condition, self.spike)
        if self.payload:
            yield "payload", one_line(self.payload), self._parsed("payload", parse_number, self.payload)
        for rule, text in self.resets.items():
            for assign in self._parsed(f"reset '{rule}'", parse_statements, text):
                if assign.target not in self.state:
                    raise EquationError(f"model {self.name}: reset '{rule}' assigns '{assign.target}', not a state")
                yield f"reset '{rule}'", assign.source, assign.value

    def _of_parameters(self) -> Iterator[tuple[str, str, Expr]]:
        """Every expression of parameters alone."""
        for state, text in self.initial.items():
            yield f"initial {state}", one_line(text), self._parsed(f"initial {state}", parse_number, text)
        for constraint in self.constraints:
            where = f"constraint '{constraint}'"
            yield where, one_line(constraint), self._parsed(where, parse_condition, constraint)

    def _parsed(self, where: str, parse: Callable[[str, str], T], text: str) -> T:
        try:
            return parse(text, self.arithmetic)
        except EquationError as error:
            raise error.within(f"model {self.name}, {where}") from None

    def parse(self, parse: Callable[[str, str], Parsed], text: str) -> Parsed:
        """One of the model's texts, with the units it names as numbers: `10 * mV` is 10 * 0.001."""
        return units.resolve(self, parse(text, self.arithmetic))

    @property
    def _reserved(self) -> set[str]:
        return RESERVED | {name for name, (_, where) in FUNCTIONS.items() if where in ("any", self.arithmetic)}

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the summed inputs of a step: the receptors, or `a`."""
        return self.receptors or ("a",)

    @cached_property
    def known_names(self) -> frozenset[str]:
        """All that the expressions of a step may name, besides units."""
        targets = (x.target for x in self._updates)
        limit = ["payload_limit"] if self.payload else []
        return frozenset((*self.parameters, *self.state, *targets, *self.inputs, "dt", TIME, *limit))

    @cached_property
    def units(self) -> Mapping[str, str]:
        """The unit of every state and input, found from the equations: "" for plain numbers, "?" where they do not tell."""
        return units.of(self)

    @cached_property
    def _updates(self) -> tuple[Assign, ...]:
        if self.step.strip():
            return self._parsed("step", parse_statements, self.step)
        equations = self._parsed("equations", parse_equations, self.equations)
        before, after = (
            self._parsed(k, parse_statements, text) for k, text in (("before", self.before), ("after", self.after))
        )
        return (*before, *equations, *after)

    @cached_property
    def listens(self) -> bool:
        """Whether any input appears in what the model computes: sources have none."""
        return any(name in self.inputs for _, _, expr in self._expressions() for name in names(expr))

    @cached_property
    def state(self) -> tuple[str, ...]:
        """Names of the state variables, in the order of the equations."""
        integrated = tuple(x.target for x in self._parsed("equations", parse_equations, self.equations))
        targets = {x.target for x in self._updates}
        pending = set(targets)
        carried: dict[str, None] = {}  # read before it is assigned, or set by a reset: it lives on between steps
        for update in self._updates:
            carried |= dict.fromkeys(name for name in names(update.value) if name in pending)
            pending.discard(update.target)
        for text in self.resets.values():
            set_there = (x.target for x in parse_statements(text, self.arithmetic))
            carried |= dict.fromkeys(x for x in set_there if x in targets or not integrated)
        return tuple(dict.fromkeys((*integrated, *carried))) or tuple(dict.fromkeys(x.target for x in self._updates))

    def __call__(
        self,
        *,
        reset: str | None = None,
        integrator: str | None = None,
        initial: Mapping[str, Any] | None = None,
        t_ref: Any = None,
        **parameters: Any,
    ) -> Neuron:
        """This model with values: scalars for all neurons, arrays of the population's shape, or distributions (`nc.Normal`).

        reset: one of `resets` (default: the first). integrator: overrides the network's. t_ref: absolute refractory period
        in seconds, where the model has one. initial: state name -> initial value (default: the model's, else 0).
        Raises `ModelError` for unknown or missing names.
        """
        if t_ref is not None and "t_ref" not in self.parameters:
            return refractory(self)(reset=reset, integrator=integrator, initial=initial, t_ref=t_ref, **parameters)
        parameters |= {} if t_ref is None else {"t_ref": t_ref}
        return Neuron(
            self, self._complete(parameters), self._reset(reset), integrator, self._initial({} if initial is None else initial)
        )

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
        if not isinstance(reset, str) or reset not in self.resets:
            known = ", ".join(f"'{name}'" for name in self.resets) or "none, as it does not spike"
            raise ModelError(f"{self.name} has no reset {reset!r:.60}; it has {known}")
        return reset

    def _initial(self, given: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(given, Mapping):
            example = f"{{'{self.state[0]}': {given!r:.60}}}"
            raise ModelError(f"{self.name}: initial is a mapping of states to values, such as {example}; got {given!r:.60}")
        for name in given:
            if name not in self.state:
                raise ModelError(f"{self.name} has no state '{name}'; it has {', '.join(self.state)}")
        return dict(given)

    @cached_property
    def text(self) -> str:
        """Everything that decides what the model computes, as text."""
        return "\n".join((self.name, *self.inputs, self.before, self.equations, self.step, self.after, self.spike or ""))

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        parts = [f"NeuronModel {self.name}: {self.description}".rstrip(": ")]
        parts += [f"    receptors: {', '.join(self.receptors)}"] if self.receptors else []
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
        parts.append(f"    parameters: {', '.join(shown)}")
        found = [f"{name} [{unit}]" if unit not in ("", "?") else name for name, unit in self.units.items()]
        if any(unit not in ("", "?") for unit in self.units.values()):
            states, inputs = found[: len(self.state)], found[len(self.state) :]
            parts.append(f"    states: {', '.join(states)}; input{'s' * (len(inputs) > 1)}: {', '.join(inputs)}")
        return "\n".join(parts)


@dataclass(frozen=True)
class Neuron:
    """A neuron model with parameter values (float or array), a reset rule, an integrator and initial state."""

    model: NeuronModel
    parameters: Mapping[str, Any]
    reset: str | None = None
    integrator: str | None = None
    initial: Mapping[str, Any] = field(default_factory=dict)


@cache
def refractory(model: NeuronModel) -> NeuronModel:
    """The model with an absolute refractory period, as in NEST: for round(t_ref / dt) steps after the step of a spike the
    held states stay as they are and no spike is sent; everything else goes on.
    """
    if not model.refractory:
        has = "does not spike" if model.spike is None else "has no refractory period; write it into the equations"
        raise ModelError(f"{model.name} takes no t_ref: it {has}")
    hold = [f"held_{x} = {x}" for x in model.refractory]
    keep = [f"{x} = where(waits > 0.0, held_{x}, {x})" for x in model.refractory]
    count = ["waits = refractory", "refractory = where(waits > 0.0, refractory - 1.0, refractory)"]
    return replace(
        model,
        name=f"Refractory{model.name}",
        parameters={**model.parameters, "t_ref": "s"},
        before="\n".join([*count, *hold, model.before]),
        after="\n".join([model.after, *keep]),
        spike=f"waits <= 0.0 and ({model.spike})",
        resets={name: f"{rule}; refractory = round(t_ref / dt)" for name, rule in model.resets.items()},
        constraints=(*model.constraints, "t_ref >= 0"),
        cautions={**model.cautions, "t_ref > 0 and round(t_ref / dt) < 1": "t_ref is at most half a step, so it is none"},
        refractory=(),
        description=f"{model.description}; with an absolute refractory period",
    )

"""`PlasticityRule`: a learning rule written once, from which every backend is derived; `Plasticity`: a rule with its numbers.

What happens at a step of the target population, after its neurons have been updated (docs/plasticity.md):

1. for every spike that arrives (its source's spike, delayed): `on_pre` at its synapses; then its source's traces jump;
2. for every neuron that spiked: `on_post` at its synapses; then its traces jump;
3. where a reward came: `on_reward` at all synapses.

So a spike that arrives in the very step in which its target spikes counts as the earlier of the two. Weights changed now act
from the next step on. Traces and synaptic variables decay exponentially between events and are evaluated only there: their
value is `value at the last event * exp(-(steps since) * (dt / tau))`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any, NoReturn

from neurocomp.ir.errors import EquationError, ModelError
from neurocomp.ir.expressions import (
    FUNCTIONS,
    NAMES_MEANT,
    Assign,
    check_identifier,
    check_parameter,
    draws,
    names,
    parse_number,
    parse_statements,
)

WEIGHT, REWARD = "w", "reward"
BOUNDS = ("w_min", "w_max")
RESERVED = {WEIGHT, REWARD, "dt", "t", *FUNCTIONS}


@dataclass(frozen=True)
class Trace:
    """What a neuron leaves behind. tau: the parameter with its time constant. jump: its new value at a spike, from its old."""

    tau: str
    jump: str = "{0} + 1.0"


@dataclass(frozen=True)
class PlasticityRule:
    """A learning rule, written once.

    parameters: name -> unit (SI symbol, "w" for the weight's, "" for none). `w_min` and `w_max` always exist: after every
        change the weight is brought back between them.
    pre, post: traces of the source's arriving spikes and of the target's spikes, by name.
    synapse: variables of each synapse that decay, name -> parameter with the time constant.
    on_pre, on_post, on_reward: assignments to `w` and the synapse's variables. They may use parameters, all traces (those of
        the spike's own side as they were just before it), the synapse's variables, and in on_reward `reward`, its size.
    """

    name: str
    parameters: Mapping[str, str]
    pre: Mapping[str, Trace] = field(default_factory=dict)
    post: Mapping[str, Trace] = field(default_factory=dict)
    synapse: Mapping[str, str] = field(default_factory=dict)
    on_pre: str = ""
    on_post: str = ""
    on_reward: str = ""
    defaults: Mapping[str, float] = field(default_factory=dict)
    description: str = ""

    def __post_init__(self) -> None:
        check_identifier(self.name, "name of a plasticity rule")
        self._check_kinds()
        own = [*self.parameters, *self.pre, *self.post, *self.synapse]
        for name in own:
            check_parameter(name, f"rule {self.name}:")
            if name in RESERVED or name in BOUNDS or own.count(name) > 1:
                raise EquationError(f"rule {self.name}: '{name}' is a reserved name or given twice; rename it")
        for name, tau in self.decays.items():
            if tau not in self.parameters:
                raise EquationError(f"rule {self.name}: the time constant '{tau}' of {name} is not a parameter")
        for where, event in self.events.items():
            self._check(where, event, {*own, *BOUNDS, WEIGHT} | ({REWARD} if where == "on_reward" else set()))
        for name in self.jumps:
            self._check(f"jump of {name}", (self.jumps[name],), {*self.parameters, name}, {name})

    def _check_kinds(self) -> None:
        examples = {
            "parameters": "{'tau': 's'}",
            "pre": "{'x': Trace('tau')}",
            "post": "{'y': Trace('tau')}",
            "synapse": "{'c': 'tau'}",
            "defaults": "{'tau': 20e-3}",
        }
        for argument, example in examples.items():
            if not isinstance(given := getattr(self, argument), Mapping):
                self._refuse(argument, f"is a mapping, such as {example}", given)
        for side in ("pre", "post"):
            for name, trace in getattr(self, side).items():
                if not isinstance(trace, Trace):
                    example = f"Trace({trace!r})" if isinstance(trace, str) else "Trace('tau')"
                    self._refuse(f"{side}['{name}']", f"is a trace, such as {example}", trace)
        for name, tau in self.synapse.items():
            if not isinstance(tau, str):
                self._refuse(f"synapse['{name}']", "is the name of the parameter with its time constant", tau)
        for argument in ("on_pre", "on_post", "on_reward"):
            if not isinstance(given := getattr(self, argument), str):
                self._refuse(argument, "is text, such as 'w = w + a_plus'", given)

    def _refuse(self, argument: str, wanted: str, given: Any) -> NoReturn:
        raise EquationError(f"rule {self.name}: {argument} {wanted}; got {given!r:.60}")

    def _check(self, where: str, assigns: tuple[Assign, ...], known: set[str], targets: set[str] | None = None) -> None:
        allowed = targets or {WEIGHT, *self.synapse}
        for assign in assigns:
            if assign.target not in allowed:
                raise EquationError(f"rule {self.name}, {where}: '{assign.target}' cannot be assigned; {sorted(allowed)} can")
            for name in names(assign.value):
                if name not in known:
                    meant = f" (write {NAMES_MEANT[name]})" if name == "pi" else ""
                    raise EquationError(
                        f"rule {self.name}, {where}: unknown name '{name}'{meant}; known are {', '.join(sorted(known))}"
                    )
            if any(draws(assign.value)):
                raise EquationError(f"rule {self.name}, {where}: random numbers are not available in learning rules")

    @property
    def decays(self) -> dict[str, str]:
        """Everything that decays, by the parameter with its time constant."""
        traces = {name: trace.tau for name, trace in (*self.pre.items(), *self.post.items())}
        return traces | dict(self.synapse)

    @cached_property
    def events(self) -> dict[str, tuple[Assign, ...]]:
        """The assignments of each event."""
        texts = {"on_pre": self.on_pre, "on_post": self.on_post, "on_reward": self.on_reward}
        result = {}
        for where, text in texts.items():
            try:
                result[where] = parse_statements(text)
            except EquationError as error:
                raise error.within(f"rule {self.name}, {where}") from None
        return result

    @cached_property
    def jumps(self) -> dict[str, Assign]:
        """The jump of each trace, as an assignment to it."""
        traces = (*self.pre.items(), *self.post.items())
        return {name: Assign(name, parse_number(trace.jump.format(name))) for name, trace in traces}

    def __call__(
        self,
        *,
        w_min: float | None = None,
        w_max: float | None = None,
        reward: Any = None,
        reward_delay: int = 0,
        **values: float,
    ) -> Plasticity:
        """This rule with values, one for all synapses; `w_min` and `w_max` are always needed.

        reward: the node whose spikes are the reward, for rules that have one.
        """
        unknown = [name for name in values if name not in self.parameters]
        if unknown:
            raise unknown_parameter(self.name, unknown[0], (*self.parameters, *BOUNDS))
        missing = [name for name in self.parameters if name not in values and name not in self.defaults]
        missing += [name for name, value in zip(BOUNDS, (w_min, w_max), strict=True) if value is None]
        if missing:
            raise ModelError(f"{self.name} needs {', '.join(missing)}")
        given = {name: values.get(name, self.defaults.get(name)) for name in self.parameters}
        numbers = {name: _number(self.name, name, value) for name, value in {**given, "w_min": w_min, "w_max": w_max}.items()}
        if numbers["w_min"] > numbers["w_max"]:
            raise ModelError(f"{self.name}: w_min = {w_min} is above w_max = {w_max}")
        for name, tau in self.decays.items():
            if numbers[tau] <= 0:
                raise ModelError(f"{self.name}: {tau} = {numbers[tau]} must be positive: {name} decays with it")
        if bool(self.on_reward) != (reward is not None):
            cure = "give reward='name of the node'" if self.on_reward else "leave reward= out"
            raise ModelError(f"{self.name} {'learns from a reward' if self.on_reward else 'takes no reward'}; {cure}")
        label = reward if reward is None or isinstance(reward, str) else reward.name
        return Plasticity(self, numbers, label, int(reward_delay))

    def __hash__(self) -> int:
        return hash((self.name, self.on_pre, self.on_post, self.on_reward))

    def __iter__(self) -> Iterator[str]:
        return iter(self.parameters)


@dataclass(frozen=True)
class Plasticity:
    """A rule with its numbers. reward: the name of the node that sends it, reward_delay: steps it takes."""

    rule: PlasticityRule
    parameters: Mapping[str, float]
    reward: str | None = None
    reward_delay: int = 0

    @property
    def bounds(self) -> tuple[float, float]:
        """(w_min, w_max)."""
        return self.parameters["w_min"], self.parameters["w_max"]


def unknown_parameter(rule: str, name: str, known: Sequence[str]) -> ModelError:
    """What to raise for a parameter that does not exist."""
    meant = get_close_matches(name, known, 1)
    hint = f" (did you mean {meant[0]}?)" if meant else ""
    return ModelError(f"{rule} has no parameter '{name}'{hint}; it has {', '.join(known)}")


def _number(rule: str, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ModelError(f"{rule}: {name} = {value!r:.60} is not a number (one for all synapses)") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise ModelError(f"{rule}: {name} = {number} is not finite")
    return number

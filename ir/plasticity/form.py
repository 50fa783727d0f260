"""The form of a learning rule that decides which compiled code runs, and its numbers for one projection and dt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from neurocomp.ir.expressions import Assign, Binary, Call, Expr, Name, Unary, names
from neurocomp.ir.plasticity.rule import WEIGHT, Plasticity, PlasticityRule


@dataclass(frozen=True)
class RuleForm:
    """What happens at each event, as straight-line assignments.

    pre, post, synapse: names of the traces and variables, in the order of their arrays. jump_pre, jump_post: the traces' jumps.
    """

    pre: tuple[str, ...]
    post: tuple[str, ...]
    synapse: tuple[str, ...]
    on_pre: tuple[Assign, ...]
    on_post: tuple[Assign, ...]
    on_reward: tuple[Assign, ...]
    jump_pre: tuple[Assign, ...]
    jump_post: tuple[Assign, ...]

    @property
    def constants(self) -> tuple[str, ...]:
        """Names of all constants: parameters, and what each trace and variable loses in a step, in order of first use."""
        given = {WEIGHT, "reward", *self.pre, *self.post, *self.synapse}
        events = (*self.on_pre, *self.on_post, *self.on_reward, *self.jump_pre, *self.jump_post)
        used = dict.fromkeys(x for assign in events for x in names(assign.value) if x not in given)
        rates = (rate_of(x) for x in (*self.pre, *self.post, *self.synapse))
        return tuple(dict.fromkeys((*used, "w_min", "w_max", *rates)))

    def event(self, where: str) -> tuple[Assign, ...]:
        """The assignments of "on_pre", "on_post" or "on_reward"."""
        assigns: tuple[Assign, ...] = getattr(self, where)
        return assigns


@dataclass(frozen=True)
class LearningProgram:
    """A form with its numbers: constants by name."""

    form: RuleForm
    constants: Mapping[str, float]


def rate_of(name: str) -> str:
    """The constant dt / tau of something that decays."""
    return f"{name}_per_step"


def decayed(name: str, steps: Expr) -> Expr:
    """The value of a trace or variable `steps` steps after its last event."""
    return Binary("*", Name(name), Call("exp", (Binary("*", Unary("-", steps), Name(rate_of(name))),)))


def rule_form(rule: PlasticityRule) -> RuleForm:
    """The form of a rule; after every change of the weight it is brought back into its bounds."""

    def bounded(assigns: tuple[Assign, ...]) -> tuple[Assign, ...]:
        return tuple(Assign(x.target, _bounded(x.value) if x.target == WEIGHT else x.value) for x in assigns)

    events = {where: bounded(assigns) for where, assigns in rule.events.items()}
    jumps = tuple(tuple(rule.jumps[name] for name in side) for side in (rule.pre, rule.post))
    return RuleForm(tuple(rule.pre), tuple(rule.post), tuple(rule.synapse), **events, jump_pre=jumps[0], jump_post=jumps[1])


def _bounded(value: Expr) -> Expr:
    return Call("min", (Call("max", (value, Name("w_min"))), Name("w_max")))


def learning_program(plasticity: Plasticity, dt: float) -> LearningProgram:
    """The numbers of a projection's rule for steps of dt seconds."""
    form = rule_form(plasticity.rule)
    values = dict(plasticity.parameters)
    values |= {rate_of(name): dt / plasticity.parameters[tau] for name, tau in plasticity.rule.decays.items()}
    return LearningProgram(form, {name: values[name] for name in form.constants})

"""What a folded float population computes, where Loihi's neuron can compute it:

    u = u * u_decay + a;  v = v * v_decay + u + bias;  spike where v > threshold;  v = 0 or v = v - threshold where it spiked

Missing parts are parts of this form: no current is a decay of u of 0, no leak a decay of v of 1. A voltage that is reset to
another value than 0 is counted from there. Everything else is refused with the population's name and what to do instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from neurocomp.ir.connectivity import Floats
from neurocomp.ir.errors import CompileError
from neurocomp.ir.expressions import Assign, Binary, Call, Compare, Expr, Name, Number, names
from neurocomp.ir.linear import REST, Terms, affine
from neurocomp.ir.network import Change, Population
from neurocomp.ir.printers.numpy import numpy_value
from neurocomp.ir.printers.text import form_text
from neurocomp.ir.program import StepForm, StepProgram

BY = "quantise"
ONE = Number(1)
Reset = Literal["value", "subtract"]


@dataclass(frozen=True)
class LifForm:
    """The numbers of a population of n neurons in the form above; every array is (n,) float64, in units of the folded program.

    bias: what v receives every step, the input's bias included. u0, v0: initial state. unit: factor by which the stored v is
    larger than the user's. zero: the stored v that is 0 in this form. strict: whether v spikes above the threshold, not at
    it. changes: what had to be moved or is only approximately the same.
    """

    u_decay: Floats
    v_decay: Floats
    bias: Floats
    threshold: Floats
    reset: Reset
    u0: Floats
    v0: Floats
    zero: Floats
    unit: float = 1.0
    strict: bool = True
    changes: tuple[Change, ...] = ()

    @property
    def current(self) -> bool:
        """Whether the synaptic current outlives its step."""
        return bool(np.any(self.u_decay != 0))


def lif_form(population: Population) -> LifForm:
    """The population in Loihi's form. Raises `CompileError` with the reason and the cure where it has another one."""
    program = population.program
    if program is None:
        raise CompileError(population.name, "has no step program yet; run Discretise() and Fold() before Quantise()")
    model, form = population.neuron.model.name, program.form
    if form.spike is None:
        raise CompileError(
            population.name,
            f"{model} never spikes, and Loihi sends nothing but spikes; make it a spiking population, for example IF with "
            "reset='subtract' (its spike count is the integral), or take it off the network and integrate on the host",
        )
    if form.payload is not None:
        raise CompileError(
            population.name,
            f"{model} sends graded spikes, which quantise does not make; use LoihiGradedRelu, or neurons with plain spikes",
        )
    v, threshold, last, strict = _condition(population, form)
    terms = _terms(population, form, v, last)
    u = next((x for x in form.state if x != v), None)
    values = _Values(population, program)
    source = "a" if u is None else u
    reset, zero = _reset(population, form, v, threshold, values)
    _need_one(population, values, terms[v].pop(source, None), source)
    decays = {v: values.decay(terms[v].pop(v, Number(0)), v)}
    bias = values(terms[v].pop(REST, Number(0)))
    into = population.bias_vector()
    if u is not None:
        _need_one(population, values, terms[u].pop("a", None), "a")
        decays[u] = values.decay(terms[u].pop(u, Number(0)), u)
        into = into + values(terms[u].pop(REST, Number(0)))
    if any(terms[x] for x in terms):
        raise _refusal(population, form)
    u_decay = decays[u] if u is not None else np.zeros(population.size)
    u0 = values.initial(u) if u is not None else np.zeros(population.size)
    changes = _late(population, last)
    bias, u0, moved = _move_bias(population, into, bias, u_decay, u0)
    unit = float(np.mean(program.scale[v])) if v in program.scale else 1.0
    above = values(threshold) - zero
    _need_threshold(population, above / unit)
    bias = bias - zero * (1 - decays[v])  # of v' = v - zero, which obeys v' = v' * v_decay + u + bias too
    return LifForm(
        u_decay,
        decays[v],
        bias,
        above,
        reset,
        u0,
        values.initial(v) - zero,
        zero,
        unit,
        strict,
        (*changes, *moved, *_shift(population, zero / unit)),
    )


# -------------------------------------------------------------------------------------------------------------- inside


@dataclass(frozen=True)
class _Values:
    """Numbers of expressions, per neuron."""

    population: Population
    program: StepProgram

    def __call__(self, expr: Expr) -> Floats:
        return self._full(numpy_value(expr, dict(self.program.constants)))

    def initial(self, state: str) -> Floats:
        """(n,) initial value as stored."""
        return self._full(self.program.initial[state])

    def decay(self, expr: Expr, state: str) -> Floats:
        """(n,) a decay factor, checked to be within 0..1."""
        values = self(expr)
        bad = np.flatnonzero((values < 0) | (values > 1))
        if len(bad):
            k = int(bad[0])
            raise CompileError(
                self.population.name,
                f"neuron {k}: {state} is multiplied by {values[k]:.6g} each step, which no decay of Loihi does (0..1); use "
                "integrator='exponential' or positive time constants",
            )
        return values

    def _full(self, values: Any) -> Floats:
        return np.array(np.broadcast_to(np.asarray(values, np.float64), (self.population.size,)))


def _condition(population: Population, form: StepForm) -> tuple[str, Expr, str | None, bool]:
    """The voltage's name, the threshold, the name of snnTorch's late reset if there is one, and whether it is `>`, not `>=`."""
    match form.spike:
        case Compare(">" | ">=" as comparison, Name(v), threshold) if v in form.state and _constant(threshold, form):
            return v, threshold, None, comparison == ">"
        case Compare(">", Binary("-", Name(v), Name(last)), threshold) if v in form.state and last in form.temporaries:
            return v, threshold, last, True
    raise _refusal(population, form)


def _constant(expr: Expr, form: StepForm) -> bool:
    """Whether an expression only has constants of the population."""
    return set(names(expr)) <= set(form.constants)


def _terms(population: Population, form: StepForm, v: str, last: str | None) -> dict[str, Terms]:
    """The affine terms of each state's only update; the current's comes first and does not see the voltage."""
    updates = [x for x in form.updates if last is None or not _is_late_reset(x, last)]
    targets = [x.target for x in updates]
    if len(targets) > 2 or targets[-1] != v or set(targets) != set(form.state) or len(targets) != len(form.state):
        raise _refusal(population, form)
    variables = {*form.state, "a"}
    terms = {x.target: affine(x.value, variables) for x in updates}
    result = {name: dict(parts) for name, parts in terms.items() if parts is not None}
    if len(result) != len(targets) or (len(targets) == 2 and v in result[targets[0]]):
        raise _refusal(population, form)
    return result


def _is_late_reset(update: Assign, last: str) -> bool:
    match update:
        case Assign(target, Call("where", (Compare(">", Name(), theta), value, Number(0)))):
            return target == last and value == theta
    return False


def _reset(population: Population, form: StepForm, v: str, threshold: Expr, values: _Values) -> tuple[Reset, Floats]:
    """The kind of reset, and (n,) the voltage it resets to (0 where it subtracts)."""
    if len(form.reset) == 1 and form.reset[0].target == v:
        value = form.reset[0].value
        if value == Binary("-", Name(v), threshold):
            return "subtract", np.zeros(population.size)
        if _constant(value, form):
            return "value", values(value)
    raise _refusal(population, form)


def _need_one(population: Population, values: _Values, factor: Expr | None, source: str) -> None:
    """Refuse input gains that `fold` could not move into the weights."""
    if factor == ONE:
        return
    gain = values(factor) if factor is not None else np.zeros(1)
    if np.all(gain == 1):
        return
    span = f"{gain.min():.6g}" if gain.min() == gain.max() else f"{gain.min():.6g}..{gain.max():.6g}"
    raise CompileError(
        population.name,
        f"its {'input' if source == 'a' else 'current'} has the gain {span}, which could not move into the weights (it is 0, "
        "or differs between neurons that share weights); use the same time constants and r for all neurons of a convolution's "
        "channel, or connectivity.expand()",
    )


def _need_threshold(population: Population, above: Floats) -> None:
    """Refuse thresholds below what v is counted from."""
    low = np.flatnonzero(above < 0)
    if len(low):
        k = int(low[0])
        raise CompileError(
            population.name,
            f"neuron {k} has the threshold {above[k]:.6g}, and Loihi's is at least 0; raise v_threshold, v_leak and the "
            "initial v by as much",
        )


def _refusal(population: Population, form: StepForm) -> CompileError:
    model, integrator = population.neuron.model.name, population.neuron.integrator
    shown = "; ".join(form_text(form).splitlines())
    return CompileError(
        population.name,
        f"{model}{f' with integrator {integrator!r}' if integrator else ''} computes [{shown}], but Loihi's neuron computes "
        "u = u*u_decay + a, v = v*v_decay + u + bias, v > threshold, and resets v to 0 or by the threshold; use IF, LIF or "
        "CubaLIF with integrator 'exponential', 'euler' or 'decay'",
    )


def _late(population: Population, last: str | None) -> tuple[Change, ...]:
    if last is None:
        return ()
    why = "the same, except where a neuron is still above threshold after its reset: snnTorch subtracts twice there"
    return (Change(BY, population.name, f"{population.neuron.model.name}: reset decided again", "reset by subtraction", why),)


def _shift(population: Population, zero: Floats) -> tuple[Change, ...]:
    """The change of a voltage that is counted from its reset value, in the user's unit."""
    if not np.any(zero):
        return ()
    why = "Loihi resets to 0; threshold, leak and initial voltage move by as much, which computes the same"
    return (Change(BY, population.name, f"reset to {_span(zero)}", f"v is counted from {_span(zero)}", why),)


def _move_bias(
    population: Population, into: Floats, bias: Floats, u_decay: Floats, u0: Floats
) -> tuple[Floats, Floats, tuple[Change, ...]]:
    """Loihi has no bias of the input, only one of v. In steady state the current is b / (1 - u_decay) higher, and

    u' = u - b / (1 - u_decay) obeys u' = u' * u_decay + a without b: v receives the difference as its bias, and the initial
    current is lowered by it, which is exact.
    """
    if not np.any(into):
        return bias, u0, ()
    endless = np.flatnonzero((u_decay == 1) & (into != 0))
    if len(endless):
        k = int(endless[0])
        raise CompileError(
            population.name,
            f"neuron {k}: its current never decays, so the input bias {into[k]:.6g} would grow without end; remove the bias",
        )
    steady = np.divide(into, 1 - u_decay, out=np.zeros_like(into), where=into != 0)
    started = u0 - np.where(u_decay > 0, steady, 0.0)
    why = "Loihi has no bias of the input"
    if np.any(u_decay > 0):
        why += "; the current's steady part moves to v, and its initial value is lowered by the same amount"
    change = Change(BY, population.name, f"bias of the input {_span(into)}", f"bias of v {_span(bias + steady)}", why)
    return bias + steady, started, (change,)


def _span(values: Floats) -> str:
    low, high = values.min(), values.max()
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"

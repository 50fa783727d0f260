"""What quantisation did to a population, as `Change` records: every rounding, clip, moved threshold and range."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurocomp.ir.connectivity import Floats
from neurocomp.ir.network import Change, Projection
from neurocomp.ir.quantisation.form import BY
from neurocomp.ir.quantisation.plan import Ints, PopulationPlan, Task, largest
from neurocomp.ir.quantisation.ranges import ALIGN, HELD

NOTABLE = 0.01  # relative error of a time constant that is worth a remark


def explained(task: Task, plan: PopulationPlan) -> tuple[Change, ...]:
    """Every rounding, clip and moved threshold as a change, with the numbers."""
    form = task.form
    changes = [
        *form.changes,
        Change(BY, task.name, "1 V", f"{plan.per_volt:.6g} units of v", "one scale for all that the population holds"),
    ]
    if form.current or np.any(plan.du != 4095):
        changes.append(_decay(task.name, "u", form.u_decay, (4095 - plan.du) / 4096, "du", plan.du))
    if np.any(form.v_decay != 1):
        changes.append(_decay(task.name, "v", form.v_decay, (4096 - plan.dv) / 4096, "dv", plan.dv))
    changes.append(_threshold(task, plan))
    if plan.whole is not None:
        changes.append(_comparison(task.name, plan))
    if np.any(form.bias != 0) or np.any(plan.bias_mant != 0):
        changes.append(_bias(task, plan))
    if form.reset == "subtract":
        changes.append(
            Change(BY, task.name, "reset by subtraction", "a custom neuron", "Loihi 1 only resets to 0; Loihi 2 can run it")
        )
    for projection, _ in task.incoming:
        changes += _weights(projection, plan)
    return (*changes, *_ranges(plan))


def _decay(name: str, state: str, wanted: Floats, real: Floats, parameter: str, stored: Ints) -> Change:
    with np.errstate(divide="ignore", invalid="ignore"):
        tau = np.where(wanted == real, 0.0, np.log(wanted) / np.log(real) - 1)
    worst = tau[np.argmax(np.abs(np.nan_to_num(tau, nan=np.inf, posinf=np.inf)))]
    why = (
        f"12 bits; the time constant changes by up to {worst:+.2%}"
        if np.isfinite(worst)
        else "12 bits; Loihi's decay is never exactly that"
    )
    if not np.isfinite(worst) or abs(worst) > NOTABLE:
        why += ", which is notable"
    return Change(BY, name, f"decay of {state} {_span(wanted)}", f"{parameter} = {_span(stored)}: {_span(real)}", why)


def _threshold(task: Task, plan: PopulationPlan) -> Change:
    shown = plan.vth if plan.whole is None or plan.reset == "subtract" else plan.vth + plan.whole
    off = shown / plan.scale / np.where(task.form.threshold == 0, 1.0, task.form.threshold) - 1
    worst = float(off[np.argmax(np.abs(off))])
    before, after = _span((task.form.threshold + plan.zero) / plan.unit), f"vth = {_span(plan.vth)}"
    return Change(BY, task.name, f"threshold {before} V", after, f"17 bits << 6; changed by up to {worst:+.2%}")


def _comparison(name: str, plan: PopulationPlan) -> Change:
    """Of neurons that spike at their threshold, which Loihi's only do above it."""
    assert plan.whole is not None
    kept = int(plan.whole.sum())
    if kept == len(plan.whole):
        why = "v moves in whole units of weight, so a threshold one unit lower"
        why += " is the same" if plan.reset == "value" else " or a start half a unit higher is the same"
        return Change(BY, name, "v >= threshold", "v > threshold", why)
    count = f"{len(plan.whole) - kept} of {len(plan.whole)} neurons"
    why = f"Loihi spikes above the threshold only; {count} spike later where v comes to exactly the threshold"
    return Change(BY, name, "v >= threshold", "v > threshold", why)


def _bias(task: Task, plan: PopulationPlan) -> Change:
    real = np.ldexp(plan.bias_mant.astype(np.float64), plan.bias_exp) / (plan.scale * ALIGN)
    wanted = task.form.bias if plan.correction is None else task.form.bias + plan.correction
    error = float(np.abs(real - wanted).max() / (largest(task.form.threshold) or 1.0))
    stored = f"bias_mant = {_span(plan.bias_mant)}, bias_exp = {_span(plan.bias_exp)}"
    return Change(BY, task.name, f"bias of v {_span(wanted)}", stored, f"13 bits << 0..7; off by up to {error:.2g} thresholds")


def _weights(projection: Projection, plan: PopulationPlan) -> list[Change]:
    encoded, given = plan.weights[projection.name], projection.connectivity.weights
    power = float(np.mean(given**2)) if given.size else 0.0
    rms = math.sqrt(encoded.error / given.size / power) if power else 0.0
    after = f"{encoded.bits} bits {encoded.mode} * 2^{encoded.exponent}"
    why = f"root mean squared error {rms:.2%}"
    if encoded.exponent < -encoded.spare:
        why += "; sums of a step are rounded down"
    changes = [Change(BY, projection.name, f"weights {_span(given)}", after, why)]
    if encoded.clipped:
        why = "beyond the range; the others are finer for it"
        changes.append(Change(BY, projection.name, f"{encoded.clipped} of {given.size} weights", "clipped", why))
    return changes


def _ranges(plan: PopulationPlan) -> list[Change]:
    worst, observed = plan.worst, plan.observed
    shown = "; ".join([worst.text(), *([] if observed is None else [observed.text()]), HELD])
    changes = []
    if worst.wraps:
        why = (
            "accepted: with enough input at once u wraps around"
            if observed is None or observed.wraps
            else "by the samples, with a margin"
        )
        changes.append(Change(BY, plan.name, "u of any size", "24 bits that can wrap", f"{why}; {shown}"))
    if worst.saturates:
        changes.append(Change(BY, plan.name, "v of any size", "24 bits that saturate", shown))
    if not changes:
        changes.append(Change(BY, plan.name, "range of u and v", "proven within 24 bits", shown))
    return changes


def _span(values: Any) -> str:
    if not np.size(values):
        return "none"
    low, high = np.min(values), np.max(values)
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"

"""`discretise`: every population's equations become a step program with its numbers."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, ClassVar

import numpy as np

from neurocomp.ir import numerics
from neurocomp.ir.errors import CompileError, PrecisionWarning, callers_level
from neurocomp.ir.expressions import Expr, draws, names, number_draws, parse_condition, parse_number
from neurocomp.ir.integrators import Coefficient, scheme
from neurocomp.ir.model import Neuron
from neurocomp.ir.network import Change, Network, Population
from neurocomp.ir.passes.base import Pass
from neurocomp.ir.plasticity import LoihiRule
from neurocomp.ir.plasticity.form import learning_program
from neurocomp.ir.printers.numpy import numpy_value
from neurocomp.ir.program import StepProgram


@dataclass(frozen=True)
class Discretise(Pass):
    """Choose the integrator (the population's own, else the network's) and compute the coefficients for dt."""

    name: ClassVar[str] = "discretise"

    def __call__(self, net: Network) -> Network:
        nodes, changes = {}, []
        for population in net.populations.values():
            if population.program is not None or population.lag:
                raise CompileError(population.name, "is already compiled; compile the network as it was written")
            program = program_of(population, net.dt, net.integrator, net.seed)
            nodes[population.name] = replace(population, program=program)
            _caution(population, net.dt)
            model = population.neuron.model
            if model.equations:
                integrator = population.neuron.integrator or model.integrator or net.integrator
                why = f"integrator {integrator}, dt = {net.dt:g} s, input held during the step"
                changes.append(Change(self.name, population.name, f"{model.name} equations", "step program", why))
        projections = {
            name: replace(x, learning=rule if isinstance(rule, LoihiRule) else learning_program(rule, net.dt))
            for name, x in net.projections.items()
            if (rule := x.plasticity) is not None
        }
        return net.with_changes(nodes, projections, changes)


def _caution(population: Population, dt: float) -> None:
    """Warn of what the model knows to be a mistake, most often."""
    model = population.neuron.model
    for condition, text in model.cautions.items():
        values = {name: _array(value, np.float64) for name, value in population.neuron.parameters.items()}
        if np.any(numpy_value(model.parse(parse_condition, condition), {**values, "dt": np.float64(dt)})):
            warnings.warn(f"population '{population.name}': {text} ({condition})", PrecisionWarning, stacklevel=callers_level())


def program_of(population: Population, dt: float, integrator: str, seed: int = 0) -> StepProgram:
    """The step program of one population. seed: of the network's random numbers."""
    neuron = population.neuron
    model, chosen = neuron.model, neuron.integrator or neuron.model.integrator or integrator
    plan = scheme(model, chosen, neuron.reset)
    dtype = np.int64 if model.arithmetic == "loihi" else np.float64
    values: dict[str, Any] = {name: _array(value, dtype) for name, value in neuron.parameters.items()}
    values["dt"] = np.asarray(dt, np.float64)
    values["payload_limit"] = np.asarray(population.max_payload, dtype)
    for name, coefficient in plan.coefficients.items():
        with np.errstate(all="ignore"):  # what is not finite is named below
            values[name] = _coefficient(coefficient, values, dt)
        if name.endswith("_decay") and chosen == "euler" and np.any(values[name] < 0):
            raise CompileError(
                population.name,
                f"{model.name} with euler and dt = {dt:g} s has the decay factor {np.min(values[name]):.6g} < 0, because dt "
                "exceeds a time constant; use integrator='exponential' or a smaller dt",
            )
    constants = {name: values[name] for name in plan.form.constants}
    for name, value in constants.items():
        made = plan.coefficients.get(name)
        if made is not None and made.role == "value":
            continue  # as if it were computed in the step
        if not np.all(np.isfinite(value)):
            bad = np.asarray(value).ravel()[~np.isfinite(np.asarray(value).ravel())][0]
            raise CompileError(
                population.name, f"{model.name}'s constant {name} comes out as {bad} for dt = {dt:g} s; check its parameters"
            )
    start = _start(neuron)
    initial = {name: _array(0, dtype) if name in start else _initial(neuron, name, values, dtype) for name in model.state}
    constants |= {name: values[name] for expr in start.values() for name in names(expr)}
    return StepProgram(plan.form, constants, initial, key=stream_key(seed, population.name), start=start)


def stream_key(seed: int, name: str) -> int:
    """64 bits for the random numbers of a population: Philox's key, the same on every backend and machine."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "little")


def _start(neuron: Neuron) -> dict[str, Expr]:
    """The initial values that are drawn at random, each draw with a number of its own."""
    sites = count()
    given = (x for x in neuron.model.initial.items() if x[0] not in neuron.initial)
    parsed = {state: neuron.model.parse(parse_number, text) for state, text in given}
    return {state: number_draws(expr, sites) for state, expr in parsed.items() if any(draws(expr))}


def _initial(neuron: Neuron, state: str, values: dict[str, Any], dtype: type[np.generic]) -> Any:
    given = neuron.initial.get(state)
    if given is None and state in neuron.model.initial:
        given = numpy_value(neuron.model.parse(parse_number, neuron.model.initial[state]), values, neuron.model.arithmetic)
    return _array(0 if given is None else given, dtype)


def _coefficient(coefficient: Coefficient, values: dict[str, Any], dt: float) -> Any:
    if coefficient.role == "propagator":
        system = [[np.asarray(numpy_value(x, values), np.float64) for x in row] for row in coefficient.system]
        return numerics.propagator(system, dt)[coefficient.row, coefficient.column]
    if coefficient.role == "value":
        return np.asarray(numpy_value(coefficient.term, values), np.float64)
    own = np.asarray(numpy_value(coefficient.own, values), np.float64)
    if coefficient.role == "decay":
        return 1.0 + dt * own if coefficient.integrator == "euler" else numerics.exp(dt * own)
    term = np.asarray(numpy_value(coefficient.term, values), np.float64)
    growth = np.asarray(dt) if coefficient.integrator in ("euler", "decay") else numerics.relative_growth(own, dt)
    return growth * term


def _array(value: Any, dtype: type[np.generic]) -> Any:
    array = np.asarray(value, dtype)
    return array.ravel() if array.ndim else array

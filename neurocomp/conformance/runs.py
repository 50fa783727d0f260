"""Cases on backends: the reference once for each, and many networks together where a backend starts slowly."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from neurocomp.backends import registry
from neurocomp.backends.base import FEATURES, Job, support
from neurocomp.conformance.case import Case, everything
from neurocomp.ir.errors import InputError, NotANumberWarning, PrecisionWarning, UnsupportedError
from neurocomp.ir.model import Neuron
from neurocomp.ir.network import Network
from neurocomp.ir.neurons import LIF, LoihiLIF
from neurocomp.program import Program
from neurocomp.program import compile as compile_network
from neurocomp.recording import Recording, from_result

SMALLEST: Mapping[str, Neuron] = {"float": LIF(tau=10e-3), "loihi": LoihiLIF(du=1000, dv=300, vth=300)}  # by arithmetic
TOGETHER = 40  # networks in one call of a backend's `try_jobs`
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Target:
    """A backend with options, written "cpu" or "cpu:threads=3,jit=off"."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def parse(text: str) -> Target:
        """The target of such a text. Raises `InputError` with the backends, or the options, there are."""
        name, _, rest = text.partition(":")
        options = dict(_option(text, pair) for pair in rest.split(",") if pair)
        if name not in registry.names():
            raise InputError(f"there is no backend '{name}'; there is {', '.join(registry.names())}")
        known = registry.get(name).options
        for option in options:
            if option not in known:
                raise InputError(f"{text}: backend '{name}' has no option '{option}'; it has {', '.join(known) or 'none'}")
        return Target(name, options)

    def need(self) -> None:
        """Raise `UnsupportedError` with the cure where every case would be skipped: the backend cannot run on this machine,
        has neither arithmetic, or refuses its options.
        """
        backend = registry.get(self.name)
        state = backend.available()
        if not state.ok:
            raise UnsupportedError(self.name, [state.reason])
        declared = {arithmetic: support(backend, arithmetic) for arithmetic in SMALLEST}
        if not any(x.ok for x in declared.values()):
            raise UnsupportedError(self.name, [f"{FEATURES[name]}: {x.reason}" for name, x in declared.items()])
        if self.options:
            neuron = next(neuron for arithmetic, neuron in SMALLEST.items() if declared[arithmetic].ok)
            net = Network("smallest", dt=1e-3)
            net.population("h", neuron, 1)
            compile_network(net, self.name, **self.options)

    @property
    def together(self) -> int:
        """How many networks the backend wants at once."""
        return TOGETHER if hasattr(registry.get(self.name), "try_jobs") else 1

    def __str__(self) -> str:
        options = ",".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.name}:{options}" if options else self.name


def _option(text: str, pair: str) -> tuple[str, Any]:
    name, equals, value = pair.partition("=")
    if not equals:
        raise InputError(f"{text}: options are written as in cpu:threads=3")
    return name, int(value) if value.lstrip("-").isdigit() else value


@contextmanager
def expected_warnings() -> Iterator[None]:
    """Without the warnings that cases of few bits and random numbers earn all the time, nor errors where these are errors."""
    with warnings.catch_warnings():
        for what in (PrecisionWarning, NotANumberWarning):
            warnings.simplefilter("ignore", what)
        yield


def call_of(case: Case, target: Target) -> str:
    """The line of Python that compares the target with the reference on a case named `case`."""
    options = "".join(f", {name}={value!r}" for name, value in {**case.options, **target.options}.items())
    return f"print(nc.conform(case.network, case.inputs, case.steps, ['reference', '{target.name}']{options}))"


@dataclass(frozen=True)
class Baseline:
    """A case, its compiled network, all there is to record of it, and the reference backend's recording."""

    case: Case
    program: Program
    record: list[str]
    recording: Recording


def baseline(case: Case) -> Baseline:
    """The case on the reference backend."""
    program = compile_network(case.network, "reference", **case.options)
    record = everything(program.lowered)
    return Baseline(case, program, record, program.run(case.inputs, case.steps, record))


def run_on(target: Target, bases: Sequence[Baseline]) -> list[Recording | Exception]:
    """The cases on a target, each one's recording or what went wrong, `UnsupportedError` included."""
    backend = registry.get(target.name)
    try_jobs = getattr(backend, "try_jobs", None)
    if try_jobs is None:
        return [_one(target, x) for x in bases]
    results: list[Recording | Exception] = [_compiled(target, x) for x in bases]  # type: ignore[misc] # programs until they ran
    at = [k for k, x in enumerate(results) if isinstance(x, Program)]
    jobs = [Job(bases[k].program.lowered, *_prepared(bases[k])) for k in at]
    for k, result in zip(at, _guarded(try_jobs, jobs, target.options), strict=True):
        case = bases[k].case
        results[k] = result if isinstance(result, Exception) else from_result(result, case.steps, case.network.dt)
    return results


def _prepared(base: Baseline) -> Any:
    return base.program.prepare(base.case.inputs, base.case.steps, base.record)


def _compiled(target: Target, base: Baseline) -> Program | Exception:
    try:
        return base.program.on(target.name, **target.options)
    except Exception as error:
        return error


def _one(target: Target, base: Baseline) -> Recording | Exception:
    program = _compiled(target, base)
    if isinstance(program, Exception):
        return program
    try:
        return program.run(base.case.inputs, base.case.steps, base.record)
    except Exception as error:
        return error


def _guarded(try_jobs: Callable[..., list[Any]], jobs: list[Job], options: Mapping[str, Any]) -> list[Any]:
    """Where one network breaks the call for all, each gets its own, so that only the guilty one fails."""
    try:
        return try_jobs(jobs, **options) if jobs else []
    except Exception as error:
        return [error] if len(jobs) == 1 else [_guarded(try_jobs, [job], options)[0] for job in jobs]


class Batches:
    """Recordings of cases on a target by their keys, run when first asked for, with those that follow where that is quicker."""

    def __init__(self, target: Target, keys: Sequence[Any], base_of: Callable[[Any], Baseline]) -> None:
        self.target, self.keys, self.base_of = target, list(keys), base_of
        self.results: dict[Any, Recording | Exception] = {}

    def __call__(self, key: Any) -> Recording:
        """The recording; raises what the backend raised."""
        if key not in self.results:
            size = self.target.together
            start = self.keys.index(key) // size * size
            chunk = self.keys[start : start + size]
            self.results |= zip(chunk, run_on(self.target, [self.base_of(x) for x in chunk]), strict=True)
        result = self.results[key]
        if isinstance(result, Exception):
            raise result
        return result

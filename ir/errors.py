"""Every error a user can meet. Each carries typed fields besides its message, and each message names the thing and the cure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass


class NeurocompError(Exception):
    """Base of all errors that are about the user's model, files or machine (never about a bug of ours)."""


class EquationError(NeurocompError, ValueError):
    """A neuron model's text is outside the grammar. `source` is the line, `column` the 0-based place in it."""

    def __init__(self, message: str, source: str = "", column: int = 0) -> None:
        self.message, self.source, self.column = message, source, column
        pointer = f"\n    {source}\n    {' ' * column}^" if source else ""
        super().__init__(message + pointer)

    def within(self, where: str) -> EquationError:
        """The same error, saying where it was met."""
        return EquationError(f"{where}: {self.message}", self.source, self.column)


class ModelError(NeurocompError, ValueError):
    """A neuron, connectivity or network is given parameters that make no sense."""


@dataclass(frozen=True)
class Problem:
    """One finding of `verify`: what it is about (a population, projection or input) and what is wrong with it."""

    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}"


class VerificationError(NeurocompError, ValueError):
    """The network is not valid. `problems` lists every finding, not only the first."""

    def __init__(self, network: str, problems: Sequence[Problem]) -> None:
        self.network, self.problems = network, tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in problems)
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        super().__init__(f"network '{network}' has {count}:\n{lines}")


class CompileError(NeurocompError, ValueError):
    """A pass cannot transform this network. `subject` names the population or projection."""

    def __init__(self, subject: str, message: str) -> None:
        self.subject = subject
        super().__init__(f"{subject}: {message}")


class PrecisionWarning(UserWarning):
    """Weights became 0 because they are too small for the numbers a population's input is kept in."""


class NumpyFallbackWarning(UserWarning):
    """A model of the user's runs in NumPy inside the compiled kernel, because this machine cannot compile it."""


class CacheWarning(UserWarning):
    """A model of the user's was compiled, but could not be kept for the next process."""


class RetimeError(CompileError):
    """A cycle has less delay than hops, so no assignment of lags exists.

    `cycle` lists the populations in order, `missing` is the number of steps of delay the cycle lacks.
    """

    def __init__(self, cycle: Sequence[str], delay: int, message: str) -> None:
        self.cycle, self.delay = tuple(cycle), delay
        self.missing = len(self.cycle) - delay
        super().__init__(" -> ".join([*cycle, cycle[0]]), message)


class UnsupportedError(NeurocompError, ValueError):
    """A backend cannot run this network. `reasons` says what and why, each with what to do instead."""

    def __init__(self, backend: str, reasons: Sequence[str]) -> None:
        self.backend, self.reasons = backend, tuple(reasons)
        lines = "\n".join(f"  - {reason}" for reason in reasons)
        super().__init__(f"backend '{backend}' cannot run this network:\n{lines}")


class InputError(NeurocompError, ValueError):
    """The data given to `run` does not fit the network's inputs, steps or recordings."""


class FileFormatError(NeurocompError, ValueError):
    """A file is foreign, corrupt or of a version this release cannot read. `path` names it."""

    def __init__(self, path: str, message: str) -> None:
        self.path = path
        super().__init__(f"{path}: {message}")


class MemoryNeedError(NeurocompError, MemoryError):
    """Something would take more memory than this process can get; nothing was allocated. `needed` and `available` are bytes."""

    def __init__(self, what: str, needed: int, available: int, cure: str) -> None:
        self.what, self.needed, self.available = what, needed, available
        super().__init__(f"{what} would take {size_text(needed)}, but {size_text(available)} of memory are available; {cure}")


def size_text(size: float) -> str:
    """Bytes for people: 1.5 GiB."""
    if size < 1024:
        return f"{size:,.0f} bytes"
    power = 1 + (size >= 2**20) + (size >= 2**30)
    return f"{size / 1024**power:,.1f} {('KiB', 'MiB', 'GiB')[power - 1]}"


class BackendError(NeurocompError, RuntimeError):
    """A backend failed while running (for example: the Lava child died or ran out of time)."""


class NotANumberWarning(UserWarning):
    """A state became NaN during a run."""


def callers_level() -> int:
    """The `stacklevel` of a warning that shows the user's line: the first that is not of this package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("neurocomp."):
        level, frame = level + 1, frame.f_back
    return level

"""The energy a run takes on this machine, where its processor counts it (RAPL through Linux's powercap)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")


@dataclass
class Measured:
    """What a run took. joules: of the processor packages, None where unknown; reason says why. seconds: wall time."""

    joules: float | None = None
    seconds: float = 0.0
    reason: str = "the run was not measured; run it inside neurocomp.energy.measure()"
    domains: tuple[str, ...] = field(default=())

    def text(self, events: float) -> str:
        """The measurement in words. events: synaptic events of the run."""
        if self.joules is None:
            return f"energy of this machine: unavailable ({self.reason})"
        each = f", {self.joules / events:.3g} J per synaptic event" if events else ""
        return f"energy of this machine: {self.joules:.3g} J in {self.seconds:.3g} s{each} (RAPL, {', '.join(self.domains)})"

    def to_dict(self, events: float) -> dict[str, Any]:
        """Plain values for JSON."""
        known = self.joules is not None
        return {
            "joules": self.joules,
            "seconds": self.seconds if known else None,
            "joules_per_event": self.joules / events if self.joules is not None and events else None,
            "unavailable": None if known else self.reason,
        }


@contextmanager
def measure(root: Path = POWERCAP) -> Iterator[Measured]:
    """Measure what the block takes; give the result to `neurocomp.energy` as measured=.

    All that the machine does meanwhile is in it, its idle power too. Where the counters are missing or may not be read, the
    result says so and has no joules.
    """
    result = Measured(reason="")
    domains = _domains(root)
    if not domains:
        result.reason = f"this machine exposes no RAPL counters in {root}"
    before = _read(domains, result)
    began = time.perf_counter()
    yield result
    result.seconds = time.perf_counter() - began
    after = _read(domains, result)
    if before and after:
        result.joules = sum((after[x] - before[x]) % span for x, span in _spans(domains).items()) * 1e-6
        result.domains = tuple(_name(x) for x in domains)


def _domains(root: Path) -> list[Path]:
    """Folders of the packages; what lies within a package is counted in it already."""
    return sorted(x for x in root.glob("intel-rapl:*") if x.name.count(":") == 1) if root.is_dir() else []


def _read(domains: list[Path], result: Measured) -> dict[Path, int]:
    """Microjoules of every package; empty with a reason where one cannot be read."""
    try:
        return {x: int((x / "energy_uj").read_text()) for x in domains}
    except (OSError, ValueError) as error:
        result.reason = f"the RAPL counters cannot be read ({error}); reading them needs the right to, often root's"
        return {}


def _spans(domains: list[Path]) -> dict[Path, int]:
    """After how many microjoules each counter starts again."""
    return {x: int((x / "max_energy_range_uj").read_text()) + 1 for x in domains}


def _name(domain: Path) -> str:
    name = domain / "name"
    return name.read_text().strip() if name.is_file() else domain.name

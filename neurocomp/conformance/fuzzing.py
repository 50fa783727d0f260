"""Differential fuzzing: random networks on several backends, each compared with the reference; failing ones are made small."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice

from neurocomp.backends import registry
from neurocomp.backends.base import support
from neurocomp.chunks import run_in_chunks
from neurocomp.conformance.case import Case
from neurocomp.conformance.draws import Draws
from neurocomp.conformance.random_networks import drawn_case
from neurocomp.conformance.runs import Baseline, Target, baseline, call_of, run_on
from neurocomp.conformance.shrinking import shrink
from neurocomp.differences import compare
from neurocomp.ir.errors import UnsupportedError
from neurocomp.recording import Recording

CHUNKED = "in chunks"
SHRUNK = 10  # mismatches of a campaign that are made small; it may take minutes each


@dataclass(frozen=True)
class RandomCase:
    """A random case, and the numbers it was made from."""

    case: Case
    taken: list[int]


@dataclass(frozen=True)
class Mismatch:
    """A network on which a target and the reference differ. where: the target, with "in chunks" where only pieces differ.

    what: the first difference, or the error, in words. taken: what `replay` makes the case from. original: its name as found.
    """

    case: Case
    taken: list[int]
    where: str
    what: str
    original: str

    @property
    def python(self) -> str:
        """A script that shows the mismatch."""
        target = Target.parse(self.where.removesuffix(CHUNKED).strip())
        return (
            "import neurocomp as nc\n"
            "from neurocomp.conformance import replay\n"
            f"case = replay({self.taken})\n"
            f"{call_of(self.case, target)}"
        )


@dataclass
class Tally:
    """What a campaign has done.

    networks: compared. runs: comparisons made. unsupported: skipped by a target; why: the reason of the first. none: seeds
    without a network. spikes: of populations, in all networks.
    """

    networks: int = 0
    runs: int = 0
    unsupported: int = 0
    why: str = ""
    none: int = 0
    spikes: int = 0
    seconds: float = 0.0
    mismatches: list[Mismatch] = field(default_factory=list)
    interrupted: bool = False

    @property
    def text(self) -> str:
        """One line."""
        rate = self.networks / self.seconds if self.seconds else 0.0
        found = f"{len(self.mismatches)} mismatch{'es' if len(self.mismatches) != 1 else ''}"
        parts = [f"{self.networks} networks, {self.runs} comparisons with the reference, {self.spikes} spikes: {found}"]
        parts += [f"{self.unsupported} unsupported"] if self.unsupported else []
        parts += ["interrupted"] if self.interrupted else []
        return f"{'; '.join(parts)}; {self.seconds:.0f} s, {rate:.1f} networks/s"


def replay(taken: Sequence[int], name: str = "replayed", arithmetic: str | None = None) -> Case:
    """The case that was made from these numbers, as a mismatch prints them."""
    case = drawn_case(Draws.listed(taken), name, arithmetic)
    if case is None:
        raise ValueError(f"these {len(taken)} numbers make no network in this version of the generator")
    return case


def drawn(seed: int, arithmetic: str | None = None) -> RandomCase | None:
    """The random case of a seed; None where it makes none."""
    draws = Draws.seeded(seed)
    case = drawn_case(draws, f"random-{seed}", arithmetic)
    return None if case is None else RandomCase(case, draws.taken)


def differing(base: Baseline, target: Target, result: Recording | Exception) -> str:
    """What differs, in words; "" where nothing does. Raises `UnsupportedError` where the target cannot run the network."""
    if isinstance(result, UnsupportedError):
        raise result
    if isinstance(result, Exception):
        return f"{type(result).__name__}: {result}"
    found = compare(base.recording, result)
    return found[0].describe("reference", str(target)) if found else ""


def in_chunks(base: Baseline, target: Target, chunk: int) -> str:
    """As `differing`, for a run in chunks of so many steps."""
    try:
        program = base.program.on(target.name, **target.options)
        result = run_in_chunks(program, base.case.inputs, base.case.steps, base.record, lambda _: None, chunk)
    except UnsupportedError:
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return differing(base, target, result)


def campaign(
    seeds: Iterator[int],
    targets: Sequence[Target],
    tally: Tally,
    *,
    arithmetic: str | None = None,
    until: float = float("inf"),
    shrinking: bool = True,
    report: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Compare random networks on all targets until the seeds or the time (`time.monotonic()`) are over.

    tally: counts go there. report: called after every few networks. Where interrupted (Ctrl-C), what was done is kept.
    """
    began = time.monotonic()
    together = max(target.together for target in targets)
    try:
        while time.monotonic() < until:
            part = list(islice(seeds, together))
            if not part:
                break
            made = [drawn(seed, arithmetic) for seed in part]
            tally.none += sum(x is None for x in made)
            _compare([x for x in made if x is not None], targets, tally, arithmetic, shrinking)
            tally.seconds = time.monotonic() - began
            report(tally)
    except KeyboardInterrupt:
        tally.interrupted = True
    tally.seconds = time.monotonic() - began
    return tally


def _compare(
    made: Sequence[RandomCase], targets: Sequence[Target], tally: Tally, arithmetic: str | None, shrinking: bool
) -> None:
    bases = [baseline(x.case) for x in made]
    failed: set[int] = set()
    for target in targets:
        for k, result in enumerate(run_on(target, bases)):
            for where, check in _checks(bases[k], target, result):
                try:
                    what = check()
                except UnsupportedError as error:
                    tally.unsupported += 1
                    tally.why = tally.why or f"{target}: {'; '.join(error.reasons)}"
                    break
                tally.runs += 1
                if what and k not in failed:  # one report a network is enough
                    failed.add(k)
                    tally.mismatches.append(Mismatch(made[k].case, made[k].taken, where, what, made[k].case.name))
                    if shrinking and len(tally.mismatches) <= SHRUNK:  # interrupted, it is kept as it was found
                        tally.mismatches[-1] = _smaller(made[k], target, where, what, arithmetic)
    tally.networks += len(made)
    tally.spikes += sum(len(x.recording.spikes[name]) for x in bases for name in x.case.network.populations)


def _checks(base: Baseline, target: Target, result: Recording | Exception) -> Iterator[tuple[str, Callable[[], str]]]:
    yield str(target), lambda: differing(base, target, result)
    if support(registry.get(target.name), "resume").ok and base.case.steps > 1:
        yield f"{target} {CHUNKED}", lambda: in_chunks(base, target, _chunk(base.case))


def _chunk(case: Case) -> int:
    """The length of the pieces: one that the steps decide, so that a smaller case has its own."""
    return 1 + case.steps * 7919 % max(case.steps - 1, 1)


def _fails(case: Case, target: Target, where: str) -> str:
    try:
        base = baseline(case)
        (result,) = run_on(target, [base])
        return next((check() for name, check in _checks(base, target, result) if name == where), "")
    except UnsupportedError:
        return ""


def _smaller(found: RandomCase, target: Target, where: str, what: str, arithmetic: str | None) -> Mismatch:
    case, taken = shrink(found.taken, found.case.name, arithmetic, lambda x: bool(_fails(x, target, where)))
    return Mismatch(case, taken, where, _fails(case, target, where) or what, found.case.name)


def seeds_from(first: int, networks: int | None = None) -> Iterator[int]:
    """Seeds from the first on, endless where `networks` is None."""
    return islice(count(first), networks)

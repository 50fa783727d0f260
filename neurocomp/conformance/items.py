"""The pytest side of the shared suite: a collector of all cases for all backends, and the test that each of them is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from neurocomp.backends import registry
from neurocomp.conformance.case import Case
from neurocomp.conformance.cases import CASES
from neurocomp.conformance.random_networks import random_case
from neurocomp.conformance.runs import Baseline, Batches, Target, baseline, call_of, expected_warnings
from neurocomp.differences import compare
from neurocomp.ir.errors import UnsupportedError

SHOWN = 5  # differences of one case


class DivergenceError(Exception):
    """A backend and the reference differ; the message is the report."""


class SuiteRuns:
    """The targets of a session and what has been run: the reference once for each case, batches where a backend wants them."""

    def __init__(self, config: pytest.Config) -> None:
        self.targets = [Target.parse(text) for text in dict.fromkeys(config.getoption("--backend"))]
        for target in self.targets:
            target.need()
        first = config.getoption("--seed")
        self.seeds = range(first, first + config.getoption("--random"))
        self.session: pytest.Session | None = None
        self.bases: dict[str, Baseline] = {}
        self.batches: dict[str, Batches] = {}

    @cached_property
    def names(self) -> list[str]:
        """All cases, the random ones last."""
        return [*CASES, *(f"random-{seed}" for seed in self.seeds)]

    @property
    def header(self) -> str:
        """The targets with their descriptions."""
        return ", ".join(f"{x} ({registry.get(x.name).description})" for x in self.targets)

    def base(self, name: str) -> Baseline:
        """The case on the reference."""
        if name not in self.bases:
            self.bases[name] = baseline(CASES[name] if name in CASES else random_case(int(name.removeprefix("random-"))))
        return self.bases[name]

    def recording(self, item: CaseItem) -> Any:
        """The case on the item's target; with it run the others of this session, where the backend starts slowly."""
        label = str(item.target)
        if label not in self.batches:
            selected = [x.case for x in item.session.items if isinstance(x, CaseItem) and str(x.target) == label]
            self.batches[label] = Batches(item.target, selected, self.base)
        return self.batches[label](item.case)


_SUITE = pytest.StashKey[SuiteRuns]()


def suite_of(config: pytest.Config) -> SuiteRuns:
    """The session's suite, made once. Raises `NeurocompError` for an unknown or unusable backend."""
    if _SUITE not in config.stash:
        config.stash[_SUITE] = SuiteRuns(config)
    return config.stash[_SUITE]


class Suite(pytest.Collector):
    """All cases for all backends."""

    def collect(self) -> Iterator[pytest.Item]:
        """Backend by backend."""
        suite = suite_of(self.config)
        for target in suite.targets:
            for name in suite.names:
                yield CaseItem.from_parent(self, name=f"{target}::{name}", target=target, case=name)


class CaseItem(pytest.Item):
    """One case on one backend."""

    def __init__(self, *, target: Target, case: str, **given: Any) -> None:
        super().__init__(**given)
        self.target, self.case = target, case
        self.add_marker(pytest.mark.conformance(str(target)))
        if target.together > 1:
            self.add_marker(pytest.mark.xdist_group(target.name))  # pytest-xdist: in one process, so that batches stay together

    def runtest(self) -> None:
        """Run and compare; skip with the backend's own reasons where it cannot run this network."""
        suite = suite_of(self.config)
        try:
            with expected_warnings():
                base = suite.base(self.case)
                found = compare(base.recording, suite.recording(self))
        except UnsupportedError as error:
            pytest.skip("; ".join(error.reasons))
        if found:
            raise DivergenceError(report(base.case, str(self.target), found))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The report instead of a traceback, where it is a difference."""
        return str(excinfo.value) if isinstance(excinfo.value, DivergenceError) else super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """What pytest prints for it."""
        return self.path, None, self.name


def report(case: Case, target: str, found: list[Any]) -> str:
    """The first differences of a case, the network, and how to see it again."""
    lines = [f"{target} and the reference differ on '{case.name}' ({case.steps} steps), first at", ""]
    lines += [difference.describe("reference", target) for difference in found[:SHOWN]]
    lines += [f"... and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    seed = case.name.removeprefix("random-")
    made = f"random_case({seed})" if seed.isdigit() else f"CASES[{case.name!r}]"
    lines += ["", str(case.network), "", "again, with the spikes that reached the neuron and the pass:", ""]
    lines += ["import neurocomp as nc", "from neurocomp.conformance import CASES, random_case", f"case = {made}"]
    lines += [call_of(case, Target.parse(target))]
    return "\n".join(lines)

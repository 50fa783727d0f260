"""Random cases as a Hypothesis strategy, and a failing case made as small as Hypothesis can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from neurocomp.conformance.case import Case
from neurocomp.conformance.draws import Draws
from neurocomp.conformance.random_networks import drawn_case
from neurocomp.ir.errors import UnsupportedError

CURE = "Hypothesis is not installed: pip install 'neurocomp[fuzz]'"
ATTEMPTS = 20_000  # Hypothesis itself ends after 500 successful steps or five minutes
ROUNDS = 4  # searches, each from where the last one ended


def need_hypothesis() -> None:
    """Raise `UnsupportedError` with the cure where Hypothesis is missing."""
    try:
        import hypothesis  # noqa: F401
    except ImportError:
        raise UnsupportedError("fuzz", [f"{CURE} (or give --no-shrink)"]) from None


def random_cases(name: str = "drawn", arithmetic: str | None = None) -> Any:
    """A Hypothesis strategy of `Case`s: every network of the random generator, shrinking to small and simple ones."""
    from hypothesis import assume
    from hypothesis import strategies as st

    @st.composite
    def cases(draw: Any) -> Case:
        case, _ = _drawn(draw, name, arithmetic)
        assume(case is not None)
        assert case is not None
        return case

    return cases()


def _drawn(draw: Any, name: str, arithmetic: str | None) -> tuple[Case | None, list[int]]:
    from hypothesis import strategies as st

    draws = Draws(lambda low, high: int(draw(st.integers(low, high))))
    return drawn_case(draws, name, arithmetic), draws.taken


def shrink(taken: Sequence[int], name: str, arithmetic: str | None, fails: Callable[[Case], bool]) -> tuple[Case, list[int]]:
    """The smallest failing case that Hypothesis finds from one whose draws were `taken`, and its draws.

    Hypothesis may end before it can get no further, so it begins again from where it ended. Where nothing smaller fails, the
    given case is returned.
    """
    case, numbers = drawn_case(Draws.listed(taken), name, arithmetic), list(taken)
    for _ in range(ROUNDS):
        found = _smaller(numbers, name, arithmetic, fails)
        if found is None or found[1] == numbers:
            break
        case, numbers = found
    assert case is not None
    return case, numbers


def _smaller(
    taken: list[int], name: str, arithmetic: str | None, fails: Callable[[Case], bool]
) -> tuple[Case | None, list[int]] | None:
    """What one search by Hypothesis makes of a case, which enters by its database of earlier failures."""
    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis import strategies as st
    from hypothesis.database import InMemoryExampleDatabase, choices_to_bytes
    from hypothesis.errors import NoSuchExample

    @st.composite
    def cases(draw: Any) -> tuple[Case | None, list[int]]:
        return _drawn(draw, name, arithmetic)

    database = InMemoryExampleDatabase()
    database.save(
        name.encode(), choices_to_bytes((*taken, 0))
    )  # one more than it uses: else Hypothesis takes it as shrunk before
    how = settings(
        database=database,
        phases=(Phase.reuse, Phase.shrink),
        deadline=None,
        max_examples=ATTEMPTS,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        return find(cases(), lambda x: x[0] is not None and fails(x[0]), settings=how, database_key=name.encode())
    except NoSuchExample:
        return None

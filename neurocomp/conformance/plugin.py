"""The shared suite as a pytest plugin: `pytest -p neurocomp.conformance --backend=NAME` from any folder.

One test for each case and backend. Nothing heavy is imported before `--backend` is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

MARK = "conformance"


def pytest_addoption(parser: pytest.Parser) -> None:
    """--backend, --random, --seed."""
    group = parser.getgroup(MARK, "neurocomp: the shared conformance suite")
    group.addoption(
        "--backend",
        action="append",
        default=[],
        metavar="NAME",
        help="Run the shared suite on this backend, compared with the reference; may be repeated. Options follow a colon, as "
        "in cpu:threads=3. Without file arguments nothing else is collected. -k selects cases by name.",
    )
    group.addoption("--random", type=int, default=0, metavar="N", help="Also N random networks.")
    group.addoption("--seed", type=int, default=0, metavar="S", help="Seed of the first random network; then S + 1 ...")


def pytest_configure(config: pytest.Config) -> None:
    """Where --backend is given, collect the suite and only the files that were named."""
    import pytest

    backends, networks = config.getoption("--backend"), config.getoption("--random")
    if not backends:
        if networks:
            raise pytest.UsageError("--random needs a backend to run the networks on: --backend=cpu, for example")
        return
    if networks < 0 or config.getoption("--seed") < 0:
        raise pytest.UsageError("--random and --seed are whole numbers of at least 0")
    from neurocomp.conformance.items import suite_of
    from neurocomp.ir.errors import NeurocompError

    try:
        suite_of(config)
    except NeurocompError as error:
        raise pytest.UsageError(str(error)) from None
    config.addinivalue_line("markers", f"{MARK}(backend): a case of the shared suite")
    config.addinivalue_line("markers", "xdist_group(name): what pytest-xdist keeps in one process")
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = []


def pytest_report_header(config: pytest.Config) -> str | None:
    """Which backends, and what they are."""
    if not config.getoption("--backend"):
        return None
    from neurocomp.conformance.items import suite_of

    return f"conformance: {suite_of(config).header}"


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the suite before -k and others look at the items."""
    if not config.getoption("--backend"):
        return
    from neurocomp.conformance.items import Suite

    items.extend(x for x in session.genitems(Suite.from_parent(session, name="conformance")))


# what pytest.hookimpl(tryfirst=True) writes, without importing pytest
pytest_collection_modifyitems.pytest_impl = {"tryfirst": True}  # type: ignore[attr-defined]

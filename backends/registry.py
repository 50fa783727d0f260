"""The registry of backends. A backend registers once; `get` finds it by name and says what there is when it cannot.

Other packages' backends are found by their entry points, without being imported before they are asked for:

    [project.entry-points."neurocomp.backends"]
    mychip = "mychip.backend:MyChipBackend"
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

from neurocomp.backends.base import Backend
from neurocomp.ir.errors import UnsupportedError

GROUP = "neurocomp.backends"
PARTS = ("name", "description", "features", "options", "available", "lower")

_FACTORIES: dict[str, Callable[[], Backend]] = {}


def register(name: str, factory: Callable[[], Backend]) -> None:
    """Make a backend known. The factory may import what the backend needs; it runs when the backend is first asked for."""
    if name in _FACTORIES:
        raise ValueError(f"a backend named '{name}' is already registered")
    _FACTORIES[name] = factory


def unregister(name: str) -> None:
    """Forget a backend that was registered."""
    del _FACTORIES[name]


def names() -> tuple[str, ...]:
    """The registered backends, then those of installed packages."""
    return (*_FACTORIES, *(name for name in sorted(_installed()) if name not in _FACTORIES))


def get(name: str) -> Backend:
    """The backend of that name; a registered one goes before an installed one."""
    if name in _FACTORIES:
        try:
            return _FACTORIES[name]()
        except ImportError as error:
            raise UnsupportedError(
                name, [f"it cannot be imported ({error}); reinstall neurocomp with: pip install ."]
            ) from error
    found = _installed().get(name, [])
    if not found:
        raise UnsupportedError(name, [f"there is no such backend; there is {', '.join(names())}"])
    if len(found) > 1:
        raise UnsupportedError(name, [f"{' and '.join(map(_owner, found))} both have a backend of this name; uninstall one"])
    return _loaded(found[0])


def _installed() -> dict[str, list[EntryPoint]]:
    """Entry points by name."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if point not in found.setdefault(point.name, []):
            found[point.name].append(point)
    return found


def _loaded(point: EntryPoint) -> Backend:
    where = f"entry point {point.value} of {_owner(point)}"
    try:
        backend: Backend = point.load()()
    except (ImportError, AttributeError) as error:
        raise UnsupportedError(point.name, [f"its {where} cannot be loaded ({error}); reinstall that package"]) from error
    missing = [part for part in PARTS if not hasattr(backend, part)]
    if missing:
        raise UnsupportedError(point.name, [f"its {where} is not a backend: it has no {', '.join(missing)}"])
    return backend


def _owner(point: EntryPoint) -> str:
    return f"package '{point.dist.name}'" if point.dist is not None else "a package"

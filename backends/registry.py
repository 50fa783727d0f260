"""The registry of backends. A backend registers once; `get` finds it by name and says what there is when it cannot."""

from __future__ import annotations

from collections.abc import Callable

from neurocomp.backends.base import Backend
from neurocomp.ir.errors import UnsupportedError

_FACTORIES: dict[str, Callable[[], Backend]] = {}


def register(name: str, factory: Callable[[], Backend]) -> None:
    """Make a backend known. The factory may import what the backend needs; it runs when the backend is first asked for."""
    if name in _FACTORIES:
        raise ValueError(f"a backend named '{name}' is already registered")
    _FACTORIES[name] = factory


def unregister(name: str) -> None:
    """Forget a backend."""
    del _FACTORIES[name]


def names() -> tuple[str, ...]:
    """The registered backends."""
    return tuple(_FACTORIES)


def get(name: str) -> Backend:
    """The backend of that name."""
    if name not in _FACTORIES:
        raise UnsupportedError(name, [f"there is no such backend; there is {', '.join(_FACTORIES)}"])
    try:
        return _FACTORIES[name]()
    except ImportError as error:
        raise UnsupportedError(name, [f"it cannot be imported ({error}); reinstall neurocomp with: pip install ."]) from error

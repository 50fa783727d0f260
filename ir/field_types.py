"""Whether a dataclass holds what its annotations say: what comes from a file must be that before anything computes with it."""

from __future__ import annotations

import types
import typing
from collections.abc import Hashable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, Literal, Union


def check_fields(made: Any) -> None:
    """Raise TypeError naming the first field of a dataclass whose value its annotation does not allow.

    Looks through tuples, mappings and unions; a dataclass inside was checked when it was made. An int is allowed for a float,
    a bool for neither, and of an array only that it is one.
    """
    cls: Any = type(made)
    hints = _hints(cls)
    for field in fields(made):
        value = getattr(made, field.name)
        if not _fits(value, hints[field.name]):
            raise TypeError(f"{cls.__name__}.{field.name} is {str(value)[:60]!r}, a {type(value).__name__}")


@cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _fits(value: Any, hint: Any) -> bool:
    kind, inside = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Any:
        return True
    if kind in (Union, types.UnionType):
        return any(_fits(value, one) for one in inside)
    if kind is Literal:
        return value in inside
    if kind is tuple:
        if not isinstance(value, tuple):
            return False
        wanted = inside[:1] * len(value) if inside[1:] == (...,) else inside
        return len(value) == len(wanted) and all(map(_fits, value, wanted))
    if kind is Mapping:
        return isinstance(value, Mapping) and all(_fits(k, inside[0]) and _fits(v, inside[1]) for k, v in value.items())
    if kind is float:
        return isinstance(value, (float, int)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)

"""A profile as the text of a TOML file that `Profile.load` reads."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from neurocomp.energy.profile import Constant, Profile
from neurocomp.ir.files import write_text

_UNITS = {"J": ("J", 1.0), "W": ("W", 1.0), "s": ("s", 1.0), "W/Hz": ("uW/MHz", 1e12)}


def save_profile(profile: Profile, path: str | os.PathLike[str]) -> Path:
    """Write a profile, such as a calibrated one, for `profile=` and `--profile`."""
    return write_text(path, text(profile))


def text(profile: Profile) -> str:
    """The file's text; every number is the same when it is read again."""
    sources: dict[str, str] = {}
    for constant in profile.constants().values():
        sources.setdefault(constant.source, f"s{len(sources) + 1}")
    lines = [f"{key} = {_quoted(getattr(profile, key))}" for key in ("name", "title", "process", "counts")]
    lines += [f"chip = {_quoted(profile.chip)}"] if profile.chip else []
    lines += [f"clock = {profile.clock!r}"] if profile.clock else []
    lines += [f"notes = [{', '.join(map(_quoted, profile.notes))}]"]
    lines += _strings("sources", {key: source for source, key in sources.items()})
    for section in ("energy", "time", "static"):
        lines += ["", f"[{section}]"]
        lines += [_constant(key, x, sources) for key, x in getattr(profile, section).items()]
    if profile.barrier:
        lines += ["", "[barrier]"]
        lines += [_constant(str(tiles), x, sources) for tiles, x in zip(profile.tiles, profile.barrier, strict=True)]
    lines += _strings("not_priced", profile.not_priced) + _strings("included", profile.included)
    if profile.neurons is not None:
        lines += ["", "[capacity]", f"neurons = {profile.neurons}"]
    return "\n".join(lines) + "\n"


def _constant(key: str, x: Constant, sources: Mapping[str, str]) -> str:
    unit, scale = _UNITS[x.unit]
    numbers = "".join(f"{name} = {getattr(x, name) * scale!r}, " for name in ("value", "low", "high"))
    words = {"unit": unit, **{name: getattr(x, name) for name in ("basis", "scope")}}
    words |= {"source": sources[x.source], "locator": x.locator, "checked": x.checked}
    rest = ", ".join(f"{name} = {_quoted(value)}" for name, value in words.items())
    return f"{_quoted(key)} = {{ {numbers}{rest} }}"


def _strings(section: str, entries: Mapping[str, str]) -> list[str]:
    return ["", f"[{section}]", *(f"{_quoted(key)} = {_quoted(value)}" for key, value in entries.items())]


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)

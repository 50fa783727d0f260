"""Cases as files: NAME.json (steps, options, why it is kept), NAME.neurocomp (the network), NAME.npz (its inputs)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neurocomp.cli.inputs import read_inputs
from neurocomp.conformance.case import Case
from neurocomp.ir.errors import FileFormatError
from neurocomp.ir.events import from_data
from neurocomp.ir.files import whole_file, write_text
from neurocomp.ir.storage import load, save


def save_case(case: Case, folder: Path, why: str = "") -> Path:
    """Write the three files into the folder, which is made where it is missing; returns the .json. why: one line or more."""
    folder.mkdir(parents=True, exist_ok=True)
    save(case.network, folder / f"{case.name}.neurocomp")
    arrays: dict[str, Any] = {}
    for name, given in case.inputs.items():
        node = case.network.inputs[name]
        events = from_data(name, given, node.shape, case.steps, node.max_payload)
        arrays |= {f"{name}/times": events.times, f"{name}/ids": events.ids}
        if node.graded:
            arrays[f"{name}/payload"] = np.ones(len(events), np.int64) if events.payload is None else events.payload
    with whole_file(folder / f"{case.name}.npz") as stream:
        np.savez(stream, **arrays)
    text = json.dumps({"steps": case.steps, "options": dict(case.options), "why": why.splitlines()}, indent=2)
    return write_text(folder / f"{case.name}.json", f"{text}\n")


def load_case(path: Path) -> Case:
    """The case of a .json that `save_case` wrote."""
    try:
        stored = json.loads(path.read_text())
        steps, options = int(stored["steps"]), dict(stored["options"])
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(str(path), f"is not the description of a conformance case ({error!r})") from None
    net = load(path.with_suffix(".neurocomp"))
    return Case(path.stem, net, read_inputs(str(path.with_suffix(".npz")), net), steps, options)


def load_cases(folder: Path) -> Iterator[Case]:
    """All cases in a folder, by name."""
    return (load_case(path) for path in sorted(folder.glob("*.json")))

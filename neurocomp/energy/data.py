"""An energy report as plain data: JSON with a schema version, and CSV with a row per count and price."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from neurocomp.energy.breakdown import EnergyFigures
from neurocomp.energy.kinds import KINDS
from neurocomp.energy.quantity import Quantity

SCHEMA = "neurocomp.energy/1"
COLUMNS = (
    "network", "profile", "subject", "component", "kind", "count", "runs", "value_J", "low_J", "high_J", "constant",
    "constant_low", "constant_high", "unit", "basis", "scope", "source", "locator",
)  # fmt: skip


def to_dict(report: EnergyFigures) -> dict[str, Any]:
    """Plain values for JSON. Energies are per inference; unknown constants and numbers that are not finite are None."""
    activity = report.activity
    counts = activity.counts()
    return {
        "schema": SCHEMA,
        "estimate": True,
        "network": report.network,
        "profile": {
            **{key: getattr(report.profile, key) for key in ("name", "title", "process", "counts", "chip", "clock")},
            "constants": {name: x.to_dict() for name, x in report.profile.constants().items()},
            "not_priced": dict.fromkeys(report.profile.not_priced),
            "reasons": {**report.profile.not_priced, **report.profile.included},
            "notes": list(report.profile.notes),
        },
        "run": {"samples": activity.samples, "steps": activity.steps, "lag": activity.lag, "dt": activity.dt,
                "chips": report.chips, "cores": activity.cores, "pace": report.pace},
        "counts": counts,
        "largest": activity.largest(),
        "numbers": {path: _quantity(x) for path, x in report.paths.items()},
        "not_priced": [{"kind": x.kind, "count": x.count, "reason": x.reason} for x in report.not_priced],
        "shares": dict(report.dominates),
        "uncertainty": dict(report.uncertain),
        "neurobench": dict(report.neurobench),
        "measured": report.measured.to_dict(counts.get("op.ac", 0) + counts.get("op.mac", 0)),
        "notes": list(report.notes),
        "skipped": dict(report.skipped),
        "others": [to_dict(x) for x in report.others],
    }  # fmt: skip


def to_csv(report: EnergyFigures) -> str:
    """A row per population or projection and kind of event, of this profile and of those beside it."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in (report, *report.others):
        for item in one.items:
            energy, price = item.energy, item.constant
            known = [energy.value, energy.low, energy.high, price.value, price.low, price.high] if price else [""] * 6
            where = (
                [price.unit, price.basis, price.scope, price.source, price.locator] if price else ["", "", "", "not priced", ""]
            )
            component = KINDS[item.kind].component
            writer.writerow(
                [one.network, one.profile.name, item.subject, component, item.kind, int(item.count), item.runs, *known, *where]
            )
    return stream.getvalue()


def _quantity(x: Quantity) -> dict[str, Any]:
    numbers = {key: getattr(x, key) if math.isfinite(getattr(x, key)) else None for key in ("value", "low", "high")}
    return {**numbers, "unit": x.unit, "how": x.how, "source": x.source, "missing": list(x.missing)}

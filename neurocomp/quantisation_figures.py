"""The figures of a quantisation report, as text and as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.network import Change, Network
from neurocomp.ir.passes import Quantise
from neurocomp.ir.quantisation.ranges import HELD, LIMIT, Bounds
from neurocomp.ir.quantisation.simulate import Place
from neurocomp.spike_changes import PopulationSpikes


@dataclass(frozen=True)
class Range:
    """Bounds of a quantised population's state, worst case and on the samples, and where they were first exceeded."""

    name: str
    worst: Bounds
    observed: Bounds
    wrap: Place | None
    saturation: Place | None

    @property
    def text(self) -> str:
        """The range in words."""
        lines = [f"{self.worst.text()}; {self.observed.text()}; {HELD}"]
        if self.wrap is not None:
            lines.append(f"u wrapped around: {_place(self.wrap)}")
        if self.saturation is not None:
            lines.append(f"v saturated: {_place(self.saturation)}")
        return "; ".join(lines)


@dataclass(frozen=True)
class QuantisationFigures:
    """What a quantisation report holds. accuracies: 0..1, None without labels; agreement: of both sides' answers.

    changes: what quantise did. quantised: the network in Loihi's integers, ready to save or compile.
    """

    network: str
    quantise: Quantise
    steps: int
    samples: int
    tolerance: int
    populations: tuple[PopulationSpikes, ...]
    ranges: tuple[Range, ...]
    changes: tuple[Change, ...]
    clipped: Mapping[str, tuple[int, int]]
    float_accuracy: float | None
    loihi_accuracy: float | None
    agreement: float | None
    quantised: Network = field(repr=False, compare=False)

    @property
    def text(self) -> str:
        """The report for people."""
        what = f"{self.quantise.strategy}, {self.quantise.num_weight_bits}-bit weights"
        lines = [
            f"{self.network}: float vs loihi ({what}), {self.samples} sample{'s'[: self.samples != 1]} of {self.steps} steps"
        ]
        if self.float_accuracy is not None and self.loihi_accuracy is not None:
            lines.append(f"  accuracy {self.float_accuracy:.2%} -> {self.loihi_accuracy:.2%}")
        if self.agreement is not None:
            lines.append(f"  same answer for {self.agreement:.2%} of the samples")
        for row in self.populations:
            lines += _population_text(row, self.tolerance, self.samples)
        for name, (count, total) in self.clipped.items():
            if count:
                lines.append(f"  {name}: {count} of {total} weights clipped")
        lines += [f"  {x.name}: {x.text}" for x in self.ranges]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text

    def explain(self) -> str:
        """The report, then everything quantise changed."""
        return "\n".join([self.text, "", *map(str, self.changes)])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; bounds without limit are None."""
        return {
            "network": self.network,
            "strategy": self.quantise.strategy,
            "num_weight_bits": self.quantise.num_weight_bits,
            "steps": self.steps,
            "samples": self.samples,
            "tolerance": self.tolerance,
            "accuracy": {"float": self.float_accuracy, "loihi": self.loihi_accuracy, "agreement": self.agreement},
            "populations": {x.name: _population_dict(x) for x in self.populations},
            "ranges": {x.name: _range_dict(x) for x in self.ranges},
            "clipped": {name: {"clipped": count, "weights": total} for name, (count, total) in self.clipped.items()},
            "changes": [
                {"by": x.by, "subject": x.subject, "before": x.before, "after": x.after, "why": x.why} for x in self.changes
            ],
        }


# -------------------------------------------------------------------------------------------------------------- inside


def _population_text(row: PopulationSpikes, tolerance: int, samples: int) -> list[str]:
    head = f"  {row.name}: {row.float_spikes} -> {row.loihi_spikes} spikes"
    if row.first is None:
        return [f"{head}, identical"]
    place = f"step {row.first.step}, neuron {row.first.neuron} (spikes only in {row.first.fires})"
    place = place if samples == 1 else f"sample {row.first.sample}, {place}"
    rates = "" if row.correlation is None else f"; rate correlation {row.correlation:.4f}"
    parts = f"{row.same} same, {row.shifted} shifted by 1..{tolerance} steps, {row.removed} removed, {row.added} added"
    return [f"{head} ({parts}){rates}", f"    first difference: {place}"]


def _population_dict(row: PopulationSpikes) -> dict[str, Any]:
    first = row.first
    return {
        "neurons": row.neurons,
        "float_spikes": row.float_spikes,
        "loihi_spikes": row.loihi_spikes,
        "same": row.same,
        "shifted": row.shifted,
        "removed": row.removed,
        "added": row.added,
        "rate_correlation": row.correlation,
        "first_difference": None
        if first is None
        else {"sample": first.sample, "step": first.step, "neuron": first.neuron, "fires": first.fires},
    }


def _range_dict(row: Range) -> dict[str, Any]:
    def span(low: NDArray[np.float64], high: NDArray[np.float64]) -> list[float | None]:
        return [x if np.isfinite(x) else None for x in (float(low.min()), float(high.max()))]

    def place(at: Place | None) -> dict[str, int] | None:
        return None if at is None else {"sample": at.sample, "step": at.step, "neuron": at.neuron, "value": at.value}

    return {
        "limit": LIMIT,
        "worst": {"u": span(row.worst.u_low, row.worst.u_high), "v": span(row.worst.v_low, row.worst.v_high)},
        "observed": {"u": span(row.observed.u_low, row.observed.u_high), "v": span(row.observed.v_low, row.observed.v_high)},
        "first_wrap": place(row.wrap),
        "first_saturation": place(row.saturation),
    }


def _place(at: Place) -> str:
    return f"sample {at.sample}, step {at.step}, neuron {at.neuron} at {at.value}"

"""`calibrate`: a profile from your own measurements, for chips whose prices nobody has published, such as Loihi 2.

Energies are fitted by least squares without negative prices (scipy's `nnls`). Every measurement weighs the same: relative
errors are minimised. The range of a constant is what it becomes when any one measurement is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from neurocomp.energy.activity import Activity
from neurocomp.energy.kinds import KINDS
from neurocomp.energy.profile import Constant, EnergyError, Profile

STATIC = "static"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measurement:
    """A run whose energy was measured. counts: of all its samples together (an `Activity`, or numbers by kind of event).

    joules: of the whole run, static power included where it is to be fitted. seconds: it took, needed to fit static power.
    """

    counts: Activity | Mapping[str, float]
    joules: float
    seconds: float = 0.0
    chips: int = 1

    def amount(self, term: str) -> float:
        """How often a kind of event happened, or all kinds that begin with `term.`; for static power chips times seconds."""
        if term == STATIC:
            return self.seconds * self.chips
        counts = self.counts.counts() if isinstance(self.counts, Activity) else self.counts
        return float(sum(counts.get(kind, 0) for kind in covered(term)))


@dataclass(frozen=True)
class Calibration:
    """A fit. residuals: (measurements,) relative errors of the fit.

    left_out: relative errors of predicting a measurement from the others, where these are enough.
    """

    profile: Profile
    terms: tuple[str, ...]
    residuals: Floats
    left_out: Floats

    @property
    def text(self) -> str:
        """Constants with their ranges, and the errors."""
        lines = [f"{self.profile.name}: {len(self.residuals)} measurements, {len(self.terms)} terms"]
        for term in self.terms:
            constant = self.profile.static["chip"] if term == STATIC else self.profile.energy[covered(term)[0]]
            lines.append(f"  {term}: {constant.text} ({constant.low:.4g} to {constant.high:.4g} {constant.unit})")
        lines.append(f"  largest error of the fit {np.abs(self.residuals).max():.2%}")
        if len(self.left_out):
            lines.append(f"  largest error when predicting a measurement from the others {np.abs(self.left_out).max():.2%}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text


def calibrate(
    measurements: Sequence[Measurement],
    terms: Sequence[str],
    *,
    base: Profile | str = "loihi2",
    name: str = "calibrated",
    source: str = "own measurements",
) -> Calibration:
    """Fit prices to measured energies.

    terms: kinds of events (`neurocomp.energy.KINDS`), beginnings of their names ("synop" is all synaptic operations), or
    "static" for static power. base: the profile that gives the chip and what is not fitted; of its energies none is kept.
    Raises `EnergyError` where there are fewer measurements than terms, or where the measurements cannot tell terms apart.
    """
    start = Profile.load(base) if isinstance(base, str) else base
    terms = tuple(terms)
    _check(measurements, terms, start)
    joules = np.array([x.joules for x in measurements])
    table = np.array([[x.amount(term) for term in terms] for x in measurements]) / joules[:, None]
    _check_rank(table, terms)
    values = _fit(table)
    others, left_out = [values], []
    if len(measurements) > len(terms):
        for k in range(len(measurements)):
            rest = np.delete(table, k, axis=0)
            if np.linalg.matrix_rank(rest / np.abs(table).max(axis=0)) == len(terms):
                others.append(_fit(rest))
                left_out.append(float(table[k] @ others[-1] - 1.0))
    low, high = np.min(others, axis=0), np.max(others, axis=0)
    fitted: dict[str, Constant] = {}
    for k, term in enumerate(terms):
        unit, kinds = ("W", ("chip",)) if term == STATIC else ("J", covered(term))
        numbers = (float(values[k]), float(low[k]), float(high[k]))
        locator = f"least squares over {len(measurements)} measurements"
        for kind in kinds:
            fitted[kind] = Constant(kind, *numbers, unit, "fitted", "marginal", source, locator, "own")
    profile = _profile(start, fitted, name, len(measurements))
    return Calibration(profile, terms, table @ values - 1.0, np.array(left_out))


def covered(term: str) -> tuple[str, ...]:
    """The kinds of events a term stands for: itself and all that begin with it, as far as they are priced at all."""
    return tuple(kind for kind, x in KINDS.items() if x.views and (kind == term or kind.startswith(f"{term}.")))


def _profile(base: Profile, fitted: Mapping[str, Constant], name: str, measurements: int) -> Profile:
    energy = {kind: x for kind, x in fitted.items() if kind != "chip"}
    static = {"chip": fitted["chip"]} if "chip" in fitted else dict(base.static)
    gone = {**dict.fromkeys(base.energy, "not fitted"), **base.not_priced}
    return replace(
        base,
        name=name,
        title=f"{base.title.split(' (')[0]} (calibrated)",
        energy=energy,
        static=static,
        not_priced={kind: reason for kind, reason in gone.items() if kind not in energy},
        included={kind: reason for kind, reason in base.included.items() if kind not in energy},
        notes=(f"prices fitted to {measurements} own measurements",),
    )


def _check(measurements: Sequence[Measurement], terms: tuple[str, ...], base: Profile) -> None:
    if not terms or len(set(terms)) != len(terms):
        raise EnergyError(
            "calibrate", f"terms are different kinds of events, such as 'synop' and 'neuron.access', not {terms!r}"
        )
    if len(measurements) < len(terms):
        raise EnergyError(
            "calibrate", f"{len(measurements)} measurements cannot fit {len(terms)} terms; measure more, or fit fewer"
        )
    seen: dict[str, str] = {}
    for term in terms:
        kinds = (STATIC,) if term == STATIC else covered(term)
        wrong = not kinds or any(kind != STATIC and base.counts not in KINDS[kind].views for kind in kinds)
        if wrong:
            known = ", ".join(kind for kind, x in KINDS.items() if base.counts in x.views)
            raise EnergyError("calibrate", f"there is no term '{term}'; there is static, {known}, and beginnings such as synop")
        for kind in kinds:
            if kind in seen:
                raise EnergyError("calibrate", f"terms '{seen[kind]}' and '{term}' both cover {kind}; keep one of them")
            seen[kind] = term
    for k, x in enumerate(measurements):
        if not x.joules > 0:
            raise EnergyError(f"measurement {k}", f"has {x.joules!r} joules; an energy is positive")
        if STATIC in terms and not x.seconds > 0:
            raise EnergyError(f"measurement {k}", f"took {x.seconds!r} seconds; static power needs the time a run took")


def _check_rank(table: Floats, terms: tuple[str, ...]) -> None:
    largest = np.abs(table).max(axis=0)
    silent = [term for term, x in zip(terms, largest, strict=True) if x == 0]
    if silent:
        raise EnergyError(
            "calibrate", f"nothing of '{silent[0]}' happened in any measurement; leave it out, or measure a run with some"
        )
    scaled = table / largest
    if np.linalg.matrix_rank(scaled, tol=1e-6) < len(terms):
        together = np.abs(np.linalg.svd(scaled)[2][-1]) > 1e-3
        names = ", ".join(term for term, x in zip(terms, together, strict=True) if x)
        raise EnergyError(
            "calibrate", f"the measurements cannot tell {names} apart: they grow together; vary the activity, or leave one out"
        )


def _fit(table: Floats) -> Floats:
    """Non-negative x that makes table @ x as close to 1 as can be."""
    largest = np.abs(table).max(axis=0)
    largest[largest == 0] = 1.0
    solution, _ = nnls(table / largest, np.ones(len(table)))
    return np.asarray(solution / largest, np.float64)

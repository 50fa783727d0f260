"""`Quantity`: a number of a report that knows its range, its unit and where it comes from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_PREFIXES = ((1e-15, "f"), (1e-12, "p"), (1e-9, "n"), (1e-6, "µ"), (1e-3, "m"), (1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"))
_SCALED = ("J", "W", "s", "J·s")


@dataclass(frozen=True)
class Quantity:
    """A value with its interval and its derivation.

    low, high: bounds that follow from the constants' ranges (all terms are positive, so interval arithmetic is exact). how: the
    formula with its numbers. source: where a constant comes from. parts: what it is computed from. missing: events that have no
    price and are therefore not in it.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    how: str = ""
    source: str = ""
    parts: tuple[Quantity, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Value and unit, `4.21 µJ`; "not priced" where nothing of it has a price."""
        return "not priced" if self.missing and not self.value else show(self.value, self.unit)

    @property
    def range_text(self) -> str:
        """The interval, `3.9 µJ to 4.5 µJ`; empty where there is none."""
        return "" if self.low == self.high else f"{show(self.low, self.unit)} to {show(self.high, self.unit)}"

    def trace(self, depth: int = 8, indent: str = "") -> str:
        """The derivation as text: each number, the formula it follows from, and the sources of the constants."""
        interval = f" [{self.range_text}]" if self.range_text else ""
        how = f" = {self.how}" if self.how else ""
        source = f"  <- {self.source}" if self.source else ""
        lines = [f"{indent}{self.name}: {self.text}{interval}{how}{source}"]
        if depth > 0:
            lines += [part.trace(depth - 1, indent + "  ") for part in self.parts]
        if self.missing and not indent:
            lines.append(f"not priced, so not in it: {', '.join(self.missing)}")
        return "\n".join(lines)

    def named(self, name: str) -> Quantity:
        """The same number under another name."""
        return Quantity(name, self.value, self.low, self.high, self.unit, self.how, self.source, self.parts, self.missing)


def total(name: str, parts: Iterable[Quantity], unit: str = "J", missing: Iterable[str] = ()) -> Quantity:
    """The sum of quantities."""
    parts = tuple(parts)
    gone = tuple(dict.fromkeys([*(x for part in parts for x in part.missing), *missing]))
    sums = [math.fsum(getattr(part, key) for part in parts) for key in ("value", "low", "high")]
    how = " + ".join(part.text for part in parts) if len(parts) < 7 else f"sum of {len(parts)} parts"
    return Quantity(name, sums[0], sums[1], sums[2], unit, how, "", parts, gone)


def product(name: str, left: Quantity, right: Quantity, unit: str) -> Quantity:
    """The product of two quantities."""
    bounds = [getattr(left, key) * getattr(right, key) for key in ("value", "low", "high")]
    gone = tuple(dict.fromkeys([*left.missing, *right.missing]))
    how = f"{left.text} × {right.text}"
    return Quantity(name, bounds[0], bounds[1], bounds[2], unit, how, "", (left, right), gone)


def ratio(name: str, left: Quantity, right: Quantity, unit: str) -> Quantity:
    """The quotient of two quantities."""
    value, low, high = left.value / right.value, left.low / right.high, left.high / right.low
    return Quantity(name, value, low, high, unit, f"{left.text} / {right.text}", "", (left, right), left.missing)


def divided(name: str, quantity: Quantity, number: float, of: str, unit: str | None = None) -> Quantity:
    """A quantity over a plain number, such as the samples of a recording."""
    value, low, high = quantity.value / number, quantity.low / number, quantity.high / number
    how = f"{quantity.text} / {number:,.6g} {of}"
    return Quantity(name, value, low, high, unit or quantity.unit, how, "", (quantity,), quantity.missing)


def exact(name: str, value: float, unit: str = "", how: str = "", source: str = "") -> Quantity:
    """A number without range, such as a count."""
    return Quantity(name, value, value, value, unit, how, source)


def show(value: float, unit: str) -> str:
    """A number with an SI prefix where its unit takes one: `4.21 µJ`, `1,024 spikes`."""
    if not math.isfinite(value):
        return "never" if value > 0 else "unknown"
    if unit not in _SCALED:
        text = f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:,.4g}"
        return f"{text} {unit}".rstrip()
    if value == 0:
        return f"0 {unit}"
    scale, prefix = next(((s, p) for s, p in reversed(_PREFIXES) if abs(value) >= s * 0.9995), _PREFIXES[0])
    return f"{value / scale:.3g} {prefix}{unit}" if value / scale < 999.5 else f"{value / scale:.0f} {prefix}{unit}"

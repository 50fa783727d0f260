"""Dimensions of physical quantities and the texts of units: `V`, `S/m^2`, `mV`."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from neurocomp.ir.errors import EquationError

Exponent = int | Fraction
TEN = "10"  # stands among the powers of a unit with a prefix: mV is 10^-3 V


@dataclass(frozen=True, slots=True)
class Dimension:
    """A product of powers: of SI base units, of 10 where a unit has a prefix, and of `[v]` for the unknown dimension of v."""

    powers: Mapping[str, Exponent]

    def __mul__(self, other: Dimension) -> Dimension:
        return self.times(other, 1)

    def __truediv__(self, other: Dimension) -> Dimension:
        return self.times(other, -1)

    def __pow__(self, exponent: Exponent) -> Dimension:
        return ONE.times(self, exponent)

    def times(self, other: Dimension, exponent: Exponent) -> Dimension:
        """`self * other ** exponent`."""
        powers = dict(self.powers)
        for symbol, power in other.powers.items():
            total = powers.get(symbol, 0) + power * exponent
            if total:
                powers[symbol] = total
            else:
                powers.pop(symbol, None)
        return Dimension(powers)

    @property
    def unknowns(self) -> tuple[str, ...]:
        """The symbols that stand for dimensions not known yet."""
        return tuple(symbol for symbol in self.powers if symbol.startswith("["))

    @property
    def unscaled(self) -> Dimension:
        """The same without prefixes."""
        return Dimension({symbol: power for symbol, power in self.powers.items() if symbol != TEN})

    @property
    def scale(self) -> float:
        """How much of the unscaled unit this unit is: 1e-3 for mV."""
        power = self.powers.get(TEN, 0)
        return float(f"1e{power}") if isinstance(power, int) or power.denominator == 1 else float(10.0**power)


ONE = Dimension({})
SECOND = Dimension({"s": 1})
VOLT = Dimension({"kg": 1, "m": 2, "s": -3, "A": -1})
AMPERE = Dimension({"A": 1})

SYMBOLS: Mapping[str, Dimension] = {
    "V": VOLT,
    "A": AMPERE,
    "s": SECOND,
    "m": Dimension({"m": 1}),
    "S": AMPERE / VOLT,
    "ohm": VOLT / AMPERE,
    "F": AMPERE * SECOND / VOLT,
    "C": AMPERE * SECOND,
    "Hz": SECOND**-1,
    "W": VOLT * AMPERE,
    "J": VOLT * AMPERE * SECOND,
    "N": Dimension({"kg": 1, "m": 1, "s": -2}),
    "K": Dimension({"K": 1}),
    "mol": Dimension({"mol": 1}),
    "g": Dimension({"kg": 1, TEN: -3}),
    "rad": ONE,
}
PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "c": -2, "d": -1, "k": 3, "M": 6, "G": 9}
_COMPOSITE = ("S", "ohm", "F", "C", "W", "J", "N")  # names for what `readable` would write as powers of V, A, s, m
_ALIASES = {"sec": "s", "second": "s", "msec": "ms", "volt": "V", "amp": "A", "hertz": "Hz", "siemens": "S", "farad": "F"}


def unit_symbol(symbol: str) -> Dimension | None:
    """What one symbol with or without prefix means, or None."""
    if symbol in SYMBOLS:
        return SYMBOLS[symbol]
    prefix, base = PREFIXES.get(symbol[:1]), SYMBOLS.get(symbol[1:])
    return None if prefix is None or base is None else base * Dimension({TEN: prefix})


_NAMES = "V mV uV A mA uA nA pA s ms us ns S mS uS nS pS F mF uF nF pF ohm kohm Mohm Gohm Hz kHz MHz m cm mm um nm"
UNIT_NAMES: Mapping[str, Dimension] = {name: found for name in _NAMES.split() if (found := unit_symbol(name))}  # in equations


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The word the user may have meant."""
    known = list(known)
    if _ALIASES.get(word.lower()) in known:
        return _ALIASES[word.lower()]
    same = [name for name in known if name.lower() == word.lower()]
    return next(iter(same or difflib.get_close_matches(word, known, n=1)), None)


@lru_cache(maxsize=1024)
def parse_unit(text: str) -> Dimension:
    """Read a unit: symbols with SI prefixes, `*`, `/`, brackets and powers by `^` or `**`; "" and "1" are none.

    Raises `EquationError` that points at what is not a unit.
    """
    source = text.strip()
    if not source:
        return ONE
    if not source.isascii():
        column = next(k for k, character in enumerate(source) if not character.isascii())
        raise EquationError("units are plain ASCII; write u for micro and ohm for the ohm sign", source, column)
    python = source.replace("^", "**")
    try:
        tree = ast.parse(python, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise EquationError(f"'{source}' is not a unit; units read like V, A/V or S/m^2", source) from None
    try:
        return _unit(tree.body)
    except EquationError as error:
        column = len(python[: error.column].replace("**", "^")) if "^" in source else error.column
        raise EquationError(error.message, source, column) from None


def _unit(node: ast.expr) -> Dimension:
    match node:
        case ast.Name(id=symbol):
            found = unit_symbol(symbol)
            if found is None:
                meant = nearest(symbol, (*SYMBOLS, *UNIT_NAMES))
                cure = f"did you mean {meant}?" if meant else f"known are {', '.join(SYMBOLS)}, with prefixes"
                raise EquationError(f"unknown unit '{symbol}'; {cure}", symbol, node.col_offset)
            return found
        case ast.Constant(value=value) if type(value) is int and value == 1:
            return ONE
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _unit(left) * _unit(right)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _unit(left) / _unit(right)
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            return _unit(base) ** _exponent(exponent)
    raise EquationError("only symbols, *, / and powers make a unit", "unit", node.col_offset)


def _exponent(node: ast.expr) -> Exponent:
    match node:
        case ast.Constant(value=value) if type(value) is int and value < 100:
            return value
        case ast.Constant(value=float() as value) if value < 100:
            return Fraction(repr(value))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_exponent(operand)
        case ast.BinOp(left=ast.Constant(value=int(over)), op=ast.Div(), right=ast.Constant(value=int(under))) if under:
            return Fraction(over, under)
    raise EquationError("the exponent of a unit is a small number, such as 2, -1 or 0.5", "unit", node.col_offset)


def readable(dimension: Dimension) -> str:
    """The dimension in the units people use: `V`, `S`, `V/s`; "1" for a plain number."""
    ways: list[dict[str, Exponent]] = [_electrical(dimension)]
    ways += ({symbol: 1, **_electrical(dimension / SYMBOLS[symbol])} for symbol in _COMPOSITE)
    best = min(ways, key=_length)
    over = [_power(symbol, power) for symbol, power in best.items() if power > 0]
    under = [_power(symbol, -power) for symbol, power in best.items() if power < 0]
    return "/".join(["*".join(over) or "1", *under])


def _length(powers: Mapping[str, Exponent]) -> Fraction:
    return sum((abs(Fraction(power)) for power in powers.values()), Fraction(0))


def _electrical(dimension: Dimension) -> dict[str, Exponent]:
    """The powers with volts in place of kilograms, in the usual order."""
    mass = dimension.powers.get("kg", 0)
    powers = {"V": mass, **dimension.times(VOLT, -mass).powers}
    order = ("V", "A", "s", "m", "K", "mol")
    return {x: powers[x] for x in (*order, *(x for x in powers if x not in order)) if powers.get(x)}


def _power(symbol: str, power: Exponent) -> str:
    if power.denominator == 1:
        return symbol if power == 1 else f"{symbol}^{power}"
    decimal = f"{power.numerator / power.denominator:g}" if -1000 < power < 1000 else "0"
    return f"{symbol}^{decimal}" if Fraction(decimal) == power else f"{symbol}^({power})"

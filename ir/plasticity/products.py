"""Loihi's learning rules as text: a sum of products, parsed from a small grammar and never evaluated.

    rule    = [sign] product {sign product}          product = factor {"*" factor}
    factor  = number | "2^" [sign] digits | name | "(" name sign digits ")" | "sgn(" name [sign digits] ")"

A product has one dependency, which says when it happens: x0 (an arriving spike), y0 (a spike of the target) or u<k> (every
2**k-th epoch). All others are factors: the traces x1, x2 and y1, y2, y3, the weight w and the tag t, each with a constant added
where wanted, and numbers, which together are the product's scale: an integer of -7 .. 7 times a power of two. The same number
written differently (4 and 2^2) is rounded differently by the chip, so scales are kept as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fractions import Fraction
from typing import NoReturn

from neurocomp.ir.errors import EquationError

PRE, POST, VARIABLES = ("x1", "x2"), ("y1", "y2", "y3"), ("w", "t")
TRACES = (*PRE, *POST)
WIDTHS: Mapping[str, int] = {**dict.fromkeys(TRACES, 7), **dict.fromkeys(VARIABLES, 9)}  # bits
SCALE_BITS = 4  # of the scale's mantissa
ACCUMULATOR = 15  # bits of what is added up, besides the sign
MOST_BITS = 28  # of all factors of a product: with the mantissa they just fit 32-bit integers
MANTISSAS, EXPONENTS = range(-7, 8), range(-7, 9)

_TOKEN = re.compile(r"\s*(?:(?P<number>\d+\.?\d*|\.\d+)|(?P<name>[A-Za-z_]\w*)|(?P<mark>\*\*|[-+*^()/]))")


@dataclass(frozen=True)
class Factor:
    """A trace or variable, plus a constant; `sign`: only the sign of that sum."""

    name: str
    constant: int = 0
    sign: bool = False

    @property
    def text(self) -> str:
        """As Lava and `parse_products` read it."""
        inner = f"{self.name}{self.constant:+d}" if self.constant else self.name
        return f"sgn({inner})" if self.sign else f"({inner})" if self.constant else inner


@dataclass(frozen=True)
class Product:
    """mantissa * 2**exponent times the factors, where its dependency is met. k: of the dependency "u", else 0."""

    dependency: str
    mantissa: int
    exponent: int
    factors: tuple[Factor, ...]
    k: int = 0

    @property
    def bits(self) -> int:
        """The width of all factors together."""
        return sum(WIDTHS[x.name] for x in self.factors)

    @property
    def right(self) -> int:
        """Bits that are dropped so that the product fits the accumulator."""
        return max(0, self.bits + SCALE_BITS - ACCUMULATOR)

    @property
    def left(self) -> int:
        """Bits by which it is shifted back: the scale's exponent, in the accumulator's unit of 2**-7."""
        return self.exponent + 7

    @property
    def text(self) -> str:
        """As Lava and `parse_products` read it, without the sign of the scale."""
        when = f"u{self.k}" if self.dependency == "u" else self.dependency
        scale = _scale_text(abs(self.mantissa), self.exponent)
        return "*".join([*([] if scale == "1" else [scale]), when, *(x.text for x in self.factors)])


def parse_products(target: str, text: str) -> tuple[Product, ...]:
    """The products of a rule. target: its name in errors. Raises `EquationError` with the column."""
    return _Parser(target, text).products()


def products_text(products: tuple[Product, ...]) -> str:
    """The canonical text of a sum of products."""
    return "".join(("-" if x.mantissa < 0 else "+" if n else "") + x.text for n, x in enumerate(products))


@dataclass
class _Scale:
    """The numbers of a product, multiplied as Lava does."""

    mantissa: int
    exponent: int = 0

    def normalised(self) -> _Scale:
        """Large even mantissas give their twos to the exponent."""
        mantissa, exponent = self.mantissa, self.exponent
        while abs(mantissa) > 7 and mantissa % 2 == 0 and exponent < EXPONENTS[-1]:
            mantissa, exponent = mantissa // 2, exponent + 1
        return _Scale(mantissa, exponent)


@dataclass
class _Draft:
    """A product while it is read. column: where it begins."""

    scale: _Scale
    column: int
    dependency: str = ""
    k: int = 0
    factors: list[Factor] = field(default_factory=list)


class _Parser:
    def __init__(self, target: str, text: str) -> None:
        self.target, self.text = target, text
        self.tokens = list(self._tokens())
        self.at = 0

    def _tokens(self) -> Iterator[tuple[str, str, int]]:
        """(kind, text, column) of each token, and an empty one at the end."""
        at, end = 0, len(self.text.rstrip())
        while at < end:
            match = _TOKEN.match(self.text, at)
            if match is None:
                column = at + len(self.text[at:]) - len(self.text[at:].lstrip())
                self._refuse(f"'{self.text[column]}' has no place in a rule", column)
            kind = str(match.lastgroup)
            yield kind, match[kind], match.start(kind)
            at = match.end()
        yield "end", "", end

    def _refuse(self, message: str, column: int) -> NoReturn:
        raise EquationError(f"LoihiRule, {self.target}: {message}", self.text, column)

    @property
    def now(self) -> tuple[str, str, int]:
        """The token that comes next."""
        return self.tokens[self.at]

    def _take(self, *texts: str) -> bool:
        """Step over the next token where it is one of these."""
        found = self.now[0] == "mark" and self.now[1] in texts
        self.at += found
        return found

    def _need(self, text: str, what: str) -> None:
        if not self._take(text):
            self._refuse(f"'{text}' is missing {what}", self.now[2])

    def _sign(self) -> int:
        """-1 or 1, of the sign that may stand here."""
        if self._take("-"):
            return -1
        self._take("+")
        return 1

    def products(self) -> tuple[Product, ...]:
        found = [self._product(self._sign())]
        while self.now[0] != "end":
            if self.now[1] not in ("+", "-"):
                self._refuse(
                    f"'{self.now[1]}' follows without an operator; products are joined by +, -, factors by *", self.now[2]
                )
            found.append(self._product(self._sign()))
        return tuple(found)

    def _product(self, sign: int) -> Product:
        draft = _Draft(_Scale(sign), self.now[2])
        self._factor(draft)
        while self._take("*"):
            self._factor(draft)
        if self.now[1] in ("/", "**", "^"):
            self._refuse(f"'{self.now[1]}' has no place here; powers of two are written 2^-3", self.now[2])
        written = self.text[draft.column : self.now[2]].strip()
        if not draft.dependency:
            cure = "multiply it by x0 (at arriving spikes), y0 (at spikes of the target) or u0 (in every epoch)"
            self._refuse(f"the product {written} has no dependency, which says when it happens; {cure}", draft.column)
        self._check(draft, written)
        scale = draft.scale.normalised()
        return Product(draft.dependency, scale.mantissa, scale.exponent, tuple(draft.factors), draft.k)

    def _check(self, draft: _Draft, written: str) -> None:
        scale = draft.scale.normalised()
        if scale.mantissa == 0:
            self._refuse(f"the product {written} is 0; leave it out", draft.column)
        if scale.mantissa not in MANTISSAS or scale.exponent not in EXPONENTS:
            value = Fraction(scale.mantissa) * Fraction(2) ** scale.exponent
            shown = f"{float(value):g}" if abs(value) < 2**60 else "a huge number"
            self._refuse(f"the scale of {written}, {shown}, {_nearest(abs(value))}", draft.column)
        bits = sum(WIDTHS[x.name] for x in draft.factors)
        if bits > MOST_BITS:
            widths = "7 for a trace, 9 for w and t"
            self._refuse(
                f"the factors of {written} have {bits} bits ({widths}), more than {MOST_BITS}; use fewer", draft.column
            )

    def _factor(self, draft: _Draft) -> None:
        kind, text, column = self.now
        if kind == "number":
            self._number(draft.scale)
        elif kind == "name" and text != "sgn":
            self.at += 1
            self._name(draft, text, column)
        elif kind == "name":
            self.at += 1
            self._need("(", "after sgn")
            name, constant, sign = self._sum()
            if name not in VARIABLES or sign < 0:
                self._refuse("sgn takes w or t, such as sgn(w) or sgn(t-3)", column)
            draft.factors.append(Factor(name, constant, sign=True))
        elif self._take("("):
            self._bracket(draft)
        else:
            shown = f"'{text}'" if text else "the end of the rule"
            self._refuse(f"a factor is missing before {shown}: a number, x0, y0, u0, x1, x2, y1, y2, y3, w or t", column)

    def _bracket(self, draft: _Draft) -> None:
        """A number with a sign, or a factor with a constant."""
        kind, value, _ = self.tokens[self.at + (self.now[1] in ("+", "-"))]
        if kind == "number" and self._closes():
            draft.scale.mantissa *= self._sign()
            self._number(draft.scale)
            self._need(")", f"after {value}")
            return
        column = self.now[2]
        name, constant, sign = self._sum()
        if sign < 0 and constant == 0:
            self._refuse(f"Lava drops the sign of (-{name}); write it before the product", column)
        draft.scale.mantissa *= sign
        draft.factors.append(Factor(name, sign * constant))

    def _closes(self) -> bool:
        """Whether the bracket that was opened holds no name."""
        rest = self.tokens[self.at :]
        inside = rest[: next((n for n, x in enumerate(rest) if x[1] == ")"), len(rest))]
        return all(kind != "name" for kind, *_ in inside)

    def _sum(self) -> tuple[str, int, int]:
        """(name, constant, sign of the name) of what is in brackets, up to the closing one."""
        name, constant, sign = "", 0, 1
        begin = self.now[2]
        for part in range(2):
            own = self._sign()
            kind, text, column = self.now
            self.at += 1
            if kind == "name" and not name:
                self._known(text, column)
                name, sign = text, own
            elif kind == "number" and text.isdigit() and (part == 1 or self.now[1] in ("+", "-")):
                self._short(text, column)
                constant = own * int(text)
            else:
                self._refuse("brackets hold a factor and a whole number, such as (x1-3); longer sums are products", begin)
            if self.now[1] == ")" and name:
                break
        self._need(")", "")
        if not -256 <= constant <= 255:
            self._refuse(f"the constant {constant} is outside -256..255", begin)
        return name, constant, sign

    def _number(self, scale: _Scale) -> None:
        """Multiply a number into the scale."""
        _, text, column = self.now
        self.at += 1
        self._short(text, column)
        if self._take("^"):
            if text != "2":
                self._refuse(f"{text}^ is not a power of two; write 2^-3, times a whole number where needed", column)
            sign = self._sign()
            if self.now[0] != "number" or not self.now[1].isdigit():
                self._refuse("the exponent of 2^ is a whole number", self.now[2])
            self._short(self.now[1], self.now[2], 3)
            scale.exponent += sign * int(self.now[1])
            self.at += 1
            return
        value = Fraction(text)
        if value.denominator & (value.denominator - 1):
            self._refuse(f"{text} {_nearest(value)}", column)
        scale.mantissa *= value.numerator
        scale.exponent -= value.denominator.bit_length() - 1

    def _short(self, digits: str, column: int, most: int = 20) -> None:
        """Refuse numbers that are absurd, before anything is computed with them."""
        if len(digits) > most:
            self._refuse(f"a number of {len(digits)} digits is no scale, constant or exponent", column)

    def _name(self, draft: _Draft, name: str, column: int) -> None:
        if name[0] == "u" and (name[1:].lstrip("_").isdigit() or name in ("u", "u_k", "uk")):
            if not re.fullmatch(r"u\d", name):
                self._refuse(f"'{name}' is not u0 .. u9; u<k> happens in every 2^k-th epoch, u0 in all", column)
            self._depend(draft, "u", column)
            draft.k = int(name[1])
        elif name in ("x0", "y0"):
            self._depend(draft, name, column)
        else:
            self._known(name, column)
            draft.factors.append(Factor(name))

    def _depend(self, draft: _Draft, dependency: str, column: int) -> None:
        if draft.dependency:
            self._refuse("a product has exactly one of x0, y0 and u<k>; split it, or drop one", column)
        draft.dependency = dependency

    def _known(self, name: str, column: int) -> None:
        if name in WIDTHS:
            return
        if name == "d":
            self._refuse("d, the delay of a synapse, cannot be used: in Lava it delays nothing", column)
        if name in ("x0", "y0"):
            self._refuse(f"{name} is either there or not: it stands alone, without brackets", column)
        meant = get_close_matches(name, [*WIDTHS, "x0", "y0", "u0"], 1, 0.5)
        hint = f" (did you mean {meant[0]}?)" if meant else ""
        self._refuse(f"unknown factor '{name}'{hint}; there are x0, y0, u0..u9, {', '.join(WIDTHS)} and sgn()", column)


def _nearest(value: Fraction) -> str:
    """What is wrong with a scale, and the scales around it."""
    known = {Fraction(m) * Fraction(2) ** e: (m, e) for m in range(7, 0, -1) for e in EXPONENTS}  # with the smallest m
    below, above = ([x for x in known if x < value], [x for x in known if x > value])
    nearest = [*([max(below)] if below else []), *([min(above)] if above else [])]
    shown = " and ".join(f"{_scale_text(*known[x])} = {float(x):g}" for x in nearest)
    return f"is not an integer of 1..7 times 2^-7 .. 2^8; the nearest {'are' if len(nearest) > 1 else 'is'} {shown}"


def _scale_text(mantissa: int, exponent: int) -> str:
    parts = [str(mantissa)] if mantissa != 1 or not exponent else []
    return "*".join([*parts, *([f"2^{exponent}"] if exponent else [])])

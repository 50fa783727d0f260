"""The equation language: what is let in, what is kept out, and where errors point."""

import contextlib

import pytest

from neurocomp.ir.errors import EquationError
from neurocomp.ir.expressions import (
    FUNCTIONS,
    Assign,
    Binary,
    Call,
    Compare,
    Logic,
    Name,
    Number,
    Unary,
    check_identifier,
    names,
    parse_equations,
    parse_expression,
    parse_statements,
    substitute,
)

V, W, ONE = Name("v"), Name("w"), Number(1)


def test_reads_arithmetic_with_pythons_precedence():
    assert parse_expression("v - w * 2 / 4") == Binary("-", V, Binary("/", Binary("*", W, Number(2)), Number(4)))
    assert parse_expression("v - w - 1") == Binary("-", Binary("-", V, W), ONE)
    assert parse_expression("-v * w") == Binary("*", Unary("-", V), W)
    assert parse_expression("-(v * w)") == Unary("-", Binary("*", V, W))
    assert parse_expression("+v") == V
    assert parse_expression(" -1.5e-3 ") == Number(-0.0015)


def test_shifts_bind_looser_than_sums():
    assert parse_expression("v << w + 1", "loihi") == Binary("<<", V, Binary("+", W, ONE))
    assert parse_expression("(v << w) + 1", "loihi") == Binary("+", Binary("<<", V, W), ONE)


def test_reads_conditions():
    assert parse_expression("v > w and not v == 1") == Logic("and", Compare(">", V, W), Unary("not", Compare("==", V, ONE)))
    first, second, third = (Compare(op, V, W) for op in ("<", ">=", "!="))
    assert parse_expression("v < w or v >= w or v != w") == Logic("or", Logic("or", first, second), third)
    assert parse_expression("where(v < w, v, 1)") == Call("where", (first, V, ONE))


REFUSED = {
    "attribute": "v.real",
    "deep attribute": "v.__class__.__mro__",
    "call outside the list": "gamma(v)",
    "call of eval": "eval(v)",
    "call of an attribute": "v.conj()",
    "call of a call": "abs(v)(v)",
    "keyword argument": "abs(x=v)",
    "starred argument": "min(*v)",
    "double starred": "min(**v)",
    "lambda": "lambda: v",
    "list comprehension": "[v for v in w]",
    "generator": "min(v for v in w)",
    "list": "[v, w]",
    "tuple": "(v, w)",
    "dict": "{v: w}",
    "set": "{v}",
    "subscript": "v[0]",
    "string": "'v'",
    "bytes": "b'v'",
    "f-string": "f'{v}'",
    "complex": "1j",
    "ellipsis": "...",
    "none": "None",
    "true": "True",
    "walrus": "(v := w)",
    "conditional": "v if w else 1",
    "modulo": "v % 2",
    "floor division": "v // 2",
    "matrix product": "v @ w",
    "bit and": "v & w",
    "bit or": "v | w",
    "xor": "v ^ w",
    "invert": "~v",
    "in": "v in w",
    "is": "v is w",
    "chained comparison": "0 < v < 1",
    "await": "await v",
    "yield": "(yield v)",
    "statement": "import os",
    "assignment": "v = w",
    "two expressions": "v; w",
    "empty": "",
    "only blanks": "   ",
    "null byte": "v + \0",
    "unbalanced": "(v",
    "non-ASCII letter": "v + é",
    "fullwidth v, which Python would read as v": "\uff56 + 1",
    "dunder": "__import__",
    "underscore": "_v",
    "infinity": "1e999",
    "a number no 64-bit integer holds": "9" * 30,
    "thousands of digits": "9" * 6000,
    "thousands of brackets": "(" * 5000 + "v" + ")" * 5000,
    "thousands of signs": "-" * 20000 + "v",
    "thousands of terms": "+".join(["v"] * 20000),
    "shift of floats": "v << 2",
    "function of the other arithmetic": "decay12(v, w)",
    "too few arguments": "where(v > 1, v)",
    "too many arguments": "abs(v, w)",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_refuses(text):
    with pytest.raises(EquationError):
        parse_expression(text)


@pytest.mark.parametrize("terms", [300, 450, 600, 900])
def test_sums_of_any_length_are_read_or_refused_but_never_overflow_the_stack(terms):
    with contextlib.suppress(EquationError):
        assert len(list(names(parse_expression("+".join(["v"] * terms))))) == terms


@pytest.mark.parametrize("text", ["v / 2", "v + 1.0", "sqrt(v)"])
def test_integer_arithmetic_has_no_fractions(text):
    with pytest.raises(EquationError):
        parse_expression(text, "loihi")


@pytest.mark.parametrize(
    "text",
    ["(v > 1) + (w > 1)", "-(v > 1)", "(v > 1) * 2.0", "v and w", "not v", "where(v, 1, 2)", "min(v > 1, w)", "(v > 1) > w"],
)
def test_conditions_and_numbers_do_not_mix(text):
    """NumPy's True + True is True, C's is 2; NumPy cannot negate a bool; C's `double & double` does not compile."""
    with pytest.raises(EquationError):
        parse_expression(text)


POINTERS = [
    ("v + w.real", "w.real"),
    ("v * gamma(w)", "gamma"),
    ("abs(v, w) + 1", "abs"),
    ("min(v, [w])", "[w]"),
    ("v + 'text'", "'text'"),
    ("where(v > 1, lambda: v, 1)", "lambda"),
    ("v + True", "True"),
    ("v + é", "é"),
    ("v + 1e999", "1e999"),
    ("v + (w << 2)", "w << 2"),
]


@pytest.mark.parametrize(("text", "culprit"), POINTERS)
def test_errors_point_at_the_culprit(text, culprit):
    with pytest.raises(EquationError) as caught:
        parse_expression("   " + text)
    error = caught.value
    assert error.source == text
    assert error.source[error.column :].startswith(culprit)
    shown, pointer = str(error).splitlines()[-2:]
    assert shown[pointer.index("^") :].startswith(culprit)


def test_syntax_errors_point_too():
    with pytest.raises(EquationError) as caught:
        parse_expression("v + * w")
    assert caught.value.column == 4


def test_unknown_functions_are_named_with_the_known_ones():
    with pytest.raises(EquationError, match=r"unknown function 'gamma'; known are abs, .*where"):
        parse_expression("gamma(v)")


def test_statements_are_separated_by_newlines_or_semicolons_and_may_be_commented():
    text = "v = w + 1; w = v  # not; here\n\n# nor; here\nu = 2"
    assert parse_statements(text) == (Assign("v", Binary("+", W, ONE)), Assign("w", V), Assign("u", Number(2)))


@pytest.mark.parametrize(
    "text", ["v", "v == 1", "v + 1 = 2", "1 = v", "v **= 1", "v % = 1", "+= 1", "_v = 1", "é = 1", "v.x = 1", "v = w = 1"]
)
def test_statements_refuse(text):
    with pytest.raises(EquationError):
        parse_statements(text)


def test_equations_are_read_in_order():
    parsed = parse_equations("dsyn/dt = -syn  # decays; slowly\n dv/dt=syn")
    assert parsed == (Assign("syn", Unary("-", Name("syn"))), Assign("v", Name("syn")))


@pytest.mark.parametrize("text", ["v = 1", "dv/dx = 1", "dv/dt", "d/dt = 1", "dv/dt = 1\ndv/dt = 2", "d_v/dt = 1"])
def test_equations_refuse(text):
    with pytest.raises(EquationError):
        parse_equations(text)


@pytest.mark.parametrize("name", ["", "1v", "_v", "v w", "v-w", "é", "v\n", "__class__", "v.w"])
def test_identifiers_are_plain_ascii_names(name):
    with pytest.raises(EquationError, match="parameter"):
        check_identifier(name, "parameter")


def test_names_come_in_order_with_repeats_and_substitution_reaches_everywhere():
    expr = parse_expression("where(v > w and not v < 1, -v, min(w, v))")
    assert list(names(expr)) == ["v", "w", "v", "v", "w", "v"]
    replaced = substitute(expr, {"v": Number(7), "w": Name("x")})
    assert replaced.args[0] == parse_expression("7 > x and not 7 < 1")
    assert replaced.args[1:] == (Unary("-", Number(7)), parse_expression("min(x, 7)"))
    assert list(names(expr)) == ["v", "w", "v", "v", "w", "v"]


def test_every_function_parses_in_its_arithmetic_only():
    for function, (arity, arithmetic) in FUNCTIONS.items():
        arguments = ["v > 1", "v", "w"] if function == "where" else ["v"] * arity
        text = f"{function}({', '.join(arguments)})"
        for candidate in ("float", "loihi"):
            if arithmetic in ("any", candidate):
                assert parse_expression(text, candidate).function == function
            else:
                with pytest.raises(EquationError, match=f"does not exist in {candidate}"):
                    parse_expression(text, candidate)

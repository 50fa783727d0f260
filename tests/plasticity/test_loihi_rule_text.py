"""The grammar of `LoihiRule`: what texts mean, by Lava's own parser and what is refused, with which cure."""

from __future__ import annotations

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.conformance.loihi_rules import random_loihi_rule
from neurocomp.ir.errors import EquationError, ModelError
from neurocomp.ir.plasticity.products import parse_products, products_text

IMPULSES = {f"{trace}_impulse": 1 for trace in ("x1", "x2", "y1", "y2", "y3")}

CANONICAL = {
    "2^-2*x1*y0 - 2^-2*y1*x0": "2^-2*y0*x1-2^-2*x0*y1",
    " x0 * y1": "x0*y1",
    "-x0": "-x0",
    "0.25*x0": "2^-2*x0",
    "0.75*x0*0.5": "3*2^-3*x0",
    "4*x0": "4*x0",
    "2^2*x0": "2^2*x0",
    "12*x0": "6*2^1*x0",
    "(-2) * 2 ^ -3 * x0 * y1 + (3)*y0": "-2*2^-3*x0*y1+3*y0",
    "x0*(y1-3)*(2+w)": "x0*(y1-3)*(w+2)",
    "x0*(3-y1)": "-x0*(y1-3)",
    "u4*sgn(w)*sgn(t-1)": "u4*sgn(w)*sgn(t-1)",
    "x0*(x1)*(+x2)": "x0*x1*x2",
    "x0*(-w+3)": "-x0*(w-3)",
    "x0*(w+0)": "x0*w",
}


@pytest.mark.parametrize("text", CANONICAL)
def test_texts_have_one_canonical_form(text):
    assert products_text(parse_products("dw", text)) == CANONICAL[text]
    assert parse_products("dw", CANONICAL[text]) == parse_products("dw", text)


@pytest.mark.parametrize("text", [*(x for x in CANONICAL if "." not in x), None])
def test_lava_reads_the_same_from_the_text_as_it_was_written(text, lava):
    from lava.magma.core.learning.product_series import ProductSeries
    from lava.magma.core.learning.symbolic_equation import SymbolicEquation

    rng = np.random.default_rng(0)
    texts = [text] if text else [random_loihi_rule(rng).dw for _ in range(300)]
    for written in texts:
        for given in (written, products_text(parse_products("dw", written))):
            theirs = ProductSeries(SymbolicEquation("dw", given)).products
            found = [
                (x.dependency, x.s_mantissa, x.s_exp, [(f.state_var, f.const or 0, f.is_sgn) for f in x.factors])
                for x in theirs
            ]
            ours = parse_products("dw", written)
            wanted = [(x.dependency, x.mantissa, x.left, [(f.name, f.constant, f.sign) for f in x.factors]) for x in ours]
            assert found == wanted, given


REFUSED = {  # text -> (column, part of the message)
    "x1*y1": (0, "the product x1*y1 has no dependency, which says when it happens; multiply it by x0"),
    "x0*x1 + 3*w": (8, "the product 3*w has no dependency"),
    "x0*y0": (3, "exactly one of x0, y0 and u<k>"),
    "x0*u1": (3, "exactly one of x0, y0 and u<k>"),
    "0.3*x0": (0, "0.3 is not an integer of 1..7 times 2^-7 .. 2^8; the nearest are 2^-2 = 0.25 and 5*2^-4 = 0.3125"),
    "x0*11": (
        0,
        "the scale of x0*11, 11, is not an integer of 1..7 times 2^-7 .. 2^8; the nearest are 5*2^1 = 10 and 3*2^2 = 12",
    ),
    "2^-8*x0": (0, "the nearest is 2^-7 = 0.0078125"),
    "2^9*x0": (0, "not an integer of 1..7 times 2^-7 .. 2^8"),
    "0*x0": (0, "is 0; leave it out"),
    "x0*z": (3, "unknown factor 'z'"),
    "x0*x3": (3, "unknown factor 'x3' (did you mean "),
    "x0*(-x2)": (4, "Lava drops the sign of (-x2); write it before the product"),
    "x0*d": (3, "in Lava it delays nothing"),
    "x0*(x1+y1)": (4, "longer sums are products"),
    "x0*(x1+0.5)": (4, "brackets hold a factor and a whole number"),
    "x0*(w+300)": (4, "the constant 300 is outside -256..255"),
    "(x0+1)*x1": (1, "it stands alone, without brackets"),
    "x0*sgn(x1)": (3, "sgn takes w or t"),
    "x0*sgn w": (7, "'(' is missing after sgn"),
    "x0*(x1+2": (8, "')' is missing"),
    "u*w": (0, "'u' is not u0 .. u9"),
    "u_2*w": (0, "'u_2' is not u0 .. u9"),
    "u12*w": (0, "'u12' is not u0 .. u9"),
    "x0/4": (2, "powers of two are written 2^-3"),
    "x0*x1^2": (5, "powers of two are written 2^-3"),
    "x0*2**-2": (4, "powers of two are written 2^-3"),
    "2^99999999999*x0": (2, "a number of 11 digits is no scale, constant or exponent"),
    "1" * 5000 + "*x0": (0, "a number of 5000 digits"),
    "2^999*2^999*x0": (0, "a huge number, is not an integer of 1..7 times 2^-7 .. 2^8; the nearest is 7*2^8 = 1792"),
    "3^2*x0": (0, "3^ is not a power of two"),
    "2^0.5*x0": (2, "the exponent of 2^ is a whole number"),
    "x0 x1": (3, "'x1' follows without an operator"),
    "x0 +": (4, "a factor is missing before the end of the rule"),
    "x0*x1; import os": (5, "';' has no place in a rule"),
    "x0*w*w*w*t": (0, "have 36 bits (7 for a trace, 9 for w and t), more than 28"),
}


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("target", ["dw", "dt"])
def test_what_is_no_rule_is_refused_at_its_column(text, target):
    column, message = REFUSED[text]
    with pytest.raises(EquationError) as caught:
        nc.LoihiRule(**{target: text}, **IMPULSES)
    assert message in str(caught.value)
    assert f"LoihiRule, {target}: " in str(caught.value)
    assert (caught.value.source, caught.value.column) == (text, column)


def test_any_text_is_a_rule_or_refused_in_words():
    rng = np.random.default_rng(0)
    parts = [
        "x0",
        "y0",
        "u2",
        "x1",
        "w",
        "sgn",
        "(",
        ")",
        "*",
        "+",
        "-",
        "^",
        "2",
        "3",
        "0.5",
        " ",
        "d",
        "/",
        "$",
        "2^-3",
        "**",
        ".",
        "u",
    ]
    good, refused = 0, []
    for _ in range(20_000):
        text = "".join(rng.choice(parts, rng.integers(1, 9)))
        try:
            good += bool(nc.LoihiRule(text, **IMPULSES))
        except (EquationError, ModelError) as error:
            refused.append(str(error))
    assert all(x.startswith("LoihiRule") for x in refused)
    assert 100 < good < 10_000


WRONG = [
    ({"dw": ""}, "nothing is learned; give dw"),
    ({"dw": "  "}, "nothing is learned; give dw"),
    ({"dw": 3}, "dw is text"),
    ({"dw": "x0", "dd": "x0"}, "the delay it would learn delays nothing in Lava"),
    ({"dw": "u1*w", "dt": "u2*t"}, "u1 and u2 in one rule; all its u<k> need the same k"),
    ({"dw": "x1*y0"}, "dw uses x1, which is always 0, as x1_impulse is; give x1_impulse and x1_tau"),
    (
        {"dw": "x0", "x1_impulse": 16.3},
        "x1_impulse = 16.3 is not a multiple of 1/256, as Loihi keeps it; nearest is 16.30078125",
    ),
    ({"dw": "x0", "y3_impulse": 128}, "y3_impulse = 128 is outside 0..127"),
    ({"dw": "x0", "y1_impulse": -1}, "y1_impulse = -1 is outside 0..127"),
    ({"dw": "x0", "x2_tau": 10.5}, "x2_tau = 10.5 is not a whole number; the nearest is 10"),
    ({"dw": "x0", "x2_tau": -1}, "x2_tau = -1 is below 0"),
    ({"dw": "x0", "x2_tau": "long"}, "x2_tau = 'long' is not a number"),
    ({"dw": "x0", "x2_tau": float("nan")}, "x2_tau = nan is not finite"),
    ({"dw": "x0", "t_epoch": 0}, "t_epoch = 0 is outside 1..63"),
    ({"dw": "x0", "t_epoch": 64}, "t_epoch = 64 is outside 1..63"),
    ({"dw": "x0", "rng_seed": -1}, "rng_seed = -1 is below 0"),
    ({"dw": "x0", "rng_seed": None}, "rng_seed = None is not a number"),
]


@pytest.mark.parametrize(("values", "message"), WRONG, ids=[x[1][:40] for x in WRONG])
def test_values_that_make_no_sense_are_refused(values, message):
    with pytest.raises(ModelError) as caught:
        nc.LoihiRule(**values)
    assert message in str(caught.value)


def test_the_text_form_names_what_is_used():
    net = nc.Network("text", dt=1e-3)
    net.input("x", 1)
    net.population("y", nc.LoihiLIF(du=0, dv=0, vth=1), 1)
    rule = nc.LoihiRule("0.5*x1*y0", x1_impulse=7.5, x1_tau=10.0, t_epoch=2, rng_seed=3)
    net.connect("x", "y", nc.Dense([[1]]), plasticity=rule)
    assert "learns by LoihiRule dw='2^-1*y0*x1' x1_impulse=7.5 x1_tau=10 t_epoch=2 rng_seed=3" in nc.text(net)


def test_connect_wants_a_rule():
    net = nc.Network("text", dt=1e-3)
    net.input("x", 1)
    net.population("y", nc.LoihiLIF(du=0, dv=0, vth=1), 1)
    with pytest.raises(ModelError, match=r"plasticity= takes a rule with its numbers.*not <class"):
        net.connect("x", "y", nc.Dense([[1]]), plasticity=nc.LoihiRule)

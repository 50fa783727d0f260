"""Units: what their texts mean, unit names in equations, and the mistakes that dimensions reveal, with where they point."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocomp import compile as compile_network
from neurocomp.ir import units
from neurocomp.ir.dimensions import ONE, SYMBOLS, UNIT_NAMES, parse_unit, readable
from neurocomp.ir.errors import EquationError
from neurocomp.ir.expressions import Binary, Name, Number, parse_equations, parse_expression, parse_number, parse_statements
from neurocomp.ir.integrators import scheme
from neurocomp.ir.model import NeuronModel
from neurocomp.ir.network import Network
from neurocomp.ir.neurons import BUILTIN
from neurocomp.ir.printers.text import form_text, to_text

GOOD = {
    "name": "M",
    "parameters": {"tau": "s", "r": "ohm", "e": "V", "th": "V", "i_0": "A", "c": "F", "g": "S"},
    "equations": "dv/dt = (e - v + r * a) / tau",
    "spike": "v > th",
    "resets": {"value": "v = e"},
}


def refused(**change):
    with pytest.raises(EquationError) as caught:
        NeuronModel(**{**GOOD, **change})
    return caught.value


# -------------------------------------------------------------------------------------------------------------- mistakes

# what is wrong -> (change of GOOD, message, the statement it shows, what it points at there)
MISTAKES = {
    "a missing time constant": (
        {"equations": "dv/dt = e - v + r * a"},
        "dv/dt: the right-hand side is V, but dv/dt is V/s; divide it by a time constant",
        "dv/dt = e - v + r * a",
        "e - v",
    ),
    "a missing time constant, nothing else known": (
        {"equations": "dv/dt = (e - v + r * a) / tau\ndw/dt = a * 0 - w"},
        "dw/dt: the right-hand side is [w], but dw/dt is [w]/s; divide it by a time constant",
        "dw/dt = a * 0 - w",
        "a * 0",
    ),
    "a current added to a voltage": (
        {"equations": "dv/dt = (e - v + i_0) / tau"},
        "dv/dt: cannot add V and A",
        "dv/dt = (e - v + i_0) / tau",
        "+ i_0",
    ),
    "a missing bracket": (
        {"equations": "dv/dt = e - v / tau"},
        "spike: cannot compare V*s with V (v is V*s)",
        "v > th",
        "> th",
    ),
    "a conductance for a current": (
        {"equations": "dv/dt = (g * (e - v) + g) / c"},
        "dv/dt: cannot add A and S",
        "dv/dt = (g * (e - v) + g) / c",
        "+ g)",
    ),
    "exp of volts": (
        {"equations": "dv/dt = (e - v + th * exp(v - th)) / tau"},
        "dv/dt: exp() needs a plain number, not V",
        "dv/dt = (e - v + th * exp(v - th)) / tau",
        "exp(",
    ),
    "rounding volts": (
        {"resets": {"down": "v = e * round(v)"}},
        "reset 'down': round() needs a plain number, not V",
        None,
        "round",
    ),
    "volts compared with seconds": ({"spike": "v > th and v > tau"}, "spike: cannot compare V with s (v is V)", None, "> tau"),
    "volts compared with a number": (
        {"spike": "v > 1.0"},
        "spike: cannot compare V with 1 (v is V); a plain number has no unit: write 1.0*V",
        None,
        "> 1.0",
    ),
    "a number for a voltage per second": (
        {"equations": "dv/dt = (e - v) / tau + 5"},
        "dv/dt: cannot add V/s and 1; a plain number has no unit: write 5*V/s",
        "dv/dt = (e - v) / tau + 5",
        "+ 5",
    ),
    "a reset to a time": ({"resets": {"value": "v = tau"}}, "reset 'value': cannot assign s to v, which is V", None, "tau"),
    "a reset to a number, after another statement": (
        {"resets": {"value": "v = e;  v = -65  # mV"}},
        "reset 'value': cannot assign 1 to v, which is V; a plain number has no unit: write -65*V",
        "v = -65",
        "-65",
    ),
    "two units in where": (
        {"before": "x = where(v > th, tau, e)"},
        "before: where() must get one unit, not s and V",
        "x = where(v > th, tau, e)",
        "where",
    ),
    "two units in min": (
        {"after": "v = v\n\n x = 2 * min(v, i_0)  # here"},
        "after: min() must get one unit, not V and A",
        "x = 2 * min(v, i_0)",
        "min",
    ),
    "a square added": (
        {"equations": "dv/dt = (e - v + v ** 2) / tau"},
        "dv/dt: cannot add V and V^2",
        "dv/dt = (e - v + v ** 2) / tau",
        "+ v **",
    ),
    "a root of the wrong quantity": (
        {"equations": "dv/dt = (e - v) / tau + e * sqrt(2 / tau) * randn()"},
        "dv/dt: cannot add V/s and V/s^0.5",
        "dv/dt = (e - v) / tau + e * sqrt(2 / tau) * randn()",
        "+ e *",
    ),
    "a power that changes": (
        {"equations": "dv/dt = (e - v + e * 2 ** v) / tau"},
        "dv/dt: a power that changes needs plain numbers, not V",
        "dv/dt = (e - v + e * 2 ** v) / tau",
        "** v",
    ),
    "an error in the second equation of a line": (
        {"equations": "dw/dt = -w / tau; dv/dt = (e - v + c) / tau"},
        "dv/dt: cannot add V and F",
        "dv/dt = (e - v + c) / tau",
        "+ c",
    ),
    "an error on a later line": (
        {"equations": "\n  dw/dt = -w / tau  # fine\n\n    dv/dt = (e - v - c) / tau"},
        "dv/dt: cannot subtract F from V",
        "dv/dt = (e - v - c) / tau",
        "- c",
    ),
    "a condition over two lines": (
        {"spike": "(v > th and\nv > tau)"},
        "spike: cannot compare V with s (v is V)",
        "(v > th and v > tau)",
        "> tau",
    ),
    "a payload in volts": ({"payload": "v"}, "payload: a payload is a plain number, not V", None, "v"),
    "a start in seconds": ({"initial": {"v": "tau"}}, "initial v: cannot start v, which is V, at s", "tau", "tau"),
    "a constraint over two units": (
        {"constraints": ("tau > 0", "e < tau")},
        "constraint 'e < tau': cannot compare V with s",
        "e < tau",
        "< tau",
    ),
    "a gate without its equation": (
        {"equations": "dv/dt = (g * m ** 3 * (e - v) + i_0 + 3 * nA) / c"},
        "dv/dt: cannot add A*m^3 and A (m is a unit here, as the model defines no m)",
        "dv/dt = (g * m ** 3 * (e - v) + i_0 + 3 * nA) / c",
        "+ i_0",
    ),
    "a power beyond all bounds": (
        {"after": "x = e + (v ** 1e300) ** 1e300 * 0.5"},
        f"after: cannot add V and V^1{'0' * 600}",
        "x = e + (v ** 1e300) ** 1e300 * 0.5",
        "+ (v",
    ),
    "a unit name misspelt": (
        {"spike": "v > 10 * mv"},
        "spike: unknown name 'mv' (did you mean mV?); states are v, parameters tau, r, e, th, i_0, c, g, inputs a",
        None,
        "mv",
    ),
}


@pytest.mark.parametrize(("change", "message", "source", "culprit"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_named_and_pointed_at(change, message, source, culprit):
    error = refused(**change)
    source = source or next(iter(change["resets"].values()) if "resets" in change else iter(change.values()))
    column = source.rindex(culprit)
    assert str(error) == f"model M, {message}\n    {source}\n    {' ' * column}^"
    assert (error.source, error.column) == (source, column)


PARAMETERS = {
    "a unit in the wrong case": ("mv", "unknown unit 'mv'; did you mean mV?", 0),
    "a word": ("sec", "unknown unit 'sec'; did you mean s?", 0),
    "a unit with a slip": ("S/Ohm", "unknown unit 'Ohm'; did you mean ohm?", 2),
    "no unit at all": (
        "A/m^2*qq",
        "unknown unit 'qq'; known are V, A, s, m, S, ohm, F, C, Hz, W, J, N, K, mol, g, rad, with prefixes",
        6,
    ),
    "a prefix": (
        "mV",
        "numbers are in SI units without prefixes; declare 'V' and give 20 mV as 0.02; in equations, 20*mV works",
        0,
    ),
    "a prefix inside": ("mS/cm^2", "numbers are in SI units without prefixes; declare 'S/m^2' and give 20 mS/cm^2 as 200", 0),
    "not ASCII": ("kΩ", "units are plain ASCII; write u for micro and ohm for the ohm sign", 1),
    "a sum": ("V + A", "only symbols, *, / and powers make a unit", 0),
    "a number": ("2*V", "only symbols, *, / and powers make a unit", 0),
    "a truth": ("True", "only symbols, *, / and powers make a unit", 0),
    "a power of a unit": ("V^s", "the exponent of a unit is a small number, such as 2, -1 or 0.5", 2),
    "a division by zero": ("V^(1/0)", "the exponent of a unit is a small number, such as 2, -1 or 0.5", 3),
    "a huge power": ("V^1000000000", "the exponent of a unit is a small number, such as 2, -1 or 0.5", 2),
    "two words": ("V s", "'V s' is not a unit; units read like V, A/V or S/m^2", 0),
    "many brackets": ("(" * 500 + "V" + ")" * 500, None, 0),
}


@pytest.mark.parametrize(("unit", "message", "column"), PARAMETERS.values(), ids=PARAMETERS.keys())
def test_parameters_need_units_that_are_units(unit, message, column):
    error = refused(parameters={**GOOD["parameters"], "x": unit})
    assert error.message.startswith("model M, parameter x: ")
    assert message is None or error.message.removeprefix("model M, parameter x: ") == message
    assert (error.source, error.column) == (unit, column)


# The last claim of a contradiction gets the blame; the surest are taken first.
BLAME = {
    "the number, not the threshold": ({"equations": "dv/dt = (0.5 - v) / tau"}, "cannot subtract V from 1", "dv/dt"),
    "the equation without a capacitance": (
        {"equations": "dw/dt = v - e\ndv/dt = (g * (e - v) - w + i_0) / c"},
        "the right-hand side is V, but dw/dt is A/s",
        "dw/dt",
    ),
    "the statement before the equations": ({"before": "x = max(v, tau)"}, "max() must get one unit, not V and s", "before"),
    "the inner of two": ({"equations": "dv/dt = (e - v + exp(e + i_0)) / tau"}, "cannot add V and A", "dv/dt"),
}


@pytest.mark.parametrize(("change", "message", "place"), BLAME.values(), ids=BLAME.keys())
def test_blame_falls_on(change, message, place):
    error = refused(**change)
    assert error.message.startswith(f"model M, {place}: {message}")


RIGHT = {
    "as it is": {},
    "zero fits anything": {
        "resets": {"value": "v = 0"},
        "spike": "v > 0.0 or i_0 > 0",
        "constraints": ("tau > 0", "e >= -0.0"),
    },
    "zero in functions": {"before": "x = where(v > th, 0, v); y = max(0.0, i_0); z = min(x, 0.0)"},
    "temporaries of any unit": {"before": "x = v * v; y = x / tau", "after": "z = sqrt(x) + v"},
    "dt and t": {"after": "v = v + e * dt / tau + e * sin(t / tau)"},
    "white noise": {"equations": "dv/dt = (e - v) / tau + e * sqrt(2 / (tau * dt)) * randn()"},
    "fixed powers": {"before": "x = v ** 0.5 * sqrt(v) + v ** 3 / e ** 2 + e * (v / e) ** (1 / 3) + v ** -1 * v ** 2"},
    "exponent zero": {"before": "x = v + e * v ** 0"},
    "a quantity with its unit": {"spike": "v > -50 * mV", "resets": {"value": "v = -65 * mV"}, "initial": {"v": "-65 * mV"}},
    "units in constraints": {"constraints": ("tau > 1 * us", "c < 1 * uF")},
    "a payload in millivolts": {"payload": "v / mV"},
    "a payload nobody can tell": {"equations": "dv/dt = (e - v) / tau\ndw/dt = -w / tau", "payload": "w"},
    "units that are the same": {"parameters": {**GOOD["parameters"], "e": "A*ohm", "th": "J/C", "r": "1/S"}},
    "roots": {"parameters": {**GOOD["parameters"], "q": "V/s^0.5"}, "after": "v = v + q * sqrt(dt) * randn()"},
    "the refractory twin's counters": {"refractory": ("v",)},
}


@pytest.mark.parametrize("change", RIGHT.values(), ids=RIGHT.keys())
def test_right_models_pass(change):
    model = NeuronModel(**{**GOOD, **change})
    assert model.units["v"] == "V"
    if model.refractory:
        assert model(tau=1, r=1, e=0, th=1, i_0=0, c=1, g=1, t_ref=2e-3).model.units["refractory"] == ""


# ------------------------------------------------------------------------------------------------------- inferred units


def test_units_of_states_and_inputs_follow_from_the_equations():
    found = {model.name: dict(model.units) for model in BUILTIN}
    assert found["CubaLIF"] == {"i": "A", "v": "V", "a": "A"}
    assert found["IF"] == {"v": "V", "a": "A/s"}
    assert found["AlphaLIF"] == {"j_exc": "A/s", "i_exc": "A", "j_inh": "A/s", "i_inh": "A", "v": "V", "exc": "A", "inh": "A"}
    assert found["CobaLIF"] == {"g_exc": "S", "g_inh": "S", "v": "V", "exc": "S", "inh": "S"}
    assert found["HodgkinHuxley"] == {"m": "", "h": "", "n": "", "v": "V", "a": "A/m^2"}
    assert found["Poisson"] == {"left": "", "a": "?"}
    assert found["LoihiLIF"] == {"u": "?", "v": "?", "a": "?"}


def test_repr_shows_the_units_found():
    assert repr(NeuronModel(**GOOD)).splitlines()[-1] == "    states: v [V]; input: a [A]"
    last = repr(next(model for model in BUILTIN if model.name == "CobaLIF")).splitlines()[-1]
    assert last == "    states: g_exc [S], g_inh [S], v [V]; inputs: exc [S], inh [S]"


def test_a_model_without_any_unit_is_in_plain_numbers():
    model = NeuronModel("M", {"k": "", "l": " "}, "dv/dt = a - v * k + 1", spike="v > 1", resets={"r": "v = dt"})
    assert model.units == {"v": "?", "a": "?"}
    with pytest.raises(EquationError, match="divide it by a time constant"):
        NeuronModel("M", {"k": ""}, "dv/dt = 20 * mV - v * k")  # it names one


# ---------------------------------------------------------------------------------------------- unit names in equations


def test_unit_names_are_numbers_in_si_units():
    model = NeuronModel(
        "M",
        {"tau": "s"},
        "dv/dt = (-65 * mV - v) / tau + 2 * kHz * (a * uV / mV)",
        spike="v > 3.5 * mV",
        resets={"r": "v = 2 * V"},
    )
    assert model.parse(parse_number, "3.5 * mV") == Binary("*", Number(3.5), Number(1e-3))
    made = scheme(model, "euler", "r")
    assert form_text(made.form) == "v = v * v_decay + a * v_a + v_bias\nspike: v > 0.0035\nreset: v = 2"
    assert to_text(made.coefficients["v_a"].term) == "2 * 1000.0 * (1e-06 / 0.001)"
    for name, unit in UNIT_NAMES.items():
        assert model.parse(parse_number, f"1e3 + {name}") == Binary("+", Number(1e3), Number(unit.scale))
        assert isinstance(unit.scale, float)
    assert UNIT_NAMES["mV"].scale == 1e-3
    assert UNIT_NAMES["pF"].scale == 1e-12
    assert UNIT_NAMES["Gohm"].scale == 1e9
    assert UNIT_NAMES["cm"].scale == 1e-2


def test_units_without_a_prefix_cost_nothing():
    model = NeuronModel(**GOOD)
    assert model.parse(parse_number, "v * V / s * 2 * Hz") == parse_expression("v * 2")
    assert model.parse(parse_statements, "v = 2 * V; w = ms") == parse_statements("v = 2; w = 1e-3")


def test_a_models_own_names_come_first():
    model = NeuronModel(
        "M",
        {"mV": "V", "s": "s"},
        "dm/dt = (mV - m + A) / s",
        before="A = 2 * mV; V = A",
        spike="m > V",
        resets={"r": "m = S * m"},
        receptors=("S",),
    )
    assert units.unit_names(model).isdisjoint({"mV", "s", "m", "A", "V", "S"})
    assert model.units == {"m": "V", "S": ""}
    assert model.parse(parse_number, "mV + nS") == Binary("+", Name("mV"), Number(1e-9))


def test_integer_arithmetic_has_no_unit_names():
    with pytest.raises(EquationError, match="unknown name 'mV'"):
        NeuronModel("M", {"k": ""}, step="v = v + a + mV", arithmetic="loihi")


@pytest.mark.parametrize("target", ["reference"])
def test_unit_names_run(target):
    """10 mV above rest, and the same in numbers: the same bits."""

    def trace(*texts):
        equations, spike, reset, start, constraint = texts
        model = NeuronModel(
            "M", {"tau": "s"}, equations, spike=spike, resets={"r": reset}, initial={"v": start}, constraints=(constraint,)
        )
        net = Network("n", dt=1e-3, integrator="euler")
        net.population("p", model(tau=5e-3), 2, bias=0.02)
        record = compile_network(net, target).run({}, 40, ["p.v", "spikes"])
        assert record["p"].times.size
        return record["p.v"]

    by_name = trace("dv/dt = (-70 * mV - v + a) / tau", "v > -55 * mV", "v = -65 * mV", "-70 * mV", "tau > 1 * ms")
    by_number = trace(
        "dv/dt = (-70 * 0.001 * V - v + a) / tau", "v > -55 * 0.001 * V", "v = -0.065 * V", "-0.07 * V", "tau > 0.001 * s"
    )
    np.testing.assert_array_equal(by_name, by_number)
    assert by_name[0, 0] == pytest.approx(-0.07 + 0.02 / 5)


# -------------------------------------------------------------------------------------------------------- unit texts

SAME = [
    ("V", "kg*m^2/s^3/A"),
    ("ohm", "V/A"),
    ("S", "1/ohm"),
    ("F", "C/V"),
    ("C", "A*s"),
    ("Hz", "s^-1"),
    ("W", "V*A"),
    ("J", "N*m"),
    ("V/s", "mV/ms"),
    ("V/s", "A/F"),
    ("S/m^2", "S/(m*m)"),
    ("S/m**2", " S / m ^ 2 "),
    ("V/s^0.5", "V/s^(1/2)"),
    ("mS/cm^2", "dV*cm^-2*mS/dV"),
    ("1", ""),
    ("rad/s", "Hz"),
    ("mol/m^3", "mmol/dm^3"),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_units_that_are_the_same(first, second):
    assert parse_unit(first) == parse_unit(second)


def test_units_that_differ():
    assert (
        len({readable(parse_unit(x)) for x in ("V", "A", "s", "m", "S", "ohm", "F", "C", "Hz", "W", "J", "N", "K", "mol")})
        == 14
    )
    assert parse_unit("mV") != parse_unit("V")
    assert parse_unit("mV").unscaled == parse_unit("V")


SHOWN = """
    1 V A S ohm F C s m W J N K mol 1/s V/s A/s m/s 1/V S/V V*s ohm*m F*m V^2 V^2/s V/s^0.5 V^(1/3)
    S/m^2 F/m^2 A/m^2 A/s/m^2 mol/m^3
"""


@pytest.mark.parametrize("text", SHOWN.split())
def test_units_are_shown_as_people_write_them(text):
    assert readable(parse_unit(text)) == text


powers = st.fractions(min_value=-3, max_value=3, max_denominator=4)


@settings(deadline=None)
@given(st.tuples(*[powers] * 6))
def test_what_is_shown_reads_back(exponents):
    unit = ONE
    for symbol, power in zip(("V", "A", "s", "m", "K", "mol"), exponents, strict=True):
        unit = unit.times(SYMBOLS[symbol], power)
    assert parse_unit(readable(unit)) == unit


# ------------------------------------------------------------------------------------------------ columns of statements


def test_operators_point_at_themselves():
    (statement,) = parse_statements("  w  =  (v + 1) *  ((v) - w)  # x")
    assert statement.source == "w  =  (v + 1) *  ((v) - w)"
    assert statement.source[statement.column :].startswith("(v + 1)")
    product = statement.value
    assert [statement.source[x.column] for x in (product, product.left, product.right)] == ["*", "+", "-"]
    equations = parse_equations("dv/dt=v\n dw/dt =  v / 2")
    assert [(x.source, x.source[x.column :]) for x in equations] == [("dv/dt=v", "v"), ("dw/dt =  v / 2", "v / 2")]
    condition = parse_expression("(v) >= w + 1")
    assert (condition.column, condition.right.column) == (4, 9)


# -------------------------------------------------------------------------------------------- random models, right and wrong

KINDS = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, -1, 0), (1, 0, -1), (0, 1, 1), (2, 0, -1), (0, 0, 0)]  # powers of V, A, s
STATES = {"x": KINDS[0], "y": KINDS[1], "z": KINDS[7]}
PARAMETERS_OF_KINDS = {f"p{k}": kind for k, kind in enumerate(KINDS)}


def literal(kind):
    return "*".join(["1.5", *(f"{unit}**{power}" for unit, power in zip("VAs", kind, strict=True) if power)])


def declared(kind):
    return "*".join(f"{unit}^{power}" for unit, power in zip("VAs", kind, strict=True) if power)


def minus(kind, other):
    return tuple(a - b for a, b in zip(kind, other, strict=True))


@st.composite
def expressions(draw, kind, depth=3):
    """A text of the given kind."""
    choice = draw(st.integers(0, 5 if depth else 1))
    known = {**STATES, **PARAMETERS_OF_KINDS}
    if choice == 0:
        return literal(kind)
    if choice == 1:
        return next((name for name in draw(st.permutations(list(known))) if known[name] == kind), literal(kind))
    first, second = draw(expressions(kind, depth - 1)), draw(expressions(kind, depth - 1))
    if choice == 2:
        return f"({first} {draw(st.sampled_from('+-'))} {second})"
    if choice == 3:
        return f"{draw(st.sampled_from(['min', 'max']))}({first}, {second})"
    if choice == 4:
        return f"where({draw(expressions(KINDS[0], depth - 1))} > 0, {first}, {second})"
    name = draw(st.sampled_from(list(known)))
    return f"({draw(expressions(minus(kind, known[name]), depth - 1))} * {name})"


@st.composite
def equations(draw):
    rates = {state: minus(kind, (0, 0, 1)) for state, kind in STATES.items()}
    return {state: f"{draw(expressions(rate))} + {literal(rate)}" for state, rate in rates.items()}


def random_model(rights):
    text = "\n".join(f"d{state}/dt = {right}" for state, right in rights.items())
    return NeuronModel("R", {name: declared(kind) for name, kind in PARAMETERS_OF_KINDS.items()}, text)


@settings(deadline=None, max_examples=60)
@given(equations(), st.sampled_from(list(STATES)), st.sampled_from(KINDS))
def test_random_models_are_refused_exactly_where_they_are_wrong(rights, state, kind):
    model = random_model(rights)
    assert {x: model.units[x] for x in STATES} == {"x": "V", "y": "A", "z": ""}
    if kind != minus(STATES[state], (0, 0, 1)):
        with pytest.raises(EquationError, match=f"d{state}/dt: cannot add"):
            random_model({**rights, state: f"{rights[state]} + {literal(kind)}"})

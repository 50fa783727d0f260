"""The printers of step programs: NumPy and C compute the same bits, and the text reads back as the same tree."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from neurocomp.ir.expressions import Assign, Binary, Call, Compare, Logic, Name, Number, Unary, names, parse_expression
from neurocomp.ir.printers.c import C_PRELUDE, c_function
from neurocomp.ir.printers.numpy import numpy_step, numpy_value
from neurocomp.ir.printers.text import form_text, to_text
from neurocomp.ir.program import StepForm

COMPILER = shutil.which("gcc")
N = 64
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
FLAGS = ["-O2", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-std=c11", "-w", "-shared", "-fPIC"]
QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck))


# ------------------------------------------------------------------------------------------------- random expression trees


def _conditions(numbers):
    compare = st.builds(Compare, st.sampled_from([">", ">=", "<", "<=", "==", "!="]), numbers, numbers)
    return st.recursive(
        compare,
        lambda inner: st.one_of(
            st.builds(Logic, st.sampled_from(["and", "or"]), inner, inner), st.builds(Unary, st.just("not"), inner)
        ),
        max_leaves=3,
    )


def _negated(expr):
    return Number(-expr.value) if isinstance(expr, Number) else Unary("-", expr)


def _calls(numbers):
    where = st.builds(lambda c, x, y: Call("where", (c, x, y)), _conditions(numbers), numbers, numbers)
    pair = st.builds(lambda f, x, y: Call(f, (x, y)), st.sampled_from(["min", "max"]), numbers, numbers)
    return where | pair | st.builds(lambda x: Call("abs", (x,)), numbers) | st.builds(_negated, numbers)


_floats = st.one_of(
    st.integers(0, 2**53).map(Number),
    st.floats(allow_nan=False, allow_infinity=False).map(Number),
    st.sampled_from([Number(0), Number(1), Number(-0.0), Number(5e-324), Number(1e308)]),
    *[st.just(Name(x)) for x in ("x", "y", "a", "k", "m")] * 2,
)
FLOAT = st.recursive(
    _floats,
    lambda inner: (
        st.builds(Binary, st.sampled_from("+-*/"), inner, inner)
        | st.builds(lambda x: Call("sqrt", (x,)), inner)
        | _calls(inner)
    ),
    max_leaves=5,
)

_small = lambda x: Call("clip24", (x,))  # noqa: E731 - keeps products and shifts inside 64 bits
_amount = st.integers(-7, 9).map(Number) | st.just(Name("e"))
_integers = st.one_of(st.integers(-(2**24), 2**24).map(Number), *[st.just(Name(x)) for x in ("x", "y", "a", "k")] * 2)
LOIHI = st.recursive(
    _integers,
    lambda inner: st.one_of(
        st.builds(Binary, st.sampled_from("+-"), inner, inner),
        st.builds(lambda x, y: Binary("*", _small(x), _small(y)), inner, inner),
        st.builds(lambda op, x, e: Binary(op, _small(x), e), st.sampled_from(["<<", ">>"]), inner, _amount),
        st.builds(lambda x, e: Call("shift", (_small(x), e)), inner, _amount),
        st.builds(lambda x: Call("decay12", (_small(x), Name("d"))), inner),
        st.builds(lambda f, x: Call(f, (x,)), st.sampled_from(["wrap24", "clip24"]), inner),
        _calls(inner),
    ),
    max_leaves=5,
)
TREES = {"float": FLOAT, "loihi": LOIHI}


def _forms(arithmetic):
    numbers = TREES[arithmetic]
    return st.builds(
        lambda first, temporary, spike, reset: StepForm(
            arithmetic,
            ("x", "y"),
            (Assign("t", temporary), Assign("x", first), Assign("y", Binary("+", Name("t"), Name("x")))),
            spike,
            (Assign("x", reset),),
        ),
        numbers,
        numbers,
        _conditions(numbers),
        numbers,
    )


# -------------------------------------------------------------------------------------------------------- C against NumPy


def _values(arithmetic, rng):
    if arithmetic == "loihi":
        values = {name: rng.integers(-(2**20), 2**20, N) for name in ("x", "y", "a", "k")}
        values |= {"e": rng.integers(-7, 10, N), "d": rng.integers(0, 4097, N)}
        values["x"][:6] = [0, 1, -1, 2**23, -(2**23), 2**23 - 1]
        return {name: value.astype(np.int64) for name, value in values.items()}
    values = {name: rng.normal(0, 1, N) * 10.0 ** rng.integers(-5, 5, N) for name in ("x", "y", "a", "k", "m")}
    for value in values.values():
        special = [0.0, -0.0, 1.0, -1.0, 5e-324, 1e-310, 1e308, -1e308, np.inf, -np.inf, np.nan]
        value[rng.choice(N, len(special), replace=False)] = special
    return values


def _compiled(forms, folder):
    """The functions of one shared library, called as the engine calls them."""
    functions = [c_function(form, f"f{k}").replace("NC_CLONES", "") for k, form in enumerate(forms)]
    exported = [
        f"void run{k}(ptrdiff_t n, const void *a, void *const *s, const void *const *c, unsigned char *f) {{ f{k}(n, a, s, c, f); }}"
        for k in range(len(forms))
    ]
    source, library = folder / "forms.c", folder / "forms.so"
    source.write_text("\n".join([C_PRELUDE, *functions, *exported]))
    subprocess.run([COMPILER, *FLAGS, str(source), "-o", str(library)], check=True, capture_output=True, text=True)
    loaded = ctypes.CDLL(str(library))
    return [getattr(loaded, f"run{k}") for k in range(len(forms))]


def _pointers(arrays):
    return (ctypes.c_void_p * max(len(arrays), 1))(*[array.ctypes.data for array in arrays])


def _same_bits(first, second):
    first, second = (np.ascontiguousarray(np.broadcast_to(x, (N,))) for x in (first, second))
    if first.dtype.kind == "f":  # the sign and payload of a NaN are the machine's
        nan = np.isnan(first)
        if not np.array_equal(nan, np.isnan(second)):
            return False
        first, second = np.where(nan, 0.0, first), np.where(nan, 0.0, second)
    return first.dtype == second.dtype and first.tobytes() == second.tobytes()


@pytest.mark.skipif(COMPILER is None, reason="no gcc to compile the C printer's output with")
@pytest.mark.parametrize("arithmetic", ["float", "loihi"])
def test_c_and_numpy_agree_bit_for_bit(arithmetic, tmp_path_factory):
    @settings(QUICK, max_examples=5, phases=[Phase.generate])
    @given(st.lists(_forms(arithmetic), min_size=10, max_size=10), st.integers(0, 2**32))
    def agree(forms, seed):
        functions = _compiled(forms, tmp_path_factory.mktemp("c"))
        for form, function in zip(forms, functions, strict=True):
            values = _values(arithmetic, np.random.default_rng(seed))
            state = {name: values[name].copy() for name in ("x", "y")}
            constants = {name: values[name] for name in form.constants}
            arrays = [state[name].copy() for name in form.state]
            fired = np.full(N, 7, np.uint8)
            function(
                ctypes.c_ssize_t(N),
                values["a"].ctypes.data_as(ctypes.c_void_p),
                _pointers(arrays),
                _pointers(list(constants.values())),
                fired.ctypes.data_as(ctypes.c_void_p),
            )
            with np.errstate(all="ignore"):
                spikes = numpy_step(form)(values["a"], state, constants)
            for name, array in zip(form.state, arrays, strict=True):
                assert _same_bits(state[name], array), f"{name} after\n{form_text(form)}"
            assert np.array_equal(np.broadcast_to(spikes, (N,)), fired), form_text(form)

    agree()


def test_numbers_alone_are_floats_too():
    """C computes literals as doubles; NumPy must not fall back to Python's integers (exact, and dividing by zero raises)."""
    with np.errstate(all="ignore"):
        assert numpy_value(parse_expression("1 / 0"), {}) == np.inf
        assert np.signbit(numpy_value(parse_expression("0 * (-1)"), {}))
        assert numpy_value(parse_expression("9007199254740992 + 1 - 9007199254740992"), {}) == 0.0


# -------------------------------------------------------------------------------------------------------------- literals


def _loihi(text, **values):
    return numpy_value(parse_expression(text, "loihi"), {k: np.asarray(v, np.int64) for k, v in values.items()}, "loihi").tolist()


def test_decay_truncates_toward_zero():
    assert _loihi("decay12(x, d)", x=[4095, -4095, 5, -5, 1, -1], d=[1, 1, 2048, 2048, 1, 1]) == [4094, -4094, 2, -2, 0, 0]
    assert _loihi("decay12(x, d)", x=[123, 8388608, -7], d=[4096, 4096, 0]) == [0, 0, -7]


def test_the_current_wraps_and_the_voltage_saturates():
    x = [2**23, 2**23 + 1, -(2**23) + 1, -(2**23), -(2**23) - 5]
    assert _loihi("wrap24(x)", x=x) == [8388608, -8388607, -8388607, 8388608, 8388603]
    assert _loihi("clip24(x)", x=x) == [8388607, 8388607, -8388607, -8388607, -8388607]


def test_shifts_to_the_right_round_down():
    assert _loihi("shift(x, e)", x=[-5, -5, 5, -1], e=[1, -1, -1, -7]) == [-10, -3, 2, -1]
    assert _loihi("x >> e", x=[-5, -5, 5], e=[1, -1, 0]) == [-3, -10, 5]
    assert _loihi("x << e", x=[-5, -5, 5], e=[1, -1, 0]) == [-10, -3, 5]


# ------------------------------------------------------------------------------------------------------------------ text


@pytest.mark.parametrize("arithmetic", ["float", "loihi"])
def test_text_reads_back_as_the_same_tree(arithmetic):
    @settings(QUICK, max_examples=200)
    @given(TREES[arithmetic] | _conditions(TREES[arithmetic]))
    def round_trip(tree):
        text = to_text(tree)
        assert parse_expression(text, arithmetic) == tree, text

    round_trip()


def test_text_has_the_fewest_brackets():
    for text in ("a - b - c", "a - (b - c)", "(a + b) * c", "-a * b", "-(a * b)", "a / (b * c)", "a > b + 1", "where(a > b, a, b)"):
        assert to_text(parse_expression(text)) == text
    assert to_text(parse_expression("(a << b) + c", "loihi")) == "(a << b) + c"
    assert to_text(parse_expression("a << (b + c)", "loihi")) == "a << b + c"


def test_form_text_lists_updates_spike_and_reset():
    form = StepForm(
        "float",
        ("v",),
        (Assign("v", parse_expression("v * d + a")),),
        parse_expression("v > th"),
        (Assign("v", parse_expression("v - th")),),
    )
    assert form_text(form) == "v = v * d + a\nspike: v > th\nreset: v = v - th"
    assert form.constants == ("d", "th")
    assert list(names(form.spike)) == ["v", "th"]

"""The printers of step programs: NumPy and C compute the same bits, and the text reads back as the same tree."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import neurocomp.kernels
from neurocomp.ir.expressions import Assign, Binary, Call, Compare, Logic, Name, Number, Unary, names, parse_expression
from neurocomp.ir.printers.c_step import c_function, takes_sums
from neurocomp.ir.printers.numpy import numpy_step, numpy_value
from neurocomp.ir.printers.text import form_text, to_text
from neurocomp.ir.program import StepForm

COMPILER = shutil.which("gcc")
HEADERS = Path(neurocomp.kernels.__file__).resolve().parent
N = 64
FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-std=c11", "-w", "-shared", "-fPIC"]
QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck))


# ------------------------------------------------------------------------------------------------- random expression trees


LEAVES = {"float": ("x", "y", "a", "k", "m"), "loihi": ("x", "y", "a", "k")}
LITERALS = {
    "float": (0, 1, 3, 2**53, -7, 0.1, -0.0, 5e-324, 1e308, -2.5e-310, 1e-5),
    "loihi": (0, 1, -1, 7, 4096, -4095, 2**23, -(2**24), 2**24 - 1),
}
LEAVES["float32"], LITERALS["float32"] = LEAVES["float"], (*LITERALS["float"], 3e-39, 1e39, 16777217)
NODES = {
    "float": ("+", "-", "*", "/", "neg", "abs", "min", "max", "where", "sqrt"),
    "loihi": ("+", "-", "*", "<<", ">>", "shift", "decay12", "wrap24", "clip24", "neg", "abs", "min", "max", "where"),
}


def _tree(draw, arithmetic, depth):
    """A number. Loihi products and shifts take clipped operands, so that nothing leaves 64 bits."""
    kinds = NODES[arithmetic] if depth else ()
    choice = draw(st.integers(0, len(kinds) + 2))
    if choice < 2 or not kinds:
        return Name(draw(st.sampled_from(LEAVES[arithmetic])))
    if choice == 2:
        return Number(draw(st.sampled_from(LITERALS[arithmetic])))
    kind = kinds[choice - 3]

    def sub():
        return _tree(draw, arithmetic, depth - 1)

    def small():
        return Call("clip24", (sub(),)) if arithmetic == "loihi" else sub()

    if kind in "+-":
        return Binary(kind, sub(), sub())
    if kind in "*/":
        return Binary(kind, small(), small())
    if kind in ("<<", ">>", "shift"):
        amount = Name("e") if draw(st.booleans()) else Number(draw(st.integers(-7, 9)))
        return Call("shift", (small(), amount)) if kind == "shift" else Binary(kind, small(), amount)
    if kind == "neg":
        inner = sub()
        return Number(-inner.value) if isinstance(inner, Number) else Unary("-", inner)
    if kind == "where":
        return Call("where", (_condition(draw, arithmetic, depth - 1), sub(), sub()))
    if kind == "decay12":
        return Call(kind, (small(), Name("d")))
    return Call(kind, (sub(), sub()) if kind in ("min", "max") else (sub(),))


def _condition(draw, arithmetic, depth):
    kind = draw(st.integers(0, 8)) if depth else 0
    if kind < 6:
        operator = draw(st.sampled_from([">", ">=", "<", "<=", "==", "!="]))
        return Compare(operator, _tree(draw, arithmetic, max(depth - 1, 0)), _tree(draw, arithmetic, max(depth - 1, 0)))
    if kind == 6:
        return Unary("not", _condition(draw, arithmetic, depth - 1))
    return Logic(("and", "or")[kind - 7], _condition(draw, arithmetic, depth - 1), _condition(draw, arithmetic, depth - 1))


NODES["float32"] = NODES["float"]


@st.composite
def trees(draw, arithmetic, depth=4):
    return _condition(draw, arithmetic, depth) if draw(st.integers(0, 4)) == 4 else _tree(draw, arithmetic, depth)


@st.composite
def forms(draw, arithmetic):
    first, temporary, reset = (_tree(draw, arithmetic, 3) for _ in range(3))
    updates = (Assign("z", temporary), Assign("x", first), Assign("y", Binary("+", Name("z"), Name("x"))))
    return StepForm(arithmetic, ("x", "y"), updates, _condition(draw, arithmetic, 2), (Assign("x", reset),))


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
    if arithmetic == "float32":
        with np.errstate(all="ignore"):
            return {name: value.astype(np.float32) for name, value in values.items()}
    return values


def _compiled(drawn, folder):
    """The functions of one shared library, called as the engine calls them."""
    functions = [c_function(form, f"f{k}").replace("NC_CLONES", "") for k, form in enumerate(drawn)]
    exported = [
        f"int run{k}(ptrdiff_t n, const void *const *a, void *const *s, const void *const *c, int alike, "
        f"int32_t *const *sums, const int32_t *const *bias, int32_t *ids) {{ const nc_now now = {{.alike = alike, "
        f".sums = sums, .bias = bias, .unit = 0.5}}; return f{k}(n, a, s, c, &now, ids, NULL); }}"
        for k in range(len(drawn))
    ]
    source, library = folder / "forms.c", folder / "forms.so"
    source.write_text("\n".join(['#include "step.h"', *functions, *exported]))
    subprocess.run(
        [COMPILER, *FLAGS, f"-I{HEADERS}", str(source), "-o", str(library)], check=True, capture_output=True, text=True
    )
    loaded = ctypes.CDLL(str(library))
    return [getattr(loaded, f"run{k}") for k in range(len(drawn))]


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
@pytest.mark.parametrize("arithmetic", ["float", "float32", "loihi"])
def test_c_and_numpy_agree_bit_for_bit(arithmetic, tmp_path_factory):
    @settings(QUICK, max_examples=3, phases=[Phase.generate])
    @given(
        st.lists(forms(arithmetic), min_size=12, max_size=12), st.integers(0, 2**32), st.sampled_from(["each", "alike", "sums"])
    )
    def agree(drawn, seed, how):
        functions = _compiled(drawn, tmp_path_factory.mktemp("c"))
        for form, function in zip(drawn, functions, strict=True):
            rng = np.random.default_rng(seed)
            values, alike = _values(arithmetic, rng), how != "each"
            sums, bias = rng.integers(-(2**31), 2**31, (2, N)).astype(np.int32)
            if took := how == "sums" and takes_sums(form)[0]:
                values["a"] = sums.astype(np.int64) if arithmetic == "loihi" else (sums * 0.5).astype(form.dtype)
            state = {name: values[name].copy() for name in ("x", "y")}
            constants = {
                name: np.full_like(values[name], values[name][0]) if alike else values[name] for name in form.constants
            }
            arrays = [state[name].copy() for name in form.state]
            ids = np.full(N, 7, np.int32)
            count = function(
                ctypes.c_ssize_t(N),
                _pointers([np.zeros_like(values["a"]) if took else values["a"]]),
                _pointers(arrays),
                _pointers(list(constants.values())),
                alike,
                _pointers([sums]) if took else None,
                _pointers([bias]) if took else None,
                ids.ctypes.data_as(ctypes.c_void_p),
            )
            with np.errstate(all="ignore"):
                spikes = numpy_step(form)({"a": values["a"]}, state, constants)
            for name, array in zip(form.state, arrays, strict=True):
                assert _same_bits(state[name], array), f"{name} after\n{form_text(form)}"
            wanted = np.flatnonzero(np.broadcast_to(spikes, (N,)))
            assert ids[:count].tolist() == wanted.tolist(), form_text(form)
            if took:
                assert np.array_equal(sums, bias)

    agree()


def test_numbers_alone_are_floats_too():
    """C computes literals as doubles; NumPy must not fall back to Python's integers (exact, and dividing by zero raises)."""
    with np.errstate(all="ignore"):
        assert numpy_value(parse_expression("1 / 0"), {}) == np.inf
        assert np.signbit(numpy_value(parse_expression("0 * (-1)"), {}))
        assert numpy_value(parse_expression("9007199254740992 + 1 - 9007199254740992"), {}) == 0.0


# -------------------------------------------------------------------------------------------------------------- literals


def _loihi(text, **values):
    arrays = {name: np.asarray(value, np.int64) for name, value in values.items()}
    return numpy_value(parse_expression(text, "loihi"), arrays, "loihi").tolist()


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
    @given(trees(arithmetic))
    def round_trip(tree):
        text = to_text(tree)
        assert parse_expression(text, arithmetic) == tree, text

    round_trip()


def test_text_has_the_fewest_brackets():
    for text in ("a - b - c", "a - (b - c)", "(a + b) * c", "-a * b", "-(a * b)", "a / (b * c)", "where(a > b + 1, a, b)"):
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

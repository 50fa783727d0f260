"""Every other function of the compiled modules: what is handed in wrongly is answered by an exception, never by a crash.

`make sanitize` runs this under AddressSanitizer and UndefinedBehaviorSanitizer, which see every access outside an array.
"""

import datetime

import numpy as np
import pytest
from test_engine_checks import (
    UPDATE,
    built,
    f64,
    frozen,
    i32,
    i64,
    linked,
    nodes,
    population,
    strided,
    swapped,
    u16,
    u32,
    works,
)

from neurocomp.kernels import functions, rows
from neurocomp.kernels.fallback import PythonUpdate
from neurocomp.kernels.rules import TABLE as RULES

ERRORS = (ValueError, TypeError, AttributeError, IndexError, OverflowError, KeyError, MemoryError, ZeroDivisionError)
HUGE = 2**62


# ------------------------------------------------------------------------------------------------------- rows of tables

COUNT = {"counts": u32(0, 0, 0), "pre": i32(0, 1), "slot": i32(0), "post": i32(0, 1), "lo": 0, "hi": 2, "n_delays": 1}
COUNTS = {
    "counts of int64": {"counts": i64(0, 0, 0)},
    "strided counts": {"counts": strided(u32(0, 0, 0))},
    "read-only counts": {"counts": frozen(u32(0, 0, 0))},
    "no counts": {"counts": u32()},
    "too few counts": {"counts": u32(0, 0)},
    "counts of the other byte order": {"counts": swapped(u32(0, 0, 0))},
    "a negative source": {"pre": i32(0, -1)},
    "a source beyond": {"pre": i32(0, 2**31 - 1)},
    "a delay beyond": {"slot": i32(0, 2)},
    "a negative delay": {"slot": i32(-1)},
    "no delays": {"slot": i32()},
    "fewer delays": {"slot": i32(0, 0), "pre": i32(0, 1, 1), "post": i32(0, 1, 1)},
    "fewer targets": {"post": i32(0)},
    "more targets": {"post": i32(0, 1, 1)},
    "huge number of delays": {"n_delays": HUGE, "pre": i32(1, 1)},
    "negative number of delays": {"n_delays": -1},
    "lists": {"pre": [0, 1]},
    "two dimensions": {"pre": np.zeros((2, 1), np.int32)},
}


@pytest.mark.parametrize("options", COUNTS.values(), ids=COUNTS.keys())
def test_counting_rows(options):
    with pytest.raises(ERRORS):
        rows.count_rows(*{**COUNT, **options}.values())


def place(**options):
    return {
        "next_free": u32(0, 1), "pre": i32(0, 1), "slot": i32(0), "post": i32(0, 1), "units": i32(5, 6), "lo": 0, "hi": 2,
        "shift": 0, "n_delays": 1, "bits": 16, "packed": u32(), "targets": u16(0, 0), "values": i32(0, 0), **options,
    }  # fmt: skip


PLACES = {
    "places beyond the end": {"next_free": u32(0, 2)},
    "places far beyond": {"next_free": u32(2**32 - 1, 0)},
    "no places": {"next_free": u32()},
    "read-only places": {"next_free": frozen(u32(0, 1))},
    "no room": {"targets": u16(), "values": i32()},
    "fewer values": {"values": i32(0)},
    "more values": {"values": i32(0, 0, 0)},
    "strided values": {"values": strided(i32(0, 0))},
    "fewer weights": {"units": i32(1, 1), "pre": i32(0, 0, 0), "post": i32(0, 0, 0)},
    "no weights": {"units": i32()},
    "no delays": {"slot": i32()},
    "fewer targets": {"post": i32(0)},
    "a target before the window": {"shift": -1},
    "a target behind the window": {"shift": 65535},
    "a huge shift": {"shift": HUGE},
    "no bits": {"bits": 0},
    "bits beyond a word": {"bits": 40, "packed": u32(0, 0)},
    "negative bits": {"bits": -3, "packed": u32(0, 0)},
    "packed words of int32": {"packed": i32(0, 0)},
    "targets of uint32": {"targets": u32(0, 0)},
    "a negative source": {"pre": i32(-1, 1)},
    "a huge number of delays": {"n_delays": HUGE},
}


@pytest.mark.parametrize("options", PLACES.values(), ids=PLACES.keys())
def test_placing_rows(options):
    with pytest.raises(ERRORS):
        rows.place_rows(*place(**options).values())


def test_rows_that_are_right():
    counts, given = u32(0, 0, 0), place()
    rows.count_rows(*{**COUNT, "counts": counts}.values())
    assert counts.tolist() == [0, 1, 1]
    rows.place_rows(*given.values())
    assert (given["targets"].tolist(), given["values"].tolist()) == ([0, 1], [5, 6])


# --------------------------------------------------------------------------------------------------------- functions

KINDS = {
    "no arguments": (),
    "text": ("x",),
    "objects": (None,),
    "too many": (1.0,) * 7,
    "complex": (1j,) * 4,
    "ragged": ([[1.0], [1.0, 2.0]],),
}


@pytest.mark.parametrize("name", functions.TABLE)
@pytest.mark.parametrize("kind", KINDS)
def test_functions_refuse(name, kind):
    with pytest.raises(ERRORS):
        functions.TABLE[name](*KINDS[kind])


@pytest.mark.parametrize("name", functions.TABLE)
def test_functions_of_any_layout_and_of_special_numbers(name):
    """Overlapping, reversed, strided, empty, unaligned and read-only arrays; results may be anything, but stay inside."""
    ufunc = functions.TABLE[name]
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e308, -1e308, 5e-324, 1.0, -1.0, 1e19, -1e19] * 3)
    whole = np.array([0, -1, 2**63 - 1, -(2**63), 1, 7] * 6, np.int64)
    given = [whole.view(np.uint64), whole, whole, whole, special][: ufunc.nin] if ufunc.nin > 2 else [special] * ufunc.nin
    with np.errstate(all="ignore"):
        plain = ufunc(*given)
        for change in (
            lambda x: x[::-1],
            lambda x: strided(x),
            lambda x: frozen(x.copy()),
            lambda x: x[:0],
            lambda x: x.reshape(6, 6).T,
            lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype),
        ):
            result = ufunc(*(change(x) for x in given))
            assert result.tobytes() == np.ascontiguousarray(change(plain)).tobytes()
        out = np.zeros(40)
        assert ufunc(*given, out=out[2:38]).tobytes() == plain.tobytes()
        assert not out[:2].any()
        assert not out[38:].any()
        with pytest.raises(ERRORS):
            ufunc(*given, out=frozen(np.zeros(36)))
        with pytest.raises(ERRORS):
            ufunc(*given, out=np.zeros(35))


@pytest.mark.parametrize(
    "given", [((), 1), ((1, 2, 3), 1), ((1, 2, 3, "x"), 1), (None, 1), ((1, 2, 3, 4), "key"), ((1, 2, 3, 4), None)]
)
def test_philox_refuses(given):
    with pytest.raises(ERRORS):
        functions.philox(*given)


# ----------------------------------------------------------------------------------------------------- updates in Python


def step(inputs, state, constants, now):
    return [state[0] + inputs[0]], state[0] > constants[0]


def test_an_update_in_python_needs_its_own_object():
    """Its capsule calls the context: without it, or with another object, there is nothing to call."""
    update = PythonUpdate(step, 1, 1, 2, dtype=np.float64, graded=False)
    other = PythonUpdate(step, 1, 1, 2, dtype=np.float64, graded=False)
    engine, *_ = fresh = nodes()
    for context in (None, other, object(), 5, update.capsule):
        with pytest.raises(ValueError, match="Capsule"):
            engine.add_population(
                2, 0, update.capsule, [np.zeros(2)], [f64(1), f64(0)], i64(0, 0), 1.0, False, False, context=context
            )
    for capsule in (None, 5, datetime.datetime_CAPI):
        with pytest.raises(ValueError, match="Capsule"):
            engine.add_population(2, 0, capsule, [np.zeros(2)], [f64(1), f64(0)], i64(0, 0), 1.0, False, False, context=other)
    works(*linked(*fresh))


@pytest.mark.parametrize(
    "counts", [(0, 1, 2), (-1, 1, 2), (9, 1, 2), (1, 17, 2), (1, -1, 2), (1, 1, 64), (2**30, 2**30, 2**30)]
)
def test_updates_in_python_of_numbers_that_cannot_be(counts):
    engine, *_ = fresh = nodes()
    update = PythonUpdate(step, *counts, dtype=np.float64, graded=False)
    with pytest.raises(ERRORS):
        engine.add_population(
            2, 0, update.capsule, [np.zeros(2)], [f64(1), f64(0)], i64(0, 0), 1.0, False, False, context=update
        )
    works(*linked(*fresh))


WRONG = {
    "nothing": lambda *_: None,
    "too few states": lambda *_: ([], None),
    "states of another size": lambda *_: ([np.zeros(99)], None),
    "states of text": lambda *_: (["x"], None),
    "spikes of another size": lambda i, s, c, n: (s, np.ones(99)),
    "spikes of text": lambda i, s, c, n: (s, "spike"),
}


@pytest.mark.parametrize("name", WRONG)
def test_updates_in_python_that_return_nonsense(name):
    engine, *_ = nodes()
    update = PythonUpdate(WRONG[name], 1, 1, 2, dtype=np.float64, graded=False)
    state = np.zeros(2)
    engine.add_population(2, 0, update.capsule, [state], [f64(1), f64(0)], i64(0, 0), 1.0, False, False, context=update)
    with pytest.raises(ERRORS):
        engine.run(3, {}, [], [])


# --------------------------------------------------------------------------------------------- convolutions and learning


def conv(**options):
    """Three neurons in a column onto two: the kernel is one weight."""
    first = i32(0, 1, 2, 2), i32(0, 0, 0, 1).reshape(2, 2)
    return {
        "delays": i64(1), "shift": 0, "weights": np.ones((1, 1, 1, 1), np.int32), "in_shape": (1, 3, 1), "out_shape": (1, 2, 1),
        "groups": 1, "y_taps": first, "x_taps": (i32(0, 1), i32(0, 0).reshape(1, 2)), **options,
    }  # fmt: skip


CONVS = {
    "other shapes": {"in_shape": (1, 4, 1)},
    "negative shapes": {"in_shape": (1, -3, -1)},
    "empty shapes": {"in_shape": (0, 0, 0)},
    "flat shapes": {"in_shape": (3,)},
    "huge shapes": {"out_shape": (HUGE, HUGE, HUGE)},
    "no groups": {"groups": 0},
    "too many groups": {"groups": 2},
    "weights of int64": {"weights": np.ones((1, 1, 1, 1), np.int64)},
    "weights of two dimensions": {"weights": np.ones((1, 1), np.int32)},
    "no weights": {"weights": np.ones((1, 0, 1, 1), np.int32)},
    "taps beyond the kernel": {"y_taps": (i32(0, 1, 2, 2), i32(0, 0, 1, 1).reshape(2, 2))},
    "taps beyond the output": {"y_taps": (i32(0, 1, 2, 2), i32(0, 0, 0, 2).reshape(2, 2))},
    "negative taps": {"y_taps": (i32(0, 1, 2, 2), i32(0, 0, 0, -1).reshape(2, 2))},
    "taps that descend": {"y_taps": (i32(0, 2, 1, 2), i32(0, 0, 0, 1).reshape(2, 2))},
    "too few taps": {"y_taps": (i32(0, 1, 2, 3), i32(0, 0, 0, 1).reshape(2, 2))},
    "taps of int64": {"x_taps": (i64(0, 1), i64(0, 0).reshape(1, 2))},
    "two delays": {"delays": i64(1, 2)},
    "a delay of 0": {"delays": i64(0)},
}


@pytest.mark.parametrize("options", CONVS.values(), ids=CONVS.keys())
def test_convolutions_that_cannot_be(options):
    engine, x, _, _ = fresh = nodes()
    p, _ = population(engine, size=2)
    with pytest.raises(ERRORS):
        engine.add_conv(x, p, *conv(**options).values())
    works(*linked(*fresh))


def test_a_convolution_that_can_be():
    engine, x, _, _ = nodes()
    p, _ = population(engine, size=2)
    engine.add_conv(x, p, *conv().values())
    trace = np.empty((3, 2))
    engine.run(3, {x: (i64(0, 2, 2, 2), i32(0, 2), None)}, [], [(p, 0, trace)])
    assert trace.tolist() == [[0, 0], [1, 0], [1, 0]]


def block(**options):
    """One synapse of each source onto target 0."""
    return {
        "weights": np.ones(3), "segments": i64(0, 1, 2, 3), "targets": i32(0, 0, 0), "columns": i64(0, 3, 3),
        "positions": i32(0, 1, 2), "rows": i32(0, 1, 2), **options,
    }  # fmt: skip


BLOCKS = {
    "weights of float32": {"weights": np.ones(3, np.float32)},
    "fewer weights": {"weights": np.ones(2)},
    "strided weights": {"weights": strided(np.ones(3))},
    "read-only weights": {"weights": frozen(np.ones(3))},
    "segments that descend": {"segments": i64(0, 2, 1, 3)},
    "segments beyond": {"segments": i64(0, 1, 2, 4)},
    "negative segments": {"segments": i64(-1, 1, 2, 3)},
    "targets beyond": {"targets": i32(0, 0, 2)},
    "negative targets": {"targets": i32(0, 0, -1)},
    "positions beyond": {"positions": i32(0, 1, 3)},
    "negative positions": {"positions": i32(0, 1, -1)},
    "rows beyond": {"rows": i32(0, 1, 3)},
    "columns beyond": {"columns": i64(0, 3, 4)},
    "too few columns": {"columns": i64(0, 3)},
    "no columns": {"columns": None},
}


@pytest.mark.parametrize("options", BLOCKS.values(), ids=BLOCKS.keys())
def test_learning_synapses_that_cannot_be(options):
    engine, x, p, _ = fresh = built()
    rule, count = _rule()
    with pytest.raises(ERRORS):
        engine.add_plastic(x, p, i64(1), rule, np.full(count, 0.5), 1.0, [block(**options)])
    works(*fresh)


RULINGS = {
    "fewer constants": lambda rule, n: (rule, np.zeros(n - 1), 1.0, [block()]),
    "no blocks": lambda rule, n: (rule, np.zeros(n), 1.0, []),
    "two blocks": lambda rule, n: (rule, np.zeros(n), 1.0, [block(), block()]),
    "no rule": lambda rule, n: (None, np.zeros(n), 1.0, [block()]),
    "a capsule of an update": lambda rule, n: (UPDATE, np.zeros(n), 1.0, [block()]),
    "a reward of no node": lambda rule, n: (rule, np.zeros(n), 1.0, [block()], 7, 1),
    "a reward of many neurons": lambda rule, n: (rule, np.zeros(n), 1.0, [block()], 0, 1),
    "an unknown receptor": lambda rule, n: (rule, np.zeros(n), 1.0, [block()], -1, 0, 3),
    "an engine of nothing": lambda rule, n: (None, np.zeros(0), 1.0, [block()], -1, 0, 0, 0, {}),
}


@pytest.mark.parametrize("name", RULINGS)
def test_rules_that_cannot_be(name):
    engine, x, p, _ = fresh = built()
    with pytest.raises(ERRORS):
        engine.add_plastic(x, p, i64(1), *RULINGS[name](*_rule()))
    works(*fresh)


def _rule():
    """The capsule of a built-in rule, and how many constants it has."""
    import neurocomp as nc
    from neurocomp.backends.cpu.rulegen import rule_digest
    from neurocomp.ir.plasticity.form import learning_program

    program = learning_program(nc.STDP(), 1e-3)
    return RULES[rule_digest(program.form)], len(program.form.constants)


# ------------------------------------------------------------------------------------------------- going on from a state

RECALLS = {
    "a negative step": (-1, {}),
    "a huge step": (HUGE, {}),
    "no node": (5, {9: (i64(4), i32(0), None)}),
    "a negative node": (5, {-1: (i64(4), i32(0), None)}),
    "steps of int32": (5, {0: (i32(4), i32(0), None)}),
    "strided steps": (5, {0: (strided(i64(4, 4)), i32(0, 1), None)}),
    "fewer ids": (5, {0: (i64(4, 4), i32(0), None)}),
    "an id beyond": (5, {0: (i64(4), i32(3), None)}),
    "a negative id": (5, {0: (i64(4), i32(-1), None)}),
    "a spike of tomorrow": (5, {0: (i64(5), i32(0), None)}),
    "a negative spike": (5, {0: (i64(-1), i32(0), None)}),
    "a spike twice": (5, {0: (i64(4, 4), i32(1, 1), None)}),
    "steps that descend": (5, {0: (i64(4, 3), i32(0, 1), None)}),
    "a payload of plain spikes": (5, {0: (i64(4), i32(0), i32(1))}),
    "lists": (5, {0: ([4], [0], None)}),
}


@pytest.mark.parametrize("name", RECALLS)
def test_states_that_cannot_be(name):
    engine, *_ = fresh = built()
    with pytest.raises(ERRORS):
        engine.recall(*RECALLS[name])
    works(*fresh)


def test_states_of_graded_nodes_have_payloads():
    engine, x, p, state = built(threads=2, graded=True)
    for payload in (None, i64(1), i32(1, 2)):
        with pytest.raises(ERRORS):
            engine.recall(5, {x: (i64(4), i32(1), payload)})
    engine.recall(6, {x: (i64(0, 5), i32(0, 1), i32(9, -2)), p: (i64(), i32(), None)})
    assert [part.tolist() for part in engine.on_the_way(x)] == [[5], [1], [-2]]  # what is too old for the ring is left out
    engine.run(1, {}, [], [])
    assert state[0].tolist() == [-6.0, -8.0]
    with pytest.raises(KeyError):
        engine.memory_of(0)
    with pytest.raises(IndexError):
        engine.on_the_way(7)


def test_recorded_weights_that_cannot_be():
    engine, x, p, _ = nodes(threads=2)
    rule, count = _rule()
    assert engine.bounds(p) == [0, 0, 2] or engine.bounds(p) == [0, 2, 2]
    full = 0 if engine.bounds(p)[1] else 1
    empty = {
        "weights": np.ones(0), "segments": i64(0, 0, 0, 0), "targets": i32(), "columns": i64(0), "positions": i32(),
        "rows": i32(),
    }  # fmt: skip
    blocks = [block(), empty] if full == 0 else [empty, block()]
    engine.add_plastic(x, p, i64(1), rule, np.full(count, 0.5), 1.0, blocks)
    good = [np.empty((3, len(x["weights"]))) for x in blocks]
    for bad in (
        [],
        good[:1],
        [*good, good[0]],
        [x.astype(np.float32) for x in good],
        [frozen(x.copy()) for x in good],
        [x[:2] for x in good],
    ):
        with pytest.raises(ERRORS):
            engine.run(3, {}, [], [], 1, [(0, bad)])
    for number in (-1, 1, 2**40):
        with pytest.raises(ERRORS):
            engine.run(3, {}, [], [], 1, [(number, good)])
    engine.run(3, {}, [], [], 1, [(0, good)])
    assert good[full].tolist() == [[1.0] * 3] * 3

"""The engine's outer ring: whatever is handed in wrongly is answered by an exception, and the engine stays usable."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from neurocomp.backends.cpu.codegen import digest
from neurocomp.ir.folding import fold_form
from neurocomp.ir.integrators import scheme
from neurocomp.ir.neurons import IF, LoihiLIF

engine_module = pytest.importorskip("neurocomp.kernels.engine")
updates = pytest.importorskip("neurocomp.kernels.updates")
Engine = engine_module.Engine

FORM = fold_form(scheme(IF, "euler", "value").form).form  # v = v + a; spike: v > v_threshold; reset: v = v_reset
UPDATE = updates.TABLE[digest(FORM)]
LOIHI = updates.TABLE[digest(scheme(LoihiLIF, "euler", "value").form)]


def i64(*values):
    return np.array(values, np.int64)


def i32(*values):
    return np.array(values, np.int32)


def f64(*values):
    return np.array(values, np.float64)


def population(engine, size=2, lag=0, *, update=UPDATE, state=None, constants=None, bias=None, integer=False, wide=False):
    state = [np.zeros(size)] if state is None else state
    constants = [f64(1e9), f64(0.0)] if constants is None else constants
    bias = np.zeros(size, np.int64) if bias is None else bias
    return engine.add_population(size, lag, update, state, constants, bias, 1.0, integer, wide), state


def nodes(threads=1, graded=False):
    """x (3 neurons) and p (2 neurons)."""
    engine = Engine(threads, 8, 2)
    x = engine.add_input(3, 0, graded)
    return engine, x, *population(engine)


def linked(engine, x, p, state):
    """x -> p, dense with delay 1 and weights 1..6."""
    engine.add_dense(x, p, i64(1), 0, np.arange(1, 7, dtype=np.int32).reshape(3, 2))
    return engine, x, p, state


def built(threads=1, graded=False):
    """Nodes that are linked."""
    return linked(*nodes(threads, graded))


def works(engine, x, p, state):
    """Neuron 1 of the input spikes at step 0: its row 3, 4 arrives at step 1."""
    engine.reset()
    state[0][:] = 0.0
    trace = np.empty((3, 2))
    payload = None
    spikes, counts, events = engine.run(3, {x: (i64(0, 1, 1, 1), i32(1), payload)}, [p], [(p, 0, trace)])
    assert trace.tolist() == [[0, 0], [3, 4], [3, 4]]
    assert (counts[x], counts[p]) == (1, 0)
    assert sum(events) >= 2
    assert spikes[p][0].dtype == spikes[p][1].dtype == np.int64


def test_the_fixture_works():
    for threads in (1, 2, 3):
        works(*built(threads))


# ---------------------------------------------------------------------------------------------------------------- building


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0, 8, 0), ValueError),
        ((65, 8, 0), ValueError),
        ((-1, 8, 0), ValueError),
        ((1, 1, 0), ValueError),
        ((1, 3, 2), ValueError),
        ((1, 8, -1), ValueError),
        ((1, -8, 0), ValueError),
        (("two", 8, 0), TypeError),
        ((2**40, 8, 0), OverflowError),
        ((1, 2**70, 0), OverflowError),
        ((), TypeError),
    ],
)
def test_engines_that_cannot_be(arguments, error):
    with pytest.raises(error):
        Engine(*arguments)


def strided(array):
    wide = np.zeros((len(array), 2), array.dtype)
    wide[:, 0] = array
    return wide[:, 0]


def frozen(array):
    array.setflags(write=False)
    return array


def swapped(array):
    return array.astype(array.dtype.newbyteorder())


POPULATIONS = {
    "no neurons": {"size": 0},
    "negative size": {"size": -3, "state": [np.zeros(2)], "bias": i64(0, 0)},
    "too many neurons": {"size": 2**31, "state": [], "constants": [], "bias": i64(0)},
    "lag beyond max_lag": {"lag": 3},
    "negative lag": {"lag": -1},
    "state of float32": {"state": [np.zeros(2, np.float32)]},
    "state of int64": {"state": [np.zeros(2, np.int64)]},
    "state of the other byte order": {"state": [swapped(np.zeros(2))]},
    "state too short": {"state": [np.zeros(1)]},
    "state too long": {"state": [np.zeros(3)]},
    "state of two dimensions": {"state": [np.zeros((2, 1))]},
    "strided state": {"state": [strided(np.zeros(2))]},
    "read-only state": {"state": [frozen(np.zeros(2))]},
    "too many states": {"state": [np.zeros(2)] * 17},
    "integer state wanted": {"update": LOIHI, "integer": True, "state": [np.zeros(2), np.zeros(2)]},
    "constants of float32": {"constants": [np.ones(1, np.float32), f64(0)]},
    "constants of another size": {"constants": [np.ones(3), f64(0)]},
    "constants of no dimension": {"constants": [np.array(1.0), f64(0)]},
    "empty constants": {"constants": [np.zeros(0), f64(0)]},
    "strided constants": {"constants": [strided(np.ones(2)), f64(0)]},
    "too many constants": {"constants": [f64(0)] * 65},
    "bias of int32": {"bias": np.zeros(2, np.int32)},
    "bias of floats": {"bias": np.zeros(2)},
    "bias too short": {"bias": i64(0)},
    "bias of two dimensions": {"bias": np.zeros((2, 1), np.int64)},
    "strided bias": {"bias": strided(i64(0, 0))},
    "no bias": {"bias": "none"},
    "update that is no capsule": {"update": None},
    "update that is a function": {"update": len},
    "capsule of something else": {"update": __import__("datetime").datetime_CAPI},
    "state that is no list": {"state": (np.zeros(2),)},
    "state of lists": {"state": [[0.0, 0.0]]},
}


@pytest.mark.parametrize("options", POPULATIONS.values(), ids=POPULATIONS.keys())
def test_populations_that_cannot_be(options):
    engine, *_ = fresh = nodes()
    with pytest.raises((ValueError, TypeError, AttributeError, OverflowError)):
        population(engine, **options)
    works(*linked(*fresh))


def test_nodes_come_before_projections():
    engine, *_ = fresh = built()
    with pytest.raises(ValueError, match="nodes come before projections"):
        engine.add_input(3, 0, False)
    with pytest.raises(ValueError, match="nodes come before projections"):
        population(engine)
    works(*fresh)


def u32(*values):
    return np.array(values, np.uint32)


def u16(*values):
    return np.array(values, np.uint16)


def window(base=0, size=2, segments=(0, 1, 2, 2), targets=(0, 1), values=(5, 6), **instead):
    """One synapse of source 0 onto target 0, one of source 1 onto target 1."""
    return {
        "base": base, "size": size, "segments": u32(*segments), "targets": u16(*targets), "values": i32(*values), **instead
    }  # fmt: skip


def packed(*words, **others):
    some = window(packed=u32(*words), **others)
    return {name: value for name, value in some.items() if name not in ("targets", "values")}


def without(name):
    return {key: value for key, value in window().items() if key != name}


SPARSE = {
    "row lengths of another size": {"row_lengths": i64(1, 1)},
    "row lengths of int32": {"row_lengths": i32(1, 1, 0)},
    "a delay of 0": {"delays": i64(0)},
    "a negative delay": {"delays": i64(-1)},
    "a delay beyond the ring": {"delays": i64(6)},
    "delays of int32": {"delays": i32(1)},
    "delays of floats": {"delays": f64(1.0)},
    "a delay that is a number": {"delays": 1},
    "a negative shift": {"shift": -1},
    "a shift of 31": {"shift": 31},
    "an unknown source": {"pre": 7},
    "a negative source": {"pre": -1},
    "an unknown target": {"post": 2},
    "a source beyond C's int": {"pre": 2**40},
    "a source that is text": {"pre": "x"},
    "a target that is an input": {"post": 0},
    "an unknown receptor": {"receptor": 1},
}


@pytest.mark.parametrize("options", SPARSE.values(), ids=SPARSE.keys())
def test_listed_projections_that_cannot_be(options):
    engine, x, p, _ = fresh = built()
    how = {"pre": x, "post": p, "delays": i64(1), "shift": 0, "row_lengths": i64(1, 1, 0), "receptor": 0, **options}
    with pytest.raises((ValueError, TypeError, AttributeError, IndexError, OverflowError)):
        engine.add_sparse(*how.values())
    works(*fresh)


TABLES = {
    "no members": {"members": []},
    "a member that is no listed projection": {"members": [0]},
    "an unknown member": {"members": [5]},
    "one member twice": {"members": [1, 1]},
    "the wrong number of threads": {"windows": [[window()], [window()]]},
    "no threads": {"windows": []},
    "delays beyond the projections'": {"delays": i64(3), "windows": [[window()]]},
    "no delays": {"delays": i64(), "windows": [[]]},
    "a delay of 0": {"delays": i64(0)},
    "delays that descend": {"delays": i64(2, 1), "windows": [[window(segments=(0, 1, 2, 2, 2, 2, 2))]]},
    "more delays than segments": {"delays": i64(1, 2)},
    "segments of int64": {"windows": [[{**window(), "segments": i64(0, 1, 2, 2)}]]},
    "segments too short": {"windows": [[window(segments=(0, 1, 2))]]},
    "segments too long": {"windows": [[window(segments=(0, 1, 2, 2, 2))]]},
    "segments that do not start at 0": {"windows": [[window(segments=(1, 1, 2, 2))]]},
    "segments that descend": {"windows": [[window(segments=(0, 2, 1, 2))]]},
    "segments beyond the end": {"windows": [[window(segments=(0, 1, 2, 9))]]},
    "segments that overshoot within": {"windows": [[window(segments=(0, 2**31, 2**31, 2))]]},
    "strided segments": {"windows": [[{**window(), "segments": strided(u32(0, 1, 2, 2))}]]},
    "targets beyond the window": {"windows": [[window(targets=(0, 2))]]},
    "targets of int64": {"windows": [[{**window(), "targets": i64(0, 1)}]]},
    "fewer targets": {"windows": [[window(targets=(0,))]]},
    "fewer values": {"windows": [[window(values=(5,))]]},
    "values of floats": {"windows": [[{**window(), "values": f64(5, 6)}]]},
    "no values": {"windows": [[without("values")]]},
    "no targets": {"windows": [[without("targets")]]},
    "no segments": {"windows": [[without("segments")]]},
    "values beside a shared one": {"shared": 3},
    "packed beside a shared weight": {"windows": [[packed(0, 1)]], "shared": 3},
    "packed targets beyond the window": {"windows": [[packed(0, 2)]]},
    "packed words of int64": {"windows": [[{**packed(0, 1), "packed": i64(0, 1)}]]},
    "packed and unpacked windows": {"windows": [[packed(0, 1), window()]]},
    "a window before the accumulators": {"windows": [[window(base=-1)]]},
    "a window behind the accumulators": {"windows": [[window(base=1)]]},
    "a window of more than 16 bits": {"windows": [[window(size=65537)]]},
    "a window of negative size": {"windows": [[window(size=-1)]]},
    "a window that is a list": {"windows": [[[0, 2, u32(0, 1, 2, 2)]]]},
}


@pytest.mark.parametrize("options", TABLES.values(), ids=TABLES.keys())
def test_tables_that_cannot_be(options):
    engine, x, p, _ = fresh = built()
    assert engine.add_sparse(x, p, i64(1, 2), 0, i64(1, 1, 0)) == 1
    how = {"members": [1], "delays": i64(1), "windows": [[window()]], "shared": None, **options}
    with pytest.raises((ValueError, TypeError, AttributeError, IndexError, KeyError, OverflowError)):
        engine.add_table(*how.values())
    works(*fresh)


@pytest.mark.parametrize(("one", "shared"), [(window(), None), (packed(5 << 16, 1 | 6 << 16), None), (without("values"), 5)])
def test_tables_that_can_be(one, shared):
    engine, x, p, _ = nodes()
    engine.add_sparse(x, p, i64(1, 2), 0, i64(1, 1, 0))
    engine.add_table([0], i64(2), [[one]], shared)
    trace = np.empty((4, 2))
    *_, events = engine.run(4, {x: (i64(0, 2, 2, 2, 2), i32(0, 1), None)}, [], [(p, 0, trace)])
    assert trace.tolist() == [[0, 0], [0, 0], [5, shared or 6], [5, shared or 6]]
    assert events == [2]
    with pytest.raises(ValueError, match="sealed"):
        engine.add_table([0], i64(2), [[one]], shared)


def test_projections_of_different_kinds_cannot_share_a_table():
    engine = Engine(1, 8, 2)
    x, y = engine.add_input(3, 0, False), engine.add_input(3, 0, False)
    p, _ = population(engine)
    late, _ = population(engine, lag=1)
    wide, _ = population(engine, wide=True)
    for pre, post, shift in ((x, p, 0), (y, p, 0), (x, late, 0), (x, wide, 0), (x, p, 1)):
        engine.add_sparse(pre, post, i64(1), shift, i64(1, 1, 0))
    for other in (1, 2, 3, 4):
        with pytest.raises(ValueError, match=f"projections 0 and {other} cannot share a table"):
            engine.add_table([0, other], i64(1), [[window()]])


def test_synapses_onto_another_projections_targets_are_refused():
    engine = Engine(2, 8, 0)
    x = engine.add_input(3, 0, False)
    p, _ = population(engine, 64)
    q, _ = population(engine, 64)
    assert engine.bounds(p) == [0, 32, 64]
    assert engine.places(p) == [(0, 32, 0), (32, 64, 0)]
    assert engine.places(q) == [(0, 32, 32), (32, 64, 32)]
    engine.add_sparse(x, q, i64(1), 0, i64(1, 1, 0))
    for base in (0, 31):
        with pytest.raises(ValueError, match="leave the window's 2 accumulators, or those of the table's projections"):
            engine.add_table([0], i64(1), [[window(base=base)], [window(base=32)]])
    engine.add_table([0], i64(1), [[window(base=32)], [window(base=62)]])


DENSE = {
    "weights of int64": {"weights": np.ones((3, 2), np.int64)},
    "weights of floats": {"weights": np.ones((3, 2))},
    "transposed weights": {"weights": np.ones((2, 3), np.int32)},
    "weights in Fortran's order": {"weights": np.asfortranarray(np.ones((3, 2), np.int32))},
    "weights of one dimension": {"weights": np.ones(6, np.int32)},
    "strided weights": {"weights": np.ones((6, 2), np.int32)[::2]},
    "no weights": {"weights": None},
    "weights as lists": {"weights": [[1, 1]] * 3},
    "two delays": {"delays": i64(1, 2)},
    "no delays": {"delays": np.zeros(0, np.int64)},
    "a delay of 0": {"delays": i64(0)},
    "a delay beyond the ring": {"delays": i64(6)},
    "a shift of 31": {"shift": 31},
    "an unknown source": {"pre": 9},
    "a target that is an input": {"post": 0, "weights": np.ones((3, 3), np.int32)},
}


@pytest.mark.parametrize("options", DENSE.values(), ids=DENSE.keys())
def test_dense_projections_that_cannot_be(options):
    engine, x, p, _ = fresh = built()
    how = {"pre": x, "post": p, "delays": i64(1), "shift": 0, "weights": np.ones((3, 2), np.int32), **options}
    with pytest.raises((ValueError, TypeError, AttributeError, IndexError, OverflowError)):
        engine.add_dense(how["pre"], how["post"], how["delays"], how["shift"], how["weights"])
    works(*fresh)


def test_a_sealed_engine_takes_nothing_more():
    for seal in (lambda engine: engine.seal(), lambda engine: engine.run(1, {}, [], [])):
        engine, x, p, _ = fresh = built()
        seal(engine)
        with pytest.raises(ValueError, match="sealed"):
            engine.add_input(3, 0, False)
        with pytest.raises(ValueError, match="sealed"):
            population(engine)
        with pytest.raises(ValueError, match="sealed"):
            engine.add_dense(x, p, i64(1), 0, np.ones((3, 2), np.int32))
        with pytest.raises(ValueError, match="sealed"):
            engine.add_sparse(x, p, i64(1), 0, i64(1, 1, 0))
        engine.seal()
        works(*fresh)


def test_bounds_cover_every_neuron_once():
    for threads in (1, 2, 3, 7, 64):
        engine = Engine(threads, 4, 0)
        for size in (1, 2, 15, 16, 17, 100, 1000):
            bounds = engine.bounds(engine.add_input(size, 0, False))
            assert len(bounds) == threads + 1
            assert (bounds[0], bounds[-1]) == (0, size)
            assert bounds == sorted(bounds)
    for index in (-1, 7, 2**40):
        with pytest.raises((IndexError, OverflowError)):
            engine.bounds(index)


def test_engines_cannot_be_copied_or_pickled():
    import copy
    import pickle

    engine, *_ = built()
    with pytest.raises(TypeError):
        pickle.dumps(engine)
    with pytest.raises(TypeError):
        copy.copy(engine)


# ----------------------------------------------------------------------------------------------------------------- running


def events(offsets=(0, 1, 1, 1), ids=(1,), payload=None):
    return i64(*offsets), i32(*ids), payload


RUNS = {
    "no steps": {"steps": 0},
    "negative steps": {"steps": -5},
    "steps beyond 64 bits": {"steps": 2**70},
    "offsets for fewer steps": {"inputs": {0: events((0, 1, 1))}},
    "offsets for more steps": {"inputs": {0: events((0, 1, 1, 1, 1))}},
    "offsets of int32": {"inputs": {0: (i32(0, 1, 1, 1), i32(1), None)}},
    "offsets that do not start at 0": {"inputs": {0: events((1, 1, 1, 1))}},
    "offsets that descend": {"inputs": {0: events((0, 1, 0, 1))}},
    "offsets that overshoot within": {"inputs": {0: events((0, 3, 0, 1))}},
    "more events a step than neurons": {"inputs": {0: events((0, 4, 4, 4), (0, 1, 2, 2))}},
    "strided offsets": {"inputs": {0: (strided(i64(0, 1, 1, 1)), i32(1), None)}},
    "ids beyond the input": {"inputs": {0: events(ids=(3,))}},
    "negative ids": {"inputs": {0: events(ids=(-1,))}},
    "ids of int64": {"inputs": {0: (i64(0, 1, 1, 1), i64(1), None)}},
    "fewer ids than offsets say": {"inputs": {0: events(ids=())}},
    "more ids than offsets say": {"inputs": {0: events(ids=(1, 2))}},
    "a payload for plain spikes": {"inputs": {0: events(payload=i32(1))}},
    "events for a population": {"inputs": {1: (i64(0, 1, 1, 1), i32(1), None)}},
    "events for no node": {"inputs": {2: events()}},
    "events for a negative node": {"inputs": {-1: events()}},
    "events that are a pair": {"inputs": {0: (i64(0, 1, 1, 1), i32(1))}},
    "events that are lists": {"inputs": {0: ([0, 1, 1, 1], [1], None)}},
    "inputs that are a list": {"inputs": [events()]},
    "recording no node": {"record": [2]},
    "recording a negative node": {"record": [-1]},
    "recording text": {"record": ["p"]},
    "a trace of an unknown state": {"traces": [(1, 1, np.empty((3, 2)))]},
    "a trace of a negative state": {"traces": [(1, -1, np.empty((3, 2)))]},
    "a trace of an input": {"traces": [(0, 0, np.empty((3, 3)))]},
    "a trace of no node": {"traces": [(5, 0, np.empty((3, 2)))]},
    "a trace for fewer steps": {"traces": [(1, 0, np.empty((2, 2)))]},
    "a trace for fewer neurons": {"traces": [(1, 0, np.empty((3, 1)))]},
    "a flat trace": {"traces": [(1, 0, np.empty(6))]},
    "a trace of float32": {"traces": [(1, 0, np.empty((3, 2), np.float32))]},
    "a trace of int64": {"traces": [(1, 0, np.empty((3, 2), np.int64))]},
    "a trace in Fortran's order": {"traces": [(1, 0, np.empty((3, 2), order="F"))]},
    "a read-only trace": {"traces": [(1, 0, frozen(np.empty((3, 2))))]},
    "a trace that is a pair": {"traces": [(1, 0)]},
}


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS.keys())
def test_runs_that_cannot_be(options):
    engine, *_ = fresh = built()
    how = {"steps": 3, "inputs": {}, "record": [], "traces": [], **options}
    with pytest.raises((ValueError, TypeError, AttributeError, IndexError, OverflowError)):
        engine.run(how["steps"], how["inputs"], how["record"], how["traces"])
    works(*fresh)


def test_graded_inputs_need_payloads_that_fit():
    engine, x, _, state = built(graded=True)
    for bad in (None, i64(2), i32(2, 3), f64(2.0), [2]):
        with pytest.raises((ValueError, AttributeError)):
            engine.run(3, {x: (i64(0, 1, 1, 1), i32(1), bad)}, [], [])
    engine.run(3, {x: (i64(0, 1, 1, 1), i32(1), i32(-2))}, [], [])
    assert state[0].tolist() == [-6.0, -8.0]


# ------------------------------------------------------------------------ what might crash runs in a process of its own


def child(code, timeout=15):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=timeout)


CRASHES = {
    "a ring of 2^62 slots": "Engine(1, 2**62, 0).add_input(4, 0, False)",
    "a lag of 2^63 - 1": "Engine(1, 8, 2**63 - 1)",
    "a ring times a size beyond memory": "Engine(1, 2**40, 0).add_input(2**30, 0, False)",
}


@pytest.mark.parametrize("code", CRASHES.values(), ids=CRASHES.keys())
def test_impossible_sizes_raise(code):
    done = child(
        f"""
        from neurocomp.kernels.engine import Engine
        try:
            {code}
        except (ValueError, MemoryError, OverflowError) as error:
            print("refused", type(error).__name__)
        """
    )
    assert (done.returncode, done.stdout[:7]) == (0, "refused"), done.stdout + done.stderr


SLOW = """
    import _thread, signal, sys, threading, time, numpy as np, neurocomp as nc
    net = nc.Network("n", dt=1e-3)
    net.population("p", nc.LIF(tau=1e-2), 50_000, bias=2.0)
    program = nc.compile(net, "cpu", threads=THREADS)
    expected = program.run({}, steps=50).spikes["p"].times
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_two_threads_cannot_run_one_engine_at_once(threads):
    """The one that comes second gets a clean exception; never a crash or a hang, and the next run has the right spikes."""
    done = child(
        SLOW.replace("THREADS", str(threads))
        + """
    engine, errors = program._executable.engine, []
    def work():  # until the main thread is in its run, which nothing but this interrupt ends
        while not errors:
            time.sleep(1e-3)  # the main thread's chance
            try:
                engine.run(1, {}, [], [])
            except RuntimeError as error:
                errors.append(error)
        _thread.interrupt_main()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    worker = threading.Thread(target=work)
    worker.start()
    while True:
        try:
            engine.run(2**40, {}, [], [])
        except RuntimeError:  # the worker's turn
            continue
        except KeyboardInterrupt:
            break
    worker.join()
    assert len(errors) == 1, errors
    program.reset()
    assert np.array_equal(program.run({}, steps=50).spikes["p"].times, expected)
    print("fine")
    """
    )
    assert done.stdout == "fine\n", f"exit {done.returncode}\n{done.stderr[-800:]}"


def test_a_signal_handler_cannot_run_the_engine_it_interrupts():
    done = child(
        SLOW.replace("THREADS", "1")
        + """
    engine, errors = program._executable.engine, []
    def handler(*_):
        for attempt in (lambda: engine.run(5, {}, [], []), engine.reset):
            try:
                attempt()
            except RuntimeError as error:
                errors.append(error)
        raise KeyboardInterrupt  # ends the run, which is long enough to be interrupted on any machine
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        engine.run(2**40, {}, [], [])
    except KeyboardInterrupt:
        pass
    assert len(errors) == 2, errors
    print("fine")
    """
    )
    assert done.stdout == "fine\n", f"exit {done.returncode}\n{done.stderr[-800:]}"


def test_an_update_with_other_numbers_of_states_or_constants_is_refused():
    """The capsule's function reads as many pointers as its form has: fewer would be read from the stack."""
    done = child(
        """
        import numpy as np
        from neurocomp.backends.cpu.codegen import digest
        from neurocomp.ir.integrators import scheme
        from neurocomp.ir.neurons import CubaLIF
        from neurocomp.kernels.engine import Engine
        from neurocomp.kernels.updates import TABLE
        form = scheme(CubaLIF, "exact", "value").form  # 2 states, 7 constants
        engine = Engine(1, 8, 0)
        refused = 0
        for states, constants in ((1, 7), (2, 1), (0, 0)):
            try:
                engine.add_population(
                    2, 0, TABLE[digest(form)], [np.zeros(2) for _ in range(states)], [np.zeros(1)] * constants,
                    np.zeros(2, np.int64), 1.0, False, False,
                )
            except ValueError:
                refused += 1
        print(refused)
        """
    )
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr[-500:]


def test_a_learning_engine_that_would_read_elsewhere_is_refused():
    """Products and factors are indices and shifts: whatever is out of range would read or write outside the arrays."""
    done = child(
        """
        import numpy as np, neurocomp as nc
        from neurocomp.backends.cpu.plastic import engine_of
        from neurocomp.kernels.engine import Engine
        rule = nc.LoihiRule("x1*y0 - w*x0", "x0*t", x1_impulse=1, x1_tau=1, t_epoch=4)
        net = nc.Network("n", dt=1e-3)
        net.input("x", 2)
        net.population("y", nc.LoihiLIF(du=4095, dv=0, vth=1), 2)
        net.connect("x", "y", nc.Dense(np.full((2, 2), 40)), plasticity=rule, name="p")
        program = nc.compile(net, "cpu")
        engine = program._executable.engine
        good = engine_of(program.lowered.projections["p"], rule)
        def changed(name, value, *place):
            array = good[name].copy()
            array[place] = value
            return {**good, name: array}
        wrong = [
            {**good, "epoch": 0}, {**good, "epoch": 64}, {**good, "products": good["products"][:0]},
            {**good, "products": good["products"].astype(np.int64)}, {**good, "factors": good["factors"][:, :3]},
            {**good, "whole": good["whole"][:4]}, {**good, "fraction": good["fraction"][:, ::2]},
            *(changed("products", x, 0, k) for k, x in ((0, 2), (0, -1), (1, 3), (3, 32), (3, -1), (4, 16), (5, -1), (6, 9))),
            changed("factors", 7, 0, 0), changed("factors", -1, 0, 0), changed("whole", 128, 0, 5), changed("impulse", 128, 0),
            changed("impulse", -1, 0),
        ]
        where = (0, 1, np.array([1], np.int64))
        blocks = [{"weights": np.zeros((2, 9))}]
        refused = 0
        for given in wrong:
            fresh = Engine(1, 8, 0)
            fresh.add_input(2, 0, False)
            node = program.lowered.populations["y"]
            from neurocomp.backends.cpu.compiled import update_for
            from neurocomp.backends.base import initial_state
            state = list(initial_state(node).values())
            constants = [np.atleast_1d(np.array(node.program.constants[x], np.int64)) for x in node.program.form.constants]
            capsule = update_for(node.program.form).capsule
            fresh.add_population(2, 0, capsule, state, constants, np.zeros(2, np.int64), 1.0, True, False)
            fresh.add_plastic(*where, None, np.zeros(0), 1.0, blocks, engine=good)
            for rule_of, its in ((None, None), (None, given)):
                try:
                    fresh.add_plastic(*where, rule_of, np.zeros(0), 1.0, blocks, engine=its)
                except ValueError:
                    refused += 1
        for draws in ((), [(0, np.zeros((3, 6)))], [(0, np.zeros((4, 5)))], [(0, np.zeros((4, 6), np.float32))]):
            try:
                engine.run(4, {}, [], [], 1, (), draws)
            except ValueError:
                refused += 1
        print(refused - 2 * len(wrong))
        """
    )
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stdout + done.stderr[-800:]

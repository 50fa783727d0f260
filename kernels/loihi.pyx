"""Loihi's learning engine: the spikes it meets, and which synapses learn at the end of an epoch. What they learn is in `loihi.h`."""

import numpy as np

from libc.stdint cimport int64_t, uint8_t, uintptr_t

from neurocomp.kernels.checks import check_array
from neurocomp.kernels.learning cimport Block, nc_engine, nc_engine_factor, nc_engine_product
from neurocomp.kernels.loop cimport Loop, Node, Projection

cdef extern from "loihi.h" nogil:
    enum:
        NC_PRE
        NC_POST
        NC_VALUES
        NC_DRAWS
        NC_PRE_DECAY
        NC_PRE_IMPULSE
        NC_POST_AGAIN
        NC_POST_DECAY
        NC_POST_IMPULSE
        NC_WEIGHT
    void nc_engine_arrival(const nc_engine* e, int64_t row, int64_t now)
    void nc_engine_spike(const nc_engine* e, int64_t target, int64_t now, double random)
    void nc_engine_history(
        const nc_engine* e, uint8_t* values, const uint8_t* last, int64_t size, int first, int count, double decay,
        double impulse)
    void nc_engine_next(const nc_engine* e)
    void nc_engine_change(
        const nc_engine* e, double* weight, double* tag, int64_t row, int64_t target, int64_t counted, double random)


cdef fill_engine(nc_engine* engine, dict given, int64_t rows, int64_t lo, int64_t hi):
    """Point an engine at its rule and at memory of its own. Returns (arrays of the rule, memory to clear at every reset).

    given: epoch, period, low, high; products (n, 7) and factors (m, 4) int32, whole (5, 128) int64, fraction (5, 128) float64,
    impulse and chance (5,) int64, as in `loihi.h`.
    """
    cdef int64_t epoch = given["epoch"]
    products, factors = given["products"], given["factors"]
    traces = NC_PRE + NC_POST
    if not 1 <= epoch < 64 or not len(products):
        raise ValueError(f"an engine needs products and an epoch of 1..63 steps, not {epoch}")
    wanted = {"whole": np.int64, "fraction": np.float64, "impulse": np.int64, "chance": np.int64}
    shapes = {"whole": (traces, NC_VALUES), "fraction": (traces, NC_VALUES), "impulse": (traces,), "chance": (traces,)}
    for name, dtype in {**wanted, "products": np.int32, "factors": np.int32}.items():
        shape = {**shapes, "products": (len(products), 7), "factors": (len(factors), 4)}[name]
        check_array(name, given[name], dtype, shape)
    _check_numbers(products, factors, given["whole"], given["impulse"])
    memory = [
        np.zeros((epoch + 1, NC_PRE, rows), np.uint8), np.zeros((epoch + 1, NC_POST, hi - lo), np.uint8),
        np.zeros(rows, np.uint8), np.zeros(hi - lo, np.uint8), np.zeros(1, np.int64),
    ]
    engine.epoch, engine.period, engine.low, engine.high = epoch, given["period"], given["low"], given["high"]
    engine.rows, engine.lo, engine.hi, engine.n_products = rows, lo, hi, len(products)
    engine.products, engine.factors = <const nc_engine_product*>_at(products), <const nc_engine_factor*>_at(factors)
    engine.whole, engine.fraction = <const int64_t*>_at(given["whole"]), <const double*>_at(given["fraction"])
    engine.impulse, engine.chance = <const int64_t*>_at(given["impulse"]), <const int64_t*>_at(given["chance"])
    engine.pre, engine.post = <uint8_t*>_at(memory[0]), <uint8_t*>_at(memory[1])
    engine.pre_last, engine.post_last = <uint8_t*>_at(memory[2]), <uint8_t*>_at(memory[3])
    engine.time = <int64_t*>_at(memory[4])
    return [given[name] for name in (*wanted, "products", "factors")], memory


cdef take_draws(nc_engine* engine, draws, int64_t last):
    """The random numbers of an engine's steps up to number `last`, (steps, 6) float64; None where there is no engine."""
    if not engine.n_products:
        return
    engine.drawn = engine.time[0]
    check_array("draws", np.zeros(0) if draws is None else draws, np.float64, (last - engine.drawn, NC_DRAWS))
    engine.draws = <const double*>_at(draws)


def _check_numbers(products, factors, whole, impulse):
    """Whatever is an index or a shift must be in its range."""
    target, dependency, _, right, left, begin, end = products.T
    inside = (
        ((target >= 0) & (target < 2)).all() and ((dependency >= 0) & (dependency < 3)).all()
        and ((right >= 0) & (right < 32)).all() and ((left >= 0) & (left < 16)).all()
        and ((begin >= 0) & (begin <= end) & (end <= len(factors))).all()
        and ((factors[:, 0] >= 0) & (factors[:, 0] < NC_PRE + NC_POST + 2)).all()
        and ((whole >= 0) & (whole < NC_VALUES)).all() and ((impulse >= 0) & (impulse < NC_VALUES)).all()
    )
    if not inside:
        raise ValueError("an engine's products, factors or traces are out of range")


cdef uintptr_t _at(array):
    return <uintptr_t>array.__array_interface__["data"][0]


cdef void run_engine(Loop* loop, Projection* projection, Block* block, int k, int64_t step, bint meets) noexcept nogil:
    """The engine's steps up to machine step `step`, where it meets spikes, or to the one before.

    Steps before the population's first meet none, but may change weights.
    """
    cdef nc_engine* engine = &block.engine
    cdef const double* draws
    cdef int64_t now
    while engine.time[0] < step - (not meets):
        draws = engine.draws + (engine.time[0] - engine.drawn) * NC_DRAWS
        now = engine.time[0] % engine.epoch + 1
        engine.time[0] += 1
        if engine.time[0] == step:
            meet_spikes(loop, projection, block, k, step, now, draws[NC_POST_AGAIN])
        if now == engine.epoch:
            end_epoch(block, draws)


cdef void meet_spikes(
    Loop* loop, Projection* projection, Block* block, int k, int64_t step, int64_t now, double random
) noexcept nogil:
    """The spikes that arrive in this machine step, and the target's of the one before."""
    cdef Node* pre = &loop.nodes[projection.pre]
    cdef Node* post = &loop.nodes[projection.post]
    cdef int64_t slot, at, i
    cdef int d, source
    for d in range(projection.n_delays):
        if step < projection.delays[d]:
            continue
        slot = (step - projection.delays[d]) % pre.ring
        for source in range(loop.threads):
            at = slot * pre.size + pre.bounds[source]
            for i in range(pre.counts[slot * loop.threads + source]):
                nc_engine_arrival(&block.engine, pre.ids[at + i] * projection.n_delays + d, now)
    if step == 0:
        return
    slot = (step - 1) % post.ring
    at = slot * post.size + post.bounds[k]
    for i in range(post.counts[slot * loop.threads + k]):
        nc_engine_spike(&block.engine, post.ids[at + i], now, random)


cdef void end_epoch(Block* block, const double* draws) noexcept nogil:
    """Learn from the epoch that ends with this step. draws: the step's random numbers."""
    cdef nc_engine* e = &block.engine
    cdef bint counted = e.period and e.time[0] // e.epoch % e.period == 0
    cdef int64_t row, target
    nc_engine_history(e, e.pre, e.pre_last, e.rows, 0, NC_PRE, draws[NC_PRE_DECAY], draws[NC_PRE_IMPULSE])
    nc_engine_history(e, e.post, e.post_last, e.hi - e.lo, NC_PRE, NC_POST, draws[NC_POST_DECAY], draws[NC_POST_IMPULSE])
    for row in range(e.rows):
        if counted or e.pre_last[row]:
            change_row(block, row, counted, draws[NC_WEIGHT])
    for target in range(e.lo, e.hi):
        if not counted and e.post_last[target - e.lo]:
            change_column(block, target, draws[NC_WEIGHT])
    nc_engine_next(e)


cdef void change_row(Block* block, int64_t row, bint counted, double random) noexcept nogil:
    """All synapses of a row."""
    cdef int64_t k, j
    cdef double* w = block.state.w
    cdef double* tag = block.state.synapse[0]
    if block.targets == NULL:
        for j in range(block.lo, block.hi):
            k = j * block.state.stride + row
            nc_engine_change(&block.engine, &w[k], &tag[k], row, j, counted, random)
    else:
        for k in range(block.segments[row], block.segments[row + 1]):
            nc_engine_change(&block.engine, &w[k], &tag[k], row, block.targets[k], counted, random)


cdef void change_column(Block* block, int64_t target, double random) noexcept nogil:
    """The synapses of a target whose rows have not brought them here already."""
    cdef int64_t k, n, row
    cdef double* w = block.state.w
    cdef double* tag = block.state.synapse[0]
    if block.targets == NULL:
        for row in range(block.engine.rows):
            if not block.engine.pre_last[row]:
                k = target * block.state.stride + row
                nc_engine_change(&block.engine, &w[k], &tag[k], row, target, False, random)
    else:
        for n in range(block.columns[target - block.lo], block.columns[target - block.lo + 1]):
            row, k = block.rows[n], block.positions[n]
            if not block.engine.pre_last[row]:
                nc_engine_change(&block.engine, &w[k], &tag[k], row, target, False, random)

"""Events of plastic projections, on one thread's synapses. The rules themselves are generated C (`learning.h`)."""

from libc.stdint cimport int32_t, int64_t


cdef int64_t add_weights(
    acc_t* acc, const Learning* learning, const Block* block, int64_t stride, int64_t slot, const int32_t* ids, int64_t count
) noexcept nogil:
    """Add the weights of `count` spikes' synapses, each as the nearest whole number of grid units. Returns how many."""
    cdef int64_t i, k, row, begin, end, done = 0
    cdef const double* w = block.state.w
    cdef double units = learning.units
    for i in range(count):
        row = ids[i] * stride + slot
        if block.targets == NULL:
            begin, end = row * learning.n_post + block.lo, row * learning.n_post + block.hi
            for k in range(begin, end):
                acc[k - row * learning.n_post] += <acc_t><int32_t>nc_round(w[k] * units)
        else:
            begin, end = block.segments[row], block.segments[row + 1]
            for k in range(begin, end):
                acc[block.targets[k]] += <acc_t><int32_t>nc_round(w[k] * units)
        done += end - begin
    return done


cdef inline void over_row(const Learning* learning, Block* block, nc_learn_row event, int64_t row) noexcept nogil:
    cdef int64_t start = row * learning.n_post
    if block.targets == NULL:
        event(&block.state, row, start + block.lo, start + block.hi, NULL, block.lo)
    else:
        event(&block.state, row, block.segments[row], block.segments[row + 1], block.targets, 0)


cdef void learn_arrivals(
    const Learning* learning, Block* block, int64_t stride, int64_t slot, const int32_t* ids, int64_t count
) noexcept nogil:
    """Spikes of these sources have arrived over delay number `slot`."""
    cdef int64_t i, row
    for i in range(count):
        row = ids[i] * stride + slot
        if learning.rule.on_pre != NULL:
            over_row(learning, block, learning.rule.on_pre, row)
        if learning.rule.jump_pre != NULL:
            learning.rule.jump_pre(&block.state, row)


cdef void learn_spikes(const Learning* learning, Block* block, const int32_t* ids, int64_t count) noexcept nogil:
    """These neurons of the thread's range have spiked."""
    cdef int64_t i, j, begin
    for i in range(count):
        j = ids[i]
        if learning.rule.on_post != NULL and block.targets == NULL:
            learning.rule.on_post(&block.state, j, learning.n_rows, NULL, NULL, learning.n_post)
        elif learning.rule.on_post != NULL:
            begin = block.columns[j - block.lo]
            learning.rule.on_post(
                &block.state, j, block.columns[j - block.lo + 1] - begin, block.positions + begin, block.rows + begin, 0)
        if learning.rule.jump_post != NULL:
            learning.rule.jump_post(&block.state, j)


cdef void learn_reward(const Learning* learning, Block* block, double reward) noexcept nogil:
    """A reward has come: all synapses of the thread."""
    cdef int64_t row
    block.state.reward = reward
    for row in range(learning.n_rows):
        over_row(learning, block, learning.rule.on_reward, row)

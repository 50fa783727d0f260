"""Events of plastic projections, on one thread's synapses. The rules themselves are generated C (`learning.h`)."""

from libc.stdint cimport int32_t, int64_t


cdef int64_t add_weights(
    acc_t* acc, const Learning* learning, const Block* block, int64_t stride, int64_t slot, const int32_t* ids, int64_t count
) noexcept nogil:
    """Add the weights of `count` spikes' synapses, each as the nearest whole number of grid units. Returns how many."""
    cdef int64_t i, j, k, row, done = 0
    cdef const double* w = block.state.w
    cdef double units = learning.units
    for i in range(count):
        row = ids[i] * stride + slot
        if block.targets == NULL:
            for j in range(block.lo, block.hi):
                acc[j] += <acc_t><int32_t>nc_round(w[j * block.state.stride + row] * units)
            done += block.hi - block.lo
        else:
            for k in range(block.segments[row], block.segments[row + 1]):
                acc[block.targets[k]] += <acc_t><int32_t>nc_round(w[k] * units)
            done += block.segments[row + 1] - block.segments[row]
    return done


cdef void ready_pre(const Learning* learning, Block* block) noexcept nogil:
    """Bring the sources' traces to this step, where synapses are all-to-all."""
    if block.targets == NULL and learning.rule.now_pre != NULL:
        learning.rule.now_pre(&block.state, 0, learning.n_rows)


cdef void ready_post(const Learning* learning, Block* block) noexcept nogil:
    """Bring the targets' traces to this step, where synapses are all-to-all."""
    if block.targets == NULL and learning.rule.now_post != NULL:
        learning.rule.now_post(&block.state, block.lo, block.hi)


cdef void learn_arrivals(
    const Learning* learning, Block* block, int64_t stride, int64_t slot, const int32_t* ids, int64_t count
) noexcept nogil:
    """Spikes of these sources have arrived over delay number `slot`."""
    cdef int64_t i, row
    for i in range(count):
        row = ids[i] * stride + slot
        if learning.rule.on_pre != NULL and block.targets == NULL:
            learning.rule.on_pre(&block.state, row, block.lo, block.hi, NULL)
        elif learning.rule.on_pre != NULL:
            learning.rule.on_pre(&block.state, row, block.segments[row], block.segments[row + 1], block.targets)
        if learning.rule.jump_pre != NULL:
            learning.rule.jump_pre(&block.state, row)


cdef inline void over_column(const Learning* learning, Block* block, nc_learn_column event, int64_t target) noexcept nogil:
    cdef int64_t begin
    if block.targets == NULL:
        event(&block.state, target, learning.n_rows, NULL, NULL)
    else:
        begin = block.columns[target - block.lo]
        event(
            &block.state, target, block.columns[target - block.lo + 1] - begin, block.positions + begin, block.rows + begin)


cdef void learn_spikes(const Learning* learning, Block* block, const int32_t* ids, int64_t count) noexcept nogil:
    """These neurons of the thread's range have spiked."""
    cdef int64_t i
    if count and learning.rule.on_post != NULL:
        ready_pre(learning, block)
    for i in range(count):
        if learning.rule.on_post != NULL:
            over_column(learning, block, learning.rule.on_post, ids[i])
        if learning.rule.jump_post != NULL:
            learning.rule.jump_post(&block.state, ids[i])


cdef void learn_reward(const Learning* learning, Block* block, double reward) noexcept nogil:
    """A reward has come: all synapses of the thread."""
    cdef int64_t target
    block.state.reward = reward
    ready_pre(learning, block)
    for target in range(block.lo, block.hi):
        over_column(learning, block, learning.rule.on_reward, target)

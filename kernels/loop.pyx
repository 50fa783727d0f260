"""The loop over steps: event-driven delivery, state update and spike collection, all in C without the GIL.

Pulling, not pushing: at machine step s a population fetches, for every projection and delay d, the spikes its source sent at
s - d and adds their synapses into one accumulator of integers. Each thread owns a range of target neurons of every
population, so nothing is shared while adding, and integer sums make the result independent of order and of threads.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy

from neurocomp.kernels.delivery cimport acc_t, add_patches, add_rows, add_segments, add_shifted
from neurocomp.kernels.learning cimport (
    Block, add_weights, learn_arrivals, learn_reward, learn_spikes, nc_engine, ready_post,
)
from neurocomp.kernels.loihi cimport end_epoch

cdef extern from "loihi.h" nogil:
    enum:
        NC_DRAWS
        NC_POST_AGAIN
    void nc_engine_arrival(const nc_engine* e, int64_t row, int64_t now)
    void nc_engine_spike(const nc_engine* e, int64_t target, int64_t now, double random)


cdef void run_loop(Loop* loop) noexcept nogil:
    """Run all threads over loop.steps steps."""
    if loop.pool == NULL:
        thread_loop(loop, 0)
    else:
        nc_pool_run(loop.pool, thread_loop, loop)


cdef int64_t add_events(
    acc_t* acc, Projection* projection, int k, int d, int64_t n_post, int64_t lo, int64_t hi,
    const int32_t* ids, const int32_t* payload, int64_t count
) noexcept nogil:
    """Deliver `count` spikes over a projection's synapses of delay number d, in the way they are stored."""
    if projection.kind == DENSE:
        return add_rows(acc, projection.weights, projection.rows, n_post, lo, hi, ids, payload, count)
    if projection.kind == PLASTIC:
        return add_weights(acc, &projection.learning, &projection.learning.blocks[k], projection.n_delays, d, ids, count)
    if projection.kind == CONV:
        return add_patches(acc, &projection.conv, lo, hi, ids, payload, count)
    return add_segments(
        acc, projection.segments[k], projection.targets[k], projection.values[k], projection.n_delays, d, ids, payload, count)


cdef void take_input(
    acc_t* acc, const int64_t* bias, void* a, int64_t n, bint integer, double scale
) noexcept nogil:
    """Move n sums into the update's input, as float64 or int64, and leave the bias in the accumulator."""
    cdef int64_t j
    cdef double* real = <double*>a
    cdef int64_t* whole = <int64_t*>a
    if integer:
        for j in range(n):
            whole[j] = acc[j]
    else:
        for j in range(n):
            real[j] = <double>acc[j] * scale
    for j in range(n):
        acc[j] = <acc_t>bias[j]


cdef void take_inputs(Node* node, int64_t j, int64_t n, double* a) noexcept nogil:
    """The input of every receptor of neurons j .. j + n, CHUNK values apart."""
    cdef int i
    cdef int64_t at
    for i in range(node.n_inputs):
        at = i * node.size + j
        if node.wide:
            take_input(<int64_t*>node.acc + at, node.bias + at, &a[i * CHUNK], n, node.integer, node.scale)
        else:
            take_input(<int32_t*>node.acc + at, node.bias + at, &a[i * CHUNK], n, node.integer, node.scale)


cdef int64_t compact(
    const unsigned char* fired, const int32_t* sent, int64_t n, int64_t base, int32_t* ids, int32_t* payload
) noexcept nogil:
    """Write base + j for every fired[j], and its payload unless that is NULL; returns how many. Looks at eight flags at a time."""
    cdef int64_t j = 0, count = 0
    cdef int64_t eight
    while j < n:
        if j + 8 <= n:
            memcpy(&eight, fired + j, 8)
            if eight == 0:
                j += 8
                continue
        if fired[j]:
            ids[count] = <int32_t>(base + j)
            if payload != NULL:
                payload[count] = sent[j]
            count += 1
        j += 1
    return count


cdef int log_spikes(SpikeLog* log, const int32_t* ids, const int32_t* payload, int64_t count, int64_t t) noexcept nogil:
    """Append spikes of step t, with payloads unless these are NULL; returns 0, or 1 when memory ran out."""
    cdef int64_t j, capacity
    cdef void* grown
    if log.count + count > log.capacity:
        capacity = max(2 * log.capacity, log.count + count, 1024)
        grown = realloc(log.times, capacity * sizeof(int64_t))
        if grown == NULL:
            return 1
        log.times = <int64_t*>grown
        grown = realloc(log.ids, capacity * sizeof(int32_t))
        if grown == NULL:
            return 1
        log.ids = <int32_t*>grown
        if payload != NULL:
            grown = realloc(log.payload, capacity * sizeof(int32_t))
            if grown == NULL:
                return 1
            log.payload = <int32_t*>grown
        log.capacity = capacity
    for j in range(count):
        log.times[log.count + j] = t
        log.ids[log.count + j] = ids[j]
        if payload != NULL:
            log.payload[log.count + j] = payload[j]
    log.count += count
    return 0


cdef void thread_loop(void* given, int k) noexcept nogil:
    """Thread k's part of a run: all its steps."""
    cdef Loop* loop = <Loop*>given
    cdef int64_t step, t
    cdef int i
    cdef Node* node
    cdef double look = nc_seconds() + LOOK
    for step in range(loop.now, loop.now + loop.steps + loop.max_lag):
        for i in range(loop.n_nodes):
            node = &loop.nodes[i]
            t = step - node.lag - loop.now
            if t < 0 or t >= loop.steps:
                continue
            if not node.is_input:
                deliver(loop, i, k, step)
                update(loop, i, k, step, t)
                learn(loop, i, k, step, t)
            elif k == 0:
                feed_input(loop, node, step, t)
        if k == 0 and nc_seconds() > look:
            look = nc_seconds() + LOOK
            if loop.look(loop.owner):
                loop.stop_at = step + 1
        nc_barrier_wait(&loop.barrier)
        if loop.stop_at <= step + 1:
            break


cdef void feed_input(Loop* loop, Node* node, int64_t step, int64_t t) noexcept nogil:
    cdef int64_t slot = step % node.ring, begin = 0, count = 0
    if node.in_offsets != NULL:
        begin = node.in_offsets[t]
        count = node.in_offsets[t + 1] - begin
        memcpy(node.ids + slot * node.size, node.in_ids + begin, count * sizeof(int32_t))
        if node.graded and node.in_payload != NULL:
            memcpy(node.payload + slot * node.size, node.in_payload + begin, count * sizeof(int32_t))
    node.counts[slot * loop.threads] = count
    node.total[0] += count


cdef void deliver(Loop* loop, int index, int k, int64_t step) noexcept nogil:
    """Add every event that reaches thread k's neurons of a population at this machine step."""
    cdef Node* post = &loop.nodes[index]
    cdef Node* pre
    cdef Projection* projection
    cdef int64_t lo = post.bounds[k], hi = post.bounds[k + 1], slot, at, count, found
    cdef int n, d, source
    cdef const int32_t* ids
    cdef const int32_t* payload
    cdef void* to
    cdef int64_t at_receptor
    if lo == hi:
        return
    for n in range(loop.first[index], loop.first[index + 1]):
        projection = &loop.projections[loop.order[n]]
        if projection.kind == PLASTIC and projection.learning.blocks[k].engine.n_products:
            run_engine(loop, projection, &projection.learning.blocks[k], k, step, False)
        pre = &loop.nodes[projection.pre]
        to = post.scratch if projection.shift else post.acc
        at_receptor = projection.receptor * post.size
        for d in range(projection.n_delays):
            if step < projection.delays[d]:
                continue
            slot = (step - projection.delays[d]) % pre.ring
            found = 0
            for source in range(loop.threads):
                count = pre.counts[slot * loop.threads + source]
                if count == 0:
                    continue
                at = slot * pre.size + pre.bounds[source]
                ids = pre.ids + at
                payload = pre.payload + at if pre.graded else NULL
                if post.wide:
                    found += add_events(<int64_t*>to + at_receptor, projection, k, d, post.size, lo, hi, ids, payload, count)
                else:
                    found += add_events(<int32_t*>to + at_receptor, projection, k, d, post.size, lo, hi, ids, payload, count)
            projection.events[k] += found
            if projection.shift and found and post.wide:
                add_shifted(
                    <int64_t*>post.acc, <int64_t*>post.scratch, at_receptor + lo, at_receptor + hi, projection.shift)
            elif projection.shift and found:
                add_shifted(
                    <int32_t*>post.acc, <int32_t*>post.scratch, at_receptor + lo, at_receptor + hi, projection.shift)


cdef inline int64_t trace_row(Loop* loop, int64_t t) noexcept nogil:
    """The row of this run's traces for its step t: they are kept after every `every`-th step since the reset."""
    return (loop.now + t + 1) // loop.every - loop.now // loop.every - 1


cdef void update(Loop* loop, int index, int k, int64_t step, int64_t t) noexcept nogil:
    """Update thread k's neurons of a population, chunk by chunk, and put their spikes into the ring."""
    cdef Node* node = &loop.nodes[index]
    cdef int64_t lo = node.bounds[k], hi = node.bounds[k + 1], j, n, count = 0
    cdef int64_t slot = step % node.ring
    cdef int32_t* ids = node.ids + slot * node.size + lo
    cdef double a[MAX_INPUTS * CHUNK]
    cdef const void* inputs[MAX_INPUTS]
    cdef nc_now now
    cdef unsigned char fired[CHUNK]
    cdef int32_t sent[CHUNK]
    cdef int32_t* payload = node.payload + slot * node.size + lo if node.graded else NULL
    cdef void* state[MAX_STATES]
    cdef const void* constants[MAX_CONSTANTS]
    cdef int i
    now.step, now.key, now.context = loop.now + t, node.key, node.context
    now.t = <double>now.step * loop.dt
    for i in range(node.n_inputs):
        inputs[i] = &a[i * CHUNK]
    cdef bint alone = loop.first[index] == loop.first[index + 1]
    j = lo
    while j < hi:
        n = min(node.chunk, hi - j)
        now.first = j
        if alone:
            for i in range(node.n_inputs):
                inputs[i] = <const char*>node.rest + 8 * (i * node.size + j)
        else:
            take_inputs(node, j, n, a)
        for i in range(node.n_state):
            state[i] = <char*>node.state[i] + 8 * j
        for i in range(node.n_constants):
            constants[i] = <const char*>node.constants[i] + (8 * j if node.varies[i] else 0)
        node.update(n, inputs, state, constants, &now, fired, sent)
        if node.spikes:
            count += compact(fired, sent, n, j, ids + count, payload + count if node.graded else NULL)
        j += n
    for i in range(node.n_state):
        if node.traces[i] != NULL and (loop.now + t + 1) % loop.every == 0:
            memcpy(<char*>node.traces[i] + 8 * (trace_row(loop, t) * node.size + lo), <char*>node.state[i] + 8 * lo, 8 * (hi - lo))
    node.counts[slot * loop.threads + k] = count
    node.total[k] += count
    if node.record and count and log_spikes(&node.logs[k], ids, payload, count, t):
        loop.failed = 1


cdef void learn(Loop* loop, int index, int k, int64_t step, int64_t t) noexcept nogil:
    """What the plastic projections onto thread k's neurons of a population learn from this step."""
    cdef Node* post = &loop.nodes[index]
    cdef Node* pre
    cdef Projection* projection
    cdef Block* block
    cdef int n, d, source
    cdef int64_t at, slot
    cdef int64_t mine = step % post.ring
    cdef bint ready
    for n in range(loop.first[index], loop.first[index + 1]):
        projection = &loop.projections[loop.order[n]]
        if projection.kind != PLASTIC:
            continue
        pre, block = &loop.nodes[projection.pre], &projection.learning.blocks[k]
        if block.engine.n_products:
            run_engine(loop, projection, block, k, step, True)
            if block.trace != NULL and (loop.now + t + 1) % loop.every == 0:
                keep_weights(block, trace_row(loop, t))
            continue
        block.state.t = <double>(loop.now + t)
        ready = projection.learning.rule.on_pre == NULL
        for d in range(projection.n_delays):
            if step < projection.delays[d]:
                continue
            slot = (step - projection.delays[d]) % pre.ring
            for source in range(loop.threads):
                at = slot * pre.size + pre.bounds[source]
                if not ready and pre.counts[slot * loop.threads + source]:
                    ready_post(&projection.learning, block)
                    ready = True
                learn_arrivals(
                    &projection.learning, block, projection.n_delays, d, pre.ids + at, pre.counts[slot * loop.threads + source])
        at = mine * post.size + post.bounds[k]
        learn_spikes(&projection.learning, block, post.ids + at, post.counts[mine * loop.threads + k])
        take_reward(loop, projection, block, step)
        if block.trace != NULL and (loop.now + t + 1) % loop.every == 0:
            keep_weights(block, trace_row(loop, t))


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


cdef void take_reward(Loop* loop, Projection* projection, Block* block, int64_t step) noexcept nogil:
    cdef Node* source
    cdef int64_t slot, reward = 0
    cdef int k
    if projection.learning.reward < 0 or step < projection.learning.reward_delay:
        return
    source = &loop.nodes[projection.learning.reward]
    slot = (step - projection.learning.reward_delay) % source.ring
    for k in range(loop.threads):
        if source.counts[slot * loop.threads + k]:  # its only neuron has spiked
            reward = source.payload[slot * source.size] if source.graded else 1
    if reward:
        learn_reward(&projection.learning, block, <double>reward)


cdef void keep_weights(Block* block, int64_t row) noexcept nogil:
    """Record a block's weights: all-to-all into its targets' part of the whole, listed into an array of its own."""
    cdef int64_t stride = block.state.stride
    if block.targets != NULL:
        memcpy(block.trace + row * block.kept, block.state.w, block.kept * sizeof(double))
    else:
        memcpy(
            block.trace + row * block.kept + block.lo * stride, block.state.w + block.lo * stride,
            (block.hi - block.lo) * stride * sizeof(double))

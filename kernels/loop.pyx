"""The loop over steps: event-driven delivery, state update and spike collection, all in C without the GIL.

Pulling, not pushing: at machine step s a population fetches, for every projection and delay d, the spikes its source sent at
s - d and adds their synapses into accumulators of integers. Each thread owns a range of target neurons of every population, so
nothing is shared while adding, and integer sums make the result independent of order and of threads. Listed synapses of one
source onto several populations are delivered at once (`Table`): their segments are longer, and long segments cost less.
"""

from libc.stdint cimport int32_t, int64_t, uint16_t, uintptr_t
from libc.stdlib cimport realloc
from libc.string cimport memcmp, memcpy

from neurocomp.kernels.delivery cimport acc_t, add_patches, add_rows, add_shifted, spread
from neurocomp.kernels.learning cimport Block, add_weights, learn_arrivals, learn_reward, learn_spikes, ready_post
from neurocomp.kernels.listed cimport deliver_listed
from neurocomp.kernels.loihi cimport run_engine

cdef extern from "inputs.h" nogil:
    void nc_take_narrow(int32_t* acc, const int32_t* bias, double* a, ptrdiff_t n, double unit)
    void nc_take_wide(int64_t* acc, const int64_t* bias, double* a, ptrdiff_t n, double unit)
    void nc_take_narrow_whole(int32_t* acc, const int32_t* bias, int64_t* a, ptrdiff_t n, double unit)
    void nc_take_wide_whole(int64_t* acc, const int64_t* bias, int64_t* a, ptrdiff_t n, double unit)
    int32_t nc_list_waiting(const double* left, ptrdiff_t n, uint16_t* who)
    int32_t nc_list_whole(const int64_t* left, ptrdiff_t n, uint16_t* who)

cdef enum:
    TRIAL = 32                 # steps for which a way of working is timed, three times each
    WARM = 32                  # steps that do not count before all are timed: helpers wake, and fetch what they own
    LONG = 4096                # steps between such trials; more, up to
    LONGEST = 65536            # so many, when all threads have been quicker again: a verdict against them may be an accident
    SOMETIMES = 16             # steps between looks whether a chunk of neurons has settled


cdef void run_loop(Loop* loop) noexcept nogil:
    """Run loop.steps steps: with all threads where that is quicker, otherwise this one does the others' parts, too.

    Steps may be too short for threads to meet, or another process may have their core; so both ways are timed now and then.
    """
    cdef int64_t last = loop.now + loop.steps + loop.max_lag, steps
    loop.end, loop.next_look = loop.now, nc_seconds() + LOOK
    if loop.pool == NULL:
        run_until(loop, last, False)
    while loop.end < last and loop.stop_at > loop.end:
        if loop.trusted == 0:
            time_both(loop, last)
        steps = last - loop.end
        if loop.trusted:
            steps = min(steps, loop.trusted)
            loop.trusted -= steps
        run_until(loop, loop.end + steps, loop.together)


cdef inline double median(const double* of) noexcept nogil:
    """The middle of three."""
    return max(min(of[0], of[1]), min(max(of[0], of[1]), of[2]))


cdef void time_both(Loop* loop, int64_t last) noexcept nogil:
    """Work in both ways in turn, thrice; the lower median is the verdict. None where steps up to `last` are too few.

    In long runs helpers neither sleep nor lose their caches, so such a beginning is not timed.
    """
    cdef double seconds[2][3]
    cdef int i
    cdef bint together
    for i in range(6):
        if last - loop.end < TRIAL + WARM:
            return
        if i % 2 == 1:
            run_until(loop, loop.end + WARM, True)
        seconds[i % 2][i // 2] = run_until(loop, loop.end + TRIAL, i % 2 == 1)
    together = median(seconds[1]) <= median(seconds[0])
    loop.span = min(2 * loop.span, <int64_t>LONGEST) if together and loop.together else LONG
    loop.together, loop.trusted = together, loop.span


cdef double run_until(Loop* loop, int64_t end, bint together) noexcept nogil:
    """Machine steps up to `end`, unless a signal has come; returns the seconds they take."""
    cdef double began = nc_seconds()
    loop.begin, loop.end = loop.end, end
    if loop.stop_at <= loop.begin:
        pass
    elif together:
        nc_pool_run(loop.pool, thread_loop, loop)
    else:
        lone_loop(loop)
    return nc_seconds() - began


cdef int64_t add_events(
    acc_t* acc, Projection* projection, int k, int d, int64_t n_post, int64_t lo, int64_t hi,
    const int32_t* ids, const int32_t* payload, int64_t count
) noexcept nogil:
    """Deliver `count` spikes over a projection's synapses of delay number d, in the way they are stored. acc: of neuron lo."""
    cdef int64_t plane = projection.conv.out_plane
    if projection.kind == DENSE:
        return add_rows(acc, projection.weights, projection.rows, n_post, lo, hi, ids, payload, count)
    if projection.kind == PLASTIC:
        return add_weights(acc - lo, &projection.learning, &projection.learning.blocks[k], projection.n_delays, d, ids, count)
    return add_patches(<acc_t*>projection.sums[k], &projection.conv, lo // plane, hi // plane, ids, payload, count)


cdef void take_inputs(Node* node, int k, int64_t j, int64_t n, double* a) noexcept nogil:
    """The input of every receptor of thread k's neurons j .. j + n, CHUNK values apart."""
    cdef int i
    cdef int64_t at, bias
    for i in range(node.n_inputs):
        at = i * (node.bounds[k + 1] - node.bounds[k]) + j - node.bounds[k]
        bias = resting_place(node, i, j)
        if node.wide and node.integer:
            nc_take_wide_whole(<int64_t*>node.acc[k] + at, <const int64_t*>node.bias + bias, <int64_t*>&a[i * CHUNK], n, 1.0)
        elif node.wide:
            nc_take_wide(<int64_t*>node.acc[k] + at, <const int64_t*>node.bias + bias, &a[i * CHUNK], n, node.scale)
        elif node.integer:
            nc_take_narrow_whole(<int32_t*>node.acc[k] + at, <const int32_t*>node.bias + bias, <int64_t*>&a[i * CHUNK], n, 1.0)
        else:
            nc_take_narrow(<int32_t*>node.acc[k] + at, <const int32_t*>node.bias + bias, &a[i * CHUNK], n, node.scale)


cdef void list_waiting(Node* node, int threads) noexcept nogil:
    """Before a run: list who waits, and see whether updates can work with that."""
    cdef int64_t j, n
    cdef int32_t* found
    cdef int k
    node.listed = node.takes and node.alike
    for k in range(threads if node.listed and node.wait >= 0 else 0):
        j, found = node.bounds[k], node.waiting[k]
        while j < node.bounds[k + 1]:
            n = min(node.chunk, node.bounds[k + 1] - j)
            if node.integer:
                found[0] = nc_list_whole(<const int64_t*>node.state[node.wait] + j, n, node.who[k] + j - node.bounds[k])
            else:
                found[0] = nc_list_waiting(<const double*>node.state[node.wait] + j, n, node.who[k] + j - node.bounds[k])
            if found[0] < 0:
                node.listed = False
            j += n
            found += 1


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
    """Thread k's part of steps that all threads do together."""
    cdef Loop* loop = <Loop*>given
    cdef int64_t step
    for step in range(loop.begin, loop.end):
        do_step(loop, k, step)
        if k == 0:
            look_around(loop, step)
        nc_barrier_wait(&loop.barrier)
        if loop.stop_at <= step + 1:
            break


cdef void lone_loop(Loop* loop) noexcept nogil:
    """All parts of steps, one after the other."""
    cdef int64_t step
    cdef int k
    for step in range(loop.begin, loop.end):
        for k in range(loop.threads):
            do_step(loop, k, step)
        look_around(loop, step)
        if loop.stop_at <= step + 1:
            break


cdef void look_around(Loop* loop, int64_t step) noexcept nogil:
    """Look for signals when it is time to."""
    if nc_seconds() <= loop.next_look:
        return
    loop.next_look = nc_seconds() + LOOK
    if loop.look(loop.owner):
        loop.stop_at = step + 1


cdef void do_step(Loop* loop, int k, int64_t step) noexcept nogil:
    """Part k of a machine step."""
    cdef int64_t t
    cdef int i
    cdef Node* node
    for i in range(loop.n_tables):
        t = step - loop.tables[i].lag - loop.now
        if 0 <= t < loop.steps:
            deliver_listed(loop, &loop.tables[i], k, step)
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
    count_sent(node, node.ids + slot * node.size, count)


cdef inline void count_sent(Node* node, const int32_t* ids, int64_t count) noexcept nogil:
    cdef int64_t j
    if node.sent != NULL:
        for j in range(count):
            node.sent[ids[j]] += 1


cdef void deliver(Loop* loop, int index, int k, int64_t step) noexcept nogil:
    """Add every event that reaches thread k's neurons of a population at this machine step, but for listed synapses."""
    cdef Node* post = &loop.nodes[index]
    cdef Projection* projection
    cdef int n
    cdef int64_t at
    if post.bounds[k] == post.bounds[k + 1]:
        return
    for n in range(loop.first[index], loop.first[index + 1]):
        projection = &loop.projections[loop.order[n]]
        if projection.kind == SPARSE:
            continue
        if projection.kind == PLASTIC and projection.learning.blocks[k].engine.n_products:
            run_engine(loop, projection, &projection.learning.blocks[k], k, step, False)
        at = projection.receptor * (post.bounds[k + 1] - post.bounds[k])
        if post.wide:
            deliver_over(<int64_t*>post.acc[k] + at, <int64_t*>post.scratch[k] + at, loop, projection, k, step)
        else:
            deliver_over(<int32_t*>post.acc[k] + at, <int32_t*>post.scratch[k] + at, loop, projection, k, step)


cdef void deliver_over(
    acc_t* acc, acc_t* scratch, Loop* loop, Projection* projection, int k, int64_t step
) noexcept nogil:
    """Add the events of one projection. acc, scratch: of the thread's first neuron."""
    cdef Node* pre = &loop.nodes[projection.pre]
    cdef Node* post = &loop.nodes[projection.post]
    cdef int64_t lo = post.bounds[k], hi = post.bounds[k + 1], slot, at, count, found
    cdef int d, source
    cdef acc_t* to = scratch if projection.shift else acc
    cdef const int32_t* payload
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
            payload = pre.payload + at if pre.graded else NULL
            found += add_events(to, projection, k, d, post.size, lo, hi, pre.ids + at, payload, count)
        projection.events[k] += found
        if found and projection.kind == CONV:
            spread(to, <acc_t*>projection.sums[k], projection.conv.out_plane, (hi - lo) // projection.conv.out_plane)
        if found and projection.shift:
            add_shifted(acc, scratch, hi - lo, projection.shift)


cdef inline int64_t trace_row(Loop* loop, int64_t t) noexcept nogil:
    """The row of this run's traces for its step t: they are kept after every `every`-th step since the reset."""
    return (loop.now + t + 1) // loop.every - loop.now // loop.every - 1


cdef bint at_rest(const Node* node, int k, int64_t j, int64_t n, bint alone) noexcept nogil:
    """Whether neurons j .. j + n get what they get without any spike."""
    cdef int i
    cdef int64_t width = 8 if node.wide else 4, at
    for i in range(0 if alone else node.n_inputs):
        at = i * (node.bounds[k + 1] - node.bounds[k]) + j - node.bounds[k]
        if memcmp(<char*>node.acc[k] + width * at, <const char*>node.bias + width * resting_place(node, i, j), width * n):
            return False
    return True


cdef bint unchanged(const Node* node, void** state, const double* before, int64_t n) noexcept nogil:
    """Whether an update has left all states of a chunk as they were, bit for bit."""
    cdef int i
    for i in range(node.n_state):
        if memcmp(state[i], before + i * CHUNK, 8 * n):
            return False
    return True


cdef void update(Loop* loop, int index, int k, int64_t step, int64_t t) noexcept nogil:
    """Update thread k's neurons of a population, chunk by chunk, and put their spikes into the ring."""
    cdef Node* node = &loop.nodes[index]
    cdef int64_t lo = node.bounds[k], hi = node.bounds[k + 1], j, n, part = 0, count = 0
    cdef int64_t slot = step % node.ring
    cdef int32_t* ids = node.ids + slot * node.size + lo
    cdef double room[MAX_INPUTS * CHUNK + 8]
    cdef double* a = <double*>((<uintptr_t>room + 63) // 64 * 64)  # on a cache line
    cdef const void* inputs[MAX_INPUTS]
    cdef nc_now now
    cdef int32_t* payload = node.payload + slot * node.size + lo if node.graded else NULL
    cdef void* state[MAX_STATES]
    cdef const void* constants[MAX_CONSTANTS]
    cdef int32_t* sums[MAX_INPUTS]
    cdef const int32_t* bias[MAX_INPUTS]
    cdef double before[MAX_STATES * CHUNK]
    cdef bint trying = False
    cdef int i, spikes
    now.step, now.key, now.context, now.counts = loop.now + t, node.key, node.context, node.poisson[k]
    now.t, now.alike = <double>now.step * loop.dt, node.listed if node.takes else node.alike
    for i in range(node.n_inputs):
        inputs[i] = &a[i * CHUNK]
    cdef bint alone = loop.first[index] == loop.first[index + 1]
    cdef bint taken = node.listed and not node.wide and not alone  # by the update itself
    now.sums, now.bias, now.unit = sums if taken else NULL, bias, node.scale
    j = lo
    while j < hi:
        n = min(node.chunk, hi - j)
        if node.autonomous:
            trying = (node.settled[k][part] or step % SOMETIMES == 0) and at_rest(node, k, j, n, alone)
            if trying and node.settled[k][part]:
                node.rested[k] += n
                j, part = j + n, part + 1
                continue
            node.settled[k][part] = False
        now.first = j
        if alone:
            for i in range(node.n_inputs):
                inputs[i] = <const char*>node.rest + 8 * resting_place(node, i, j)
        elif taken:
            for i in range(node.n_inputs):
                sums[i] = <int32_t*>node.acc[k] + i * (hi - lo) + j - lo
                bias[i] = <const int32_t*>node.bias + resting_place(node, i, j)
        else:
            take_inputs(node, k, j, n, a)
        if node.wait >= 0:
            now.who, now.waiting = node.who[k] + j - lo, &node.waiting[k][part]
        for i in range(node.n_state):
            state[i] = <char*>node.state[i] + 8 * j
            if trying:
                memcpy(&before[i * CHUNK], state[i], 8 * n)
        for i in range(node.n_constants):
            constants[i] = <const char*>node.constants[i] + (8 * j if node.varies[i] else 0)
        spikes = node.update(n, inputs, state, constants, &now, ids + count, payload + count if node.graded else NULL)
        for i in range(spikes):
            ids[count + i] += <int32_t>j
        count += spikes
        if trying:
            node.settled[k][part] = spikes == 0 and unchanged(node, state, before, n)
        j, part = j + n, part + 1
    for i in range(node.n_state):
        if node.traces[i] != NULL and (loop.now + t + 1) % loop.every == 0:
            memcpy(<char*>node.traces[i] + 8 * (trace_row(loop, t) * node.size + lo), <char*>node.state[i] + 8 * lo, 8 * (hi - lo))
    node.counts[slot * loop.threads + k] = count
    node.total[k] += count
    count_sent(node, ids, count)
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

"""The loop over steps: event-driven delivery, state update and spike collection, all in C without the GIL.

Pulling, not pushing: at machine step s a population fetches, for every projection and delay d, the spikes its source sent at
s - d and adds their synapses into accumulators of integers. Each thread owns a range of target neurons of every population, so
nothing is shared while adding, and integer sums make the result independent of order and of threads. Listed synapses of one
source onto several populations are delivered at once (`Table`): their segments are longer, and long segments cost less.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from neurocomp.kernels.delivery cimport acc_t, add_patches, add_rows, add_shifted, spread
from neurocomp.kernels.learning cimport Block, add_weights, learn_arrivals, learn_reward, learn_spikes, ready_post
from neurocomp.kernels.listed cimport deliver_listed
from neurocomp.kernels.loihi cimport run_engine
from neurocomp.kernels.neurons cimport count_sent, update

cdef enum:
    TRIAL = 32                 # steps for which a way of working is timed, three times each
    WARM = 32                  # steps that do not count before all are timed: helpers wake, and fetch what they own
    LONG = 4096                # steps between such trials; more, up to
    LONGEST = 65536            # so many, when all threads have been quicker again: a verdict against them may be an accident


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
    cdef int i, n
    cdef Node* node
    for i in range(loop.n_tables):
        t = step - loop.tables[i].lag - loop.now
        if 0 <= t < loop.steps:
            deliver_listed(loop, &loop.tables[i], k, step)
    for n in range(loop.n_nodes):
        i = n if is_forward(step) else loop.n_nodes - 1 - n
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
    node.tallies[0].spikes += count
    count_sent(node, node.ids + slot * node.size, count)


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

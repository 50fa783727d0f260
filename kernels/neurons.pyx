"""What populations do at a step: take their input, update their neurons chunk by chunk, put spikes into the ring."""

from libc.stdint cimport int32_t, int64_t, uint16_t, uintptr_t
from libc.stdlib cimport realloc
from libc.string cimport memcmp, memcpy, memmove

from neurocomp.kernels.loop cimport (
    CHUNK, MAX_CONSTANTS, MAX_INPUTS, MAX_STATES, Loop, Node, SpikeLog, is_forward, nc_now, resting_place, trace_row,
)

cdef extern from "inputs.h" nogil:
    void nc_take_narrow(int32_t* acc, const int32_t* bias, double* a, ptrdiff_t n, double unit)
    void nc_take_wide(int64_t* acc, const int64_t* bias, double* a, ptrdiff_t n, double unit)
    void nc_take_narrow_single(int32_t* acc, const int32_t* bias, float* a, ptrdiff_t n, double unit)
    void nc_take_wide_single(int64_t* acc, const int64_t* bias, float* a, ptrdiff_t n, double unit)
    void nc_take_narrow_whole(int32_t* acc, const int32_t* bias, int64_t* a, ptrdiff_t n, double unit)
    void nc_take_wide_whole(int64_t* acc, const int64_t* bias, int64_t* a, ptrdiff_t n, double unit)
    void nc_tidy(float* x, ptrdiff_t n)

cdef extern from "step.h" nogil:
    int64_t TIDY "NC_TIDY"
    int64_t nc_steps_float(double x)

cdef enum:
    SOMETIMES = 16             # steps between looks whether a chunk of neurons has settled


cdef void take_inputs(Node* node, int k, int64_t j, int64_t n, char* inputs) noexcept nogil:
    """The input of every receptor of thread k's neurons j .. j + n, CHUNK values apart."""
    cdef int i
    cdef int64_t at, bias
    cdef char* a
    for i in range(node.n_inputs):
        at = i * (node.bounds[k + 1] - node.bounds[k]) + j - node.bounds[k]
        bias = resting_place(node, i, j)
        a = inputs + i * CHUNK * node.width
        if node.wide and node.integer:
            nc_take_wide_whole(<int64_t*>node.acc[k] + at, <const int64_t*>node.bias + bias, <int64_t*>a, n, 1.0)
        elif node.wide and node.single:
            nc_take_wide_single(<int64_t*>node.acc[k] + at, <const int64_t*>node.bias + bias, <float*>a, n, node.scale)
        elif node.wide:
            nc_take_wide(<int64_t*>node.acc[k] + at, <const int64_t*>node.bias + bias, <double*>a, n, node.scale)
        elif node.integer:
            nc_take_narrow_whole(<int32_t*>node.acc[k] + at, <const int32_t*>node.bias + bias, <int64_t*>a, n, 1.0)
        elif node.single:
            nc_take_narrow_single(<int32_t*>node.acc[k] + at, <const int32_t*>node.bias + bias, <float*>a, n, node.scale)
        else:
            nc_take_narrow(<int32_t*>node.acc[k] + at, <const int32_t*>node.bias + bias, <double*>a, n, node.scale)


cdef inline double value_of(const Node* node, int state, int64_t j) noexcept nogil:
    """A state of neuron j."""
    if node.integer:
        return <double>(<const int64_t*>node.state[state])[j]
    return <double>(<const float*>node.state[state])[j] if node.single else (<const double*>node.state[state])[j]


cdef void hold(Node* node, int k, int64_t part) noexcept nogil:
    """Keep what the waiting neurons of a chunk hold."""
    cdef int64_t width = node.width, first = node.bounds[k] + part * node.chunk
    cdef const uint16_t* who = node.who[k] + part * node.chunk
    cdef char* to = <char*>node.held[k] + part * node.n_held * CHUNK * width
    cdef int i
    cdef int32_t q
    for i in range(node.n_state):
        if node.holds >> i & 1:
            for q in range(node.waiting[k][part]):
                memcpy(to + q * width, <char*>node.state[i] + (first + who[q]) * width, width)
            to += CHUNK * width


cdef bint is_listed(
    const Node* node, int64_t first, int64_t n, int64_t step, const uint16_t* who, const int64_t* until, int32_t count
) noexcept nogil:
    """Whether a list holds at `step`, as it does where a run goes on from the last one: sorting it anew would take longer."""
    cdef int64_t j, waiting = 0
    cdef int32_t q
    for q in range(count):
        if who[q] >= n or not value_of(node, node.wait, first + who[q]) > 0:
            return False
        if step - 1 + nc_steps_float(value_of(node, node.wait, first + who[q])) != until[q]:
            return False
    for j in range(n):
        waiting += not value_of(node, node.wait, first + j) <= 0
    return waiting == count


cdef bint list_chunk(Node* node, int k, int64_t part, int64_t n, int64_t step) noexcept nogil:
    """List who of a chunk's n neurons waits at `step`, those that end first before others; whether that can be said.

    What is not a number neither waits nor does not; and a neuron must not wait for longer than those that begin to now.
    """
    cdef int64_t first = node.bounds[k] + part * node.chunk, j, steps, last
    cdef double most = max(start_of(node), 0.0), left
    cdef uint16_t* who = node.who[k] + part * node.chunk
    cdef int64_t* until = node.until[k] + part * node.chunk
    cdef int32_t count = 0, q
    if is_listed(node, first, n, step, who, until, node.waiting[k][part]):
        hold(node, k, part)
        return True
    for j in range(n):
        left = value_of(node, node.wait, first + j)
        if not left <= most:
            return False
        if left > 0:
            last = step - 1 + nc_steps_float(left)
            q = count
            while q > 0 and until[q - 1] > last:
                who[q], until[q] = who[q - 1], until[q - 1]
                q -= 1
            who[q], until[q] = <uint16_t>j, last
            count += 1
    node.waiting[k][part] = count
    hold(node, k, part)
    return True


cdef double start_of(const Node* node) noexcept nogil:
    """What waiting neurons count down from: a number below MOST_STEPS."""
    if node.integer:
        return <double>(<const int64_t*>node.constants[node.start])[0]
    return <double>(<const float*>node.constants[node.start])[0] if node.single else (<const double*>node.constants[node.start])[0]


cdef void list_waiting(Node* node, int threads, int64_t step) noexcept nogil:
    """Before a run: list who waits, and see whether updates can work with that."""
    cdef int64_t part, j
    cdef int k
    node.listed = node.takes and node.alike
    for k in range(threads if node.listed and node.wait >= 0 else 0):
        part, j = 0, node.bounds[k]
        while j < node.bounds[k + 1] and node.listed:
            node.listed = list_chunk(node, k, part, min(node.chunk, node.bounds[k + 1] - j), step)
            part += 1
            j += node.chunk


cdef void settle_waiting(Node* node, int k, int64_t step) noexcept nogil:
    """Count down what thread k's waiting neurons have left after `step`, which is left out while they are listed."""
    cdef int64_t part, j, elapsed
    cdef uint16_t* who
    cdef int64_t* until
    cdef int32_t q
    if not node.listed or node.wait < 0:
        return
    for part in range((node.bounds[k + 1] - node.bounds[k] + node.chunk - 1) // node.chunk):
        who, until = node.who[k] + part * node.chunk, node.until[k] + part * node.chunk
        for q in range(node.waiting[k][part]):
            j = node.bounds[k] + part * node.chunk + who[q]
            elapsed = nc_steps_float(value_of(node, node.wait, j)) - (until[q] - step)
            if node.integer:
                (<int64_t*>node.state[node.wait])[j] -= elapsed
            elif node.single:
                (<float*>node.state[node.wait])[j] -= <float>elapsed
            else:
                (<double*>node.state[node.wait])[j] -= <double>elapsed


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


cdef inline void move_spikes(int32_t* ids, int32_t* payload, int64_t at, int64_t to, int64_t count) noexcept nogil:
    memmove(ids + to, ids + at, count * sizeof(int32_t))
    if payload != NULL:
        memmove(payload + to, payload + at, count * sizeof(int32_t))


cdef bint at_rest(const Node* node, int k, int64_t j, int64_t n, bint alone) noexcept nogil:
    """Whether neurons j .. j + n get what they get without any spike."""
    cdef int i
    cdef int64_t width = 8 if node.wide else 4, at
    for i in range(0 if alone else node.n_inputs):
        at = i * (node.bounds[k + 1] - node.bounds[k]) + j - node.bounds[k]
        if memcmp(<char*>node.acc[k] + width * at, <const char*>node.bias + width * resting_place(node, i, j), width * n):
            return False
    return True


cdef bint unchanged(const Node* node, void** state, const char* before, int64_t n) noexcept nogil:
    """Whether an update has left all states of a chunk as they were, bit for bit."""
    cdef int i
    for i in range(node.n_state):
        if memcmp(state[i], before + i * CHUNK * node.width, node.width * n):
            return False
    return True


cdef void update(Loop* loop, int index, int k, int64_t step, int64_t t) noexcept nogil:
    """Update thread k's neurons of a population, chunk by chunk, and put their spikes into the ring."""
    cdef Node* node = &loop.nodes[index]
    cdef int64_t lo = node.bounds[k], hi = node.bounds[k + 1], j, n, number, part, at, count = 0
    cdef int64_t chunks = (hi - lo + node.chunk - 1) // node.chunk
    cdef bint forward = is_forward(step)
    cdef int64_t slot = step % node.ring
    cdef int32_t* ids = node.ids + slot * node.size + lo
    cdef double room[MAX_INPUTS * CHUNK + 8]
    cdef char* a = <char*>((<uintptr_t>room + 63) // 64 * 64)  # on a cache line
    cdef int64_t width = node.width
    cdef const void* inputs[MAX_INPUTS]
    cdef nc_now now
    cdef int32_t* payload = node.payload + slot * node.size + lo if node.graded else NULL
    cdef void* state[MAX_STATES]
    cdef const void* constants[MAX_CONSTANTS]
    cdef int32_t* sums[MAX_INPUTS]
    cdef const int32_t* bias[MAX_INPUTS]
    cdef double before[MAX_STATES * CHUNK]
    cdef bint trying = False, tidying, still
    cdef int i, spikes
    now.step, now.key, now.context, now.counts = loop.now + t, node.key, node.context, node.poisson[k]
    now.t, now.alike = <double>now.step * loop.dt, node.listed if node.takes else node.alike
    for i in range(node.n_inputs):
        inputs[i] = a + i * CHUNK * width
    cdef bint alone = loop.first[index] == loop.first[index + 1]
    cdef bint taken = node.listed and not node.wide and not alone  # by the update itself
    now.sums, now.bias, now.unit = sums if taken else NULL, bias, node.scale
    tidying = node.single and (now.step + 1) % TIDY == 0
    for number in range(chunks):
        part = number if forward else chunks - 1 - number
        j = lo + part * node.chunk
        n = min(node.chunk, hi - j)
        at = count if forward else hi - lo - count - n  # backwards, the list grows from the end of its room
        if node.autonomous:
            trying = (node.settled[k][part] or step % SOMETIMES == 0) and at_rest(node, k, j, n, alone)
            if trying and node.settled[k][part] and not tidying:
                node.tallies[k].rested += n
                continue
            node.settled[k][part] = False
        now.first = j
        if alone:
            for i in range(node.n_inputs):
                inputs[i] = <const char*>node.rest + width * resting_place(node, i, j)
        elif taken:
            for i in range(node.n_inputs):
                sums[i] = <int32_t*>node.acc[k] + i * (hi - lo) + j - lo
                bias[i] = <const int32_t*>node.bias + resting_place(node, i, j)
        else:
            take_inputs(node, k, j, n, a)
        if node.wait >= 0:
            now.who, now.until, now.waiting = node.who[k] + j - lo, node.until[k] + j - lo, &node.waiting[k][part]
            now.held = <char*>node.held[k] + part * node.n_held * CHUNK * width
        for i in range(node.n_state):
            state[i] = <char*>node.state[i] + width * j
            if trying:
                memcpy(<char*>before + i * CHUNK * width, state[i], width * n)
        for i in range(node.n_constants):
            constants[i] = <const char*>node.constants[i] + (width * j if node.varies[i] else 0)
        spikes = node.update(n, inputs, state, constants, &now, ids + at, payload + at if node.graded else NULL)
        for i in range(node.n_state if tidying else 0):
            nc_tidy(<float*>state[i], n)
        if tidying and node.listed and node.wait >= 0:
            hold(node, k, part)
        for i in range(spikes):
            ids[at + i] += <int32_t>j
        count += spikes
        if not forward:
            move_spikes(ids, payload, at, hi - lo - count, spikes)
        if trying:
            still = not node.listed or node.wait < 0 or node.waiting[k][part] == 0
            node.settled[k][part] = spikes == 0 and still and unchanged(node, state, <const char*>before, n)
    if not forward:
        move_spikes(ids, payload, hi - lo - count, 0, count)
    if node.wait >= 0 and node.traces[node.wait] != NULL and (loop.now + t + 1) % loop.every == 0:
        settle_waiting(node, k, now.step)
    for i in range(node.n_state):
        if node.traces[i] != NULL and (loop.now + t + 1) % loop.every == 0:
            at = trace_row(loop, t) * node.size + lo
            memcpy(<char*>node.traces[i] + width * at, <char*>node.state[i] + width * lo, width * (hi - lo))
    node.counts[slot * loop.threads + k] = count
    node.tallies[k].spikes += count
    count_sent(node, ids, count)
    if node.record and count and log_spikes(&node.logs[k], ids, payload, count, t):
        loop.failed = 1

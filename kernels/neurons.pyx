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
    int32_t nc_list_waiting(const double* left, ptrdiff_t n, uint16_t* who)
    int64_t TIDY "NC_TIDY"
    void nc_tidy(float* x, ptrdiff_t n)
    int32_t nc_list_single(const float* left, ptrdiff_t n, uint16_t* who)
    int32_t nc_list_whole(const int64_t* left, ptrdiff_t n, uint16_t* who)

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
            elif node.single:
                found[0] = nc_list_single(<const float*>node.state[node.wait] + j, n, node.who[k] + j - node.bounds[k])
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
    cdef bint trying = False, tidying
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
            now.who, now.waiting = node.who[k] + j - lo, &node.waiting[k][part]
        for i in range(node.n_state):
            state[i] = <char*>node.state[i] + width * j
            if trying:
                memcpy(<char*>before + i * CHUNK * width, state[i], width * n)
        for i in range(node.n_constants):
            constants[i] = <const char*>node.constants[i] + (width * j if node.varies[i] else 0)
        spikes = node.update(n, inputs, state, constants, &now, ids + at, payload + at if node.graded else NULL)
        for i in range(node.n_state if tidying else 0):
            nc_tidy(<float*>state[i], n)
        for i in range(spikes):
            ids[at + i] += <int32_t>j
        count += spikes
        if not forward:
            move_spikes(ids, payload, at, hi - lo - count, spikes)
        if trying:
            node.settled[k][part] = spikes == 0 and unchanged(node, state, <const char*>before, n)
    if not forward:
        move_spikes(ids, payload, hi - lo - count, 0, count)
    for i in range(node.n_state):
        if node.traces[i] != NULL and (loop.now + t + 1) % loop.every == 0:
            at = trace_row(loop, t) * node.size + lo
            memcpy(<char*>node.traces[i] + width * at, <char*>node.state[i] + width * lo, width * (hi - lo))
    node.counts[slot * loop.threads + k] = count
    node.tallies[k].spikes += count
    count_sent(node, ids, count)
    if node.record and count and log_spikes(&node.logs[k], ids, payload, count, t):
        loop.failed = 1

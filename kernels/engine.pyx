"""The step loop: event-driven delivery, state update and spike collection, all in C without the GIL.

Pulling, not pushing: at machine step s a population fetches, for every projection and delay d, the spikes its source sent at
s - d and adds their synapses into one accumulator of integers. Each thread owns a range of target neurons of every
population, so nothing is shared while adding, and integer sums make the result independent of order and of threads.
"""

import threading

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_GetContext, PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t, intptr_t, uint8_t, uintptr_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from neurocomp.kernels.delivery cimport Patches, acc_t, add_patches, add_rows, add_segments, add_shifted

# ------------------------------------------------------------------------------------------------ input, spikes out, logs

cdef int64_t add_events(
    acc_t* acc, Projection* projection, int k, int d, int64_t n_post, int64_t lo, int64_t hi,
    const int32_t* ids, const int32_t* payload, int64_t count
) noexcept nogil:
    """Deliver `count` spikes over a projection's synapses of delay number d, in the way they are stored."""
    if projection.kind == DENSE:
        return add_rows(acc, projection.weights, projection.rows, n_post, lo, hi, ids, payload, count)
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


cdef int64_t compact(const unsigned char* fired, int64_t n, int64_t base, int32_t* ids) noexcept nogil:
    """Write base + j for every fired[j]; returns how many. Looks at eight flags at a time."""
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
            count += 1
        j += 1
    return count


cdef int log_spikes(SpikeLog* log, const int32_t* ids, int64_t count, int64_t t) noexcept nogil:
    """Append spikes of step t; returns 0, or 1 when memory ran out."""
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
        log.capacity = capacity
    for j in range(count):
        log.times[log.count + j] = t
        log.ids[log.count + j] = ids[j]
    log.count += count
    return 0


# ----------------------------------------------------------------------------------------------------------------- engine

cdef class Engine:
    """A lowered network: nodes, projections, their state, and the loop over steps.

    threads: 1..64. ring: slots of the spike rings, at least the largest delay + max_lag + 1. max_lag: of any node.
    Built by `add_input`, `add_population`, `add_sparse`, `add_dense`, then `seal`; indices are returned in order.
    """

    def __cinit__(self, int threads, int64_t ring, int64_t max_lag):
        if not 1 <= threads <= MAX_THREADS:
            raise ValueError(f"threads must be 1..{MAX_THREADS}, not {threads}")
        if not 0 <= max_lag < 2**31 or not max_lag + 2 <= ring < 2**32:
            raise ValueError(f"ring {ring} does not fit max_lag {max_lag}")
        self.threads, self.ring, self.max_lag = threads, ring, max_lag
        self.keep = []
        self.barrier.threads = threads

    def __dealloc__(self):
        cdef int i, k
        for i in range(self.n_nodes):
            for k in range(self.threads):
                free(self.nodes[i].logs[k].times)
                free(self.nodes[i].logs[k].ids)
        free(self.nodes)
        free(self.projections)
        free(self.order)
        free(self.first)

    # ------------------------------------------------------------------------------------------------------------- build

    cdef uintptr_t _hold(self, array):
        """Keep an array alive and return its address."""
        self.keep.append(array)
        self.held += array.nbytes
        return <uintptr_t>array.__array_interface__["data"][0]

    cdef Node* node_at(self, int index) except NULL:
        if not 0 <= index < self.n_nodes:
            raise IndexError(f"node {index} is outside 0..{self.n_nodes - 1}")
        return &self.nodes[index]

    cdef Node* _new_node(self, int64_t size, int64_t lag, int64_t align) except NULL:
        cdef int k
        cdef void* grown
        cdef int64_t even
        if self.order != NULL:
            raise ValueError("the engine is sealed")
        if not 1 <= size < 2**31 or not 0 <= lag <= self.max_lag:
            raise ValueError(f"a node of {size} neurons with lag {lag} does not fit (max_lag {self.max_lag})")
        if self.n_nodes == self.capacity_nodes:
            self.capacity_nodes = max(8, 2 * self.capacity_nodes)
            grown = realloc(self.nodes, self.capacity_nodes * sizeof(Node))
            if grown == NULL:
                raise MemoryError
            self.nodes = <Node*>grown
        cdef Node* node = &self.nodes[self.n_nodes]
        memset(node, 0, sizeof(Node))
        node.size, node.lag = size, lag
        if align < 1:
            raise ValueError(f"align must be positive, not {align}")
        for k in range(self.threads + 1):
            even = (size * k // self.threads + align // 2) // align * align
            node.bounds[k] = min(max(even, 0), size)
        node.bounds[0], node.bounds[self.threads] = 0, size
        node.ids = <int32_t*>self._hold(np.zeros(self.ring * size, np.int32))
        node.counts = <int64_t*>self._hold(np.zeros(self.ring * self.threads, np.int64))
        self.n_nodes += 1
        return node

    def bounds(self, int index):
        """The ranges of neurons each thread owns, as threads + 1 offsets."""
        cdef Node* node = self.node_at(index)
        return [node.bounds[k] for k in range(self.threads + 1)]

    def add_input(self, int64_t size, int64_t lag, bint graded):
        """Add an input. Returns its index."""
        cdef Node* node = self._new_node(size, lag, 16)
        node.is_input, node.graded, node.spikes = True, graded, True
        if graded:
            node.payload = <int32_t*>self._hold(np.zeros(self.ring * size, np.int32))
        return self.n_nodes - 1

    def add_population(
        self, int64_t size, int64_t lag, update, list state, list constants, const int64_t[::1] bias,
        double scale, bint integer, bint wide, bint spikes, int64_t align=16
    ):
        """Add a population. Returns its index.

        update: capsule of the compiled step. state: arrays of `size`, changed in place. constants: arrays of `size` or
        of one value. bias: `size` grid units. scale: value of a grid unit. integer: int64 state and constants, else
        float64. wide: int64 accumulator, else int32. align: threads own ranges in multiples of it (16 keeps them on cache
        lines of their own; targets of convolutions need multiples of the output plane).
        """
        cdef int k
        dtype = np.int64 if integer else np.float64
        if len(state) > MAX_STATES or len(constants) >= MAX_CONSTANTS:
            raise ValueError(f"{len(state)} states and {len(constants)} constants exceed {MAX_STATES} and {MAX_CONSTANTS}")
        for array in state:
            if array.dtype != dtype or array.shape != (size,) or not array.flags.c_contiguous or not array.flags.writeable:
                raise ValueError(f"state must be writable contiguous {dtype.__name__} arrays of {size} values")
        for array in constants:
            if array.dtype != dtype or array.shape not in ((size,), (1,)) or not array.flags.c_contiguous:
                raise ValueError(f"constants must be contiguous {dtype.__name__} arrays of {size} or 1 values")
        if bias.shape[0] != size:
            raise ValueError(f"bias has {bias.shape[0]} values for {size} neurons")
        cdef update_fn function = <update_fn>PyCapsule_GetPointer(update, "neurocomp.update")
        cdef intptr_t counts = <intptr_t>PyCapsule_GetContext(update)
        if counts != len(state) * MAX_CONSTANTS + len(constants):
            raise ValueError(
                f"this update has {counts // MAX_CONSTANTS} states and {counts % MAX_CONSTANTS} constants, not {len(state)} "
                f"and {len(constants)}"
            )
        cdef Node* node = self._new_node(size, lag, align)
        self.keep.append(update)
        node.update, node.integer, node.wide, node.spikes, node.scale = function, integer, wide, spikes, scale
        node.n_state, node.n_constants = len(state), len(constants)
        for k in range(node.n_state):
            node.state[k] = <void*>self._hold(state[k])
        for k in range(node.n_constants):
            node.varies[k] = constants[k].shape[0] == size and size > 1
            array = constants[k] if node.varies[k] else np.full(CHUNK, constants[k][0], dtype)
            node.constants[k] = <const void*>self._hold(array)
        own_bias = np.array(bias, np.int64)
        node.bias = <const int64_t*>self._hold(own_bias)
        width = np.int64 if wide else np.int32
        node.acc = <void*>self._hold(own_bias.astype(width))
        node.scratch = <void*>self._hold(np.zeros(size, width))
        return self.n_nodes - 1

    cdef Projection* _new_projection(self, int pre, int post, const int64_t[::1] delays, int shift) except NULL:
        cdef void* grown
        cdef int64_t d
        if self.order != NULL:
            raise ValueError("the engine is sealed")
        self.node_at(pre)
        if self.node_at(post).is_input:
            raise ValueError(f"node {post} is an input; inputs receive nothing")
        if not 0 <= shift < 31:
            raise ValueError(f"shift {shift} is outside 0..30")
        for d in delays:
            if not 1 <= d < self.ring - self.max_lag:
                raise ValueError(f"delay {d} is outside 1..{self.ring - self.max_lag - 1}")
        if self.n_projections == self.capacity_projections:
            self.capacity_projections = max(8, 2 * self.capacity_projections)
            grown = realloc(self.projections, self.capacity_projections * sizeof(Projection))
            if grown == NULL:
                raise MemoryError
            self.projections = <Projection*>grown
        cdef Projection* new = &self.projections[self.n_projections]
        memset(new, 0, sizeof(Projection))
        new.pre, new.post, new.shift, new.n_delays = pre, post, shift, <int>delays.shape[0]
        new.delays = <const int64_t*>self._hold(np.array(delays, np.int64))
        return new

    def add_sparse(self, int pre, int post, const int64_t[::1] delays, int shift, list blocks):
        """Add listed synapses. blocks: per thread (segments, targets, values).

        segments: (n_pre * n_delays + 1,) int64 offsets by source neuron, then delay. targets, values: (k,) int32, the
        target neurons (in the thread's range) and weights in grid units.
        """
        cdef int k
        cdef Node* source = self.node_at(pre)
        cdef Node* target = self.node_at(post)
        if len(blocks) != self.threads:
            raise ValueError(f"{len(blocks)} blocks for {self.threads} threads")
        for k, (segments, targets, values) in enumerate(blocks):
            _check("segments", segments, np.int64, (source.size * delays.shape[0] + 1,))
            total = int(segments[segments.shape[0] - 1])
            _check("targets", targets, np.int32, (total,))
            _check("values", values, np.int32, (total,))
            if segments[0] != 0 or (np.diff(segments) < 0).any():
                raise ValueError("segments must ascend from 0")
            if len(targets) and (targets.min() < target.bounds[k] or targets.max() >= target.bounds[k + 1]):
                raise ValueError(f"targets of thread {k} leave its range {target.bounds[k]}..{target.bounds[k + 1] - 1}")
        before = self.held
        cdef Projection* new = self._new_projection(pre, post, delays, shift)
        for k, (segments, targets, values) in enumerate(blocks):
            new.segments[k] = <const int64_t*>self._hold(segments)
            new.targets[k] = <const int32_t*>self._hold(targets)
            new.values[k] = <const int32_t*>self._hold(values)
        self._finish_projection(before)

    def add_dense(self, int pre, int post, const int64_t[::1] delays, int shift, weights, rows=None):
        """Add all-to-all synapses of one delay.

        weights: (n_rows, n_post) int32 grid units. rows: (n_pre,) int32, the row of each source neuron, -1 for none;
        None: source neuron i has row i.
        """
        cdef int64_t n_pre = self.node_at(pre).size, n_post = self.node_at(post).size
        if delays.shape[0] != 1:
            raise ValueError(f"a dense projection has one delay, not {delays.shape[0]}")
        n_rows = n_pre if rows is None else weights.shape[0]
        _check("weights", weights, np.int32, (n_rows, n_post))
        if rows is not None:
            _check("rows", rows, np.int32, (n_pre,))
            if rows.min() < -1 or rows.max() >= n_rows:
                raise ValueError(f"rows must be in -1..{n_rows - 1}")
        before = self.held
        cdef Projection* new = self._new_projection(pre, post, delays, shift)
        new.kind = DENSE
        new.weights = <const int32_t*>self._hold(weights)
        new.rows = NULL if rows is None else <const int32_t*>self._hold(rows)
        self._finish_projection(before)

    def add_conv(
        self, int pre, int post, const int64_t[::1] delays, int shift, weights, in_shape, out_shape, int groups, y_taps, x_taps
    ):
        """Add a convolution of one delay.

        weights: (channels in, kernel height, kernel width, channels out / groups) int32 grid units. in_shape, out_shape:
        (channels, height, width). y_taps, x_taps: per axis (first (size + 1,), pairs (k, 2)) int32: the (kernel index,
        output coordinate) pairs of every input coordinate.
        """
        cdef int k
        cdef Node* target = self.node_at(post)
        (c_in, height, width), (c_out, out_height, out_width) = in_shape, out_shape
        if delays.shape[0] != 1:
            raise ValueError(f"a convolution has one delay, not {delays.shape[0]}")
        if c_in * height * width != self.node_at(pre).size or c_out * out_height * out_width != target.size:
            raise ValueError(f"shapes {in_shape} and {out_shape} do not fit the nodes")
        if groups < 1 or c_in % groups or c_out % groups:
            raise ValueError(f"{groups} groups do not divide {c_in} and {c_out} channels")
        for k in range(self.threads + 1):
            if target.bounds[k] % (out_height * out_width):
                raise ValueError(f"threads must own whole channels of node {post}: add it with align={out_height * out_width}")
        if weights.ndim != 4:
            raise ValueError("weights must have four dimensions")
        _check("weights", weights, np.int32, (c_in, weights.shape[1], weights.shape[2], c_out // groups))
        _check_taps("y_taps", y_taps, height, weights.shape[1], out_height)
        _check_taps("x_taps", x_taps, width, weights.shape[2], out_width)
        before = self.held
        cdef Projection* new = self._new_projection(pre, post, delays, shift)
        new.kind = CONV
        new.conv.plane, new.conv.width = height * width, width
        new.conv.out_plane, new.conv.out_width = out_height * out_width, out_width
        new.conv.group_in, new.conv.group_out = c_in // groups, c_out // groups
        new.conv.kernel_height, new.conv.kernel_width = weights.shape[1], weights.shape[2]
        new.conv.weights = <const int32_t*>self._hold(weights)
        new.conv.y_first, new.conv.y_taps = <const int32_t*>self._hold(y_taps[0]), <const int32_t*>self._hold(y_taps[1])
        new.conv.x_first, new.conv.x_taps = <const int32_t*>self._hold(x_taps[0]), <const int32_t*>self._hold(x_taps[1])
        self._finish_projection(before)

    cdef _finish_projection(self, int64_t held_before):
        self.held_for_synapses += self.held - held_before
        self.n_projections += 1

    def synapse_bytes(self):
        """Bytes of all arrays that hold synapses."""
        return self.held_for_synapses

    def seal(self):
        """Finish building: sort the projections by target."""
        cdef int i, p, n = 0
        if self.order != NULL:
            return
        self.order = <int*>calloc(self.n_projections + 1, sizeof(int))
        self.first = <int*>calloc(self.n_nodes + 1, sizeof(int))
        if self.order == NULL or self.first == NULL:
            raise MemoryError
        for i in range(self.n_nodes):
            self.first[i] = n
            for p in range(self.n_projections):
                if self.projections[p].post == i:
                    self.order[n] = p
                    n += 1
        self.first[self.n_nodes] = n

    # --------------------------------------------------------------------------------------------------------------- run

    def reset(self):
        """Forget all spikes and put accumulators at their bias; the caller restores the state arrays."""
        cdef int i
        cdef int64_t j
        cdef Node* node
        if self.running:
            raise RuntimeError("the engine is running")
        self.now = 0
        for i in range(self.n_nodes):
            node = &self.nodes[i]
            memset(node.counts, 0, self.ring * self.threads * sizeof(int64_t))
            if node.is_input:
                continue
            for j in range(node.size):
                if node.wide:
                    (<int64_t*>node.acc)[j] = node.bias[j]
                    (<int64_t*>node.scratch)[j] = 0
                else:
                    (<int32_t*>node.acc)[j] = <int32_t>node.bias[j]
                    (<int32_t*>node.scratch)[j] = 0

    def run(self, int64_t steps, dict inputs, list record, list traces):
        """Run `steps` steps. Returns (spikes, counts, events).

        inputs: index -> (offsets (steps + 1,) int64, ids int32, payload int32 or None), events sorted by step.
        record: indices of populations whose spikes to return, as index -> (times, ids).
        traces: (index, state number, array (steps, size)) to fill.
        counts: spikes per node. events: synaptic events per projection, in the order they were added.
        On KeyboardInterrupt all threads leave within a step; the state is then in the middle of a step: reset.
        """
        if self.running:
            raise RuntimeError("the engine is running: it cannot be run by another thread or by a signal handler meanwhile")
        if steps < 1:
            raise ValueError(f"steps must be positive, not {steps}")
        self.running = True
        try:
            return self._run(steps, inputs, record, traces)
        finally:
            self.running = False

    def _run(self, int64_t steps, dict inputs, list record, list traces):
        cdef int i, k
        self.seal()
        held = self._prepare(steps, inputs, record, traces)
        self.steps, self.stop_at, self.failed = steps, 2**62, 0
        self.barrier.waiting = self.barrier.phase = 0
        gate = threading.Event()  # helpers start together, or not at all when an interruption comes in between
        helpers = [threading.Thread(target=self._help, args=(k, gate), daemon=True) for k in range(1, self.threads)]
        self.go = False
        try:
            for helper in helpers:
                helper.start()
            self.go = True
            gate.set()
            self._work(0)
        finally:
            gate.set()
            for helper in helpers:
                if helper.ident is not None:
                    helper.join()
        del held
        if self.failed:
            raise MemoryError("no memory left for recorded spikes; record fewer populations or fewer steps")
        if self.pending is not None:
            error, self.pending = self.pending, None
            raise error
        self.now += steps
        spikes = {i: self._take_log(i) for i in record}
        counts = [sum([self.nodes[i].total[k] for k in range(self.threads)]) for i in range(self.n_nodes)]
        events = [sum([self.projections[i].events[k] for k in range(self.threads)]) for i in range(self.n_projections)]
        return spikes, counts, events

    def _prepare(self, int64_t steps, dict inputs, list record, list traces):
        cdef int i, k
        cdef Node* node
        held = []
        for i in range(self.n_nodes):
            node = &self.nodes[i]
            node.record = False
            node.in_offsets = NULL
            memset(node.total, 0, sizeof(node.total))
            memset(node.traces, 0, sizeof(node.traces))
        for i in range(self.n_projections):
            memset(self.projections[i].events, 0, sizeof(self.projections[i].events))
        for i, (offsets, ids, payload) in inputs.items():
            node = self.node_at(i)
            _check_input(node.size, node.is_input, node.graded, steps, offsets, ids, payload)
            held.append((offsets, ids, payload))
            node.in_offsets = <const int64_t*><uintptr_t>offsets.__array_interface__["data"][0]
            node.in_ids = <const int32_t*><uintptr_t>ids.__array_interface__["data"][0]
            node.in_payload = NULL
            if payload is not None:
                node.in_payload = <const int32_t*><uintptr_t>payload.__array_interface__["data"][0]
        for i in record:
            node = self.node_at(i)
            node.record = True
            for k in range(self.threads):
                node.logs[k].count = 0
        for i, k, array in traces:
            node = self.node_at(i)
            dtype = np.int64 if node.integer else np.float64
            if not 0 <= k < node.n_state:
                raise IndexError(f"state {k} is outside 0..{node.n_state - 1}")
            if array.dtype != dtype or array.shape != (steps, node.size) or not array.flags.carray:
                raise ValueError(f"a trace must be a writable contiguous {dtype.__name__} array of ({steps}, {node.size})")
            held.append(array)
            node.traces[k] = <void*><uintptr_t>array.__array_interface__["data"][0]
        return held

    def _take_log(self, int index):
        """Recorded spikes (times, ids) of a node, sorted by time, then neuron; the log is emptied."""
        cdef Node* node = &self.nodes[index]
        cdef int k
        cdef int64_t n
        cdef int64_t[::1] times
        cdef int32_t[::1] ids
        all_times, all_ids = [], []
        for k in range(self.threads):
            n = node.logs[k].count
            part_times, part_ids = np.empty(n, np.int64), np.empty(n, np.int32)
            if n:
                times, ids = part_times, part_ids
                memcpy(&times[0], node.logs[k].times, n * sizeof(int64_t))
                memcpy(&ids[0], node.logs[k].ids, n * sizeof(int32_t))
            all_times.append(part_times)
            all_ids.append(part_ids)
            free(node.logs[k].times)
            free(node.logs[k].ids)
            memset(&node.logs[k], 0, sizeof(SpikeLog))
        if self.threads == 1:
            return all_times[0], all_ids[0].astype(np.int64)
        joined = np.concatenate(all_times)
        order = np.argsort(joined, kind="stable")  # threads own ascending ranges, so ids stay sorted within a step
        return joined[order], np.concatenate(all_ids)[order].astype(np.int64)

    def _work(self, int k):
        cdef int number = k
        with nogil:
            self.thread_loop(number)

    def _help(self, int k, gate):
        gate.wait()
        if self.go:
            self._work(k)

    cdef void thread_loop(self, int k) noexcept nogil:
        cdef int64_t step, t
        cdef int i
        cdef Node* node
        cdef double look = nc_seconds() + LOOK
        for step in range(self.now, self.now + self.steps + self.max_lag):
            for i in range(self.n_nodes):
                node = &self.nodes[i]
                t = step - node.lag - self.now
                if t < 0 or t >= self.steps:
                    continue
                if not node.is_input:
                    self.deliver(i, k, step)
                    self.update(i, k, step, t)
                elif k == 0:
                    self.feed_input(node, step, t)
            if k == 0 and nc_seconds() > look:
                look = nc_seconds() + LOOK
                with gil:
                    if self._interrupted():
                        self.stop_at = step + 1
            nc_barrier_wait(&self.barrier)
            if self.stop_at <= step + 1:
                break

    cdef bint _interrupted(self):
        """Whether a signal handler raised; its exception waits until all threads have left."""
        try:
            PyErr_CheckSignals()
        except BaseException as error:
            self.pending = error
            return True
        return False

    cdef void feed_input(self, Node* node, int64_t step, int64_t t) noexcept nogil:
        cdef int64_t slot = step % self.ring, begin = 0, count = 0
        if node.in_offsets != NULL:
            begin = node.in_offsets[t]
            count = node.in_offsets[t + 1] - begin
            memcpy(node.ids + slot * node.size, node.in_ids + begin, count * sizeof(int32_t))
            if node.graded and node.in_payload != NULL:
                memcpy(node.payload + slot * node.size, node.in_payload + begin, count * sizeof(int32_t))
        node.counts[slot * self.threads] = count
        node.total[0] += count

    cdef void deliver(self, int index, int k, int64_t step) noexcept nogil:
        """Add every event that reaches thread k's neurons of a population at this machine step."""
        cdef Node* post = &self.nodes[index]
        cdef Node* pre
        cdef Projection* projection
        cdef int64_t lo = post.bounds[k], hi = post.bounds[k + 1], slot, at, count, found
        cdef int n, d, source
        cdef const int32_t* ids
        cdef const int32_t* payload
        cdef void* to
        if lo == hi:
            return
        for n in range(self.first[index], self.first[index + 1]):
            projection = &self.projections[self.order[n]]
            pre = &self.nodes[projection.pre]
            to = post.scratch if projection.shift else post.acc
            for d in range(projection.n_delays):
                if step < projection.delays[d]:
                    continue
                slot = (step - projection.delays[d]) % self.ring
                found = 0
                for source in range(self.threads):
                    count = pre.counts[slot * self.threads + source]
                    if count == 0:
                        continue
                    at = slot * pre.size + pre.bounds[source]
                    ids = pre.ids + at
                    payload = pre.payload + at if pre.graded else NULL
                    if post.wide:
                        found += add_events(<int64_t*>to, projection, k, d, post.size, lo, hi, ids, payload, count)
                    else:
                        found += add_events(<int32_t*>to, projection, k, d, post.size, lo, hi, ids, payload, count)
                projection.events[k] += found
                if projection.shift and found and post.wide:
                    add_shifted(<int64_t*>post.acc, <int64_t*>post.scratch, lo, hi, projection.shift)
                elif projection.shift and found:
                    add_shifted(<int32_t*>post.acc, <int32_t*>post.scratch, lo, hi, projection.shift)

    cdef void update(self, int index, int k, int64_t step, int64_t t) noexcept nogil:
        """Update thread k's neurons of a population, chunk by chunk, and put their spikes into the ring."""
        cdef Node* node = &self.nodes[index]
        cdef int64_t lo = node.bounds[k], hi = node.bounds[k + 1], j, n, count = 0
        cdef int64_t slot = step % self.ring
        cdef int32_t* ids = node.ids + slot * node.size + lo
        cdef double a[CHUNK]
        cdef unsigned char fired[CHUNK]
        cdef void* state[MAX_STATES]
        cdef const void* constants[MAX_CONSTANTS]
        cdef int i
        j = lo
        while j < hi:
            n = min(<int64_t>CHUNK, hi - j)
            if node.wide:
                take_input(<int64_t*>node.acc + j, node.bias + j, a, n, node.integer, node.scale)
            else:
                take_input(<int32_t*>node.acc + j, node.bias + j, a, n, node.integer, node.scale)
            for i in range(node.n_state):
                state[i] = <char*>node.state[i] + 8 * j
            for i in range(node.n_constants):
                constants[i] = <const char*>node.constants[i] + (8 * j if node.varies[i] else 0)
            node.update(n, a, state, constants, fired)
            if node.spikes:
                count += compact(fired, n, j, ids + count)
            j += n
        for i in range(node.n_state):
            if node.traces[i] != NULL:
                memcpy(<char*>node.traces[i] + 8 * (t * node.size + lo), <char*>node.state[i] + 8 * lo, 8 * (hi - lo))
        node.counts[slot * self.threads + k] = count
        node.total[k] += count
        if node.record and count and log_spikes(&node.logs[k], ids, count, t):
            self.failed = 1


def _check(name, array, dtype, shape):
    if array.dtype != dtype or array.shape != tuple(shape) or not array.flags.c_contiguous:
        raise ValueError(f"{name} must be a contiguous {np.dtype(dtype).name} array of shape {tuple(shape)}")


def _check_taps(name, taps, size, kernel, out):
    first, pairs = taps
    _check(name, first, np.int32, (size + 1,))
    _check(name, pairs, np.int32, (int(first[size]), 2))
    if first[0] != 0 or (np.diff(first) < 0).any():
        raise ValueError(f"{name} must ascend from 0")
    if len(pairs) and (pairs.min() < 0 or pairs[:, 0].max() >= kernel or pairs[:, 1].max() >= out):
        raise ValueError(f"{name} leave the kernel or the output")


def _check_input(size, is_input, graded, steps, offsets, ids, payload):
    if not is_input:
        raise ValueError("events can only be given to inputs")
    _check("offsets", offsets, np.int64, (steps + 1,))
    total = int(offsets[steps])
    _check("ids", ids, np.int32, (total,))
    counts = np.diff(offsets)
    if offsets[0] != 0 or (counts < 0).any() or counts.max() > size:
        raise ValueError("offsets must ascend from 0 by at most the number of neurons")
    if len(ids) and (ids.min() < 0 or ids.max() >= size):
        raise ValueError(f"ids must be in 0..{size - 1}")
    if graded != (payload is not None):
        raise ValueError("graded inputs need payloads, others have none")
    if payload is not None:
        _check("payload", payload, np.int32, (total,))

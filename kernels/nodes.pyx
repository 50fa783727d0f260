"""What the engine is made of, first part: nodes as arrays, checked when they are added, and their accumulators."""

import numpy as np

from cpython.pycapsule cimport PyCapsule_GetContext, PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t, intptr_t, uint8_t, uint16_t, uint64_t, uintptr_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from neurocomp.kernels.loop cimport (
    CHUNK, MAX_CONSTANTS, MAX_INPUTS, MAX_STATES, MAX_THREADS, Node, nc_counts, nc_pool_stop, resting_place, update_fn,
)

from neurocomp.kernels.checks import aligned

MOST_STEPS = 2**24       # that neurons can wait and be listed meanwhile: float32 counts down exactly from there
FIRST_LEVEL = 24 * 1024  # bytes of the first cache that one chunk of neurons may fill


cdef extern from "step.h":
    float TINY "NC_TINY"


def can_count(start, single):
    """Whether lists of who waits are right where waiting begins from this: it is counted exactly, and no tidying ends it."""
    return bool(abs(start) < MOST_STEPS and (start <= 0 or not single or start >= TINY))


cdef class Nodes:
    """The nodes of a lowered network, their state and accumulators: the first part of an `Engine`.

    threads: 1..64. ring: slots of the spike rings, at least the largest delay + max_lag + 1. max_lag: of any node. dt: seconds.
    spins: looks at the barrier before a waiting thread gives its core away; 0 where threads outnumber the cores.
    """

    def __cinit__(self, int threads, int64_t ring, int64_t max_lag, double dt=1.0, int spins=4000):
        if not 1 <= threads <= MAX_THREADS:
            raise ValueError(f"threads must be 1..{MAX_THREADS}, not {threads}")
        if not 0 <= max_lag < 2**31 or not max_lag + 2 <= ring < 2**32:
            raise ValueError(f"ring {ring} does not fit max_lag {max_lag}")
        self.loop.threads, self.ring, self.loop.max_lag = threads, ring, max_lag
        self.loop.dt = dt
        self.memories = []
        self.keep, self.contexts = [], []
        self.row_lengths, self.sent, self.pending_events, self.learned = {}, {}, {}, {}
        self.loop.barrier.threads, self.loop.barrier.spins = threads, spins

    def __dealloc__(self):
        cdef int i, k
        nc_pool_stop(self.loop.pool)
        for i in range(self.loop.n_nodes):
            for k in range(self.loop.threads):
                free(self.loop.nodes[i].logs[k].times)
                free(self.loop.nodes[i].logs[k].ids)
                free(self.loop.nodes[i].logs[k].payload)
        for i in range(self.loop.n_projections):
            free(self.loop.projections[i].learning.blocks)
        for i in range(self.loop.n_tables):
            free(self.loop.tables[i].members)
            for k in range(self.loop.threads):
                free(self.loop.tables[i].windows[k])
        free(self.loop.tables)
        free(self.loop.nodes)
        free(self.loop.projections)
        free(self.loop.order)
        free(self.loop.first)

    # ------------------------------------------------------------------------------------------------------------- build

    cdef uintptr_t _hold(self, array):
        """Keep an array alive and return its address."""
        self.keep.append(array)
        self.held += array.nbytes
        return <uintptr_t>array.__array_interface__["data"][0]

    cdef dtype_of(self, bint integer, bint single):
        """NumPy's type of a population's state."""
        return np.int64 if integer else np.float32 if single else np.float64

    cdef Node* node_at(self, int index) except NULL:
        if not 0 <= index < self.loop.n_nodes:
            raise IndexError(f"node {index} is outside 0..{self.loop.n_nodes - 1}")
        return &self.loop.nodes[index]

    cdef Node* _new_node(self, int64_t size, int64_t lag, int64_t align) except NULL:
        cdef int k
        cdef void* grown
        cdef int64_t even
        if self.loop.order != NULL or self.laid_out:
            raise ValueError("the engine is sealed" if self.loop.order != NULL else "nodes come before projections")
        if not 1 <= size < 2**31 or not 0 <= lag <= self.loop.max_lag:
            raise ValueError(f"a node of {size} neurons with lag {lag} does not fit (max_lag {self.loop.max_lag})")
        if self.loop.n_nodes == self.capacity_nodes:
            self.capacity_nodes = max(8, 2 * self.capacity_nodes)
            grown = realloc(self.loop.nodes, self.capacity_nodes * sizeof(Node))
            if grown == NULL:
                raise MemoryError
            self.loop.nodes = <Node*>grown
        cdef Node* node = &self.loop.nodes[self.loop.n_nodes]
        memset(node, 0, sizeof(Node))
        node.size, node.lag = size, lag
        if align < 1:
            raise ValueError(f"align must be positive, not {align}")
        for k in range(self.loop.threads + 1):
            even = (size * k // self.loop.threads + align // 2) // align * align
            node.bounds[k] = min(max(even, 0), size)
        node.bounds[0], node.bounds[self.loop.threads] = 0, size
        self.loop.n_nodes += 1
        return node

    def bounds(self, int index):
        """The ranges of neurons each thread owns, as threads + 1 offsets."""
        cdef Node* node = self.node_at(index)
        return [node.bounds[k] for k in range(self.loop.threads + 1)]

    def add_input(self, int64_t size, int64_t lag, bint graded):
        """Add an input. Returns its index."""
        cdef Node* node = self._new_node(size, lag, 16)
        node.is_input, node.graded = True, graded
        return self.loop.n_nodes - 1

    def add_population(
        self, int64_t size, int64_t lag, update, list state, list constants, const int64_t[::1] bias,
        double scale, bint integer, bint wide, bint graded=False, int64_t align=16, uint64_t key=0, context=None, bint autonomous=False,
        bint single=False
    ):
        """Add a population. Returns its index.

        update: capsule of the compiled step. state: arrays of `size`, changed in place. constants: arrays of `size` or
        of one value. bias: `size` grid units for each input one after the other. scale: value of a grid unit. integer: int64 state and constants, single: float32,
        else float64. wide: int64 accumulator, else int32. graded: spikes carry payloads. align: threads own ranges in multiples of it (16 keeps them on cache
        lines of their own; targets of convolutions need multiples of the output plane). key: of its random numbers. context:
        object that an update which is not compiled calls; what it puts into `context.error` ends the run and is raised. autonomous:
        the update depends on nothing but state and inputs; neurons that rest need none then.
        """
        cdef int k
        dtype = self.dtype_of(integer, single)
        if len(state) > MAX_STATES or len(constants) >= MAX_CONSTANTS:
            raise ValueError(f"{len(state)} states and {len(constants)} constants exceed {MAX_STATES} and {MAX_CONSTANTS}")
        for array in state:
            if array.dtype != dtype or array.shape != (size,) or not array.flags.c_contiguous or not array.flags.writeable:
                raise ValueError(f"state must be writable contiguous {dtype.__name__} arrays of {size} values")
        for array in constants:
            if array.dtype != dtype or array.shape not in ((size,), (1,)) or not array.flags.c_contiguous:
                raise ValueError(f"constants must be contiguous {dtype.__name__} arrays of {size} or 1 values")
        cdef const char* name = "neurocomp.update"
        if getattr(context, "capsule", None) is update and update is not None:
            name = "neurocomp.update.python"  # which calls its context
        cdef update_fn function = <update_fn>PyCapsule_GetPointer(update, name)
        cdef intptr_t counts = <intptr_t>PyCapsule_GetContext(update)
        cdef intptr_t n_inputs = counts // (MAX_CONSTANTS * (MAX_STATES + 1)) % (MAX_INPUTS + 1)
        cdef intptr_t waits = counts // (MAX_CONSTANTS * (MAX_STATES + 1) * (MAX_INPUTS + 1)), takes = waits % (MAX_STATES + 2)
        wanted = (n_inputs, len(state), len(constants))
        has = (n_inputs, counts // MAX_CONSTANTS % (MAX_STATES + 1), counts % MAX_CONSTANTS)
        if wanted != has or not 1 <= n_inputs <= MAX_INPUTS:
            raise ValueError(f"this update has {has} inputs, states and constants, not {wanted}")
        if takes - 2 >= len(state):
            raise ValueError(f"this update counts down state {takes - 2}, of {len(state)}")
        if takes > 1 and not 0 <= waits // (MAX_STATES + 2) % MAX_CONSTANTS - 1 < len(constants):
            raise ValueError("this update has no constant to count down from")
        if bias.shape[0] != n_inputs * size:
            raise ValueError(f"bias has {bias.shape[0]} values for {n_inputs} inputs of {size} neurons")
        cdef Node* node = self._new_node(size, lag, align)
        self.keep += [update, context]
        self.contexts += [] if context is None else [context]
        node.n_inputs, node.key, node.context = <int>n_inputs, key, <void*>context
        node.update, node.integer, node.single, node.wide, node.scale = function, integer, single, wide, scale
        node.width = np.dtype(dtype).itemsize
        node.takes, node.wait, node.graded = takes > 0, max(<int>takes - 2, -1), graded
        waits = waits // (MAX_STATES + 2)
        node.start, node.holds = <int>(waits % MAX_CONSTANTS) - 1, <int32_t>(waits // MAX_CONSTANTS)
        node.n_held = bin(node.holds).count("1")
        node.n_state, node.n_constants = len(state), len(constants)
        for k in range(node.n_state):
            node.state[k] = <void*>self._hold(state[k])
        node.alike = node.wait < 0 or not any([np.isnan(array).any() for array in constants])  # else who waits may not be known
        node.alike = node.alike and (node.wait < 0 or can_count(constants[node.start][0], single))
        for k in range(node.n_constants):
            node.varies[k] = constants[k].shape[0] == size and size > 1
            node.alike = node.alike and not node.varies[k]
            array = constants[k] if node.varies[k] else np.full(CHUNK, constants[k][0], dtype)
            node.constants[k] = <const void*>self._hold(aligned(array))
        read = n_inputs + len(state) + 1 + (0 if node.alike else len(constants))
        node.autonomous = autonomous
        node.chunk = min(max(FIRST_LEVEL // (node.width * read) // 128 * 128, 32), CHUNK)
        own_bias = np.array(bias, np.int64).reshape(n_inputs, size)
        node.level = bool(np.all(own_bias == own_bias[:, :1]))
        if node.level:
            own_bias = np.repeat(own_bias[:, :1], CHUNK, axis=1)
        node.bias = <const void*>self._hold(aligned(own_bias.astype(np.int64 if wide else np.int32)))
        for k in range(self.loop.threads):
            node.poisson[k] = <nc_counts*>self._hold(np.zeros(sizeof(nc_counts), np.uint8))
        resting = own_bias if integer else own_bias * scale
        node.rest = <const void*>self._hold(aligned(resting.astype(dtype)))
        for k in range(self.loop.threads):
            settled = aligned(np.zeros((node.bounds[k + 1] - node.bounds[k]) // node.chunk + 1, np.uint8))
            node.settled[k] = <uint8_t*>self._hold(settled)
            self.memories.append(settled)
            if node.wait >= 0:
                node.who[k] = <uint16_t*>self._hold(np.zeros(node.bounds[k + 1] - node.bounds[k] + 1, np.uint16))
                node.until[k] = <int64_t*>self._hold(np.zeros(node.bounds[k + 1] - node.bounds[k] + 1, np.int64))
                node.held[k] = <void*>self._hold(np.zeros(settled.size * node.n_held * CHUNK, dtype))
                node.waiting[k] = <int32_t*>self._hold(aligned(np.zeros(settled.size, np.int32)))
        return self.loop.n_nodes - 1

    def rested(self, int index):
        """How many updates of neurons the last run could leave out, as they rested."""
        return sum([self.node_at(index).tallies[k].rested for k in range(self.loop.threads)])

    cdef _lay_out(self):
        """Give every population its accumulators: those of one thread lie together, so that one table reaches all of them."""
        cdef int i, k, wide
        cdef int64_t sizes[2]
        cdef Node* node
        if self.laid_out:
            return
        self.laid_out = True
        for k in range(self.loop.threads):
            sizes[0] = sizes[1] = 0
            for i in range(self.loop.n_nodes):
                node = &self.loop.nodes[i]
                node.first[k] = sizes[node.wide]
                sizes[node.wide] += node.n_inputs * (node.bounds[k + 1] - node.bounds[k])
            for wide in range(2):
                self.sizes[wide][k] = sizes[wide]
                self.loop.acc[wide][k] = <void*>self._hold(aligned(np.zeros(sizes[wide], np.int64 if wide else np.int32)))
                self.loop.scratch[wide][k] = <void*>self._hold(aligned(np.zeros(sizes[wide], np.int64 if wide else np.int32)))
            for i in range(self.loop.n_nodes):
                node = &self.loop.nodes[i]
                node.acc[k] = <char*>self.loop.acc[node.wide][k] + (8 if node.wide else 4) * node.first[k]
                node.scratch[k] = <char*>self.loop.scratch[node.wide][k] + (8 if node.wide else 4) * node.first[k]
        self._fill_accumulators()

    cdef _fill_accumulators(self):
        """Accumulators hold the bias before any event."""
        cdef int i, k, r
        cdef int64_t j, at, lo, hi
        cdef Node* node
        for i in range(self.loop.n_nodes):
            node = &self.loop.nodes[i]
            for k in range(self.loop.threads):
                lo, hi = node.bounds[k], node.bounds[k + 1]
                for r in range(node.n_inputs):
                    at = r * (hi - lo) - lo
                    for j in range(lo, hi):
                        if node.wide:
                            (<int64_t*>node.acc[k])[at + j] = (<const int64_t*>node.bias)[resting_place(node, r, j)]
                        else:
                            (<int32_t*>node.acc[k])[at + j] = (<const int32_t*>node.bias)[resting_place(node, r, j)]

    def places(self, int index):
        """Per thread (lo, hi, first): its neurons of a population, and where their accumulators begin among the thread's.

        The accumulator of input r of neuron j is number first + r * (hi - lo) + j - lo. No node can be added after this call.
        """
        cdef Node* node = self.node_at(index)
        self._lay_out()
        return [(node.bounds[k], node.bounds[k + 1], node.first[k]) for k in range(self.loop.threads)]

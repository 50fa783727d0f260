"""The engine: a network as arrays, and the runs over it. The work itself is in `loop.pyx`."""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.string cimport memset

from neurocomp.kernels.builder cimport Builder
from neurocomp.kernels.learning cimport Block
from neurocomp.kernels.listed cimport count_pending
from neurocomp.kernels.logs cimport take_log
from neurocomp.kernels.loihi cimport take_draws
from neurocomp.kernels.loop cimport (
    PLASTIC, Node, Table, nc_pool_is_here, nc_pool_start, nc_pool_stop, run_loop,
)
from neurocomp.kernels.neurons cimport list_waiting, settle_waiting

from neurocomp.kernels.checks import check_array, check_input, check_spikes


cdef class Engine(Builder):
    """A lowered network: nodes, projections, their state, and the loop over steps.

    threads: 1..64. ring: slots of the spike rings, at least the largest delay + max_lag + 1. max_lag: of any node. dt: seconds.
    spins: looks at the barrier before a waiting thread gives its core away; 0 where threads outnumber the cores.
    Built by `add_input` and `add_population`, then `add_sparse`, `add_dense` and so on, `add_table`, `seal`; indices are returned in
    order.
    """

    def __cinit__(self, *args, **options):
        self.loop.look, self.loop.owner = look_for_signals, <void*>self

    def reset(self):
        """Forget all spikes and put accumulators at their bias; the caller restores the state arrays."""
        cdef int i
        cdef Node* node
        if self.running:
            raise RuntimeError("the engine is running")
        self.seal()
        self.loop.now = 0
        self.pending_events = {}
        for memory in self.memories:
            memory[:] = 0
        for i in range(self.loop.n_nodes):
            node = &self.loop.nodes[i]
            memset(node.counts, 0, node.ring * self.loop.threads * sizeof(int64_t))
        self._fill_accumulators()

    def run(self, int64_t steps, dict inputs, list record, list traces, int64_t every=1, weights=(), draws=()):
        """Run `steps` steps. Returns (spikes, counts, events).

        inputs: index -> (offsets (steps + 1,) int64, ids int32, payload int32 or None), events sorted by step.
        record: indices of populations whose spikes to return, as index -> (times, ids, payloads or None).
        traces: (index, state number, array (rows, size)) to fill, a row after every `every`-th step since the reset.
        weights: (index of a plastic projection, arrays to fill): one of (steps // every, *shape of its weights) where it is all-to-all,
        else one a thread of (steps // every, its synapses).
        draws: (index of a projection with an engine, (steps of the engine, 6) float64) its random numbers in this run.
        counts: spikes per node. events: synaptic events per projection, in the order they were added.
        On KeyboardInterrupt all threads leave within a step; the state is then in the middle of a step: reset.
        """
        if self.running:
            raise RuntimeError("the engine is running: it cannot be run by another thread or by a signal handler meanwhile")
        if steps < 1:
            raise ValueError(f"steps must be positive, not {steps}")
        if every < 1:
            raise ValueError(f"every must be positive, not {every}")
        self.loop.every = every
        self.running = True
        try:
            return self._run(steps, inputs, record, traces, weights, draws)
        finally:
            self.running = False

    def _run(self, int64_t steps, dict inputs, list record, list traces, weights, draws):
        cdef int i, k
        self.seal()
        held = self._prepare(steps, inputs, record, traces)
        self._prepare_weights(self._rows(steps), weights)
        self._prepare_draws(steps, dict(draws))
        self.loop.steps, self.loop.stop_at, self.loop.failed = steps, 2**62, 0
        self.loop.barrier.waiting = self.loop.barrier.phase = 0
        self._start_helpers()
        with nogil:
            run_loop(&self.loop)
        del held
        for i in range(self.loop.n_nodes):
            for k in range(self.loop.threads):
                settle_waiting(&self.loop.nodes[i], k, self.loop.now + steps - 1)
        self._take_errors()
        if self.pending is not None:
            error, self.pending = self.pending, None
            raise error
        if self.loop.failed:
            raise MemoryError("no memory left for recorded spikes; record fewer populations or fewer steps")
        self.loop.now += steps
        spikes = {i: take_log(&self.loop.nodes[<int>i], self.loop.threads) for i in record}
        counts = [sum([self.loop.nodes[i].tallies[k].spikes for k in range(self.loop.threads)]) for i in range(self.loop.n_nodes)]
        events = [sum([self.loop.projections[i].events[k] for k in range(self.loop.threads)]) for i in range(self.loop.n_projections)]
        self._count_listed(events)
        return spikes, counts, events

    def on_the_way(self, int index):
        """Spikes of a node that the ring still holds: (machine steps int64, ids int32, payloads int32 or None), in order of both."""
        cdef Node* node = self.node_at(index)
        cdef int64_t step, slot, at, i, n = 0, first = self.loop.now + node.lag - node.ring
        cdef int k
        self.seal()
        held = range(max(first, 0), self.loop.now + node.lag) if node.longest else range(0)
        total = sum([node.counts[step % node.ring * self.loop.threads + k] for step in held for k in range(self.loop.threads)])
        steps, ids, payload = np.zeros(total, np.int64), np.zeros(total, np.int32), np.zeros(total, np.int32)
        cdef int64_t[::1] to_steps = steps
        cdef int32_t[::1] to_ids = ids, to_payload = payload
        for step in held:
            slot = step % node.ring
            for k in range(self.loop.threads):
                at = slot * node.size + node.bounds[k]
                for i in range(at, at + node.counts[slot * self.loop.threads + k]):
                    to_steps[n], to_ids[n] = step, node.ids[i]
                    to_payload[n] = node.payload[i] if node.graded else 0
                    n += 1
        order = np.lexsort((ids, steps))
        return steps[order], ids[order], payload[order] if node.graded else None

    def recall(self, int64_t now, dict spikes):
        """Be where a run that ended after `now` steps left off: reset, with these spikes on their way, by node as `on_the_way` gives them.

        Spikes too old for a node's ring are left out. The caller restores the state arrays, and what `memory_of` gives.
        """
        if not 0 <= now < 2**53:
            raise ValueError(f"step {now} is outside 0..2^53 - 1")
        for index, (steps, ids, payload) in spikes.items():
            check_spikes(self.node_at(index).size, self.node_at(index).graded, now + self.node_at(index).lag, steps, ids, payload)
        self.reset()
        self.loop.now = now
        for index, (steps, ids, payload) in spikes.items():
            self._put_spikes(self.node_at(index), steps, ids, payload)
        self._count_listed([0] * self.loop.n_projections)

    cdef _put_spikes(self, Node* node, const int64_t[::1] steps, const int32_t[::1] ids, payload):
        cdef int64_t i, slot, at
        cdef int64_t* count
        cdef int k
        cdef const int32_t[::1] sent = payload
        for i in range(steps.shape[0] if node.longest else 0):
            if steps[i] < self.loop.now + node.lag - node.ring:
                continue
            k = 0
            while not node.is_input and ids[i] >= node.bounds[k + 1]:  # an input's spikes are all the first thread's
                k += 1
            slot = steps[i] % node.ring
            count = &node.counts[slot * self.loop.threads + k]
            at = slot * node.size + node.bounds[k] + count[0]
            node.ids[at] = ids[i]
            if node.graded:
                node.payload[at] = sent[i]
            count[0] += 1

    def memory_of(self, int projection):
        """What a plastic projection remembers besides its weights: per thread a dict of the arrays the kernel works on.

        synapse, pre, post: (traces + 1, n) float64, values at their last event and in the last row its step, by synapse, row and target;
        engine, of Loihi's learning engine: its memory as `fill_engine` of loihi.pyx gives it.
        """
        return self.learned[projection]

    cdef _count_listed(self, list events):
        """Events of listed projections: what the spikes of this run cause, with what was on its way before, without what still is."""
        cdef int i, n
        cdef Table* table
        cdef int64_t[::1] pending
        for i in range(self.loop.n_tables):
            table = &self.loop.tables[i]
            waiting = np.zeros(table.n_members + 1, np.int64)
            pending = waiting
            count_pending(&self.loop, table, self.loop.now, &pending[0])
            for n in range(table.n_members):
                sent = int(self.row_lengths[table.members[n]] @ self.sent[table.pre])
                events[table.members[n]] = sent + self.pending_events.get(table.members[n], 0) - int(waiting[n])
                self.pending_events[table.members[n]] = int(waiting[n])

    def _rows(self, int64_t steps):
        """Rows of a trace over the next steps."""
        return (self.loop.now + steps) // self.loop.every - self.loop.now // self.loop.every

    cdef _take_errors(self):
        """What updates in Python have met is pending, unless a signal handler raised first."""
        for context in self.contexts:
            self.pending = context.error if self.pending is None else self.pending
            context.error = None

    cdef _start_helpers(self):
        """Helpers live until the engine goes; a forked process starts its own."""
        if self.loop.threads == 1 or nc_pool_is_here(self.loop.pool):
            return
        nc_pool_stop(self.loop.pool)
        self.loop.pool = nc_pool_start(self.loop.threads - 1)
        if self.loop.pool == NULL:
            raise RuntimeError(f"the system refuses to start {self.loop.threads - 1} more threads; use fewer")

    def _prepare(self, int64_t steps, dict inputs, list record, list traces):
        cdef int i, k
        cdef Node* node
        held = []
        for i in range(self.loop.n_nodes):
            node = &self.loop.nodes[i]
            node.record = False
            node.in_offsets = NULL
            if node.sent != NULL:
                memset(node.sent, 0, node.size * sizeof(int64_t))
            memset(node.tallies, 0, self.loop.threads * sizeof(node.tallies[0]))
            memset(node.traces, 0, sizeof(node.traces))
            list_waiting(node, self.loop.threads, self.loop.now)
        for i in range(self.loop.n_projections):
            memset(self.loop.projections[i].events, 0, sizeof(self.loop.projections[i].events))
        for i, (offsets, ids, payload) in inputs.items():
            node = self.node_at(i)
            check_input(node.size, node.is_input, node.graded, steps, offsets, ids, payload)
            held.append((offsets, ids, payload))
            node.in_offsets = <const int64_t*><uintptr_t>offsets.__array_interface__["data"][0]
            node.in_ids = <const int32_t*><uintptr_t>ids.__array_interface__["data"][0]
            node.in_payload = NULL
            if payload is not None:
                node.in_payload = <const int32_t*><uintptr_t>payload.__array_interface__["data"][0]
        for i in record:
            node = self.node_at(i)
            node.record = True
            for k in range(self.loop.threads):
                node.logs[k].count = 0
        for i, k, array in traces:
            node = self.node_at(i)
            dtype = self.dtype_of(node.integer, node.single)
            if not 0 <= k < node.n_state:
                raise IndexError(f"state {k} is outside 0..{node.n_state - 1}")
            if array.dtype != dtype or array.shape != (self._rows(steps), node.size) or not array.flags.carray:
                shape = (self._rows(steps), node.size)
                raise ValueError(f"a trace must be a writable contiguous {dtype.__name__} array of {shape}")
            held.append(array)
            node.traces[k] = <void*><uintptr_t>array.__array_interface__["data"][0]
        return held

    def _prepare_weights(self, int64_t rows, weights):
        """Where the blocks of plastic projections record their weights in this run."""
        cdef int i, k
        cdef Block* block
        for i in range(self.loop.n_projections):
            for k in range(self.loop.threads if self.loop.projections[i].kind == PLASTIC else 0):
                self.loop.projections[i].learning.blocks[k].trace = NULL
        for i, arrays in weights:
            if not 0 <= i < self.loop.n_projections or self.loop.projections[i].kind != PLASTIC:
                raise ValueError(f"projection {i} does not learn")
            wanted = self.loop.threads if self.loop.projections[i].learning.blocks[0].targets != NULL else 1
            if len(arrays) != wanted:
                raise ValueError(f"recorded weights need {wanted} arrays, not {len(arrays)}")
            for k in range(self.loop.threads):
                block = &self.loop.projections[i].learning.blocks[k]
                array = arrays[k if block.targets != NULL else 0]
                check_array("recorded weights", array, np.float64, (rows, *array.shape[1:]), writable=True)
                if array.size != rows * block.kept:
                    raise ValueError(f"recorded weights need {block.kept} values a row")
                block.trace = <double*><uintptr_t>array.__array_interface__["data"][0]

    def _prepare_draws(self, int64_t steps, draws):
        """Give every engine the random numbers of its steps in this run."""
        cdef int i, k
        for i in range(self.loop.n_projections):
            last = self.loop.now + steps - 1 + self.loop.nodes[self.loop.projections[i].post].lag
            for k in range(self.loop.threads if self.loop.projections[i].kind == PLASTIC else 0):
                take_draws(&self.loop.projections[i].learning.blocks[k].engine, draws.get(i), last)


cdef bint look_for_signals(void* owner) noexcept with gil:
    """Whether a signal handler or an update in Python raised; the exception waits until all threads have left."""
    engine = <Engine>owner
    try:
        PyErr_CheckSignals()
        return any([context.error is not None for context in engine.contexts])
    except BaseException as error:
        engine.pending = error
        return True

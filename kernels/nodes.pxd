"""The engine's own state; what the loop reads is in `loop.pxd`."""

from libc.stdint cimport int64_t, uintptr_t

from neurocomp.kernels.loop cimport MAX_THREADS, Loop, Node

cdef class Nodes:
    cdef Loop loop
    cdef int capacity_nodes, capacity_projections
    cdef int64_t ring          # bound on delays + max_lag + 2
    cdef list keep             # arrays the pointers point into
    cdef list memories         # traces of plastic projections, and what else a reset clears
    cdef dict learned          # of plastic projections, by thread: what they remember besides their weights
    cdef dict row_lengths      # of listed projections: synapses of each source neuron
    cdef dict sent             # of the sources of tables: the arrays behind Node.sent
    cdef dict pending_events   # of listed projections: events that spikes sent before this run will cause
    cdef bint laid_out         # nodes have their accumulators
    cdef int64_t sizes[2][MAX_THREADS]  # accumulators of each thread, narrow and wide
    cdef list contexts         # of updates that are not compiled
    cdef int64_t held          # bytes of the arrays kept
    cdef int64_t held_for_synapses

    cdef dtype_of(self, bint integer, bint single)
    cdef Node* node_at(self, int index) except NULL
    cdef Node* _new_node(self, int64_t size, int64_t lag, int64_t align) except NULL
    cdef uintptr_t _hold(self, array)
    cdef _lay_out(self)
    cdef _fill_accumulators(self)

"""The engine's own state; what the loop reads is in `loop.pxd`."""

from libc.stdint cimport int64_t, uintptr_t

from neurocomp.kernels.learning cimport Block, nc_rule
from neurocomp.kernels.delivery cimport Window
from neurocomp.kernels.loop cimport MAX_THREADS, Loop, Node, Projection, Table

cdef class Engine:
    cdef Loop loop
    cdef int capacity_nodes, capacity_projections
    cdef int64_t ring          # bound on delays + max_lag + 2
    cdef list keep             # arrays the pointers point into
    cdef list memories         # traces of plastic projections
    cdef dict row_lengths      # of listed projections: synapses of each source neuron
    cdef dict sent             # of the sources of tables: the arrays behind Node.sent
    cdef dict pending_events   # of listed projections: events that spikes sent before this run will cause
    cdef bint laid_out         # nodes have their accumulators
    cdef int64_t sizes[2][MAX_THREADS]  # accumulators of each thread, narrow and wide
    cdef list contexts         # of updates that are not compiled
    cdef int64_t held          # their bytes
    cdef int64_t held_for_synapses
    cdef bint running          # a run is under way
    cdef object pending        # an exception raised by a signal handler during a run

    cdef Node* node_at(self, int index) except NULL
    cdef Node* _new_node(self, int64_t size, int64_t lag, int64_t align) except NULL
    cdef Projection* _new_projection(self, int pre, int post, const int64_t[::1] delays, int shift, int receptor) except NULL
    cdef uintptr_t _hold(self, array)
    cdef _take_errors(self)
    cdef _start_helpers(self)
    cdef _fill_block(
        self, Block* block, const nc_rule* rule, dict given, int64_t rows, int64_t n_post, constants, dict shared)
    cdef _lay_out(self)
    cdef _fill_accumulators(self)
    cdef _take_members(self, Table* table, list members)
    cdef _owners(self, Table* table, list members, int k)
    cdef _fill_window(self, Window* window, dict given)
    cdef _count_listed(self, list events)
    cdef _finish_projection(self, int64_t held_before)

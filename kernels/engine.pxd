"""The runs over a network."""

from libc.stdint cimport int32_t, int64_t

from neurocomp.kernels.builder cimport Builder
from neurocomp.kernels.loop cimport Node

cdef class Engine(Builder):
    cdef bint running          # a run is under way
    cdef object pending        # an exception raised by a signal handler during a run

    cdef _put_spikes(self, Node* node, const int64_t[::1] steps, const int32_t[::1] ids, payload)
    cdef _take_errors(self)
    cdef _start_helpers(self)
    cdef _count_listed(self, list events)

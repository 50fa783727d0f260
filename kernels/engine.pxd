"""The runs over a network."""

from neurocomp.kernels.builder cimport Builder

cdef class Engine(Builder):
    cdef bint running          # a run is under way
    cdef object pending        # an exception raised by a signal handler during a run

    cdef _take_errors(self)
    cdef _start_helpers(self)
    cdef _count_listed(self, list events)

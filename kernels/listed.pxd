"""Delivery over tables."""

from libc.stdint cimport int64_t

from neurocomp.kernels.loop cimport Loop, Table

cdef void deliver_listed(Loop* loop, Table* table, int k, int64_t step) noexcept nogil

cdef void count_pending(Loop* loop, const Table* table, int64_t end, int64_t* pending) noexcept nogil

"""Loihi's learning engine: its arrays, and the end of an epoch."""

from libc.stdint cimport int64_t

from neurocomp.kernels.learning cimport Block, nc_engine

cdef fill_engine(nc_engine* engine, dict given, int64_t rows, int64_t lo, int64_t hi)
cdef void end_epoch(Block* block, const double* draws) noexcept nogil

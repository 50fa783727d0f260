"""Loihi's learning engine: its arrays, and its steps."""

from libc.stdint cimport int64_t

from neurocomp.kernels.learning cimport Block, nc_engine
from neurocomp.kernels.loop cimport Loop, Projection

cdef fill_engine(nc_engine* engine, dict given, int64_t rows, int64_t lo, int64_t hi)
cdef take_draws(nc_engine* engine, draws, int64_t last)
cdef void run_engine(Loop* loop, Projection* projection, Block* block, int k, int64_t step, bint meets) noexcept nogil

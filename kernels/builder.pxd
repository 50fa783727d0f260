"""Nodes and the projections between them."""

from libc.stdint cimport int64_t

from neurocomp.kernels.delivery cimport Window
from neurocomp.kernels.learning cimport Block, nc_rule
from neurocomp.kernels.loop cimport Projection, Table
from neurocomp.kernels.nodes cimport Nodes

cdef class Builder(Nodes):
    cdef Projection* _new_projection(self, int pre, int post, const int64_t[::1] delays, int shift, int receptor) except NULL
    cdef _fill_block(
        self, Block* block, const nc_rule* rule, dict given, int64_t rows, int64_t n_post, constants, dict shared)
    cdef _take_members(self, Table* table, list members)
    cdef _owners(self, Table* table, list members, int k)
    cdef _fill_window(self, Window* window, dict given)
    cdef _fill_calendar(self, Table* table, Window* window)
    cdef _finish_projection(self, int64_t held_before)

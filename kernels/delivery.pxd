"""Delivery of spikes into accumulators: one function for each way synapses are stored."""

from libc.stdint cimport int32_t, int64_t

ctypedef fused acc_t:
    int32_t
    int64_t

cdef struct Patches:           # a convolution; the taps of one axis say which outputs an input coordinate reaches
    int32_t plane              # input height x width
    int32_t width              # input width
    int32_t out_plane          # output height x width
    int32_t out_width
    int32_t group_in           # input channels per group
    int32_t group_out          # output channels per group
    int32_t kernel_height
    int32_t kernel_width
    const int32_t* y_first     # input height + 1 offsets into y_taps
    const int32_t* y_taps      # pairs (kernel row, output row)
    const int32_t* x_first     # input width + 1 offsets into x_taps
    const int32_t* x_taps      # pairs (kernel column, output column)
    const int32_t* weights     # (input channel, kernel row, kernel column, output channel of the group) grid units

cdef int64_t add_segments(
    acc_t* acc, const int64_t* segments, const int32_t* targets, const int32_t* values, int64_t stride, int64_t slot,
    const int32_t* ids, const int32_t* payload, int64_t count
) noexcept nogil

cdef int64_t add_rows(
    acc_t* acc, const int32_t* weights, const int32_t* rows, int64_t n_post, int64_t lo, int64_t hi,
    const int32_t* ids, const int32_t* payload, int64_t count
) noexcept nogil

cdef int64_t add_patches(
    acc_t* acc, const Patches* conv, int64_t lo, int64_t hi, const int32_t* ids, const int32_t* payload, int64_t count
) noexcept nogil

cdef void add_shifted(acc_t* acc, acc_t* scratch, int64_t lo, int64_t hi, int shift) noexcept nogil

"""Delivery of spikes into accumulators: one function for each way synapses are stored."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

ctypedef fused acc_t:
    int32_t
    int64_t

cdef extern from "dense.h" nogil:
    ctypedef struct nc_patches:
        int32_t plane
        int32_t width
        int32_t out_plane
        int32_t out_width
        int32_t group_in
        int32_t group_out
        int32_t kernel_height
        int32_t kernel_width
        const int32_t* y_first
        const int32_t* y_taps
        const int32_t* x_first
        const int32_t* x_taps
        const int32_t* weights

cdef enum:
    PACKED = 0                 # how a window stores a synapse: target and weight in one word
    SPLIT = 1                  # target, and 32-bit weight
    SHARED = 2                 # target only, as all have one weight
    HALF = 16                  # bits of a target where it stands alone

cdef struct Segment:           # the synapses one spike reaches over one delay
    uint32_t begin
    uint32_t end
    int32_t payload

cdef struct Window:            # listed synapses of one source onto neighbouring accumulators of one thread
    int64_t base               # the first of them
    int64_t size               # how many
    const uint32_t* segments   # the synapses of row (pre, delay) are segments[row] .. segments[row + 1]
    const uint32_t* packed     # target - base in the lower bits, as many as the table says, weight in the upper
    const uint16_t* targets    # target - base
    const int32_t* values      # weights in grid units
    Segment* due               # the calendar: what is due at step s is in `room` places from s % span * room on
    int32_t* booked            # how many of these are taken, by s % span
    uint8_t* crowded           # whether the spikes of step s are not in the calendar, as there are too many, by s % span
    int64_t* at                # the first step whose arrivals are not in it, and that from which no crowd reaches anybody

cdef extern from "fetch.h" nogil:
    void fetch_range "nc_fetch_range"(const void* begin, const void* end)

cdef void add_segments(
    acc_t* acc, const Window* window, int kind, int bits, int32_t shared, const Segment* list, int64_t count, bint graded
) noexcept nogil

cdef int64_t add_rows(
    acc_t* acc, const int32_t* weights, const int32_t* rows, int64_t n_post, int64_t lo, int64_t hi,
    const int32_t* ids, const int32_t* payload, int64_t count
) noexcept nogil

cdef int64_t add_patches(
    acc_t* sums, const nc_patches* conv, int64_t lo, int64_t hi, const int32_t* ids, const int32_t* payload, int64_t count
) noexcept nogil

cdef void spread(acc_t* acc, acc_t* sums, int64_t plane, int64_t channels) noexcept nogil

cdef void add_shifted(acc_t* acc, acc_t* scratch, int64_t n, int shift) noexcept nogil

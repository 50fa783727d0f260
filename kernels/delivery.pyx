"""Delivery of spikes into accumulators. All but `add_segments` add the events of `count` spikes and return how many there were.

ids: source neurons. payload: their values, or NULL where every spike is worth 1. Accumulators are int32 or int64, wide
enough by proof.
"""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t


cdef enum:
    AHEAD = 6                  # segments whose synapses are fetched while earlier ones are added


cdef inline void fetch_segment(const Window* window, int kind, const Segment* segment) noexcept nogil:
    """Ask for a segment's synapses."""
    if kind == PACKED:
        fetch_range(window.packed + segment.begin, window.packed + segment.end)
        return
    fetch_range(window.targets + segment.begin, window.targets + segment.end)
    if kind == SPLIT:
        fetch_range(window.values + segment.begin, window.values + segment.end)


cdef void add_segments(
    acc_t* acc, const Window* window, int kind, int bits, int32_t shared, const Segment* list, int64_t count, bint graded
) noexcept nogil:
    """Listed synapses, `count` segments of them; acc is the thread's."""
    cdef int64_t i, j
    cdef uint32_t word, mask = (<uint32_t>1 << bits) - 1
    cdef acc_t factor
    cdef acc_t* to = acc + window.base
    cdef const Segment* segment
    cdef const uint32_t* packed = window.packed
    cdef const uint16_t* targets = window.targets
    cdef const int32_t* values = window.values
    for i in range(min(count, <int64_t>AHEAD)):
        fetch_segment(window, kind, list + i)
    for i in range(count):
        segment = list + i
        if i + AHEAD < count:
            fetch_segment(window, kind, segment + AHEAD)
        factor = segment.payload if graded else 1
        if kind == SHARED:
            factor *= shared
            for j in range(segment.begin, segment.end):
                to[targets[j]] += factor
        elif kind == PACKED and not graded:
            for j in range(segment.begin, segment.end):
                word = packed[j]
                to[word & mask] += <int32_t>word >> bits
        elif kind == PACKED:
            for j in range(segment.begin, segment.end):
                word = packed[j]
                to[word & mask] += (<int32_t>word >> bits) * factor
        elif not graded:
            for j in range(segment.begin, segment.end):
                to[targets[j]] += values[j]
        else:
            for j in range(segment.begin, segment.end):
                to[targets[j]] += values[j] * factor


cdef extern from "dense.h" nogil:
    int64_t nc_add_rows_narrow(
        int32_t* acc, const int32_t* weights, const int32_t* rows, int64_t n_post, int64_t lo, int64_t hi, const int32_t* ids,
        const int32_t* payload, int64_t count)
    int64_t nc_add_rows_wide(
        int64_t* acc, const int32_t* weights, const int32_t* rows, int64_t n_post, int64_t lo, int64_t hi, const int32_t* ids,
        const int32_t* payload, int64_t count)
    int64_t nc_add_patches_narrow(
        int32_t* sums, const nc_patches* conv, int64_t lo, int64_t hi, const int32_t* ids, const int32_t* payload, int64_t count)
    int64_t nc_add_patches_wide(
        int64_t* sums, const nc_patches* conv, int64_t lo, int64_t hi, const int32_t* ids, const int32_t* payload, int64_t count)
    void nc_spread_narrow(int32_t* acc, int32_t* sums, int64_t plane, int64_t channels)
    void nc_spread_wide(int64_t* acc, int64_t* sums, int64_t plane, int64_t channels)
    void nc_add_shifted_narrow(int32_t* acc, int32_t* scratch, int64_t n, int shift)
    void nc_add_shifted_wide(int64_t* acc, int64_t* scratch, int64_t n, int shift)


cdef int64_t add_rows(
    acc_t* acc, const int32_t* weights, const int32_t* rows, int64_t n_post, int64_t lo, int64_t hi,
    const int32_t* ids, const int32_t* payload, int64_t count
) noexcept nogil:
    """All-to-all: targets lo..hi of one contiguous row per source; `rows` says which (-1: none), NULL: its own. acc: of lo."""
    if acc_t is int32_t:
        return nc_add_rows_narrow(acc, weights, rows, n_post, lo, hi, ids, payload, count)
    else:
        return nc_add_rows_wide(acc, weights, rows, n_post, lo, hi, ids, payload, count)


cdef int64_t add_patches(
    acc_t* sums, const nc_patches* conv, int64_t lo, int64_t hi, const int32_t* ids, const int32_t* payload, int64_t count
) noexcept nogil:
    """Convolution: the kernel around each spike, into sums (output place, channel lo..hi). Threads own channels."""
    if acc_t is int32_t:
        return nc_add_patches_narrow(sums, conv, lo, hi, ids, payload, count)
    else:
        return nc_add_patches_wide(sums, conv, lo, hi, ids, payload, count)


cdef void spread(acc_t* acc, acc_t* sums, int64_t plane, int64_t channels) noexcept nogil:
    """Add such sums to accumulators (channel, output place), and clear them."""
    if acc_t is int32_t:
        nc_spread_narrow(acc, sums, plane, channels)
    else:
        nc_spread_wide(acc, sums, plane, channels)


cdef void add_shifted(acc_t* acc, acc_t* scratch, int64_t n, int shift) noexcept nogil:
    """Add the floor of scratch / 2**shift, and clear the scratch."""
    if acc_t is int32_t:
        nc_add_shifted_narrow(acc, scratch, n, shift)
    else:
        nc_add_shifted_wide(acc, scratch, n, shift)

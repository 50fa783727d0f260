"""Delivery of spikes into accumulators. All but `add_segments` add the events of `count` spikes and return how many there were.

ids: source neurons. payload: their values, or NULL where every spike is worth 1. Accumulators are int32 or int64, wide
enough by proof.
"""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t


cdef extern from *:
    void fetch "__builtin_prefetch"(const void* where) noexcept nogil

cdef enum:
    AHEAD = 6                  # segments whose synapses are fetched while earlier ones are added


cdef inline void fetch_range(const char* begin, const char* end) noexcept nogil:
    while begin < end:
        fetch(begin)
        begin += 64


cdef inline void fetch_segment(const Window* window, int kind, const Segment* segment) noexcept nogil:
    """Ask for a segment's synapses."""
    if kind == PACKED:
        fetch_range(<const char*>(window.packed + segment.begin), <const char*>(window.packed + segment.end))
        return
    fetch_range(<const char*>(window.targets + segment.begin), <const char*>(window.targets + segment.end))
    if kind == SPLIT:
        fetch_range(<const char*>(window.values + segment.begin), <const char*>(window.values + segment.end))


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


cdef int64_t add_rows(
    acc_t* acc, const int32_t* weights, const int32_t* rows, int64_t n_post, int64_t lo, int64_t hi,
    const int32_t* ids, const int32_t* payload, int64_t count
) noexcept nogil:
    """All-to-all: targets lo..hi of one contiguous row per source; `rows` says which (-1: none), NULL: its own."""
    cdef int64_t i, j, row, n = hi - lo, done = 0
    cdef acc_t factor
    cdef acc_t* to = acc + lo
    cdef const int32_t* values
    for i in range(count):
        row = ids[i] if rows == NULL else rows[ids[i]]
        if row < 0:
            continue
        done += n
        values = weights + row * n_post + lo
        if payload == NULL:
            for j in range(n):
                to[j] += values[j]
        else:
            factor = payload[i]
            for j in range(n):
                to[j] += values[j] * factor
    return done


cdef int64_t add_patches(
    acc_t* acc, const Patches* conv, int64_t lo, int64_t hi, const int32_t* ids, const int32_t* payload, int64_t count
) noexcept nogil:
    """Convolution: the kernel around each spike. lo and hi are multiples of the output plane: threads own channels."""
    cdef int64_t i, c, y, x, first, begin, end, ky, kx, channel, done = 0
    cdef int64_t plane = conv.out_plane
    cdef int32_t row, column
    cdef acc_t factor
    cdef acc_t* to
    cdef const int32_t* values
    for i in range(count):
        c = ids[i] // conv.plane
        y = ids[i] % conv.plane // conv.width
        x = ids[i] % conv.width
        first = c // conv.group_in * conv.group_out
        begin, end = max(first, lo // plane), min(first + conv.group_out, hi // plane)
        if begin >= end:
            continue
        factor = 1 if payload == NULL else payload[i]
        for row in range(conv.y_first[y], conv.y_first[y + 1]):
            ky = (c * conv.kernel_height + conv.y_taps[2 * row]) * conv.kernel_width
            for column in range(conv.x_first[x], conv.x_first[x + 1]):
                kx = conv.x_taps[2 * column]
                values = conv.weights + (ky + kx) * conv.group_out - first
                to = acc + conv.y_taps[2 * row + 1] * conv.out_width + conv.x_taps[2 * column + 1]
                for channel in range(begin, end):
                    to[channel * plane] += values[channel] * factor
        done += (end - begin) * (conv.y_first[y + 1] - conv.y_first[y]) * (conv.x_first[x + 1] - conv.x_first[x])
    return done


cdef void add_shifted(acc_t* acc, acc_t* scratch, int64_t lo, int64_t hi, int shift) noexcept nogil:
    """Add the floor of scratch / 2**shift, and clear the scratch."""
    cdef int64_t j
    for j in range(lo, hi):
        acc[j] += scratch[j] >> shift
        scratch[j] = 0

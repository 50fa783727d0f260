"""Delivery of spikes into accumulators. Every function adds the events of `count` spikes and returns how many there were.

ids: source neurons. payload: their values, or NULL where every spike is worth 1. Accumulators are int32 or int64, wide
enough by proof.
"""

from libc.stdint cimport int32_t, int64_t


cdef int64_t add_segments(
    acc_t* acc, const int64_t* segments, const int32_t* targets, const int32_t* values, int64_t stride, int64_t slot,
    const int32_t* ids, const int32_t* payload, int64_t count
) noexcept nogil:
    """Listed synapses: those of source i with delay number `slot` are segment i * stride + slot."""
    cdef int64_t i, j, begin, end, done = 0
    cdef acc_t factor
    for i in range(count):
        begin = segments[ids[i] * stride + slot]
        end = segments[ids[i] * stride + slot + 1]
        done += end - begin
        if payload == NULL:
            for j in range(begin, end):
                acc[targets[j]] += values[j]
        else:
            factor = payload[i]
            for j in range(begin, end):
                acc[targets[j]] += values[j] * factor
    return done


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

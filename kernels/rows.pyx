"""Listed synapses sorted into rows (source neuron, delay), in two passes over them: count, then place.

The synapses come in pieces of any order, so that they need never be in memory at once.
"""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t


cdef check_pieces(int64_t n, int64_t slots, int64_t posts, int64_t units):
    if posts != n or slots not in (1, n) or units not in (1, n):
        raise ValueError(f"{n} sources need {n} targets, and one or {n} delays and weights, not {posts}, {slots} and {units}")


def count_rows(
    uint32_t[::1] counts, const int32_t[::1] pre, const int32_t[::1] slot, const int32_t[::1] post, int32_t lo, int32_t hi,
    int64_t n_delays
):
    """Add to counts[row + 1] the synapses of each row onto targets lo .. hi. slot: number of each delay, or one for all."""
    cdef int64_t i, row, same = slot.shape[0] == 1
    cdef int64_t rows = counts.shape[0] - 1
    check_pieces(pre.shape[0], slot.shape[0], post.shape[0], 1)
    for i in range(pre.shape[0]):
        if lo <= post[i] < hi:
            row = pre[i] * n_delays + slot[0 if same else i]
            if not 0 <= row < rows:
                raise ValueError(f"row {row} is outside 0..{rows - 1}")
            counts[row + 1] += 1


def place_rows(
    uint32_t[::1] next_free, const int32_t[::1] pre, const int32_t[::1] slot, const int32_t[::1] post, const int32_t[::1] units,
    int32_t lo, int32_t hi, int64_t shift, int64_t n_delays, int bits, uint32_t[::1] packed, uint16_t[::1] targets, int32_t[::1] values
):
    """Put the synapses onto targets lo .. hi at the next free places of their rows.

    shift: from a target to its accumulator in the window. bits: of that. units: weight of each, or one for all. Fills `packed`, or where that is
    empty `targets` and, unless it is empty, `values`.
    """
    cdef int64_t i, row, to, at, same = slot.shape[0] == 1, one = units.shape[0] == 1
    cdef int64_t room = packed.shape[0] or targets.shape[0]
    check_pieces(pre.shape[0], slot.shape[0], post.shape[0], units.shape[0])
    if not 1 <= bits <= 31 or (values.shape[0] and values.shape[0] != targets.shape[0]):
        raise ValueError(f"a target of {bits} bits, or {values.shape[0]} values for {targets.shape[0]} targets, cannot be")
    for i in range(pre.shape[0]):
        if lo <= post[i] < hi:
            row = pre[i] * n_delays + slot[0 if same else i]
            to = post[i] + shift
            if not 0 <= row < next_free.shape[0] or not 0 <= to < (<int64_t>1 << bits) or next_free[row] >= room:
                raise ValueError(f"synapse {i} of a piece does not fit")
            at = next_free[row]
            next_free[row] += 1
            if packed.shape[0]:
                packed[at] = <uint32_t>to | <uint32_t>units[0 if one else i] << bits
                continue
            targets[at] = <uint16_t>to
            if values.shape[0]:
                values[at] = units[0 if one else i]

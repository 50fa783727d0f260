"""Delivery over tables: the listed synapses of one source onto several populations at once."""

from libc.stdint cimport int32_t, int64_t, uint32_t

from neurocomp.kernels.delivery cimport PACKED, Segment, Window, add_segments, add_shifted
from neurocomp.kernels.loop cimport Loop, Node, Table

cdef enum:
    LISTED = 512               # segments gathered before they are delivered


cdef void deliver_listed(Loop* loop, Table* table, int k, int64_t step) noexcept nogil:
    """Add every event of a table that reaches thread k's neurons at this machine step."""
    cdef Node* pre = &loop.nodes[table.pre]
    cdef Window* window
    cdef Segment list[LISTED]
    cdef int w, d, source
    cdef int64_t slot, at, i, row, count = 0
    for w in range(table.n_windows[k]):
        window = &table.windows[k][w]
        for d in range(table.n_delays):
            if step < table.delays[d]:
                break
            slot = (step - table.delays[d]) % pre.ring
            for source in range(loop.threads):
                at = slot * pre.size + pre.bounds[source]
                for i in range(at, at + pre.counts[slot * loop.threads + source]):
                    row = <int64_t>pre.ids[i] * table.n_delays + d
                    list[count].begin, list[count].end = window.segments[row], window.segments[row + 1]
                    if pre.graded:
                        list[count].payload = pre.payload[i]
                    count += list[count].end > list[count].begin
                    if count == LISTED:
                        add_listed(loop, table, window, k, list, count, pre.graded)
                        count = 0
            if table.shift:  # what comes over one delay is shifted together
                add_listed(loop, table, window, k, list, count, pre.graded)
                count = 0
                shift_sums(loop, table, window, k)
        add_listed(loop, table, window, k, list, count, pre.graded)
        count = 0


cdef inline void add_listed(
    Loop* loop, Table* table, Window* window, int k, const Segment* list, int64_t count, bint graded
) noexcept nogil:
    cdef void* to = loop.scratch[table.wide][k] if table.shift else loop.acc[table.wide][k]
    if table.wide:
        add_segments(<int64_t*>to, window, table.kind, table.bits, table.shared, list, count, graded)
    else:
        add_segments(<int32_t*>to, window, table.kind, table.bits, table.shared, list, count, graded)


cdef void shift_sums(Loop* loop, Table* table, Window* window, int k) noexcept nogil:
    """Add the scratch of a window's accumulators, shifted, to these."""
    if table.wide:
        add_shifted(<int64_t*>loop.acc[1][k] + window.base, <int64_t*>loop.scratch[1][k] + window.base, window.size, table.shift)
    else:
        add_shifted(<int32_t*>loop.acc[0][k] + window.base, <int32_t*>loop.scratch[0][k] + window.base, window.size, table.shift)


cdef void count_pending(Loop* loop, const Table* table, int64_t end, int64_t* pending) noexcept nogil:
    """Per member of a table, the events that spikes sent so far will cause from its targets' step `end` on."""
    cdef Node* pre = &loop.nodes[table.pre]
    cdef const Window* window
    cdef int64_t step, slot, at, i, row
    cdef int k, w, d, source
    cdef uint32_t j
    for step in range(max(end + pre.lag - pre.ring, 0), end + pre.lag):
        slot = step % pre.ring
        for source in range(loop.threads):
            at = slot * pre.size + pre.bounds[source]
            for i in range(at, at + pre.counts[slot * loop.threads + source]):
                for d in range(table.n_delays):
                    if step + table.delays[d] < end + table.lag:
                        continue
                    row = <int64_t>pre.ids[i] * table.n_delays + d
                    for k in range(loop.threads):
                        for w in range(table.n_windows[k]):
                            window = &table.windows[k][w]
                            for j in range(window.segments[row], window.segments[row + 1]):
                                pending[table.owners[k][window.base + target_of(window, table, j)]] += 1


cdef inline int64_t target_of(const Window* window, const Table* table, uint32_t j) noexcept nogil:
    return window.packed[j] & ((<uint32_t>1 << table.bits) - 1) if table.kind == PACKED else window.targets[j]

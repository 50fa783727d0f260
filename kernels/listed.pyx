"""Delivery over tables: the listed synapses of one source onto several populations at once.

Where a table has many delays, each spike is entered in a calendar when it first arrives: the segment of every delay under the step when
it is due. Its row of `segments` is then read once, instead of a word at a time at steps between which the caches forget it. Spikes of a
step that are too many for the calendar stay in the ring alone, and are looked up there at every step, as all are where delays are few.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memset

from neurocomp.kernels.delivery cimport PACKED, Segment, Window, add_segments, add_shifted, fetch_range
from neurocomp.kernels.loop cimport Loop, Node, Table

cdef enum:
    LISTED = 512               # segments gathered before they are delivered
    EARLY = 3                  # spikes whose rows are fetched while earlier ones are entered


cdef void deliver_listed(Loop* loop, Table* table, int k, int64_t step) noexcept nogil:
    """Add every event of a table that reaches thread k's neurons at this machine step."""
    cdef Window* window
    cdef Segment list[LISTED]
    cdef int w, d
    cdef int64_t count, place = step % table.span
    for w in range(table.n_windows[k]):
        window, count = &table.windows[k][w], 0
        if table.room:
            keep_calendar(loop, table, window, step)
            add_listed(loop, table, window, k, window.due + place * table.room, window.booked[place])
            window.booked[place] = 0
            if step >= window.at[1]:
                continue
        for d in range(table.n_delays):
            if step < table.delays[d]:
                break
            if not table.room or window.crowded[(step - table.delays[d]) % table.span]:
                count = look_up(loop, table, window, k, d, step, list, count)
            if table.shift:  # what comes over one delay is shifted together
                add_listed(loop, table, window, k, list, count)
                count = 0
                shift_sums(loop, table, window, k)
        add_listed(loop, table, window, k, list, count)


cdef int64_t look_up(
    Loop* loop, Table* table, Window* window, int k, int d, int64_t step, Segment* list, int64_t count
) noexcept nogil:
    """List the segments of the spikes that come over delay number d, after `count` others; a full list is added. Returns its length."""
    cdef Node* pre = &loop.nodes[table.pre]
    cdef int64_t slot = (step - table.delays[d]) % pre.ring, at, i, row
    cdef int source
    for source in range(loop.threads):
        at = slot * pre.size + pre.bounds[source]
        for i in range(at, at + pre.counts[slot * loop.threads + source]):
            row = <int64_t>pre.ids[i] * table.n_delays + d
            list[count].begin, list[count].end = window.segments[row], window.segments[row + 1]
            if pre.graded:
                list[count].payload = pre.payload[i]
            count += list[count].end > list[count].begin
            if count == LISTED:
                add_listed(loop, table, window, k, list, count)
                count = 0
    return count


cdef void keep_calendar(Loop* loop, Table* table, Window* window, int64_t step) noexcept nogil:
    """Enter the spikes that arrive at this step; and those before it, unless they are there."""
    cdef int64_t sent = step - table.delays[0]
    if window.at[0] != step:
        memset(window.booked, 0, table.span * sizeof(window.booked[0]))
        memset(window.crowded, 0, table.span)
        sent = max(step - table.delays[table.n_delays - 1], 0)
    while sent <= step - table.delays[0]:
        if sent >= 0:
            book(loop, table, window, sent, step)
        sent += 1
    window.at[0] = step + 1


cdef void book(Loop* loop, Table* table, Window* window, int64_t sent, int64_t step) noexcept nogil:
    """Enter the segments of the spikes of step `sent` that are due at `step` or later."""
    cdef Node* pre = &loop.nodes[table.pre]
    cdef int64_t slot = sent % pre.ring, begin = (sent + table.delays[0]) % table.span, at, i, place, count = 0
    cdef int d, source, first = 0
    cdef bint crowded = False
    for source in range(loop.threads):
        count += pre.counts[slot * loop.threads + source]
    while sent + table.delays[first] < step:
        first += 1
    for d in range(first, table.n_delays if count else 0):
        place = begin + table.delays[d] - table.delays[0]
        crowded |= window.booked[place - table.span if place >= table.span else place] + count > table.room
    window.crowded[sent % table.span] = crowded
    if crowded:
        window.at[1] = sent + table.delays[table.n_delays - 1] + 1
        return
    for source in range(loop.threads):
        at = slot * pre.size + pre.bounds[source]
        count = pre.counts[slot * loop.threads + source]
        for i in range(min(count, <int64_t>EARLY)):
            fetch_row(table, window, pre.ids[at + i])
        for i in range(at, at + count):
            if i + EARLY < at + count:
                fetch_row(table, window, pre.ids[i + EARLY])
            enter(table, window, pre.ids[i], pre.payload[i] if pre.graded else 1, first, begin)


cdef inline void fetch_row(const Table* table, const Window* window, int64_t neuron) noexcept nogil:
    cdef const uint32_t* row = window.segments + neuron * table.n_delays
    fetch_range(row, row + table.n_delays + 1)


cdef inline void enter(
    const Table* table, const Window* window, int64_t neuron, int32_t payload, int first, int64_t begin
) noexcept nogil:
    """Enter one spike. begin: the place of the step at which its first delay is due."""
    cdef const uint32_t* row = window.segments + neuron * table.n_delays
    cdef Segment* entry
    cdef int64_t place
    cdef int d
    for d in range(first, table.n_delays):
        place = begin + table.delays[d] - table.delays[0]
        place = place - table.span if place >= table.span else place
        entry = window.due + place * table.room + window.booked[place]
        entry.begin, entry.end, entry.payload = row[d], row[d + 1], payload
        window.booked[place] += row[d + 1] > row[d]


cdef inline void add_listed(Loop* loop, Table* table, Window* window, int k, const Segment* list, int64_t count) noexcept nogil:
    cdef void* to = loop.scratch[table.wide][k] if table.shift else loop.acc[table.wide][k]
    cdef bint graded = loop.nodes[table.pre].graded
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

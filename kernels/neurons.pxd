"""What populations do at a step."""

from libc.stdint cimport int32_t, int64_t

from neurocomp.kernels.loop cimport Loop, Node

cdef inline void count_sent(Node* node, const int32_t* ids, int64_t count) noexcept nogil:
    cdef int64_t j
    if node.sent != NULL:
        for j in range(count):
            node.sent[ids[j]] += 1

cdef void list_waiting(Node* node, int threads, int64_t step) noexcept nogil

cdef void settle_waiting(Node* node, int k, int64_t step) noexcept nogil

cdef void update(Loop* loop, int index, int k, int64_t step, int64_t t) noexcept nogil

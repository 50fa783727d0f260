"""Recorded spikes, from the threads' logs to arrays."""

import numpy as np

from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from neurocomp.kernels.loop cimport Node, SpikeLog


cdef take_log(Node* node, int threads):
    """Recorded (times, ids, payloads or None) of a node, sorted by time, then neuron; the log is emptied."""
    cdef SpikeLog* log
    cdef int k
    parts = []
    for k in range(threads):
        log = &node.logs[k]
        parts.append((copied(log.times, 8, log.count), copied(log.ids, 4, log.count), copied(log.payload, 4, log.count)))
        free(log.times)
        free(log.ids)
        free(log.payload)
        memset(log, 0, sizeof(SpikeLog))
    times, ids, payload = (np.concatenate(part) for part in zip(*parts))
    if threads > 1:
        order = np.argsort(times, kind="stable")  # threads own ascending ranges, so ids stay sorted within a step
        times, ids, payload = times[order], ids[order], payload[order] if node.graded else payload
    return times, ids.astype(np.int64), payload.astype(np.int64) if node.graded else None


cdef copied(const void* values, int width, int64_t count):
    """An array of `count` integers of `width` bytes; empty where there is nothing."""
    array = np.zeros(count if values != NULL else 0, np.int64 if width == 8 else np.int32)
    if array.size:
        memcpy(<void*><uintptr_t>array.__array_interface__["data"][0], values, count * width)
    return array

"""An update in Python with the signature of a compiled one, for machines without a compiler: as slow as NumPy is."""

import numpy as np

from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.pycapsule cimport PyCapsule_New, PyCapsule_SetContext
from libc.stdint cimport int32_t, intptr_t

from neurocomp.kernels.loop cimport MAX_CONSTANTS, MAX_INPUTS, MAX_STATES, nc_now

LIMITS = (MAX_INPUTS, MAX_STATES, MAX_CONSTANTS - 1)  # how many inputs, states and constants an update has at most


cdef class PythonUpdate:
    """`step(inputs, state, constants, now)`, called for a few hundred neurons at a time; needs the GIL for each call.

    Its arguments are lists of (n,) arrays of its own, of `dtype` (float64, float32 or int64), and now = (step, t, key, number of the first
    neuron). It returns (state, sent): the new values of each state, and what every neuron sends, 0 for nothing, or None where
    neurons cannot spike.

    capsule: for `Engine.add_population`, with this object as context. error: the first exception of `step`, which is not called
    any more then; the engine ends the run, raises it and sets this back to None.
    """

    cdef readonly object capsule
    cdef public object error
    cdef object step, dtype
    cdef ptrdiff_t width
    cdef int inputs, states, constants
    cdef bint graded

    def __init__(self, step, int inputs, int states, int constants, *, dtype, bint graded):
        self.step, self.dtype, self.graded, self.width = step, np.dtype(dtype), graded, np.dtype(dtype).itemsize
        self.inputs, self.states, self.constants = inputs, states, constants
        self.capsule = PyCapsule_New(<void*>call, "neurocomp.update.python", NULL)
        cdef intptr_t counts = (inputs * (MAX_STATES + 1) + states) * MAX_CONSTANTS + constants
        PyCapsule_SetContext(self.capsule, <void*>counts)

    cdef read(self, const void* values, ptrdiff_t n):
        """A copy, as tracebacks may keep it for longer than the kernel keeps its memory."""
        return np.frombuffer(PyMemoryView_FromMemory(<char*>values, self.width * n, PyBUF_READ), self.dtype).copy()

    cdef write(self, void* to, ptrdiff_t n, dtype, values):
        np.frombuffer(PyMemoryView_FromMemory(<char*>to, n * np.dtype(dtype).itemsize, PyBUF_WRITE), dtype)[:] = values


cdef int call(
    ptrdiff_t n, const void* const* inputs, void* const* state, const void* const* constants, const nc_now* now,
    int32_t* ids, int32_t* payload
) noexcept with gil:
    cdef int k
    update = <PythonUpdate>now.context
    if update.error is not None:
        return 0
    try:
        values, sent = update.step(
            [update.read(inputs[k], n) for k in range(update.inputs)],
            [update.read(state[k], n) for k in range(update.states)],
            [update.read(constants[k], n) for k in range(update.constants)],
            (now.step, now.t, now.key, now.first),
        )
        if len(values) != update.states:
            raise ValueError(f"the update returned {len(values)} states, not {update.states}")
        for k, value in enumerate(values):
            update.write(state[k], n, update.dtype, value)
        if sent is not None:
            fired = np.flatnonzero(np.broadcast_to(np.not_equal(sent, 0), (n,)))
            update.write(ids, len(fired), np.int32, fired)
            if update.graded:
                update.write(payload, len(fired), np.int32, np.broadcast_to(sent, (n,))[fired])
            return len(fired)
    except BaseException as error:
        update.error = error
    return 0

"""Recorded spikes, from the threads' logs to arrays."""

from neurocomp.kernels.loop cimport Node

cdef take_log(Node* node, int threads)

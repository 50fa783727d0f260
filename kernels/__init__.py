"""Compiled kernels. They know arrays and numbers, nothing of networks."""

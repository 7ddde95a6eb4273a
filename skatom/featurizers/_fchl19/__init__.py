"""Compiled kernels of FCHL19."""

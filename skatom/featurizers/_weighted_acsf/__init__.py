"""Compiled kernels of weighted symmetry functions."""

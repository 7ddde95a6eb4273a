"""Compiled kernels and tables of atom-centred symmetry functions."""

"""Compiled kernels and densities of Gaussian multipoles."""

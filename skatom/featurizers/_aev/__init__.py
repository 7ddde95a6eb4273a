"""Compiled kernels of atomic environment vectors."""

"""Compiled kernels, radial basis and rotations of SOAP."""

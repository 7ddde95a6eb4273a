"""Gaussian process: likelihood, posterior, dense, iterative and sparse solutions."""

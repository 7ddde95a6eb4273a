"""Kernel ridge regression: references, exact and sparse solutions."""

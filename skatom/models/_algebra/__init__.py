"""Least squares and loops over rows."""

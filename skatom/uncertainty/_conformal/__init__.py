"""Conformal calibration: scores, ranks, groups, splits, intervals."""

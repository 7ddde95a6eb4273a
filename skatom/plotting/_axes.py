"""Axes, colours and checks that all displays share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INSIDE, OUTSIDE, LINE = "#2a6f97", "#d1495b", "#555555"


def new_axes(width: float = 4.5, height: float = 4.5) -> Axes:
    """Make a figure with one pair of axes."""
    return new_grid(1, 1, width, height)[0, 0]


def new_grid(n_rows: int, n_columns: int, width: float, height: float) -> np.ndarray:
    """Make a figure with rows and columns of axes, shape (n_rows, n_columns)."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(
            'Figures need matplotlib, which is not installed: pip install "skatom[viz]".'
        ) from None
    return plt.subplots(
        n_rows,
        n_columns,
        figsize=(width, height),
        layout="constrained",
        squeeze=False,
    )[1]


def check_intervals(y, intervals) -> tuple[np.ndarray, np.ndarray]:
    """Give labels (n,) and intervals (n, 2, k), or refuse what does not belong together."""
    y = np.asarray(y, dtype=np.float64).ravel()
    intervals = np.asarray(intervals, dtype=np.float64)
    if intervals.ndim == 2:
        intervals = intervals[..., None]
    if intervals.ndim != 3 or intervals.shape[:2] != (len(y), 2) or not len(y):
        raise ValueError(
            f"There are {len(y)} labels, and intervals have shape {intervals.shape}: give "
            "a lower and an upper end for each label, (n, 2) or (n, 2, k)."
        )
    return y, intervals


def covered_by(y: np.ndarray, intervals: np.ndarray) -> np.ndarray:
    """Whether each label lies inside, shape (n, k)."""
    return (intervals[:, 0] <= y[:, None]) & (y[:, None] <= intervals[:, 1])

"""Ranges of the features of training environments."""

from __future__ import annotations

import numpy as np

from skatom._runtime.state import State


class Range(State):
    """Ranges of the features of training rows.

    Parameters
    ----------
    rows : ndarray of shape (m, n_features)
    """

    _name = "range"

    def __init__(self, rows: np.ndarray):
        lower, upper = rows.min(axis=0), rows.max(axis=0)
        self.middle, half = (lower + upper) / 2, (upper - lower) / 2
        # a feature that never varied has the range of the least that did
        varied = half > 1e-9 * np.abs(rows).max(initial=np.finfo(float).tiny)
        self.half = np.where(varied, half, half[varied].min() if varied.any() else 1.0)

    def excursions(self, rows: np.ndarray) -> np.ndarray:
        """Largest distance from the middle in half ranges: 1 at the edge, shape (m,)."""
        return np.abs((rows - self.middle) / self.half).max(axis=1)

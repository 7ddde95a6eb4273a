"""Fewer rows with the same products of columns, for choices among columns."""

from __future__ import annotations

import numpy as np
from scipy.linalg import qr


def triangle(X: np.ndarray) -> np.ndarray:
    """Give the triangle R of X = QR, or X where it is no taller than wide.

    R has the lengths, distances and right singular vectors of the columns of X, so that a
    choice of columns costs no more for a million atoms than for a thousand.
    """
    if X.shape[0] <= X.shape[1]:
        return np.array(X, dtype=np.float64)
    return qr(X, mode="r", check_finite=False)[0][: X.shape[1]]

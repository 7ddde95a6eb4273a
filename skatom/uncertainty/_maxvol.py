"""Rows that span the largest volume, and how far other rows reach beyond them."""

from __future__ import annotations

import numpy as np
from scipy.linalg import qr

from skatom._runtime.state import State

# Rows are exchanged while another reaches this far beyond them.
LARGEST_INSIDE = 1.05
MAX_EXCHANGES = 10000


def maxvol_rows(rows: np.ndarray) -> np.ndarray:
    """Choose n of m rows of n features so that their determinant is nearly the largest.

    Parameters
    ----------
    rows : ndarray of shape (m, n)
        Of rank n.

    Returns
    -------
    chosen : ndarray of int, shape (n,)
        No single exchange raises the determinant by more than five per cent.

    References
    ----------
    .. [1] S. A. Goreinov, I. V. Oseledets, D. V. Savostyanov, E. E. Tyrtyshnikov,
       N. L. Zamarashkin, "How to find a good submatrix", Matrix Methods: Theory,
       Algorithms and Applications, 247 (2010), algorithm 1
    """
    n = rows.shape[1]
    chosen = qr(rows.T, mode="r", pivoting=True)[1][:n].copy()
    b = rows @ np.linalg.inv(rows[chosen])  # every row in terms of the chosen ones
    for _ in range(MAX_EXCHANGES):
        i, j = divmod(int(np.abs(b).argmax()), n)
        if abs(b[i, j]) <= LARGEST_INSIDE:
            break
        step = b[i].copy()
        step[j] -= 1.0
        b -= np.outer(b[:, j] / b[i, j], step)  # row i takes the place of row j
        chosen[j] = i
    return chosen


class Volume(State):
    """Grade rows by their largest share of a row that spans the volume [1]_.

    Parameters
    ----------
    rows : ndarray of shape (m, n_features)
    max_directions : int
        Leading singular directions of the rows that span the volume, at most; those below
        1e-6 of the largest are noise.

    References
    ----------
    .. [1] E. V. Podryabinkin, A. V. Shapeev, Comput. Mater. Sci. 140, 171 (2017),
       doi:10.1016/j.commatsci.2017.08.031, eq. 9
    """

    _name = "volume"

    def __init__(self, rows: np.ndarray, max_directions: int):
        values, vectors = np.linalg.eigh(rows.T @ rows)
        keep = values > 1e-12 * values[-1]
        self.directions = vectors[:, keep][:, -max_directions:]
        projected = rows @ self.directions
        self.inverse = np.linalg.inv(projected[maxvol_rows(projected)])

    def grades(self, rows: np.ndarray) -> np.ndarray:
        """Grade rows: up to 1 inside the volume, shape (m,)."""
        return np.abs(rows @ self.directions @ self.inverse).max(axis=1)

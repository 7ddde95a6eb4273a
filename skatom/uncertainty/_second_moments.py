"""Rigidity of a linear fit: how much a prediction may move before the fit suffers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skatom._runtime.state import State

_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Rigidity(State):
    """Eigenvectors of the second moments of the rows that were fitted.

    Attributes
    ----------
    axes : ndarray of shape (n_columns, n_axes)
        Orthonormal; all directions in which the rows have any extent.
    moments : ndarray of shape (n_axes,)
        Sums of squares of the rows along them.
    """

    _name: ClassVar[str] = "rigidity"

    axes: np.ndarray
    moments: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Rigidity:
        """Diagonalise rows^T rows, by way of rows rows^T where that is smaller.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)
        """
        n_rows, n_columns = rows.shape
        if n_columns <= n_rows:
            moments, axes = np.linalg.eigh(rows.T @ rows)
            return cls(axes, np.maximum(moments, 0.0))
        moments, left = np.linalg.eigh(rows @ rows.T)
        kept = moments > n_rows * np.finfo(np.float64).eps * moments[-1]
        moments, left = moments[kept], left[:, kept]
        return cls(rows.T @ (left / np.sqrt(moments)), moments)

    @property
    def scale(self) -> float:
        """Mean sum of squares along a column, the unit of the regularisation."""
        return float(self.moments.sum() / len(self.axes)) or 1.0

    def variances(self, rows: np.ndarray, zeta: float) -> np.ndarray:
        """Give f^T (F^T F + zeta² scale)^-1 f for every row f.

        Parameters
        ----------
        rows : ndarray of shape (n, n_columns)
        zeta : float
            Positive.

        Returns
        -------
        variances : ndarray of shape (n,)
        """
        along = (rows @ self.axes) ** 2
        ridge = zeta**2 * self.scale
        variances = along @ (1.0 / (self.moments + ridge))
        if (
            self.axes.shape[1] < self.axes.shape[0]
        ):  # where no fitted row has any extent
            rest = np.einsum("nc,nc->n", rows, rows) - along.sum(axis=1)
            variances += np.maximum(rest, 0.0) / ridge
        return np.maximum(variances, _TINY)

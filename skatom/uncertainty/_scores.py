"""Conformity scores: how far labels are from predictions, and intervals of that size.

A score is an object with two functions, ``scores(y, y_pred)`` and
``intervals(y_pred, quantiles)``, each the inverse of the other. The rest of conformal
prediction, the ranking of scores, does not know which score it ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skatom.uncertainty._quantiles import conformal_quantile, grouped_quantile


class AbsoluteScore:
    """Score |y - y_pred|: intervals of one width, centred on the prediction."""

    def scores(self, y: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Score labels, shape as y."""
        return np.abs(y - y_pred)

    def intervals(self, y_pred: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
        """Give the labels that score at most each quantile.

        Parameters
        ----------
        y_pred : ndarray of shape (...)
        quantiles : ndarray of shape (k,)

        Returns
        -------
        intervals : ndarray of shape (..., 2, k)
            Lower and upper end.
        """
        y_pred = np.asarray(y_pred, dtype=np.float64)[..., None]
        return np.stack([y_pred - quantiles, y_pred + quantiles], axis=-2)


@dataclass(frozen=True)
class EnergyScores:
    """Ranked scores of calibration energies, one a structure.

    Attributes
    ----------
    ranked : ndarray of shape (n_structures,)
        Scores in eV, ascending.
    """

    ranked: np.ndarray

    @property
    def n_structures(self) -> int:
        """Number of structures that were calibrated on."""
        return len(self.ranked)

    def quantile(self, level: float) -> float:
        """Bound the score of a new structure, in eV."""
        return conformal_quantile(self.ranked, level)


@dataclass(frozen=True)
class ForceScores:
    """Ranked scores of calibration force components, which come in structures.

    Attributes
    ----------
    ranked : ndarray of shape (n_components,)
        Scores of all components in eV/Å, ascending.
    mass : ndarray of shape (n_components,)
        Running sum of their weights; every structure weighs 1 in all.
    largest : ndarray of shape (n_structures,)
        Largest score of each structure in eV/Å, ascending.
    """

    ranked: np.ndarray
    mass: np.ndarray
    largest: np.ndarray

    @classmethod
    def of_structures(cls, scores: Sequence[np.ndarray]) -> ForceScores:
        """Rank the scores of several structures, arrays of shape (n_atoms, 3)."""
        flat = np.concatenate([s.ravel() for s in scores])
        weights = np.concatenate([np.full(s.size, 1.0 / s.size) for s in scores])
        order = np.argsort(flat, kind="stable")
        return cls(
            ranked=flat[order],
            mass=np.cumsum(weights[order]),
            largest=np.sort([s.max() for s in scores]),
        )

    @property
    def n_structures(self) -> int:
        """Number of structures that were calibrated on."""
        return len(self.largest)

    def quantile(self, level: float, *, simultaneous: bool) -> float:
        """Bound one random component of a new structure, or all of them, in eV/Å."""
        if simultaneous:
            return conformal_quantile(self.largest, level)
        return grouped_quantile(self.ranked, self.mass, self.n_structures, level)

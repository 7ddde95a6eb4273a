"""Intervals of energies: predicted, or around what has been predicted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skatom._validation import check_is_fitted
from skatom.features._kinds_of_x import rows_and_structures
from skatom.uncertainty._conformal.levels import check_levels
from skatom.uncertainty._conformal.scores import predict_with_std


class EnergyIntervals:
    """The methods of a ConformalRegressor that speak of energies.

    What uses it has a fitted ``estimator_``, a ``calibration_`` and ``confidence_level``.
    """

    def predict(self, X, return_std: bool = False):
        """Predict energies, as the estimator does.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
        return_std : bool, default=False
            Whether the standard deviations of the estimator are wanted too.

        Returns
        -------
        y : ndarray of shape (n_structures,)
            In eV.
        std : ndarray of shape (n_structures,)
            In eV, only with ``return_std``.
        """
        check_is_fitted(self)
        X = rows_and_structures(X)[0]
        if return_std:
            return predict_with_std(self.estimator_, X)
        return self.estimator_.predict(X)

    def predict_interval(self, X, confidence_level=None):
        """Predict energies with intervals that cover at the wanted level.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
        confidence_level : float or sequence of float, optional
            One level or k levels, by default that of the constructor.

        Returns
        -------
        y : ndarray of shape (n_structures,)
            Energies in eV.
        intervals : ndarray of shape (n_structures, 2) or (n_structures, 2, k)
            Lower and upper end in eV; with a third axis for a sequence of levels.

        Warns
        -----
        UserWarning
            If there are too few calibration structures for a level; those intervals are
            infinite. If there are too few of a group; those are the intervals of all.
        """
        check_is_fitted(self)
        levels, single = self._levels(confidence_level)
        y, intervals = self.calibration_.intervals(
            self.estimator_, rows_and_structures(X)[0], levels
        )
        return y, intervals[..., 0] if single else intervals

    def interval_around(
        self, y_pred, confidence_level=None, *, X=None
    ) -> NDArray[np.float64]:
        """Give the intervals of energies that have been predicted already.

        Parameters
        ----------
        y_pred : array-like of shape (n_structures,)
            Energies predicted by ``estimator_``, in eV.
        confidence_level : float or sequence of float, optional
        X : sequence of ase.Atoms, or array-like, optional
            What they were predicted for; needed unless all widths are the same.

        Returns
        -------
        intervals : ndarray of shape (n_structures, 2) or (n_structures, 2, k)
        """
        check_is_fitted(self)
        levels, single = self._levels(confidence_level)
        if X is None and self.calibration_.needs_structures:
            raise ValueError(
                "The widths of these intervals depend on the structures (conformity "
                "score, groups or folds): pass X beside the predictions."
            )
        X = None if X is None else rows_and_structures(X)[0]
        y_pred = np.asarray(y_pred, dtype=np.float64)
        intervals = self.calibration_.intervals(self.estimator_, X, levels, y_pred)[1]
        return intervals[..., 0] if single else intervals

    def _levels(self, confidence_level):
        if confidence_level is None:
            confidence_level = self.confidence_level
        return check_levels(confidence_level)

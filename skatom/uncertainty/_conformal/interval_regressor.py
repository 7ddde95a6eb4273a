"""Base class of estimators that put intervals around the predictions of another."""

from __future__ import annotations

from abc import ABCMeta
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin

from skatom._runtime.state import KeepsState
from skatom.features._kinds_of_x import rows_and_structures
from skatom.potential.deviations import with_std
from skatom.potential.estimators import answer
from skatom.potential.potential_methods import PotentialMethods
from skatom.uncertainty._conformal.levels import check_levels
from skatom.uncertainty._error_bars import Wrapper


class IntervalRegressor(
    KeepsState,
    Wrapper,
    PotentialMethods,
    MetaEstimatorMixin,
    RegressorMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Base of estimators with intervals around the predictions of the one inside.

    A subclass has ``confidence_level``, and fit sets ``calibration_``, which gives the
    intervals of energies.
    """

    _predicts_as = "estimator_"
    # What a report says of the intervals.
    guarantee: ClassVar[str] = (
        "The intervals cover with at least their level if calibration and test "
        "structures are exchangeable: drawn at random from one source. Frames of one "
        "trajectory are not."
    )

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
        inside = self._inside()
        X = rows_and_structures(X)[0]
        return with_std(inside, "predict", X) if return_std else inside.predict(X)

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
            If intervals are infinite, or those of other structures, because there are
            too few calibration structures for a level.
        """
        self._inside()
        levels, single = self._levels(confidence_level)
        y, intervals = self._intervals(rows_and_structures(X)[0], levels)
        return y, intervals[..., 0] if single else intervals

    def interval_around(
        self, y_pred, confidence_level=None, *, X=None
    ) -> NDArray[np.float64]:
        """Give the intervals of energies that have been predicted already.

        Parameters
        ----------
        y_pred : array-like of shape (n_structures,)
            Energies that `predict` has given, in eV.
        confidence_level : float or sequence of float, optional
        X : sequence of ase.Atoms, or array-like, optional
            What they were predicted for; needed unless all widths are the same.

        Returns
        -------
        intervals : ndarray of shape (n_structures, 2) or (n_structures, 2, k)
        """
        self._inside()
        levels, single = self._levels(confidence_level)
        if X is None and self._needs_structures():
            raise ValueError(
                "The widths of these intervals depend on the structures (conformity "
                "score, groups, folds or weights): pass X beside the predictions."
            )
        X = None if X is None else rows_and_structures(X)[0]
        y_pred = np.asarray(y_pred, dtype=np.float64)
        intervals = self._intervals(X, levels, y_pred)[1]
        return intervals[..., 0] if single else intervals

    def _levels(self, confidence_level) -> tuple[np.ndarray, bool]:
        if confidence_level is None:
            confidence_level = self.confidence_level
        return check_levels(confidence_level)

    def _intervals(self, X, levels: np.ndarray, y_pred=None):
        """Predict, unless that is done, with intervals of shape (n, 2, k)."""
        return self.calibration_.intervals(self.estimator_, X, levels, y_pred)

    def _needs_structures(self) -> bool:
        """Whether widths depend on more than the prediction."""
        return self.calibration_.needs_structures


@answer.register(IntervalRegressor)
def _of_the_one_inside(estimator, X, context):
    """Take forces, stress and energies of atoms from the estimator inside."""
    return answer(getattr(estimator, estimator._predicts_as), X, context)

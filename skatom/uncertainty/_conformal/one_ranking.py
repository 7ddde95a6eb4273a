"""Base class of estimators that rank the scores of a ConformalRegressor in another way."""

from __future__ import annotations

import copy
from abc import abstractmethod

import numpy as np
from sklearn.base import clone

from skatom._validation import check_is_fitted
from skatom.uncertainty._conformal.interval_regressor import IntervalRegressor
from skatom.uncertainty._conformal.split import SplitCalibration


class OneRankingRegressor(IntervalRegressor):
    """Base of estimators around a ConformalRegressor without groups.

    A subclass has the parameter ``conformal`` and defines `_quantiles`.
    """

    _wraps = "conformal"
    _predicts_as = "conformal_"

    @property
    def confidence_level(self) -> float:
        """Level of intervals, that of the ConformalRegressor."""
        return self._inside().confidence_level

    @abstractmethod
    def _quantiles(self, X, levels: np.ndarray) -> np.ndarray:
        """Bound the scores of structures, shape (n_structures or 1, k)."""

    def _intervals(self, X, levels, y_pred=None):
        y_pred, sizes = self._sized(X, y_pred)
        half = sizes[:, None] * self._quantiles(X, levels)
        return y_pred, np.stack([y_pred[:, None] - half, y_pred[:, None] + half], 1)

    def _needs_structures(self) -> bool:
        return self.conformal_.calibration_.needs_structures

    def _sized(self, X, y_pred=None) -> tuple[np.ndarray, np.ndarray]:
        """Predict, unless that is done, and say what scores are multiplied with."""
        inner = self.conformal_
        return inner.calibration_.sizes.predict(inner.estimator_, X, y_pred)

    def _fit_conformal(self, X, y, *, fitted: bool = False) -> SplitCalibration:
        """Fit the ConformalRegressor, unless it came fitted, and give its calibration."""
        conformal = self.conformal
        if fitted:
            check_is_fitted(conformal)
        keeps_its_fit = fitted or getattr(conformal, "cv", None) == "prefit"
        conformal = copy.copy(conformal) if keeps_its_fit else clone(conformal)
        if not fitted:
            conformal.fit(X, y)
        calibration = getattr(conformal, "calibration_", None)
        if not isinstance(calibration, SplitCalibration) or calibration.groups:
            raise ValueError(
                f"{type(self).__name__} works on one ranking of scores: give it a "
                "ConformalRegressor with groups=None."
            )
        self.conformal_ = conformal
        return calibration

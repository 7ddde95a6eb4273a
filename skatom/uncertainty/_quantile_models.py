"""Conformalised quantile regression: calibrated around models of two quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skatom.uncertainty._calibration import check_predictions
from skatom.uncertainty._groups import group_labels
from skatom.uncertainty._rankings import Rankings


@dataclass(frozen=True)
class QuantileCalibration:
    """Ranked distances of held-out energies outside of predicted quantiles.

    Attributes
    ----------
    scores : Rankings
        Of max(lower - y, y - upper), negative inside.
    lower, upper : fitted estimators
    groups : object
        What tells the group of a structure.
    """

    scores: Rankings
    lower: Any
    upper: Any
    groups: Any

    needs_structures = True

    @classmethod
    def of(cls, lower, upper, X, y, indices, *, groups) -> QuantileCalibration:
        """Rank held-out structures; arguments as in SplitCalibration."""
        low, high = (np.asarray(m.predict(X), dtype=float) for m in (lower, upper))
        for predicted in (low, high):
            check_predictions(predicted, y, indices)
        scores = Rankings.of(
            np.maximum(low - y, y - high), labels=group_labels(groups, X)
        )
        return cls(scores, lower, upper, groups)

    def intervals(self, estimator, X, levels: np.ndarray, y_pred=None):
        """Predict energies with intervals, shapes (n,) and (n, 2, k)."""
        if y_pred is None:
            y_pred = np.asarray(estimator.predict(X), dtype=float)
        low, high = (
            np.asarray(m.predict(X))[:, None] for m in (self.lower, self.upper)
        )
        q = self.scores.quantiles(levels, group_labels(self.groups, X))
        # a negative q may cross the ends: swapped, the set only grows
        ends = np.stack([low - q, high + q], axis=1)
        return y_pred, np.sort(ends, axis=1)


def quantile_models(estimator, level: float) -> list:
    """Make the models of the lower quantile, the median and the upper quantile.

    Parameters
    ----------
    estimator : estimator
        Whose last step has a parameter ``quantile``, or ``alpha`` with
        ``loss="quantile"``, as scikit-learn's quantile regressors have.
    level : float

    Returns
    -------
    models : list of three unfitted estimators

    Raises
    ------
    ValueError
        If the estimator does not predict quantiles.
    """
    name = _quantile_parameter(estimator)
    wanted = ((1 - level) / 2, 0.5, (1 + level) / 2)
    return [clone(estimator).set_params(**{name: q}) for q in wanted]


def _quantile_parameter(estimator) -> str:
    prefix, last = "", estimator
    while isinstance(last, Pipeline):
        name, last = last.steps[-1]
        prefix += f"{name}__"
    params = last.get_params(deep=False)
    losses_fit = params.get("loss", "quantile") == "quantile"
    for name in ("quantile", "alpha"):
        if name in params and losses_fit and (name == "quantile" or "loss" in params):
            return prefix + name
    raise ValueError(
        f"method='cqr' needs an estimator of quantiles, and {type(last).__name__} is "
        "none: use QuantileRegressor, GradientBoostingRegressor(loss='quantile') or "
        "HistGradientBoostingRegressor(loss='quantile')."
    )

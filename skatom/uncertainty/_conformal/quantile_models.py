"""Conformalised quantile regression: calibrated around predicted quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skatom._runtime.state import State
from skatom.uncertainty._conformal.groups import group_labels
from skatom.uncertainty._conformal.held_out import HeldOut
from skatom.uncertainty._conformal.rankings import Rankings
from skatom.uncertainty._conformal.split import check_predictions


@dataclass(frozen=True)
class QuantileModels(State):
    """Fitted models of a lower quantile, the median and an upper quantile.

    Attributes
    ----------
    fits : tuple of fitted estimators
        One that predicts all three, or three.
    """

    _name: ClassVar[str] = "quantile models"

    fits: tuple[Any, ...]

    @classmethod
    def fitted(cls, estimator, level: float, held_out: HeldOut) -> QuantileModels:
        """Fit clones of an estimator.

        Parameters
        ----------
        estimator : estimator
            Whose last step has ``loss="quantile"`` and a parameter ``quantiles``, as
            networks of skatom, or a parameter ``quantile``, or ``alpha`` with
            ``loss="quantile"``, as scikit-learn's quantile regressors have.
        level : float
            Probability between the lower and the upper quantile.
        held_out : HeldOut
            What to fit them on.

        Raises
        ------
        ValueError
            If the estimator does not predict quantiles.
        """
        name = _quantile_parameter(estimator)
        wanted = ((1 - level) / 2, 0.5, (1 + level) / 2)
        if name.endswith("quantiles"):
            wanted = (wanted,)
        models = (clone(estimator).set_params(**{name: q}) for q in wanted)
        return cls(tuple(held_out.fitted(model) for model in models))

    @property
    def median(self):
        """The model of the median."""
        return self.fits[len(self.fits) // 2]

    def predict(self, X, y_pred=None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predict the lower quantile, the median unless it is given, and the upper."""
        if len(self.fits) == 1:
            median, quantiles = self.median.predict(X, return_quantiles=True)
            low, high = quantiles[:, 0], quantiles[:, -1]
        else:
            lower, middle, upper = self.fits
            low, high = (np.asarray(m.predict(X), dtype=float) for m in (lower, upper))
            median = middle.predict(X) if y_pred is None else y_pred
        return low, np.asarray(median if y_pred is None else y_pred, dtype=float), high


@dataclass(frozen=True)
class QuantileCalibration(State):
    """Ranked distances of held-out energies outside of predicted quantiles.

    Attributes
    ----------
    scores : Rankings
        Of max(lower - y, y - upper), negative inside.
    models : QuantileModels
    groups : object
        What tells the group of a structure.
    """

    _name: ClassVar[str] = "quantile calibration"
    _states: ClassVar[tuple[type, ...]] = (Rankings, QuantileModels)

    scores: Rankings
    models: QuantileModels
    groups: Any

    needs_structures = True

    @classmethod
    def of(cls, models: QuantileModels, X, y, indices, *, groups):
        """Rank held-out structures; arguments as in SplitCalibration."""
        low, _, high = models.predict(X, y)
        for predicted in (low, high):
            check_predictions(predicted, y, indices)
        scores = Rankings.of(
            np.maximum(low - y, y - high), labels=group_labels(groups, X)
        )
        return cls(scores, models, groups)

    def intervals(self, estimator, X, levels: np.ndarray, y_pred=None):
        """Predict energies with intervals, shapes (n,) and (n, 2, k)."""
        low, y_pred, high = self.models.predict(X, y_pred)
        q = self.scores.quantiles(levels, group_labels(self.groups, X))
        # a negative q may cross the ends: swapped, the set only grows
        ends = np.stack([low[:, None] - q, high[:, None] + q], axis=1)
        return y_pred, np.sort(ends, axis=1)


def _quantile_parameter(estimator) -> str:
    prefix, last = "", estimator
    while isinstance(last, Pipeline):
        name, last = last.steps[-1]
        prefix += f"{name}__"
    params = last.get_params(deep=False)
    losses_fit = params.get("loss", "quantile") == "quantile"
    for name in ("quantile", "quantiles", "alpha"):
        known = name == "quantile" or "loss" in params
        if name in params and losses_fit and known:
            return prefix + name
    raise ValueError(
        f"QuantileConformalRegressor corrects predicted quantiles, and "
        f"{type(last).__name__} predicts none: use "
        "NeuralNetworkRegressor(loss='quantile'), QuantileRegressor, "
        "GradientBoostingRegressor(loss='quantile') or "
        "HistGradientBoostingRegressor(loss='quantile')."
    )

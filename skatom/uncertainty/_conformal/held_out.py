"""Structures kept from the fit of an estimator, to calibrate on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from skatom._validation import (
    Integral,
    _check_method_params,
    _safe_indexing,
    check_random_state,
    listing,
)
from skatom.base import Target, target_of
from skatom.base._inside import name_of_model
from skatom.features._fitted_on import remember
from skatom.model_selection._content_groups import (
    content_groups,
    refuse_straddling,
    split_rows,
)
from skatom.uncertainty._conformal.trained_on import refuse_trained_on
from skatom.uncertainty._error_bars import check_fit_inputs


class HeldOut(NamedTuple):
    """Structures to fit an estimator on, and those kept from it.

    ``X_train`` is None if the estimator came fitted. Indices are those of fit.
    """

    X_train: object
    y_train: np.ndarray
    fit_params: dict
    X: object
    y: np.ndarray
    train_indices: np.ndarray
    indices: np.ndarray

    def fitted(self, estimator):
        """Fit a clone of an estimator, or take it as it is where it came fitted."""
        if self.X_train is None:
            return estimator
        return clone(estimator).fit(self.X_train, self.y_train, **self.fit_params)

    def note_on(self, model) -> None:
        """Set the fitted attributes of a model that say which structures calibrated it."""
        model.fitted_on_ = np.zeros(0, dtype=np.uint64)
        if self.X_train is not None:
            remember(model, self.X_train, self.y_train)
        model.n_calibration_ = len(self.y)
        model.train_indices_ = self.train_indices
        model.calibration_indices_ = self.indices


def hold_out(model, X, y, fit_params: dict) -> HeldOut:
    """Split structures as a model says, equal ones together.

    Parameters
    ----------
    model : estimator
        With parameters ``estimator``, ``cv``, ``calibration_size`` and ``random_state``.
    X, y : as given to fit
    fit_params : dict
        What has one entry per structure is split too.

    Returns
    -------
    held_out : HeldOut

    Raises
    ------
    ValueError
        If nothing is left to fit on, the estimator was fitted on what it is calibrated
        on, or parameters would be of no effect.
    """
    if hasattr(model, "predict_interval"):
        refuse_columns(model, target_of(model))
    X, structures, y = check_fit_inputs(model, X, y)
    if isinstance(model.cv, str):
        return _all_of(model, X, y, structures, fit_params)
    train, kept = _split(model, X, y, structures)
    params = _check_method_params(X, fit_params, indices=train)
    X_train, X_kept = (_safe_indexing(X, rows) for rows in (train, kept))
    return HeldOut(X_train, y[train], params, X_kept, y[kept], train, kept)


def refuse_columns(model, target: Target) -> None:
    """Refuse several numbers a structure, whose errors have no one rank."""
    if target.width > 1 or target.per_atom:
        raise ValueError(
            f"{type(model).__name__} ranks errors of one number a structure, and "
            f"{name_of_model(model)} predicts {target.words}: several numbers have no "
            "order to rank them by. Fit an estimator of one of them (or of their "
            "magnitude), or take standard deviations of each from EnsembleRegressor and "
            "CalibratedStdRegressor."
        )


def refuse_one(n: int) -> None:
    """Refuse one structure, which cannot be fitted to and calibrated on."""
    if n < 2:
        raise ValueError(
            "Calibration needs structures that the estimator is not fitted on, but there "
            f"is one sample in all (n_samples = {n}). Give at least two."
        )


def _all_of(model, X, y, structures, fit_params: dict) -> HeldOut:
    """Calibrate an estimator that came fitted on everything."""
    if fit_params:
        raise ValueError(
            f"cv='prefit' does not fit the estimator, so {listing(fit_params)} would not "
            "be used. Leave it out, or set cv=None."
        )
    rows = np.arange(len(y))
    refuse_trained_on(model.estimator, X, y, rows)
    return HeldOut(None, y[:0], {}, X, y, rows[:0], rows)


def _split(model, X, y, structures) -> tuple[np.ndarray, np.ndarray]:
    n = len(y)
    if isinstance(model.cv, Integral):
        raise ValueError(
            f"cv={model.cv} is a number of folds, and {type(model).__name__} has none. "
            f"Use CrossConformalRegressor(cv={model.cv}), or say how many structures to "
            "hold out by calibration_size."
        )
    refuse_one(n)
    if model.cv is None:
        rng = check_random_state(model.random_state)
        return split_rows(structures, n, model.calibration_size, rng)
    train, kept = (np.asarray(rows) for rows in next(iter(model.cv.split(X, y))))
    refuse_straddling(content_groups(structures, n), train, kept)
    return train, kept

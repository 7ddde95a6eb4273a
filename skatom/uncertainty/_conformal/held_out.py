"""Fit an estimator on part of the structures and keep the rest to calibrate on."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils import column_or_1d, indexable

from skatom._validation import (
    _check_method_params,
    _safe_indexing,
    check_targets,
    listing,
)
from skatom.features._kinds_of_x import count_rows, rows_and_structures
from skatom.model_selection._content_groups import split_rows


class HeldOut(NamedTuple):
    """A fitted estimator, what it was fitted on, and what was kept from it.

    ``X_train`` is None if the estimator came fitted. Indices are those of fit.
    """

    estimator: object
    X_train: object
    X: object
    y: np.ndarray
    train_indices: np.ndarray
    indices: np.ndarray


def fit_and_hold_out(
    estimator, X, y, fit_params: dict, *, size: float, prefit: bool, rng
) -> HeldOut:
    """Split structures, equal ones together, and fit a clone to one part.

    Parameters
    ----------
    estimator : estimator
    X, y : as given to fit
    fit_params : dict
        What has one entry per structure is split too.
    size : float or int
        Share, or number, of structures to hold out.
    prefit : bool
        Whether the estimator is fitted, and everything is held out.
    rng : numpy.random.RandomState

    Returns
    -------
    held_out : HeldOut
    """
    X, structures = rows_and_structures(X)
    X = X if structures is not None else indexable(X)[0]
    n = count_rows(X)
    y = check_targets(y if y is None else column_or_1d(y, warn=True), n)
    if prefit:
        if fit_params:
            raise ValueError(
                f"cv='prefit' does not fit the estimator, so {listing(fit_params)} "
                "would not be used. Leave it out, or set cv=None."
            )
        return HeldOut(estimator, None, X, y, np.arange(0), np.arange(n))
    if n < 2:
        raise ValueError(
            "Calibration needs structures that the estimator is not fitted on, but there "
            f"is one sample in all (n_samples = {n}). Give at least two."
        )
    wanted = ceil(size * n) if size < 1 else int(size)
    train, kept = split_rows(structures, n, wanted, rng)
    params = _check_method_params(X, fit_params, indices=train)
    X_train = _safe_indexing(X, train)
    estimator = clone(estimator).fit(X_train, y[train], **params)
    return HeldOut(estimator, X_train, _safe_indexing(X, kept), y[kept], train, kept)

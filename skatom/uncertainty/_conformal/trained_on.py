"""Calibration structures that the estimator was trained on, told by their content."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skatom._validation import listing
from skatom.base._inside import children, walk
from skatom.features._fitted_on import content_ids
from skatom.features._kinds_of_x import rows_and_structures


def training_fingerprints(estimator) -> np.ndarray:
    """Collect what the parts of an estimator remember of the structures of their fit.

    Parameters
    ----------
    estimator : fitted estimator
        Searched through all its fitted parts. A step that is frozen in a pipeline was
        fitted elsewhere and does not count.

    Returns
    -------
    fingerprints : ndarray of uint64
        Empty if nothing is known: estimators of scikit-learn remember nothing.
    """
    found = [
        np.asarray(part.fitted_on_, dtype=np.uint64)
        for part in walk(estimator, frozen=False)
        if hasattr(part, "fitted_on_")
    ]
    return np.unique(np.concatenate([np.zeros(0, dtype=np.uint64), *found]))


def refuse_trained_on(estimator, X, y, indices: np.ndarray | None = None) -> None:
    """Refuse calibration structures, or rows, that the estimator was fitted on.

    Parameters
    ----------
    estimator : fitted estimator
    X : sequence of ase.Atoms, AtomFeatures or array-like
    y : array-like of shape (n_structures,) or None
        Rows are told by their targets too.
    indices : ndarray of int, shape (n_structures,), optional
        Where they stand in what the user gave.

    Raises
    ------
    ValueError
        Names the structures.
    """
    known = training_fingerprints(estimator)
    if not len(known):
        return
    structures = rows_and_structures(X)[1]
    if structures is not None:
        leaked = np.isin(content_ids(X), known)
    else:
        leaked = _known_rows(estimator, X, y)
    if leaked.any():
        places = np.flatnonzero(leaked) if indices is None else indices[leaked]
        raise ValueError(
            f"{type(estimator).__name__} was fitted on {len(places)} of the {len(leaked)} "
            f"calibration structures ({listing(places)}): its errors there are too small, "
            "and intervals would not cover. Calibrate on structures that it has not seen."
        )


def _known_rows(estimator, X, y) -> np.ndarray:
    """Tell rows that any part was fitted on, as they are when they reach it."""
    leaked = np.zeros(0, dtype=bool)
    for part, rows in _reached(estimator, X):
        if hasattr(part, "fitted_on_"):
            found = np.isin(content_ids(rows, y), part.fitted_on_)
            leaked = leaked | found if len(leaked) == len(found) else found
    return leaked


def _reached(estimator, X) -> Iterator[tuple[object, object]]:
    """Yield the parts of an estimator, each with what X is when it gets there."""
    yield estimator, X
    if not isinstance(estimator, Pipeline):
        for child in children(estimator):
            yield from _reached(child, X)
        return
    for step in estimator.steps:
        step = step[1]
        if not hasattr(step, "fit"):
            continue  # passthrough
        if not isinstance(step, FrozenEstimator):
            yield from _reached(step, X)
        if step is not estimator.steps[-1][1]:
            X = step.transform(X)

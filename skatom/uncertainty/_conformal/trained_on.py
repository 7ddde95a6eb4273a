"""Calibration structures that the estimator was trained on, told by their content."""

from __future__ import annotations

import numpy as np

from skatom._validation import listing
from skatom.base._inside import walk
from skatom.structures import Structures, fingerprints


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
        Empty if nothing is known: models on rows of numbers, and estimators without a
        featurizer of skatom, remember nothing.
    """
    found = [
        np.asarray(part.fitted_on_, dtype=np.uint64)
        for part in walk(estimator, frozen=False)
        if hasattr(part, "fitted_on_")
    ]
    return np.unique(np.concatenate([np.zeros(0, dtype=np.uint64), *found]))


def refuse_trained_on(estimator, X: Structures | None, indices: np.ndarray) -> None:
    """Refuse calibration structures that the estimator was fitted on.

    Parameters
    ----------
    estimator : fitted estimator
    X : Structures or None
        Calibration structures; rows of numbers cannot be told.
    indices : ndarray of int, shape (n_structures,)
        Where they stand in what the user gave.

    Raises
    ------
    ValueError
        Names the structures.
    """
    known = training_fingerprints(estimator)
    if X is None or not len(known):
        return
    leaked = indices[np.isin(fingerprints(X), known)]
    if len(leaked):
        raise ValueError(
            f"The estimator was fitted on {len(leaked)} of the {len(X)} calibration "
            f"structures ({listing(leaked)}): its errors there are too small, and "
            "intervals would not cover. Calibrate on structures that it has not seen."
        )

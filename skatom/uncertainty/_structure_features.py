"""One row of features a structure, from what enters the last step of a pipeline."""

from __future__ import annotations

import numpy as np

from skatom.base import sum_atoms
from skatom.uncertainty._environments import flat_features


def structure_features(estimator, X) -> np.ndarray:
    """Average the features of atoms over each structure.

    Parameters
    ----------
    estimator : fitted Pipeline or model
    X : Structures, AtomFeatures or array-like of shape (n_structures, n_features)

    Returns
    -------
    features : ndarray of shape (n_structures, n_features)
    """
    values, _, structure = flat_features(estimator, X)
    sizes = np.bincount(structure)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return sum_atoms(values, offsets) / sizes[:, None]

"""Memory of what estimators were fitted on, told by the content of structures and rows."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from scipy.sparse import issparse

from skatom.features._features import AtomFeatures
from skatom.features._kinds_of_x import rows_and_structures
from skatom.structures import fingerprints


def content_ids(X, y=None) -> np.ndarray:
    """Give a number for the content of every structure, or of every row with its target.

    Parameters
    ----------
    X : sequence of ase.Atoms, AtomFeatures, FeatureStore, or array-like
    y : array-like, optional
        Targets, which tell apart rows that happen to be equal; structures need none.

    Returns
    -------
    ids : ndarray of uint64, shape (n_structures,)
        Of rows in single precision, so that the order of sums in a step before does not
        matter. Empty for rows without targets, or of other things than numbers.
    """
    if hasattr(X, "batches"):  # a FeatureStore
        return X.fingerprints
    X, structures = rows_and_structures(X)
    if structures is not None:
        return fingerprints(structures)
    try:
        blocks = _blocks(X)
        targets = np.asarray(y, dtype=np.float64) + 0.0
    except (ValueError, TypeError):
        return np.zeros(0, dtype=np.uint64)
    if targets.ndim == 0 or len(targets) != len(blocks):
        return np.zeros(0, dtype=np.uint64)
    pairs = zip(blocks, targets)
    digests = (blake2b(b.tobytes() + t.tobytes(), digest_size=8) for b, t in pairs)
    return np.array([int(d.hexdigest(), 16) for d in digests], dtype=np.uint64)


def remember(estimator, X, y=None, *, again: bool = False) -> None:
    """Set ``fitted_on_`` to the content of X, or add to it what a fit goes on with.

    Parameters
    ----------
    estimator : estimator
    X, y : as given to fit
    again : bool, default=False
        Whether the estimator has learned from other structures before, and keeps that.
    """
    known = getattr(estimator, "fitted_on_", None) if again else None
    ids = content_ids(X, y)
    estimator.fitted_on_ = np.unique(ids if known is None else np.append(known, ids))


def _blocks(X) -> list[np.ndarray]:
    """Numbers of every row, those of all atoms where X are features of atoms."""
    if isinstance(X, AtomFeatures):
        values, edges = X.values, X.offsets[1:-1]
        return np.split(np.asarray(values, dtype=np.float32) + np.float32(0), edges)
    rows = np.asarray(X.toarray() if issparse(X) else X, dtype=np.float32)
    return list(rows + np.float32(0))

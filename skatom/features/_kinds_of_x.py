"""Kinds of X: structures, features of atoms, or rows of numbers."""

from __future__ import annotations

from skatom.features._features import AtomFeatures
from skatom.structures import Structures, check_structures
from skatom.structures._sequence import holds_structures


def rows_and_structures(X) -> tuple[object, Structures | None]:
    """Distinguish structures from rows of numbers.

    Parameters
    ----------
    X : sequence of ase.Atoms, AtomFeatures, or array-like of shape (n, n_features)

    Returns
    -------
    rows : object
        What the estimator gets: checked `Structures` for any sequence of structures, else
        X as it is.
    structures : Structures or None
        The structures that the rows describe.
    """
    if isinstance(X, AtomFeatures):
        return X, X.structures
    if holds_structures(X):
        structures = check_structures(X, allow_empty=True)
        return structures, structures
    return X, None


def count_rows(X) -> int:
    """Count the structures, or rows, of any kind of X."""
    return X.shape[0] if hasattr(X, "shape") else len(X)

"""What intervals are asked of: structures or rows of numbers, and levels."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np

from skatom._validation import listing
from skatom.features import AtomFeatures
from skatom.structures import Structures, check_structures, fingerprints
from skatom.structures._sequence import holds_structures


def rows_and_structures(X) -> tuple[object, Structures | None]:
    """Tell structures from rows of numbers.

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


def split_rows(
    structures: Structures | None, n_rows: int, n_calibration: int, rng
) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows to calibrate on; a structure that occurs twice stays on one side.

    Parameters
    ----------
    structures : Structures or None
    n_rows, n_calibration : int
        How many rows there are, and at least how many to calibrate on.
    rng : numpy.random.RandomState

    Returns
    -------
    train, calibration : ndarray of int
        Ascending indices.
    """
    group_of = content_groups(structures, n_rows)
    sizes = np.bincount(group_of)
    drawn = rng.permutation(len(sizes))
    n_groups = int(np.searchsorted(np.cumsum(sizes[drawn]), n_calibration)) + 1
    if n_groups >= len(sizes):
        raise ValueError(
            f"Of {n_rows} structures, {n_calibration} were to be held out for calibration, "
            f"but then none is left to train on ({len(sizes)} different ones). Lower "
            "calibration_size or give more structures."
        )
    held_out = np.isin(group_of, drawn[:n_groups])
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def content_groups(structures: Structures | None, n_rows: int) -> np.ndarray:
    """Give structures of equal content one number.

    Parameters
    ----------
    structures : Structures or None
        None for rows of numbers, which are all taken as different.
    n_rows : int

    Returns
    -------
    group_of : ndarray of int, shape (n_rows,)
        By first appearance, so that a draw does not depend on hash values.
    """
    if structures is None:
        return np.arange(n_rows)
    group_of = np.unique(fingerprints(structures), return_inverse=True)[1]
    first = np.unique(group_of, return_index=True)[1]
    return np.argsort(np.argsort(first))[group_of]


def refuse_straddling(
    group_of: np.ndarray, train: np.ndarray, held_out: np.ndarray
) -> None:
    """Refuse a split with copies of one structure on both sides.

    Parameters
    ----------
    group_of : ndarray of int, shape (n_rows,)
        As from :func:`content_groups`.
    train, held_out : ndarray of int
    """
    leaked = np.flatnonzero(np.isin(group_of[held_out], group_of[train]))
    if len(leaked):
        raise ValueError(
            f"The splitter given as cv holds out structures {listing(held_out[leaked])}, "
            "of which there are copies among those to train on: intervals would not "
            "cover. Drop copies (duplicate_report finds them), or use cv=None."
        )


def check_levels(confidence_level) -> tuple[np.ndarray, bool]:
    """Check one or several confidence levels.

    Parameters
    ----------
    confidence_level : float or sequence of float

    Returns
    -------
    levels : ndarray of shape (k,)
    single : bool
        Whether one number was given.

    Raises
    ------
    ValueError
        If a level is not between 0 and 1, exclusive.
    TypeError
        If it is no number.
    """
    single = isinstance(confidence_level, Real)
    several = isinstance(confidence_level, (Sequence, np.ndarray))
    if not (single or several) or isinstance(confidence_level, (str, bool)):
        raise TypeError(
            "confidence_level must be a number between 0 and 1, or a sequence of them; "
            f"got {type(confidence_level).__name__}."
        )
    try:
        levels = np.atleast_1d(np.asarray(confidence_level, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"confidence_level must hold numbers between 0 and 1: {error}."
        ) from error
    outside = [float(v) for v in levels.ravel() if not 0 < v < 1]
    if outside or levels.ndim != 1 or not len(levels):
        raise ValueError(
            "confidence_level must lie between 0 and 1, exclusive; got "
            f"{outside[0] if outside else confidence_level!r}. "
            "0.9 asks for intervals that cover 90 % of new structures."
        )
    return levels, single

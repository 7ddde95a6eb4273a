"""Structures of equal content, which stay on one side of a split."""

from __future__ import annotations

from math import ceil

import numpy as np

from skatom._validation import Integral, Interval, Real, listing
from skatom.structures import Structures, fingerprints

# What the share, or number, of structures to hold out may be.
SIZES = [
    Interval(Real, 0, 1, closed="neither"),
    Interval(Integral, 1, None, closed="left"),
]


def split_rows(
    structures: Structures | None, n_rows: int, size: float, rng
) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows to calibrate on; a structure that occurs twice stays on one side.

    Parameters
    ----------
    structures : Structures or None
    n_rows : int
        How many rows there are.
    size : float or int
        Share, or number, of rows to calibrate on, at least.
    rng : numpy.random.RandomState

    Returns
    -------
    train, calibration : ndarray of int
        Ascending indices.
    """
    n_calibration = ceil(size * n_rows) if size < 1 else int(size)
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

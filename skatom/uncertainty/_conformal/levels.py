"""Confidence levels of intervals."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np


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

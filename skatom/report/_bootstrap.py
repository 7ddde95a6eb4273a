"""Numbers with the scatter that another test set of the same size would give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A number with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap(statistic: Callable, arrays, draws: np.ndarray) -> Estimate:
    """Estimate a statistic of rows, drawn again with replacement.

    Parameters
    ----------
    statistic : callable
        Of arrays, to a number.
    arrays : sequence of ndarray of shape (n, ...)
        One row a structure.
    draws : ndarray of int, shape (n_draws, n)
        Rows of each draw.

    Returns
    -------
    estimate : Estimate
        Percentile interval.
    """
    value = float(statistic(*arrays))
    if not np.isfinite(value):  # intervals of too few calibration structures
        return Estimate(value, value, value)
    again = [float(statistic(*(a[rows] for a in arrays))) for rows in draws]
    low, high = np.nanquantile(again, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def draw_rows(n: int, n_draws: int, random_state: int) -> np.ndarray:
    """Draw n of n rows with replacement, n_draws times."""
    return np.random.default_rng(random_state).integers(0, n, size=(n_draws, n))

"""Slopes between two noisy numbers, with bounds that hold with certainty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

# A bound is crossed by chance once in so many times, were deviations normal.
CERTAIN = 1e-5
# Deviations beyond so many of the usual size are drawn back to it.
CLIP = 3.0
# In eV: changes of energy below it say more of rounding than of physics.
ROUNDING = 1e-8


class Slope(NamedTuple):
    """Slope of one number over another, both with errors.

    Attributes
    ----------
    value : float
        Estimate, from the regression of one over the other.
    low, high : float
        Bounds in ascending order; infinite where even the sign is uncertain.
    n : int
        Number of points.
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        """Whether the sign is certain."""
        return self.low > 0 or self.high < 0

    def may_be(self, value: float, factor: float = 1.0) -> bool:
        """Whether a value lies between the bounds, moved apart by a factor."""
        if not self.known:
            return True
        if value * self.value <= 0:
            return False
        low, high = sorted((abs(self.low), abs(self.high)))
        return low / factor <= abs(value) <= high * factor

    def __str__(self) -> str:
        return (
            f"slope {self.value:.3g}, certainly between {self.low:.3g} and "
            f"{self.high:.3g}, over {self.n} pairs"
        )


def slope_of(y, x, scale, freedom: int) -> Slope:
    """Slope of y over x, through zero, where x is as noisy as y.

    Errors in x make the slope of y over x too small; those in y make the slope of x over
    y too small. Whatever their sizes, the true slope lies between the first and the
    inverse of the second, as long as errors go with neither (Frisch, Statistical
    Confluence Analysis, 1934). Both get their bound of Student.

    Parameters
    ----------
    y, x : ndarray of shape (n,)
    scale : ndarray of shape (n,)
        Relative size of the errors; points beyond the usual are drawn in.
    freedom : int
        Number of independent points.

    Returns
    -------
    slope : Slope
    """
    told = np.maximum(np.abs(x), np.abs(y)) > ROUNDING
    x, y, scale = x[told], y[told], scale[told]
    freedom = min(freedom, len(x)) - 1
    if freedom < 1 or not np.any(x) or not np.any(y):
        return Slope(0.0, -np.inf, np.inf, len(x))
    x, y = x / scale, y / scale
    usual_x, usual_y = (1.4826 * np.median(np.abs(z)) for z in (x, y))
    if usual_x > 0 and usual_y > 0:  # else most are zero, and the rest tells
        beyond = np.maximum(np.abs(x) / usual_x, np.abs(y) / usual_y) / CLIP
        x, y = x / np.maximum(beyond, 1), y / np.maximum(beyond, 1)
    quantile = student.isf(CERTAIN, freedom)
    forward, slack = _regression(y, x, freedom)
    backward, slack_back = _regression(x, y, freedom)
    if abs(forward) <= quantile * slack or abs(backward) <= quantile * slack_back:
        return Slope(forward, -np.inf, np.inf, len(x))
    sign = np.sign(forward)
    near = abs(forward) - quantile * slack
    far = 1 / (abs(backward) - quantile * slack_back)
    return Slope(forward, *sorted((sign * near, sign * far)), len(x))


def _regression(y, x, freedom: int) -> tuple[float, float]:
    """Slope through zero and its standard error."""
    slope = float(x @ y / (x @ x))
    left = y - slope * x
    return slope, float(np.sqrt(left @ left / freedom / (x @ x)))

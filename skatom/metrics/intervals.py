"""Coverage, width and Winkler score of intervals."""

from __future__ import annotations

import numpy as np
from scipy.stats import betabinom, binom


def coverage(y, intervals):
    """Share of labels that lie inside their intervals, ends included.

    Parameters
    ----------
    y : array-like of shape (...)
        Labels: energies, or components of forces.
    intervals : array-like of shape (..., 2) or (..., 2, k)
        Lower and upper end of every label, for one or k levels.

    Returns
    -------
    coverage : float, or ndarray of shape (k,)

    See Also
    --------
    winkler_score : Width and misses in one number.

    Examples
    --------
    >>> from skatom.metrics import coverage
    >>> coverage([1.0, 2.0], [[0.5, 1.5], [2.5, 3.0]])
    0.5
    """
    y, low, high, several = _ends(y, intervals)
    return _over_labels((low <= y) & (y <= high), several)


def mean_width(intervals):
    """Mean width of intervals, in the unit of the labels.

    Parameters
    ----------
    intervals : array-like of shape (n, 2) or (n, 2, k)

    Returns
    -------
    width : float, or ndarray of shape (k,)

    Examples
    --------
    >>> from skatom.metrics import mean_width
    >>> mean_width([[0.0, 1.0], [1.0, 4.0]])
    2.0
    """
    intervals = np.asarray(intervals, dtype=np.float64)
    if intervals.ndim not in (2, 3) or intervals.shape[1] != 2:
        raise ValueError(
            f"intervals have shape {intervals.shape}; (n, 2) or (n, 2, k) is expected."
        )
    width = np.mean(intervals[:, 1] - intervals[:, 0], axis=0)
    return float(width) if np.ndim(width) == 0 else width


def winkler_score(y, intervals, confidence_level):
    r"""Mean Winkler score of intervals: width, and a penalty for every miss [1]_.

    An interval scores its width, plus :math:`2 / \alpha` times the distance to a label
    outside, with :math:`\alpha` one minus the level. The smaller the better; the score is
    least, on average, for the quantiles at :math:`\alpha/2` and :math:`1 - \alpha/2`.

    Parameters
    ----------
    y : array-like of shape (...)
    intervals : array-like of shape (..., 2) or (..., 2, k)
    confidence_level : float, or array-like of shape (k,)
        Level that the intervals claim.

    Returns
    -------
    score : float, or ndarray of shape (k,)
        In the unit of the labels.

    References
    ----------
    .. [1] T. Gneiting, A. E. Raftery, J. Am. Stat. Assoc. 102, 359 (2007), eq. 43,
       doi:10.1198/016214506000001437

    Examples
    --------
    >>> from skatom.metrics import winkler_score
    >>> winkler_score([0.5, 1.1], [[0.0, 1.0], [0.0, 1.0]], 0.9)
    2.0
    """
    level = np.asarray(confidence_level, dtype=np.float64)
    if not np.all((level > 0) & (level < 1)):
        raise ValueError(
            f"confidence_level is {confidence_level}; it lies between 0 and 1, exclusive."
        )
    y, low, high, several = _ends(y, intervals)
    miss = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    return _over_labels(high - low + 2 / (1 - level) * miss, several)


def coverage_band(
    level, n_test: int, n_calibration: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Limits that hold 95 % of the coverages of valid intervals, at each level.

    With the number of calibration structures they hold the scatter of these too.
    """
    if n_calibration is None:
        limits = binom.interval(0.95, n_test, level)
    else:
        k = np.minimum(np.ceil((n_calibration + 1) * level), n_calibration)
        limits = betabinom.interval(0.95, n_test, k, n_calibration + 1 - k)
    return limits[0] / n_test, limits[1] / n_test


def _ends(y, intervals) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Labels, (n, 1), lower and upper ends, (n, k), and whether k levels were given."""
    y = np.asarray(y, dtype=np.float64)
    intervals = np.asarray(intervals, dtype=np.float64)
    if intervals.shape not in ((*y.shape, 2), (*y.shape, 2, *intervals.shape[-1:])):
        raise ValueError(
            f"intervals have shape {intervals.shape}, y has {y.shape}: each label needs a "
            "lower and an upper end, (n, 2), or (n, 2, k) for k levels."
        )
    ends = intervals.reshape(y.size, 2, -1)
    return y.reshape(-1, 1), ends[:, 0], ends[:, 1], intervals.ndim > y.ndim + 1


def _over_labels(values: np.ndarray, several: bool):
    """Average over the labels, for one or several levels."""
    mean = values.mean(axis=0)
    return mean if several else float(mean[0])

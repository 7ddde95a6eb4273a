"""Finite-sample quantiles of calibration scores. Pure functions on arrays.

A quantile here is always an observed score, never a value between two of them: the
guarantee of conformal prediction is a statement about ranks, and interpolation breaks it
(with 19 scores and a level of 0.9 the interpolated quantile covers 0.86, the ranked 0.90).
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np

# Sums of 1 / m over thousands of structures carry rounding errors of about 1e-12; a mass
# that is short of the wanted one by less than this is the wanted one.
MASS_TOLERANCE = 1e-9


def conformal_rank(n_scores: int, level: float) -> int:
    """Give the rank k = ceil((n + 1) level) of the score that bounds a new one.

    Parameters
    ----------
    n_scores : int
        Number of calibration scores.
    level : float
        Between 0 and 1, exclusive. Read as the decimal number that it prints as, so that
        0.07 of 100 is 7 and not 7.000000000000001.

    Returns
    -------
    k : int
        From 1 to n + 1; n + 1 means that no score is large enough.
    """
    return ceil((n_scores + 1) * Fraction(repr(float(level))))


def structures_needed(level: float) -> int:
    """Give the least number of calibration scores for a finite quantile.

    Parameters
    ----------
    level : float
        Between 0 and 1, exclusive.

    Returns
    -------
    n : int
        Smallest n with ``conformal_rank(n, level) <= n``.
    """
    exact = Fraction(repr(float(level)))
    return ceil(exact / (1 - exact))


def conformal_quantile(scores: np.ndarray, level: float) -> float:
    """Bound one new score by the ranked calibration scores.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Calibration scores, ascending.
    level : float
        Between 0 and 1, exclusive.

    Returns
    -------
    q : float
        If the new score and the old ones are exchangeable, it is at most q with a
        probability of at least `level` (eq. 2.4 of [1]_). Infinite if n is too small.

    References
    ----------
    .. [1] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman, J. Am. Stat.
       Assoc. 113, 1094 (2018), doi:10.1080/01621459.2017.1307116
    """
    k = conformal_rank(len(scores), level)
    return float(scores[k - 1]) if k <= len(scores) else np.inf


def grouped_quantile(
    scores: np.ndarray, mass: np.ndarray, n_groups: int, level: float
) -> float:
    """Bound one score, drawn at random from a new group, by the scores of old groups.

    Parameters
    ----------
    scores : ndarray of shape (n_scores,)
        Scores of all groups together, ascending.
    mass : ndarray of shape (n_scores,)
        Running sum of the weights of the scores, 1 / m for a score of a group of m.
    n_groups : int
        Number of groups.
    level : float
        Between 0 and 1, exclusive.

    Returns
    -------
    q : float
        Smallest score with a running mass of at least ``level * (n_groups + 1)``;
        infinite if there is none.

    Notes
    -----
    Let a_g(t) be the share of scores of group g above t. It falls with t, is continuous
    from the right and lies in [0, 1]. q is the smallest t with
    ``(a_1(t) + ... + a_n(t) + 1) / (n + 1) <= 1 - level``, so by conformal risk control
    (theorem 1 of [1]_) the expectation of a_{n+1}(q) is at most 1 - level if the n + 1
    groups are exchangeable. Scores inside a group may depend on each other in any way,
    and groups may have any size. It is the weighted quantile of hierarchical conformal
    prediction [2]_; with groups of one score it is :func:`conformal_quantile`.

    References
    ----------
    .. [1] A. N. Angelopoulos, S. Bates, A. Fisch, L. Lei, T. Schuster, "Conformal risk
       control", ICLR 2024, arXiv:2208.02814
    .. [2] Y. Lee, R. F. Barber, R. Willett, "Distribution-free inference with
       hierarchical data", arXiv:2306.06342 (2023)
    """
    wanted = level * (n_groups + 1) - MASS_TOLERANCE
    first = int(np.searchsorted(mass, wanted, side="left"))
    return float(scores[first]) if first < len(scores) else np.inf


def weighted_quantiles(
    scores: np.ndarray, weights: np.ndarray, new_weights: np.ndarray, levels: np.ndarray
) -> np.ndarray:
    """Bound the scores of new structures of another source by weighted old scores.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Calibration scores, ascending.
    weights : ndarray of shape (n,)
        Ratio of the densities, new over old source, at each calibration structure.
    new_weights : ndarray of shape (m,)
        The same at the new structures.
    levels : ndarray of shape (k,)

    Returns
    -------
    quantiles : ndarray of shape (m, k)
        Smallest score with a running weight of at least ``level`` of the whole, that of
        the new structure included (eq. 7 of [1]_); infinite if there is none. Equal
        weights give :func:`conformal_quantile`.

    References
    ----------
    .. [1] R. J. Tibshirani, R. Foygel Barber, E. J. Candès, A. Ramdas, NeurIPS 32 (2019),
       arXiv:1904.06019
    """
    mass = np.cumsum(weights)
    wanted = (mass[-1] + new_weights)[:, None] * levels
    first = np.searchsorted(mass * (1 + MASS_TOLERANCE), wanted, side="left")
    return np.append(scores, np.inf)[first]

"""Scores of standard deviations against errors, as pure functions on arrays.

Errors are taken as normal where a distribution is needed. Arrays of any shape are read
flat: components of forces count one by one.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erf, ndtri
from scipy.stats import spearmanr


def crps(y, y_pred, std) -> float:
    """Mean continuous ranked probability score of normal predictions [1]_.

    The mean absolute error of a prediction with an error bar: the smaller the better,
    and least for the true mean and standard deviation.

    Parameters
    ----------
    y, y_pred : array-like of shape (...)
        Labels and predictions.
    std : array-like of shape (...)
        Predicted standard deviations, positive.

    Returns
    -------
    score : float
        In the unit of y.

    References
    ----------
    .. [1] T. Gneiting, A. E. Raftery, A. H. Westveld, T. Goldman, Mon. Weather Rev. 133,
       1098 (2005), eq. 5, doi:10.1175/MWR2904.1

    Examples
    --------
    >>> from skatom.metrics import crps
    >>> round(crps([0.0, 1.0], [0.0, 0.0], [1.0, 1.0]), 4)
    0.4181
    """
    z, std = _standard_errors(y, y_pred, std)
    return float(np.mean(crps_of(z, std)))


def gaussian_nll(y, y_pred, std) -> float:
    """Mean negative log likelihood of labels under normal predictions.

    Parameters
    ----------
    y, y_pred : array-like of shape (...)
    std : array-like of shape (...)
        Predicted standard deviations, positive.

    Returns
    -------
    score : float
        The smaller the better; it moves by a constant with the unit of y. One bold
        error bar can dominate it, unlike :func:`crps`.

    Examples
    --------
    >>> from skatom.metrics import gaussian_nll
    >>> round(gaussian_nll([0.0], [0.0], [1.0]), 4)
    0.9189
    """
    z, std = _standard_errors(y, y_pred, std)
    return float(np.mean(z**2) / 2 + np.mean(np.log(std)) + np.log(2 * np.pi) / 2)


def pinball_loss(y, y_pred, std, quantiles=None) -> float:
    """Mean pinball loss of the quantiles of normal predictions.

    Parameters
    ----------
    y, y_pred : array-like of shape (...)
    std : array-like of shape (...)
        Predicted standard deviations, positive.
    quantiles : array-like of shape (k,), optional
        Between 0 and 1; by default 0.01, 0.02, ..., 0.99, which gives half the CRPS to
        some per cent.

    Returns
    -------
    loss : float
        In the unit of y.

    See Also
    --------
    sklearn.metrics.mean_pinball_loss : For quantiles that are given as numbers.

    Examples
    --------
    >>> from skatom.metrics import pinball_loss
    >>> pinball_loss([1.0], [0.0], [1.0], quantiles=[0.5])
    0.5
    """
    z, std = _standard_errors(y, y_pred, std)
    p = np.arange(1, 100) / 100 if quantiles is None else np.asarray(quantiles)
    if not np.all((p > 0) & (p < 1)):
        raise ValueError(f"quantiles lie between 0 and 1, exclusive; got {quantiles}.")
    losses = [np.mean(std * np.maximum(q * (z - t), (q - 1) * (z - t)))
              for q, t in zip(p, ndtri(p))]  # fmt: skip
    return float(np.mean(losses))


def miscalibration_area(y, y_pred, std) -> float:
    """Area between the calibration curve and the diagonal, at most 0.5 [1]_.

    The curve is the share of labels in the central normal interval of probability p. Its
    distance from p is integrated exactly over all p.

    Parameters
    ----------
    y, y_pred : array-like of shape (...)
    std : array-like of shape (...)
        Predicted standard deviations, positive.

    Returns
    -------
    area : float
        With n exact error bars about 0.3 / sqrt(n).

    References
    ----------
    .. [1] K. Tran et al., Mach. Learn.: Sci. Technol. 1, 025006 (2020),
       doi:10.1088/2632-2153/ab7e1a

    Examples
    --------
    >>> from skatom.metrics import miscalibration_area
    >>> round(miscalibration_area([9.0, 9.0], [0.0, 0.0], [1.0, 1.0]), 4)
    0.5
    """
    z, _ = _standard_errors(y, y_pred, std)
    levels = np.sort(erf(np.abs(z) / np.sqrt(2)))  # at which each label is just inside
    edges = np.concatenate([[0.0], levels, [1.0]])
    share = np.arange(len(levels) + 1) / len(levels)
    left, right = edges[:-1] - share, edges[1:] - share
    # integral of |p - share| over a step, whose ends may lie on both sides of share
    return float(np.sum(right * np.abs(right) - left * np.abs(left)) / 2)


def ence(y, y_pred, std, n_bins: int = 10) -> float:
    """Compare errors with error bars, bin by bin: the ENCE [1]_.

    Labels are sorted by their error bars into bins of equal size. In each the root mean
    square error is compared with the root mean variance, and their difference is divided
    by the latter.

    Parameters
    ----------
    y, y_pred : array-like of shape (...)
    std : array-like of shape (...)
        Predicted standard deviations, positive.
    n_bins : int, default=10
        Fewer if there are fewer labels.

    Returns
    -------
    error : float
        0 for exact error bars and many labels. With m labels a bin, noise alone gives
        about 0.56 / sqrt(m) for normal errors.

    References
    ----------
    .. [1] D. Levi, L. Gispan, N. Giladi, E. Fetaya, Sensors 22, 5540 (2022), eq. 8,
       doi:10.3390/s22155540

    Examples
    --------
    >>> from skatom.metrics import ence
    >>> ence([1.0, 2.0], [0.0, 0.0], [1.0, 1.0], n_bins=2)
    0.5
    """
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins}; at least one bin is needed.")
    z, std = _standard_errors(y, y_pred, std)
    order = np.argsort(std, kind="stable")
    errors = []
    for part in np.array_split(order, min(n_bins, len(std))):
        predicted = np.sqrt(np.mean(std[part] ** 2))
        found = np.sqrt(np.mean((z[part] * std[part]) ** 2))
        errors.append(abs(predicted - found) / predicted)
    return float(np.mean(errors))


def sharpness(std) -> float:
    """Root mean square of predicted standard deviations: how bold error bars are.

    Parameters
    ----------
    std : array-like of shape (...)
        Positive.

    Returns
    -------
    sharpness : float
        In the unit of the labels.

    Examples
    --------
    >>> from skatom.metrics import sharpness
    >>> sharpness([3.0, 3.0])
    3.0
    """
    std = np.asarray(std, dtype=np.float64).ravel()
    _refuse_std(std)
    return float(np.sqrt(np.mean(std**2)))


def spearman_of_errors(y, y_pred, std) -> float:
    """Rank correlation of absolute errors with standard deviations.

    Even exact error bars do not reach 1: errors scatter within their bars.

    Parameters
    ----------
    y, y_pred : array-like of shape (...)
    std : array-like of shape (...)
        Predicted standard deviations, positive.

    Returns
    -------
    correlation : float
        0 where all standard deviations, or all errors, are equal.

    Examples
    --------
    >>> from skatom.metrics import spearman_of_errors
    >>> spearman_of_errors([1.0, -2.0, 3.0], [0.0, 0.0, 0.0], [0.1, 0.2, 0.3])
    1.0
    """
    z, std = _standard_errors(y, y_pred, std)
    errors = np.abs(z) * std
    if np.ptp(std) == 0 or np.ptp(errors) == 0:
        return 0.0
    return float(spearmanr(errors, std).statistic)


def crps_of(z: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Score each error, z standard deviations large."""
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return std * (z * erf(z / np.sqrt(2)) + 2 * density - 1 / np.sqrt(np.pi))


def _standard_errors(y, y_pred, std) -> tuple[np.ndarray, np.ndarray]:
    """Errors over standard deviations, and these, both flat."""
    y, y_pred, std = (np.asarray(a, dtype=np.float64) for a in (y, y_pred, std))
    if not y.shape == y_pred.shape == std.shape:
        raise ValueError(
            f"y, y_pred and std have shapes {y.shape}, {y_pred.shape} and {std.shape}: "
            "give one prediction and one standard deviation for every label."
        )
    _refuse_std(std.ravel())
    return ((y - y_pred) / std).ravel(), std.ravel()


def _refuse_std(std: np.ndarray) -> None:
    if not len(std):
        raise ValueError("There are no labels to score.")
    bad = np.flatnonzero(~((std > 0) & np.isfinite(std)))
    if len(bad):
        raise ValueError(
            f"Standard deviation {bad[0]} is {std[bad[0]]} ({len(bad)} of {len(std)} are "
            "zero, negative, NaN or infinite): error bars are positive and finite."
        )

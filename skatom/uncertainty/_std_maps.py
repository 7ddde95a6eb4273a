"""Maps from predicted standard deviations to the size of errors, on plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from sklearn.isotonic import IsotonicRegression

from skatom._runtime.state import State
from skatom.metrics.calibration import crps_of

METHODS = ("squared_residuals", "absolute_residuals", "crps", "affine", "isotonic")
# Labels in a bin of the isotonic map, and bins at most: a bin of m labels tells its
# deviation to 0.76 / sqrt(m), and a bin of one claims certainty where an error was small.
LABELS_A_BIN = 20
MAX_BINS = 20


@dataclass(frozen=True)
class StdMap(State):
    """A monotonic map of standard deviations: linear between knots, a factor beyond them.

    Attributes
    ----------
    raw : ndarray of shape (n_knots,)
        Predicted standard deviations, ascending.
    calibrated : ndarray of shape (n_knots,)
        What they are mapped to. One knot makes the map a factor.
    """

    _name: ClassVar[str] = "map of standard deviations"

    raw: np.ndarray
    calibrated: np.ndarray

    @classmethod
    def factor(cls, alpha: float) -> StdMap:
        """Multiply with a number."""
        return cls(np.ones(1), np.array([alpha]))

    def __call__(self, std: np.ndarray) -> np.ndarray:
        """Map standard deviations, of any shape."""
        std = np.asarray(std, dtype=np.float64)
        inside = np.interp(std, self.raw, self.calibrated)
        ratio = self.calibrated / self.raw
        inside = np.where(std < self.raw[0], std * ratio[0], inside)
        return np.where(std > self.raw[-1], std * ratio[-1], inside)


def fit_map(errors: np.ndarray, std: np.ndarray, method: str) -> StdMap:
    """Fit a map that makes standard deviations as large as errors.

    Parameters
    ----------
    errors : ndarray of shape (n,)
    std : ndarray of shape (n,)
        Positive.
    method : {"squared_residuals", "absolute_residuals", "crps", "affine", "isotonic"}

    Returns
    -------
    map : StdMap
    """
    if method == "isotonic":
        return _isotonic(errors, std)
    if method == "affine":
        return _affine(errors, std)
    return StdMap.factor(fit_factor(errors, std, method))


def fit_factor(errors: np.ndarray, std: np.ndarray, method: str) -> float:
    """Fit the factor alpha between standard deviations and errors.

    Parameters
    ----------
    errors, std : ndarray of shape (n,)
    method : {"squared_residuals", "absolute_residuals", "crps"}
        The factor of the largest Gaussian likelihood, that which makes the mean of
        ``|errors| / std`` what it is for normal errors, or that of the least CRPS.

    Returns
    -------
    alpha : float
        Not less than the smallest positive number.
    """
    z = errors / std
    squared = float(np.sqrt(np.mean(z**2)))
    if method == "absolute_residuals":
        return max(float(np.mean(np.abs(z)) * np.sqrt(np.pi / 2)), _TINY)
    if method == "crps" and squared > _TINY:
        weights = std / std.mean()

        def loss(log_alpha):
            alpha = np.exp(log_alpha) * squared
            return np.mean(weights * crps_of(z / alpha, alpha))

        return float(np.exp(minimize_scalar(loss, bounds=(-7, 3)).x) * squared)
    return max(squared, _TINY)


_TINY = np.finfo(np.float64).tiny


def _affine(errors: np.ndarray, std: np.ndarray) -> StdMap:
    """Add a constant to a multiple.

    Their ratio is that of the largest Gaussian likelihood, their size that of the mean
    absolute error: with errors of heavy tails, squares would widen all error bars for the
    sake of a few.
    """
    typical = np.array([max(np.sqrt(np.mean(errors**2)), _TINY), np.median(std)])
    errors, std = errors / typical[0], std / typical[1]

    def loss(logs):
        found = np.exp(logs[0]) + np.exp(logs[1]) * std
        return np.mean((errors / found) ** 2) / 2 + np.mean(np.log(found))

    best = minimize(
        loss, np.log([0.5, 0.5]), method="Nelder-Mead", bounds=[(-14, 4)] * 2
    )
    constant, slope = np.exp(best.x)
    alpha = fit_factor(errors, constant + slope * std, "absolute_residuals")
    constant, slope = alpha * typical[0] * np.array([constant, slope / typical[1]])
    ends = typical[1] * np.array([1e-12, 1e9])
    return StdMap(ends, np.maximum(constant + slope * ends, _TINY))


def _isotonic(errors: np.ndarray, std: np.ndarray) -> StdMap:
    """Regress mean absolute errors of bins on their deviations, never descending.

    Isotonic regression of absolute errors is the monotonic map of the largest likelihood
    of errors that fall off exponentially: this is a Bregman divergence, whose minimiser
    does not depend on which one it is. Normal errors have the deviation sqrt(pi / 2)
    times their mean size; squares would widen whole bins for the sake of a few errors.
    """
    n_bins = int(np.clip(len(std) // LABELS_A_BIN, 1, MAX_BINS))
    bins = np.array_split(np.argsort(std, kind="stable"), n_bins)
    raw = np.array([np.sqrt(np.mean(std[b] ** 2)) for b in bins])
    sums = np.array([np.abs(errors[b]).sum() for b in bins])
    raw, place = np.unique(raw, return_inverse=True)  # equal ones are one bin
    n = np.bincount(place, [len(b) for b in bins])
    sizes = np.sqrt(np.pi / 2) * np.bincount(place, sums) / n
    smooth = IsotonicRegression().fit_transform(raw, sizes, sample_weight=n)
    return StdMap(raw, np.maximum(smooth, _TINY))

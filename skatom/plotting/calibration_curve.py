"""Coverage against level, with the scatter that a finite test set has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skatom._validation import check_is_fitted
from skatom.metrics.intervals import coverage_band
from skatom.plotting._axes import INSIDE, LINE, check_intervals, covered_by, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = np.round(np.arange(0.05, 1.0, 0.05), 2)


class CalibrationCurveDisplay:
    """Share of labels inside their intervals against the level of the intervals.

    Make it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    levels : ndarray of shape (k,)
    coverages : ndarray of shape (k,)
    n_test : int
        Number of labels.
    n_calibration : int, optional
        Number of calibration structures; the band then holds their scatter too.

    Attributes
    ----------
    area_ : float
        Mean distance of the curve from the diagonal.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    skatom.metrics.miscalibration_area : The same area for standard deviations.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import norm
    >>> from skatom.plotting import CalibrationCurveDisplay
    >>> y = np.random.default_rng(0).normal(size=500)
    >>> levels = np.array([0.5, 0.9])
    >>> half = norm.ppf((1 + levels) / 2)
    >>> intervals = np.zeros((500, 1, 1)) + np.stack([-half, half])
    >>> display = CalibrationCurveDisplay.from_predictions(y, intervals, levels)
    >>> bool(display.area_ < 0.03)
    True
    """

    def __init__(self, levels, coverages, *, n_test: int, n_calibration=None):
        self.levels = levels
        self.coverages = coverages
        self.n_test = n_test
        self.n_calibration = n_calibration

    @classmethod
    def from_estimator(cls, estimator, X, y, *, levels=LEVELS, ax=None):
        """Predict intervals and draw their coverage.

        Parameters
        ----------
        estimator : fitted estimator with predict_interval
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
            Structures that the estimator has not seen.
        y : array-like of shape (n_structures,)
        levels : array-like of shape (k,), optional
            By default 0.05, 0.1, ..., 0.95.
        ax : matplotlib Axes, optional

        Returns
        -------
        display : CalibrationCurveDisplay
        """
        check_is_fitted(estimator)
        _, intervals = estimator.predict_interval(X, list(levels))
        n = getattr(estimator, "n_calibration_", None)
        return cls.from_predictions(y, intervals, levels, n_calibration=n, ax=ax)

    @classmethod
    def from_predictions(cls, y, intervals, levels, *, n_calibration=None, ax=None):
        """Draw the coverage of intervals that are known already.

        Parameters
        ----------
        y : array-like of shape (n,)
        intervals : array-like of shape (n, 2, k)
        levels : array-like of shape (k,)
        n_calibration : int, optional
        ax : matplotlib Axes, optional

        Returns
        -------
        display : CalibrationCurveDisplay
        """
        y, intervals = check_intervals(y, intervals)
        levels = np.asarray(levels, dtype=np.float64)
        if levels.shape != (intervals.shape[2],):
            raise ValueError(
                f"There are intervals of {intervals.shape[2]} levels, and {levels.size} "
                "levels: give one for each."
            )
        shares = covered_by(y, intervals).mean(axis=0)
        display = cls(levels, shares, n_test=len(y), n_calibration=n_calibration)
        return display.plot(ax)

    def band(self) -> tuple[np.ndarray, np.ndarray]:
        """Give the limits that hold 95 % of coverages of valid intervals.

        Returns
        -------
        lower, upper : ndarray of shape (k,)
        """
        return coverage_band(self.levels, self.n_test, self.n_calibration)

    def plot(self, ax: Axes | None = None) -> CalibrationCurveDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        display : CalibrationCurveDisplay
            Itself.
        """
        ax = new_axes() if ax is None else ax
        self.area_ = float(np.mean(np.abs(self.coverages - self.levels)))
        ax.plot([0, 1], [0, 1], color=LINE, lw=0.8)
        ax.fill_between(
            self.levels, *self.band(), color=LINE, alpha=0.15, label="95 % by chance"
        )
        ax.plot(self.levels, self.coverages, "o-", ms=3, color=INSIDE, label="observed")
        ax.set(xlabel="level", ylabel="share inside", xlim=(0, 1), ylim=(0, 1))
        ax.set_title(f"n = {self.n_test}, area {self.area_:.3f}", fontsize=9)
        ax.legend(loc="lower right", fontsize=8)
        self.ax_, self.figure_ = ax, ax.figure
        return self

"""Coverage in groups, worst first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest

from skatom._validation import check_is_fitted, check_n_structures
from skatom.plotting._axes import (
    INSIDE,
    LINE,
    OUTSIDE,
    check_intervals,
    covered_by,
    new_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class GroupCoverageDisplay:
    """Coverage of each group of structures, with its 95 % interval, worst first.

    Parameters
    ----------
    names : list of str
        Groups, worst first.
    n_covered, n : ndarray of int, shape (n_groups,)
    level : float

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    skatom.uncertainty.ConformalRegressor : Its ``groups`` calibrate each by itself.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.plotting import GroupCoverageDisplay
    >>> y, groups = np.r_[np.zeros(20), np.full(20, 3.0)], ["cold"] * 20 + ["hot"] * 20
    >>> intervals = np.tile([-1.0, 1.0], (40, 1))
    >>> display = GroupCoverageDisplay.from_predictions(y, intervals, groups, level=0.9)
    >>> display.names
    ['hot', 'cold']
    """

    def __init__(self, names, n_covered, n, *, level):
        self.names = names
        self.n_covered = n_covered
        self.n = n
        self.level = level

    @classmethod
    def from_estimator(cls, estimator, X, y, groups, *, confidence_level=None, ax=None):
        """Predict intervals and draw their coverage by group.

        Parameters
        ----------
        estimator : fitted estimator with predict_interval
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
        y : array-like of shape (n_structures,)
        groups : sequence of shape (n_structures,)
        confidence_level : float, optional
            By default that of the estimator.
        ax : matplotlib Axes, optional

        Returns
        -------
        display : GroupCoverageDisplay
        """
        check_is_fitted(estimator)
        level = confidence_level or estimator.confidence_level
        _, intervals = estimator.predict_interval(X, level)
        return cls.from_predictions(y, intervals, groups, level=level, ax=ax)

    @classmethod
    def from_predictions(cls, y, intervals, groups, *, level, ax=None):
        """Draw the coverage of intervals that are known already.

        Parameters
        ----------
        y : array-like of shape (n,)
        intervals : array-like of shape (n, 2)
        groups : sequence of shape (n,)
        level : float
        ax : matplotlib Axes, optional

        Returns
        -------
        display : GroupCoverageDisplay
        """
        y, intervals = check_intervals(y, intervals)
        check_n_structures(len(y), groups, "groups")
        covered = covered_by(y, intervals)[:, 0]
        names, of = np.unique(np.array([str(g) for g in groups]), return_inverse=True)
        n, n_covered = np.bincount(of), np.bincount(of, weights=covered).astype(int)
        order = np.argsort(n_covered / n, kind="stable")
        display = cls(
            [str(names[i]) for i in order], n_covered[order], n[order], level=level
        )
        return display.plot(ax)

    def plot(self, ax: Axes | None = None) -> GroupCoverageDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        display : GroupCoverageDisplay
            Itself.
        """
        height = 1.2 + 0.28 * len(self.names)
        ax = new_axes(height=min(height, 12.0)) if ax is None else ax
        rows = np.arange(len(self.names))[::-1]
        share = self.n_covered / self.n
        ends = [
            binomtest(int(k), int(n)).proportion_ci(0.95, "wilson")
            for k, n in zip(self.n_covered, self.n)
        ]
        bars = np.array([[s - e.low, e.high - s] for s, e in zip(share, ends)]).T
        below = np.array([e.high < self.level for e in ends])
        for group, colour in ((~below, INSIDE), (below, OUTSIDE)):
            ax.errorbar(
                share[group], rows[group], xerr=np.maximum(bars[:, group], 0),
                fmt="o", ms=4, lw=1, color=colour,
            )  # fmt: skip
        ax.axvline(self.level, color=LINE, lw=0.8)
        ax.set_yticks(rows, [f"{m} ({n})" for m, n in zip(self.names, self.n)])
        ax.set(xlabel="share inside", xlim=(None, 1.02))
        self.ax_, self.figure_ = ax, ax.figure
        return self

"""Coverage along a trajectory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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


class StreamCoverageDisplay:
    """Coverage over the last frames along a trajectory, with the level that was asked for.

    An AdaptiveConformalRegressor raises its working level after misses and lowers it after
    hits; the dashed line is that level, frame by frame. At 1 intervals are infinite.

    Parameters
    ----------
    covered : ndarray of bool, shape (n,)
        In the order of time.
    widths : ndarray of shape (n,)
        In eV.
    level : float
    window : int, default=50
        Frames that are averaged over.
    working_levels : ndarray of shape (n,), optional
        Level at which each interval was made, where it was not ``level``.

    Attributes
    ----------
    rolling_ : ndarray of shape (n,)
        Share of covered frames among the last ``window``.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    skatom.uncertainty.AdaptiveConformalRegressor : Keeps this curve at the level.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.plotting import StreamCoverageDisplay
    >>> y = np.r_[np.zeros(100), np.ones(100)]
    >>> intervals = np.tile([-0.5, 0.5], (200, 1))
    >>> display = StreamCoverageDisplay.from_predictions(y, intervals, level=0.9)
    >>> display.rolling_[[99, 124, 199]].round(2)
    array([1. , 0.5, 0. ])
    """

    def __init__(self, covered, widths, *, level, window=50, working_levels=None):
        self.covered = covered
        self.widths = widths
        self.level = level
        self.window = window
        self.working_levels = working_levels

    @classmethod
    def from_estimator(cls, estimator, X, y, *, window=50, ax=None):
        """Follow a stream, label by label, and draw what it covered.

        Parameters
        ----------
        estimator : fitted AdaptiveConformalRegressor
            It learns from the labels. Others predict all frames at once.
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
            In the order of time.
        y : array-like of shape (n_structures,)
        window : int, default=50
        ax : matplotlib Axes, optional

        Returns
        -------
        display : StreamCoverageDisplay
        """
        if not hasattr(estimator, "follow"):
            level = estimator.confidence_level
            _, intervals = estimator.predict_interval(X, level)
            return cls.from_predictions(y, intervals, level=level, window=window, ax=ax)
        level, begin = estimator.conformal_.confidence_level, 1 - estimator.miss_rate_
        y, intervals = check_intervals(y, estimator.follow(X, y)[1])
        covered = covered_by(y, intervals)[:, 0]
        steps = estimator.step_size * (level - covered)
        found = begin + np.concatenate([[0.0], np.cumsum(steps)[:-1]])
        return cls.from_predictions(
            y, intervals, level=level, window=window, working_levels=found, ax=ax
        )

    @classmethod
    def from_predictions(
        cls, y, intervals, *, level, window=50, working_levels=None, ax=None
    ):
        """Draw intervals that are known already.

        Parameters
        ----------
        y : array-like of shape (n,)
            In the order of time.
        intervals : array-like of shape (n, 2)
        level : float
        window : int, default=50
        working_levels : array-like of shape (n,), optional
        ax : matplotlib Axes, optional

        Returns
        -------
        display : StreamCoverageDisplay
        """
        y, intervals = check_intervals(y, intervals)
        widths = intervals[:, 1, 0] - intervals[:, 0, 0]
        covered = covered_by(y, intervals)[:, 0]
        return cls(
            covered, widths, level=level, window=window, working_levels=working_levels
        ).plot(ax)

    def plot(self, ax: Axes | None = None) -> StreamCoverageDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        display : StreamCoverageDisplay
            Itself.
        """
        ax = new_axes(6.5, 3.2) if ax is None else ax
        total = np.concatenate([[0], np.cumsum(self.covered)])
        stop = np.arange(1, len(total))
        start = np.maximum(stop - self.window, 0)
        self.rolling_ = (total[stop] - total[start]) / (stop - start)
        ax.axhline(self.level, color=LINE, lw=0.8)
        label = f"last {self.window} frames"
        ax.plot(self.rolling_, color=INSIDE, lw=1.2, label=label)
        if self.working_levels is not None:
            working = np.clip(self.working_levels, 0, 1)
            ax.plot(working, "--", color=OUTSIDE, lw=0.8, label="working level")
        mean = np.mean(self.covered)
        ax.set(xlabel="frame", ylabel="share inside", ylim=(0, 1.02))
        ax.set_title(f"{mean:.3f} inside at level {self.level:g}", fontsize=9)
        ax.legend(loc="lower left", fontsize=8)
        self.ax_, self.figure_ = ax, ax.figure
        return self

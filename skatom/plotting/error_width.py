"""Errors against the half-widths of their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skatom._validation import check_is_fitted
from skatom.base import Target, target_of
from skatom.base._targets import ENERGY
from skatom.plotting._axes import INSIDE, LINE, OUTSIDE, check_intervals, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ErrorWidthDisplay:
    """Absolute error of every prediction against the half-width of its interval.

    Points above the diagonal are missed. Intervals that know where the model errs spread
    over a wide range of widths, with larger errors at larger widths.

    Parameters
    ----------
    errors, half_widths : ndarray of shape (n,)
        In the unit of the target.
    target : Target, default=Target()
        What is predicted, energies in eV by default.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    GroupCoverageDisplay : Coverage by group, or by width.
    ErrorDistanceDisplay : Errors against distances to training structures.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.plotting import ErrorWidthDisplay
    >>> rng = np.random.default_rng(0)
    >>> half = rng.uniform(0.1, 0.3, size=50)
    >>> y = 0.5 * half * rng.normal(size=50)
    >>> intervals = np.stack([-half, half], axis=1)
    >>> ErrorWidthDisplay.from_predictions(y, intervals).ax_.get_xlabel()
    'half-width of the interval (meV)'
    """

    def __init__(self, errors, half_widths, *, target: Target = ENERGY):
        self.errors = errors
        self.half_widths = half_widths
        self.target = target

    @classmethod
    def from_estimator(cls, estimator, X, y, *, confidence_level=None, ax=None):
        """Predict intervals and draw errors against them.

        Parameters
        ----------
        estimator : fitted estimator with predict_interval
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
        y : array-like of shape (n_structures,)
        confidence_level : float, optional
        ax : matplotlib Axes, optional

        Returns
        -------
        display : ErrorWidthDisplay
        """
        check_is_fitted(estimator)
        _, intervals = estimator.predict_interval(X, confidence_level)
        target = target_of(estimator)
        return cls.from_predictions(y, intervals, target=target, ax=ax)

    @classmethod
    def from_predictions(cls, y, intervals, *, target: Target = ENERGY, ax=None):
        """Draw labels and intervals that are known already.

        Parameters
        ----------
        y : array-like of shape (n,)
        intervals : array-like of shape (n, 2)
            Finite.
        target : Target, default=Target()
            What is predicted, energies in eV by default.
        ax : matplotlib Axes, optional

        Returns
        -------
        display : ErrorWidthDisplay
        """
        y, intervals = check_intervals(y, intervals)
        low, high = intervals[:, 0, 0], intervals[:, 1, 0]
        errors = np.abs(y - (low + high) / 2)
        return cls(errors, (high - low) / 2, target=target).plot(ax)

    def plot(self, ax: Axes | None = None) -> ErrorWidthDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        display : ErrorWidthDisplay
            Itself.
        """
        ax = new_axes() if ax is None else ax
        scale, label = self.target.fine[1], self.target.error_label
        x, y = scale * self.half_widths, scale * self.errors
        missed = y > x
        ax.plot(x[~missed], y[~missed], ".", ms=3, color=INSIDE, label="inside")
        ax.plot(x[missed], y[missed], ".", ms=3, color=OUTSIDE, label="missed")
        top = np.array([0.0, 1.05 * x[np.isfinite(x)].max(initial=1e-9)])
        ax.plot(top, top, color=LINE, lw=0.8)
        ax.set(xlabel=label("half-width of the interval"), ylabel=label("|error|"))
        ax.set_title(f"{missed.mean():.1%} of {len(x)} missed", fontsize=9)
        ax.legend(loc="upper left", fontsize=8)
        self.ax_, self.figure_ = ax, ax.figure
        return self

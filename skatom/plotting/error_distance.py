"""Errors against the distance to training structures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr

from skatom._validation import check_is_fitted
from skatom.base import Target, target_of
from skatom.base._targets import ENERGY
from skatom.plotting._axes import INSIDE, LINE, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 10
LEAST_IN_A_BIN = 5


class ErrorDistanceDisplay:
    """Absolute error of every prediction against its distance to training structures.

    The line is the root mean square error of bins of equally many structures. Where it
    rises, the distance shows where the model errs; where it is flat, a width that grows
    with the distance gains nothing.

    Parameters
    ----------
    errors : ndarray of shape (n,)
        In the unit of the target.
    distances : ndarray of shape (n,)
        In the unit of whatever measured them; infinite for unknown species.
    target : Target, default=Target()
        What is predicted, energies in eV by default.

    Attributes
    ----------
    correlation_ : float
        Rank correlation of errors with distances; NaN if either does not vary.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    skatom.uncertainty.LatentDistance : Distances in the last hidden layer.
    ErrorWidthDisplay : Errors against the half-widths of intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.plotting import ErrorDistanceDisplay
    >>> rng = np.random.default_rng(0)
    >>> distances = rng.uniform(0.1, 3.0, size=200)
    >>> y = 0.1 * distances * rng.normal(size=200)
    >>> display = ErrorDistanceDisplay.from_predictions(y, np.zeros(200), distances)
    >>> bool(display.correlation_ > 0.3)
    True
    """

    def __init__(self, errors, distances, *, target: Target = ENERGY):
        self.errors = errors
        self.distances = distances
        self.target = target

    @classmethod
    def from_estimator(cls, distance, X, y, *, ax=None):
        """Predict with the estimator that distances are measured in, and draw.

        Parameters
        ----------
        distance : fitted LatentDistance, FeatureDistance or DomainFlags
            Holds the estimator; distances, or grades, are minus its ``score_samples``.
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
        y : array-like of shape (n_structures,)
            In the unit of the target.
        ax : matplotlib Axes, optional

        Returns
        -------
        display : ErrorDistanceDisplay
        """
        check_is_fitted(distance)
        y_pred = distance.estimator.predict(X)
        distances, target = -distance.score_samples(X), target_of(distance.estimator)
        return cls.from_predictions(y, y_pred, distances, target=target, ax=ax)

    @classmethod
    def from_predictions(
        cls, y, y_pred, distances, *, target: Target = ENERGY, ax=None
    ):
        """Draw errors and distances that are known already.

        Parameters
        ----------
        y, y_pred : array-like of shape (n,)
            Labels and predictions in the unit of the target.
        distances : array-like of shape (n,)
        target : Target, default=Target()
            What is predicted, energies in eV by default.
        ax : matplotlib Axes, optional

        Returns
        -------
        display : ErrorDistanceDisplay

        Raises
        ------
        ValueError
            If there is not one distance, label and prediction for each structure.
        """
        y, y_pred, distances = (
            np.asarray(v, dtype=np.float64).ravel() for v in (y, y_pred, distances)
        )
        if not len(y) or not len(y) == len(y_pred) == len(distances):
            raise ValueError(
                f"There are {len(y)} labels, {len(y_pred)} predictions and "
                f"{len(distances)} distances: give one of each for every structure."
            )
        return cls(np.abs(y - y_pred), distances, target=target).plot(ax)

    def plot(self, ax: Axes | None = None) -> ErrorDistanceDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        display : ErrorDistanceDisplay
            Itself.
        """
        ax = new_axes() if ax is None else ax
        finite = np.isfinite(self.distances)
        x, y = self.distances[finite], self.target.fine[1] * self.errors[finite]
        varied = len(x) > 1 and np.ptp(x) > 0 and np.ptp(y) > 0
        self.correlation_ = float(spearmanr(x, y).statistic) if varied else float("nan")
        ax.plot(x, y, ".", ms=3, color=INSIDE, label="structures")
        order = np.argsort(x, kind="stable")
        n_bins = min(BINS, len(x) // LEAST_IN_A_BIN)
        if n_bins > 1:
            bins = np.array_split(order, n_bins)
            middle = [np.median(x[b]) for b in bins]
            rms = [np.sqrt(np.mean(y[b] ** 2)) for b in bins]
            ax.plot(middle, rms, "o-", ms=4, color=LINE, label="root mean square")
        title = f"rank correlation {self.correlation_:.2f}"
        if not finite.all():
            title += f", {(~finite).sum()} infinitely far"
        label = self.target.error_label("|error|")
        ax.set(xlabel="distance to training structures", ylabel=label)
        ax.set_title(title, fontsize=9)
        ax.legend(loc="upper left", fontsize=8)
        self.ax_, self.figure_ = ax, ax.figure
        return self

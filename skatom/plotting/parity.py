"""Predictions against reference, with error bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from skatom._validation import check_is_fitted, closest
from skatom.plotting._axes import INSIDE, LINE, OUTSIDE, new_axes
from skatom.structures import check_structures, read_energies, read_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# quantity: (symbol on axes, unit)
_QUANTITIES = {"energy": ("E", "eV"), "forces": ("F", "eV/Å")}
_KINDS = ("parity", "error")


class ParityDisplay:
    """Predicted against reference energies or force components, with error bars.

    Make it with `from_estimator` or `from_predictions`; the attributes keep what was
    drawn.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n,)
        Reference and prediction: energies in eV or force components in eV/Å.
    intervals : ndarray of shape (n, 2), optional
        Lower and upper end of an interval around every prediction.
    quantity : {"energy", "forces"}, default="energy"
    level : float, optional
        Level of the intervals, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    n_shown_ : int
        Points that were drawn; numbers in the corner count all of them.

    See Also
    --------
    skatom.uncertainty.ConformalRegressor : Intervals with guaranteed coverage.
    sklearn.metrics.PredictionErrorDisplay : The same idea for any regressor.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.plotting import ParityDisplay
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=50)
    >>> y_pred = y + 0.1 * rng.normal(size=50)
    >>> intervals = y_pred[:, None] + [-0.2, 0.2]
    >>> display = ParityDisplay.from_predictions(y, y_pred, intervals=intervals)
    >>> display.ax_.get_xlabel()
    'reference E − mean (eV)'
    """

    def __init__(
        self,
        y_true: np.ndarray,
        y_pred: np.ndarray,
        *,
        intervals: np.ndarray | None = None,
        quantity: str = "energy",
        level: float | None = None,
    ):
        self.y_true = y_true
        self.y_pred = y_pred
        self.intervals = intervals
        self.quantity = quantity
        self.level = level

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y: ArrayLike | None = None,
        *,
        quantity: str = "energy",
        confidence_level: float | None = None,
        ax: Axes | None = None,
        **options,
    ) -> ParityDisplay:
        """Predict and draw; intervals come along where the estimator has them.

        Parameters
        ----------
        estimator : fitted estimator
            On structures. One with ``predict_interval`` or ``predict_forces_interval``,
            such as a ConformalRegressor, gets error bars.
        X : sequence of ase.Atoms
            Structures that the estimator was not fitted on.
        y : array-like of shape (n_structures,), optional
            Reference energies in eV; by default those stored with the structures.
            Reference forces are always those.
        quantity : {"energy", "forces"}, default="energy"
        confidence_level : float, optional
            Level of the intervals; by default that of the estimator.
        ax : matplotlib Axes, optional
            By default a new figure is made.
        **options
            Passed to `plot`.

        Returns
        -------
        display : ParityDisplay
        """
        _check_option("quantity", quantity, _QUANTITIES)
        check_is_fitted(estimator)
        X = check_structures(X)
        level = confidence_level or getattr(estimator, "confidence_level", None)
        if quantity == "energy":
            y_true = read_energies(X) if y is None else np.asarray(y, dtype=float)
            y_pred, intervals = _energies(estimator, X, confidence_level)
        else:
            labels = read_labels(X, forces="auto", required=True)
            y_true = labels.forces
            y_pred, intervals = _forces(estimator, X, confidence_level)
        return cls.from_predictions(
            y_true,
            y_pred,
            intervals=intervals,
            quantity=quantity,
            level=level,
            ax=ax,
            **options,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike | Sequence,
        y_pred: ArrayLike | Sequence,
        *,
        intervals: ArrayLike | Sequence | None = None,
        quantity: str = "energy",
        level: float | None = None,
        ax: Axes | None = None,
        **options,
    ) -> ParityDisplay:
        """Draw predictions that are known already.

        Parameters
        ----------
        y_true, y_pred : array-like, or sequence of ndarray of shape (n_atoms, 3)
            Reference and prediction: energies in eV, or forces in eV/Å.
        intervals : array-like of shape (n, 2), or sequence of (n_atoms, 3, 2), optional
            Lower and upper ends.
        quantity : {"energy", "forces"}, default="energy"
        level : float, optional
            Level of the intervals, for the legend.
        ax : matplotlib Axes, optional
            By default a new figure is made.
        **options
            Passed to `plot`.

        Returns
        -------
        display : ParityDisplay

        Raises
        ------
        ValueError
            If reference, prediction and intervals do not belong together.
        """
        _check_option("quantity", quantity, _QUANTITIES)
        y_true, y_pred = _flat(y_true), _flat(y_pred)
        if y_true.shape != y_pred.shape or not y_true.size:
            raise ValueError(
                f"There are {y_true.size} reference values and {y_pred.size} predictions: "
                "give one of each per structure or force component."
            )
        if intervals is not None:
            intervals = _flat(intervals).reshape(-1, 2)
            if len(intervals) != len(y_pred):
                raise ValueError(
                    f"There are {len(y_pred)} predictions and {len(intervals)} intervals: "
                    "give a lower and an upper end for each."
                )
        display = cls(
            y_true, y_pred, intervals=intervals, quantity=quantity, level=level
        )
        return display.plot(ax=ax, **options)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        kind: str = "parity",
        max_points: int = 2000,
        title: str | None = None,
    ) -> ParityDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            By default a new figure is made.
        kind : {"parity", "error"}, default="parity"
            "parity": prediction against reference. "error": prediction minus reference,
            a thousand times magnified (meV), where small error bars can be seen.
        max_points : int, default=2000
            Points to draw at most, evenly taken; the numbers count all of them.
        title : str, optional

        Returns
        -------
        display : ParityDisplay
            Itself.
        """
        _check_option("kind", kind, _KINDS)
        ax = new_axes() if ax is None else ax
        n = len(self.y_true)
        shown = np.unique(np.linspace(0, n - 1, min(n, max_points)).astype(int))
        origin = float(np.mean(self.y_true)) if self.quantity == "energy" else 0.0
        if kind == "parity":
            x, y, scale = self.y_true - origin, self.y_pred - origin, 1.0
            span = np.array([min(x.min(), y.min()), max(x.max(), y.max())])
            ax.plot(span, span, color=LINE, lw=0.8, zorder=1)
        else:
            scale = 1000.0
            x, y = self.y_true - origin, scale * (self.y_pred - self.y_true)
            ax.axhline(0.0, color=LINE, lw=0.8, zorder=1)
            ax.margins(y=0.2)  # room for numbers and legend
        self._draw_points(ax, x, y, scale, shown)
        self._label(ax, kind, len(shown))
        if title:
            ax.set_title(title)
        self.ax_, self.figure_, self.n_shown_ = ax, ax.figure, len(shown)
        return self

    def _draw_points(self, ax: Axes, x, y, scale: float, shown: np.ndarray) -> None:
        if self.intervals is None:
            ax.plot(x[shown], y[shown], ".", ms=3, color=INSIDE, zorder=3)
            return
        lower, upper = self.intervals.T
        covered = (lower <= self.y_true) & (self.y_true <= upper)
        bars = scale * np.array([self.y_pred - lower, upper - self.y_pred])
        name = f"{self.level:.0%} interval" if self.level else "interval"
        for group, colour, verb in (
            (covered, INSIDE, "holds"),
            (~covered, OUTSIDE, "misses"),
        ):
            rows = shown[group[shown]]
            ax.errorbar(
                x[rows],
                y[rows],
                yerr=bars[:, rows],
                fmt=".",
                ms=3,
                lw=0.4,
                alpha=0.6,
                color=colour,
                zorder=2,
                label=f"{name} {verb} the reference: {np.mean(group):.1%}",
            )
        legend = ax.legend(loc="lower right", fontsize=7, framealpha=0.9)
        legend.set_zorder(5)

    def _label(self, ax: Axes, kind: str, n_shown: int) -> None:
        symbol, unit = _QUANTITIES[self.quantity]
        origin = " − mean" if self.quantity == "energy" else ""
        ax.set_xlabel(f"reference {symbol}{origin} ({unit})")
        if kind == "parity":
            ax.set_ylabel(f"predicted {symbol}{origin} ({unit})")
            ax.set_aspect("equal", adjustable="box")
        else:
            ax.set_ylabel(f"predicted − reference {symbol} (m{unit})")
        error = 1000 * (self.y_pred - self.y_true)
        part = f" ({n_shown} shown)" if n_shown < len(error) else ""
        ax.text(
            0.03,
            0.97,
            f"MAE {np.abs(error).mean():.2f} m{unit}\n"
            f"RMSE {np.sqrt(np.mean(error**2)):.2f} m{unit}\n"
            f"n = {len(error)}" + part,
            transform=ax.transAxes,
            va="top",
            fontsize=8,
            zorder=5,
        )


def _energies(estimator, X, confidence_level):
    if not hasattr(estimator, "predict_interval"):
        return estimator.predict(X), None
    return estimator.predict_interval(X, confidence_level)


def _forces(estimator, X, confidence_level):
    if hasattr(estimator, "predict_forces_interval"):
        return estimator.predict_forces_interval(X, confidence_level)
    from skatom.potential import predict_forces

    return predict_forces(estimator, X), None


def _flat(values) -> np.ndarray:
    """Flatten numbers, or a list of arrays of unequal length, into a vector."""
    if isinstance(values, list | tuple) and values and np.ndim(values[0]):
        return np.concatenate([np.ravel(v) for v in values]).astype(np.float64)
    return np.asarray(values, dtype=np.float64).ravel()


def _check_option(name: str, value, known) -> None:
    if value not in known:
        raise ValueError(
            f"{name} must be one of {', '.join(map(repr, known))}; got {value!r}."
            + closest(str(value), known)
        )

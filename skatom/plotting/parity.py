"""Predictions against reference, with error bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from skatom._validation import check_is_fitted, closest
from skatom.base import Target, target_of
from skatom.base._targets import ENERGY
from skatom.plotting._axes import INSIDE, LINE, OUTSIDE, new_axes
from skatom.structures import check_structures, read_energies, read_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_QUANTITIES = ("energy", "forces")
_KINDS = ("parity", "error")


class ParityDisplay:
    """Predicted against reference energies or force components, with error bars.

    Make it with `from_estimator` or `from_predictions`; the attributes keep what was
    drawn.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n,)
        Reference and prediction: energies in eV, force components in eV/Å, or numbers
        in the unit of the target.
    intervals : ndarray of shape (n, 2), optional
        Lower and upper end of an interval around every prediction.
    quantity : {"energy", "forces"} or Target, default="energy"
        What is drawn.
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
        quantity: str | Target = "energy",
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
        quantity: str | Target = "energy",
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
            Reference in the unit of the target; by default the energies stored with the
            structures. Reference forces are always those.
        quantity : {"energy", "forces"}, default="energy"
            "energy" is whatever else the estimator predicts, too.
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
            target = target_of(estimator)
            y_true = _reference(target, X) if y is None else y
            y_pred, intervals = _energies(estimator, X, confidence_level)
            quantity = quantity if target == ENERGY else target
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
        quantity: str | Target = "energy",
        level: float | None = None,
        ax: Axes | None = None,
        **options,
    ) -> ParityDisplay:
        """Draw predictions that are known already.

        Parameters
        ----------
        y_true, y_pred : array-like, or sequence of ndarray of shape (n_atoms, 3)
            Reference and prediction: energies in eV, forces in eV/Å, or numbers in the
            unit of the target.
        intervals : array-like of shape (n, 2), or sequence of (n_atoms, 3, 2), optional
            Lower and upper ends.
        quantity : {"energy", "forces"} or Target, default="energy"
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
        if not isinstance(quantity, Target):
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
            energies a thousand times magnified (meV), where small error bars can be seen.
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
        origin = float(np.mean(self.y_true)) if self._is_about_mean else 0.0
        if kind == "parity":
            x, y, scale = self.y_true - origin, self.y_pred - origin, 1.0
            span = np.array([min(x.min(), y.min()), max(x.max(), y.max())])
            ax.plot(span, span, color=LINE, lw=0.8, zorder=1)
        else:
            scale = self._axis[2]
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

    @property
    def _axis(self) -> tuple[str, str, float, str]:
        """Name on axes, unit, and how much finer the unit of errors is, which it is."""
        if not isinstance(self.quantity, Target):
            symbol, unit = {"energy": ("E", "eV"), "forces": ("F", "eV/Å")}[
                self.quantity
            ]
            return symbol, unit, 1e3, f"m{unit}"
        fine, scale = self.quantity.fine
        return self.quantity.name, self.quantity.unit, scale, fine

    @property
    def _is_about_mean(self) -> bool:
        """Whether the mean of the reference is taken off: not of directions."""
        of_structures = ("sum", "mean", "max", "softmax")
        return getattr(self.quantity, "kind", self.quantity) in (
            "energy",
            *of_structures,
        )

    def _label(self, ax: Axes, kind: str, n_shown: int) -> None:
        symbol, unit, scale, fine = self._axis
        origin = " − mean" if self._is_about_mean else ""
        ax.set_xlabel(_with_unit(f"reference {symbol}{origin}", unit))
        if kind == "parity":
            ax.set_ylabel(_with_unit(f"predicted {symbol}{origin}", unit))
            ax.set_aspect("equal", adjustable="box")
        else:
            ax.set_ylabel(_with_unit(f"predicted − reference {symbol}", fine))
        error = scale * (self.y_pred - self.y_true)
        part = f" ({n_shown} shown)" if n_shown < len(error) else ""
        ax.text(
            0.03,
            0.97,
            f"MAE {_number(np.abs(error).mean())} {fine}\n"
            f"RMSE {_number(np.sqrt(np.mean(error**2)))} {fine}\n"
            f"n = {len(error)}" + part,
            transform=ax.transAxes,
            va="top",
            fontsize=8,
            zorder=5,
        )


def _with_unit(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _number(value: float) -> str:
    """Write two decimals, or three digits of what is small."""
    return f"{value:.2f}" if value >= 0.1 or not value else f"{value:.3g}"


def _reference(target: Target, X) -> np.ndarray:
    """Read energies in the unit of the target."""
    if not target.is_energy:
        raise ValueError(
            f"The estimator predicts {target.words}, which is not stored as an energy: "
            "give y."
        )
    return read_energies(X) / target.factor_to("eV")


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

"""Errors and intervals of a model on structures that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skatom.metrics import coverage
from skatom.structures import Structures, read_labels
from skatom.uncertainty import ConformalRegressor


@dataclass(frozen=True)
class Errors:
    """Errors on structures that were not trained on.

    Attributes
    ----------
    energy_mae, energy_rmse : float
        Of total energies, in eV.
    force_mae, force_rmse : float
        Of force components, in eV/Å.
    """

    energy_mae: float
    energy_rmse: float
    force_mae: float
    force_rmse: float


@dataclass(frozen=True)
class Intervals:
    """How often intervals hold the reference, and how wide they are.

    Attributes
    ----------
    level : float
        The level that was asked for.
    energy_coverage, force_coverage : float
        Shares of structures and of force components.
    energy_width, force_width : float
        Mean widths in eV and eV/Å.
    n_calibration, n_test : int
        Structures that set the width, and structures that it was tried on.
    """

    level: float
    energy_coverage: float
    energy_width: float
    force_coverage: float
    force_width: float
    n_calibration: int
    n_test: int

    @property
    def coverage_scatter(self) -> float:
        """Standard deviation to expect of energy_coverage, if all structures are alike.

        The coverage of one calibration set has a beta distribution; counting it on a
        finite test set adds a binomial part.
        """
        variance = self.level * (1 - self.level)
        return float(
            np.sqrt(variance * (1 / (self.n_calibration + 2) + 1 / self.n_test))
        )


@dataclass(frozen=True)
class Judgement:
    """Predictions for test structures beside their reference, and what they come to."""

    y_true: np.ndarray
    y_pred: np.ndarray
    energy_intervals: np.ndarray
    forces_true: np.ndarray
    forces_pred: np.ndarray
    force_intervals: np.ndarray
    errors: Errors
    intervals: Intervals


def judge(model: ConformalRegressor, X: Structures, y: np.ndarray) -> Judgement:
    """Predict test structures with intervals and compare with their labels.

    Parameters
    ----------
    model : fitted ConformalRegressor
        With calibrated forces.
    X : Structures
        With reference forces.
    y : ndarray of shape (n_structures,)
        Reference energies in eV.

    Returns
    -------
    judgement : Judgement
    """
    y_pred, energy_intervals = model.predict_interval(X)
    forces, intervals = model.predict_forces_interval(X)
    forces_true = read_labels(X, required=True).forces
    forces_pred, force_intervals = np.concatenate(forces), np.concatenate(intervals)
    energy_error, force_error = y_pred - y, forces_pred - forces_true
    errors = Errors(
        energy_mae=_mean(np.abs(energy_error)),
        energy_rmse=_mean(energy_error**2) ** 0.5,
        force_mae=_mean(np.abs(force_error)),
        force_rmse=_mean(force_error**2) ** 0.5,
    )
    found = Intervals(
        level=model.confidence_level,
        energy_coverage=coverage(y, energy_intervals),
        energy_width=_mean(np.diff(energy_intervals)),
        force_coverage=coverage(forces_true, force_intervals),
        force_width=_mean(np.diff(force_intervals)),
        n_calibration=model.n_calibration_,
        n_test=len(X),
    )
    return Judgement(
        y,
        y_pred,
        energy_intervals,
        forces_true,
        forces_pred,
        force_intervals,
        errors,
        found,
    )


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))

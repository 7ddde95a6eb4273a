"""Scorers for cross-validation and search, and measures of intervals and error bars."""

from skatom.metrics.calibration import (
    crps,
    ence,
    gaussian_nll,
    miscalibration_area,
    pinball_loss,
    sharpness,
    spearman_of_errors,
)
from skatom.metrics.errors import (
    energy_errors,
    force_errors,
    neg_energy_mae,
    neg_energy_rmse,
    neg_force_mae,
    neg_force_rmse,
    neg_stress_mae,
    neg_stress_rmse,
    stress_errors,
)
from skatom.metrics.intervals import coverage, mean_width, winkler_score
from skatom.metrics.uncertainty import (
    neg_energy_crps,
    neg_energy_ence,
    neg_energy_miscalibration,
    neg_energy_nll,
    neg_energy_winkler,
    neg_force_crps,
    neg_force_miscalibration,
    neg_force_nll,
)

__all__ = [
    "coverage",
    "crps",
    "ence",
    "energy_errors",
    "force_errors",
    "gaussian_nll",
    "mean_width",
    "miscalibration_area",
    "neg_energy_crps",
    "neg_energy_ence",
    "neg_energy_mae",
    "neg_energy_miscalibration",
    "neg_energy_nll",
    "neg_energy_rmse",
    "neg_energy_winkler",
    "neg_force_crps",
    "neg_force_mae",
    "neg_force_miscalibration",
    "neg_force_nll",
    "neg_force_rmse",
    "neg_stress_mae",
    "neg_stress_rmse",
    "pinball_loss",
    "sharpness",
    "spearman_of_errors",
    "stress_errors",
    "winkler_score",
]

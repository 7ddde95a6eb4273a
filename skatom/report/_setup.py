"""Tables of how a report came about, and of whether its guarantee applies."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from skatom.report._bootstrap import bootstrap
from skatom.report._observe import Observations
from skatom.report._tables import Table
from skatom.structures import fingerprints
from skatom.uncertainty import exchangeability_test
from skatom.uncertainty._conformal.split import SplitCalibration
from skatom.uncertainty._conformal.trained_on import training_fingerprints


def setup_table(estimator, seen: Observations, split: str) -> Table:
    """Say what was fitted, calibrated and tested, and whether structures leaked."""
    fitted = getattr(
        estimator, "conformal_", estimator
    )  # what was split and calibrated
    n_train = len(getattr(fitted, "train_indices_", ()))
    n_calibration = getattr(fitted, "n_calibration_", None)
    rows = [
        ["estimator", type(estimator).__name__],
        ["training structures", n_train or "not known (fitted before)"],
        ["calibration structures", n_calibration if n_calibration else "none"],
        ["test structures", len(seen.y)],
        ["how test structures were taken", split],
        ["test structures that were trained on", _leaks(estimator, seen)],
    ]
    for name in ("method", "conformity_score", "groups", "floor"):
        if hasattr(fitted, name):
            rows.append([name.replace("_", " "), str(getattr(fitted, name))])
    for name, seconds in seen.seconds.items():
        rows.append([f"{name}, per structure (ms)", 1e3 * seconds])
    rows.append(["what is predicted", seen.target.words])
    if seen.conformal:
        note = getattr(estimator, "guarantee", "The model states no guarantee.")
    else:
        note = (
            "The model gives standard deviations, taken as those of normal errors: there "
            "is no guarantee. A ConformalRegressor around it has one."
        )
    return Table("How it was done", ["", ""], rows, note)


def _leaks(estimator, seen: Observations) -> str:
    if seen.structures is None:
        return "cannot be told for rows of numbers"
    known = training_fingerprints(estimator)
    if not len(known):
        return "cannot be told: the model does not remember its structures"
    n = int(np.isin(fingerprints(seen.structures), known).sum())
    return f"{n} of {len(seen.structures)}, by their content"


def shift_table(estimator, seen: Observations, draws) -> Table:
    """Test whether test structures are like those of calibration."""
    rows = []
    calibration = getattr(estimator, "calibration_", None)
    if isinstance(calibration, SplitCalibration):
        half = seen.widths(0) / 2
        q = calibration.scores.pooled.quantile(0.5)
        if calibration.groups is None and q > 0 and np.isfinite(half).all():
            scores = np.abs(seen.y - seen.y_pred) * q / half
            try:
                found = exchangeability_test(calibration.scores.pooled.ranked, scores)
            except ImportError:
                found = None
            if found is not None:
                rows += [
                    ["p-value that scores are alike", found.p_value],
                    ["the same, as a stream in time", found.stream_p_value],
                ]
    for name, grades in seen.grades.items():
        share = bootstrap(np.mean, [(grades > 1).astype(float)], draws)
        rows.append([f"share beyond every calibration structure, {name}", share])
    if not seen.grades:
        rows.append(["share beyond every calibration structure", "not known: no flags"])
    if seen.distance is not None:
        error = np.abs(seen.y - seen.y_pred)
        found = bootstrap(_rank_correlation, [error, seen.distance], draws)
        rows.append(["rank correlation of |error| with distance", found])
    note = (
        "Small p-values: the guarantee does not apply here. A valid flag is raised for a "
        "share of at most 1 / (n + 1) of structures like the n of calibration."
    )
    return Table("Are test structures like those of calibration?", ["", ""], rows, note)


def _rank_correlation(errors: np.ndarray, distances: np.ndarray) -> float:
    if not np.ptp(errors) > 0 or (distances == distances[0]).all():
        return float("nan")  # nothing to rank
    return float(spearmanr(errors, distances).statistic)

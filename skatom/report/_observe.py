"""Everything a report needs from the model: predicted once, kept in one place."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from skatom._validation import check_is_fitted, check_targets
from skatom.base import NoStandardDeviationError, Target, target_of
from skatom.base._inside import last_model
from skatom.features import NoDerivativeError
from skatom.features._kinds_of_x import count_rows, rows_and_structures
from skatom.potential.deviations import with_std
from skatom.structures import Structures, read_energies, read_labels

LEVELS = np.array([0.5, 0.68, 0.8, 0.9, 0.95, 0.99])


@dataclass(frozen=True)
class Observations:
    """Test structures, their labels, and what a model says of them.

    Attributes
    ----------
    X : Structures or array
    structures : Structures or None
    y, y_pred : ndarray of shape (n,)
        In the unit of the target.
    intervals : ndarray of shape (n, 2, 6)
        At LEVELS.
    std : ndarray of shape (n,), or None
        Of the model as it is.
    n_atoms : ndarray of shape (n,)
        1 for rows of numbers.
    seconds : dict of str to float
        Per structure.
    conformal : bool
        Whether intervals are those of the model, or normal ones of its deviations.
    distance : ndarray of shape (n,), or None
        From training structures; infinite for unknown species.
    grades : dict of str to ndarray of shape (n,)
        By the flags of the domain, if any.
    target : Target
        What is predicted.
    """

    X: object
    structures: Structures | None
    y: np.ndarray
    y_pred: np.ndarray
    intervals: np.ndarray
    std: np.ndarray | None
    n_atoms: np.ndarray
    seconds: dict[str, float]
    conformal: bool
    distance: np.ndarray | None
    grades: dict[str, np.ndarray]
    target: Target

    @property
    def alike(self) -> bool:
        """Whether all intervals of a level have one width."""
        widths = self.widths(0)
        return bool(np.isfinite(widths).all() and np.ptp(widths) <= 1e-9 * widths.max())

    def covered(self, level: int) -> np.ndarray:
        """Tell which labels lie inside at LEVELS[level]."""
        ends = self.intervals[..., level]
        return (ends[:, 0] <= self.y) & (self.y <= ends[:, 1])

    def widths(self, level: int) -> np.ndarray:
        """Width of every interval at LEVELS[level]."""
        return self.intervals[:, 1, level] - self.intervals[:, 0, level]


def observe(model, X, y, *, flags=None, detector=None) -> Observations:
    """Predict test structures in every way that the model offers.

    Parameters
    ----------
    model : fitted estimator
        With ``predict_interval``, or ``predict(X, return_std=True)``.
    X : sequence of ase.Atoms, or array-like of shape (n, n_features)
    y : array-like of shape (n,), or None
        None reads the energies that are stored with the structures.
    flags : fitted DomainFlags, optional
    detector : fitted outlier detector, optional
        Minus its ``score_samples`` are distances; by default one that the model holds,
        or the grades of flags.
    """
    check_is_fitted(model)
    if not hasattr(model, "predict"):
        raise TypeError(
            f"{type(model).__name__} predicts nothing to report on: give a fitted "
            "regressor, or a pipeline that ends in one."
        )
    X, structures = rows_and_structures(X)
    if structures is None:
        X = np.asarray(X)
    n = count_rows(X)
    target = _one_number(model)
    if y is None and structures is not None:
        y = _stored(model, target, structures)
    y = check_targets(y, n)
    begin = time.perf_counter()
    y_pred = np.asarray(model.predict(X), dtype=np.float64)
    seconds = {"predict": (time.perf_counter() - begin) / n}
    std = _std(model, X)
    begin = time.perf_counter()
    conformal = hasattr(model, "predict_interval")
    if conformal:
        intervals = _intervals(model, X)
    elif std is not None:
        half = std[:, None] * norm.ppf((1 + LEVELS) / 2)
        intervals = np.stack([y_pred[:, None] - half, y_pred[:, None] + half], axis=1)
    else:
        raise NoStandardDeviationError(
            f"{type(last_model(model)).__name__} has neither intervals nor standard "
            "deviations to report on: wrap what was fitted in a ConformalRegressor, or "
            "fit an EnsembleRegressor of it."
        )
    seconds["predict with intervals"] = (time.perf_counter() - begin) / n
    n_atoms = np.ones(n) if structures is None else structures.n_atoms
    grades = {} if flags is None else flags.grades(X)
    detector = _detector_of(model) if detector is None else detector
    distance = grades.get("distance")
    if detector is not None:
        distance = -np.asarray(detector.score_samples(X), dtype=np.float64)
    return Observations(
        X, structures, y, y_pred, intervals, std, n_atoms, seconds, conformal, distance,
        grades, target,
    )  # fmt: skip


def _one_number(model) -> Target:
    """Give the target, if it is one number of a structure."""
    target = target_of(model)
    if target.per_atom or target.width > 1:
        raise ValueError(
            f"UncertaintyReport judges intervals of one number a structure, and "
            f"{type(last_model(model)).__name__} predicts {target.words}: there is no "
            "interval of several numbers at once. Fit one model of each column."
        )
    return target


def _stored(model, target: Target, structures: Structures) -> np.ndarray:
    if not target.is_energy:
        raise ValueError(
            f"{type(last_model(model)).__name__} predicts {target.words}, which is not "
            "stored as an energy: give y."
        )
    return read_energies(structures) / target.factor_to("eV")


def _detector_of(model):
    """Find what the model scales its widths by, if that measures distances."""
    model = getattr(model, "conformal_", model)
    calibration = getattr(model, "calibration_", None)
    for source in (
        getattr(getattr(calibration, "sizes", None), "source", None),
        getattr(model, "source_", None),
        getattr(getattr(model, "estimator_", None), "source_", None),
    ):
        if hasattr(source, "score_samples"):
            return source
    return None


def _intervals(model, X) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # infinite ones show as such
        if hasattr(model, "conformal_") and hasattr(model, "follow"):
            model = model.conformal_  # a stream has one level
        return model.predict_interval(X, LEVELS)[1]


def _std(model, X) -> np.ndarray | None:
    try:
        std = with_std(model, "predict", X)[1]
    except NoStandardDeviationError:
        return None
    return std if (np.isfinite(std) & (std > 0)).all() else None


@dataclass(frozen=True)
class ForceObservations:
    """Forces of the test structures that have labels, at the level of the model.

    Attributes
    ----------
    structures : Structures
        Those with forces.
    errors : list of ndarray of shape (n_atoms, 3)
        In eV/Å.
    half_widths : dict of str to list
        Of components, "component" or "component by element", and radii of "vector".
    """

    structures: Structures
    errors: list[np.ndarray]
    half_widths: dict[str, list[np.ndarray]]


def observe_forces(model, structures: Structures | None) -> ForceObservations | None:
    """Predict forces with their intervals, where model and labels have them."""
    calibrated = getattr(model, "force_calibration_", None)
    if structures is None or calibrated is None:
        return None
    source = getattr(model, "forces", "auto")
    labels = read_labels(structures, forces=source)
    rows = np.flatnonzero(labels.has_forces)
    if not len(rows):
        return None
    chosen = structures[rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            forces, ends = model.predict_forces_interval(chosen)
        except NoDerivativeError:
            return None
        _, by_element = model.predict_forces_interval(chosen, by_element=True)
        _, whole = model.predict_forces_interval(chosen, simultaneous=True)
        _, radii = model.predict_forces_radius(chosen)
    flat = labels.forces[np.repeat(labels.has_forces, structures.n_atoms)]
    true = np.split(flat, chosen.offsets[1:-1])
    half = {
        "component": [np.diff(e)[..., 0] / 2 for e in ends],
        "component by element": [np.diff(e)[..., 0] / 2 for e in by_element],
        "all components at once": [np.diff(e)[..., 0] / 2 for e in whole],
        "vector": radii,
    }
    return ForceObservations(chosen, [p - t for p, t in zip(forces, true)], half)

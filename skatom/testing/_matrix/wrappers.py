"""Checks of wrappers around one model, each against a computation of its own."""

# ruff: noqa: D401 - the first line of a check is its claim
from __future__ import annotations

import inspect
from math import ceil

import numpy as np
from sklearn.pipeline import Pipeline, make_pipeline

from skatom.base import NoStandardDeviationError, target_of
from skatom.base._inside import fitted_part
from skatom.features import NoDerivativeError
from skatom.models import CompositionBaseline
from skatom.potential import DeltaRegressor, predict_forces
from skatom.testing._discovery import all_estimators
from skatom.testing._matrix.case import (
    Case,
    flat_of,
    require,
    require_forces_of,
    require_same,
    with_std_of,
)
from skatom.testing._matrix.models import is_wrapper, small
from skatom.uncertainty import (
    AdaptiveConformalRegressor,
    CalibratedStdRegressor,
    ConformalRegressor,
    CrossConformalRegressor,
    DomainFlags,
    DropoutRegressor,
    EnsembleRegressor,
    ErrorBarRegressor,
    FeatureDistance,
    LastLayerRigidity,
    LatentDistance,
    QuantileConformalRegressor,
    WeightedConformalRegressor,
)
from skatom.uncertainty._distances import last_features
from skatom.uncertainty._last_layer import linear_model

LEVEL = 0.5


def check_ensemble(case: Case):
    """Mean and scatter are those of the members."""
    model = EnsembleRegressor(case.unfitted(), 2, random_state=0).fit(*case.train)
    shared = [] if model.features_ is None else model.features_.steps
    members = [_behind(shared, member) for member in model.estimators_]
    values = np.array([flat_of(member.predict(case.new)) for member in members])
    y, std = model.predict(case.new, return_std=True)
    require_same(y, values.mean(0), "the mean is not that of the members")
    scatter = np.maximum(values.std(0, ddof=1), model.std_floor_)
    require_same(std, scatter, "standard deviations are no scatter of the members")
    _check_forces(case, model)


def check_dropout(case: Case):
    """Copies of the network scatter, and forces are slopes of their mean."""
    model = DropoutRegressor(case.unfitted(), 3, random_state=0).fit(*case.train)
    y, std = model.predict(case.new, return_std=True)
    require((std > model.std_floor_).all(), "copies of a network do not differ")
    require_same(model.predict(case.new), y, "predictions differ from call to call")
    require_forces_of(model, case.new)


def check_calibrated_std(case: Case):
    """Standard deviations are multiplied by the root mean squared ratio of errors."""
    X, y = case.held
    model = CalibratedStdRegressor(case.fitted, cv="prefit", forces=None).fit(X, y)
    predicted, std = with_std_of(case.fitted, X)
    alpha = np.sqrt(np.mean(((y - predicted) / std) ** 2))
    raw = with_std_of(case.fitted, case.new)[1]
    mean, calibrated = model.predict(case.new, return_std=True)
    require_same(mean, case.predicted, "predictions changed")
    expected = np.maximum(alpha * raw, model.std_floor_)
    require_same(calibrated, expected, "the factor is not that of residuals")
    _check_forces(case, model)


def check_last_layer_rigidity(case: Case):
    """Variances are those of the formula, features from finite differences."""
    X = case.train[0]
    model = LastLayerRigidity(case.fitted).fit(X)
    y, std = model.predict(case.new, return_std=True)
    require_same(y, case.predicted, "predictions changed")
    F, f = (_rows(case, part) for part in (X, case.new))
    means = target_of(linear_model(case.fitted)).kind == "mean"
    if not means and hasattr(linear_model(case.fitted), "latent"):
        F = F / np.sqrt(X.n_atoms)[:, None]
    ridge = model.zeta_**2 * np.trace(F.T @ F) / F.shape[1]
    solved = np.linalg.solve(F.T @ F + ridge * np.eye(F.shape[1]), f.T)
    expected = np.sqrt(np.einsum("nc,cn->n", f, solved))
    require_same(std / expected, np.ones(len(f)), "not the formula", 1e-4)
    _check_forces(case, model)


def _rows(case: Case, X) -> np.ndarray:
    """Compute what the last layer sees of structures, step by step."""
    inner, model = fitted_part(case.fitted), linear_model(case.fitted)
    steps = inner.steps[:-1] if isinstance(inner, Pipeline) else []
    for _, step in steps:
        X = step.transform(X)
    if hasattr(model, "latent"):
        atoms, numbers, offsets = model.latent(X), X.numbers, X.offsets
    else:
        atoms, offsets = np.asarray(X), np.arange(len(X) + 1)
        numbers = np.zeros(len(X))
    kinds = numbers[:, None] == np.unique(numbers)
    sums = np.add.reduceat(np.hstack([atoms, kinds]), offsets[:-1], axis=0)
    if target_of(model).kind == "mean":
        sums = sums / np.diff(offsets)[:, None]
    return sums


def check_latent_distance(case: Case):
    """Distances of training structures are zero where one neighbour is asked for."""
    X = case.train[0]
    model = LatentDistance(case.fitted, n_neighbors=1).fit(X)
    own = model.distance(X)
    require_same(own, np.zeros(len(X)), "training structures are far", 1e-5)
    far = model.distance(case.new)
    require(np.isfinite(far).all(), "distances are not finite")
    require((far >= 0).all(), "distances are negative")
    require_same(-far, model.score_samples(case.new), "scores are no distances")


def check_feature_distance(case: Case):
    """Grades of atoms are mean distances to the nearest references, in units."""
    model = FeatureDistance(case.fitted, n_neighbors=2, random_state=0)
    model.fit(case.train[0], X_calibration=case.held[0])
    features = last_features(fitted_part(case.fitted), case.new[:1])
    expected = []
    for z, row in zip(features.numbers, features.values):
        apart = np.linalg.norm(model.references_[int(z)].values - row, axis=1)
        expected.append(np.sort(apart)[:2].mean() / model.units_[int(z)])
    found = model.grade_atoms(case.new[:1])[0]
    require_same(found, expected, "grades are no distances", 1e-5)


def check_domain_flags(case: Case):
    """Flags are ranges and standard deviations in units of calibration structures."""
    flags = ["range"]
    try:
        std = with_std_of(case.fitted, case.new)[1]
        worst = with_std_of(case.fitted, case.held[0])[1].max()
        flags.append("std")
    except NoStandardDeviationError:
        std = None
    model = DomainFlags(case.fitted, flags, random_state=0)
    model.fit(case.train[0], X_calibration=case.held[0])
    grades = model.grades(case.new)
    if std is not None:
        require_same(grades["std"], std / worst, "grades of std are no ratios")
    own = model.grades(case.held[0])["range"]
    require_same(own.max(), 1.0, "1.0 is not the worst calibration structure")


def check_conformal(case: Case):
    """Half widths are the ranked residual of calibration structures."""
    X, y = case.held
    model = ConformalRegressor(case.fitted, cv="prefit").fit(X, y)
    q = _ranked(np.abs(y - case.fitted.predict(X)))
    mean, intervals = model.predict_interval(case.new, LEVEL)
    require_same(mean, case.predicted, "predictions changed")
    _require_half(intervals, mean, np.full(len(mean), q))
    _check_force_intervals(case, model)


def _check_force_intervals(case: Case, model) -> None:
    """Largest component of every structure, ranked."""
    if model.force_calibration_ is None:
        return
    X = case.held[0]
    errors = [
        np.abs(a.get_forces() - f).max()
        for a, f in zip(X, predict_forces(case.fitted, X))
    ]
    found = model.predict_forces_interval(case.new, LEVEL, simultaneous=True)[1]
    half = np.diff(found[0])[..., 0] / 2
    require_same(half, np.full(half.shape, _ranked(errors)), "force widths differ")


def check_cross_conformal(case: Case):
    """Intervals hold the ranked sums of predictions and residuals of folds."""
    X, y = case.train
    model = CrossConformalRegressor(case.unfitted(), cv=2).fit(X, y)
    y_pred, intervals = model.predict_interval(case.new, LEVEL)
    ends = [[], []]
    for fold in model.calibration_.folds:
        values = fold.estimator.predict(case.new)
        for score in fold.scores:
            ends[0].append(values - score)
            ends[1].append(values + score)
    n = len(ends[0])
    upper = np.sort(ends[1], axis=0)[ceil((n + 1) * LEVEL) - 1]
    lower = np.sort(ends[0], axis=0)[n - ceil((n + 1) * LEVEL)]
    require_same(intervals[:, 1], np.maximum(upper, lower), "upper ends differ")
    require_same(intervals[:, 0], np.minimum(upper, lower), "lower ends differ")
    require_same(y_pred, case.predicted, "the fit on all structures differs")


def check_quantile_conformal(case: Case):
    """Quantiles are moved by the ranked distance of labels from them."""
    model = QuantileConformalRegressor(
        case.unfitted(), calibration_size=4, confidence_level=LEVEL, random_state=0
    ).fit(*case.train)
    y_pred, intervals = model.predict_interval(case.new)
    require_same(y_pred, model.estimator_.predict(case.new), "predictions changed")
    require((np.diff(intervals) >= 0).all(), "upper ends are below lower ends")


def check_adaptive(case: Case):
    """A stream begins with the intervals of its ConformalRegressor."""
    inner = ConformalRegressor(
        case.fitted, cv="prefit", confidence_level=LEVEL, forces=None
    ).fit(*case.held)
    model = AdaptiveConformalRegressor(inner, cv="prefit").fit(*case.held)
    _require_same_intervals(model, inner, case)


def check_weighted(case: Case):
    """Without a shift all weigh alike: the intervals of the ConformalRegressor."""
    inner = ConformalRegressor(
        case.fitted, cv="prefit", confidence_level=LEVEL, forces=None
    )
    model = WeightedConformalRegressor(inner).fit(*case.held)
    _require_same_intervals(model, inner.fit(*case.held), case)


def check_delta(case: Case):
    """Predictions are those of the baseline and of the rest."""
    X, y = case.train
    target = target_of(case.fitted)
    model = DeltaRegressor(case.unfitted(), forces=None, stress=None).fit(X, y)
    base = CompositionBaseline(target=target).fit(X, y)
    expected = base.predict(case.new) + model.estimator_.predict(case.new)
    require_same(model.predict(case.new), expected, "not the sum of its two parts")
    if target.is_energy:
        require_forces_of(model, case.new)


def _behind(steps: list, member):
    """Put shared steps in front of a member."""
    return make_pipeline(*(step for _, step in steps), member) if steps else member


def _check_forces(case: Case, model) -> None:
    """Forces are slopes, their standard deviations positive, where the model has any."""
    try:
        predict_forces(case.fitted, case.new[:1])
    except NoDerivativeError:
        return
    require_forces_of(model, case.new)
    try:
        std = predict_forces(model, case.new[:1], return_std=True)[1][0]
    except NoStandardDeviationError:
        return
    require(np.isfinite(std).all() and (std > 0).all(), "forces have no positive std")


def _ranked(scores) -> float:
    scores = np.sort(scores)
    return float(scores[ceil((len(scores) + 1) * LEVEL) - 1])


def _require_half(intervals, mean, half) -> None:
    require_same(intervals[:, 0], mean - half, "lower ends are not of the ranked score")
    require_same(intervals[:, 1], mean + half, "upper ends are not of the ranked score")


def _require_same_intervals(model, inner, case: Case) -> None:
    found, expected = (one.predict_interval(case.new) for one in (model, inner))
    require_same(found[0], case.predicted, "predictions changed")
    require_same(found[1], expected[1], "not the intervals of the ConformalRegressor")


CHECKS = {
    EnsembleRegressor: check_ensemble,
    DropoutRegressor: check_dropout,
    CalibratedStdRegressor: check_calibrated_std,
    LastLayerRigidity: check_last_layer_rigidity,
    LatentDistance: check_latent_distance,
    FeatureDistance: check_feature_distance,
    DomainFlags: check_domain_flags,
    ConformalRegressor: check_conformal,
    CrossConformalRegressor: check_cross_conformal,
    QuantileConformalRegressor: check_quantile_conformal,
    AdaptiveConformalRegressor: check_adaptive,
    WeightedConformalRegressor: check_weighted,
    DeltaRegressor: check_delta,
}


def wrapper_checks() -> dict:
    """Give a check for every public class around another estimator.

    Returns
    -------
    checks : dict of str to callable
        A class without a check of its own has that of all error bars.
    """
    found = {}
    for name, cls in all_estimators():
        if is_wrapper(cls) and hasattr(cls, "predict"):
            found[name] = CHECKS.get(cls) or _of_error_bars(cls)
    return found


def _of_error_bars(cls: type):
    def check(case: Case):
        """Predictions, deviations and forces go together."""
        if not issubclass(cls, ErrorBarRegressor):
            raise AssertionError(
                f"{cls.__name__} stands around another estimator, but there is no check "
                f"of it: add one to CHECKS in {inspect.getsourcefile(wrapper_checks)}."
            )
        model = small(cls, case.unfitted()).fit(*case.train)
        y, std = model.predict(case.new, return_std=True)
        require(y.shape == std.shape and (std > 0).all(), "no positive std")
        require_forces_of(model, case.new)

    return check

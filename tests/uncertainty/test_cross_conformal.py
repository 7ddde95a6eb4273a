"""CV+ and jackknife+."""

import pickle

import numpy as np
import pytest
from dimers import Bonds, dimers, inside
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RepeatedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.featurizers import ACSF
from skatom.preprocessing import Pool
from skatom.uncertainty import CrossConformalRegressor


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -2.0, 0.5] + rng.standard_t(3, size=n)


def gp():
    return GaussianProcessRegressor(RBF() + WhiteKernel(), optimizer=None)


@pytest.mark.peer
@pytest.mark.parametrize("cv", [None, "leave_one_out"])
def test_folds_give_the_intervals_of_barber_and_others(cv):
    """Brute force: the order statistics of y_-k(x) -+ R, equations 1.3 and 1.6."""
    X, y = rows(45)
    X_new = rows(20, seed=1)[0]
    levels = [0.5, 0.8, 0.9]
    model = CrossConformalRegressor(Ridge(), cv=cv).fit(X, y)
    y_pred, found = model.predict_interval(X_new, levels)
    folds = GroupKFold(10) if cv is None else KFold(45)
    lower, upper = np.empty((20, 45)), np.empty((20, 45))
    for train, test in folds.split(X, y, np.arange(45) if cv is None else None):
        one = Ridge().fit(X[train], y[train])
        residuals = np.abs(y[test] - one.predict(X[test]))
        lower[:, test] = one.predict(X_new)[:, None] - residuals
        upper[:, test] = one.predict(X_new)[:, None] + residuals
    lower.sort(axis=1)
    upper.sort(axis=1)
    for k, level in enumerate(levels):
        rank = int(np.ceil(level * 46 - 1e-9))
        np.testing.assert_allclose(found[:, 0, k], lower[:, 45 - rank], rtol=1e-8)
        np.testing.assert_allclose(found[:, 1, k], upper[:, rank - 1], rtol=1e-8)
    np.testing.assert_allclose(y_pred, Ridge().fit(X, y).predict(X_new), rtol=1e-12)


@pytest.mark.peer
def test_folds_equal_those_of_mapie_with_standard_deviations():
    mapie = pytest.importorskip("mapie.regression")
    scores = pytest.importorskip("mapie.conformity_scores")
    X, y = rows(60)
    X_new = rows(20, seed=1)[0]
    folds = KFold(4)
    ours = CrossConformalRegressor(gp(), conformity_score="std", cv=folds)
    found = ours.fit(X, y).predict_interval(X_new, [0.7, 0.9])[1]
    peer = mapie.CrossConformalRegressor(
        gp(), [0.7, 0.9], scores.StdConformityScore(), cv=folds
    ).fit_conformalize(X, y)
    expected = peer.predict_interval(X_new, aggregate_point_predictions=None)[1]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize("score", ["absolute", "std"])
def test_folds_of_structures_cover_and_lose_none(score):
    frames, y = dimers(60)
    X = [*frames, frames[0].copy()]  # a copy stays in the fold of its original
    model = CrossConformalRegressor(Bonds(), conformity_score=score, cv=6)
    model.fit(X, np.r_[y, y[0]])
    new, y_new = dimers(500, seed=1)
    y_pred, intervals = model.predict_interval(new)
    assert model.n_calibration_ == 61
    assert 0.8 < inside(y_new, intervals).mean() < 0.98
    np.testing.assert_array_equal(y_pred, Bonds().predict(new))
    np.testing.assert_array_equal(model.interval_around(y_pred, X=new), intervals)
    assert not hasattr(model, "predict_forces_interval")


def test_folds_are_hyperparameters_over_pipelines():
    frames, y = dimers(60)
    model = CrossConformalRegressor(
        make_pipeline(ACSF(r_cut=3.0), Pool(), StandardScaler(), Ridge())
    )
    search = GridSearchCV(
        model,
        {"cv": [3, 5], "estimator__ridge__alpha": [1e-3, 1.0]},
        scoring=lambda m, X, y: -np.mean(np.diff(m.predict_interval(X, 0.7)[1])),
        cv=2,
    ).fit(frames, y)
    best = clone(search.best_estimator_).set_params(cv=4).fit(frames, y)
    again = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(
        best.predict_interval(frames, 0.8)[1], again.predict_interval(frames, 0.8)[1]
    )


def test_too_few_structures_give_infinite_intervals():
    X, y = rows(8)
    model = CrossConformalRegressor(Ridge(), cv=4).fit(X, y)
    with pytest.warns(
        UserWarning, match="needs at least 19 structures, and there are 8"
    ):
        _, intervals = model.predict_interval(X, [0.5, 0.95])
    assert np.isinf(intervals[..., 1]).all()
    assert np.isfinite(intervals[..., 0]).all()
    with pytest.raises(
        ValueError, match="cv=9 folds need as many different structures"
    ):
        CrossConformalRegressor(Ridge(), cv=9).fit(X, y)
    by_default = CrossConformalRegressor(Ridge()).fit(X, y)
    one_out = CrossConformalRegressor(Ridge(), cv="leave_one_out").fit(X, y)
    np.testing.assert_allclose(
        *(m.predict_interval(X, 0.5)[1] for m in (by_default, one_out)), rtol=1e-10
    )


def test_parameters_of_fit_go_through_the_folds():
    X, y = rows(40)
    weights = np.random.default_rng(2).uniform(0.1, 2.0, size=40)
    model = CrossConformalRegressor(Ridge(), cv=KFold(4))
    model.fit(X, y, sample_weight=weights)
    for fold, (train, test) in zip(model.calibration_.folds, KFold(4).split(X)):
        one = Ridge().fit(X[train], y[train], sample_weight=weights[train])
        expected = np.abs(y[test] - one.predict(X[test]))
        np.testing.assert_allclose(fold.scores, expected, rtol=1e-12)
    whole = Ridge().fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(model.predict(X), whole.predict(X))


def test_structures_that_no_fold_holds_out_do_not_calibrate():
    X, y = rows(40)
    model = CrossConformalRegressor(Ridge(), cv=TimeSeriesSplit(3)).fit(X, y)
    np.testing.assert_array_equal(model.calibration_indices_, np.arange(10, 40))
    assert model.n_calibration_ == model.calibration_.n_structures == 30


def test_a_splitter_with_copies_on_both_sides_is_refused():
    frames, y = dimers(20)
    with pytest.raises(ValueError, match=r"holds out structures 0, .* copies among"):
        CrossConformalRegressor(Bonds(), cv=KFold(2)).fit([*frames, *frames], [*y, *y])


def test_a_splitter_that_holds_out_twice_is_refused():
    X, y = rows(30)
    folds = RepeatedKFold(n_splits=3, n_repeats=2, random_state=0)
    with pytest.raises(ValueError, match=r"structures 0, 1, 2, .* more than once"):
        CrossConformalRegressor(Ridge(), cv=folds).fit(X, y)

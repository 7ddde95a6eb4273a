"""CV+, jackknife+ and conformalised quantile regression."""

import pickle

import numpy as np
import pytest
from dimers import Bonds, dimers, inside
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import QuantileRegressor, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, RepeatedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.featurizers import ACSF
from skatom.preprocessing import Pool
from skatom.uncertainty import ConformalRegressor


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -2.0, 0.5] + rng.standard_t(3, size=n)


def gp():
    return GaussianProcessRegressor(RBF() + WhiteKernel(), optimizer=None)


@pytest.mark.peer
@pytest.mark.parametrize("method", ["cv+", "jackknife+"])
def test_folds_give_the_intervals_of_barber_and_others(method):
    """Brute force: the order statistics of y_-k(x) -+ R, equations 1.3 and 1.6."""
    X, y = rows(45)
    X_new = rows(20, seed=1)[0]
    levels = [0.5, 0.8, 0.9]
    model = ConformalRegressor(Ridge(), method=method, cv=None).fit(X, y)
    y_pred, found = model.predict_interval(X_new, levels)
    folds = KFold(45) if method == "jackknife+" else GroupKFold(10)
    lower, upper = np.empty((20, 45)), np.empty((20, 45))
    for train, test in folds.split(
        X, y, None if method == "jackknife+" else np.arange(45)
    ):
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
    ours = ConformalRegressor(gp(), method="cv+", conformity_score="std", cv=folds)
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
    model = ConformalRegressor(Bonds(), method="cv+", conformity_score=score, cv=6)
    model.fit(X, np.r_[y, y[0]])
    new, y_new = dimers(500, seed=1)
    y_pred, intervals = model.predict_interval(new)
    assert model.n_calibration_ == 61
    assert 0.8 < inside(y_new, intervals).mean() < 0.98
    np.testing.assert_array_equal(y_pred, Bonds().predict(new))
    np.testing.assert_array_equal(model.interval_around(y_pred, X=new), intervals)
    with pytest.raises(ValueError, match=r"method='cv\+' calibrates energies only"):
        model.predict_forces_interval(new)


def test_methods_are_hyperparameters_over_pipelines():
    frames, y = dimers(60)
    model = ConformalRegressor(
        make_pipeline(ACSF(r_cut=3.0), Pool(), StandardScaler(), Ridge()),
        forces=None,
        random_state=0,
    )
    search = GridSearchCV(
        model,
        {"method": ["split", "cv+"], "estimator__ridge__alpha": [1e-3, 1.0]},
        scoring=lambda m, X, y: -np.mean(np.diff(m.predict_interval(X, 0.7)[1])),
        cv=2,
    ).fit(frames, y)
    best = clone(search.best_estimator_).set_params(method="cv+").fit(frames, y)
    again = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(
        best.predict_interval(frames, 0.8)[1], again.predict_interval(frames, 0.8)[1]
    )


def test_too_few_structures_give_infinite_intervals():
    X, y = rows(8)
    model = ConformalRegressor(Ridge(), method="cv+", cv=4).fit(X, y)
    with pytest.warns(
        UserWarning, match="needs at least 19 structures, and there are 8"
    ):
        _, intervals = model.predict_interval(X, [0.5, 0.95])
    assert np.isinf(intervals[..., 1]).all()
    assert np.isfinite(intervals[..., 0]).all()
    with pytest.raises(
        ValueError, match="cv=9 folds need as many different structures"
    ):
        ConformalRegressor(Ridge(), method="cv+", cv=9).fit(X, y)
    by_default = ConformalRegressor(Ridge(), method="cv+").fit(X, y)
    one_out = ConformalRegressor(Ridge(), method="jackknife+").fit(X, y)
    np.testing.assert_allclose(
        *(m.predict_interval(X, 0.5)[1] for m in (by_default, one_out)), rtol=1e-10
    )


@pytest.mark.peer
def test_quantile_regression_equals_that_of_mapie():
    mapie = pytest.importorskip("mapie.regression")
    X, y = rows(300)
    train, calibration = slice(0, 150), slice(150, 250)
    folds = [(np.arange(150), np.arange(150, 250))]

    class Once:
        def split(self, X, y=None, groups=None):
            return iter(folds)

        def get_n_splits(self, X=None, y=None, groups=None):
            return 1

    estimator = QuantileRegressor(alpha=0.0)
    ours = ConformalRegressor(estimator, method="cqr", cv=Once()).fit(X, y)
    y_pred, found = ours.predict_interval(X[250:])
    peer = mapie.ConformalizedQuantileRegressor(estimator, 0.9)
    peer.fit(X[train], y[train]).conformalize(X[calibration], y[calibration])
    y_peer, expected = peer.predict_interval(X[250:], symmetric_correction=True)
    np.testing.assert_allclose(found, expected[..., 0], rtol=1e-8)
    np.testing.assert_allclose(y_pred, y_peer, rtol=1e-8)


def test_quantile_regression_covers_structures_at_other_levels_too():
    frames, y = dimers(300)
    model = ConformalRegressor(
        make_pipeline(
            ACSF(r_cut=3.0),
            Pool(),
            GradientBoostingRegressor(loss="quantile", n_estimators=20, random_state=0),
        ),
        method="cqr",
        calibration_size=100,
        random_state=0,
    ).fit(frames, y)
    new, y_new = dimers(600, seed=1)
    _, intervals = model.predict_interval(new, [0.3, 0.6, 0.9])
    for k, level in enumerate([0.3, 0.6, 0.9]):
        # 100 calibration structures: standard deviation 0.05
        assert abs(inside(y_new, intervals[..., k]).mean() - level) < 0.15
    assert (np.diff(intervals, axis=1) >= 0).all()
    widths, r = np.diff(intervals[..., 2])[:, 0], [a.get_distance(0, 1) for a in new]
    assert np.corrcoef(widths, r)[0, 1] > 0.5


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"method": "cqr"}, "Ridge is none"),
        ({"method": "cv+", "cv": "prefit"}, "cv='prefit' has no meaning"),
        ({"cv": 5}, "number of folds, and method='split' has none"),
        ({"method": "cv+", "groups": "size"}, "knows no groups"),
        ({"method": "jackknife+", "floor": "median"}, "no floor"),
        ({"method": "cqr", "conformity_score": "std"}, "widths from two quantiles"),
    ],
)
def test_what_does_not_go_together_is_refused(params, sentence):
    X, y = rows(30)
    with pytest.raises(ValueError, match=sentence):
        ConformalRegressor(Ridge(), **params).fit(X, y)


def test_fit_parameters_cannot_go_through_folds():
    X, y = rows(30)
    with pytest.raises(ValueError, match="sample_weight would not be used"):
        ConformalRegressor(Ridge(), method="cv+").fit(X, y, sample_weight=np.ones(30))


def test_a_splitter_says_what_is_held_out():
    X, y = rows(40)
    model = ConformalRegressor(Ridge(), cv=KFold(4)).fit(X, y)
    np.testing.assert_array_equal(model.calibration_indices_, np.arange(10))
    frames, y = dimers(20)
    for method in ("split", "cv+"):
        model = ConformalRegressor(Bonds(), method=method, cv=KFold(2))
        with pytest.raises(
            ValueError, match=r"holds out structures 0, .* copies among"
        ):
            model.fit([*frames, *frames], np.r_[y, y])


def test_a_splitter_that_holds_out_twice_is_refused():
    X, y = rows(30)
    folds = RepeatedKFold(n_splits=3, n_repeats=2, random_state=0)
    with pytest.raises(ValueError, match=r"structures 0, 1, 2, .* more than once"):
        ConformalRegressor(Ridge(), method="cv+", cv=folds).fit(X, y)

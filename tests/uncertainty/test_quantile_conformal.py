"""Conformalised quantile regression."""

import numpy as np
import pytest
from dimers import dimers, inside
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import QuantileRegressor, Ridge
from sklearn.pipeline import make_pipeline

from skatom.featurizers import ACSF
from skatom.preprocessing import Pool
from skatom.uncertainty import QuantileConformalRegressor


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -2.0, 0.5] + rng.standard_t(3, size=n)


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
    ours = QuantileConformalRegressor(estimator, cv=Once()).fit(X, y)
    y_pred, found = ours.predict_interval(X[250:])
    peer = mapie.ConformalizedQuantileRegressor(estimator, 0.9)
    peer.fit(X[train], y[train]).conformalize(X[calibration], y[calibration])
    y_peer, expected = peer.predict_interval(X[250:], symmetric_correction=True)
    np.testing.assert_allclose(found, expected[..., 0], rtol=1e-8)
    np.testing.assert_allclose(y_pred, y_peer, rtol=1e-8)


def test_quantile_regression_covers_structures_at_other_levels_too():
    frames, y = dimers(300)
    model = QuantileConformalRegressor(
        make_pipeline(
            ACSF(r_cut=3.0),
            Pool(),
            GradientBoostingRegressor(loss="quantile", n_estimators=20, random_state=0),
        ),
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


def test_estimators_of_one_number_are_refused():
    X, y = rows(30)
    with pytest.raises(
        ValueError, match=r"QuantileConformalRegressor corrects.*Ridge predicts none"
    ):
        QuantileConformalRegressor(Ridge()).fit(X, y)


def test_a_number_of_folds_is_refused():
    X, y = rows(30)
    with pytest.raises(ValueError, match="QuantileConformalRegressor has none"):
        QuantileConformalRegressor(QuantileRegressor(), cv=3).fit(X, y)


def test_groups_are_calibrated_by_themselves():
    X, y = rows(400)
    side = X[:, 0] > 0
    y = y + np.where(side, 10.0, 1.0) * np.random.default_rng(3).normal(size=400)
    model = QuantileConformalRegressor(
        QuantileRegressor(quantile=0.5, alpha=1.0),
        groups=lambda X: X[:, 0] > 0,
        calibration_size=0.5,
        random_state=0,
    ).fit(X, y)
    _, ends = model.predict_interval(X)
    widths = ends[:, 1] - ends[:, 0]
    assert widths[side].min() > 2 * widths[~side].max()

"""Intervals under a shift: adaptive along a stream, weighted for a known source."""

import pickle
import warnings

import numpy as np
import pytest
from dimers import Bonds, dimers, inside
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from skatom.featurizers import ACSF
from skatom.potential import predict_forces
from skatom.preprocessing import Pool
from skatom.uncertainty import (
    AdaptiveConformalRegressor,
    ConformalRegressor,
    CrossConformalRegressor,
    WeightedConformalRegressor,
)
from skatom.uncertainty._conformal.ranks import conformal_quantile, weighted_quantiles


def calibrated(n=200, **params):
    frames, y = dimers(n)
    model = ConformalRegressor(Bonds().fit(frames, y), cv="prefit", **params)
    return model.fit(frames, y)


def drifting(n, seed=1):
    """A stream whose noise grows to four times that of calibration."""
    frames, y = dimers(n, seed)
    r = Bonds().predict(frames)
    return frames, r + np.linspace(1, 4, n) * (y - r)


@pytest.mark.parametrize("score", ["absolute", "std"])
def test_coverage_holds_along_a_drifting_stream(score):
    frames, y = drifting(1000)
    fixed = calibrated(conformity_score=score)
    model = AdaptiveConformalRegressor(fixed, cv="prefit").fit(None, None)
    y_pred, intervals = model.follow(frames, y)
    covered = inside(y, intervals)
    assert inside(y, fixed.predict_interval(frames)[1]).mean() < 0.75
    # proposition 4.1 of Gibbs and Candès: (1 + step) / (step T) = 0.051
    assert abs(covered.mean() - 0.9) <= 1.02 / (0.02 * 1000)
    assert abs(covered[500:].mean() - 0.9) < 0.03
    assert (model.n_seen_, model.n_missed_) == (1000, int((~covered).sum()))
    np.testing.assert_array_equal(y_pred, Bonds().predict(frames))


def test_each_interval_is_made_before_its_label_is_seen():
    frames, y = drifting(60)
    model = AdaptiveConformalRegressor(calibrated(), cv="prefit").fit(None, None)
    again = pickle.loads(pickle.dumps(clone(model).set_params(cv="prefit")))
    again.set_params(conformal=model.conformal).fit(None, None)
    _, whole = model.follow(frames, y)
    for t in range(60):
        _, one = again.predict_interval(frames[t : t + 1])
        np.testing.assert_array_equal(one[0], whole[t])
        again.partial_fit(frames[t : t + 1], y[t : t + 1])


def test_many_misses_give_infinite_intervals_and_hits_bring_them_back():
    frames, _ = dimers(40)
    model = AdaptiveConformalRegressor(calibrated(), step_size=0.2, cv="prefit")
    model.fit(None, None)
    model.partial_fit(frames[:3], [1e3] * 3)
    assert np.isinf(model.predict_interval(frames)[1]).all()
    model.partial_fit(frames, Bonds().predict(frames))
    assert np.isfinite(model.predict_interval(frames)[1]).all()
    assert model.miss_rate_ > 0


def test_the_window_keeps_the_latest_scores():
    frames, y = dimers(30, seed=4)
    model = AdaptiveConformalRegressor(calibrated(), window=25, cv="prefit")
    model.fit(None, None)
    assert len(model.scores_) == 25
    model.partial_fit(frames, y)
    np.testing.assert_allclose(
        model.scores_, np.abs(y - Bonds().predict(frames))[-25:], rtol=1e-12
    )


def test_streams_are_fitted_from_nothing_too():
    frames, y = dimers(60)
    conformal = ConformalRegressor(
        make_pipeline(ACSF(r_cut=3.0), Pool(), Ridge()), forces=None, random_state=0
    )
    for model in (
        AdaptiveConformalRegressor(conformal),
        WeightedConformalRegressor(conformal),
    ):
        model.fit(frames, y)
        expected = clone(conformal).fit(frames, y)
        np.testing.assert_array_equal(model.predict(frames), expected.predict(frames))
        for found, forces in zip(
            predict_forces(model, frames[:2]), predict_forces(expected, frames[:2])
        ):
            np.testing.assert_array_equal(found, forces)


def test_what_has_more_than_one_ranking_is_refused():
    frames, y = dimers(60, source="a")
    for conformal in (
        ConformalRegressor(Bonds(), groups="source"),
        CrossConformalRegressor(Bonds()),
    ):
        for cls in (AdaptiveConformalRegressor, WeightedConformalRegressor):
            with pytest.raises(
                ValueError, match=f"{cls.__name__} works on one ranking"
            ):
                cls(conformal).fit(frames, y)


def test_a_stream_has_the_level_that_it_is_followed_at():
    frames, _ = dimers(5)
    model = AdaptiveConformalRegressor(calibrated(), cv="prefit").fit(None, None)
    y_pred, intervals = model.predict_interval(frames, 0.9)
    np.testing.assert_array_equal(model.interval_around(y_pred), intervals)
    with pytest.raises(ValueError, match=r"followed at one level, .* \(0\.9\)"):
        model.predict_interval(frames, [0.5, 0.9])


def test_intervals_around_predictions_are_those_of_the_new_source():
    frames, y = dimers(60)
    conformal = ConformalRegressor(Bonds(), forces=None, random_state=0)
    model = WeightedConformalRegressor(conformal).fit(frames, y)
    y_pred, intervals = model.predict_interval(frames, [0.5, 0.8])
    around = model.interval_around(y_pred, [0.5, 0.8], X=frames)
    np.testing.assert_array_equal(around, intervals)
    with pytest.raises(ValueError, match=r"or weights\): pass X beside"):
        model.interval_around(y_pred)


def test_wrappers_know_the_features_of_the_estimator_inside():
    X = np.random.default_rng(0).normal(size=(60, 2))
    conformal = ConformalRegressor(Ridge(), random_state=0)
    for cls in (AdaptiveConformalRegressor, WeightedConformalRegressor):
        assert cls(conformal).fit(X, X.sum(axis=1)).n_features_in_ == 2


def test_prefit_streams_need_a_fitted_conformal():
    with pytest.raises(NotFittedError):
        AdaptiveConformalRegressor(ConformalRegressor(Bonds()), cv="prefit").fit(0, 0)


# -- weighted ----------------------------------------------------------------------------


def test_equal_weights_give_the_plain_quantile():
    scores = np.sort(np.random.default_rng(0).exponential(size=57))
    for level in (0.5, 0.9, 0.99):
        found = weighted_quantiles(scores, np.ones(57), np.ones(2), np.array([level]))
        np.testing.assert_array_equal(found, conformal_quantile(scores, level))


def test_weighted_quantiles_equal_brute_force():
    rng = np.random.default_rng(1)
    scores, weights = np.sort(rng.exponential(size=30)), rng.exponential(size=30)
    new = rng.exponential(size=5) * [1, 1, 1, 1, 40]
    found = weighted_quantiles(scores, weights, new, np.array([0.6, 0.9]))
    for i, w in enumerate(new):
        for k, level in enumerate((0.6, 0.9)):
            share = np.cumsum(weights) / (weights.sum() + w)
            good = scores[share >= level]
            assert found[i, k] == (good[0] if len(good) else np.inf)


def shifted(n, seed):
    """Longer bonds, where labels scatter more."""
    frames, y = dimers(5 * n, seed)
    r = Bonds().predict(frames)
    rng = np.random.default_rng(seed + 10)
    kept = np.flatnonzero(rng.uniform(size=5 * n) < ((r - 0.7) / 1.3) ** 2)[:n]
    return [frames[s] for s in kept], y[kept]


@pytest.mark.parametrize("classifier", [None, GaussianNB()])
def test_weights_restore_coverage_in_a_source_that_overlaps(classifier):
    frames, y = dimers(500)
    new, y_new = shifted(500, seed=1)
    model = WeightedConformalRegressor(
        ConformalRegressor(
            make_pipeline(ACSF(r_cut=3.0), Pool(), Ridge(1e-6)),
            calibration_size=400,
            forces=None,
            random_state=0,
        ),
        classifier,
    ).fit(frames, y, new)
    plain = inside(y_new, model.conformal_.predict_interval(new)[1]).mean()
    with warnings.catch_warnings():  # a few structures may lie outside
        warnings.simplefilter("ignore")
        found = model.predict_interval(new, [0.5, 0.9])[1]
    weighted = inside(y_new, found[..., 1]).mean()
    # an effective size near 80 scatters by 0.034
    assert plain < 0.85
    assert plain + 0.04 < weighted < 0.97
    assert 20 < model.effective_size_ < 390


def test_structures_far_outside_have_infinite_intervals_and_a_sentence():
    rng = np.random.default_rng(0)
    X, X_new = rng.normal(size=(300, 2)), rng.normal(6, 1, size=(100, 2))
    model = WeightedConformalRegressor(ConformalRegressor(Ridge(), random_state=0))
    model.fit(X, X.sum(axis=1) + rng.normal(size=300), X_new)
    with pytest.warns(UserWarning, match="100 of 100 intervals are infinite"):
        _, intervals = model.predict_interval(X_new)
    assert np.isinf(intervals).all()

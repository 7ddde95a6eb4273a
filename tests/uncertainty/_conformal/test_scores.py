"""Widths that follow a size: standard deviations, distances, functions, floors."""

import pickle

import numpy as np
import pytest
from dimers import Bonds, dimers, inside, spread
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.base import NoStandardDeviationError
from skatom.featurizers import ACSF
from skatom.models import AtomicRidge
from skatom.preprocessing import PerAtom, Pool
from skatom.uncertainty import ConformalRegressor, FeatureDistance


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 2))
    return X, X.sum(axis=1) + (0.1 + np.abs(X[:, 0])) * rng.normal(size=n)


def gp():
    return GaussianProcessRegressor(RBF() + WhiteKernel(), optimizer=None)


def prefit(score, n=200, **params):
    frames, y = dimers(n)
    model = ConformalRegressor(
        Bonds().fit(frames, y), cv="prefit", conformity_score=score, **params
    )
    return model.fit(frames, y), frames, y


@pytest.mark.peer
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_normalised_intervals_equal_those_of_mapie(level):
    mapie = pytest.importorskip("mapie.regression")
    scores = pytest.importorskip("mapie.conformity_scores")
    X, y = rows(300)
    model = gp().fit(X[:100], y[:100])
    # 59 scores: level * 60 is whole; else MAPIE rounds the rank of the lower end down
    ours = ConformalRegressor(model, cv="prefit", conformity_score="std")
    ours.fit(X[100:159], y[100:159])
    found = ours.predict_interval(X[159:], level)[1]
    peer = mapie.SplitConformalRegressor(
        model,
        confidence_level=level,
        conformity_score=scores.StdConformityScore(),
        prefit=True,
    ).conformalize(X[100:159], y[100:159])
    expected = peer.predict_interval(X[159:])[1][..., 0]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.peer
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_normalised_intervals_equal_those_of_crepes(level):
    crepes = pytest.importorskip("crepes")
    X, y = rows(300)
    model = gp().fit(X[:100], y[:100])
    # 57 scores: where (1 - level) (n + 1) is whole, crepes may lose one to rounding
    ours = ConformalRegressor(model, cv="prefit", conformity_score="std")
    ours.fit(X[100:157], y[100:157])
    y_pred, found = ours.predict_interval(X[157:], level)
    cal_pred, cal_std = model.predict(X[100:157], return_std=True)
    other = crepes.ConformalRegressor().fit(y[100:157] - cal_pred, sigmas=cal_std)
    std = model.predict(X[157:], return_std=True)[1]
    expected = other.predict_int(y_pred, sigmas=std, confidence=level)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_widths_follow_the_standard_deviation_and_cover():
    model, _, _ = prefit("std", 400)
    frames, y = dimers(1200, seed=1)
    _, intervals = model.predict_interval(frames)
    r = np.array([a.get_distance(0, 1) for a in frames])
    half = np.diff(intervals)[:, 0] / 2
    # the labels are normal with this deviation: 1.645, with 400 structures +-0.14
    np.testing.assert_allclose(half / spread(r), half[0] / spread(r[0]), rtol=1e-10)
    assert half[0] / spread(r[0]) == pytest.approx(1.645, abs=0.28)
    near, far = inside(y, intervals)[r < 1].mean(), inside(y, intervals)[r > 1.7].mean()
    assert abs(near - far) < 0.06
    flat = prefit("absolute", 400)[0].predict_interval(frames)[1]
    assert inside(y, flat)[r > 1.7].mean() < 0.8 < 0.99 < inside(y, flat)[r < 1].mean()


def test_every_kind_of_score_gives_the_same_widths_where_it_gives_the_same_sizes():
    class Deviation:
        def predict(self, X, return_std=False):
            return Bonds().predict(X, return_std=return_std)

    class Outliers:
        def score_samples(self, X):
            return -Bonds().predict(X, return_std=True)[1]

    def of_function(estimator, X):
        return 3 * estimator.predict(X, return_std=True)[1]

    expected, frames, _ = prefit("std")
    expected = expected.predict_interval(frames)[1]
    for score in (Deviation(), Outliers(), of_function):
        found = prefit(score)[0].predict_interval(frames)[1]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_distance_to_training_features_is_a_score():
    frames, y = dimers(120)
    model = make_pipeline(ACSF(r_cut=3.0), Pool(), StandardScaler(), Ridge())
    model.fit(frames[:60], y[:60])
    distance = FeatureDistance(model, random_state=0).fit(frames[:60])
    conformal = ConformalRegressor(
        model, cv="prefit", conformity_score=distance, forces=None
    ).fit(frames[60:], y[60:])
    _, intervals = conformal.predict_interval(frames[60:])
    widths = np.diff(intervals)[:, 0]
    grades = distance.grade(frames[60:])
    large = grades > 0.02 * np.median(grades)
    np.testing.assert_allclose(
        (widths / grades)[large], widths[large][0] / grades[large][0]
    )


def test_a_size_of_zero_gives_a_width_above_zero():
    frames, y = dimers(100)

    def often_zero(estimator, X):
        sizes = np.ones(len(X))
        sizes[::3] = 0.0
        return sizes

    model = ConformalRegressor(
        Bonds().fit(frames, y), cv="prefit", conformity_score=often_zero
    ).fit(frames, y)
    widths = np.diff(model.predict_interval(frames)[1])
    assert widths.min() == pytest.approx(0.01 * widths.max())
    with pytest.raises(ValueError, match="size of zero for most"):
        ConformalRegressor(
            Bonds().fit(frames, y),
            cv="prefit",
            conformity_score=lambda estimator, X: np.zeros(len(X)),
        ).fit(frames, y)


def test_the_floor_is_added_to_the_size():
    model, frames, y = prefit("std", floor="median")
    std = Bonds().predict(frames, return_std=True)[1]
    sizes = std + np.median(std)
    q = np.sort(np.abs(y - Bonds().predict(frames)) / sizes)[
        int(np.ceil(0.9 * 201)) - 1
    ]
    widths = np.diff(model.predict_interval(frames)[1])[:, 0]
    np.testing.assert_allclose(widths, 2 * q * sizes, rtol=1e-12)
    number = prefit("std", floor=float(np.median(std)))[0].predict_interval(frames)[1]
    np.testing.assert_allclose(np.diff(number)[:, 0], widths, rtol=1e-12)


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        (lambda n: np.ones((n, 2)), r"sizes of shape \(100, 2\)"),
        (lambda n: np.r_[np.nan, np.ones(n - 1)], "NaN or infinite at entries 0"),
        (lambda n: np.r_[np.ones(n - 1), -1.0], "negative.* at entries 99"),
    ],
)
def test_what_is_no_size_is_refused(sizes, sentence):
    with pytest.raises(ValueError, match=sentence):
        prefit(lambda estimator, X: sizes(len(X)), 100)


def test_estimators_without_standard_deviation_are_refused_by_name():
    X, y = rows(50)
    with pytest.raises(NoStandardDeviationError, match="Ridge gives no standard dev"):
        ConformalRegressor(Ridge(), conformity_score="std").fit(X, y)

    class Broken(Ridge):
        def predict(self, X, return_std=False):
            raise TypeError("something else")

    with pytest.raises(TypeError, match="something else"):
        ConformalRegressor(Broken(), conformity_score="std").fit(X, y)


def test_scores_of_training_structures_need_them():
    X, y = rows(50)
    for name, cls in (("latent", "LatentDistance"), ("llpr", "LastLayerRigidity")):
        model = ConformalRegressor(
            Ridge().fit(X, y), cv="prefit", conformity_score=name
        )
        with pytest.raises(ValueError, match=rf"{cls}\(estimator\).fit\(X_train\)"):
            model.fit(X, y)


def test_intervals_around_predictions_ask_for_the_structures_they_depend_on():
    model, frames, _ = prefit("std")
    y_pred, intervals = model.predict_interval(frames[:5], [0.5, 0.9])
    np.testing.assert_array_equal(
        model.interval_around(y_pred, [0.5, 0.9], X=frames[:5]), intervals
    )
    with pytest.raises(ValueError, match="pass X beside"):
        model.interval_around(y_pred)


def test_standard_deviations_pass_through():
    X, y = rows(60)
    model = ConformalRegressor(gp(), conformity_score="std", random_state=0).fit(X, y)
    np.testing.assert_array_equal(
        model.predict(X, return_std=True)[1],
        model.estimator_.predict(X, return_std=True)[1],
    )


def test_the_score_is_a_hyperparameter_that_survives_clone_and_pickle():
    X, y = rows(120)
    search = GridSearchCV(
        ConformalRegressor(gp(), random_state=0),
        {"conformity_score": ["absolute", "std"], "floor": [None, "median"]},
        scoring=lambda m, X, y: -np.mean(np.diff(m.predict_interval(X)[1])),
        cv=2,
    ).fit(X, y)
    best = clone(search.best_estimator_).fit(X, y)
    again = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(
        best.predict_interval(X)[1], again.predict_interval(X)[1]
    )


def test_outlier_detectors_of_scikit_learn_serve_as_scores():
    X, y = rows(200)
    novelty = LocalOutlierFactor(novelty=True).fit(X[:100])
    model = ConformalRegressor(
        Ridge().fit(X[:100], y[:100]), cv="prefit", conformity_score=novelty
    ).fit(X[100:], y[100:])
    assert np.ptp(np.diff(model.predict_interval(X[100:])[1])) > 0


# -- calibration structures that were trained on ----------------------------------------


@pytest.mark.filterwarnings("ignore::skatom.labels.LabelWarning")  # noise
def test_structures_that_were_trained_on_are_refused_by_content():
    frames, y = dimers(60)
    model = make_pipeline(ACSF(r_cut=3.0), PerAtom(StandardScaler()), AtomicRidge())
    model.fit(frames[:30], y[:30])
    copies = [a.copy() for a in frames[20:60]]
    for wrapped in (model, GridSearchCV(model, {}, cv=2).fit(frames[:30], y[:30])):
        conformal = ConformalRegressor(wrapped, cv="prefit", forces=None)
        with pytest.raises(ValueError, match=r"fitted on 10 of the 40 .*\(0, 1, 2"):
            conformal.fit(copies, y[20:])
        conformal.fit(copies[10:], y[30:])


def test_a_featurizer_that_is_frozen_in_the_pipeline_was_fitted_elsewhere():
    from sklearn.frozen import FrozenEstimator

    frames, y = dimers(60)
    features = FrozenEstimator(ACSF(r_cut=3.0).fit(frames))
    model = make_pipeline(features, Pool(), Ridge()).fit(frames[:30], y[:30])
    ConformalRegressor(model, cv="prefit", forces=None).fit(frames[30:], y[30:])
    whole = FrozenEstimator(make_pipeline(ACSF(r_cut=3.0), Pool(), Ridge()))
    whole.estimator.fit(frames[:30], y[:30])
    with pytest.raises(ValueError, match="was fitted on 1 of the 31"):
        ConformalRegressor(whole, cv="prefit", forces=None).fit(frames[29:], y[29:])

"""Shares of features in energies."""

import numpy as np
import pytest
from ase.build import molecule
from conftest import rattled
from radial import RadialSums
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.features import NoDerivativeError
from skatom.featurizers import CoulombMatrix
from skatom.inspection import attribute_features
from skatom.models import AtomicKernelRidge, AtomicRidge
from skatom.preprocessing import PerAtom, Pool


def frames_and_energies(n=12):
    names = ("H2O", "CH4", "CO2")
    frames = [rattled(molecule(names[s % 3]), seed=s, stdev=0.1) for s in range(n)]
    y = np.array([np.sum(1 / (a.get_all_distances() + 1)) - 5 * len(a) for a in frames])
    return frames, y


def fitted(*steps):
    frames, y = frames_and_energies()
    return make_pipeline(RadialSums(), *steps).fit(frames, y), frames


def test_shares_of_a_linear_model_are_coefficients_times_features():
    model, frames = fitted(AtomicRidge(alpha=1e-6))
    X = model[0].transform(frames)
    ridge = model[-1]
    coefficients = ridge.coef_[np.searchsorted(ridge.numbers_, X.numbers)]
    zeros = np.zeros(X.values.shape[1])
    for method in ("integrated", "gradient_times_input"):
        shares = attribute_features(model, frames, method=method, baseline=zeros)
        np.testing.assert_allclose(shares.values, X.values * coefficients, rtol=1e-10)
    slopes = attribute_features(model, frames, method="gradient")
    np.testing.assert_allclose(slopes.values, coefficients, rtol=1e-10)


@pytest.mark.parametrize(
    "steps",
    [
        (PerAtom(StandardScaler()), AtomicKernelRidge(forces=None, alpha=1e-6)),
        (Pool("sum"), StandardScaler(), Ridge()),
    ],
)
def test_integrated_gradients_add_up_to_the_difference_from_the_baseline(steps):
    model, frames = fitted(*steps)
    X = model[0].transform(frames)
    start = X.values * 0.9
    shares = attribute_features(model, frames, baseline=start)
    moved = X.transformed(None, start)
    difference = model.predict(frames) - model[1:].predict(moved)
    np.testing.assert_allclose(shares.of_structures(), difference, rtol=1e-8)
    assert np.abs(difference).max() > 1e-3
    atoms = shares.of_atoms()
    assert [len(a) for a in atoms] == [len(a) for a in frames]
    np.testing.assert_allclose([a.sum() for a in atoms], difference, rtol=1e-8)


def test_baseline_is_by_default_the_mean_of_each_element():
    model, frames = fitted(AtomicRidge())
    shares = attribute_features(model, frames)
    for z in np.unique(shares.numbers):
        mean = shares.values[shares.numbers == z].mean(axis=0)
        assert np.abs(mean).max() < 1e-10 * np.abs(shares.values).max()
    same = attribute_features(model, frames, baseline=frames)
    assert np.array_equal(same.values, shares.values)
    other = attribute_features(model, frames, baseline=frames[:3])
    assert not np.array_equal(other.values, shares.values)


def test_features_are_ranked_by_their_mean_share():
    model, frames = fitted(AtomicRidge())
    shares = attribute_features(model, frames)
    ranked = shares.of_features()
    values = list(ranked.values())
    assert values == sorted(values, reverse=True)
    name = shares.feature_names[0]
    assert ranked[name] == pytest.approx(np.abs(shares.values[:, 0]).mean())


def test_searches_and_frozen_estimators_are_looked_into():
    frames, y = frames_and_energies()
    pipe = make_pipeline(RadialSums(), AtomicRidge())
    search = GridSearchCV(pipe, {"atomicridge__alpha": [1e-3]}, cv=3).fit(frames, y)
    inner = attribute_features(search.best_estimator_, frames).values
    frozen = attribute_features(FrozenEstimator(search.best_estimator_), frames)
    assert np.array_equal(attribute_features(search, frames).values, inner)
    assert np.array_equal(frozen.values, inner)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"method": "shap"}, "method is 'shap'"),
        ({"n_steps": 0}, "n_steps is 0"),
        ({"baseline": np.zeros(99)}, r"baseline has shape \(99,\)"),
        ({"baseline": []}, "baseline has 0 entries"),
        ({"baseline": [molecule("H2")]}, "have no atom of number 6"),
    ],
)
def test_what_makes_no_sense_is_refused(kwargs, message):
    model, frames = fitted(AtomicRidge())
    with pytest.raises(ValueError, match=message):
        attribute_features(model, frames, **kwargs)


def test_models_without_gradient_or_features_of_atoms_are_refused():
    model, frames = fitted(Pool(), KNeighborsRegressor(2))
    with pytest.raises(NoDerivativeError):
        attribute_features(model, frames)
    rows = make_pipeline(CoulombMatrix(), Ridge()).fit(*frames_and_energies())
    with pytest.raises(TypeError, match="gives rows of structures"):
        attribute_features(rows, frames)
    with pytest.raises(TypeError, match="AtomicRidge cannot be looked into"):
        attribute_features(AtomicRidge(), frames)

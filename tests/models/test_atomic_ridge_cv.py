"""AtomicRidgeCV against fits that really leave folds out, and scikit-learn's search."""

import numpy as np
import pytest
from radial import RadialSums
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit
from test_atomic_ridge import ROWS, TARGETS, cells, loss

from skatom.features._fitted_on import content_ids
from skatom.models import AtomicRidge, AtomicRidgeCV
from skatom.potential import Potential
from skatom.structures import Structures, read_energies

ALPHAS = [1e-3, 1e-1, 1.0, 10.0, 1e3]


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_it_is_a_search_over_ridge_on_a_matrix(fit_intercept):
    ours = AtomicRidgeCV(ALPHAS, cv=KFold(5), fit_intercept=fit_intercept)
    ours.fit(ROWS, TARGETS)
    search = GridSearchCV(
        Ridge(fit_intercept=fit_intercept, solver="svd"),
        {"alpha": ALPHAS},
        scoring="neg_mean_squared_error",
        cv=KFold(5),
    ).fit(ROWS, TARGETS)
    expected = -search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(ours.cv_losses_, expected, rtol=1e-8)
    assert ours.alpha_ == search.best_params_["alpha"]
    np.testing.assert_allclose(ours.coef_, search.best_estimator_.coef_, rtol=1e-8)


@pytest.mark.parametrize("by_species", [True, False])
def test_losses_are_those_of_fits_without_the_fold(by_species):
    """Energies, forces and stress, in groups, with weights and unlabelled structures."""
    frames = list(cells(10))
    frames[4].calc.results.pop("forces")
    frames, groups = Structures(frames), np.array([0, 0, 1, 1, 2, 2, 2, 0, 1, 1])
    y, weights = read_energies(frames), np.linspace(0.5, 2.0, 10)
    X = RadialSums().fit(frames).transform(frames)
    params = {"by_species": by_species, "stress": "calc", "stress_weight": 0.3}
    model = AtomicRidgeCV([1e-3, 1e-1], cv=GroupKFold(3), **params)
    model.fit(X, y, weights, groups=groups)
    total, n_targets = np.zeros(2), 0.0
    for train, test in GroupKFold(3).split(y, groups=groups):
        for k, alpha in enumerate((1e-3, 1e-1)):
            fitted = Potential(
                [("features", RadialSums()), ("model", AtomicRidge(alpha, **params))]
            )
            fitted.fit(frames[train], y[train], model__sample_weight=weights[train])
            fitted.named_steps["features"].fit(frames)
            inner = fitted.named_steps["model"]
            total[k] += loss(fitted, frames[test], y[test], weights[test])
            total[k] -= alpha * np.sum(inner.coef_**2)
        n = frames[test].n_atoms
        has_forces = np.isin(test, 4, invert=True)
        n_targets += weights[test] @ (7 + 3 * n * has_forces)
    np.testing.assert_allclose(model.cv_losses_, total / n_targets, rtol=1e-7)
    whole = AtomicRidge(model.alpha_, **params).fit(X, y, weights)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:alpha=0.001, at the end")
def test_structures_that_are_never_held_out_are_always_trained_on():
    once = [(np.arange(20, 60), np.arange(20))]
    model = AtomicRidgeCV(ALPHAS, cv=once).fit(ROWS, TARGETS)
    for alpha, found in zip(ALPHAS, model.cv_losses_):
        left = Ridge(alpha, solver="svd").fit(ROWS[20:], TARGETS[20:])
        expected = np.mean((left.predict(ROWS[:20]) - TARGETS[:20]) ** 2)
        assert found == pytest.approx(expected, rel=1e-8)


def test_auto_finds_a_penalty_whatever_the_scale():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 40))
    y = X[:, :3] @ [1.0, 2.0, 3.0] + rng.normal(size=60)
    small, large = (AtomicRidgeCV().fit(c * X, y) for c in (1e-6, 1e6))
    assert 0 < np.argmin(small.cv_losses_) < len(small.alphas_) - 1 or (
        small.alpha_ == small.alphas_[-1]
    )
    np.testing.assert_allclose(small.alpha_ * 1e24, large.alpha_, rtol=1e-6)
    np.testing.assert_allclose(small.predict(1e-6 * X), large.predict(1e6 * X))


def test_the_end_of_the_penalties_is_told():
    with pytest.warns(
        ConvergenceWarning, match="alpha=1000, at the end .* smaller ones"
    ):
        AtomicRidgeCV([1e3, 1e4, 1e5]).fit(ROWS, TARGETS)


@pytest.mark.parametrize("alphas", [[], [1.0, 0.0], [-1.0], [np.inf]])
def test_impossible_penalties_are_refused(alphas):
    with pytest.raises(ValueError, match="alphas must be positive numbers"):
        AtomicRidgeCV(alphas).fit(ROWS, TARGETS)


def test_impossible_folds_are_refused():
    with pytest.raises(ValueError, match=r"is held out [0-9] times: folds must not"):
        AtomicRidgeCV(cv=ShuffleSplit(5, random_state=0)).fit(ROWS, TARGETS)
    with pytest.raises(ValueError, match="n_samples=1: give at least two"):
        AtomicRidgeCV().fit(ROWS[:1], TARGETS[:1])


def test_ridge_left_to_itself_finds_what_the_search_finds(fitted_cells):
    X, y, places = fitted_cells
    folds = [
        (np.flatnonzero(places != k), np.flatnonzero(places == k)) for k in range(5)
    ]
    search = AtomicRidgeCV(cv=folds, stress="calc").fit(X, y)
    ours = AtomicRidge(stress="calc").fit(X, y)
    assert ours.alpha_ == pytest.approx(search.alpha_, rel=1e-8)
    np.testing.assert_allclose(ours.coef_, search.coef_, rtol=1e-5)
    assert search.cv_losses_.min() < 0.9 * search.cv_losses_.max()  # it matters


@pytest.fixture
def fitted_cells():
    """Features of cells with noise in their energies, and the fold of each."""
    frames = cells(20)
    y = read_energies(frames) + 0.2 * np.random.default_rng(0).normal(size=20)
    X = RadialSums().fit(frames).transform(frames)
    return X, y, content_ids(X, y) % 5


def test_neither_order_nor_batches_nor_copies_change_what_ridge_chooses(fitted_cells):
    X, y, places = fitted_cells
    assert len(np.unique(places)) == 5
    whole = AtomicRidge(stress="calc").fit(X, y)
    order = np.random.default_rng(1).permutation(20)
    turned = AtomicRidge(stress="calc").fit(X[order], y[order])
    batches = AtomicRidge(stress="calc").fit(X[:7], y[:7]).partial_fit(X[7:], y[7:])
    twice = AtomicRidge(stress="calc").fit(X, y, np.repeat([2.0, 1.0], 10))
    again = np.append(np.arange(20), np.arange(10))
    copied = AtomicRidge(stress="calc").fit(X[again], y[again])
    for one, other in ((turned, whole), (batches, whole), (copied, twice)):
        assert one.alpha_ == pytest.approx(other.alpha_, rel=1e-8)
        np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-5)


def test_new_elements_have_their_places_in_every_fold():
    frames = cells(12)
    y = read_energies(frames)
    first = frames[:6].frames
    for atoms in first:
        atoms.calc, atoms.symbols[:] = None, "Cu"
    features = RadialSums(species=["Cu", "Ni"]).fit(frames)
    parts = features.transform(first), features.transform(frames[6:])
    model = AtomicRidge().fit(parts[0], y[:6]).partial_fit(parts[1], y[6:])
    whole = AtomicRidge().fit(features.transform(frames), y)
    assert model.alpha_ == pytest.approx(whole.alpha_, rel=1e-6)
    np.testing.assert_allclose(
        model.predict(parts[1]), whole.predict(parts[1]), rtol=1e-6
    )


def test_a_single_structure_is_fitted_with_hardly_any_penalty():
    model = AtomicRidge().fit(ROWS[:1], TARGETS[:1])
    np.testing.assert_allclose(model.predict(ROWS[:1]), TARGETS[:1], rtol=1e-6)
    twice = AtomicRidge(fit_intercept=False).fit(ROWS[[0, 0]], TARGETS[[0, 0]])
    assert twice.alpha_ == pytest.approx(1e-6 * 2 * np.mean(ROWS[0] ** 2))


def test_what_is_set_after_fit_changes_no_later_batch():
    given = AtomicRidge(0.1).fit(ROWS[:30], TARGETS[:30]).set_params(alpha="auto")
    assert given.partial_fit(ROWS[30:], TARGETS[30:]).alpha_ == 0.1

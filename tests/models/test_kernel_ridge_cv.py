"""Closed-form cross-validation against refits, one for every fold."""

import numpy as np
import pytest
from ase.build import bulk
from conftest import labelled, rattled
from sklearn.gaussian_process.kernels import RBF, DotProduct
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    cross_val_predict,
)

from skatom.featurizers import ACSF
from skatom.models import AtomicKernelRidge, AtomicKernelRidgeCV, AtomicRidgeCV
from skatom.structures import Structures, read_energies, read_labels

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(40, 4))
TARGETS = ROWS @ [1.0, 2.0, 3.0, 4.0] + np.sin(ROWS[:, 0]) + 0.1 * RNG.normal(size=40)
GROUPS = np.arange(8) % 3


@pytest.mark.parametrize("cv", [None, 5], ids=["leave one out", "5 folds"])
def test_scores_are_those_of_kernel_ridge_on_a_matrix(cv):
    grid = {"alpha": [1e-3, 1e-1], "gamma": [0.05, 0.5]}
    ours = AtomicKernelRidgeCV(
        grid["alpha"], gammas=grid["gamma"], cv=cv, scoring="neg_energy_mae"
    ).fit(ROWS, TARGETS)
    stock = GridSearchCV(
        KernelRidge(kernel="rbf"), grid, scoring="neg_mean_absolute_error",
        cv=LeaveOneOut() if cv is None else KFold(cv),
    ).fit(ROWS, TARGETS)  # fmt: skip
    order = np.lexsort((ours.cv_results_["gamma"], ours.cv_results_["alpha"]))
    np.testing.assert_allclose(
        np.array(ours.cv_results_["score"])[order],
        stock.cv_results_["mean_test_score"],
        rtol=1e-8,
    )
    assert (ours.alpha_, ours.gamma_) == tuple(stock.best_params_.values())
    np.testing.assert_allclose(
        ours.predict(ROWS + 0.1), stock.predict(ROWS + 0.1), rtol=1e-8
    )


@pytest.fixture(scope="module")
def alloys():
    """Crystals of three species ratios, so that every fold has its own baseline."""
    frames = []
    for seed in range(8):
        atoms = bulk("Cu", a=3.6, cubic=True)
        atoms.symbols[: 1 + seed % 3] = "Ni"
        frames.append(labelled(rattled(atoms, seed=seed, stdev=0.1), stress=True))
    frames = Structures(frames)
    features = ACSF(r_cut=4.0, n_radial=4, n_angular=1).fit_transform(frames)
    return features, read_energies(frames)


def refits(features, y, folds, weights=None, **params):
    """Errors of energies, forces and stress on what models have not seen."""
    labels = read_labels(features.structures, stress="calc")
    energy, force, stress = np.empty(8), labels.forces.copy(), labels.stress.copy()
    for train, test in folds:
        sample = None if weights is None else weights[train]
        model = AtomicKernelRidge(n_references=None, stress="calc", **params)
        model.fit(features[train], y[train], sample)
        for s in test:
            held = features[[s]]
            energy[s] = (y[s] - model.predict(held)[0]) / held.n_atoms[0]
            bond = held.pullback(model.feature_gradient(held))
            pulled = force[features.offsets[s] : features.offsets[s + 1]]
            np.subtract.at(pulled, held.pairs.centers, bond)
            np.add.at(pulled, held.pairs.neighbors, bond)
            strain = held.pairs.vectors.T @ bond
            strain = (strain + strain.T) / (2.0 * held.structures[0].get_volume())
            stress[s] -= strain[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    return energy, force, stress


SPLITS = {
    "leave one out": (None, LeaveOneOut()),
    "k-fold": (3, KFold(3)),
    "groups": (GroupKFold(3), GroupKFold(3)),
}
PARAMS = {"gamma": 0.05, "force_weight": 0.3, "stress_weight": 0.1}


@pytest.mark.parametrize(("cv", "splitter"), SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("baseline", ["composition", None])
def test_scores_equal_refits_with_forces_and_stress(baseline, cv, splitter, alloys):
    features, y = alloys
    groups = GROUPS if isinstance(cv, GroupKFold) else None
    folds = list(splitter.split(y, groups=groups))
    common = {"baseline": baseline, "force_weight": 0.3, "stress_weight": 0.1}
    energy, force, stress = refits(features, y, folds, alpha=1e-3, gamma=0.05, **common)
    expected = {
        "neg_energy_mae": -np.abs(energy).mean(),
        "neg_energy_rmse": -np.sqrt(np.mean(energy**2)),
        "neg_force_mae": -np.abs(force).mean(),
        "neg_force_rmse": -np.sqrt(np.mean(force**2)),
        "neg_stress_mae": -np.abs(stress).mean(),
        "neg_stress_rmse": -np.sqrt(np.mean(stress**2)),
        "loss": loss(features, energy, force, stress, np.ones(8)),
    }
    for scoring, value in expected.items():
        model = AtomicKernelRidgeCV(
            [1e-3], gammas=[0.05], cv=cv, scoring=scoring, stress="calc", **common
        ).fit(features, y, groups=groups)
        assert model.best_score_ == pytest.approx(value, rel=1e-8), scoring


def loss(features, energy, force, stress, weights):
    n = features.n_atoms
    volumes = np.array([atoms.get_volume() for atoms in features.structures])
    per_energy = weights * n * energy**2
    per_force = np.repeat(weights, n)[:, None] * force**2
    per_stress = (weights * volumes**2 / n)[:, None] * stress**2
    total = per_energy.sum() + 0.3 * per_force.sum() + 0.1 * per_stress.sum()
    return -total / np.sum(weights * (1 + 3 * n + 6))


@pytest.mark.parametrize("weights", [None, np.repeat([1.0, 2.0], 10)])
def test_best_scores_on_rows_are_those_of_scikit_learn(weights):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3))
    y = np.sin(X).sum(axis=1)
    kernel = AtomicKernelRidgeCV([1e-3], gammas=[0.3], cv=KFold(4))
    linear = AtomicRidgeCV([1e-3], cv=KFold(4), fit_intercept=False)
    stock = KernelRidge(1e-3, kernel="rbf", gamma=0.3), KernelRidge(1e-3)
    for ours, theirs in zip((kernel, linear), stock):
        predicted = cross_val_predict(
            theirs, X, y, cv=KFold(4), params={"sample_weight": weights}
        )
        expected = -mean_squared_error(y, predicted, sample_weight=weights)
        score = ours.fit(X, y, weights).best_score_
        assert score == pytest.approx(expected, rel=1e-6)


def test_weights_are_those_of_refits(alloys):
    features, y = alloys
    weights = np.linspace(0.5, 2.0, 8)
    folds = list(LeaveOneOut().split(y))
    parts = refits(features, y, folds, weights, alpha=1e-3, **PARAMS)
    model = AtomicKernelRidgeCV(
        [1e-3], gammas=[0.05], stress="calc", force_weight=0.3, stress_weight=0.1
    ).fit(features, y, weights)
    expected = loss(features, *parts, weights)
    assert model.best_score_ == pytest.approx(expected, rel=1e-8)


def test_weight_zero_is_neither_trained_on_nor_scored(alloys):
    features, y = alloys
    weights = np.array([1.0] * 6 + [0.0] * 2)
    common = {"gammas": [0.05], "alphas": [1e-3]}
    weighted = AtomicKernelRidgeCV(**common).fit(features, y, weights)
    fewer = AtomicKernelRidgeCV(**common).fit(features[:6], y[:6])
    assert weighted.best_score_ == pytest.approx(fewer.best_score_, rel=1e-8)


def test_the_best_of_all_candidates_is_fitted(alloys):
    features, y = alloys
    kernels = ["rbf", "linear", RBF(3.0), DotProduct(1.0) ** 2]
    model = AtomicKernelRidgeCV([1e-5, 1e-3], kernel=kernels, gammas=[0.01, 0.1])
    model.fit(features, y)
    results = model.cv_results_
    assert len(results["score"]) == 2 * (2 + 1 + 1 + 1)
    best = int(np.argmax(results["score"]))
    assert (results["score"][best], results["alpha"][best]) == (
        model.best_score_,
        model.alpha_,
    )
    again = AtomicKernelRidge(
        model.alpha_,
        kernel=results["kernel"][best],
        gamma=results["gamma"][best],
        n_references=None,
    ).fit(features, y)
    np.testing.assert_array_equal(model.predict(features), again.predict(features))


def test_auto_tries_lengths_around_the_scale(alloys):
    features, y = alloys
    model = AtomicKernelRidgeCV([1e-5], forces=None).fit(features, y)
    scale = AtomicKernelRidge(forces=None).fit(features, y).gamma_
    np.testing.assert_allclose(
        np.array(model.cv_results_["gamma"]) / scale, [0.1, 0.3, 1.0, 3.0, 10.0]
    )


def test_means_are_those_of_refits(alloys):
    features, y = alloys
    y = y / features.n_atoms
    params = {"target": "mean", "gamma": 0.05}
    predicted = cross_val_predict(
        _OnFeatures(AtomicKernelRidge(1e-3, n_references=None, **params), features),
        np.arange(8)[:, None], y, cv=LeaveOneOut(),
    )  # fmt: skip
    params["gammas"] = [params.pop("gamma")]
    model = AtomicKernelRidgeCV([1e-3], scoring="neg_energy_mae", **params)
    expected = -np.abs(predicted - y).mean()
    assert model.fit(features, y).best_score_ == pytest.approx(expected, rel=1e-8)


class _OnFeatures(KernelRidge):
    """Regressor on indices of structures, for scikit-learn's own splitting."""

    def __init__(self, model, features):
        super().__init__()
        self.model, self.features = model, features

    def fit(self, X, y):
        self.model.fit(self.features[X[:, 0]], y)
        return self

    def predict(self, X):
        return self.model.predict(self.features[X[:, 0]])


@pytest.mark.parametrize("alphas", [[], [0.0, 1.0], [np.nan]])
def test_alphas_must_be_positive(alphas):
    with pytest.raises(ValueError, match="alphas must be positive"):
        AtomicKernelRidgeCV(alphas).fit(ROWS, TARGETS)


def test_one_structure_cannot_be_held_out():
    with pytest.raises(ValueError, match="give at least two"):
        AtomicKernelRidgeCV().fit(ROWS[:1], TARGETS[:1])


def test_scoring_without_labels_is_refused(alloys):
    features, y = alloys
    for scoring, missing in (("neg_force_mae", "forces"), ("neg_stress_mae", "stress")):
        with pytest.raises(ValueError, match=f"needs {missing} to train on"):
            AtomicKernelRidgeCV(scoring=scoring, forces=None).fit(features, y)


def test_more_than_the_memory_is_refused(alloys):
    with pytest.raises(MemoryError, match=r"max_memory='10kB'.*raise max_memory"):
        AtomicKernelRidgeCV(max_memory="10kB").fit(*alloys)

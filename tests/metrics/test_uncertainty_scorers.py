"""Scorers of error bars give what the measures give, and choose the better model."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from conftest import labelled, rattled
from scipy.special import ndtri
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom import metrics
from skatom.base import NoStandardDeviationError
from skatom.features import AtomFeatures
from skatom.uncertainty import ConformalRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.3 * RNG.normal(size=120)
SCORERS = {
    "crps": metrics.neg_energy_crps,
    "nll": metrics.neg_energy_nll,
    "miscalibration": metrics.neg_energy_miscalibration,
    "ence": metrics.neg_energy_ence,
    "winkler": metrics.neg_energy_winkler,
}


class Sized(RegressorMixin, BaseEstimator):
    """Predict the number of atoms, with an error bar of twice as much."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X, return_std=False):
        n = np.array([len(atoms) for atoms in X], dtype=float)
        return (n, 2 * n) if return_std else n


def test_energies_of_structures_are_scored_per_atom():
    frames = [molecule("H2"), molecule("CH4"), molecule("H2O")]
    y = np.array([4.0, 10.0, 3.0])
    found = metrics.neg_energy_crps(Sized().fit(frames, y), frames, y)
    assert found == -metrics.crps([2.0, 2.0, 1.0], np.ones(3), np.full(3, 2.0))


def test_features_of_atoms_are_scored_per_atom():
    features = AtomFeatures(np.ones((5, 2)), np.array([0, 2, 5]), np.ones(5, dtype=int))

    class OnFeatures(Sized):
        def predict(self, X, return_std=False):
            n = X.n_atoms * 1.0
            return (n, 2 * n) if return_std else n

    found = metrics.neg_energy_crps(OnFeatures(), features, [2.0, 6.0])
    assert found == -metrics.crps([1.0, 2.0], [1.0, 1.0], [2.0, 2.0])


def test_scorers_work_in_a_search_over_a_pipeline():
    pipeline = make_pipeline(
        StandardScaler(), BayesianRidge(max_iter=1, compute_score=True)
    )
    search = GridSearchCV(
        pipeline,
        {"bayesianridge__max_iter": [1, 100]},
        scoring=SCORERS,
        refit="crps",
        cv=3,
    ).fit(X, Y)
    y_pred, std = search.best_estimator_.predict(X, return_std=True)
    assert metrics.neg_energy_crps(search, X, Y) == -metrics.crps(Y, y_pred, std)
    for name in SCORERS:
        assert np.isfinite(search.cv_results_[f"mean_test_{name}"]).all()


def test_winkler_scores_normal_intervals_of_error_bars():
    model = BayesianRidge().fit(X, Y)
    y_pred, std = model.predict(X, return_std=True)
    half = ndtri(0.95) * std
    by_hand = metrics.winkler_score(Y, np.stack([y_pred - half, y_pred + half], 1), 0.9)
    assert metrics.neg_energy_winkler(model, X, Y) == pytest.approx(-by_hand)


def test_winkler_takes_intervals_where_the_estimator_has_them():
    model = ConformalRegressor(Ridge(), random_state=0)
    scores = cross_validate(model, X, Y, scoring=metrics.neg_energy_winkler, cv=3)
    fitted = model.fit(X, Y)
    intervals = fitted.predict_interval(X, confidence_level=0.9)[1]
    by_hand = -metrics.winkler_score(Y, intervals, 0.9)
    assert metrics.neg_energy_winkler(fitted, X, Y) == pytest.approx(by_hand)
    assert (scores["test_score"] < 0).all()


def test_forces_with_labels_are_scored_by_component():
    frames = [rattled(bulk("Cu", a=3.6, cubic=True), seed=s) for s in range(3)]
    frames = [labelled(frames[0]), labelled(frames[1]), frames[2]]

    class WithForces(Sized):
        def predict_forces(self, X, return_std=False):
            forces = [atoms.positions for atoms in X]
            std = [1.0 + np.abs(f) for f in forces]
            return (forces, std) if return_std else forces

    model = WithForces().fit(frames, [0.0, 0.0, 0.0])
    args = [np.concatenate(a) for a in zip(*(
        (atoms.calc.results["forces"], atoms.positions, 1.0 + np.abs(atoms.positions))
        for atoms in frames[:2]
    ))]  # fmt: skip
    assert metrics.neg_force_crps(model, frames) == -metrics.crps(*args)
    assert metrics.neg_force_nll(model, frames) == -metrics.gaussian_nll(*args)
    area = metrics.neg_force_miscalibration(model, frames)
    assert area == -metrics.miscalibration_area(*args)
    with pytest.raises(ValueError, match="forces label to compare with"):
        metrics.neg_force_crps(model, frames[2:])


def test_estimators_without_error_bars_are_told_where_to_get_them():
    with pytest.raises(NoStandardDeviationError, match="Ridge gives no standard"):
        metrics.neg_energy_crps(Ridge().fit(X, Y), X, Y)

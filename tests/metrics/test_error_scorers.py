"""Scorers give the errors that one computes by hand, and work in a search."""

import numpy as np
import pytest
from ase.build import bulk
from conftest import labelled, rattled
from radial import RadialSums
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline

from skatom import metrics
from skatom.models import AtomicRidge, CompositionBaseline
from skatom.potential import predict_forces, predict_stress
from skatom.preprocessing import Pool
from skatom.structures import Structures, read_energies


@pytest.fixture(scope="module")
def crystals() -> Structures:
    frames = [rattled(bulk("Cu", a=3.6, cubic=True), seed=s) for s in range(6)]
    return Structures([labelled(atoms, stress=True) for atoms in frames])


@pytest.fixture(scope="module")
def model(crystals):
    pipeline = make_pipeline(RadialSums(), Pool(), Ridge(1e-3))
    return pipeline.fit(crystals, read_energies(crystals))


def test_energy_scores_are_per_atom(model, crystals):
    y = read_energies(crystals) + np.linspace(-1.0, 1.0, 6)
    left = (model.predict(crystals) - y) / 4
    assert metrics.neg_energy_mae(model, crystals, y) == -np.mean(np.abs(left))
    assert metrics.neg_energy_rmse(model, crystals, y) == pytest.approx(
        -np.sqrt(np.mean(left**2))
    )


def test_force_scores_compare_components(model, crystals):
    left = np.concatenate(predict_forces(model, crystals)) - np.concatenate(
        [atoms.calc.results["forces"] for atoms in crystals]
    )
    assert metrics.neg_force_mae(model, crystals) == -np.mean(np.abs(left))
    assert metrics.neg_force_rmse(model, crystals) == pytest.approx(
        -np.sqrt(np.mean(left**2))
    )


def test_stress_scores_compare_components(model, crystals):
    left = predict_stress(model, crystals) - np.array(
        [atoms.calc.results["stress"] for atoms in crystals]
    )
    assert metrics.neg_stress_mae(model, crystals) == -np.mean(np.abs(left))
    assert metrics.neg_stress_rmse(model, crystals) == pytest.approx(
        -np.sqrt(np.mean(left**2))
    )


def test_structures_without_a_label_do_not_count(model, crystals):
    mixed = [*crystals.frames[:2], crystals[2].copy()]
    for scorer in (metrics.neg_force_mae, metrics.neg_stress_rmse):
        assert scorer(model, mixed) == scorer(model, mixed[:2])


@pytest.mark.parametrize(
    ("scorer", "what"),
    [(metrics.neg_force_mae, "forces"), (metrics.neg_stress_mae, "stress")],
)
def test_no_label_at_all_is_an_error(scorer, what, model, crystals):
    bare = [atoms.copy() for atoms in crystals]
    with pytest.raises(ValueError, match=f"None of the 6 structures has a {what}"):
        scorer(model, bare)


def test_a_model_without_forces_errs_by_the_forces(crystals):
    flat = CompositionBaseline().fit(crystals, read_energies(crystals))
    forces = np.concatenate([atoms.calc.results["forces"] for atoms in crystals])
    assert metrics.neg_force_mae(flat, crystals) == -np.mean(np.abs(forces))


def test_scorers_work_in_a_search_and_in_cross_validation(crystals):
    y = read_energies(crystals)
    pipeline = make_pipeline(RadialSums(), AtomicRidge())
    grid = {"atomicridge__alpha": [1e-4, 1e6]}
    search = GridSearchCV(pipeline, grid, scoring=metrics.neg_force_rmse, cv=2)
    assert search.fit(crystals, y).best_params_ == {"atomicridge__alpha": 1e-4}
    scoring = {"E": metrics.neg_energy_mae, "F": metrics.neg_force_mae}
    found = cross_validate(pipeline, crystals, y, scoring=scoring, cv=2)
    assert np.isfinite(found["test_E"]).all()
    assert (found["test_F"] < 0).all()

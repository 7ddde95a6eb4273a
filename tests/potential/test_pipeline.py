"""Potential is a Pipeline that knows its forces."""

import pickle

import numpy as np
import pytest
from ase.build import bulk
from conftest import labelled, rattled
from radial import RadialSums
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from skatom.models import AtomicRidge
from skatom.potential import Potential, evaluate, make_potential, predict_forces
from skatom.preprocessing import PerAtom, Pool
from skatom.structures import read_energies


@pytest.fixture(scope="module")
def frames():
    crystal = bulk("Cu", cubic=True, a=3.6)
    return [labelled(rattled(crystal, k), stress=True) for k in range(6)]


@pytest.fixture(scope="module")
def y(frames):
    return read_energies(frames)


def steps():
    return RadialSums(), PerAtom(StandardScaler()), AtomicRidge(1e-3)


def test_methods_are_the_free_functions(frames, y):
    model = make_potential(*steps()).fit(frames, y)
    plain = make_pipeline(*steps()).fit(frames, y)
    expected = evaluate(plain, frames, stress=True, atomic=True)
    np.testing.assert_array_equal(model.predict(frames), expected.energies)
    np.testing.assert_array_equal(model.predict_forces(frames), expected.forces)
    np.testing.assert_array_equal(model.predict_stress(frames), expected.stress)
    np.testing.assert_array_equal(
        model.predict_atomic_energies(frames), expected.atomic_energies
    )
    found = model.evaluate(frames, stress=True, atomic=True)
    np.testing.assert_array_equal(found.stress, expected.stress)


def bare(frames):
    return [a.copy() for a in frames]


def test_forces_and_stress_given_to_fit_reach_the_model(frames, y):
    forces = [a.calc.results["forces"] for a in frames]
    stress = [a.calc.results["stress"] for a in frames]
    model = make_potential(*steps()).fit(bare(frames), y, forces=forces, stress=stress)
    stored = make_potential(*steps()).set_params(atomicridge__stress="calc")
    stored.fit(frames, y)
    np.testing.assert_allclose(
        model.predict_stress(frames), stored.predict_stress(frames), rtol=1e-10
    )
    alone = make_potential(*steps()).fit(bare(frames), y)
    assert np.abs(alone.predict(frames) - model.predict(frames)).max() > 1e-3


def test_forces_given_to_a_search_are_cut_into_folds(frames, y):
    forces = [a.calc.results["forces"] for a in frames]
    grid = {"atomicridge__alpha": [1e-3, 1.0], "radialsums__r_cut": [3.0, 4.0]}
    given = GridSearchCV(make_potential(*steps()), grid, cv=2)
    given.fit(bare(frames), y, forces=forces)
    stored = GridSearchCV(make_potential(*steps()), grid, cv=2).fit(frames, y)
    np.testing.assert_allclose(
        given.cv_results_["mean_test_score"], stored.cv_results_["mean_test_score"]
    )


def test_forces_are_routed_where_routing_is_on(frames, y):
    forces = [a.calc.results["forces"] for a in frames]
    with config_context(enable_metadata_routing=True):
        model = make_potential(
            *steps()[:2], AtomicRidge(1e-3).set_fit_request(forces=True)
        )
        model.fit(bare(frames), y, forces=forces)
    expected = make_potential(*steps()).fit(frames, y)
    np.testing.assert_allclose(model.predict(frames), expected.predict(frames))


def test_forces_for_a_model_that_takes_none_are_refused(frames, y):
    model = make_potential(RadialSums(), Pool(), Ridge())
    with pytest.raises(TypeError, match="unexpected keyword argument 'forces'"):
        model.fit(frames, y, forces=[a.calc.results["forces"] for a in frames])


def test_slices_are_potentials(frames, y):
    model = make_potential(*steps()).fit(frames, y)
    assert isinstance(model[:-1], Potential)
    assert model[:-1].transform(frames).shape[0] == len(frames)
    assert isinstance(model["atomicridge"], AtomicRidge)
    assert model[:-1].get_feature_names_out()[0] == "G_Cu_eta0.1"


def test_clone_pickle_and_picture(frames, y):
    model = make_potential(*steps()).fit(frames, y)
    assert clone(model).get_params()["peratom__by_species"] is False
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        again.predict_forces(frames), model.predict_forces(frames)
    )
    assert "RadialSums" in estimator_html_repr(model)


def test_cached_features_give_the_same_forces(frames, y, tmp_path):
    cached = make_potential(*steps(), memory=str(tmp_path))
    for _ in range(2):
        cached.fit(frames, y)
    expected = make_potential(*steps()).fit(frames, y)
    np.testing.assert_array_equal(
        cached.predict_forces(frames), predict_forces(expected, frames)
    )
    assert any(tmp_path.iterdir())


def test_steps_can_be_named_and_switched_off(frames, y):
    parts = zip(("features", "scale", "model"), steps())
    model = Potential(list(parts)).set_params(scale="passthrough").fit(frames, y)
    assert isinstance(model, Pipeline)
    expected = make_pipeline(RadialSums(), AtomicRidge(1e-3)).fit(frames, y)
    np.testing.assert_allclose(model.predict(frames), expected.predict(frames))

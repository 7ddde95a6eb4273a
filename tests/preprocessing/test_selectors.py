"""SelectFPS and SelectCUR against brute force and scikit-matter, and inside PerAtom."""

import pickle

import numpy as np
import pytest
from ase.build import molecule
from conftest import labelled, rattled
from radial import RadialSums
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.featurizers import ACSF
from skatom.models import AtomicRidge
from skatom.potential import make_potential
from skatom.preprocessing import PerAtom, SelectCUR, SelectFPS

SELECTORS = [SelectFPS(4), SelectCUR(4), SelectCUR(4, n_vectors=3)]


@pytest.fixture
def features():
    names = ["H2O", "CH4", "CH3OH", "C2H6", "H2O2"]
    return RadialSums().fit_transform([rattled(molecule(n)) for n in names])


@pytest.fixture
def rows():
    rng = np.random.default_rng(3)
    hidden = rng.normal(size=(90, 5)) @ rng.normal(size=(5, 30))
    return hidden + 0.1 * rng.normal(size=(90, 30))


def test_fps_takes_the_column_whose_nearest_chosen_one_is_farthest(rows):
    found = SelectFPS(8, start=2).fit(rows)
    chosen, distances = [2], [np.inf]
    for _ in range(7):
        nearest = cdist(rows.T, rows.T[chosen]).min(axis=1)
        chosen.append(int(nearest.argmax()))
        distances.append(nearest.max())
    np.testing.assert_array_equal(found.selection_, chosen)
    np.testing.assert_allclose(found.distances_, distances, rtol=1e-10)


@pytest.mark.parametrize("n_vectors", [1, 3])
def test_cur_takes_the_column_of_largest_weight_and_projects_it_out(rows, n_vectors):
    found = SelectCUR(6, n_vectors=n_vectors).fit(rows)
    X, chosen, importances = rows.copy(), [], []
    for _ in range(6):
        weight = np.sum(np.linalg.svd(X)[2][:n_vectors] ** 2, axis=0)
        c = int(weight.argmax())
        chosen.append(c)
        importances.append(weight[c])
        X -= np.outer(X[:, c], X[:, c] @ X) / (X[:, c] @ X[:, c])
    np.testing.assert_array_equal(found.selection_, chosen)
    np.testing.assert_allclose(found.importances_, importances, rtol=1e-8)


@pytest.mark.peer
@pytest.mark.parametrize("shape", [(90, 30), (12, 30)])
def test_both_choose_as_scikit_matter_does(shape):
    skmatter = pytest.importorskip("skmatter.feature_selection")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(shape[0], 4)) @ rng.normal(size=(4, shape[1]))
    X += 0.1 * rng.normal(size=shape)
    for theirs, ours in [
        (skmatter.FPS(n_to_select=10), SelectFPS(10)),
        (skmatter.CUR(n_to_select=10), SelectCUR(10)),
        (skmatter.CUR(n_to_select=6, k=3), SelectCUR(6, n_vectors=3)),
    ]:
        np.testing.assert_array_equal(
            ours.fit(X).selection_, theirs.fit(X).selected_idx_
        )


@pytest.mark.peer
@pytest.mark.parametrize("by_species", [False, True])
def test_selectors_of_scikit_matter_keep_derivatives(features, by_species):
    skmatter = pytest.importorskip("skmatter.feature_selection")
    y = np.array([-14.0, -24.0, -30.0, -40.0, -18.0])
    for selector in (
        skmatter.FPS(n_to_select=3),
        skmatter.CUR(n_to_select=3),
        skmatter.PCovFPS(n_to_select=3),
    ):
        step = PerAtom(selector, by_species=by_species).fit(features, y)
        check_that_columns_are_chosen(step, features)


@pytest.mark.parametrize("by_species", [False, True])
@pytest.mark.parametrize("selector", SELECTORS, ids=str)
def test_derivatives_are_those_of_the_chosen_columns(features, selector, by_species):
    step = PerAtom(selector, by_species=by_species).fit(features)
    check_that_columns_are_chosen(step, features)


def check_that_columns_are_chosen(step, features):
    Y = step.transform(features)
    g = np.random.default_rng(0).normal(size=Y.values.shape)
    full = np.zeros(features.values.shape)
    for key, selector in step.transformers_.items():
        keep = selector.get_support(indices=True)
        atoms = np.arange(len(full))
        if key != "all":
            atoms = atoms[[s == key for s in symbols(features)]]
        np.testing.assert_array_equal(
            Y.values[atoms], features.values[np.ix_(atoms, keep)]
        )
        full[np.ix_(atoms, keep)] = g[atoms]
    np.testing.assert_array_equal(Y.pullback(g), features.pullback(full))


def symbols(features):
    return [s for atoms in features.structures for s in atoms.get_chemical_symbols()]


def test_names_are_those_of_the_chosen_columns(features):
    Y = PerAtom(SelectFPS(3, start=1)).fit_transform(features)
    kept = Y.steps[-1].transformers_["all"].get_support(indices=True)
    assert list(Y.feature_names) == [features.feature_names[k] for k in kept]


@pytest.mark.parametrize("selector", SELECTORS, ids=str)
def test_equal_and_empty_columns_are_chosen_once_each(selector):
    X = np.ones((6, 5))
    X[:, 3] = 0.0
    found = clone(selector).fit(X)
    assert len(set(found.selection_)) == 4
    assert found.transform(X).shape == (6, 4)


@pytest.mark.parametrize("selector", SELECTORS, ids=str)
def test_forces_of_a_potential_with_selected_features(selector):
    frames = [labelled(rattled(molecule("CH3OH"), seed=s)) for s in range(6)]
    model = make_potential(
        ACSF(r_cut=4.0), PerAtom(StandardScaler()), PerAtom(selector), AtomicRidge()
    ).fit(frames, [atoms.get_potential_energy() for atoms in frames])
    atoms, h = frames[0].copy(), 1e-4
    force = model.predict_forces([atoms])[0]
    moved = [atoms.copy(), atoms.copy()]
    moved[0].positions[2, 1] += h
    moved[1].positions[2, 1] -= h
    up, down = model.predict(moved)
    np.testing.assert_allclose(force[2, 1], (down - up) / (2 * h), rtol=1e-5)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict([atoms]), model.predict([atoms]))


@pytest.mark.parametrize("cls", [SelectFPS, SelectCUR])
def test_more_columns_than_there_are_are_refused(cls, rows):
    with pytest.raises(ValueError, match="n_features_to_select=31, but X has 30"):
        cls(31).fit(rows)


def test_a_start_that_is_no_column_is_refused(rows):
    with pytest.raises(ValueError, match="start=30 is no column: X has 30 features"):
        SelectFPS(3, start=30).fit(rows)


def test_half_of_the_columns_are_the_default(rows):
    assert make_pipeline(SelectFPS(), SelectCUR()).fit_transform(rows).shape == (90, 7)

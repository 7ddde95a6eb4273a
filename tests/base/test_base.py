"""The contracts of featurizers and models, on a featurizer and a model of a few lines."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from conftest import labelled
from radial import RadialSums
from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator

from skatom import Structures
from skatom.base import AtomicRegressor, sum_atoms
from skatom.features import AtomFeatures


class MeanPlane(AtomicRegressor):
    """Least squares on summed features: the smallest model there is."""

    def __init__(self, forces="auto", stress=None):
        self.forces = forces
        self.stress = stress

    def fit(self, X, y, forces=None, stress=None):
        X = self.check_features(X, reset=True)
        y = self.check_targets(X, y)
        self.labels_ = self.read_labels(X, forces, stress)
        rows = np.column_stack([sum_atoms(X.values, X.offsets), X.n_atoms])
        solution = np.linalg.lstsq(rows, y, rcond=None)[0]
        self.coef_, self.intercept_ = solution[:-1], solution[-1]
        return self

    def compute_atoms(self, X):
        return X.values @ self.coef_ + self.intercept_

    def compute_gradient(self, X):
        return np.broadcast_to(self.coef_, X.values.shape)


# a list, which every pair of versions of scikit-learn and pytest takes
@pytest.mark.parametrize(
    ("estimator", "check"),
    list(estimator_checks_generator(MeanPlane())),
    ids=lambda one: getattr(getattr(one, "func", one), "__name__", "MeanPlane"),
)
def test_a_model_of_ten_lines_follows_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture
def fitted(frames):
    X = RadialSums().fit_transform(frames)
    return MeanPlane().fit(X, np.arange(8.0)), X


# -- featurizers ---------------------------------------------------------------------


def test_species_are_learned_and_ordered_by_atomic_number(frames):
    assert RadialSums().fit(frames[::-1]).species_ == ["H", "O", "Cu"]
    assert RadialSums(species=["Cu", "H", "Cu"]).fit(frames).species_ == ["H", "Cu"]


def test_every_element_up_to_118_is_a_species():
    atoms = Atoms(numbers=[118, 1], positions=[[0, 0, 0], [0, 0, 1.5]])
    assert RadialSums().fit_transform([atoms]).values.any()


def test_a_species_that_fit_did_not_see_is_named_with_its_place(frames, water):
    featurizer = RadialSums().fit([water])
    message = (
        r"Structure 3, atom 0 is Cu, but RadialSums knows H, O only\. Fit on structures "
        r"with such elements, list them in species, or set handle_unknown='ignore'"
    )
    with pytest.raises(ValueError, match=message):
        featurizer.transform(frames[:4])


def test_ignored_species_are_as_if_not_there(water):
    salted = water.copy() + Atoms("Cu", [[0, 0, 2.0]])
    featurizer = RadialSums(handle_unknown="ignore").fit([water])
    values = featurizer.transform([salted]).values
    np.testing.assert_array_equal(values[:3], featurizer.transform([water]).values)
    assert not values[3].any()


@pytest.mark.parametrize(
    ("species", "message"),
    [
        (["Hx"], "species holds 'Hx', which is no chemical symbol. Did you mean"),
        (["C", "unobtainium", "X"], "'unobtainium', 'X', which is no"),
        ([], "species is empty: list at least one"),
    ],
)
def test_wrong_species_are_refused(species, message, water):
    with pytest.raises(ValueError, match=message):
        RadialSums(species=species).fit([water])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"r_cut": 0}, "'r_cut' parameter of RadialSums must be a float in the range"),
        ({"r_cut": -1.0}, "'r_cut'"),
        ({"r_cut": np.nan}, "'r_cut'"),
        ({"r_cut": np.inf}, "'r_cut'"),
        ({"r_cut": "5"}, "'r_cut'"),
        (
            {"handle_unknown": "skip"},
            "'handle_unknown' parameter of RadialSums must be a str",
        ),
        ({"species": "CHO"}, "'species' parameter"),
        ({"n_jobs": 1.5}, "'n_jobs' parameter"),
    ],
)
def test_wrong_parameters_are_refused_in_fit(params, message, water):
    with pytest.raises(ValueError, match=message):
        RadialSums(**params).fit([water])


def test_threads_give_the_same_bits():
    crystal = bulk("Cu", cubic=True).repeat((8, 8, 10))
    crystal.positions += np.random.default_rng(0).normal(size=(2560, 3), scale=0.1)
    one = RadialSums(r_cut=3.0, n_jobs=1).fit_transform([crystal])
    two = RadialSums(r_cut=3.0, n_jobs=2).fit_transform([crystal])
    np.testing.assert_array_equal(one.values, two.values)
    g = np.random.default_rng(1).normal(size=one.values.shape)
    np.testing.assert_array_equal(one.pullback(g), two.pullback(g))
    v = np.random.default_rng(2).normal(size=(one.pairs.n_pairs, 3))
    np.testing.assert_array_equal(one.pushforward(v), two.pushforward(v))


def test_pairs_beyond_the_radius_count_as_absent(frames):
    from skatom.neighbors import neighbor_pairs
    from skatom.structures import check_structures

    featurizer = RadialSums(r_cut=3.0).fit(frames)
    structures = check_structures(frames)
    wide = featurizer.transform_pairs(structures, neighbor_pairs(structures, 4.0))
    np.testing.assert_allclose(
        wide.values, featurizer.transform(frames).values, atol=1e-15
    )


def test_pandas_output_leaves_per_atom_features_alone(frames):
    featurizer = RadialSums().set_output(transform="pandas")
    assert isinstance(featurizer.fit_transform(frames), AtomFeatures)


# -- models --------------------------------------------------------------------------


def test_atomic_energies_sum_to_the_prediction(fitted):
    model, X = fitted
    sums = np.add.reduceat(model.predict_atoms(X), X.offsets[:-1])
    np.testing.assert_array_equal(model.predict(X), sums)


def test_the_gradient_is_the_slope_by_features(fitted):
    model, X = fitted
    step = 1e-3
    moved = AtomFeatures(X.values + step, X.offsets, X.numbers, X.structures, X.origin)
    slope = (model.predict_atoms(moved) - model.predict_atoms(X)) / step
    np.testing.assert_allclose(model.feature_gradient(X).sum(axis=1), slope, rtol=1e-8)


def test_a_frame_gives_labels_to_the_model(frames):
    X = RadialSums().fit_transform([labelled(a) for a in frames])
    labels = MeanPlane().fit(X, np.arange(8.0)).labels_
    assert labels.has_forces.all()
    assert MeanPlane(forces=None).fit(X, np.arange(8.0)).labels_ is None


def test_forces_given_to_fit_come_before_those_of_the_frames(water):
    X = RadialSums().fit_transform([labelled(water)])
    given = np.full((3, 3), 7.0)
    labels = MeanPlane().fit(X, [0.0], forces=[given]).labels_
    np.testing.assert_array_equal(labels.forces, given)


@pytest.mark.parametrize("name", ["forces", "stress"])
def test_plain_rows_cannot_be_trained_on_derivatives(name):
    with pytest.raises(ValueError, match=f"{name} cannot be trained on plain numbers"):
        MeanPlane().fit(np.ones((3, 2)), np.ones(3), **{name: [None] * 3})


def test_features_of_another_width_are_refused(fitted, frames):
    model, _ = fitted
    other = RadialSums(etas=(1.0,)).fit_transform(frames)
    with pytest.raises(
        ValueError, match="X has 3 features per atom, but MeanPlane was"
    ):
        model.predict(other)


def test_species_that_the_model_did_not_see_are_named(frames):
    featurizer = RadialSums(species=["H", "C", "O", "Cu"]).fit(frames)
    model = MeanPlane().fit(featurizer.transform(frames), np.arange(8.0))
    X = featurizer.transform([frames[0], molecule("CH4")])
    with pytest.raises(
        ValueError, match="Structure 1, atom 0 is C, but MeanPlane knows"
    ):
        model.predict(X)


def test_features_that_are_not_finite_are_named(fitted):
    model, X = fitted
    values = X.values.copy()
    values[4, 0] = np.nan
    broken = AtomFeatures(values, X.offsets, X.numbers, X.structures, X.origin)
    with pytest.raises(ValueError, match="Features of atom 1 of structure 1 are NaN"):
        model.predict(broken)


def test_a_model_of_atoms_does_not_predict_rows(fitted):
    model, X = fitted
    with pytest.raises(
        ValueError, match="fitted on atoms and cannot predict plain rows"
    ):
        model.predict(np.zeros((2, X.shape[1])))


@pytest.mark.parametrize(
    "as_", [list, Structures, lambda f: pd.Series(f, dtype=object)]
)
def test_structures_in_place_of_features_are_refused_with_the_remedy(as_, frames):
    with pytest.raises(TypeError, match="MeanPlane takes features, and X holds struct"):
        MeanPlane().fit(as_(frames), np.arange(8.0))


def test_a_model_of_rows_does_not_predict_atoms(fitted):
    _, X = fitted
    model = MeanPlane().fit(np.ones((3, X.shape[1])), np.ones(3))
    with pytest.raises(
        ValueError, match="fitted on plain rows and cannot predict atoms"
    ):
        model.predict(X)


def test_a_fit_on_rows_leaves_no_trace_in_a_fit_on_atoms(fitted):
    _, X = fitted
    rows = pd.DataFrame(np.ones((3, 2)), columns=["a", "b"])
    model = MeanPlane().fit(rows, np.ones(3))
    assert model.n_features_in_ == 2
    model.fit(X, np.arange(8.0))
    assert not hasattr(model, "n_features_in_")
    assert not hasattr(model, "feature_names_in_")
    np.testing.assert_array_equal(
        model.predict(X), clone(model).fit(X, np.arange(8.0)).predict(X)
    )


def test_sums_over_atoms_follow_the_offsets():
    offsets = np.array([0, 2, 3])
    assert sum_atoms(np.array([1.0, 2.0, 4.0]), offsets).tolist() == [3.0, 4.0]
    assert sum_atoms(np.ones((3, 2)), offsets).tolist() == [[2, 2], [1, 1]]
    assert sum_atoms(np.ones((0, 2)), np.array([0])).shape == (0, 2)

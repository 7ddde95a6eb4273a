"""PerAtom against the transformer itself, and its derivatives."""

import pickle

import numpy as np
import pytest
from ase.build import molecule
from conftest import rattled
from radial import RadialSums
from sklearn.base import clone
from sklearn.cluster import FeatureAgglomeration
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.feature_selection import (
    SelectFromModel,
    SelectKBest,
    VarianceThreshold,
    f_regression,
)
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, QuantileTransformer, StandardScaler

from skatom.features import AtomFeatures, NoDerivativeError
from skatom.preprocessing import PerAtom


@pytest.fixture
def features():
    names = ["H2O", "CH4", "CH3OH", "C2H6", "H2O2"]
    return RadialSums().fit_transform([rattled(molecule(n)) for n in names])


def test_equals_the_transformer_on_the_rows_of_all_atoms(features):
    found = PerAtom(PCA(3)).fit(features).transform(features[1:3])
    expected = PCA(3).fit(features.values).transform(features[1:3].values)
    np.testing.assert_array_equal(found.values, expected)
    np.testing.assert_array_equal(found.offsets, features[1:3].offsets)
    assert found.structures is not None


@pytest.mark.parametrize("with_mean", [False, True])
@pytest.mark.parametrize("with_std", [False, True])
def test_scaling_is_bitwise_that_of_scikit_learn(features, with_mean, with_std):
    scaler = StandardScaler(with_mean=with_mean, with_std=with_std)
    found = PerAtom(scaler).fit_transform(features)
    expected = clone(scaler).fit_transform(features.values)
    np.testing.assert_array_equal(found.values, expected)
    found.values[:] = 0.0
    assert features.values.any()


def test_another_number_of_features_is_refused(features):
    fewer = RadialSums(etas=(1.0,)).fit_transform(features.structures)
    with pytest.raises(ValueError, match="X has 3 features, but StandardScaler"):
        PerAtom(StandardScaler()).fit(features).transform(fewer)


def test_by_species_fits_each_element_to_its_own_atoms(features):
    found = PerAtom(StandardScaler(), by_species=True).fit_transform(features)
    for z in (1, 6, 8):
        rows = features.numbers == z
        expected = StandardScaler().fit_transform(features.values[rows])
        np.testing.assert_array_equal(found.values[rows], expected)


@pytest.mark.parametrize("by_species", [False, True])
@pytest.mark.parametrize(
    "transformer",
    [StandardScaler(), PCA(3), Normalizer(), make_pipeline(StandardScaler(), PCA(2))],
    ids=lambda t: type(t).__name__,
)
def test_derivatives_agree_with_each_other(features, transformer, by_species):
    Y = PerAtom(transformer, by_species=by_species).fit_transform(features)
    rng = np.random.default_rng(0)
    v = rng.normal(size=(Y.pairs.n_pairs, 3))
    g = rng.normal(size=Y.values.shape)
    np.testing.assert_allclose(
        np.sum(Y.pullback(g) * v), np.sum(g * Y.pushforward(v)), rtol=1e-10
    )
    J, one = Y.jacobian(2), Y[2]
    v = rng.normal(size=(one.pairs.n_pairs, 3))
    expected = np.zeros(one.values.shape)
    np.add.at(expected, one.pairs.centers, np.einsum("pa,pan->pn", v, J))
    np.testing.assert_allclose(one.pushforward(v), expected, atol=1e-10)


def test_targets_of_atoms_are_the_energy_of_the_structure_per_atom(features):
    y = np.array([-14.0, -24.0, -30.0, -40.0, -18.0])
    step = PerAtom(SelectKBest(f_regression, k=4)).fit(features, y)
    per_atom = (y / features.n_atoms)[features.structure_index]
    expected = SelectKBest(f_regression, k=4).fit(features.values, per_atom)
    np.testing.assert_array_equal(
        step.transformers_["all"].get_support(), expected.get_support()
    )


def test_names_are_those_of_the_transformer(features):
    names = features.feature_names
    scaled = PerAtom(StandardScaler()).fit(features)
    assert list(scaled.get_feature_names_out(names)) == names
    assert list(scaled.transform(features).feature_names) == names
    assert list(PerAtom(PCA(2)).fit(features).get_feature_names_out()) == [
        "pca0",
        "pca1",
    ]


def test_names_are_numbered_where_species_select_differently(features):
    y = np.arange(5.0)
    step = PerAtom(SelectKBest(f_regression, k=2), by_species=True).fit(features, y)
    assert list(step.get_feature_names_out(features.feature_names)) == [
        "selectkbest0",
        "selectkbest1",
    ]


@pytest.mark.parametrize("container", ["default", "pandas"])
def test_set_output_leaves_features_of_atoms_alone(features, container):
    step = PerAtom(StandardScaler()).set_output(transform=container)
    found = step.fit_transform(features)
    assert isinstance(found, AtomFeatures)
    assert isinstance(found.values, np.ndarray)
    assert found.pullback(found.values).shape == (found.pairs.n_pairs, 3)
    assert clone(step).fit_transform(features.values).shape == features.values.shape


def test_a_transformer_that_works_in_place_leaves_its_input_alone(features):
    before = features.values.copy()
    PerAtom(StandardScaler(copy=False)).fit_transform(features)
    np.testing.assert_array_equal(features.values, before)


def test_nested_parameters_clone_and_pickle(features):
    step = PerAtom(StandardScaler()).set_params(transformer__with_mean=False)
    assert clone(step).get_params()["transformer__with_mean"] is False
    step.fit(features)
    again = pickle.loads(pickle.dumps(step))
    np.testing.assert_array_equal(
        again.transform(features).values, step.transform(features).values
    )
    assert not hasattr(step.transformer, "scale_")


def test_nothing_in_nothing_out(features):
    assert PerAtom(PCA(2)).fit(features).transform(features[:0]).shape == (0, 2)


def test_a_fit_to_atoms_forgets_a_fit_to_rows(features):
    step = PerAtom(StandardScaler()).fit(np.ones((3, 2)))
    assert not hasattr(step.fit(features), "n_features_in_")


def test_an_element_not_seen_in_fit_is_named(features):
    step = PerAtom(StandardScaler(), by_species=True).fit(features[[1, 3]])
    with pytest.raises(
        ValueError, match=r"Structure 0, atom 0 is O, but PerAtom knows H, C only"
    ):
        step.transform(features[[0]])


def test_species_that_keep_different_numbers_of_columns_are_refused(features):
    with pytest.raises(ValueError, match=r"different numbers of features \(H: "):
        PerAtom(VarianceThreshold(1e-2), by_species=True).fit(features)


def test_a_matrix_has_no_species(features):
    step = PerAtom(StandardScaler(), by_species=True).fit(features)
    with pytest.raises(ValueError, match="cannot transform a plain matrix"):
        step.transform(features.values)


def test_what_is_no_transformer_is_refused(features):
    with pytest.raises(ValueError, match="'transformer' parameter of PerAtom"):
        PerAtom("standard").fit(features)


def test_a_transformer_without_derivative_still_gives_values(features):
    step = PerAtom(QuantileTransformer(n_quantiles=5)).fit(features)
    Y = step.transform(features)
    with pytest.raises(NoDerivativeError, match="QuantileTransformer"):
        Y.pullback(Y.values)


def test_agglomerated_columns_keep_their_names(features):
    step = PerAtom(FeatureAgglomeration(2)).fit(features)
    assert step.n_atom_features_ == 2
    assert len(step.get_feature_names_out()) == 2


def several_targets():
    features = RadialSums().fit_transform([molecule(n) for n in ("H2O", "CH4", "NH3")])
    rng = np.random.default_rng(0)
    return features, {
        "vectors": rng.normal(size=(3, 3)),
        "numbers of atoms": [rng.normal(size=n) for n in features.n_atoms],
        "not finite": [np.nan, 1.0, 2.0],
        "too few": [1.0],
        "words": ["a", "b", "c"],
    }


@pytest.mark.parametrize("name", several_targets()[1])
@pytest.mark.parametrize(
    "transformer", [StandardScaler(), make_pipeline(StandardScaler(), PCA(2))]
)
def test_targets_that_nobody_learns_from_are_not_looked_at(transformer, name):
    features, targets = several_targets()
    found = PerAtom(transformer).fit(features, targets[name]).transform(features)
    expected = PerAtom(transformer).fit(features).transform(features)
    np.testing.assert_array_equal(found.values, expected.values)


def test_atoms_learn_from_targets_of_their_own():
    features, targets = several_targets()
    own = targets["numbers of atoms"]
    step = PerAtom(SelectKBest(f_regression, k=2)).fit(features, own)
    expected = SelectKBest(f_regression, k=2).fit(features.values, np.concatenate(own))
    np.testing.assert_array_equal(
        step.transform(features).values, expected.transform(features.values)
    )


def test_columns_are_shared_out_among_atoms():
    features, targets = several_targets()
    step = PerAtom(PLSRegression(2)).fit(features, targets["vectors"])
    n = features.n_atoms
    y = np.repeat(targets["vectors"] / n[:, None], n, axis=0)
    expected = PLSRegression(2).fit(features.values, y).transform(features.values)
    np.testing.assert_allclose(step.transform(features).values, expected)


@pytest.mark.parametrize("name", ["not finite", "too few", "words"])
@pytest.mark.parametrize(
    "transformer",
    [SelectKBest(f_regression, k=2), SelectFromModel(LinearRegression())],
)
def test_targets_that_are_learned_from_are_checked(transformer, name):
    features, targets = several_targets()
    with pytest.raises(ValueError, match=r"y|convert"):
        PerAtom(transformer).fit(features, targets[name])

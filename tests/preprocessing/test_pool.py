"""Pool against sums written out, and its transpose."""

import numpy as np
import pandas as pd
import pytest
from ase.build import molecule
from conftest import rattled
from radial import RadialSums
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.features import AtomFeatures
from skatom.preprocessing import PerAtom, Pool

NAMES = ["H2O", "CH4", "CH3OH"]


@pytest.fixture
def features():
    return RadialSums().fit_transform([rattled(molecule(n)) for n in NAMES])


@pytest.mark.parametrize("method", ["sum", "mean"])
def test_pools_the_atoms_of_each_structure(features, method):
    rows = Pool(method).fit_transform(features)
    for s in range(3):
        expected = getattr(np, method)(features[s].values, axis=0)
        np.testing.assert_allclose(rows[s], expected, rtol=1e-14)


@pytest.mark.parametrize("method", ["sum", "mean"])
def test_by_species_pools_each_element_by_itself(features, method):
    pool = Pool(method, by_species=True).fit(features)
    assert pool.species_ == ["H", "C", "O"]
    rows = pool.transform(features).reshape(3, 3, -1)
    for s in range(3):
        one = features[s]
        for k, z in enumerate((1, 6, 8)):
            atoms = one.values[one.numbers == z]
            expected = getattr(np, method)(atoms, axis=0) if len(atoms) else 0.0
            np.testing.assert_allclose(rows[s, k], expected, rtol=1e-14)


def test_counts_are_numbers_of_atoms_or_shares(features):
    counts = Pool("sum", counts=True).fit_transform(features)[:, -3:]
    np.testing.assert_array_equal(counts, [[2, 0, 1], [4, 1, 0], [4, 1, 1]])
    shares = Pool("mean", counts=True).fit_transform(features)[:, -3:]
    np.testing.assert_allclose(shares, counts / [[3], [5], [6]])


@pytest.mark.parametrize("method", ["sum", "mean"])
@pytest.mark.parametrize("by_species", [False, True])
@pytest.mark.parametrize("counts", [False, True])
def test_pullback_is_the_transpose(features, method, by_species, counts):
    pool = Pool(method, by_species=by_species, counts=counts).fit(features)
    rng = np.random.default_rng(0)
    v = rng.normal(size=features.values.shape)
    moved = AtomFeatures(features.values + v, features.offsets, features.numbers)
    change = pool.transform(moved) - pool.transform(features)
    g = rng.normal(size=change.shape)
    np.testing.assert_allclose(
        np.sum(pool.pullback(features, g) * v), np.sum(g * change), rtol=1e-10
    )


def test_data_frames_carry_physical_names(features):
    pool = Pool(by_species=True, counts=True).set_output(transform="pandas")
    frame = pool.fit_transform(features)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns[[0, -1]]) == ["sum_H(G_H_eta0.1)", "n_O"]
    assert list(pool.get_feature_names_out()) == list(frame.columns)


def test_names_pass_through_a_pipeline():
    pipe = make_pipeline(RadialSums(), PerAtom(StandardScaler()), Pool("mean"))
    pipe.fit([molecule(n) for n in NAMES])
    assert pipe.get_feature_names_out()[0] == "mean(G_H_eta0.1)"


def test_names_of_another_number_of_features_are_refused(features):
    with pytest.raises(ValueError, match="equal to number of features"):
        Pool().fit(features).get_feature_names_out(["a"])


def test_elements_without_a_column_are_named(features):
    pool = Pool(by_species=True).fit(features[[1]])
    with pytest.raises(
        ValueError, match=r"Structure 0, atom 0 is O, but Pool knows H, C only"
    ):
        pool.transform(features)


def test_another_number_of_features_is_refused(features):
    other = RadialSums(etas=(1.0,)).fit_transform([molecule("H2O")])
    with pytest.raises(
        ValueError, match=r"X has 2 features per atom, but Pool .* with 9"
    ):
        Pool().fit(features).transform(other)


def test_wrong_method_is_refused(features):
    with pytest.raises(ValueError, match="'method' parameter of Pool"):
        Pool("max").fit(features)


def test_an_element_that_fit_did_not_see_is_warned_about(features):
    pool = Pool().fit(features[:2])  # water and methane
    pool.transform(features)  # elements of methanol are known
    with pytest.warns(UserWarning, match="atom 0 is C, but Pool was fitted on structu"):
        Pool().fit(features[:1]).transform(features)
    # also behind a featurizer that lists it
    frames = [rattled(molecule(n)) for n in NAMES]
    model = make_pipeline(RadialSums(species=["H", "C", "O"]), Pool(), Ridge())
    model.fit(frames[:1], [-1.0])
    with pytest.warns(UserWarning, match="learned nothing about it. Fit on structures"):
        model.predict(frames)

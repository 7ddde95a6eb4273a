"""The table of columns: names are written from it, and steps hand it on."""

import numpy as np
import pytest
from ase.build import molecule
from conftest import rattled
from radial import RadialSums
from sklearn.decomposition import PCA
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skatom.base import Column
from skatom.elements._channels import SpeciesChannels
from skatom.features import AtomFeatures
from skatom.features._columns import columns_out
from skatom.featurizers import ACSF, AEV, FCHL19, GMP, LMBTR, SOAP, WeightedACSF
from skatom.preprocessing import (
    AlchemicalCompression,
    AtomFeatureUnion,
    CachedFeaturizer,
    PerAtom,
    SelectFPS,
)
from skatom.store import FeatureStore

FRAMES = [rattled(molecule(name), seed=k) for k, name in enumerate(("CH3OH", "H2O"))]
SUMS = RadialSums(etas=(0.5, 2.0))


@pytest.mark.parametrize(
    ("featurizer", "place", "column"),
    [
        (ACSF(), 0, Column("G2", ("H",), ("eta2.42", "rs0.5"))),
        (AEV(), 48, Column("AEV", ("H", "H"), ("rs0.9", "theta0.19635"))),
        (FCHL19(), 73, Column("FCHL", ("H", "H"), ("R0.4", "sin1"))),
        (GMP(), 1, Column("GMP", (), ("order0", "sigma0.4"))),
        (SOAP(), 257, Column("SOAP", ("H", "C"), ("l0",), ("n0", "n5"))),
        (
            SOAP(compression="mu2"),
            1,
            Column("SOAP", ("all",) * 2, ("l0",), ("n0", "n1")),
        ),
        (WeightedACSF(), 0, Column("wG2", (), ("0", "eta13.7813", "rs0.5"))),
    ],
)
def test_a_featurizer_says_what_its_columns_are(featurizer, place, column):
    X = featurizer.fit_transform(FRAMES)
    assert X.columns[place] == column
    assert X.feature_names[place] == column.name
    assert [c.name for c in X.columns] == list(featurizer.get_feature_names_out())


def test_a_local_tensor_counts_the_centre_as_no_element():
    pytest.importorskip("dscribe")
    X = LMBTR("distance", n_grid=3).fit_transform(FRAMES)
    assert X.columns[3] == Column("distance", ("X", "H"), ("0.00",))
    assert SpeciesChannels.from_columns(X.columns).species == ["H", "C", "O"]


def test_steps_hand_on_the_columns_that_they_keep():
    known = set(SUMS.fit(FRAMES).columns())
    scaled = make_pipeline(SUMS, PerAtom(StandardScaler()), PerAtom(SelectFPS(3)))
    some = scaled.fit_transform(FRAMES).columns
    assert len(some) == 3
    assert set(some) < known
    mixed = make_pipeline(SUMS, PerAtom(PCA(2))).fit_transform(FRAMES)
    assert mixed.columns == [Column("pca0"), Column("pca1")]
    assert mixed.feature_names == ["pca0", "pca1"]


def test_products_of_columns_have_names_and_no_species():
    powers = PolynomialFeatures(2, include_bias=False)
    X = make_pipeline(SUMS, PerAtom(powers)).fit_transform(FRAMES)
    assert X.columns[:6] == SUMS.columns()
    assert X.columns[6] == Column("G_H_eta0.5^2")
    assert not any(column.species for column in X.columns[6:])
    assert [column.name for column in X.columns] == X.feature_names


def test_unions_keep_species_behind_their_prefix():
    both = FeatureUnion([("one", StandardScaler()), ("two", SelectFPS(1))])
    X = make_pipeline(SUMS, PerAtom(both)).fit_transform(FRAMES)
    assert X.columns[0] == Column("one__G", ("H",), ("eta0.5",))
    assert [column.name for column in X.columns] == X.feature_names
    union = AtomFeatureUnion([("near", SUMS), ("far", RadialSums(5.0))]).fit(FRAMES)
    assert columns_out(union)[-1] == Column("far__G", ("O",), ("eta2",))
    names = [column.name for column in columns_out(union)]
    assert names == list(union.get_feature_names_out())


@pytest.mark.parametrize(
    "featurizer",
    [
        SUMS,
        CachedFeaturizer(SUMS),
        make_pipeline(SUMS, PerAtom(StandardScaler())),
        make_pipeline(SUMS, PerAtom(PCA(2))),
    ],
    ids=["featurizer", "cached", "scaled", "mixed"],
)
def test_a_store_keeps_the_table(featurizer, tmp_path):
    X = featurizer.fit_transform(FRAMES)
    FeatureStore(tmp_path, featurizer).extend(FRAMES)
    stored = FeatureStore(tmp_path)
    assert stored.columns == X.columns == stored[:1].columns
    assert stored.feature_names == X.feature_names


def test_numbers_without_a_featurizer_have_names_only():
    X = AtomFeatures.from_rows(np.zeros((3, 2)))
    assert X.columns == [Column("x0"), Column("x1")]


def test_elements_of_any_featurizer_with_a_table_are_coupled():
    """No name is taken apart: this one has its species in the wrong place."""

    class Renamed(RadialSums):
        def columns(self):
            return [c._replace(kind=f"O_{c.kind}_C-H") for c in super().columns()]

    features = Renamed().fit_transform(FRAMES)
    step = AlchemicalCompression(3, init=np.eye(3)).fit(features)
    assert step.species_ == ["H", "C", "O"]
    assert step.transform(features).feature_names[3] == "O_G_C-H_J1_eta0.1"
    np.testing.assert_array_equal(step.transform(features).values, features.values)

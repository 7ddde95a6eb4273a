"""Composition: what it counts, what it knows of the elements, and its words."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from sklearn.linear_model import Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline

from skatom import predict_forces, predict_stress
from skatom.elements._properties import PROPERTIES
from skatom.featurizers import ACSF, Composition, CoulombMatrix
from skatom.preprocessing import Pool

FRAMES = [molecule("H2O"), molecule("CH4"), bulk("Cu")]


def test_fractions_and_counts_of_known_molecules():
    counts = Composition("counts").fit(FRAMES)
    assert counts.species_ == ["H", "C", "O", "Cu"]
    expected = np.array([[2, 0, 1, 0], [4, 1, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(counts.transform(FRAMES), expected)
    fractions = Composition().fit_transform(FRAMES)
    np.testing.assert_allclose(
        fractions, expected / expected.sum(axis=1, keepdims=True), rtol=1e-15
    )
    assert counts.get_feature_names_out().tolist() == ["n_H", "n_C", "n_O", "n_Cu"]


def test_fractions_of_a_supercell_are_those_of_its_cell():
    cell = bulk("NaCl", "rocksalt", a=5.6)
    one, many = Composition().fit_transform([cell, cell.repeat(2)])
    np.testing.assert_array_equal(one, many)


def test_statistics_of_water_worked_out_by_hand():
    names = ("number", "electronegativity", "group", "period")
    water = Composition("properties", properties=names).fit(FRAMES)
    row = dict(zip(water.get_feature_names_out(), water.transform(FRAMES)[0]))
    expected = {
        "mean_number": 10 / 3, "min_number": 1, "max_number": 8, "range_number": 7,
        "mean_electronegativity": (2 * 2.20 + 3.44) / 3, "min_electronegativity": 2.20,
        "max_electronegativity": 3.44, "range_electronegativity": 1.24,
        "mean_group": (1 + 1 + 16) / 3, "min_group": 1, "max_group": 16,
        "range_group": 15, "mean_period": (1 + 1 + 2) / 3, "min_period": 1,
        "max_period": 2, "range_period": 1,
    }  # fmt: skip
    assert row == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("symbol", "group", "period"),
    [("H", 1, 1), ("He", 18, 1), ("Be", 2, 2), ("B", 13, 2), ("Sc", 3, 4), ("Zn", 12, 4),
     ("La", 3, 6), ("Gd", 3, 6), ("Hf", 4, 6), ("Rn", 18, 6), ("U", 3, 7), ("Og", 18, 7)],
)  # fmt: skip
def test_places_in_the_periodic_table(symbol, group, period):
    z = Atoms(symbol).numbers[0]
    assert (PROPERTIES["group"][z], PROPERTIES["period"][z]) == (group, period)


@pytest.mark.parametrize(
    ("symbol", "value"),
    [("H", 2.20), ("F", 3.98), ("Cs", 0.79), ("Lu", 1.27), ("Hf", 1.30), ("Au", 2.54),
     ("Pb", 2.33), ("Rn", 2.20), ("Fr", 0.70), ("U", 1.38)],
)  # fmt: skip
def test_rows_of_the_table_of_electronegativities_are_in_place(symbol, value):
    assert PROPERTIES["electronegativity"][Atoms(symbol).numbers[0]] == value


def test_statistics_and_properties_can_be_chosen():
    chosen = Composition("properties", properties=["mass"], statistics=["max", "mean"])
    chosen.fit(FRAMES)
    assert chosen.get_feature_names_out().tolist() == ["max_mass", "mean_mass"]
    np.testing.assert_allclose(
        chosen.transform([molecule("O2")]), [[15.999, 15.999]], rtol=1e-12
    )


def test_properties_take_elements_that_fit_did_not_see():
    fitted = Composition("properties").fit(FRAMES)
    assert np.isfinite(fitted.transform([bulk("Au")])).all()


def test_unseen_elements_are_named():
    with pytest.raises(
        ValueError, match="Structure 1, atom 0 is Au, but Composition knows H"
    ):
        Composition().fit(FRAMES).transform([FRAMES[0], bulk("Au")])
    listed = Composition(species=["Au", "H"]).fit([bulk("Au")])
    np.testing.assert_array_equal(listed.transform([bulk("Au")]), [[0.0, 1.0]])


def test_elements_without_a_value_are_named():
    with pytest.raises(
        ValueError,
        match="Structure 1, atom 0 is Ar, but the table of electronegativity knows H,",
    ):
        Composition("properties").fit([FRAMES[0], Atoms("Ar")])
    with pytest.raises(
        ValueError, match="atom 0 is Og, but the table of covalent_radius"
    ):
        Composition("properties", properties=["covalent_radius"]).fit([Atoms("Og")])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"properties": ["masses"]}, "properties holds 'masses'.* Did you mean 'mass'"),
        ({"statistics": ["median"]}, "statistics holds 'median'; known are mean, min"),
        ({"properties": []}, "properties is empty: name at least one of number"),
        ({"statistics": []}, "statistics is empty: name at least one of mean"),
        ({"kind": "elements"}, "'kind' parameter of Composition must be"),
    ],
)
def test_wrong_options_are_named(params, words):
    with pytest.raises(ValueError, match=words):
        Composition(**{"kind": "properties"} | params).fit(FRAMES)


def test_forces_and_stress_beside_composition_are_those_of_the_other_features():
    crystals = [bulk("Cu", a=3.5).repeat(2), bulk("Cu", a=3.7), bulk("Ni", a=3.5)]
    for seed, atoms in enumerate(crystals):
        atoms.rattle(0.1, seed=seed)
    shape = make_pipeline(ACSF(r_cut=4.0, n_radial=4, g4=None), Pool("mean"))
    union = FeatureUnion([("shape", shape), ("what", Composition())])
    both = make_pipeline(union, Ridge()).fit(crystals, [1.0, 2.0, 4.0])
    alone = make_pipeline(shape, Ridge()).fit(crystals, [1.0, 2.0, 4.0])
    both[-1].coef_[:-2], both[-1].coef_[-2:] = alone[-1].coef_, 5.0
    for mine, other in zip(
        predict_forces(both, crystals), predict_forces(alone, crystals)
    ):
        np.testing.assert_allclose(mine, other, atol=1e-14)
    stress = predict_stress(alone, crystals)
    np.testing.assert_allclose(predict_stress(both, crystals), stress, atol=1e-14)
    assert np.abs(stress).max() > 1e-6


@pytest.mark.parametrize(
    "featurizer",
    [Composition(species=["H", "C", "O", "Cu"]), CoulombMatrix(n_atoms_max=5)],
)
def test_rows_of_elements_that_fit_did_not_see_are_warned_about(featurizer):
    model = make_pipeline(featurizer, Ridge()).fit(FRAMES[:1], [-1.0])
    model.predict(FRAMES[:1])
    with pytest.warns(
        UserWarning, match=r"Structure 1, atom 0 is C, but Co.* H, O only"
    ):
        model.predict(FRAMES[:2])

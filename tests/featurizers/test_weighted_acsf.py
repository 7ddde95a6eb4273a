"""WeightedACSF: values against the definition, derivatives, contract, messages."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import chemical_symbols

from skatom.featurizers import WeightedACSF, acsf_grid
from skatom.testing import check_featurizer

WEIGHTS = {
    "H": [1.0, 0.3], "C": [-0.5, 2.0], "O": [0.7, 1.0],
    "Na": [0.4, 1.2], "Cl": [1.0, -0.3],
}  # fmt: skip
ANGULAR = acsf_grid([0.05, 0.5], [1, 3, 4, 6, 2.5], [-1, 1])
KINDS = {
    "empirical": {},
    "all": {"weights": WEIGHTS, "g2": [[1, 0], [0.4, 2]], "g4": ANGULAR, "g5": ANGULAR},
    "tanh3": {"cutoff": "tanh3", "g2": "centered", "zetas": (1, 2)},
}


def ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def rock_salt():
    atoms = bulk("NaCl", "rocksalt", a=4.6) * (2, 1, 1)
    atoms.rattle(0.1, seed=2)
    return atoms


def cutoff_of(featurizer, r):
    x = np.minimum(np.asarray(r) / featurizer.r_cut, 1.0)
    if featurizer.cutoff == "tanh3":
        return np.tanh(1 - x) ** 3
    return 0.5 * (1 + np.cos(np.pi * x))


def by_definition(w, features):
    """Sums over neighbours and pairs of neighbours, function by function."""
    pairs, rows = features.pairs, []
    place = {s: k for k, s in enumerate(w.species_)}
    for i in range(pairs.n_atoms):
        near = slice(pairs.offsets[i], pairs.offsets[i + 1])
        vectors = pairs.vectors[near]
        numbers = pairs.numbers[pairs.neighbors[near]]
        of = w.weights_[[place[chemical_symbols[z]] for z in numbers]]
        r = np.linalg.norm(vectors, axis=1)
        side = np.linalg.norm(vectors[:, None] - vectors, axis=-1)
        cosine = vectors @ vectors.T / np.outer(r, r)
        both = np.triu(np.outer(cutoff_of(w, r), cutoff_of(w, r)), k=1)
        row = []
        for weight in of.T:
            for eta, r_s in w.g2_:
                terms = weight * np.exp(-eta * (r - r_s) ** 2) * cutoff_of(w, r)
                row.append(terms.sum())
        for kind, functions in (("g4", w.g4_), ("g5", w.g5_)):
            for weight in of.T:
                for eta, zeta, sign in functions:
                    terms = both * np.outer(weight, weight) * 2 ** (1 - zeta)
                    terms = terms * np.maximum(1 + sign * cosine, 0.0) ** zeta
                    terms = terms * np.exp(-eta * np.add.outer(r**2, r**2))
                    if kind == "g4":
                        terms = terms * np.exp(-eta * side**2) * cutoff_of(w, side)
                    row.append(terms.sum())
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("atoms", [ethanol(), rock_salt()], ids=["ethanol", "NaCl"])
def test_values_equal_the_definition(atoms, kind):
    w = WeightedACSF(**KINDS[kind])
    features = w.fit_transform([atoms])
    expected = by_definition(w, features)
    # moments square sums from which the terms j = k are taken off again
    scale = np.abs(expected).max()
    np.testing.assert_allclose(features.values, expected, atol=1e-13 * scale)
    assert scale > 1.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("atoms", [ethanol(), rock_salt()], ids=["ethanol", "NaCl"])
def test_derivatives_equal_differences_and_each_other(atoms, kind):
    w = WeightedACSF(**KINDS[kind])
    features = w.fit_transform([atoms])
    rng = np.random.default_rng(0)
    g = rng.normal(size=features.values.shape)
    v = rng.normal(size=features.pairs.vectors.shape)

    def moved(h):
        pairs = replace(features.pairs, vectors=features.pairs.vectors + h * v)
        return w.transform_pairs(features.structures, pairs).values

    pushed, pulled = features.pushforward(v), features.pullback(g)
    scale = np.abs(pushed).max()
    errors = [
        np.abs((moved(h) - moved(-h)) / (2 * h) - pushed).max() for h in (1e-3, 1e-4)
    ]
    assert scale > 0.1
    # second order: a tenth of the step has a hundredth of the error
    assert errors[1] < 0.02 * errors[0]
    assert errors[1] < 1e-6 * scale
    # one bilinear form in three ways, to rounding of its terms
    total = np.abs(pulled * v).sum()
    assert np.sum(pulled * v) == pytest.approx(np.sum(pushed * g), abs=1e-13 * total)
    contracted = np.einsum(
        "pxf,pf->px", features.jacobian(0), g[features.pairs.centers]
    )
    np.testing.assert_allclose(contracted, pulled, atol=1e-13 * total)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"g2": "centered", "g4": "auto", "zetas": (1, 5)}, {"zetas": (1, 2, 3, 4)}],
    ids=["empirical", "with r_jk", "high moments"],
)
def test_weighted_acsf_meets_the_contract_of_featurizers(parameters):
    check_featurizer(WeightedACSF(**parameters))


def test_empirical_scheme_is_that_of_schnetpack():
    w = WeightedACSF(r_cut=5.0).fit([ethanol()])
    assert w.n_atom_features_ == 32
    spacing = 4.0 / 21
    np.testing.assert_allclose(w.g2_[:, 1], 0.5 + spacing * np.arange(22))
    np.testing.assert_allclose(w.g2_[:, 0], 0.5 / spacing**2)
    widths = np.array([1.0, 1.875, 2.75, 3.625, 4.5])
    np.testing.assert_allclose(np.unique(w.g5_[:, 0])[::-1], 0.5 / widths**2)
    assert {tuple(row) for row in w.g5_[:, 1:]} == {(1.0, -1.0), (1.0, 1.0)}
    assert not len(w.g4_)
    centred = WeightedACSF(r_cut=5.0, g2="centered").fit([ethanol()])
    widths = np.linspace(1.0, 4.5, 22)
    np.testing.assert_allclose(
        centred.g2_, np.stack([0.5 / widths**2, 0 * widths], axis=1)
    )


def test_water_is_as_worked_out_by_hand():
    r, theta, r_cut = 0.97, np.deg2rad(104.0), 4.0
    places = [[0, 0, 0], [r, 0, 0], [r * np.cos(theta), r * np.sin(theta), 0]]
    w = WeightedACSF(r_cut, g2=[[0.3, 0.4]], g4=[[0.1, 2, 1]], g5=[[0.2, 2, -1]])
    hydrogen_seen_from_oxygen = w.fit_transform([Atoms("OH2", places)]).values[0]
    side = 2 * r * np.sin(theta / 2)
    f, f_side = 0.5 * (1 + np.cos(np.pi * np.array([r, side]) / r_cut))
    expected = [
        2 * np.exp(-0.3 * (r - 0.4) ** 2) * f,
        0.5 * (1 + np.cos(theta)) ** 2
        * np.exp(-0.1 * (2 * r**2 + side**2)) * f**2 * f_side,
        0.5 * (1 - np.cos(theta)) ** 2 * np.exp(-0.4 * r**2) * f**2,
    ]  # fmt: skip
    np.testing.assert_allclose(hydrogen_seen_from_oxygen, expected, rtol=1e-13)
    # oxygen weighs 8, hydrogen 1
    seen_from_hydrogen = w.transform([Atoms("OH2", places)]).values[1, 0]
    one, other = (
        np.exp(-0.3 * (d - 0.4) ** 2) * 0.5 * (1 + np.cos(np.pi * d / r_cut))
        for d in (r, side)
    )
    assert seen_from_hydrogen == pytest.approx(8 * one + other, rel=1e-13)


def test_number_of_features_does_not_depend_on_the_elements():
    many = [bulk("Cu"), bulk("Fe"), bulk("W"), molecule("SiCl4")]
    together = WeightedACSF(g4="auto").fit(many)
    alone = WeightedACSF(g4="auto").fit(many[:1])
    assert together.n_atom_features_ == alone.n_atom_features_ == 42
    np.testing.assert_array_equal(
        together.transform(many[:1]).values, alone.transform(many[:1]).values
    )


def test_embedding_as_an_array_equals_the_same_rows_in_a_dict():
    atoms = ethanol()
    rows = [WEIGHTS[s] for s in ("H", "C", "O")]
    from_array = WeightedACSF(weights=rows).fit_transform([atoms])
    from_dict = WeightedACSF(weights=WEIGHTS).fit_transform([atoms])
    np.testing.assert_array_equal(from_array.values, from_dict.values)
    one = {s: row[1] for s, row in WEIGHTS.items()}
    second = WeightedACSF(weights=one).fit_transform([atoms])
    names = from_dict.feature_names
    columns = [k for k, name in enumerate(names) if name.split("_")[1] == "1"]
    np.testing.assert_allclose(second.values, from_dict.values[:, columns], atol=1e-14)


def test_one_hot_weights_give_the_columns_of_equal_elements():
    from skatom.featurizers import ACSF

    atoms = ethanol()
    w = WeightedACSF(weights=np.eye(3), g2=None, g5=ANGULAR[:4])
    acsf = ACSF(5.0, g2=None, g4=None, g5=ANGULAR[:4]).fit([atoms])
    blocks = acsf.transform([atoms]).values.reshape(len(atoms), 6, 4)
    expected = blocks[:, [0, 3, 5]].reshape(len(atoms), -1)
    values = w.fit_transform([atoms]).values
    # moments of order one, whose own terms are taken off again
    np.testing.assert_allclose(values, expected, atol=1e-13)


def test_pairs_beyond_the_cutoff_count_for_nothing():
    from skatom.neighbors import neighbor_pairs

    atoms = ethanol()
    w = WeightedACSF(**{**KINDS["all"], "r_cut": 2.5}).fit([atoms])
    features = w.transform([atoms])
    pairs = neighbor_pairs(features.structures, 5.0)
    assert pairs.n_pairs > features.pairs.n_pairs
    wide = w.transform_pairs(features.structures, pairs)
    # the same neighbours may come in another order, so sums differ by rounding
    np.testing.assert_allclose(wide.values, features.values, atol=1e-13)
    g = np.random.default_rng(0).normal(size=features.values.shape)
    far = np.linalg.norm(pairs.vectors, axis=1) >= 2.5
    assert not wide.pullback(g)[far].any()
    assert not wide.jacobian(0)[far].any()
    assert not w.pushforward(pairs, pairs.vectors * far[:, None]).any()


def test_values_and_slopes_vanish_at_the_cutoff():
    w = WeightedACSF(3.0, g4="auto").fit([Atoms("H3")])
    for gap in (1e-3, 1e-6, 0.0):
        atoms = Atoms("H3", [[0, 0, 0], [1.0, 0.5, 0], [-3.0 + gap, 0, 0]])
        features, near = w.transform([atoms]), w.transform([atoms[:2]])
        last = np.isclose(features.pairs.vectors[:, 0], -3.0 + gap)
        # the cosine ends like (1 - x)^2, with prefactors below 20; moments round
        change = np.abs(features.values[0] - near.values[0]).max()
        assert change <= 20 * gap**2 + 1e-15
        assert np.abs(features.jacobian(0)[last]).max(initial=0.0) <= 20 * gap


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"weights": {"H": 1.0}}, "weights has no entry for C, O"),
        (
            {"weights": {"H": 1.0, "C": [1, 2], "O": 1}},
            "equally many for every element",
        ),
        ({"weights": [[1.0], [2.0]]}, r"weights has shape \(2, 1\); expected a row"),
        ({"weights": [1.0, 2.0, 3.0]}, r"weights has shape \(3,\); expected a row"),
        ({"weights": [[1.0], [np.inf], [2.0]]}, "weights of C are not finite"),
        ({"weights": "numbers"}, "'weights' parameter of WeightedACSF must be"),
        ({"g2": None, "g5": None}, "g2, g4 and g5 are all empty"),
        ({"g5": [[1, 0.5, 1]]}, "Row 0 of g5 .* zeta must be at least 1"),
        ({"zetas": (0.5,)}, r"g5 \(from zetas\) .* zeta must be at least 1"),
        ({"g2": [[-1.0, 0.0]]}, "Row 0 of g2 .* eta must not be negative"),
        ({"g2": "centered", "r_cut": 1.5}, 'g2="centered" .* leaves no room for them'),
        ({"r_cut": 1.0}, 'g2="auto" places functions.* r_cut=1 Å leaves no room'),
    ],
)
def test_wrong_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        WeightedACSF(**parameters).fit([ethanol()])

"""ACSF: values against DScribe and by hand, derivatives against differences."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from skatom.featurizers import ACSF, acsf_grid

G2 = acsf_grid([0.05, 2.0], [0.0, 1.5])
G4 = acsf_grid([0.01, 0.1], [1, 2, 7], [-1, 1])
FUNCTIONS = {"g2": G2, "g4": G4, "g5": G4}
CUTOFFS = ["cosine", "polynomial", "tanh3"]


def ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def rock_salt():
    atoms = bulk("NaCl", "rocksalt", a=5.6) * (2, 1, 1)
    atoms.rattle(0.1, seed=2)
    return atoms


def dscribe_columns(n_species, n_g2, n_g4, n_g5):
    """Columns of DScribe in our order: it has G1 first, and pairs 00 01 11 02 12 22."""
    g2 = [a * (n_g2 + 1) + 1 + q for a in range(n_species) for q in range(n_g2)]
    begin, n_angular = n_species * (n_g2 + 1), n_g4 + n_g5
    angular = []
    for first, count in ((0, n_g4), (n_g4, n_g5)):
        for a in range(n_species):
            for b in range(a, n_species):
                start = begin + (b * (b + 1) // 2 + a) * n_angular + first
                angular += range(start, start + count)
    return np.array(g2 + angular)


@pytest.mark.peer
@pytest.mark.parametrize("atoms", [ethanol(), rock_salt()], ids=["ethanol", "NaCl"])
def test_values_equal_those_of_dscribe(atoms):
    dscribe = pytest.importorskip("dscribe.descriptors")
    acsf = ACSF(r_cut=5.0, **FUNCTIONS).fit([atoms])
    peer = dscribe.ACSF(
        species=acsf.species_,
        r_cut=5.0,
        g2_params=G2.tolist(),
        g4_params=G4.tolist(),
        g5_params=G4.tolist(),
        periodic=bool(atoms.pbc.all()),
    )
    columns = dscribe_columns(len(acsf.species_), len(G2), len(G4), len(G4))
    expected = peer.create(atoms)[:, columns]
    # both sum a few hundred terms of order one in float64
    np.testing.assert_allclose(
        acsf.transform([atoms]).values, expected, rtol=0, atol=1e-12
    )
    assert expected.max() > 1.0


@pytest.mark.parametrize("cutoff", CUTOFFS)
@pytest.mark.parametrize("atoms", [ethanol(), rock_salt()], ids=["ethanol", "NaCl"])
def test_pushforward_equals_central_differences(atoms, cutoff):
    acsf = ACSF(r_cut=4.0, cutoff=cutoff, **FUNCTIONS).fit([atoms])
    features = acsf.transform([atoms])
    pairs = features.pairs
    v = np.random.default_rng(0).normal(size=pairs.vectors.shape)
    tangent = features.pushforward(v)
    errors = []
    for h in (1e-3, 1e-4):
        plus, minus = moved(features, h * v), moved(features, -h * v)
        errors.append(np.abs((plus - minus) / (2 * h) - tangent).max())
    scale = np.abs(tangent).max()
    assert scale > 0.1
    # second order: a tenth of the step has a hundredth of the error
    assert errors[1] < 0.02 * errors[0]
    assert errors[1] < 1e-6 * scale


def moved(features, change):
    from dataclasses import replace

    pairs = replace(features.pairs, vectors=features.pairs.vectors + change)
    featurizer = features.steps[0]
    return featurizer.transform_pairs(features.structures, pairs).values


@pytest.mark.parametrize("cutoff", CUTOFFS)
@pytest.mark.parametrize("atoms", [ethanol(), rock_salt()], ids=["ethanol", "NaCl"])
def test_pullback_and_jacobian_are_the_pushforward_seen_from_the_other_side(
    atoms, cutoff
):
    acsf = ACSF(r_cut=5.0, cutoff=cutoff, **FUNCTIONS).fit([atoms])
    features = acsf.transform([atoms])
    rng = np.random.default_rng(0)
    g = rng.normal(size=features.values.shape)
    v = rng.normal(size=features.pairs.vectors.shape)
    pulled, pushed = features.pullback(g), features.pushforward(v)
    # one bilinear form in three ways, to rounding of its terms
    assert np.sum(pulled * v) == pytest.approx(np.sum(pushed * g), rel=1e-11)
    jacobian = features.jacobian(0)
    centres = features.pairs.centers
    np.testing.assert_allclose(
        np.einsum("pxf,pf->px", jacobian, g[centres]), pulled, rtol=0, atol=1e-11
    )


def test_triple_of_atoms_is_as_worked_out_by_hand():
    r, theta, r_cut = 1.2, np.deg2rad(70.0), 3.0
    atoms = Atoms(
        "CH2",
        [[0, 0, 0], [r, 0, 0], [r * np.cos(theta), r * np.sin(theta), 0]],
    )
    side = 2 * r * np.sin(theta / 2)

    def f(x):
        return 0.5 * (1 + np.cos(np.pi * x / r_cut))

    acsf = ACSF(r_cut, g2=[[0.3, 0.4]], g4=[[0.1, 3, -1]], g5=[[0.1, 2.5, 1]])
    values = acsf.fit_transform([atoms]).values[0]
    names = list(acsf.get_feature_names_out())
    expected = {
        "G2_H_eta0.3_rs0.4": 2 * np.exp(-0.3 * (r - 0.4) ** 2) * f(r),
        "G4_H-H_eta0.1_zeta3_lambda-1": 2.0**-2
        * (1 - np.cos(theta)) ** 3
        * np.exp(-0.1 * (2 * r**2 + side**2))
        * f(r) ** 2
        * f(side),
        "G5_H-H_eta0.1_zeta2.5_lambda1": 2.0**-1.5
        * (1 + np.cos(theta)) ** 2.5
        * np.exp(-0.1 * 2 * r**2)
        * f(r) ** 2,
    }
    for name, value in zip(names, values):
        assert value == pytest.approx(expected.get(name, 0.0), rel=1e-14), name
    assert set(expected) <= set(names)


def test_pairs_beyond_the_cutoff_count_for_nothing():
    from skatom.neighbors import neighbor_pairs

    atoms = ethanol()
    acsf = ACSF(r_cut=2.5, **FUNCTIONS).fit([atoms])
    features = acsf.transform([atoms])
    pairs = neighbor_pairs(features.structures, 5.0)
    assert pairs.n_pairs > features.pairs.n_pairs
    # the same neighbours may come in another order, so sums differ by rounding
    wide = acsf.transform_pairs(features.structures, pairs)
    np.testing.assert_allclose(wide.values, features.values, rtol=0, atol=1e-13)
    g = np.random.default_rng(0).normal(size=features.values.shape)
    far = np.linalg.norm(pairs.vectors, axis=1) >= 2.5
    pulled = wide.pullback(g)
    assert not pulled[far].any()
    assert not wide.jacobian(0)[far].any()
    assert not acsf.pushforward(pairs, pairs.vectors * far[:, None]).any()
    np.testing.assert_allclose(
        pairs.forces(pulled),
        features.pairs.forces(features.pullback(g)),
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_values_and_slopes_vanish_at_the_cutoff(cutoff):
    acsf = ACSF(r_cut=3.0, cutoff=cutoff, **FUNCTIONS)
    acsf.fit([Atoms("H3")])
    for gap in (1e-3, 1e-6, 0.0):
        atoms = Atoms("H3", [[0, 0, 0], [1.0, 0.5, 0], [-3.0 + gap, 0, 0]])
        values = acsf.transform([atoms])
        near = acsf.transform([atoms[:2]])
        change = np.abs(values.values[0] - near.values[0]).max()
        last = np.isclose(values.pairs.vectors[:, 0], -3.0 + gap)
        slope = np.abs(values.jacobian(0)[last]).max(initial=0.0)
        # all three cutoffs end like (1 - x)^2 or faster, with prefactors below 20
        assert change <= 20 * gap**2
        assert slope <= 20 * gap


def test_atom_without_neighbours_has_zero_features_and_no_pairs():
    features = ACSF(r_cut=3.0).fit_transform([Atoms("H", cell=[9, 9, 9], pbc=True)])
    assert features.values.shape[0] == 1
    assert not features.values.any()
    assert features.pullback(np.ones_like(features.values)).shape == (0, 3)


def test_many_triples_of_one_kind_are_all_counted():
    # 86 neighbours and 1,800 triples of one kind: many blocks, full and partial
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True)
    small = ACSF(r_cut=6.0, g2=None, g4=G4).fit_transform([atoms])
    pairs = small.pairs
    r = pairs.vectors[: pairs.offsets[1]]
    sides = np.linalg.norm(r[:, None] - r[None], axis=-1)
    d = np.linalg.norm(r, axis=1)

    def f(x):
        return np.where(x < 6.0, 0.5 * (1 + np.cos(np.pi * x / 6.0)), 0.0)

    cos = r @ r.T / np.outer(d, d)
    for column, (eta, zeta, sign) in enumerate(G4):
        terms = 2 ** (1 - zeta) * (1 + sign * cos) ** zeta * np.outer(f(d), f(d))
        terms = terms * f(sides)
        terms *= np.exp(-eta * (d[:, None] ** 2 + d[None] ** 2 + sides**2))
        expected = np.triu(terms, k=1).sum()
        assert small.values[0, column] == pytest.approx(expected, rel=1e-12)


def test_columns_do_not_depend_on_the_order_of_parameters():
    atoms = ethanol()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(G4))[:7]  # not a full grid any more
    full = ACSF(5.0, g2=None, g4=G4).fit([atoms])
    some = ACSF(5.0, g2=None, g4=G4[order]).fit([atoms])
    names = list(full.get_feature_names_out())
    columns = [names.index(name) for name in some.get_feature_names_out()]
    expected = full.transform([atoms]).values[:, columns]
    np.testing.assert_allclose(
        some.transform([atoms]).values, expected, rtol=0, atol=1e-14
    )


def test_features_are_invariant_to_rotation_and_order_of_atoms():
    atoms = ethanol()
    acsf = ACSF(r_cut=5.0).fit([atoms])
    values = acsf.transform([atoms]).values
    turned = atoms.copy()
    turned.rotate(71.0, (1, 2, 3))
    turned.translate([100.0, -30.0, 7.0])
    order = np.random.default_rng(0).permutation(len(atoms))
    moved_values = acsf.transform([turned[order]]).values
    # positions of order 100 carry 1e-14 of rounding, slopes are of order ten
    np.testing.assert_allclose(moved_values, values[order], rtol=0, atol=1e-11)


def test_features_of_a_supercell_repeat_those_of_the_cell():
    atoms = rock_salt()
    acsf = ACSF(r_cut=6.0).fit([atoms])
    values = acsf.transform([atoms]).values
    repeated = acsf.transform([atoms.repeat((2, 2, 1))]).values
    np.testing.assert_allclose(repeated, np.tile(values, (4, 1)), rtol=0, atol=1e-11)


def test_default_scheme_follows_the_cutoff():
    acsf = ACSF(r_cut=4.0, n_radial=5, n_angular=2, zetas=(1, 3)).fit([Atoms("H")])
    spacing = (3.5 - 0.5) / 4
    np.testing.assert_allclose(acsf.g2_[:, 1], 0.5 + spacing * np.arange(5))
    np.testing.assert_allclose(acsf.g2_[:, 0], 0.5 / spacing**2)
    np.testing.assert_allclose(np.unique(acsf.g4_[:, 0]), [0.5 / 3.5**2, 0.5])
    assert len(acsf.g4_) == 2 * 2 * 2
    assert len(acsf.g5_) == 0


def test_default_scheme_is_the_same_in_units_of_the_cutoff():
    atoms = ethanol()
    plain = ACSF(r_cut=4.0).fit_transform([atoms]).values
    scaled = ACSF(r_cut=4.0, eta_scale="rc2").fit_transform([atoms]).values
    np.testing.assert_allclose(scaled, plain, rtol=1e-12, atol=1e-14)


def test_names_tell_close_parameters_apart():
    acsf = ACSF(g2=[[0.1, 0], [0.1 + 1e-9, 0]], g4=None).fit([Atoms("H")])
    assert len(set(acsf.get_feature_names_out())) == 2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"g2": [[-1.0, 0.0]]}, "Row 0 of g2 .* eta must not be negative"),
        ({"g2": [[np.nan, 0.0]]}, "Row 0 of g2 .* must be finite"),
        ({"g2": [[1.0, 0.0, 1.0]]}, r"g2 must hold rows of \(eta, r_s\); its shape"),
        ({"g2": [["a", "b"]]}, r"g2 must hold rows of \(eta, r_s\), all numbers"),
        ({"g4": [[1, 0.5, 1]]}, "Row 0 of g4 .* zeta must be at least 1"),
        ({"g5": [[1, 2, 1], [1, 2, 0.5]]}, "Row 1 of g5 .* lambda must be -1 or 1"),
        ({"g4": [[1, 2, 1], [2, 2, 1], [1, 2, 1]]}, "Row 2 of g4, .* stands there"),
        ({"zetas": (0.5,)}, r"g4 \(from zetas\) .* zeta must be at least 1"),
        ({"g2": None, "g4": None}, "g2, g4 and g5 are all empty"),
        ({"g2": [], "g4": None}, "g2, g4 and g5 are all empty"),
        ({"cutoff": "cosin"}, "'cutoff' parameter of ACSF must be"),
        ({"cutoff_gamma": 0.0}, "'cutoff_gamma' parameter of ACSF must be"),
    ],
)
def test_wrong_parameters_are_refused_with_the_row(parameters, message):
    with pytest.raises(ValueError, match=message):
        ACSF(**parameters).fit([Atoms("H")])


@pytest.mark.parametrize("r_cut", [0.8, 1.0, 1.5])
def test_auto_refuses_a_radius_without_room_for_its_functions(r_cut):
    with pytest.raises(ValueError, match=r"leaves no room.*larger r_cut"):
        ACSF(r_cut=r_cut).fit([molecule("H2O")])
    rows = {"g2": [[4.0, 0.0]], "g4": None}
    assert ACSF(r_cut=r_cut, **rows).fit_transform([molecule("H2O")]).shape == (1, 2)

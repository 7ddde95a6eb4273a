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
    np.testing.assert_allclose(acsf.transform([atoms]).values, expected, atol=1e-12)
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
        np.einsum("pxf,pf->px", jacobian, g[centres]), pulled, atol=1e-11
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

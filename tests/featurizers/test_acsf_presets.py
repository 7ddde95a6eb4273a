"""Presets: each against the package itself, or its documented formula in plain NumPy."""

from itertools import combinations

import numpy as np
import pytest
from ase.build import molecule
from numpy.testing import assert_allclose

from skatom.featurizers import acsf_grid
from skatom.featurizers.acsf_presets import (
    amp_acsf,
    amptorch_acsf,
    dscribe_acsf,
    dscribe_order,
    ml4chem_acsf,
)

# Sums of a few hundred float64 terms; the requirement is the definition, not the digits.
TOLERANCE = 1e-10


def ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def cosine(r, r_cut):
    return np.where(r < r_cut, 0.5 * (1 + np.cos(np.pi * r / r_cut)), 0.0)


def polynomial(r, r_cut, gamma=4.0):
    x = r / r_cut
    return np.where(x < 1, 1 + gamma * x ** (gamma + 1) - (gamma + 1) * x**gamma, 0.0)


def plain(atoms, i, r_cut, species, g2, angular, with_r_jk, f):
    """The documented sums, one atom: eta in 1/Å², each pair of neighbours once."""
    symbols, positions = atoms.get_chemical_symbols(), atoms.positions
    others = [j for j in range(len(atoms)) if j != i]
    r = {j: np.linalg.norm(positions[j] - positions[i]) for j in others}
    radial = {
        (a, q): sum(
            np.exp(-eta * (r[j] - r_s) ** 2) * f(r[j], r_cut)
            for j in others
            if symbols[j] == a
        )
        for a in species
        for q, (eta, r_s) in enumerate(g2)
    }
    pairs = [(a, b) for n, a in enumerate(species) for b in species[n:]]
    angles = {(pair, q): 0.0 for pair in pairs for q in range(len(angular))}
    for j, k in combinations(others, 2):
        pair = tuple(sorted((symbols[j], symbols[k]), key=species.index))
        a, b = positions[j] - positions[i], positions[k] - positions[i]
        cos, side = a @ b / (r[j] * r[k]), np.linalg.norm(a - b)
        for q, (eta, zeta, sign) in enumerate(angular):
            term = 2 ** (1 - zeta) * (1 + sign * cos) ** zeta
            term *= np.exp(-eta * (r[j] ** 2 + r[k] ** 2)) * f(r[j], r_cut)
            term *= f(r[k], r_cut)
            if with_r_jk:
                term *= np.exp(-eta * side**2) * f(side, r_cut)
            angles[pair, q] += term
    return np.array([*radial.values(), *angles.values()])


def check(acsf, g2, angular, with_r_jk, f=cosine):
    atoms = ethanol()
    values = acsf.fit_transform([atoms]).values
    for i in (0, 2, 5):
        expected = plain(atoms, i, acsf.r_cut, acsf.species_, g2, angular, with_r_jk, f)
        assert_allclose(values[i], expected, rtol=0, atol=TOLERANCE)
    assert values.min() < 0.1 < values.max()


ETAS = np.array([0.05, 0.2320794416806389, 1.0772173450159417, 5.0])
ANGULAR = acsf_grid([0.005], [1, 4], [1, -1])


@pytest.mark.parametrize(
    ("name", "f"), [("cosine", cosine), ("polynomial", polynomial)]
)
def test_amp_divides_eta_by_the_square_of_the_cutoff(name, f):
    scale = 6.5**2
    g2 = [(eta / scale, 0.0) for eta in ETAS]
    check(amp_acsf(cutoff=name), g2, ANGULAR / [scale, 1, 1], True, f)


@pytest.mark.parametrize(("angular_type", "with_r_jk"), [("G3", True), ("G4", False)])
def test_ml4chem_g3_is_g4_of_behler_and_its_g4_is_g5(angular_type, with_r_jk):
    scale = 6.5**2
    g2 = [(eta / scale, 0.0) for eta in ETAS]
    acsf = ml4chem_acsf(angular_type=angular_type)
    check(acsf, g2, ANGULAR / [scale, 1, 1], with_r_jk)


def test_ml4chem_without_normalisation_takes_eta_as_it_is():
    acsf = ml4chem_acsf(normalized=False)
    check(acsf, [(eta, 0.0) for eta in ETAS], ANGULAR, True)


def test_ml4chem_refuses_behlers_g5():
    with pytest.raises(ValueError, match="its G4 is Behler's G5"):
        ml4chem_acsf(angular_type="G5")


def test_amptorch_scales_g4():
    g2 = [(eta / 36.0, 0.0) for eta in ETAS]
    check(amptorch_acsf(), g2, ANGULAR / [36.0, 1, 1], True)


def test_amptorch_does_not_scale_g5():
    acsf = amptorch_acsf(5.0, g4=None, g5=((0.05,), (1, 4), (1, -1)))
    g2 = [(eta / 25.0, 0.0) for eta in ETAS]
    check(acsf, g2, acsf_grid([0.05], [1, 4], [1, -1]), False)


@pytest.mark.peer
def test_dscribe_preset_has_the_columns_of_dscribe():
    dscribe = pytest.importorskip("dscribe.descriptors")
    atoms = ethanol()
    g2, g4 = [(1.0, 0.5), (0.2, 0.0)], [(0.1, 2, 1), (0.01, 1, -1)]
    g5 = [(0.3, 4, -1)]
    acsf = dscribe_acsf(5.0, g2, g4, g5).fit([atoms])
    peer = dscribe.ACSF(
        species=acsf.species_, r_cut=5.0, g2_params=g2, g4_params=g4, g5_params=g5
    )
    values = acsf.transform([atoms]).values[:, dscribe_order(acsf)]
    assert_allclose(values, peer.create(atoms), rtol=0, atol=1e-12)

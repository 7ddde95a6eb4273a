"""SOAP: pushforward against differences; pullback and Jacobian against it."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk, molecule

from skatom.featurizers import SOAP
from skatom.structures import check_structures

OPTIONS = {
    "default": {},
    "few": {"n_max": 3, "l_max": 2, "cutoff": "cosine", "cutoff_width": 2.0},
    "many": {"n_max": 9, "l_max": 3, "radial_basis": "polynomial"},
    "spherical": {"n_max": 5, "l_max": 0, "center_weight": 0.3},
    "power": {"n_max": 4, "l_max": 4, "weighting": "power", "weighting_radius": 2.0},
    "cubic": {"n_max": 4, "l_max": 1, "weighting": "cubic", "cutoff_width": 9.0},
    "mu2": {"n_max": 4, "l_max": 3, "compression": "mu2"},
    "mu1nu1": {"n_max": 10, "l_max": 2, "compression": "mu1nu1"},
    "crossover": {"n_max": 4, "l_max": 3, "compression": "crossover"},
    "coupled": {"n_max": 4, "l_max": 3, "species_weights": [[1, 0.5], [0, -2]]},
}


def water():
    atoms = molecule("H2O")
    atoms.rattle(0.1, seed=1)
    return atoms


def brass():
    """Two species in a small skewed cell, every neighbour met several times."""
    atoms = bulk("Cu", cubic=True, a=3.7)
    atoms.symbols[1] = "Zn"
    atoms.set_cell(atoms.cell.array @ [[1, 0.2, 0], [0, 1, 0.3], [0, 0, 1]], True)
    atoms.rattle(0.1, seed=3)
    return atoms


STRUCTURES = {"water": water(), "brass": brass()}


def shifted(features, change):
    pairs = replace(features.pairs, vectors=features.pairs.vectors + change)
    return features.steps[0].transform_pairs(features.structures, pairs).values


@pytest.fixture(params=STRUCTURES)
def atoms(request):
    return STRUCTURES[request.param]


@pytest.fixture(params=OPTIONS)
def soap(request, atoms):
    return SOAP(**{"r_cut": 4.0, **OPTIONS[request.param]}).fit([atoms])


def test_pushforward_equals_central_differences(soap, atoms):
    features = soap.transform([atoms])
    v = np.random.default_rng(0).normal(size=features.pairs.vectors.shape)
    tangent = features.pushforward(v)
    errors = []
    for h in (1e-3, 1e-4):
        plus, minus = shifted(features, h * v), shifted(features, -h * v)
        errors.append(np.abs((plus - minus) / (2 * h) - tangent).max())
    scale = np.abs(tangent).max()
    assert scale > 0.1
    # second order: a tenth of the step has a hundredth of the error
    assert errors[1] < 0.02 * errors[0]
    assert errors[1] < 1e-6 * scale


def test_pullback_and_jacobian_are_the_pushforward_seen_from_the_other_side(
    soap, atoms
):
    features = soap.transform([atoms])
    rng = np.random.default_rng(0)
    g = rng.normal(size=features.values.shape)
    v = rng.normal(size=features.pairs.vectors.shape)
    pulled, pushed = features.pullback(g), features.pushforward(v)
    # one bilinear form in three ways, to rounding of its terms
    assert np.sum(pulled * v) == pytest.approx(np.sum(pushed * g), rel=1e-11)
    jacobian, centres = features.jacobian(0), features.pairs.centers
    scale = np.abs(pulled).max()
    np.testing.assert_allclose(
        np.einsum("pxf,pf->px", jacobian, g[centres]), pulled, atol=1e-13 * scale
    )


def test_forces_and_stress_are_the_slopes_of_a_sum_of_features(atoms):
    soap = SOAP(4.0, n_max=4, l_max=3).fit([atoms])
    features = soap.transform([atoms])
    w = np.random.default_rng(0).normal(size=soap.n_atom_features_)
    gradient = features.pullback(np.tile(w, (len(atoms), 1)))
    forces = features.pairs.forces(gradient)
    virial = features.pairs.virial(gradient, np.array([0, len(atoms)]))[0]
    step = 1e-4

    def energy(change):
        return (soap.transform([change]).values @ w).sum()

    def slope(move):
        return (energy(move(step)) - energy(move(-step))) / (2 * step)

    def push(h):
        moved = atoms.copy()
        moved.positions[1, 2] += h
        return moved

    def strain(h):
        moved = atoms.copy()
        shape = np.eye(3) + h * np.array([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]])
        moved.set_cell(moved.cell.array @ shape)
        moved.positions = moved.positions @ shape
        return moved

    scale = np.abs(forces).max()
    assert -slope(push) == pytest.approx(forces[1, 2], abs=1e-6 * scale)
    assert np.abs(forces.sum(axis=0)).max() < 1e-12 * scale
    assert slope(strain) == pytest.approx(virial[0, 1], abs=1e-6 * np.abs(virial).max())


def test_lone_atoms_have_no_derivatives():
    soap = SOAP(n_max=3, l_max=2).fit([water()])
    features = soap.transform(check_structures([water()[:1]]))
    assert features.pullback(np.ones_like(features.values)).shape == (0, 3)
    assert not features.pushforward(np.empty((0, 3))).any()


def test_ten_elements_pull_back_as_differences_do():
    atoms = bulk("Cu", "fcc", a=4.2, cubic=True) * (2, 2, 1)
    atoms.rattle(0.2, seed=1)
    species = ["H", "C", "N", "O", "F", "Na", "Cl", "Cu", "Zn", "Br"]
    atoms.symbols = [species[k % 10] for k in range(len(atoms))]
    features = SOAP(4.0, n_max=3, l_max=3).fit_transform([atoms])
    rng = np.random.default_rng(0)
    g = rng.normal(size=features.values.shape)
    v = rng.normal(size=features.pairs.vectors.shape)
    h = 1e-4
    change = (shifted(features, h * v) - shifted(features, -h * v)) / (2 * h)
    found = np.sum(features.pullback(g) * v)
    assert found == pytest.approx(np.sum(change * g), rel=1e-6)

"""Numbers of atoms of each species, and energies fitted to them."""

import numpy as np
from ase.build import bulk, molecule

from skatom.elements._counts import fit_composition, species_counts
from skatom.featurizers import GMP
from skatom.structures import check_structures

FRAMES = check_structures(
    [molecule("H2O"), bulk("Cu"), molecule("CH4"), molecule("O2")]
)


def test_atoms_are_counted_by_species_in_any_order_and_strangers_are_not():
    expected = [[1, 2], [0, 0], [0, 4], [2, 0]]
    np.testing.assert_array_equal(species_counts(FRAMES, [8, 1]), expected)
    features = GMP().fit_transform(FRAMES)
    np.testing.assert_array_equal(species_counts(features, [8, 1]), expected)
    assert species_counts(FRAMES[:0], [8, 1]).shape == (0, 2)
    assert species_counts(FRAMES, np.empty(0, dtype=int)).shape == (4, 0)


def test_energies_of_species_are_weighted_least_squares_of_smallest_norm():
    y, weights = np.array([-10.0, -3.0, -20.0, -9.0]), np.array([1.0, 1.0, 4.0, 0.0])
    numbers = np.array([1, 6, 8, 29])
    energies = fit_composition(FRAMES, y, weights, numbers)
    # the structure without weight says nothing: three equations for four energies
    rows = species_counts(FRAMES, numbers)[:3]
    np.testing.assert_allclose(rows @ energies, y[:3], rtol=1e-12)
    np.testing.assert_allclose(energies, np.linalg.pinv(rows) @ y[:3], rtol=1e-10)

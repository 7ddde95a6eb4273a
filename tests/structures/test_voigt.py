"""Stress and derivatives by a strain are turned into each other, in ASE's order."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from skatom.structures._voigt import stress_of, to_full, to_voigt, virials_of, volumes


def test_a_left_handed_cell_has_a_positive_volume_and_a_molecule_none():
    crystal = bulk("Cu", cubic=True)
    mirrored = crystal.copy()
    mirrored.set_cell(crystal.cell.array[[1, 0, 2]])
    found = volumes([crystal, mirrored, molecule("H2O")])
    assert found.tolist() == pytest.approx([3.61**3, 3.61**3, 0.0])


def test_voigt_order_is_that_of_ase():
    full = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])
    assert to_voigt(full).tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert to_full(to_voigt(full)).tolist() == full.tolist()


def test_stress_and_virials_of_several_cells_are_inverse():
    frames = [bulk("Cu", cubic=True), bulk("Au").repeat(2)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
    stress = np.array([atoms.get_stress() for atoms in frames])
    virials = virials_of(stress, frames)
    by_hand = frames[1].get_volume() * frames[1].get_stress(voigt=False)
    np.testing.assert_allclose(virials[1], by_hand, rtol=1e-12)
    np.testing.assert_allclose(stress_of(virials, frames), stress, rtol=1e-12)

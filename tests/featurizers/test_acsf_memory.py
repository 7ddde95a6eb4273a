"""ACSF of up to a hundred thousand atoms: memory grows with pairs, never with atoms²."""

import tracemalloc

import numpy as np
import pytest
from ase.build import bulk

from skatom.featurizers import ACSF


def peak_of_values_and_forces(n_cells):
    """Peak memory in bytes, and number of atoms, of a copper crystal."""
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True) * (n_cells, n_cells, n_cells)
    atoms.rattle(0.05, seed=0)
    acsf = ACSF(4.0, g2=[[1.0, 2.0]], g4=[[0.01, 1, 1]], g5=[[0.01, 2, -1]])
    acsf.fit([atoms])
    tracemalloc.start()
    features = acsf.transform([atoms])
    forces = features.pairs.forces(features.pullback(np.ones_like(features.values)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert forces.shape == (len(atoms), 3)
    return peak, len(atoms)


@pytest.mark.slow
def test_memory_is_linear_up_to_a_hundred_thousand_atoms():
    peak_of_values_and_forces(2)  # what is compiled and imported does not count
    peaks = [peak_of_values_and_forces(n_cells) for n_cells in (6, 13, 29)]
    per_atom = [peak / n_atoms for peak, n_atoms in peaks]
    assert peaks[-1][1] > 97_000
    # 18 neighbours: list, vectors, their gradients and what sorting them takes, in a few
    # copies; one array of (n_atoms, n_atoms) bytes would be 97 kB an atom
    assert per_atom[-1] < 18 * 200
    # a share that grows with n_atoms would be more than a hundredfold
    assert per_atom[-1] < 1.05 * per_atom[0]

"""Ways to write the same structure differently, and what they do to atoms."""

from __future__ import annotations

import numpy as np
from ase import Atoms

FAR_IN_ANGSTROM = 1e4


def rotation_matrix(seed: int = 0) -> np.ndarray:
    """Random proper rotation, shape (3, 3), to be multiplied from the right."""
    rng = np.random.default_rng(seed)
    matrix = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return matrix * np.linalg.det(matrix)


def rotated(atoms: Atoms) -> Atoms:
    """Rotate positions and cell."""
    return _mapped(atoms, rotation_matrix())


def inverted(atoms: Atoms) -> Atoms:
    """Invert positions and cell through the origin."""
    return _mapped(atoms, -np.eye(3))


def translated(atoms: Atoms) -> Atoms:
    """Move all atoms by the same vector of 1e4 Å."""
    atoms = atoms.copy()
    atoms.positions += FAR_IN_ANGSTROM * rotation_matrix(1)[0]
    return atoms


def order(atoms: Atoms) -> np.ndarray:
    """Permutation of the atoms, the same whenever it is asked for."""
    return np.random.default_rng(2).permutation(len(atoms))


def permuted(atoms: Atoms) -> Atoms:
    """List the atoms in another order."""
    return atoms[order(atoms)]


def unwrapped(atoms: Atoms) -> Atoms:
    """Move every atom by cell vectors of its own, in periodic directions."""
    atoms = atoms.copy()
    turns = np.random.default_rng(3).integers(-3, 4, (len(atoms), 3)) * atoms.pbc
    atoms.positions += turns @ atoms.cell.array
    return atoms


def left_handed(atoms: Atoms) -> Atoms:
    """Reverse one periodic cell vector, which leaves the lattice as it is."""
    atoms, cell = atoms.copy(), atoms.cell.array.copy()
    first = np.argmax(atoms.pbc)
    cell[first] = -cell[first]
    atoms.set_cell(cell)
    return atoms


def skewed(atoms: Atoms) -> Atoms:
    """Add twice one periodic cell vector to another, if there is another."""
    atoms, cell = atoms.copy(), atoms.cell.array.copy()
    first, last = np.flatnonzero(atoms.pbc)[[0, -1]]
    if first != last:
        cell[first] += 2 * cell[last]
    atoms.set_cell(cell)
    return atoms


def repeated(atoms: Atoms) -> Atoms:
    """Supercell, doubled in every periodic direction; copies of the cell one by one."""
    return atoms.repeat(tuple(np.where(atoms.pbc, 2, 1)))


def _mapped(atoms: Atoms, matrix: np.ndarray) -> Atoms:
    atoms = atoms.copy()
    atoms.set_cell(atoms.cell.array @ matrix)
    atoms.positions = atoms.positions @ matrix
    return atoms

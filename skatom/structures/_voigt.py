"""Volumes of cells, and stress as full tensors and in Voigt order xx yy zz yz xz xy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress as to_voigt
from ase.stress import voigt_6_to_full_3x3_stress as to_full


def has_volume(atoms: Atoms) -> bool:
    """Whether stress is defined: a cell of three vectors, periodic along one or more.

    A slab has the volume of its box, as in ASE's calculators and cell filters.
    """
    return bool(atoms.pbc.any()) and atoms.cell.rank == 3


def volumes(structures: Sequence[Atoms]) -> np.ndarray:
    """Give the volume of every cell in Å³, 0 where a cell has none."""
    return np.array([atoms.cell.volume for atoms in structures])


def stress_of(virials: np.ndarray, structures: Sequence[Atoms]) -> np.ndarray:
    """Turn derivatives by a strain, (n_structures, 3, 3) in eV, into stress, (.., 6)."""
    return to_voigt(virials / volumes(structures)[:, None, None])


def virials_of(stress: np.ndarray, structures: Sequence[Atoms]) -> np.ndarray:
    """Turn stress, (n_structures, 6), into derivatives by a strain, (.., 3, 3) in eV."""
    return to_full(stress) * volumes(structures)[:, None, None]

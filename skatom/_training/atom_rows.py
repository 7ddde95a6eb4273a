"""Which atoms make which structures: all that targets are read by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skatom.structures import Structures


@dataclass(frozen=True, eq=False)
class AtomRows:
    """Atoms of some structures, one after the other.

    Attributes
    ----------
    offsets : ndarray of int64, shape (n_structures + 1,)
        First atom of each structure.
    numbers : ndarray of int64, shape (n_atoms,)
        Atomic numbers; zeros where rows are not atoms.
    structures : Structures or None
        None where rows are not atoms, or only counted.
    """

    offsets: np.ndarray
    numbers: np.ndarray
    structures: Structures | None = None

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.offsets) - 1

    @property
    def n_atoms(self) -> np.ndarray:
        """Number of atoms of each structure, shape (n_structures,)."""
        return np.diff(self.offsets)

    @property
    def structure_index(self) -> np.ndarray:
        """Structure of each atom, shape (n_atoms,)."""
        return np.repeat(np.arange(len(self)), self.n_atoms)

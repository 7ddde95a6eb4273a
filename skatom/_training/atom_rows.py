"""Which atoms make which structures, and sums over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skatom.base import sum_atoms
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


@dataclass(frozen=True, eq=False)
class ArrayAtoms:
    """Atoms of some structures as kinds of targets read them, in NumPy.

    `skatom._training.readouts.TensorAtoms` is the same in torch.

    Attributes
    ----------
    offsets : ndarray of int64, shape (n_structures + 1,)
    unit : float or ndarray of shape (n_shares,)
        Unit of training, of what is said of atoms.
    positions : ndarray of shape (n_atoms, 3) or None
    charges : ndarray of shape (n_structures,) or None
    """

    offsets: np.ndarray
    unit: np.ndarray | float = 1.0
    positions: np.ndarray | None = None
    charges: np.ndarray | None = None

    @property
    def n_atoms(self) -> np.ndarray:
        """Number of atoms of each structure, shape (n_structures,)."""
        return np.diff(self.offsets)

    def row(self, numbers: tuple[float, ...]) -> np.ndarray:
        """Give constants as they meet rows of numbers."""
        return np.array(numbers)

    def spread(self, of_structures: np.ndarray) -> np.ndarray:
        """Give every atom what belongs to its structure."""
        return np.repeat(of_structures, self.n_atoms, axis=0)

    def shared(self, shares: np.ndarray) -> np.ndarray:
        """Divide by the number of atoms of the structure."""
        return shares / self.spread(self.n_atoms)[:, None]

    def total(self, shares: np.ndarray) -> np.ndarray:
        """Sum over the atoms of each structure."""
        return sum_atoms(shares, self.offsets)

    def largest(self, shares: np.ndarray) -> np.ndarray:
        """Give the largest over the atoms of each structure."""
        if len(self.offsets) < 2:
            return shares[:0]
        return np.maximum.reduceat(shares, self.offsets[:-1], axis=0)

    def softmax(self, shares: np.ndarray) -> np.ndarray:
        """Give weights that add up to one in every structure."""
        powers = np.exp((shares - self.spread(self.largest(shares))) / self.unit)
        return powers / self.spread(self.total(powers))

    def length(self, vectors: np.ndarray) -> np.ndarray:
        """Give the lengths of vectors, (n, 1)."""
        return np.linalg.norm(vectors, axis=1, keepdims=True)

    def in_order(self, shares: np.ndarray) -> np.ndarray:
        """Give numbers of atoms in the order of the structures."""
        return shares

"""Neighbour pairs of several featurizers, one set after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skatom.neighbors import NeighborPairs


@dataclass(frozen=True, eq=False)
class JoinedPairs:
    """Pairs of several featurizers, one set after the other; sums act on each set."""

    sets: tuple[NeighborPairs, ...]

    @property
    def n_atoms(self) -> int:
        """Number of atoms, the same in every set."""
        return self.sets[0].n_atoms

    @property
    def n_pairs(self) -> int:
        """Number of pairs of all sets together."""
        return sum(pairs.n_pairs for pairs in self.sets)

    @property
    def numbers(self) -> np.ndarray:
        """Atomic numbers, shape (n_atoms,)."""
        return self.sets[0].numbers

    @property
    def centers(self) -> np.ndarray:
        """Flat index of the centre of every pair, shape (n_pairs,)."""
        return np.concatenate([pairs.centers for pairs in self.sets])

    @property
    def neighbors(self) -> np.ndarray:
        """Flat index of the neighbour of every pair, shape (n_pairs,)."""
        return np.concatenate([pairs.neighbors for pairs in self.sets])

    @property
    def vectors(self) -> np.ndarray:
        """Vectors from centre to neighbour in Å, shape (n_pairs, 3)."""
        return np.concatenate([pairs.vectors for pairs in self.sets])

    def forces(self, gradient: np.ndarray) -> np.ndarray:
        """Sum the pair gradient onto atoms, as :meth:`NeighborPairs.forces`."""
        return sum(pairs.forces(g) for pairs, g in self._split(gradient))

    def forces_transpose(self, cotangent: np.ndarray) -> np.ndarray:
        """Apply the transpose of :meth:`forces`."""
        return np.concatenate([p.forces_transpose(cotangent) for p in self.sets])

    def virial(self, gradient: np.ndarray, atom_offsets: np.ndarray) -> np.ndarray:
        """Sum the strain derivative, as :meth:`NeighborPairs.virial`."""
        return sum(p.virial(g, atom_offsets) for p, g in self._split(gradient))

    def virial_transpose(
        self, cotangent: np.ndarray, atom_offsets: np.ndarray
    ) -> np.ndarray:
        """Apply the transpose of :meth:`virial`."""
        return np.concatenate(
            [p.virial_transpose(cotangent, atom_offsets) for p in self.sets]
        )

    def _split(self, gradient: np.ndarray):
        edges = np.cumsum([pairs.n_pairs for pairs in self.sets])[:-1]
        return zip(self.sets, np.split(gradient, edges))

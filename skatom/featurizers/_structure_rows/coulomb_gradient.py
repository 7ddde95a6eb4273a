"""Derivatives of Z_i Z_j / r_ij by the vectors between the atoms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skatom.neighbors import NeighborPairs
from skatom.structures import Structures


def all_pairs(structures: Structures) -> NeighborPairs:
    """Pairs of all atoms of each molecule, neighbours in the order of the atoms."""
    offsets, sizes = structures.offsets, structures.n_atoms
    neighbors = [
        np.broadcast_to(first + np.arange(n), (n, n))[~np.eye(n, dtype=bool)]
        for first, n in zip(offsets, sizes)
    ]
    counts = np.repeat(sizes - 1, sizes)
    row_offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    j = np.concatenate([np.zeros(0, dtype=np.int64), *neighbors])
    positions = np.concatenate([np.zeros((0, 3)), *[a.positions for a in structures]])
    vectors = positions[j] - np.repeat(positions, counts, axis=0)
    shifts = np.zeros((len(j), 3), dtype=np.int32)
    return NeighborPairs(row_offsets, j, vectors, shifts, structures.numbers)


def slopes(pairs: NeighborPairs) -> np.ndarray:
    """Differentiate Z_i Z_j / r_ij by r_ij, shape (n_pairs, 3)."""
    z = pairs.numbers
    r = np.linalg.norm(pairs.vectors, axis=1)
    return -(z[pairs.centers] * z[pairs.neighbors] / r**3)[:, None] * pairs.vectors


@dataclass(frozen=True, eq=False)
class CoulombOrigin:
    """Origin of rows of atoms: each pair of atoms stands behind one entry.

    Attributes
    ----------
    step : CoulombMatrix
    pairs : NeighborPairs
        All pairs of atoms of each molecule.
    columns : ndarray of int64, shape (n_pairs,)
        Column of the entry of each pair, in the row of its centre.
    offsets : ndarray of int64, shape (n_structures + 1,)
        First atom of each molecule.
    """

    step: object
    pairs: NeighborPairs
    columns: np.ndarray
    offsets: np.ndarray

    @property
    def steps(self) -> tuple:
        """The featurizer alone."""
        return (self.step,)

    @property
    def feature_names(self) -> Sequence[str]:
        """The featurizer's names."""
        return self.step.get_feature_names_out()

    def pullback(self, g: np.ndarray) -> np.ndarray:
        """Carry (n_atoms, n_features) to (n_pairs, 3)."""
        return slopes(self.pairs) * g[self.pairs.centers, self.columns][:, None]

    def pushforward(self, v: np.ndarray) -> np.ndarray:
        """Carry (n_pairs, 3) to (n_atoms, n_features)."""
        out = np.zeros((self.pairs.n_atoms, self.step.n_atoms_max_))
        out[self.pairs.centers, self.columns] = np.sum(slopes(self.pairs) * v, axis=1)
        return out

    def jacobian(self) -> np.ndarray:
        """Give d values / d vectors, (n_pairs, 3, n_features)."""
        out = np.zeros((self.pairs.n_pairs, 3, self.step.n_atoms_max_))
        out[np.arange(len(out)), :, self.columns] = slopes(self.pairs)
        return out

    def of_structures(self, keep: np.ndarray) -> CoulombOrigin:
        """Select structures."""
        edges = self.pairs.offsets[self.offsets]
        parts = [self.columns[edges[s] : edges[s + 1]] for s in keep]
        sizes = self.offsets[keep + 1] - self.offsets[keep]
        return CoulombOrigin(
            self.step,
            self.pairs.of_structures(keep, self.offsets),
            np.concatenate([np.zeros(0, dtype=np.int64), *parts]),
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        )

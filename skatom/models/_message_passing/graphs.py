"""Batches of structures as graphs: atoms, and every pair of neighbours once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from skatom.models._message_passing.pair_products import Pairs
from skatom.neighbors import NeighborPairs


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """Input of a network that passes messages. Its length is the number of structures.

    A pair stands here once, not once for each of its ends: what depends on the distance
    alone is computed half as often. Pairs of an atom with its own periodic image count,
    too.

    Attributes
    ----------
    numbers : Tensor of int64, shape (n_atoms,)
        Atomic numbers.
    owner : Tensor of int64, shape (n_atoms,)
        Structure of every atom.
    vectors : Tensor of shape (n_pairs, 3)
        From the first atom of a pair to the second, in Å. All that the energy depends on;
        its derivative by these gives forces and stress.
    pairs : Pairs
        The two atoms of every pair, and sums over neighbours.
    n_structures : int
    """

    numbers: Tensor
    owner: Tensor
    vectors: Tensor
    pairs: Pairs
    n_structures: int

    @classmethod
    def of(
        cls, pairs: NeighborPairs, atom_offsets: np.ndarray, dtype: torch.dtype, device
    ) -> GraphBatch:
        """Take the neighbour pairs of some structures.

        Parameters
        ----------
        pairs : NeighborPairs
        atom_offsets : ndarray of int64, shape (n_structures + 1,)
            First atom of each structure.
        dtype : torch.dtype
        device : str or torch.device
        """
        n_structures = len(atom_offsets) - 1
        centers = pairs.centers
        once = np.flatnonzero(_stands_first(centers, pairs))
        owner = np.repeat(np.arange(n_structures), np.diff(atom_offsets))
        return cls(
            numbers=torch.from_numpy(pairs.numbers).to(device, torch.int64),
            owner=torch.from_numpy(owner).to(device),
            vectors=torch.from_numpy(pairs.vectors[once]).to(device, dtype),
            pairs=Pairs(
                torch.from_numpy(centers[once]).to(device),
                torch.from_numpy(pairs.neighbors[once]).to(device),
                pairs.n_atoms,
            ),
            n_structures=n_structures,
        )

    def __len__(self) -> int:
        """Return the number of structures."""
        return self.n_structures

    def distances(self) -> Tensor:
        """Measure every pair, in Å, shape (n_pairs,)."""
        return self.vectors.square().sum(1).sqrt()

    def movable(self) -> GraphBatch:
        """Copy with vectors that energies can be differentiated by."""
        return replace(self, vectors=self.vectors.detach().requires_grad_(True))

    def sum_atoms(self, values: Tensor) -> Tensor:
        """Sum what atoms carry over each structure."""
        zeros = values.new_zeros((self.n_structures, *values.shape[1:]))
        return zeros.index_add(0, self.owner, values)

    def forces(self, gradient: Tensor) -> Tensor:
        """Sum dE/dvectors onto atoms: -dE/dR, shape (n_atoms, 3)."""
        return self.pairs.scatter(gradient, -gradient)

    def virials(self, gradient: Tensor) -> Tensor:
        """Sum r (x) dE/dr over each structure: dE/d(strain), (n_structures, 3, 3)."""
        outer = self.vectors[:, :, None] * gradient[:, None, :]
        owner = self.owner[self.pairs.first]
        virial = outer.new_zeros((self.n_structures, 3, 3)).index_add(0, owner, outer)
        return 0.5 * (virial + virial.transpose(1, 2))


def _stands_first(centers: np.ndarray, pairs: NeighborPairs) -> np.ndarray:
    """Choose one of the two directions of every pair."""
    x, y, z = pairs.shifts.T
    forward = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    neighbors = pairs.neighbors
    return (neighbors > centers) | ((neighbors == centers) & forward)

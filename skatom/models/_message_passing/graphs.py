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
    n_atoms : Tensor of shape (n_structures,)
    vectors : Tensor of shape (n_pairs, 3)
        From the first atom of a pair to the second, in Å. All that the energy depends on;
        its derivative by these gives forces and stress.
    pairs : Pairs
        The two atoms of every pair, and sums over neighbours.
    has_forces, has_virials : bool
        Whether forces are asked for, and virials with them.
    positions : Tensor of shape (n_atoms, 3) or None
    charges : Tensor of shape (n_structures, n_heads) or None
        Of whole structures, for dipoles.
    """

    numbers: Tensor
    owner: Tensor
    n_atoms: Tensor
    vectors: Tensor
    pairs: Pairs
    has_forces: bool = False
    has_virials: bool = False
    positions: Tensor | None = None
    charges: Tensor | None = None

    @classmethod
    def of(
        cls,
        pairs: NeighborPairs,
        atom_offsets: np.ndarray,
        dtype: torch.dtype,
        device: str = "cpu",
        *,
        has_forces: bool = False,
        has_virials: bool = False,
        positions: np.ndarray | None = None,
        charges: np.ndarray | None = None,
    ) -> GraphBatch:
        """Take the neighbour pairs of some structures.

        Parameters
        ----------
        pairs : NeighborPairs
        atom_offsets : ndarray of int64, shape (n_structures + 1,)
            First atom of each structure.
        dtype : torch.dtype
        device : str
        has_forces, has_virials, positions, charges
            As the attributes.
        """
        centers = pairs.centers
        once = np.flatnonzero(_stands_first(centers, pairs))
        n_atoms = np.diff(atom_offsets)
        owner = np.repeat(np.arange(len(n_atoms)), n_atoms)

        def tensor(array: np.ndarray | None) -> Tensor | None:
            return None if array is None else torch.from_numpy(array).to(device, dtype)

        return cls(
            numbers=torch.from_numpy(pairs.numbers).to(device, torch.int64),
            owner=torch.from_numpy(owner).to(device),
            n_atoms=tensor(n_atoms),
            vectors=tensor(pairs.vectors[once]),
            pairs=Pairs(
                torch.from_numpy(centers[once]).to(device),
                torch.from_numpy(pairs.neighbors[once]).to(device),
                pairs.n_atoms,
            ),
            has_forces=has_forces,
            has_virials=has_virials,
            positions=tensor(positions),
            charges=tensor(charges),
        )

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.n_atoms)

    @property
    def n_rows(self) -> int:
        """Number of atoms."""
        return len(self.owner)

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return len(self.n_atoms)

    @property
    def place(self) -> slice:
        """Rows in the order of the structures: as they are."""
        return slice(None)

    @property
    def leaf(self) -> Tensor:
        """Variables that energies are differentiated by."""
        return self.vectors

    def with_leaf(self, leaf: Tensor) -> GraphBatch:
        """Give the same batch with other vectors."""
        return replace(self, vectors=leaf)

    def distances(self) -> Tensor:
        """Measure every pair, in Å, shape (n_pairs,)."""
        return self.vectors.square().sum(1).sqrt()

    def forces(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Turn dE/dvectors into forces and virials.

        Parameters
        ----------
        gradient : Tensor of shape (n_pairs, 3)

        Returns
        -------
        forces : Tensor of shape (n_atoms, 3)
            -dE/dR.
        virials : Tensor of shape (n_structures or 0, 3, 3)
            Sums of r (x) dE/dr, the derivative by a strain.
        """
        forces = self.pairs.scatter(gradient, -gradient)
        if not self.has_virials:
            return forces, gradient.new_zeros((0, 3, 3))
        outer = self.vectors.detach()[:, :, None] * gradient[:, None, :]
        owner = self.owner[self.pairs.first]
        virials = outer.new_zeros((self.n_structures, 3, 3)).index_add(0, owner, outer)
        return forces, 0.5 * (virials + virials.transpose(1, 2))


def _stands_first(centers: np.ndarray, pairs: NeighborPairs) -> np.ndarray:
    """Choose one of the two directions of every pair."""
    x, y, z = pairs.shifts.T
    forward = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    neighbors = pairs.neighbors
    return (neighbors > centers) | ((neighbors == centers) & forward)

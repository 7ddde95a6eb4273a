"""Targets of structures from what their atoms contribute, with forces as derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from skatom._training.kinds import Kind
from skatom._training.loss import Prediction

# Slope of a length at zero is undefined; in units of the scale of training.
SMALLEST_LENGTH = 1e-6


class AtomBatch(Protocol):
    """Some structures, as any architecture sees them: what training asks of a batch.

    A module maps a batch to contributions of shape (n_atoms, n_outputs). Energies are
    differentiated by the leaf of the batch (features of atoms, vectors of pairs, ...),
    which the batch turns into forces and virials. With this, readouts, losses, training
    and logs know nothing about features.

    Attributes
    ----------
    n_rows, n_structures : int
    owner : Tensor of int64, shape (n_atoms,)
        Structure of every row.
    place : Tensor of int64, shape (n_atoms,)
        Row of every atom in the order of the structures.
    n_atoms : Tensor of shape (n_structures,)
    positions : Tensor of shape (n_atoms, 3) or None
        Of every row, for dipoles.
    charges : Tensor of shape (n_structures, n_heads) or None
        Total charges, for dipoles, in the unit of every head.
    leaf : Tensor
    has_forces : bool
        Whether forces are asked for.
    """

    n_rows: int
    n_structures: int
    owner: Tensor
    place: Tensor
    n_atoms: Tensor
    positions: Tensor | None
    charges: Tensor | None
    leaf: Tensor
    has_forces: bool

    def with_leaf(self, leaf: Tensor) -> AtomBatch:
        """Give the same batch with another leaf."""

    def forces(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Turn dE/dleaf into forces (n_atoms, 3) and virials (n or 0, 3, 3)."""


@dataclass(frozen=True, eq=False)
class TensorAtoms:
    """Atoms of a batch as kinds of targets read them, in torch and units of training.

    `skatom._training.atom_rows.ArrayAtoms` is the same in NumPy.
    """

    batch: AtomBatch
    head: int = 0

    unit = 1.0

    @property
    def n_atoms(self) -> Tensor:
        """Number of atoms of each structure."""
        return self.batch.n_atoms

    @property
    def positions(self) -> Tensor:
        """Positions of the atoms in Å, from the centres of mass."""
        return self.batch.positions

    @property
    def charges(self) -> Tensor:
        """Charges of the structures."""
        return self.batch.charges[:, self.head]

    def row(self, numbers: tuple[float, ...]) -> Tensor:
        """Give constants as they meet rows of numbers."""
        return self.positions.new_tensor(numbers)

    def spread(self, of_structures: Tensor) -> Tensor:
        """Give every atom what belongs to its structure."""
        return of_structures[self.batch.owner]

    def shared(self, shares: Tensor) -> Tensor:
        """Divide by the number of atoms of the structure."""
        return shares / self.spread(self.n_atoms)[:, None]

    def total(self, shares: Tensor) -> Tensor:
        """Sum over the atoms of each structure."""
        return sum_atoms(self.batch, shares)

    def largest(self, shares: Tensor) -> Tensor:
        """Give the largest over the atoms of each structure."""
        lowest = shares.new_full((self.batch.n_structures, shares.shape[1]), -torch.inf)
        owner = self.batch.owner[:, None].expand_as(shares)
        return lowest.scatter_reduce(0, owner, shares, "amax")

    def softmax(self, shares: Tensor) -> Tensor:
        """Give weights that add up to one in every structure."""
        powers = torch.exp(shares - self.spread(self.largest(shares)).detach())
        return powers / self.spread(self.total(powers))

    def length(self, vectors: Tensor) -> Tensor:
        """Give the lengths of vectors, (n, 1)."""
        square = vectors.square().sum(1, keepdim=True)
        return torch.sqrt(square + SMALLEST_LENGTH**2)

    def in_order(self, shares: Tensor) -> Tensor:
        """Give numbers of atoms in the order of the structures."""
        return shares[self.batch.place]


def sum_atoms(batch: AtomBatch, atoms: Tensor) -> Tensor:
    """Sum over the atoms of each structure."""
    zeros = atoms.new_zeros(batch.n_structures, *atoms.shape[1:])
    return zeros.index_add(0, batch.owner, atoms)


@dataclass(frozen=True)
class AtomReading:
    """Predictions of a batch from what a module says of its atoms.

    Parameters
    ----------
    kinds : tuple of Kind
        Of the targets, the first one first.
    edges : tuple of int
        First column of the contributions of every target, and of the spreads.
    n_spreads : int
        How many of the last contributions are spreads of the first target.
    """

    kinds: tuple[Kind, ...]
    edges: tuple[int, ...]
    n_spreads: int = 0

    def __call__(self, module: nn.Module, batch: AtomBatch) -> Prediction:
        """Predict a batch, with forces when it asks for them."""
        if not batch.has_forces:
            return self._prediction(batch, module(batch))
        # validation runs under no_grad, but forces are a gradient themselves
        with torch.enable_grad():
            leaf = batch.leaf.detach().requires_grad_(True)
            batch = batch.with_leaf(leaf)
            atoms = module(batch)
            gradient = torch.autograd.grad(
                atoms[:, 0].sum(), leaf, create_graph=module.training
            )[0]
        return self._prediction(batch, atoms, *batch.forces(gradient))

    def _prediction(self, batch, atoms, forces=None, virials=None) -> Prediction:
        values, *further = (
            kind.read(TensorAtoms(batch, k), atoms[:, first:stop])
            for k, (kind, first, stop) in enumerate(
                zip(self.kinds, self.edges[:-1], self.edges[1:])
            )
        )
        spreads = None
        if self.n_spreads:
            spreads = self.kinds[0].read(TensorAtoms(batch), atoms[:, self.edges[-1] :])
        return Prediction(values, forces, virials, spreads, tuple(further))

"""Targets of structures from what their atoms contribute, with forces as derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

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
    charges : Tensor of shape (n_structures,) or None
        Total charges, for dipoles.
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


def sum_atoms(batch: AtomBatch, atoms: Tensor) -> Tensor:
    """Sum over the atoms of each structure: an extensive property."""
    zeros = atoms.new_zeros(batch.n_structures, *atoms.shape[1:])
    return zeros.index_add(0, batch.owner, atoms)


def mean_atoms(batch: AtomBatch, atoms: Tensor) -> Tensor:
    """Average over the atoms of each structure: an intensive property."""
    return sum_atoms(batch, atoms) / batch.n_atoms[:, None]


def dipole(batch: AtomBatch, atoms: Tensor) -> Tensor:
    """Give dipole moments of latent charges that add up to the total charge."""
    excess = (sum_atoms(batch, atoms)[:, 0] - batch.charges) / batch.n_atoms
    charges = atoms[:, 0] - excess[batch.owner]
    return sum_atoms(batch, charges[:, None] * batch.positions)


def dipole_magnitude(batch: AtomBatch, atoms: Tensor) -> Tensor:
    """Give the lengths of dipole moments."""
    square = dipole(batch, atoms).square().sum(1, keepdim=True)
    return torch.sqrt(square + SMALLEST_LENGTH**2)


def each_atom(batch: AtomBatch, atoms: Tensor) -> Tensor:
    """Give contributions as they are, in the order of the structures."""
    return atoms[batch.place]


READOUTS = {
    "sum": sum_atoms,
    "mean": mean_atoms,
    "dipole": dipole,
    "dipole_magnitude": dipole_magnitude,
    "atoms": each_atom,
}


@dataclass(frozen=True)
class AtomReading:
    """Predictions of a batch from what a module says of its atoms.

    Parameters
    ----------
    output : str
        Key of ``READOUTS``.
    n_spreads : int
        How many of the last contributions are spreads rather than shares of values.
    """

    output: str = "sum"
    n_spreads: int = 0

    def __call__(self, module: nn.Module, batch: AtomBatch) -> Prediction:
        """Predict a batch, with forces when it asks for them."""
        read = READOUTS[self.output]
        if not batch.has_forces:
            return self._prediction(read(batch, module(batch)))
        # validation runs under no_grad, but forces are a gradient themselves
        with torch.enable_grad():
            leaf = batch.leaf.detach().requires_grad_(True)
            batch = batch.with_leaf(leaf)
            atoms = module(batch)
            energies = atoms[:, 0] if self.n_spreads else atoms
            gradient = torch.autograd.grad(
                energies.sum(), leaf, create_graph=module.training
            )[0]
        return self._prediction(read(batch, atoms), *batch.forces(gradient))

    def _prediction(self, rows, forces=None, virials=None) -> Prediction:
        if not self.n_spreads:
            return Prediction(rows, forces, virials)
        n = rows.shape[1] - self.n_spreads
        return Prediction(rows[:, :n], forces, virials, rows[:, n:])

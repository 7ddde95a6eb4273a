"""Training data of a network, cut into whole batches without a DataLoader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from ase.stress import voigt_6_to_full_3x3_stress
from torch import Tensor

from skatom.features import AtomFeatures
from skatom.models._network.modules import Targets
from skatom.models._network.pair_gradients import (
    RecomputedBatch,
    RecomputedJacobian,
    StoredBatch,
    StoredJacobian,
)
from skatom.neighbors import ranges
from skatom.structures import Labels


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Features and labels of all structures, in units of the scale of training.

    Attributes
    ----------
    values : ndarray of shape (n_atoms, n_features)
        In the dtype of training.
    elements : ndarray of shape (n_atoms,)
        Index of the network of every atom.
    n_elements : int
    offsets : ndarray of shape (n_structures + 1,)
    energies : ndarray of shape (n_structures,)
    weights : ndarray of shape (n_structures,)
    forces : ndarray of shape (n_atoms, 3) or None
    has_forces : ndarray of bool, shape (n_structures,), or None
    virials : ndarray of shape (n_structures, 3, 3) or None
    has_virials : ndarray of bool, shape (n_structures,), or None
    gradients : StoredJacobian, RecomputedJacobian or None
        None trains on energies alone.
    """

    values: np.ndarray
    elements: np.ndarray
    n_elements: int
    offsets: np.ndarray
    energies: np.ndarray
    weights: np.ndarray
    forces: np.ndarray | None = None
    has_forces: np.ndarray | None = None
    virials: np.ndarray | None = None
    has_virials: np.ndarray | None = None
    gradients: StoredJacobian | RecomputedJacobian | None = None

    def with_labels(
        self, X: AtomFeatures, labels: Labels, scale: float, limit: float
    ) -> TrainingSet:
        """Add forces and virials, and the derivatives of features that they need.

        Parameters
        ----------
        X : AtomFeatures
            The features whose values are trained on.
        labels : Labels
        scale : float
            Unit of energies in training, in eV.
        limit : float
            Memory for the derivatives of all features, in bytes.
        """
        dtype, with_virials = self.values.dtype, bool(labels.has_stress.any())
        gradients = StoredJacobian.build(X, dtype, with_virials, limit)
        if gradients is None:
            gradients = RecomputedJacobian(X, dtype, with_virials)
        new = {"gradients": gradients}
        if labels.has_forces.any():
            new["forces"] = labels.forces / scale
            new["has_forces"] = labels.has_forces
        if with_virials:
            volumes = [
                atoms.get_volume() if known else 0.0
                for atoms, known in zip(X.structures, labels.has_stress)
            ]
            full = np.array([voigt_6_to_full_3x3_stress(t) for t in labels.stress])
            new["virials"] = full * np.array(volumes)[:, None, None] / scale
            new["has_virials"] = labels.has_stress
        return replace(self, **new)

    def batch(self, structures: np.ndarray, device: str) -> tuple[Batch, Targets]:
        """Take some structures out, as tensors.

        Parameters
        ----------
        structures : ndarray of int64
        device : str
        """
        atoms = ranges(self.offsets[structures], self.offsets[structures + 1])
        sizes = self.offsets[structures + 1] - self.offsets[structures]
        elements = self.elements[atoms]
        order = np.argsort(elements, kind="stable")
        owner = np.repeat(np.arange(len(structures)), sizes)
        batch = Batch(
            values=_tensor(self.values[atoms[order]], device),
            sizes=np.bincount(elements, minlength=self.n_elements).tolist(),
            owner=_tensor(owner[order], device),
            place=_tensor(np.argsort(order), device),
            n_structures=len(structures),
            gradients=self.gradients and self.gradients.batch(structures),
        )
        return batch, self._targets(structures, atoms, sizes, device)

    def _targets(self, structures, atoms, sizes, device) -> Targets:
        dtype = self.values.dtype
        weights = self.weights[structures] / sizes

        def tensor(array: np.ndarray) -> Tensor:
            return _tensor(array.astype(dtype), device)

        targets = Targets(tensor(self.energies[structures]), tensor(weights))
        if self.forces is not None:
            of_atom = np.repeat(weights * self.has_forces[structures] / 3.0, sizes)
            targets = replace(
                targets,
                forces=tensor(self.forces[atoms]),
                force_weights=tensor(of_atom),
            )
        if self.virials is not None:
            present = weights * self.has_virials[structures] / 9.0
            targets = replace(
                targets,
                virials=tensor(self.virials[structures]),
                virial_weights=tensor(present),
            )
        return targets


@dataclass(frozen=True, eq=False)
class Batch:
    """Input of a network: the atoms of some structures, sorted by element.

    Its length is the number of structures, by which skorch weighs losses.

    Attributes
    ----------
    values : Tensor of shape (n_atoms, n_features)
    sizes : list of int
        Number of atoms of each element.
    owner : Tensor of int64, shape (n_atoms,)
        Structure of every row.
    place : Tensor of int64, shape (n_atoms,)
        Row of every atom in the order of the structures.
    n_structures : int
    gradients : StoredBatch, RecomputedBatch or None
    """

    values: Tensor
    sizes: list[int]
    owner: Tensor
    place: Tensor
    n_structures: int
    gradients: StoredBatch | RecomputedBatch | None

    def __len__(self) -> int:
        """Return the number of structures."""
        return self.n_structures

    def sum_atoms(self, values: Tensor) -> Tensor:
        """Sum numbers of rows over each structure."""
        zeros = values.new_zeros(self.n_structures)
        return zeros.index_add(0, self.owner, values)


@dataclass(frozen=True, eq=False)
class Part:
    """Some structures of a training set: those to learn from, or those to validate on."""

    data: TrainingSet
    structures: np.ndarray

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.structures)


class Batches:
    """Iterator over batches in skorch's sense, in a new order every time or in none.

    Parameters
    ----------
    part : Part
    batch_size : int
        Number of structures of a batch.
    device : str
    random_state : RandomState or None
        Source of the order. None keeps the order and the batches.
    """

    def __init__(self, part: Part, batch_size: int, device: str, random_state=None):
        self.part = part
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state
        self._kept: list | None = None

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.part) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Batch, Targets]]:
        if self.random_state is not None and len(self) > 1:
            return self._cut(self.random_state.permutation(self.part.structures))
        if self._kept is None:
            self._kept = list(self._cut(self.part.structures))
        return iter(self._kept)

    def _cut(self, structures: np.ndarray) -> Iterator[tuple[Batch, Targets]]:
        for start in range(0, len(structures), self.batch_size):
            chosen = structures[start : start + self.batch_size]
            yield self.part.data.batch(chosen, self.device)


def _tensor(array: np.ndarray, device: str) -> Tensor:
    return torch.from_numpy(array).to(device)

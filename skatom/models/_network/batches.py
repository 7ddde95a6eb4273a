"""Training data of a network, cut into whole batches without a DataLoader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol

import numpy as np
import torch
from ase.stress import voigt_6_to_full_3x3_stress
from torch import Tensor

from skatom.features import AtomFeatures
from skatom.models._network.loss import Targets
from skatom.models._network.pair_gradients import (
    PairSums,
    RecomputedBatch,
    RecomputedJacobian,
    StoredBatch,
    StoredJacobian,
)
from skatom.models._network.readouts import AtomBatch
from skatom.neighbors import ranges
from skatom.structures import Labels


class TrainingData(Protocol):
    """What a training needs of its data, whatever the architecture.

    Attributes
    ----------
    weights : ndarray of shape (n_structures,)
        Structures of weight zero take no part.
    streams : bool
        Whether batches are read anew every time, since all of them would be too large.
    """

    weights: np.ndarray
    streams: bool

    def __len__(self) -> int:
        """Return the number of structures."""

    def batch(self, structures: np.ndarray, device: str) -> tuple[AtomBatch, Targets]:
        """Take some structures out, as tensors."""

    def fingerprint(self) -> str:
        """Tell these data from others, in a checkpoint."""


@dataclass(frozen=True, eq=False)
class Goals:
    """Targets of all structures, in units of the scales of training.

    Attributes
    ----------
    offsets : ndarray of shape (n_structures + 1,)
    values : ndarray of shape (n_structures or n_atoms, n_outputs)
    weights : ndarray of shape (n_structures,)
    size_exponent : float
        Errors of structures are divided by this power of the number of atoms.
    per_atom : bool
        Whether a row of the values is an atom.
    forces : ndarray of shape (n_atoms, 3) or None
    has_forces : ndarray of bool, shape (n_structures,), or None
    virials : ndarray of shape (n_structures, 3, 3) or None
    has_virials : ndarray of bool, shape (n_structures,), or None
    """

    offsets: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    size_exponent: float = 0.5
    per_atom: bool = False
    forces: np.ndarray | None = None
    has_forces: np.ndarray | None = None
    virials: np.ndarray | None = None
    has_virials: np.ndarray | None = None

    def with_labels(self, structures, labels: Labels, scale: float) -> Goals:
        """Add forces and virials.

        Parameters
        ----------
        structures : Structures
        labels : Labels
        scale : float
            Unit of energies in training, in eV.
        """
        new = {}
        if labels.has_forces.any():
            new["forces"] = labels.forces / scale
            new["has_forces"] = labels.has_forces
        if labels.has_stress.any():
            volumes = [
                atoms.get_volume() if known else 0.0
                for atoms, known in zip(structures, labels.has_stress)
            ]
            full = np.array([voigt_6_to_full_3x3_stress(t) for t in labels.stress])
            new["virials"] = full * np.array(volumes)[:, None, None] / scale
            new["has_virials"] = labels.has_stress
        return replace(self, **new)

    def batch(self, structures: np.ndarray, dtype, device: str) -> Targets:
        """Take the targets of some structures out, as tensors."""
        sizes = self.offsets[structures + 1] - self.offsets[structures]
        weights = self.weights[structures]
        if self.per_atom or self.forces is not None:
            atoms = ranges(self.offsets[structures], self.offsets[structures + 1])

        def tensor(array: np.ndarray) -> Tensor:
            return tensor_of(array, device, dtype)

        factors = sizes ** -float(self.size_exponent)
        if self.per_atom:
            rows, of_rows = atoms, np.repeat(weights / sizes, sizes)
            of_values = np.ones(len(atoms))
        else:
            rows, of_rows, of_values = structures, weights, factors
        targets = Targets(
            len(structures),
            tensor(self.values[rows]),
            tensor(of_values),
            tensor(of_rows),
        )
        if self.forces is not None:
            share = weights * self.has_forces[structures] / (3.0 * sizes)
            targets = replace(
                targets,
                forces=tensor(self.forces[atoms]),
                force_weights=tensor(np.repeat(share, sizes)),
            )
        if self.virials is not None:
            targets = replace(
                targets,
                virials=tensor(self.virials[structures]),
                virial_factors=tensor(factors),
                virial_weights=tensor(weights * self.has_virials[structures] / 9.0),
            )
        return targets

    def arrays(self) -> list[np.ndarray]:
        """Everything that a training depends on."""
        optional = (self.forces, self.has_forces, self.virials, self.has_virials)
        given = [array for array in optional if array is not None]
        return [self.offsets, self.values, self.weights, *given]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Features and targets of all structures.

    Attributes
    ----------
    values : ndarray of shape (n_atoms, n_features)
        In the dtype of training.
    elements : ndarray of shape (n_atoms,)
        Index of the element of every atom.
    n_elements : int
    goals : Goals
    gradients : StoredJacobian, RecomputedJacobian or None
        None trains without forces and stress.
    positions : ndarray of shape (n_atoms, 3) or None
    charges : ndarray of shape (n_structures,) or None
        Of whole structures, for dipoles.
    """

    values: np.ndarray
    elements: np.ndarray
    n_elements: int
    goals: Goals
    gradients: StoredJacobian | RecomputedJacobian | None = None
    positions: np.ndarray | None = None
    charges: np.ndarray | None = None
    streams = False

    @property
    def weights(self) -> np.ndarray:
        """Weights of the structures."""
        return self.goals.weights

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.goals.weights)

    def fingerprint(self) -> str:
        """Hash everything that a training depends on."""
        digest = sha256()
        extra = [a for a in (self.positions, self.charges) if a is not None]
        for array in (self.values, self.elements, *extra, *self.goals.arrays()):
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def batch(self, structures: np.ndarray, device: str) -> tuple[Batch, Targets]:
        """Take some structures out, as tensors.

        Parameters
        ----------
        structures : ndarray of int64
        device : str
        """
        offsets, dtype = self.goals.offsets, self.values.dtype
        atoms = ranges(offsets[structures], offsets[structures + 1])
        batch = Batch.build(
            self.values,
            self.elements,
            self.n_elements,
            offsets[structures + 1] - offsets[structures],
            device,
            atoms=atoms,
            gradients=self.gradients and self.gradients.batch(structures),
            positions=self.positions,
            charges=None if self.charges is None else self.charges[structures],
        )
        return batch, self.goals.batch(structures, dtype, device)


@dataclass(frozen=True, eq=False)
class Batch:
    """Features of the atoms of some structures, sorted by element.

    Its length is the number of structures, by which skorch weighs losses. See
    `AtomBatch` for what any architecture has in common.

    Attributes
    ----------
    values : Tensor of shape (n_atoms, n_features)
    sizes : list of int
        Number of atoms of each element.
    owner, place : Tensor of int64, shape (n_atoms,)
    n_atoms : Tensor of shape (n_structures,)
    n_structures : int
    gradients : StoredBatch, RecomputedBatch or None
    positions : Tensor of shape (n_atoms, 3) or None
    charges : Tensor of shape (n_structures,) or None
    """

    values: Tensor
    sizes: list[int]
    owner: Tensor
    place: Tensor
    n_atoms: Tensor
    n_structures: int
    gradients: StoredBatch | RecomputedBatch | None = None
    positions: Tensor | None = None
    charges: Tensor | None = None

    @classmethod
    def build(
        cls,
        values: np.ndarray,
        elements: np.ndarray,
        n_elements: int,
        n_atoms: np.ndarray,
        device: str = "cpu",
        *,
        atoms: np.ndarray | None = None,
        gradients: StoredBatch | RecomputedBatch | None = None,
        positions: np.ndarray | None = None,
        charges: np.ndarray | None = None,
    ) -> Batch:
        """Sort atoms, given structure after structure, by element.

        Parameters
        ----------
        values : ndarray of shape (n_atoms_total, n_features)
        elements : ndarray of shape (n_atoms_total,)
        n_elements : int
        n_atoms : ndarray of shape (n_structures,)
        device : str
        atoms : ndarray of int64 or None
            Which atoms are taken, None for all.
        gradients, positions, charges
            As the attributes, positions in the order of `values`.
        """
        own = elements if atoms is None else elements[atoms]
        order = np.argsort(own, kind="stable")
        rows = order if atoms is None else atoms[order]
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        owner = np.repeat(np.arange(len(n_atoms)), n_atoms)

        def tensor(array: np.ndarray | None) -> Tensor | None:
            return None if array is None else tensor_of(array, device, values.dtype)

        return cls(
            values=tensor(values[rows]),
            sizes=np.bincount(own, minlength=n_elements).tolist(),
            owner=tensor_of(owner[order], device),
            place=tensor_of(place, device),
            n_atoms=tensor(n_atoms),
            n_structures=len(n_atoms),
            gradients=gradients,
            positions=tensor(None if positions is None else positions[rows]),
            charges=tensor(charges),
        )

    @property
    def leaf(self) -> Tensor:
        """What energies are differentiated by."""
        return self.values

    @property
    def has_forces(self) -> bool:
        """Whether forces are asked for."""
        return self.gradients is not None

    def with_leaf(self, leaf: Tensor) -> Batch:
        """Give the same batch with other values."""
        return replace(self, values=leaf)

    def forces(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Turn dE/dvalues into forces and virials, in the order of the structures."""
        return PairSums.apply(gradient[self.place], self.gradients)

    def __len__(self) -> int:
        """Return the number of structures."""
        return self.n_structures


def jacobians(
    X: AtomFeatures, dtype, virials: bool, limit: float
) -> StoredJacobian | RecomputedJacobian:
    """Keep the derivatives of all features where they fit, or compute them anew.

    Parameters
    ----------
    X : AtomFeatures
    dtype : numpy dtype
    virials : bool
    limit : float
        Memory for the derivatives, in bytes.
    """
    stored = StoredJacobian.build(X, np.dtype(dtype), virials, limit)
    return RecomputedJacobian(X, np.dtype(dtype), virials) if stored is None else stored


@dataclass(frozen=True, eq=False)
class Part:
    """Some structures of training data: those to learn from, or to validate on."""

    data: TrainingData
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
    share : tuple of int, default=(0, 1)
        Of every batch, the structures k, k + n, k + 2 n, ... for (k, n).
    """

    def __init__(
        self,
        part: Part,
        batch_size: int,
        device: str,
        random_state=None,
        share: tuple[int, int] = (0, 1),
    ):
        self.part = part
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state
        self.share = share
        self._kept: list | None = None

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.part) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[AtomBatch, Targets]]:
        if self.random_state is not None and len(self) > 1:
            return self._cut(self.random_state.permutation(self.part.structures))
        if self.part.data.streams:
            return self._cut(self.part.structures)
        if self._kept is None:
            self._kept = list(self._cut(self.part.structures))
        return iter(self._kept)

    def _cut(self, structures: np.ndarray) -> Iterator[tuple[AtomBatch, Targets]]:
        k, n = self.share
        for start in range(0, len(structures), self.batch_size):
            chosen = structures[start : start + self.batch_size]
            yield self.part.data.batch(chosen[k::n], self.device)


def tensor_of(array: np.ndarray, device: str, dtype=None) -> Tensor:
    """Put an array on a device, in another type where one is given."""
    if dtype is not None:
        array = array.astype(dtype, copy=False)
    tensor = torch.from_numpy(array)
    return tensor if device == "cpu" else tensor.to(device)

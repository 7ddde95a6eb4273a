"""Training data of a network, cut into whole batches without a DataLoader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from skatom._training.loss import Targets
from skatom._training.readouts import AtomBatch
from skatom.neighbors import ranges
from skatom.structures import Labels
from skatom.structures._voigt import virials_of


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
            new["virials"] = virials_of(labels.stress, structures) / scale
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

"""Features and goals of a network, and the batches that it is trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
from torch import Tensor

from skatom._training.batches import tensor_of
from skatom._training.goals import Goals
from skatom._training.loss import Targets
from skatom.features import AtomFeatures
from skatom.models._feature_network.element_scaling import ElementScaling
from skatom.models._feature_network.pair_gradients import (
    PairSums,
    RecomputedBatch,
    RecomputedJacobian,
    StoredBatch,
    StoredJacobian,
)
from skatom.neighbors import ranges

MEGABYTE = 2**20


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Features and goals of all structures.

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
    """

    values: np.ndarray
    elements: np.ndarray
    n_elements: int
    goals: Goals
    gradients: StoredJacobian | RecomputedJacobian | None = None
    streams = False

    @classmethod
    def of(
        cls,
        X: AtomFeatures,
        goals: Goals,
        scaling: ElementScaling,
        dtype: str,
        cache_size: float,
    ) -> TrainingSet:
        """Scale features, and keep their derivatives where goals have slopes.

        Parameters
        ----------
        X : AtomFeatures
        goals : Goals
        scaling : ElementScaling
        dtype : {"float32", "float64"}
        cache_size : float
            Memory in MB for the derivatives of all features.
        """
        scaled = X.transformed(scaling, scaling.apply(X.values, X.numbers))
        gradients = None
        if goals.has_slopes:
            virials = goals.virials is not None
            gradients = jacobians(scaled, dtype, virials, cache_size * MEGABYTE)
        return cls(
            values=scaled.values.astype(dtype),
            elements=scaling.elements(X.numbers),
            n_elements=len(scaling.numbers),
            goals=goals,
            gradients=gradients,
        )

    @property
    def weights(self) -> np.ndarray:
        """Weights of the structures."""
        return self.goals.weights

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.goals)

    def fingerprint(self) -> str:
        """Hash everything that a training depends on."""
        digest = sha256()
        for array in (self.values, self.elements, *self.goals.arrays()):
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
        goals, dtype = self.goals, self.values.dtype
        offsets = goals.offsets
        atoms = ranges(offsets[structures], offsets[structures + 1])
        batch = Batch.build(
            self.values,
            self.elements,
            self.n_elements,
            offsets[structures + 1] - offsets[structures],
            device,
            atoms=atoms,
            gradients=self.gradients and self.gradients.batch(structures),
            positions=goals.positions,
            charges=None if goals.charges is None else goals.charges[structures],
        )
        return batch, goals.batch(structures, dtype, device)


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
    charges : Tensor of shape (n_structures, n_heads) or None
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
    def n_rows(self) -> int:
        """Number of atoms."""
        return len(self.values)

    @property
    def leaf(self) -> Tensor:
        """Variables that energies are differentiated by."""
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

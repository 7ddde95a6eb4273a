"""Goals: what networks of atoms are trained towards, in units of training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from skatom._training.batches import tensor_of
from skatom._training.loss import Targets
from skatom.neighbors import ranges
from skatom.structures import Labels, Structures
from skatom.structures._voigt import virials_of


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
    positions : ndarray of shape (n_atoms, 3) or None
        What dipoles are made from, beside charges of atoms.
    charges : ndarray of shape (n_structures, n_heads) or None
        Of whole structures, for dipoles.
    further : tuple of Goals
        Values of targets beside the first.
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
    positions: np.ndarray | None = None
    charges: np.ndarray | None = None
    further: tuple[Goals, ...] = ()

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.weights)

    @property
    def has_slopes(self) -> bool:
        """Whether forces or stress are trained on."""
        return self.forces is not None or self.virials is not None

    def with_labels(
        self, structures: Structures, labels: Labels, scale: float
    ) -> Goals:
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
            further=tuple(one.batch(structures, dtype, device) for one in self.further),
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
        """Give everything that a training depends on."""
        optional = (
            self.forces, self.has_forces, self.virials, self.has_virials,
            self.positions, self.charges,
        )  # fmt: skip
        given = [array for array in optional if array is not None]
        further = [array for one in self.further for array in one.arrays()]
        return [self.offsets, self.values, self.weights, *given, *further]

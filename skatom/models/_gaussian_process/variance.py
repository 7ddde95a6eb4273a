"""Variances of energies, forces and energies of atoms, before and after labels."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from skatom.features import AtomFeatures
from skatom.models._algebra.solve import symmetric
from skatom.models._gaussian_process.blocks import BlockKernel, block_covariance
from skatom.models._gaussian_process.data import atoms_of, energies_of, forces_of
from skatom.models._kernels.covariance import Observables

# Numbers in a block of covariances between what is asked for and all labels.
BLOCK_SIZE = 2**23


class Knowledge(Protocol):
    """What has been learned from labels."""

    @property
    def width(self) -> int:
        """Numbers that are needed for each that is asked for."""

    def explained(
        self, asked: list[Observables], kernel: BlockKernel, *, full: bool
    ) -> np.ndarray:
        """Covariance of what is asked that the labels explain; its diagonal, or all."""


def energy_covariance(
    X: AtomFeatures, known: Knowledge, kernel: BlockKernel
) -> np.ndarray:
    """Covariance of the energies of structures, without noise, in full."""
    asked = kernel.blocks.split(energies_of(X))
    prior = symmetric(block_covariance(asked, asked, kernel))
    return prior - known.explained(asked, kernel, full=True)


def energy_variance(
    X: AtomFeatures, known: Knowledge, kernel: BlockKernel
) -> np.ndarray:
    """Variances of the energies of structures, without noise."""
    out = np.empty(len(X))
    step = max(1, BLOCK_SIZE // known.width)
    for start in range(0, len(X), step):
        part = X[start : start + step]
        prior = energy_prior(part, kernel)
        out[start : start + step] = _left(prior, energies_of(part), known, kernel)
    return out


def energy_prior(X: AtomFeatures, kernel: BlockKernel) -> np.ndarray:
    """Variances of the energies of structures before anything was seen."""
    out = np.zeros(len(X))
    for s, (start, stop) in enumerate(zip(X.offsets[:-1], X.offsets[1:])):
        values, numbers = X.values[start:stop], X.numbers[start:stop]
        for number in np.unique(numbers):
            points = values[numbers == number]
            out[s] += kernel.of(number).values(points, points).sum()
    return out


def atom_variance(X: AtomFeatures, known: Knowledge, kernel: BlockKernel) -> np.ndarray:
    """Variances of the energies of atoms, without noise."""
    out = np.empty(len(X.numbers))
    step = max(1, BLOCK_SIZE // known.width)
    asked = AtomFeatures(X.values, np.arange(len(out) + 1), X.numbers)
    for start in range(0, len(out), step):
        part = asked[start : start + step]
        prior = np.empty(len(part))
        for number in np.unique(part.numbers):
            of_kind = part.numbers == number
            prior[of_kind] = kernel.of(number).diagonal(part.values[of_kind])
        out[start : start + step] = _left(prior, atoms_of(part), known, kernel)
    return out


def force_variance(
    X: AtomFeatures, known: Knowledge, kernel: BlockKernel
) -> np.ndarray:
    """Variances of force components, without noise, (n_atoms_total, 3)."""
    out = np.empty((len(X.numbers), 3))
    for s in range(len(X)):
        asked = forces_of(X[[s]])
        parts = kernel.blocks.split(asked)
        prior = np.diagonal(block_covariance(parts, parts, kernel))
        left = _left(prior, asked, known, kernel)
        out[X.offsets[s] : X.offsets[s + 1]] = left[1:].reshape(-1, 3)
    return out


def _left(
    prior: np.ndarray, asked: Observables, known: Knowledge, kernel: BlockKernel
) -> np.ndarray:
    """Variance that the labels leave; rounding may not make it negative."""
    explained = known.explained(kernel.blocks.split(asked), kernel, full=False)
    return np.maximum(prior - explained, 0.0)

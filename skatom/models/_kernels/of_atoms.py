"""Kernel between atoms: lengths and couplings of their species."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skatom._runtime.state import State
from skatom.features import AtomFeatures
from skatom.models._kernels.functions import KernelFunction, Power, Product, Sum
from skatom.models._kernels.named import Kernel
from skatom.models._labelled.derivative_rows import DerivativeRows
from skatom.models._labelled.training_set import TrainingSet


@dataclass(frozen=True)
class AtomKernel(State):
    """Kernel between atoms, kappa_ab k(s_a x, s_b y) for species a and b.

    Features are multiplied by the scales of their species once, before any pair is
    formed. A coupling that is positive definite makes a kernel that is, because the
    elementwise product of two such matrices is one (Schur).

    Attributes
    ----------
    function : KernelFunction
        k, between features.
    numbers : ndarray of int64, shape (n_species,)
        Atomic numbers, ascending.
    scales : ndarray of shape (n_species, 1 or n_features), or None
        s, inverse lengths; None for ones.
    coupling : ndarray of shape (n_species, n_species), or None
        kappa; None couples no species with another.
    """

    _name = "kernel of atoms"
    _states = (Kernel, Sum, Product, Power)

    function: KernelFunction
    numbers: np.ndarray
    scales: np.ndarray | None = None
    coupling: np.ndarray | None = None

    @property
    def gamma(self) -> float | np.ndarray | None:
        """One number, or rows of (n_species, 1 or n_features); None where composed."""
        if not isinstance(self.function, Kernel):
            return None
        if self.scales is None:
            return self.function.gamma
        power = 1 if self.function.name == "laplacian" else 2
        return self.function.gamma * self.scales**power

    def of(self, number: int) -> KernelFunction:
        """Kernel between features of a species, the same for all."""
        return self.function

    def partners(self, number: int) -> list[tuple[int, float]]:
        """Give the species that one is coupled with, and how strongly."""
        if self.coupling is None:
            return [(int(number), 1.0)]
        row = self.coupling[np.searchsorted(self.numbers, number)]
        return [(int(z), float(k)) for z, k in zip(self.numbers, row) if k != 0.0]

    def scaled(self, values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Multiply features (n_atoms, n_features) by the scales of their species."""
        if self.scales is None:
            return values
        return values * self.scales[np.searchsorted(self.numbers, numbers)]

    def unscaled(self, gradient: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Divide slopes (n_atoms, n_features) by the scales of their species."""
        if self.scales is None:
            return gradient
        return gradient / self.scales[np.searchsorted(self.numbers, numbers)]

    def scale_features(self, X: AtomFeatures) -> AtomFeatures:
        """Scale the values; the origin still tells the derivatives of those of X."""
        if self.scales is None:
            return X
        values = self.scaled(X.values, X.numbers)
        return AtomFeatures(values, X.offsets, X.numbers, X.structures, X.origin)

    def scale_set(self, given: TrainingSet) -> TrainingSet:
        """Scale the features of a training set."""
        return replace(given, X=self.scale_features(given.X))

    def scale_rows(self, block: DerivativeRows) -> DerivativeRows:
        """Scale derivatives of features; the features have been."""
        if self.scales is None:
            return block
        rows = self.scaled(block.rows, block.features.numbers[block.centers])
        return replace(block, rows=rows)

    def diagonal(self, values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Kernel of every atom with itself; the values are scaled already."""
        diagonal = self.function.diagonal(values)
        if self.coupling is None:
            return diagonal
        variances = np.diagonal(self.coupling)
        return diagonal * variances[np.searchsorted(self.numbers, numbers)]


def check_coupling(coupling, n_species: int) -> np.ndarray | None:
    """Read a coupling of species: a number between each two, or a matrix.

    Raises
    ------
    ValueError
        If it has another shape, is not symmetric or not positive semidefinite.
    """
    if coupling is None:
        return None
    kappa = np.asarray(coupling, dtype=np.float64)
    if kappa.ndim == 0:
        kappa = np.full((n_species, n_species), float(kappa))
        np.fill_diagonal(kappa, 1.0)
    if kappa.shape != (n_species, n_species):
        raise ValueError(
            f"species_coupling has shape {kappa.shape}, but X has {n_species} species: "
            "give one row and column each, in the order of atomic numbers."
        )
    if not np.allclose(kappa, kappa.T):
        raise ValueError("species_coupling must be symmetric.")
    smallest, size = np.linalg.eigvalsh(kappa)[0], np.abs(kappa).max()
    if smallest < -1e-10 * size:
        raise ValueError(
            "species_coupling must be positive semidefinite, but has the eigenvalue "
            f"{smallest:.3g}: between alike species use at most 1, as in exp(-d^2) of "
            "distances d between them."
        )
    return kappa

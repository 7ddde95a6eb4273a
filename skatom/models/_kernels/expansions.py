"""Predictions of sums of kernels and of their slopes at reference atoms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skatom.features import AtomFeatures
from skatom.models._kernels.functions import KernelFunction
from skatom.models._labelled.derivative_rows import CHUNK_BYTES


@dataclass(frozen=True)
class Expansion:
    """f_z(x) = sum_m coef_m k(x, y_m) + slopes_m . dk(x, y_m)/dy_m over the atoms of z.

    Attributes
    ----------
    references : ndarray of shape (n_references, n_features)
    numbers : ndarray of int, shape (n_references,)
        Atomic numbers, ascending.
    coef : ndarray of shape (n_references,)
    slopes : ndarray of shape (n_references, n_features) or None
    kernel : KernelFunction
    """

    references: np.ndarray
    numbers: np.ndarray
    coef: np.ndarray
    slopes: np.ndarray | None
    kernel: KernelFunction

    def values(self, X: AtomFeatures) -> np.ndarray:
        """Evaluate at every atom, shape (n_atoms_total,)."""
        out = np.zeros(len(X.numbers))
        for kernel, atoms, terms in self._parts(X):
            out[atoms] = kernel.expansion(X.values[atoms], *terms)
        return out

    def with_gradient(self, X: AtomFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate, and differentiate by the features, (n_atoms_total, n_features)."""
        values, gradient = np.zeros(len(X.numbers)), np.zeros_like(X.values)
        for kernel, atoms, terms in self._parts(X):
            values[atoms], gradient[atoms] = kernel.expansion_with_gradient(
                X.values[atoms], *terms
            )
        return values, gradient

    def _parts(self, X: AtomFeatures) -> Iterator[tuple]:
        """Kernel of a species, atoms of it, not too many at a time, and its references."""
        for number in np.unique(self.numbers):
            at = slice(*np.searchsorted(self.numbers, [number, number + 1]))
            kernel = self.kernel.of(int(number))
            slopes = None if self.slopes is None else self.slopes[at]
            terms = (self.references[at], self.coef[at], slopes)
            atoms = np.flatnonzero(X.numbers == number)
            step = max(1, CHUNK_BYTES // (8 * (at.stop - at.start)))
            for start in range(0, len(atoms), step):
                yield kernel, atoms[start : start + step], terms

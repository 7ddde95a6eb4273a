"""Predictions of sums of kernels and of their slopes at reference atoms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from skatom.features import AtomFeatures
from skatom.models._labelled.derivative_rows import CHUNK_BYTES


class KernelOfSpecies(Protocol):
    """What an expansion asks of a kernel between atoms."""

    def of(self, number: int):
        """Give the kernel function of a species."""

    def partners(self, number: int) -> list[tuple[int, float]]:
        """Give the species that one is coupled with, and how strongly."""


@dataclass(frozen=True)
class Expansion:
    """Sum of kernels at references, and of their slopes there, for atoms of every species.

    f_a(x) = sum_m kappa_ab [coef_m k(x, y_m) + slopes_m . dk(x, y_m)/dy_m] over references
    m of the species b that a is coupled with.

    Attributes
    ----------
    references : ndarray of shape (n_references, n_features)
    numbers : ndarray of int, shape (n_references,)
        Atomic numbers, ascending.
    coef : ndarray of shape (n_references,)
    slopes : ndarray of shape (n_references, n_features) or None
    kernel : AtomKernel or BlockKernel
    """

    references: np.ndarray
    numbers: np.ndarray
    coef: np.ndarray
    slopes: np.ndarray | None
    kernel: KernelOfSpecies

    def values(self, X: AtomFeatures) -> np.ndarray:
        """Evaluate at every atom, shape (n_atoms_total,)."""
        out = np.zeros(len(X.numbers))
        for function, factor, atoms, terms in self._parts(X):
            out[atoms] += factor * function.expansion(X.values[atoms], *terms)
        return out

    def with_gradient(self, X: AtomFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate, and differentiate by the features, (n_atoms_total, n_features)."""
        values, gradient = np.zeros(len(X.numbers)), np.zeros_like(X.values)
        for function, factor, atoms, terms in self._parts(X):
            found, slopes = function.expansion_with_gradient(X.values[atoms], *terms)
            if factor != 1.0:
                found, slopes = factor * found, factor * slopes
            values[atoms] += found
            gradient[atoms] += slopes
        return values, gradient

    def _parts(self, X: AtomFeatures) -> Iterator[tuple]:
        """Kernel of two species, atoms of one, not too many at a time, references."""
        for number in np.unique(X.numbers):
            atoms = np.flatnonzero(X.numbers == number)
            for other, factor in self.kernel.partners(int(number)):
                at = slice(*np.searchsorted(self.numbers, [other, other + 1]))
                if at.start == at.stop:
                    continue
                slopes = None if self.slopes is None else self.slopes[at]
                terms = (self.references[at], self.coef[at], slopes)
                step = max(1, CHUNK_BYTES // (8 * (at.stop - at.start)))
                for start in range(0, len(atoms), step):
                    part = atoms[start : start + step]
                    yield self.kernel.of(int(number)), factor, part, terms

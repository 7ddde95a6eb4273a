"""What a kernel model is fitted to, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skatom.elements._counts import fit_composition, species_counts
from skatom.features import AtomFeatures
from skatom.models._labelled.derivative_rows import LossWeights, count_targets
from skatom.structures import Labels

ENERGY, FORCE, VIRIAL = 0, 1, 2


class LabelTable(NamedTuple):
    """What labels are, each of shape (n_labels,).

    Attributes
    ----------
    owners : ndarray of int64
        Structures.
    kinds : ndarray of int64
        ENERGY, FORCE or VIRIAL.
    weights : ndarray
        Of their squared errors.
    """

    owners: np.ndarray
    kinds: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Problem:
    """Training set of a kernel model.

    Attributes
    ----------
    X : AtomFeatures
    y : ndarray of shape (n_structures,)
        Totals of structures; means over atoms have been multiplied by their number.
    labels : Labels or None
        Forces and stress, if there are any to train on.
    weights : LossWeights
    energy_weights : ndarray of shape (n_structures,)
        Weights of squared errors of the totals.
    """

    X: AtomFeatures
    y: np.ndarray
    labels: Labels | None
    weights: LossWeights
    energy_weights: np.ndarray

    @classmethod
    def of_sums(cls, X, y, labels, weights: LossWeights) -> Problem:
        """Y is a sum over atoms."""
        return cls(X, y, labels, weights, weights.energies(X.n_atoms))

    @classmethod
    def of_means(cls, X, y, weights: LossWeights) -> Problem:
        """Y is a mean over atoms: n (y - mean) has the weight 1 / n^2."""
        n = X.n_atoms
        return cls(X, y * n, None, weights, weights.samples / n**2)

    @property
    def n_labels(self) -> int:
        """Number of energies, force components and virial components."""
        if self.labels is None:
            return len(self.X)
        return len(self.X) + count_targets(self.X, self.labels)

    def table(self) -> LabelTable:
        """Tell what every label is, in the order of the exact solution."""
        n = self.X.n_atoms
        owners = [np.arange(len(self.X))]
        kinds = [np.full(len(self.X), ENERGY)]
        weights = [self.energy_weights]
        if self.labels is not None:
            for s in np.flatnonzero(self.labels.has_forces | self.labels.has_stress):
                sample = self.weights.samples[s]
                n_forces = 3 * n[s] * self.labels.has_forces[s]
                n_virials = 6 * self.labels.has_stress[s]
                owners.append(np.full(n_forces + n_virials, s))
                kinds.append(np.repeat([FORCE, VIRIAL], [n_forces, n_virials]))
                force, virial = self.weights.forces, self.weights.stress / n[s]
                each = sample * np.array([force, virial])
                weights.append(np.repeat(each, [n_forces, n_virials]))
        return LabelTable(*(np.concatenate(part) for part in (owners, kinds, weights)))

    def baseline(self, numbers: np.ndarray, keep: np.ndarray | None = None):
        """Fit one energy a species, on the structures where ``keep`` is true."""
        weights = self.energy_weights
        if keep is not None:
            weights = np.where(keep, weights, 0.0)
        return fit_composition(self.X, self.y, weights, numbers)

    def above(self, baseline: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Subtract energies of species from y."""
        if not np.any(baseline):
            return self.y
        return self.y - species_counts(self.X, numbers) @ baseline

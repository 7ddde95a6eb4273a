"""Training on a store of features, which is read batch by batch and never as a whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from skatom._training.atom_rows import AtomRows
from skatom._training.goals import Goals
from skatom._training.loss import Targets
from skatom.models._feature_network.data import Batch
from skatom.models._feature_network.element_scaling import (
    SMALLEST_SHARE,
    SMOOTH_INPUT_SCALE,
    ElementScaling,
)
from skatom.models._feature_network.pair_gradients import RecomputedJacobian
from skatom.structures import read_labels

CHUNK = 256  # structures that are in memory at a time while the store is measured


class Measured(NamedTuple):
    """Numbers of one pass over a store.

    Attributes
    ----------
    atoms : AtomRows
        All atoms, without their structures.
    scaling : ElementScaling
    mean_square_force : float or None
        None where no structure has forces.
    """

    atoms: AtomRows
    scaling: ElementScaling
    mean_square_force: float | None


def measure(
    store, weights: np.ndarray, *, forces: str | None, rms: float | None, shared: bool
) -> Measured:
    """Pass over a store once.

    Parameters
    ----------
    store : FeatureStore
    weights : ndarray of shape (n_structures,)
    forces : str or None
        As in `read_labels`.
    rms : float or None
        Root mean square of the scaled features; None is 0.3 with forces and 1 without.
    shared : bool
        Whether all elements are scaled alike.
    """
    sums: dict[int, list] = {}
    numbers, square, n_known = [], 0.0, 0
    for start in range(0, len(store), CHUNK):
        X = store[np.arange(start, min(start + CHUNK, len(store)))]
        numbers.append(X.numbers)
        of_atoms = np.repeat(weights[start : start + len(X)], X.n_atoms)
        for z in [0] if shared else np.unique(X.numbers).tolist():
            chosen = X.numbers > -1 if shared else X.numbers == z
            x, w = X.values[chosen], of_atoms[chosen]
            kept = sums.setdefault(z, [0.0, 0.0, 0.0])
            for k, term in enumerate((w.sum(), w @ x, w @ x**2)):
                kept[k] = kept[k] + term
        labels = read_labels(X.structures, forces=forces, stress=None)
        known = np.repeat(labels.has_forces, X.n_atoms)
        square += np.sum(labels.forces[known] ** 2)
        n_known += 3 * known.sum()
    flat = np.concatenate(numbers)
    offsets = np.concatenate([[0], np.cumsum(store.n_atoms)])
    if rms is None:
        rms = SMOOTH_INPUT_SCALE if n_known else 1.0
    scaling = _scaling(sums, np.unique(flat), rms)
    atoms = AtomRows(offsets, flat)
    return Measured(atoms, scaling, square / n_known if n_known else None)


def _scaling(sums: dict[int, list], present: np.ndarray, rms: float) -> ElementScaling:
    """Turn sums of weights, features and squares into means and gains."""
    groups = [sums[z] for z in sorted(sums)]
    means = np.array([x / max(w, 1e-300) for w, x, _ in groups])
    squares = np.array([x2 / max(w, 1e-300) for w, _, x2 in groups])
    spreads = np.sqrt(np.maximum(squares - means**2, 0.0).mean(axis=1))
    spreads = np.maximum(spreads, SMALLEST_SHARE * spreads.max())
    return ElementScaling(present, means, rms / np.where(spreads > 0, spreads, 1.0))


@dataclass(frozen=True, eq=False)
class StreamedSet:
    """Training data whose features stay on disk.

    Attributes
    ----------
    store : FeatureStore
    goals : Goals
        Without forces and stress, which are read with the features.
    scaling : ElementScaling
    scale : float
    dtype : str
    forces, stress : str or None
        Where labels are, None to leave them out.
    """

    store: object
    goals: Goals
    scaling: ElementScaling
    scale: float
    dtype: str
    forces: str | None
    stress: str | None
    streams = True

    @property
    def weights(self) -> np.ndarray:
        """Weights of the structures."""
        return self.goals.weights

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.goals)

    def fingerprint(self) -> str:
        """Hash targets and weights, and the place and parameters of the features."""
        digest = sha256(json.dumps(self.store.manifest, default=str).encode())
        for array in (*self.goals.arrays(), self.scaling.means):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def batch(self, structures: np.ndarray, device: str) -> tuple[Batch, Targets]:
        """Read some structures, as tensors.

        Parameters
        ----------
        structures : ndarray of int64
        device : str
        """
        X = self.store[structures]
        scaled = X.transformed(self.scaling, self.scaling.apply(X.values, X.numbers))
        goals = Goals(
            X.offsets,
            self.goals.values[structures],
            self.weights[structures],
            self.goals.size_exponent,
        )
        labels = read_labels(X.structures, forces=self.forces, stress=self.stress)
        everything, gradients = np.arange(len(X)), None
        if labels.has_forces.any() or labels.has_stress.any():
            goals = goals.with_labels(X.structures, labels, self.scale)
            virials = bool(labels.has_stress.any())
            jacobian = RecomputedJacobian(scaled, np.dtype(self.dtype), virials)
            gradients = jacobian.batch(everything)
        batch = Batch.build(
            scaled.values.astype(self.dtype),
            self.scaling.elements(X.numbers),
            len(self.scaling.numbers),
            X.n_atoms,
            device,
            gradients=gradients,
        )
        return batch, goals.batch(everything, np.dtype(self.dtype), device)

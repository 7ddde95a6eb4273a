"""What closed-form models are fitted to: energies, forces and virials, row by row.

The loss of every closed-form model here is, over structures s with weight v_s,

    sum_s v_s [ (E_s - E^_s)^2 / n_s + w_F sum_ic (F_ic - F^_ic)^2
                + w_S sum_v (V_s (sigma_v - sigma^_v))^2 / n_s ]

with n_s atoms, volume V_s, Voigt components v: errors of an extensive number grow as the
square root of the number of atoms. On plain rows of numbers n_s = 1, the usual loss.

A force or virial component t is linear in the energy gradients g_i of the atoms,
t = sum_i D_ti . g_i. The rows D_ti (targets t, centre i) are made a few structures at a
time and never kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skatom.features import AtomFeatures
from skatom.neighbors import ranges
from skatom.structures import Labels
from skatom.structures._voigt import volumes

# Bytes of derivatives, and of rows made of them, that are held at a time.
CHUNK_BYTES = 2**26


@dataclass(frozen=True)
class LossWeights:
    """Weights of the squared errors, one a structure or a number.

    Attributes
    ----------
    samples : ndarray of shape (n_structures,)
    forces : float
        Å^2.
    stress : float
    """

    samples: np.ndarray
    forces: float
    stress: float

    def energies(self, n_atoms: np.ndarray) -> np.ndarray:
        """Weights of the squared errors of energies, shape (n_structures,)."""
        return self.samples / n_atoms


@dataclass(frozen=True)
class DerivativeRows:
    """Forces and virials of a few structures as linear functions of feature gradients.

    Attributes
    ----------
    features : AtomFeatures
        The structures.
    atoms : ndarray of int64, shape (n_atoms,)
        Indices of their atoms in the training set.
    centers : ndarray of int64, shape (n_rows,)
        Atom i whose features' derivative a row holds; ascending.
    targets : ndarray of int64, shape (n_rows,)
        Which force or virial component the row belongs to.
    rows : ndarray of shape (n_rows, n_features)
        D_ti.
    labels : ndarray of shape (n_targets,)
        Forces in eV/Å and virials in eV, of the structures that have them.
    weights : ndarray of shape (n_targets,)
        Of their squared errors.
    """

    features: AtomFeatures
    atoms: np.ndarray
    centers: np.ndarray
    targets: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    weights: np.ndarray

    @property
    def n_targets(self) -> int:
        """Number of force and virial components."""
        return len(self.labels)

    def of_kind(self, number: int) -> tuple[np.ndarray, ...]:
        """Atoms of a species, and the rows of which they are centres.

        Returns
        -------
        atoms : ndarray of int64, shape (n,)
        centers : ndarray of int64
            Index into ``atoms`` of every row.
        targets : ndarray of int64
        rows : ndarray of shape (n_rows_of_kind, n_features)
        """
        mask = self.features.numbers == number
        atoms = np.flatnonzero(mask)
        keep = mask[self.centers]
        place = np.cumsum(mask) - 1
        return atoms, place[self.centers[keep]], self.targets[keep], self.rows[keep]


def derivative_rows(
    X: AtomFeatures, labels: Labels, weights: LossWeights, n_columns: int
) -> Iterator[DerivativeRows]:
    """Give the derivative rows of all labelled structures, a few structures at a time.

    Parameters
    ----------
    X : AtomFeatures
    labels : Labels
    weights : LossWeights
    n_columns : int
        Columns of the design matrix that the caller makes of the rows.

    Yields
    ------
    rows : DerivativeRows
    """
    for keep in _chunks(X, labels, n_columns):
        yield _rows_of(X, labels, weights, keep)


def count_targets(X: AtomFeatures, labels: Labels) -> int:
    """Count the force and virial components that have labels."""
    return int(3 * X.n_atoms[labels.has_forces].sum() + 6 * labels.has_stress.sum())


def _chunks(X: AtomFeatures, labels: Labels, n_columns: int) -> Iterator[np.ndarray]:
    """Split the labelled structures so that derivatives and design rows fit a chunk."""
    labelled = np.flatnonzero(labels.has_forces | labels.has_stress)
    counts = np.bincount(X.pairs.centers, minlength=X.offsets[-1])
    n_pairs = np.add.reduceat(counts, X.offsets[:-1])[labelled]
    per_structure = 8 * np.maximum(
        3 * n_pairs * X.values.shape[1], (3 * X.n_atoms[labelled] + 6) * n_columns
    )
    chunk = np.cumsum(per_structure) // CHUNK_BYTES
    for edges in np.split(labelled, np.flatnonzero(np.diff(chunk)) + 1):
        if len(edges):
            yield edges


def _rows_of(
    X: AtomFeatures, labels: Labels, weights: LossWeights, keep: np.ndarray
) -> DerivativeRows:
    """Rows of a few structures; of each, first force components, then virials."""
    atoms = ranges(X.offsets[keep], X.offsets[keep + 1])
    has_forces, has_stress = labels.has_forces[keep], labels.has_stress[keep]
    samples = weights.samples[keep]
    X = X[keep]
    n_targets = 3 * X.n_atoms * has_forces + 6 * has_stress
    first = np.concatenate([[0], np.cumsum(n_targets)])
    known, importance = np.zeros(first[-1]), np.zeros(first[-1])
    force_targets = _force_targets(X, first, has_forces)
    has_label = force_targets[:, 0] >= 0
    known[force_targets[has_label]] = labels.forces[atoms[has_label]]
    importance[force_targets[has_label]] = (
        weights.forces * samples[X.structure_index[has_label], None]
    )
    jacobian = np.ascontiguousarray(X.origin.jacobian())
    parts = [_force_rows(X, jacobian, force_targets)]
    if has_stress.any():
        stressed = np.flatnonzero(has_stress)
        virial_targets = first[stressed + 1][:, None] - 6 + np.arange(6)
        of_cells = volumes(X.structures[stressed])
        known[virial_targets] = labels.stress[keep[stressed]] * of_cells[:, None]
        importance[virial_targets] = (
            weights.stress * (samples / X.n_atoms)[stressed, None]
        )
        parts.append(_virial_rows(X, jacobian, stressed, virial_targets))
    centers, targets, rows = (np.concatenate(part) for part in zip(*parts))
    order = np.argsort(centers, kind="stable")
    if len(parts) > 1:
        rows = rows[order]
    return DerivativeRows(
        X, atoms, centers[order], targets[order], rows, known, importance
    )


def _force_targets(
    X: AtomFeatures, first: np.ndarray, has_forces: np.ndarray
) -> np.ndarray:
    """Target of each force component, (n_atoms, 3); -1 where there is no label."""
    within = np.arange(X.offsets[-1]) - np.repeat(X.offsets[:-1], X.n_atoms)
    base = first[:-1][X.structure_index] + 3 * within
    targets = base[:, None] + np.arange(3)
    targets[~has_forces[X.structure_index]] = -1
    return targets


def _force_rows(X: AtomFeatures, jacobian: np.ndarray, force_targets: np.ndarray):
    """Sum pairs to (centre, atom): dF_k/dg_i, with periodic images merged."""
    from skatom.models._algebra.row_loops import sum_pairs

    pairs, n = X.pairs, int(X.offsets[-1])
    centers, neighbors = pairs.centers, pairs.neighbors
    keys, slots = np.unique(
        np.concatenate([np.arange(n) * (n + 1), centers * n + neighbors]),
        return_inverse=True,
    )
    rows = np.zeros((len(keys), *jacobian.shape[1:]))
    sum_pairs(slots[:n][centers], slots[n:], jacobian, rows)
    targets = force_targets[keys % n]
    known = targets[:, 0] >= 0
    if not known.all():
        rows, targets, keys = rows[known], targets[known], keys[known]
    return np.repeat(keys // n, 3), targets.ravel(), rows.reshape(-1, rows.shape[2])


def _virial_rows(
    X: AtomFeatures, jacobian: np.ndarray, stressed: np.ndarray, targets: np.ndarray
):
    """Sum pairs to (centre, Voigt component): dW/dg_i."""
    from skatom.models._algebra.row_loops import sum_strain

    pairs = X.pairs
    strain = np.zeros((int(X.offsets[-1]), 6, jacobian.shape[2]))
    sum_strain(pairs.centers, pairs.vectors, jacobian, strain)
    atoms = ranges(X.offsets[stressed], X.offsets[stressed + 1])
    return (
        np.repeat(atoms, 6),
        np.repeat(targets, X.n_atoms[stressed], axis=0).ravel(),
        strain[atoms].reshape(-1, jacobian.shape[2]),
    )

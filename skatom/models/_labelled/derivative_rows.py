"""Forces and virials as linear functions of the gradients of energies by features.

A force or virial component t is linear in the energy gradients g_i of the atoms,
t = sum_i D_ti . g_i. The rows D_ti (targets t, centre i) are made a few structures at a
time and never kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skatom.features import AtomFeatures
from skatom.models._labelled.training_set import TrainingSet
from skatom.neighbors import ranges
from skatom.structures._voigt import volumes

# Bytes of derivatives, and of rows made of them, that are held at a time.
CHUNK_BYTES = 2**26


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


def derivative_rows(given: TrainingSet, n_columns: int) -> Iterator[DerivativeRows]:
    """Give the derivative rows of all labelled structures, a few structures at a time.

    Parameters
    ----------
    given : TrainingSet
    n_columns : int
        Columns of the design matrix that the caller makes of the rows.

    Yields
    ------
    rows : DerivativeRows
    """
    if given.labels is None:
        return
    X = given.X
    for keep in _chunks(given, n_columns):
        yield _rows_of(given.take(keep), ranges(X.offsets[keep], X.offsets[keep + 1]))


def _chunks(given: TrainingSet, n_columns: int) -> Iterator[np.ndarray]:
    """Split the labelled structures so that derivatives and design rows fit a chunk."""
    X, labels = given.X, given.labels
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


def _rows_of(given: TrainingSet, atoms: np.ndarray) -> DerivativeRows:
    """Rows of a few structures; of each, first force components, then virials."""
    X, labels = given.X, given.labels
    first = np.concatenate([[0], np.cumsum(given.label_counts().sum(axis=0))])
    known = np.zeros(first[-1])
    force_targets = _force_targets(X, first, labels.has_forces)
    has_label = force_targets[:, 0] >= 0
    known[force_targets[has_label]] = labels.forces[has_label]
    jacobian = np.ascontiguousarray(X.origin.jacobian())
    parts = [_force_rows(X, jacobian, force_targets)]
    if labels.has_stress.any():
        stressed = np.flatnonzero(labels.has_stress)
        virial_targets = first[stressed + 1][:, None] - 6 + np.arange(6)
        of_cells = volumes(X.structures[stressed])
        known[virial_targets] = labels.stress[stressed] * of_cells[:, None]
        parts.append(_virial_rows(X, jacobian, stressed, virial_targets))
    centers, targets, rows = (np.concatenate(part) for part in zip(*parts))
    order = np.argsort(centers, kind="stable")
    if len(parts) > 1:
        rows = rows[order]
    weights = given.table().weights[len(X) :]
    return DerivativeRows(
        X, atoms, centers[order], targets[order], rows, known, weights
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

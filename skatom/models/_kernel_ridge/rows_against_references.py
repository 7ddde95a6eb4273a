"""Design matrix of a kernel model: energies, forces and virials against references."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skatom.features import AtomFeatures
from skatom.models._kernels.of_atoms import AtomKernel
from skatom.models._labelled.derivative_rows import CHUNK_BYTES, DerivativeRows


@dataclass(frozen=True)
class References:
    """Atoms whose environments span a model, sorted by species.

    Attributes
    ----------
    atoms : ndarray of int64, shape (n_references,)
        Their indices in the training set.
    values : ndarray of shape (n_references, n_features)
    numbers : ndarray of int64, shape (n_references,)
        Atomic numbers, ascending.
    kernel : AtomKernel
        The values are scaled as it wants them.
    """

    atoms: np.ndarray
    values: np.ndarray
    numbers: np.ndarray
    kernel: AtomKernel

    def __len__(self) -> int:
        return len(self.numbers)

    def kinds(self) -> Iterator[tuple[int, slice]]:
        """Give the atomic number of every species and which references are of it."""
        present, first = np.unique(self.numbers, return_index=True)
        for number, start, stop in zip(present, first, [*first[1:], len(self)]):
            yield int(number), slice(int(start), int(stop))

    def coupled(self, number: int) -> Iterator[tuple[slice, float]]:
        """Give the references that a species is coupled with, and how strongly."""
        kinds = dict(self.kinds())
        for other, factor in self.kernel.partners(number):
            if other in kinds:
                yield kinds[other], factor


def structures_at_a_time(X: AtomFeatures, n_columns: int) -> list[tuple[int, int]]:
    """Split structures so that a row of n_columns for each of their atoms fits a chunk."""
    atoms_at_a_time = max(1, CHUNK_BYTES // (8 * max(1, n_columns)))
    chunk = X.offsets[:-1] // atoms_at_a_time
    edges = np.flatnonzero(np.diff(chunk, prepend=-1)).tolist()
    return list(zip(edges, [*edges[1:], len(X)]))


def energy_rows(
    X: AtomFeatures, references: References, start: int, stop: int
) -> np.ndarray:
    """Sum the kernels of the atoms of structures ``start`` to ``stop``.

    Returns
    -------
    rows : ndarray of shape (stop - start, n_references)
    """
    rows = np.zeros((stop - start, len(references)))
    atoms = slice(X.offsets[start], X.offsets[stop])
    values, numbers = X.values[atoms], X.numbers[atoms]
    structure_index = X.structure_index[atoms] - start
    for number in np.unique(numbers):
        mask = numbers == number
        present, first = np.unique(structure_index[mask], return_index=True)
        for columns, factor in references.coupled(number):
            k = references.kernel.function.values(
                values[mask], references.values[columns]
            )
            rows[present, columns] += factor * np.add.reduceat(k, first, axis=0)
    return rows


def derivative_design(block: DerivativeRows, references: References) -> np.ndarray:
    """Differentiate kernel sums, shape (n_targets, n_references)."""
    from skatom.models._algebra.row_loops import add_outer, add_scaled

    design = np.zeros((block.n_targets, len(references)))
    function = references.kernel.function
    for number in np.unique(block.features.numbers):
        atoms, centers, targets, rows = block.of_kind(number)
        points = block.features.values[atoms]
        along = np.einsum("rf,rf->r", rows, points[centers])
        for columns, factor in references.coupled(number):
            basis = references.values[columns]
            a, b = function.slopes(points, basis)
            if factor != 1.0:
                a, b = factor * a, None if b is None else factor * b
            out = design[:, columns]
            step = max(1, CHUNK_BYTES // (16 * len(basis)))
            for start in range(0, len(rows), step):
                part = slice(start, start + step)
                products = rows[part] @ basis.T
                add_scaled(centers[part], targets[part], a, products, out)
            if b is not None:
                add_outer(centers, targets, b, along, out)
    return design


def take_references(
    X: AtomFeatures, atoms: np.ndarray, kernel: AtomKernel
) -> References:
    """Make references of some atoms, sorted by species and then by index."""
    order = atoms[np.argsort(X.numbers[atoms], kind="stable")]
    return References(order, X.values[order], X.numbers[order], kernel)

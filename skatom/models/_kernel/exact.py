"""Kernel matrix among all labels of a training set, and its exact solution.

By the representer theorem the minimiser of the loss is a sum of one function per label:
kernels at the atoms for an energy, derivatives of kernels for a force or a virial.
Nothing is approximated, at the price of a matrix of the number of labels squared.

References
----------
Bartok and Csanyi, Int. J. Quantum Chem. 115, 1051 (2015), doi:10.1002/qua.24927.
Christensen and von Lilienfeld, Mach. Learn.: Sci. Technol. 1, 045018 (2020),
doi:10.1088/2632-2153/abba6f.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skatom.features import AtomFeatures
from skatom.models._design_matrix import DerivativeRows
from skatom.models._kernel.functions import Cross, KernelFunction
from skatom.models._kernel.rows import (
    References,
    derivative_design,
    energy_rows,
    structures_at_a_time,
    take_references,
)
from skatom.models._solve import cholesky, solve_cholesky

# Derivative rows that are handled at a time: enough to make calls from Python rare, few
# enough for their products with the atoms of another such tile to stay in the cache.
TILE_ROWS = 2048


@dataclass(frozen=True)
class KindRows:
    """Derivative rows of all atoms of one species, scaled by the roots of their weights.

    Attributes
    ----------
    points : ndarray of shape (n_atoms_of_kind, n_features)
        Only atoms that have rows.
    starts : ndarray of int64, shape (n_atoms_of_kind + 1,)
        First row of each atom.
    targets : ndarray of int64, shape (n_rows,)
        Label that a row contributes to; energies come before all others.
    rows : ndarray of shape (n_rows, n_features)
    place : ndarray of int64, shape (n_atoms_of_kind,)
        Index of each atom in the training set.
    structures : ndarray of int64, shape (n_atoms_of_kind,)
    """

    points: np.ndarray
    starts: np.ndarray
    targets: np.ndarray
    rows: np.ndarray
    place: np.ndarray
    structures: np.ndarray

    def tiles(self) -> list[tuple[int, int]]:
        """Split the atoms between structures into tiles of about TILE_ROWS rows."""
        first = np.flatnonzero(np.diff(self.structures, prepend=-1))
        tile = self.starts[first] // TILE_ROWS
        edges = first[np.flatnonzero(np.diff(tile, prepend=-1))].tolist()
        return list(zip(edges, [*edges[1:], len(self.points)]))

    def as_tuple(self) -> tuple[np.ndarray, ...]:
        """Arrays in the order that compiled loops expect."""
        return self.structures, self.starts, self.targets, self.rows

    def cut(self, start: int, stop: int) -> KindRows:
        """Rows of atoms ``start`` to ``stop``."""
        rows = slice(self.starts[start], self.starts[stop])
        return KindRows(
            self.points[start:stop],
            self.starts[start : stop + 1] - self.starts[start],
            self.targets[rows],
            self.rows[rows],
            self.place[start:stop],
            self.structures[start:stop],
        )


def solve_exactly(
    X: AtomFeatures,
    y: np.ndarray,
    energy_weights: np.ndarray,
    blocks: list[DerivativeRows],
    kernel: KernelFunction,
    alpha: float,
) -> tuple[References, np.ndarray, np.ndarray | None]:
    """Solve (W K W + alpha) a = W t over all labels t, W the roots of their weights.

    Parameters
    ----------
    X : AtomFeatures
    y : ndarray of shape (n_structures,)
        Energies, baseline subtracted.
    energy_weights : ndarray of shape (n_structures,)
    blocks : list of DerivativeRows
        Forces and virials of all structures that have them; empty for energies alone.
    kernel : KernelFunction
    alpha : float

    Returns
    -------
    references : References
        All atoms.
    coef : ndarray of shape (n_atoms,)
        Coefficients of the kernels at the references.
    slopes : ndarray of shape (n_atoms, n_features) or None
        Coefficients of the kernels' derivatives there.
    """
    references = take_references(X, np.arange(len(X.numbers)), kernel)
    structures = X.structure_index[references.atoms]
    member = sparse.csr_array(
        (np.ones(len(structures)), (np.arange(len(structures)), structures)),
        shape=(len(structures), len(X)),
    )
    root = np.sqrt(energy_weights)
    kinds = [_kind_rows(X, blocks, number) for number, _ in references.kinds()]
    n_labels = len(X) + sum(block.n_targets for block in blocks)
    K = np.zeros((n_labels, n_labels))
    for start, stop in structures_at_a_time(X, len(references)):
        rows = energy_rows(X, references, start, stop) @ member
        K[start:stop, : len(X)] = rows * root * root[start:stop, None]
    targets = [root * y]
    row = len(X)
    for block in blocks:
        scale = np.sqrt(block.weights)
        rows = derivative_design(block, references) @ member
        K[row : row + block.n_targets, : len(X)] = rows * root * scale[:, None]
        targets.append(scale * block.labels)
        row += block.n_targets
    for kind in kinds:
        _add_curvatures(kind, kernel, K)
    K.flat[:: n_labels + 1] += alpha
    factor = cholesky(K, "kernel matrix")
    dual = solve_cholesky(factor, np.concatenate(targets))
    coef = member @ (root * dual[: len(X)])
    if not blocks:
        return references, coef, None
    slopes = np.zeros_like(X.values)
    for kind in kinds:
        if len(kind.points):
            slopes[kind.place] = np.add.reduceat(
                kind.rows * dual[kind.targets, None], kind.starts[:-1]
            )
    return references, coef, slopes[references.atoms]


def _kind_rows(X: AtomFeatures, blocks: list[DerivativeRows], number: int) -> KindRows:
    """Collect the rows of one species from all blocks."""
    first_target = len(X)
    place, counts, targets, rows = [], [], [], []
    for block in blocks:
        atoms, centers, where, vectors = block.of_kind(number)
        n_rows = np.bincount(centers, minlength=len(atoms))
        place.append(block.atoms[atoms[n_rows > 0]])
        counts.append(n_rows[n_rows > 0])
        targets.append(where + first_target)
        rows.append(vectors * np.sqrt(block.weights)[where, None])
        first_target += block.n_targets
    if not blocks:
        place, counts, targets = 3 * [[np.empty(0, dtype=np.int64)]]
        rows = [np.empty((0, X.values.shape[1]))]
    place = np.concatenate(place)
    return KindRows(
        X.values[place],
        np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64),
        np.concatenate(targets),
        np.concatenate(rows),
        place,
        X.structure_index[place],
    )


def _add_curvatures(kind: KindRows, kernel: KernelFunction, K: np.ndarray) -> None:
    """Add D (d2k/dx dy) D^T of all atoms of a species to the lower triangle."""
    tiles = [kind.cut(*bounds) for bounds in kind.tiles()]
    for a, left in enumerate(tiles):
        for right in tiles[: a + 1]:
            _add_tile(left, right, kernel, K)


def _add_tile(
    left: KindRows, right: KindRows, kernel: KernelFunction, K: np.ndarray
) -> None:
    from skatom.models._row_loops import add_curvature

    c, terms = kernel.curvatures(left.points, right.points)
    across_left = left.rows @ right.points.T
    across_right = left.points @ right.rows.T
    for weight, (p_x, p_y), (q_x, q_y) in terms or [_nothing(c)]:
        p = p_y * across_left + p_x * _along(left)[:, None]
        q = q_x * across_right + q_y * _along(right)
        add_curvature(left.as_tuple(), right.as_tuple(), c, weight, p, q, K)
        c = np.zeros_like(c)  # counts once


def _nothing(c: np.ndarray) -> Cross:
    return Cross(np.zeros_like(c), (0.0, 1.0), (1.0, 0.0))


def _along(kind: KindRows) -> np.ndarray:
    """Products of derivative rows with the features of their own atom."""
    return np.einsum(
        "rf,rf->r", kind.rows, np.repeat(kind.points, np.diff(kind.starts), axis=0)
    )

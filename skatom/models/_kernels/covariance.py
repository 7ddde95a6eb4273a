"""Covariances between what is observed or asked for: energies, forces and virials.

Each of these is linear in the latent functions of atoms: an energy sums their values, a
force or virial component t sums slopes, t = sum_i D_ti . df/dx (x_i). The covariance of
two of them is the kernel with both acted upon.

References
----------
Bartok and Csanyi, Int. J. Quantum Chem. 115, 1051 (2015), doi:10.1002/qua.24927.
Christensen and von Lilienfeld, Mach. Learn.: Sci. Technol. 1, 045018 (2020),
doi:10.1088/2632-2153/abba6f.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skatom._runtime.state import State, StateError
from skatom._runtime.threads import run_tasks
from skatom.features import AtomFeatures
from skatom.models._kernels.between_structures import cross_kernel, total_kernel
from skatom.models._kernels.functions import KernelFunction
from skatom.models._kernels.of_atoms import AtomKernel
from skatom.models._labelled.derivative_rows import CHUNK_BYTES, DerivativeRows

# Derivative rows that are handled at a time: enough to make calls from Python rare, few
# enough for their products with the atoms of another such tile to stay in the cache.
TILE_ROWS = 2048


@dataclass(frozen=True)
class KindRows(State):
    """Atoms of one species and the derivative rows they are centres of.

    Attributes
    ----------
    number : int
        Atomic number.
    points : ndarray of shape (n_atoms_of_kind, n_features)
    starts : ndarray of int64, shape (n_atoms_of_kind + 1,)
        First row of each atom; atoms of structures without labels have none.
    targets : ndarray of int64, shape (n_rows,)
        Observable that a row contributes to.
    rows : ndarray of shape (n_rows, n_features)
    place : ndarray of int64, shape (n_atoms_of_kind,)
        Index of each atom among all atoms.
    structures : ndarray of int64, shape (n_atoms_of_kind,)
    """

    _name = "rows of a species"
    _not_stored = ("along",)

    number: int
    points: np.ndarray
    starts: np.ndarray
    targets: np.ndarray
    rows: np.ndarray
    place: np.ndarray
    structures: np.ndarray

    def tiles(self) -> list[KindRows]:
        """Atoms with rows, split between structures into tiles of about TILE_ROWS rows."""
        busy = np.flatnonzero(np.diff(self.starts) > 0)
        first = np.flatnonzero(np.diff(self.structures[busy], prepend=-1))
        tile = self.starts[busy[first]] // TILE_ROWS
        edges = first[np.flatnonzero(np.diff(tile, prepend=-1))].tolist()
        return [
            self._take(busy[start:stop])
            for start, stop in zip(edges, [*edges[1:], len(busy)])
        ]

    @cached_property
    def along(self) -> np.ndarray:
        """Products of derivative rows with the features of their own atom."""
        own = np.repeat(self.points, np.diff(self.starts), axis=0)
        return np.einsum("rf,rf->r", self.rows, own)

    def as_tuple(self, offset: int = 0) -> tuple[np.ndarray, ...]:
        """Arrays in the order that compiled loops expect."""
        return self.structures + offset, self.starts, self.targets, self.rows

    def _check_state(self) -> None:
        """Refuse rows that compiled loops would look for outside of the arrays."""
        n_atoms, width = np.shape(self.points)
        n_rows = len(self.rows)
        fits = (
            np.shape(self.rows) == (n_rows, width)
            and _are_indices(self.starts, n_atoms + 1, n_rows + 1)
            and _are_indices(self.targets, n_rows)
            and _are_indices(self.place, n_atoms)
            and _are_indices(self.structures, n_atoms)
            and self.starts[0] == 0
            and self.starts[-1] == n_rows
            and (np.diff(self.starts) >= 0).all()
            and (np.diff(self.structures) >= 0).all()
            and _are_numbers(self.points)
            and _are_numbers(self.rows)
        )
        if not fits:
            raise StateError(f"the {self._name} (Z={self.number}) do not fit together")

    def _take(self, busy: np.ndarray) -> KindRows:
        """Atoms whose rows follow each other, each with at least one."""
        ends = self.starts[busy + 1]
        rows = slice(self.starts[busy[0]], ends[-1])
        return KindRows(
            self.number,
            self.points[busy],
            np.concatenate([[0], ends - rows.start]),
            self.targets[rows],
            self.rows[rows],
            self.place[busy],
            self.structures[busy],
        )


@dataclass(frozen=True)
class Observables(State):
    """Energies of structures, in this order, then their force and virial components.

    Attributes
    ----------
    kinds : list of KindRows
        One a species, atomic numbers ascending.
    offsets : ndarray of int64, shape (n_structures + 1,)
        First atom of each structure.
    n_derivatives : int
        Number of force and virial components.
    energy_scale : ndarray of shape (n_structures,)
        Factors of the energies.
    """

    _name = "observables"
    _states = (KindRows,)

    kinds: list[KindRows]
    offsets: np.ndarray
    n_derivatives: int
    energy_scale: np.ndarray

    def _check_state(self) -> None:
        """Refuse indices of structures, atoms and labels that there are not."""
        n, offsets = len(self.energy_scale), self.offsets
        fits = (
            _are_indices(offsets, n + 1)
            and (np.diff(offsets) >= 0).all()
            and type(self.n_derivatives) is int
            and all(
                isinstance(kind, KindRows)
                and _are_indices(kind.structures, len(kind.place), n)
                and _are_indices(kind.place, len(kind.points), self.n_atoms)
                and _are_indices(kind.targets, len(kind.rows), len(self))
                for kind in self.kinds
            )
        )
        if not fits:
            raise StateError(f"the {self._name} do not fit together")

    @property
    def n_energies(self) -> int:
        """Number of structures."""
        return len(self.energy_scale)

    def __len__(self) -> int:
        return self.n_energies + self.n_derivatives

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return int(self.offsets[-1])


def observables(
    X: AtomFeatures,
    blocks: Iterable[DerivativeRows] = (),
    energy_scale: np.ndarray | None = None,
) -> Observables:
    """Collect what is observed of some structures, scaled by the roots of its weights.

    Parameters
    ----------
    X : AtomFeatures
    blocks : iterable of DerivativeRows
        Forces and virials of the structures that have them, with their weights.
    energy_scale : ndarray of shape (n_structures,), optional
        Factors of the energies, 1 by default.

    Returns
    -------
    observables : Observables
    """
    blocks = list(blocks)
    scale = np.ones(len(X)) if energy_scale is None else energy_scale
    return Observables(
        [_kind_rows(X, blocks, int(number)) for number in np.unique(X.numbers)],
        X.offsets,
        sum(block.n_targets for block in blocks),
        scale,
    )


def covariance(
    left: Observables, right: Observables, kernel: AtomKernel | KernelFunction
) -> np.ndarray:
    """Covariance matrix between two sets of observables.

    Parameters
    ----------
    left, right : Observables
        If they are the same object, only the lower triangle is filled.
    kernel : AtomKernel or KernelFunction
        Between atoms whose features are scaled already; a function is the kernel
        between atoms of one species, and zero between species.

    Returns
    -------
    K : ndarray of shape (len(left), len(right))
    """
    K = np.zeros((len(left), len(right)))
    add_covariance(left, right, kernel, K)
    scale_energies(left, right, K)
    return K


def add_covariance(
    left: Observables,
    right: Observables,
    kernel: AtomKernel | KernelFunction,
    K: np.ndarray,
) -> None:
    """Add to K the covariance of observables whose energies are not scaled yet."""
    if isinstance(kernel, KernelFunction):
        kernel = AtomKernel(kernel, np.unique([kind.number for kind in left.kinds]))
    n, m = left.n_energies, right.n_energies
    K[:n, :m] += totals(left, right, kernel)
    for one, other, factor in _coupled(left, right, kernel):
        _add_slopes(one, other, factor, kernel.function, m, K)
        if left is not right:
            _add_slopes(other, one, factor, kernel.function, n, K.T)
        # structures of the left count as later ones, so that no pair is left out
        offset = 0 if left is right else m
        against = other.tiles()

        def add_row(tile, offset=offset, against=against, factor=factor):
            for others in against:
                if others.structures[0] <= tile.structures[-1] + offset:
                    _add_curvatures(tile, others, offset, factor, kernel.function, K)

        run_tasks(add_row, one.tiles()[::-1])  # the longest rows of a triangle first


def scale_energies(left: Observables, right: Observables, K: np.ndarray) -> None:
    """Multiply the rows and columns of energies by their factors, in place."""
    K[: left.n_energies] *= left.energy_scale[:, None]
    K[:, : right.n_energies] *= right.energy_scale


def expansion(seen: Observables, dual: np.ndarray, n_features: int):
    """Turn coefficients of observables into those of kernels and their slopes at atoms.

    Parameters
    ----------
    seen : Observables
    dual : ndarray of shape (len(seen),)
    n_features : int

    Returns
    -------
    coef : ndarray of shape (n_atoms,)
    slopes : ndarray of shape (n_atoms, n_features), or None without derivatives
    """
    energies = seen.energy_scale * dual[: seen.n_energies]
    coef = np.repeat(energies, np.diff(seen.offsets))
    if not seen.n_derivatives:
        return coef, None
    slopes = np.zeros((seen.n_atoms, n_features))
    for kind in seen.kinds:
        busy = np.diff(kind.starts) > 0
        if busy.any():
            slopes[kind.place[busy]] = np.add.reduceat(
                kind.rows * dual[kind.targets, None], kind.starts[:-1][busy]
            )
    return coef, slopes


def _are_indices(array, size: int, stop: int | None = None) -> bool:
    """Whether an array holds so many indices, from 0 to before stop."""
    if not isinstance(array, np.ndarray) or array.shape != (size,):
        return False
    inside = (array >= 0) & (array < (np.inf if stop is None else stop))
    return array.dtype == np.int64 and bool(inside.all())


def _are_numbers(array) -> bool:
    return array.dtype == np.float64 and bool(np.isfinite(array).all())


def _kind_rows(X: AtomFeatures, blocks: list[DerivativeRows], number: int) -> KindRows:
    """Collect the rows of one species from all blocks."""
    place = np.flatnonzero(X.numbers == number)
    counts = np.zeros(len(X.numbers), dtype=np.int64)
    first_target = len(X)
    targets, rows = [np.empty(0, dtype=np.int64)], [np.empty((0, X.values.shape[1]))]
    for block in blocks:
        atoms, centers, where, vectors = block.of_kind(number)
        counts[block.atoms[atoms]] = np.bincount(centers, minlength=len(atoms))
        targets.append(where + first_target)
        rows.append(vectors * np.sqrt(block.weights)[where, None])
        first_target += block.n_targets
    return KindRows(
        number,
        X.values[place],
        np.concatenate([[0], np.cumsum(counts[place])]).astype(np.int64),
        np.concatenate(targets),
        np.concatenate(rows),
        place,
        X.structure_index[place],
    )


def totals(left: Observables, right: Observables, kernel: AtomKernel) -> np.ndarray:
    """Kernel among the totals of structures."""
    ours = {kind.number: (kind.points, kind.structures) for kind in left.kinds}
    if left is right:
        return total_kernel(ours, left.n_energies, kernel)
    theirs = {kind.number: (kind.points, kind.structures) for kind in right.kinds}
    return cross_kernel(ours, theirs, (left.n_energies, right.n_energies), kernel)


def _coupled(left: Observables, right: Observables, kernel: AtomKernel):
    """Give the kinds of both sides between which the kernel is not zero."""
    others = {kind.number: kind for kind in right.kinds}
    for one in left.kinds:
        for number, factor in kernel.partners(one.number):
            if number in others:
                yield one, others[number], factor


def _add_slopes(
    one: KindRows,
    other: KindRows,
    factor: float,
    function: KernelFunction,
    n: int,
    K: np.ndarray,
) -> None:
    """Add D dk/dx of the rows of one, summed over the atoms of the other's structures."""
    from skatom.models._algebra.row_loops import add_outer, add_scaled

    columns, first = np.unique(other.structures, return_index=True)
    step = max(1, CHUNK_BYTES // (16 * len(other.points)))

    def add_tile(tile: KindRows) -> None:
        a, b = function.slopes(tile.points, other.points)
        centers = np.repeat(np.arange(len(tile.points)), np.diff(tile.starts))
        low, high = tile.targets.min(), tile.targets.max() + 1
        design = np.zeros((high - low, len(other.points)))
        for start in range(0, len(centers), step):
            part = slice(start, start + step)
            products = tile.rows[part] @ other.points.T
            add_scaled(centers[part], tile.targets[part] - low, a, products, design)
        if b is not None:
            add_outer(centers, tile.targets - low, b, tile.along, design)
        K[low:high, columns] += factor * np.add.reduceat(design, first, axis=1)

    run_tasks(add_tile, one.tiles())


def _add_curvatures(
    left: KindRows,
    right: KindRows,
    offset: int,
    factor: float,
    function: KernelFunction,
    K: np.ndarray,
) -> None:
    """Add D (d2k/dx dy) D^T of two tiles."""
    from skatom.models._kernels.curvature_loops import add_curvatures

    c, terms = function.curvatures(left.points, right.points)
    c = np.ascontiguousarray(c if factor == 1.0 else factor * c)
    across_left = left.rows @ right.points.T
    across_right = left.points @ right.rows.T
    d = np.empty((len(terms), *c.shape))
    p = np.empty((len(terms), *across_left.shape))
    q = np.empty((len(terms), *across_right.shape))
    for m, (weight, (p_x, p_y), (q_x, q_y)) in enumerate(terms):
        np.multiply(weight, factor, out=d[m])
        p[m] = p_y * across_left + p_x * left.along[:, None]
        q[m] = q_x * across_right + q_y * right.along
    add_curvatures(left.as_tuple(offset), right.as_tuple(), c, d, p, q, K)

"""Pairs of near structures in different cells, and what stress says of their energies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from skatom.labels._near import (
    NEAR,
    atoms_of,
    groups,
    nearest,
    relative_shift,
    unwrapped,
)
from skatom.structures import Labels, Structures

# Cells whose vectors differ by less, relative to the longest, count as the same.
SAME_CELL = 1e-5
# Atoms that move less than this share of a bond move with the cell.
STILL = 1e-4
SHEARS_TWICE = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])


class StrainedPairs(NamedTuple):
    """Pairs of structures in different cells.

    Attributes
    ----------
    change : ndarray of shape (n_pairs,)
        Change of the energy, without the part that forces explain.
    virial : ndarray of shape (n_pairs, 6)
        Volume times stress, in Voigt order, the mean of both structures.
    strain : ndarray of shape (n_pairs, 6)
        In Voigt order, shears twice.
    volume : ndarray of shape (n_pairs,)
    error : ndarray of shape (n_pairs,)
        Relative size of the error of the work, as for pairs in one cell.
    freedom : int
        Number of changes that do not follow from each other.
    """

    change: np.ndarray
    virial: np.ndarray
    strain: np.ndarray
    volume: np.ndarray
    error: np.ndarray
    freedom: int

    @property
    def scale(self) -> np.ndarray:
        """Error of the work, bounded from below."""
        floor = 1e-2 * np.median(self.error) if len(self.error) else 0.0
        return self.error + 1e-3 * np.abs(self.work()) + floor + np.finfo(float).tiny

    def work(self, order: tuple = (3, 4, 5)) -> np.ndarray:
        """Give the changes that stress says, its shears taken in an order."""
        return np.einsum("pv,pv->p", self.virial[:, [0, 1, 2, *order]], self.strain)


def strained_pairs(
    structures: Structures, y: np.ndarray, labels: Labels, *, by_forces: bool
) -> StrainedPairs:
    """Find near pairs in different cells among structures with stress.

    Parameters
    ----------
    structures : Structures
    y : ndarray of shape (n_structures,)
        NaN where unknown.
    labels : Labels
    by_forces : bool
        Whether forces tell what the motion of atoms inside the cells costs; else only
        cells count whose atoms move with them.
    """
    found, freedom = [], 0
    for members in groups(
        structures, labels.has_stress & np.isfinite(y), same_cell=False
    ):
        a, b, parts = _of_group(structures, members, y, labels, by_forces)
        found.append(parts)
        freedom += max(len(np.unique([a, b])) - 1, 0)
    if not found:
        none, six = np.empty(0), np.empty((0, 6))
        return StrainedPairs(none, six, six, none, none, 0)
    return StrainedPairs(*(np.concatenate(z) for z in zip(*found)), freedom)


def _of_group(structures, members, y, labels, by_forces):
    """Pairs of structures with the same atoms: places among members, and numbers."""
    flat = structures.flat
    cells, numbers = flat.cells[members], flat.numbers[flat.offsets[members[0]] :]
    x = atoms_of(flat.positions, flat.offsets, members)
    fractions = unwrapped(x @ np.linalg.inv(cells), flat.pbc[members[0]])
    a, b = _nearest_cells(fractions, cells)
    middle = (cells[a] + cells[b]) / 2
    strain = _voigt(np.linalg.solve(middle, cells[b] - cells[a]))
    dx = (fractions[b] - fractions[a]) @ middle
    moved = relative_shift(dx, numbers[: x.shape[1]])
    shift = np.maximum(moved, np.abs(strain).max(axis=1, initial=0.0))
    forces = atoms_of(labels.forces, flat.offsets, members)
    told = (shift < NEAR) & (moved < STILL)
    if by_forces:
        has = labels.has_forces[members]
        told |= (shift < NEAR) & has[a] & has[b]
    a, b, dx, strain, shift = (z[told] for z in (a, b, dx, strain, shift))
    volume = np.abs(np.linalg.det(cells))
    virial = volume[:, None] * labels.stress[members]
    doubled = strain * SHEARS_TWICE
    turned = np.einsum("pv,pv->p", virial[b] - virial[a], doubled)
    pulled, pushed = (np.einsum("pia,pia->p", forces[k], dx) for k in (a, b))
    return (
        a,
        b,
        (
            y[members[b]] - y[members[a]] + (pulled + pushed) / 2,
            (virial[a] + virial[b]) / 2,
            doubled,
            (volume[a] + volume[b]) / 2,
            np.abs(turned - pushed + pulled) * shift,
        ),
    )


def _nearest_cells(fractions: np.ndarray, cells: np.ndarray):
    """Pair each cell with the nearest one of another shape."""
    n, n_atoms = fractions.shape[:2]
    vectors = cells.reshape(n, 9)
    apart = np.abs(vectors[:, None] - vectors).max(axis=-1)
    places = (fractions @ cells[0]).reshape(n, -1)
    # atoms move with a cell by its strain times a twelfth of its squared length, each
    points = np.hstack([places, np.sqrt(n_atoms / 12) * vectors])
    return nearest(points - points[0], apart < SAME_CELL * np.abs(vectors).max())


def _voigt(strains: np.ndarray) -> np.ndarray:
    """Symmetric parts of tensors (n, 3, 3) as rows xx yy zz yz xz xy."""
    s = (strains + strains.swapaxes(1, 2)) / 2
    return s[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]

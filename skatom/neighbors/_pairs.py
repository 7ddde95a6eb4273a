"""Neighbour pairs of many structures at once, in rows by centre.

For every ordered pair inside ``r_cut`` there is one vector r_ij from the centre i to the
neighbour j, periodic images included. Everything that depends on where atoms are depends
on these vectors alone, so one gradient dE/dr_ij gives forces and stress:
F_i += g_ij, F_j -= g_ij and stress = sum r_ij (x) g_ij / V.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce

from skatom._runtime.threads import run_chunks
from skatom.structures import Structures
from skatom.structures._flat import FlatStructures

# Closer than this, in Å, two atoms are the same atom given twice.
COINCIDENT = 1e-6
# A cell is reduced before the search when it needs this many times the images of an
# orthogonal one.
MANY_IMAGES = 8
AXES = np.arange(3)


@dataclass(frozen=True, eq=False)
class NeighborPairs:
    """Ordered neighbour pairs of a batch of structures.

    Attributes
    ----------
    offsets : ndarray of int64, shape (n_atoms + 1,)
        The pairs of centre i are ``offsets[i]:offsets[i + 1]``.
    neighbors : ndarray of int64, shape (n_pairs,)
        Flat index of the neighbour j; its images carry the index of the original. Inside
        a row, neighbours are sorted by atomic number.
    vectors : ndarray of shape (n_pairs, 3)
        r_ij from centre to neighbour, in Å.
    shifts : ndarray of int32, shape (n_pairs, 3)
        Cell vectors that were added: r_ij = r_j + shift @ cell - r_i.
    numbers : ndarray of int64, shape (n_atoms,)
        Atomic numbers.
    """

    offsets: np.ndarray
    neighbors: np.ndarray
    vectors: np.ndarray
    shifts: np.ndarray
    numbers: np.ndarray

    @property
    def n_atoms(self) -> int:
        """Number of atoms, which are all centres."""
        return len(self.offsets) - 1

    @property
    def n_pairs(self) -> int:
        """Number of ordered pairs."""
        return len(self.neighbors)

    @property
    def centers(self) -> np.ndarray:
        """Flat index of the centre of every pair, shape (n_pairs,)."""
        return np.repeat(np.arange(self.n_atoms), np.diff(self.offsets))

    def forces(self, gradient: np.ndarray) -> np.ndarray:
        """Sum the pair gradient onto atoms.

        Parameters
        ----------
        gradient : ndarray of shape (n_pairs, 3)
            dE/dr_ij in eV/Å.

        Returns
        -------
        forces : ndarray of shape (n_atoms, 3)
            -dE/dR in eV/Å.
        """
        from skatom.neighbors._sums import scatter_forces

        forces = np.zeros((self.n_atoms, 3))
        scatter_forces(
            self.offsets, self.neighbors, np.ascontiguousarray(gradient), forces
        )
        return forces

    def forces_transpose(self, cotangent: np.ndarray) -> np.ndarray:
        """Apply the transpose of :meth:`forces`, (n_atoms, 3) to (n_pairs, 3)."""
        from skatom.neighbors._sums import gather_forces

        out = np.empty((self.n_pairs, 3))
        gather_forces(
            self.offsets, self.neighbors, np.ascontiguousarray(cotangent), out
        )
        return out

    def virial(self, gradient: np.ndarray, atom_offsets: np.ndarray) -> np.ndarray:
        """Sum r_ij (x) dE/dr_ij of each structure: its strain derivative dE/d(strain).

        Parameters
        ----------
        gradient : ndarray of shape (n_pairs, 3)
        atom_offsets : ndarray of shape (n_structures + 1,)
            First atom of each structure.

        Returns
        -------
        virial : ndarray of shape (n_structures, 3, 3)
            In eV, symmetrised; divided by the volume it is the stress in ASE's sign.
        """
        edges = self.offsets[atom_offsets]
        virial = np.empty((len(atom_offsets) - 1, 3, 3))
        for s, (start, stop) in enumerate(zip(edges[:-1], edges[1:])):
            virial[s] = self.vectors[start:stop].T @ gradient[start:stop]
        return 0.5 * (virial + virial.transpose(0, 2, 1))

    def virial_transpose(
        self, cotangent: np.ndarray, atom_offsets: np.ndarray
    ) -> np.ndarray:
        """Apply the transpose of :meth:`virial`.

        Parameters
        ----------
        cotangent : ndarray of shape (n_structures, 3, 3)
        atom_offsets : ndarray of shape (n_structures + 1,)

        Returns
        -------
        tangent : ndarray of shape (n_pairs, 3)
        """
        symmetric = 0.5 * (cotangent + cotangent.transpose(0, 2, 1))
        edges = self.offsets[atom_offsets]
        out = np.empty((self.n_pairs, 3))
        for s, (start, stop) in enumerate(zip(edges[:-1], edges[1:])):
            out[start:stop] = self.vectors[start:stop] @ symmetric[s]
        return out

    def of_structures(
        self, keep: np.ndarray, atom_offsets: np.ndarray
    ) -> NeighborPairs:
        """Select the pairs of some structures, atoms numbered anew."""
        atoms = ranges(atom_offsets[keep], atom_offsets[keep + 1])
        first, last = (
            self.offsets[atom_offsets[keep]],
            self.offsets[atom_offsets[keep + 1]],
        )
        pairs = ranges(first, last)
        sizes = atom_offsets[keep + 1] - atom_offsets[keep]
        moved = np.concatenate([[0], np.cumsum(sizes)])[:-1] - atom_offsets[keep]
        counts = np.diff(self.offsets)[atoms]
        return NeighborPairs(
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            neighbors=self.neighbors[pairs] + np.repeat(moved, last - first),
            vectors=self.vectors[pairs],
            shifts=self.shifts[pairs],
            numbers=self.numbers[atoms],
        )

    def where(self, keep: np.ndarray) -> NeighborPairs:
        """Select pairs by a mask of shape (n_pairs,); the atoms stay."""
        counts = np.concatenate([[0], np.cumsum(keep)])[self.offsets]
        return replace(
            self,
            offsets=counts.astype(np.int64),
            neighbors=self.neighbors[keep],
            vectors=self.vectors[keep],
            shifts=self.shifts[keep],
        )

    def moved(self, positions: np.ndarray, cell: np.ndarray) -> NeighborPairs:
        """Give the same pairs of one structure for other positions and cell.

        Parameters
        ----------
        positions : ndarray of shape (n_atoms, 3)
        cell : ndarray of shape (3, 3)
        """
        return self.moved_with_least(positions, cell)[0]

    def moved_with_least(
        self, positions: np.ndarray, cell: np.ndarray
    ) -> tuple[NeighborPairs, float]:
        """Give moved pairs, and the square of the shortest distance between them."""
        from skatom.neighbors._sums import move_vectors

        vectors = np.empty((self.n_pairs, 3))
        least = move_vectors(
            self.offsets,
            self.neighbors,
            self.shifts,
            np.ascontiguousarray(positions, dtype=np.float64),
            np.ascontiguousarray(cell, dtype=np.float64),
            vectors,
        )
        moved = NeighborPairs(
            self.offsets, self.neighbors, vectors, self.shifts, self.numbers
        )
        return moved, least


def neighbor_pairs(
    structures: Structures, r_cut: float, n_jobs: int | None = None
) -> NeighborPairs:
    """Find all ordered pairs within a radius, for any mix of periodic directions.

    Parameters
    ----------
    structures : Structures
        Checked structures. Cells may be skewed, left-handed or smaller than the radius,
        and atoms may lie outside the cell.
    r_cut : float
        Largest distance, in Å.
    n_jobs : int, default=None
        Number of threads.

    Returns
    -------
    pairs : NeighborPairs
        In an order that depends only on each structure, not on its companions.

    Raises
    ------
    ValueError
        If two atoms of a structure coincide.
    MemoryError
        If there are too many pairs.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from skatom.neighbors import neighbor_pairs
    >>> from skatom.structures import check_structures
    >>> pairs = neighbor_pairs(check_structures([bulk("Cu", a=3.6)]), r_cut=3.0)
    >>> pairs.n_pairs, pairs.offsets.tolist()
    (12, [0, 12])
    """
    if not len(structures):
        empty = np.empty(0, dtype=np.int64)
        return NeighborPairs(
            np.zeros(1, dtype=np.int64), empty, np.empty((0, 3)),
            np.empty((0, 3), dtype=np.int32), empty,
        )  # fmt: skip
    flat = structures.flat
    bases, reductions = np.zeros((len(structures), 3, 3)), {}
    bases[:, AXES, AXES] = 1.0
    if flat.pbc.any():
        for s in np.flatnonzero(flat.pbc.any(axis=1)):
            bases[s], reductions[s] = _search_basis(structures[s], r_cut)
    expected = _expected_pairs(flat, r_cut)
    try:
        *found, closest = _search(flat, bases, float(r_cut), expected, n_jobs)
    except MemoryError as error:
        raise MemoryError(
            f"The neighbours within {r_cut:g} Å in {len(structures)} structures, about "
            f"{expected:.1e} pairs, do not fit into memory: check r_cut and the cells "
            "(both in Å), or give fewer structures at a time."
        ) from error
    pairs = NeighborPairs(*found, flat.numbers)
    if closest < COINCIDENT**2:
        _refuse_coincident(pairs, flat.offsets)
    for s, reduction in reductions.items():
        if reduction is not None:  # count cell vectors of the cell as it was given
            rows = slice(*pairs.offsets[flat.offsets[s : s + 2]])
            pairs.shifts[rows] = pairs.shifts[rows] @ reduction
    return pairs


def _search(flat: FlatStructures, bases, r_cut, expected, n_jobs) -> tuple:
    """Search ranges of centres, in threads when that pays, and join what they find.

    Gives the arrays of `NeighborPairs` and the square of the shortest distance.
    """
    from skatom.neighbors._search import search_pairs  # numba takes its time to import

    n_atoms = len(flat.positions)
    found = {}

    def search(start: int, stop: int) -> None:
        room = expected * (stop - start) // n_atoms + 64
        found[start] = search_pairs(
            flat.positions, flat.offsets, bases, flat.pbc, flat.numbers, r_cut,
            (start, stop), room,
        )  # fmt: skip

    weights = np.arange(n_atoms + 1)
    run_chunks(search, weights, n_jobs)
    if len(found) == 1:
        return found[0]
    starts = sorted(found)
    parts = [found[start] for start in starts]
    firsts = np.cumsum([0] + [part[0][-1] for part in parts])
    joined = [np.empty((firsts[-1], *a.shape[1:]), a.dtype) for a in parts[0][1:4]]

    def copy(start: int, stop: int) -> None:
        k = starts.index(start)
        for out, array in zip(joined, parts[k][1:4]):
            out[firsts[k] : firsts[k + 1]] = array

    run_chunks(copy, weights, n_jobs)
    offsets = [part[0][:-1] + first for part, first in zip(parts, firsts)]
    closest = min(part[4] for part in parts)
    return np.concatenate([*offsets, firsts[-1:]]), *joined, closest


def _search_basis(atoms: Atoms, r_cut: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Vectors to sort periodic atoms along, and how they follow from the cell if reduced.

    Directions that are not periodic get unit vectors orthogonal to all others. A cell so
    skewed that very many images would have to be searched is reduced first.
    """
    pbc = atoms.pbc
    basis = np.where(pbc[:, None], atoms.cell.array, 0.0)
    if not pbc.all():
        basis[~pbc] = np.linalg.svd(basis[pbc])[2][pbc.sum() :]
    heights = 1.0 / np.linalg.norm(np.linalg.inv(basis), axis=0)
    images = np.prod(1 + 2 * np.ceil(r_cut / heights[pbc]))
    compact = np.linalg.norm(basis[pbc], axis=1)
    if images <= MANY_IMAGES * np.prod(1 + 2 * np.ceil(r_cut / compact)):
        return basis, None
    reduced, operation = minkowski_reduce(basis, pbc)
    return reduced, operation


def _expected_pairs(flat: FlatStructures, r_cut: float) -> int:
    """Estimate the number of pairs, a little too high for homogeneous crystals."""
    n_atoms = np.diff(flat.offsets)
    counts = n_atoms * np.minimum(n_atoms - 1.0, 128.0)
    if flat.pbc.any():
        full = flat.pbc.all(axis=1)
        n, volumes = n_atoms[full], np.abs(np.linalg.det(flat.cells[full]))
        sphere = 4.0 / 3.0 * np.pi * r_cut**3
        counts[full] = n * (1.1 * n * sphere / volumes + 8)
    return int(counts.sum()) + 64


def _refuse_coincident(pairs: NeighborPairs, atom_offsets: np.ndarray) -> None:
    squares = np.einsum("pa,pa->p", pairs.vectors, pairs.vectors)
    close = np.flatnonzero(squares < COINCIDENT**2)
    if not len(close):
        return
    j = pairs.neighbors[close[0]]
    i = np.searchsorted(pairs.offsets, close[0], side="right") - 1
    s = np.searchsorted(atom_offsets, i, side="right") - 1
    first, second = sorted((i - atom_offsets[s], j - atom_offsets[s]))
    raise ValueError(
        f"Atoms {first} and {second} of structure {s} are at the same place: remove one "
        "of them."
    )


def ranges(starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Concatenate ``arange(start, stop)`` of every pair of bounds."""
    lengths = stops - starts
    if not len(lengths):
        return np.empty(0, dtype=np.int64)
    begin = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    return begin + np.arange(lengths.sum())

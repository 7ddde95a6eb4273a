"""Pairs of structures so near that forces tell how their energies differ.

For two geometries a and b of the same atoms the trapezoidal rule gives the change of the
energy, E_b - E_a = -(F_a + F_b) . (x_b - x_a) / 2, exactly where energies are quadratic.
What it leaves is of the order of the *bend*, by which the slope changes on the way, times
the *shift*, by which distances between atoms do: third derivatives of bonds are second
ones over a length. This product is the scale of errors, and no length or energy is chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from ase.data import covalent_radii

from skatom.structures import Structures

# Beyond half the distance to a neighbour, the straight way may lead through other atoms.
NEAR = 0.5
# The size of the work: structures that are compared with each other, their atoms, groups of
# structures with the same atoms, and pairs.
MOST_STRUCTURES = 240
MOST_ATOMS = 20_000
MOST_GROUPS = 24
MOST_PAIRS = 48
# Above it, molecules are aligned and taken by positions, which distances do better below.
SMALL = 30
# Consecutive frames that are kept together where some are left out.
BLOCK = 8
# Share of the stiffest mode below which forces count along positions, not distances.
SOFTEST = 1e-5


class NearPairs(NamedTuple):
    """Pairs of structures, and what the forces say of them.

    Attributes
    ----------
    first, second : ndarray of int64, shape (n_pairs,)
        Structures.
    work : ndarray of shape (n_pairs,)
        Change of the energy from the first to the second, by the trapezoidal rule.
    bend : ndarray of shape (n_pairs,)
        Change of its slope on the way, positive where forces drive back.
    shift : ndarray of shape (n_pairs,)
        Largest relative change of a distance between atoms.
    freedom : int
        Number of energy differences that do not follow from each other.
    """

    first: np.ndarray
    second: np.ndarray
    work: np.ndarray
    bend: np.ndarray
    shift: np.ndarray
    freedom: int

    @property
    def scale(self) -> np.ndarray:
        """Relative size of the error of the work."""
        error = np.abs(self.bend) * self.shift
        floor = 1e-2 * np.median(error) if len(error) else 0.0
        return error + 1e-3 * np.abs(self.work) + floor + np.finfo(float).tiny


def near_pairs(structures: Structures, forces: np.ndarray, known) -> NearPairs:
    """Find near pairs among structures with forces, in the same cell.

    Parameters
    ----------
    structures : Structures
    forces : ndarray of shape (n_atoms_total, 3)
    known : ndarray of bool, shape (n_structures,)
        Which structures have forces.

    Returns
    -------
    pairs : NearPairs
    """
    flat, found, freedom = structures.flat, [], 0
    for members in groups(structures, known, same_cell=True):
        x, f = (atoms_of(z, flat.offsets, members) for z in (flat.positions, forces))
        numbers = flat.numbers[flat.offsets[members[0]] :][: x.shape[1]]
        periodic = flat.pbc[members[0]].any()
        if not periodic and 1 < x.shape[1] <= SMALL:
            pairs = _by_distances(x, f)
        else:
            cell = flat.cells[members[0]] if periodic else None
            pairs = _by_positions(x, f, numbers, cell, flat.pbc[members[0]])
        near = pairs[-1] < NEAR
        a, b, work, bend, shift = (z[near] for z in pairs)
        found.append((members[a], members[b], work, bend, shift))
        freedom += max(len(np.unique([a, b])) - 1, 0)
    if not found:
        none = np.empty(0)
        return NearPairs(none.astype(int), none.astype(int), none, none, none, 0)
    return NearPairs(*(np.concatenate(z) for z in zip(*found)), freedom)


def groups(structures: Structures, known, *, same_cell: bool) -> Iterator[np.ndarray]:
    """Give structures with the same atoms in the same order, the largest groups first."""
    flat, found = structures.flat, {}
    bounds = flat.offsets.tolist()
    for s in np.flatnonzero(known).tolist():
        key = (flat.numbers[bounds[s] : bounds[s + 1]].tobytes(), flat.pbc[s].tobytes())
        if same_cell and flat.pbc[s].any():
            key += (flat.cells[s].round(6).tobytes(),)
        found.setdefault(key, []).append(s)
    several = sorted((g for g in found.values() if len(g) > 1), key=len, reverse=True)
    left = MOST_STRUCTURES
    chosen = []
    for k, members in enumerate(reversed(several[:MOST_GROUPS])):  # the smallest first
        n_atoms = bounds[members[0] + 1] - bounds[members[0]]
        share = left // (min(len(several), MOST_GROUPS) - k)
        chosen.append(_some(np.array(members), min(share, MOST_ATOMS // n_atoms)))
        left -= len(chosen[-1])
    yield from reversed(chosen)


def atoms_of(flat: np.ndarray, offsets: np.ndarray, members) -> np.ndarray:
    """Give rows of structures of equal size, (n_members, n_atoms, 3)."""
    n_atoms = offsets[members[0] + 1] - offsets[members[0]]
    return flat[offsets[members][:, None] + np.arange(n_atoms)]


def nearest(points: np.ndarray, barred=None) -> tuple[np.ndarray, np.ndarray]:
    """Pair each point with the nearest that is not barred, and give some pairs once."""
    squares = np.einsum("sk,sk->s", points, points)
    apart = squares[:, None] + squares - 2 * points @ points.T
    # copies of a structure tell nothing; rounding makes their distance no zero
    apart[apart <= 1e-10 * (squares[:, None] + squares)] = np.inf
    if barred is not None:
        apart[barred] = np.inf
    partner = apart.argmin(axis=1)
    mine = np.arange(len(points))
    told = np.isfinite(apart[mine, partner])
    both = np.sort(np.stack([mine, partner])[:, told], axis=0)
    first, second = np.unique(both, axis=1)
    chosen = _some(np.arange(len(first)), MOST_PAIRS)
    return first[chosen], second[chosen]


def unwrapped(fractions: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Move atoms by whole cell vectors to where they are in the first structure."""
    away = fractions - fractions[0]
    away -= np.where(pbc, np.round(away), 0.0)
    # a common shift moves nothing; of the periodic directions only, the rest is as it is
    away -= np.where(pbc, away.mean(axis=1, keepdims=True), 0.0)
    return fractions[0] + away


def relative_shift(dx: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Largest motion of an atom, relative to a bond between two of its kind."""
    bonds = 2 * covalent_radii[numbers]
    return (np.linalg.norm(dx, axis=-1) / bonds).max(axis=-1)


def _some(items: np.ndarray, most: int) -> np.ndarray:
    """Keep evenly spread blocks of consecutive items."""
    if len(items) <= most:
        return items
    size = max(1, min(BLOCK, most))
    n_blocks = max(1, most // size)
    starts = np.linspace(0, len(items) - size, n_blocks).astype(int)
    return items[np.unique(starts[:, None] + np.arange(size))]


def _by_positions(x, f, numbers, cell, pbc):
    """Pairs of crystals, in their common cell, or of large molecules, aligned."""
    if cell is None:
        x, f = _aligned(x, f)
    elif abs(np.linalg.det(cell)) > 0:
        x = unwrapped(x @ np.linalg.inv(cell), pbc) @ cell
    a, b = nearest(x.reshape(len(x), -1) - x[0].ravel())
    dx = x[b] - x[a]
    start, end = (-np.einsum("pia,pia->p", f[k], dx) for k in (a, b))
    return a, b, (start + end) / 2, end - start, relative_shift(dx, numbers)


def _aligned(x, f):
    """Turn molecules, and their forces, onto the first (Kabsch, 1976)."""
    x = x - x.mean(axis=1, keepdims=True)
    left, _, right = np.linalg.svd(np.einsum("sia,ib->sab", x, x[0]))
    left[..., -1] *= np.sign(np.linalg.det(left @ right))[:, None]
    turn = left @ right
    return x @ turn, f @ turn


def _by_distances(x, f):
    """Pairs of small molecules, by the inverse distances q between their atoms.

    Stretching and turning bonds are straight ways in distances, not in positions. The
    forces are written as those along distances, the smallest that give them; what no
    distance explains, as forces out of the plane of a flat molecule, remains as it is.
    """
    i, j = np.triu_indices(x.shape[1], 1)
    q = 1 / np.linalg.norm(x[:, i] - x[:, j], axis=-1)
    a, b = nearest(q)
    shift = np.abs(np.log(q[b] / q[a])).max(axis=1, initial=0.0)
    a, b, shift = (z[shift < NEAR] for z in (a, b, shift))
    along_a, rest_a = _along_distances(x[a], f[a])
    along_b, rest_b = _along_distances(x[b], f[b])
    dq = q[b] - q[a]
    turned, rest_b = _onto(x[a], x[b], rest_b)
    dx = turned - (x[a] - x[a].mean(axis=1, keepdims=True))
    start, end = (
        -np.einsum("pk,pk->p", along[:, i, j], dq) - np.einsum("pia,pia->p", rest, dx)
        for along, rest in ((along_a, rest_a), (along_b, rest_b))
    )
    return a, b, (start + end) / 2, end - start, shift


def _along_distances(x, f):
    """Split forces into those along inverse distances, (n, i, j), and a rest."""
    n, n_atoms = f.shape[:2]
    apart = x[:, :, None] - x[:, None]
    cubes = np.linalg.norm(apart, axis=-1) ** 3
    cubes[:, np.arange(n_atoms), np.arange(n_atoms)] = 1.0
    slopes = -apart / cubes[..., None]  # of q_ij with respect to atom i
    outer = slopes[..., :, None] * slopes[..., None, :]  # (n, i, j, 3, 3)
    matrix = -outer
    diagonal = np.arange(n_atoms)
    matrix[:, diagonal, diagonal] = outer.sum(axis=2)
    matrix = matrix.swapaxes(2, 3).reshape(n, 3 * n_atoms, 3 * n_atoms)
    stiffest = np.einsum("skk->s", matrix)
    matrix += SOFTEST * stiffest[:, None, None] / (3 * n_atoms) * np.eye(3 * n_atoms)
    z = np.linalg.solve(matrix, f.reshape(n, 3 * n_atoms, 1)).reshape(f.shape)
    along = np.einsum("sija,sija->sij", slopes, z[:, :, None] - z[:, None])
    return along, f - np.einsum("sij,sija->sia", along, slopes)


def _onto(x_a, x_b, vectors):
    """Turn each molecule b, and vectors of its atoms, onto its molecule a."""
    centred = [x - x.mean(axis=1, keepdims=True) for x in (x_a, x_b)]
    left, _, right = np.linalg.svd(np.einsum("sia,sib->sab", centred[1], centred[0]))
    left[..., -1] *= np.sign(np.linalg.det(left @ right))[:, None]
    turn = left @ right
    return centred[1] @ turn, vectors @ turn

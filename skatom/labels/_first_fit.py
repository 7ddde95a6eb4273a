"""First fit of forces between pairs of atoms: what of forces follows from geometry.

Atoms repel each other where they are close and attract where they are not: smooth forces
along the lines between atoms, one function for each pair of elements, explain most of the
forces in any matter, molecules and metals alike. They are linear in their coefficients and
take milliseconds. What they say needs no energies: which structures have forces of another
sign or size than the rest, whether bonds are springs, and roughly what the stress is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase.data import covalent_radii

from skatom.neighbors import COINCIDENT, NeighborPairs, neighbor_pairs
from skatom.structures import Structures

# Functions reach as far as so many bonds of two atoms, and pairs below BONDED are bonds.
REACH = 2.0
BONDED = 1.25
N_FUNCTIONS = 8
# Pairs of elements have functions of their own where there are at most so many.
MOST_KINDS = 15
# Structures that are looked at, and atoms.
MOST_STRUCTURES = 60
MOST_ATOMS = 800
# Relative to the mean of the diagonal.
RIDGE = 1e-6
# Structures whose forces are below this share of the usual say more of rounding.
SMALL = 1e-3
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


class FirstFit(NamedTuple):
    """Forces between pairs that are fitted to forces.

    Attributes
    ----------
    members : ndarray of int64, shape (n_members,)
        Structures that were looked at.
    explained : float
        Share of the squared forces, corrected for the number of coefficients.
    cosine : ndarray of shape (n_members,)
        Between the forces of a structure and those of the fit; NaN where they are small.
    ratio : ndarray of shape (n_members,)
        Slope of the forces over those of the fit; NaN where they are small.
    size : ndarray of shape (n_members,)
        Root mean square of the forces over that of all.
    stiffness : tuple of float
        Mean second derivative of bonds in eV/Å², and its standard error.
    virial : ndarray of shape (n_members, 6)
        Of the fit, in eV; in Voigt order, positive under tension.
    """

    members: np.ndarray
    explained: float
    cosine: np.ndarray
    ratio: np.ndarray
    size: np.ndarray
    stiffness: tuple[float, float]
    virial: np.ndarray


class _Terms(NamedTuple):
    """Linear terms: of forces (n_atoms, 3, n), virials (n_members, 6, n), bonds (n,)."""

    forces: np.ndarray
    virial: np.ndarray
    bonds: np.ndarray


def first_fit(structures: Structures, forces: np.ndarray, known) -> FirstFit | None:
    """Fit forces between pairs of atoms; None where there is too little to fit.

    Parameters
    ----------
    structures : Structures
    forces : ndarray of shape (n_atoms_total, 3)
    known : ndarray of bool, shape (n_structures,)
        Which structures have forces.
    """
    members = _some(structures.n_atoms, known)
    if not len(members):
        return None
    offsets = structures.flat.offsets
    F = np.concatenate([forces[slice(*offsets[s : s + 2])] for s in members])
    chosen = Structures([structures[s] for s in members])
    terms = _terms(chosen)
    if terms is None or not F.any():
        return None
    A, target = terms.forces.reshape(F.size, -1), F.ravel()
    freedom = len(target) - 2 * A.shape[1]
    if freedom <= 0:
        return None
    gram = A.T @ A
    gram.flat[:: len(gram) + 1] += RIDGE * np.trace(gram) / len(gram)
    solved = np.linalg.solve(gram, np.column_stack([A.T @ target, terms.bonds]))
    fitted = (A @ solved[:, 0]).reshape(F.shape)
    variance = np.sum((F - fitted) ** 2) / freedom
    starts = chosen.offsets[:-1]
    both, own, made = (
        np.add.reduceat(z.sum(axis=1), starts) for z in (F * fitted, F**2, fitted**2)
    )
    size = np.sqrt(own / chosen.n_atoms / np.mean(np.sum(F**2, axis=1)))
    told = (size > SMALL) & (made > 0)
    nothing = np.full(len(members), np.nan)
    return FirstFit(
        members,
        1.0 - variance * len(target) / np.sum(F**2),
        np.divide(both, np.sqrt(own * made), where=told, out=nothing.copy()),
        np.divide(both, made, where=told, out=nothing.copy()),
        size,
        (
            float(terms.bonds @ solved[:, 0]),
            float(np.sqrt(variance * (terms.bonds @ solved[:, 1]))),
        ),
        terms.virial @ solved[:, 0],
    )


def _some(n_atoms: np.ndarray, known) -> np.ndarray:
    """Choose structures of more than two atoms, evenly spread."""
    members = np.flatnonzero(known & (n_atoms > 2))
    most = MOST_STRUCTURES
    while len(members) and most:
        chosen = np.unique(np.linspace(0, len(members) - 1, most).astype(int))
        if n_atoms[members[chosen]].sum() <= MOST_ATOMS or most <= 8:
            return members[chosen]
        most //= 2
    return members


def _terms(structures: Structures) -> _Terms | None:
    """Linear terms of smooth functions of distances; None without pairs."""
    flat = structures.flat
    radii = covalent_radii[flat.numbers]
    pairs = neighbor_pairs(structures, 2 * REACH * radii.max())
    bond = radii[pairs.centers] + radii[pairs.neighbors]
    r = np.linalg.norm(pairs.vectors, axis=1)
    near = r < REACH * bond
    if not near.any() or r.min() < COINCIDENT:
        return None
    i, bond, r, vectors = (z[near] for z in (pairs.centers, bond, r, pairs.vectors))
    kinds, n_kinds = _kinds(pairs, near)
    n_atoms, n_members = len(flat.numbers), len(structures)
    owner = np.repeat(np.arange(n_members), structures.n_atoms)[i]
    full = flat.pbc.all()
    lines, bonded = vectors / r[:, None], r < BONDED * bond
    shape = (n_kinds, N_FUNCTIONS)
    forces = np.zeros((n_atoms, 3, *shape))
    virial, bonds = np.zeros((n_members, 6, *shape)), np.zeros(shape)
    for k, (slope, bend) in enumerate(_functions(r / bond)):
        slope, bend = slope / bond, bend / bond**2
        for kind in kinds:
            bonds[:, k] += np.bincount(kind[bonded], bend[bonded], n_kinds)
            for x in range(3):
                forces[:, x, :, k] += _sums(
                    i, kind, slope * lines[:, x], n_kinds, n_atoms
                )
            for v, (a, b) in enumerate(VOIGT if full else ()):
                stress = 0.5 * slope * lines[:, a] * vectors[:, b]
                virial[:, v, :, k] += _sums(owner, kind, stress, n_kinds, n_members)
    forces = forces.reshape(n_atoms, 3, -1)
    used = np.abs(forces).max(axis=(0, 1)) > 0
    size = np.sqrt(np.mean(forces[..., used] ** 2, axis=(0, 1)))
    bonds = bonds.ravel() / max(bonded.sum(), 1)
    if not used.any():
        return None
    return _Terms(
        forces[..., used] / size,
        virial.reshape(n_members, 6, -1)[..., used] / size,
        bonds[used] / size,
    )


def _kinds(pairs: NeighborPairs, near: np.ndarray) -> tuple[list[np.ndarray], int]:
    """Give the pairs of elements as numbers, or both elements of too many pairs."""
    elements, code = np.unique(pairs.numbers, return_inverse=True)
    a, b = code[pairs.centers[near]], code[pairs.neighbors[near]]
    n = len(elements)
    if n * (n + 1) // 2 > MOST_KINDS:
        return [a, b], n
    return [np.minimum(a, b) * n + np.maximum(a, b)], n * n


def _sums(rows, kinds, values, n_kinds: int, n_rows: int) -> np.ndarray:
    """Sum values by row and kind, (n_rows, n_kinds)."""
    flat = np.bincount(rows * n_kinds + kinds, values, n_rows * n_kinds)
    return flat.reshape(n_rows, n_kinds)


def _functions(u: np.ndarray):
    """First and second derivatives of Gaussians that vanish smoothly at REACH."""
    centres, width = np.linspace(u.min(), 0.95 * REACH, N_FUNCTIONS, retstep=True)
    s = 1 - (u / REACH) ** 2
    cut, cut1 = s**3, -6 * u / REACH**2 * s**2
    cut2 = -6 / REACH**2 * s**2 + 24 * u**2 / REACH**4 * s
    for centre in centres:
        x = (u - centre) / width
        g = np.exp(-0.5 * x * x)
        g1, g2 = -x / width * g, (x * x - 1) / width**2 * g
        yield g1 * cut + g * cut1, g2 * cut + 2 * g1 * cut1 + g * cut2

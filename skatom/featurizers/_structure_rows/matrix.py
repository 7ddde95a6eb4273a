"""Base of matrices of pairs of atoms: size, order of the atoms, names."""

from __future__ import annotations

import numpy as np

from skatom._validation import Integral, Interval, Real, StrOptions
from skatom.structures import Structures, content_hash

MATRIX_CONSTRAINTS: dict = {
    "permutation": [StrOptions({"sorted_l2", "eigenspectrum", "random", "none"})],
    "n_atoms_max": [Interval(Integral, 1, None, closed="left"), None],
    "sigma": [Interval(Real, 0, None, closed="neither")],
    "random_state": ["random_state"],
    "n_jobs": [Integral, None],
}


def check_size(structures: Structures, n_max: int) -> None:
    """Refuse structures that do not fit into the matrix."""
    sizes = structures.n_atoms
    too_large = np.flatnonzero(sizes > n_max)
    if len(too_large):
        raise ValueError(
            f"Structure {too_large[0]} has {sizes[too_large[0]]} atoms, but the matrix "
            f"has room for {n_max} ({len(too_large)} such structures): set "
            f"n_atoms_max={sizes.max()} and fit again."
        )


def matrix_names(permutation: str, n_max: int) -> np.ndarray:
    """Names of the columns."""
    if permutation == "eigenspectrum":
        names = [f"eigenvalue_{k}" for k in range(n_max)]
    else:
        names = [f"C_{a}_{b}" for a in range(n_max) for b in range(n_max)]
    return np.array(names, dtype=object)


def noise_of(structures: Structures, sigma: float, seed: int) -> np.ndarray:
    """Draw noise for the norms of all atoms that each structure settles by itself."""
    drawn = [
        np.random.default_rng([seed, int(content_hash(atoms), 16)]).normal(
            scale=sigma, size=len(atoms)
        )
        for atoms in structures
    ]
    return np.concatenate(drawn) if drawn else np.zeros(0)


def spectra(full: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Diagonalise padded symmetric matrices.

    Parameters
    ----------
    full : ndarray of shape (n_structures, n_max, n_max)
    sizes : ndarray of shape (n_structures,)

    Returns
    -------
    values : ndarray of shape (n_structures, n_max)
        Eigenvalues, the largest in magnitude first, padded with zeros.
    vectors : list of ndarray of shape (n, n)
        Eigenvectors as columns, in the same order.
    """
    values = np.zeros(full.shape[:2])
    vectors: list = [None] * len(full)
    for n in np.unique(sizes):
        group = np.flatnonzero(sizes == n)
        found, basis = np.linalg.eigh(full[group, :n, :n])
        order = np.argsort(-np.abs(found), axis=1, kind="stable")
        values[group, :n] = np.take_along_axis(found, order, axis=1)
        basis = np.take_along_axis(basis, order[:, None, :], axis=2)
        for s, one in zip(group, basis):
            vectors[s] = one
    return values, vectors


def sorted_matrix(matrix: np.ndarray, noise: np.ndarray | float) -> np.ndarray:
    """Sort rows and columns by norm, the largest first; equal ones keep their order."""
    keys = (np.linalg.norm(matrix, axis=1) + noise).astype(np.float32)
    order = np.argsort(-keys, kind="stable")
    return matrix[np.ix_(order, order)]

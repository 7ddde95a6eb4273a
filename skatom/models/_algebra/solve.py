"""Least squares and positive definite systems, solved without squaring the condition."""

from __future__ import annotations

import warnings
from time import perf_counter

import numpy as np
from scipy import linalg
from scipy.linalg.lapack import dpotri, dtpqrt
from sklearn.exceptions import ConvergenceWarning

# Block of columns that LAPACK's tpqrt works on; the fastest of 32, 64 and 128.
PANEL = 32
# Columns that are factored at a time.
BLOCK = 1024
# Tile of a matrix that is transposed in the cache.
TILE = 512
# Relative to the mean of the diagonal: where to begin, when to say so, when to give up.
FIRST_JITTER, NOTABLE_JITTER, LARGEST_JITTER = 1e-14, 1e-8, 1e-2


class TriangularLeastSquares:
    """Least squares min |A c - t|^2 whose rows arrive in blocks and are not kept.

    Only the triangle of the QR factorisation of all rows so far is stored; each block is
    annihilated against it by Householder reflections, so that memory is that of the
    triangle and one block, and the condition number is never squared.

    Parameters
    ----------
    triangle : ndarray of shape (n_columns, n_columns)
        Upper triangular rows to begin with, such as the square root of a penalty.

    References
    ----------
    Demmel, Grigori, Hoemmen and Langou, SIAM J. Sci. Comput. 34, A206 (2012),
    doi:10.1137/080731992.
    """

    def __init__(self, triangle: np.ndarray):
        n = len(triangle)
        self._triangle = np.zeros((n + 1, n + 1), order="F")
        self._triangle[:n, :n] = triangle

    @classmethod
    def resumed(cls, triangle: np.ndarray) -> TriangularLeastSquares:
        """Go on from a copy of the `triangle` of another problem."""
        problem = cls(np.empty((0, 0)))
        problem._triangle = np.array(np.triu(triangle), order="F")
        return problem

    @property
    def triangle(self) -> np.ndarray:
        """All rows so far, with their targets as the last column; upper triangular."""
        return self._triangle

    def add(self, rows: np.ndarray, targets: np.ndarray) -> None:
        """Take in rows (n_rows, n_columns) and their targets (n_rows,)."""
        if not len(rows):
            return
        block = np.empty((len(rows), len(self._triangle)), order="F")
        block[:, :-1] = rows
        block[:, -1] = targets
        self._triangle = dtpqrt(
            0, min(PANEL, len(self._triangle)), self._triangle, block,
            overwrite_a=True, overwrite_b=True,
        )[0]  # fmt: skip

    def solve(self, scale: float | None = None) -> np.ndarray:
        """Find coefficients, of smallest norm where the rows leave them undetermined.

        Parameters
        ----------
        scale : float, optional
            Size of the numbers that rounding errors go with, by default the largest on
            the diagonal. Columns that are smaller than its rounding do not count.
        """
        triangle, targets = self._triangle[:-1, :-1], self._triangle[:-1, -1]
        triangle = np.triu(triangle)
        diagonal = np.abs(np.diagonal(triangle))
        rounding = len(triangle) * np.finfo(float).eps * (scale or diagonal.max())
        if diagonal.min() > rounding:
            return linalg.solve_triangular(triangle, targets)
        largest = np.linalg.norm(triangle, 2) or 1.0
        return linalg.lstsq(triangle, targets, cond=min(rounding / largest, 1.0))[0]


def cholesky(matrix: np.ndarray, name: str) -> np.ndarray:
    """Factor a positive definite matrix, with a little added to its diagonal if needed.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
        C-ordered; its lower triangle is read and overwritten.
    name : str
        What messages call it.

    Returns
    -------
    factor : ndarray of shape (n, n)
        Lower triangular, in the memory of the matrix; what is above the diagonal is not
        defined.

    Raises
    ------
    ValueError
        If one hundredth of the mean diagonal is not enough.
    """
    diagonal = np.diagonal(matrix).copy()
    mean = float(np.mean(diagonal))
    symmetric(matrix)  # what the factorisation overwrites can be restored from above
    jitter = 0.0 if np.isfinite(mean) and mean > 0 else np.inf
    while True:
        if jitter > LARGEST_JITTER:
            raise ValueError(
                f"The {name} is not positive definite, even with {LARGEST_JITTER:g} of "
                "its mean diagonal added: increase alpha, or choose a kernel and gamma "
                "whose values are of the order of one."
            )
        try:
            _factor_lower(matrix)
            break
        except linalg.LinAlgError:
            jitter = 10.0 * jitter if jitter else FIRST_JITTER
        symmetric(matrix.T)
        np.fill_diagonal(matrix, diagonal + jitter * mean)
    if jitter > NOTABLE_JITTER:
        warnings.warn(
            f"The {name} is nearly singular; {jitter:.0e} of its mean diagonal was added. "
            "Increase alpha or gamma, or choose fewer references.",
            ConvergenceWarning,
            stacklevel=3,
        )
    return matrix


def _factor_lower(matrix: np.ndarray) -> None:
    """Overwrite the lower triangle by its Cholesky factor; what is above stays.

    Block by block, left-looking, with products of matrices for nearly all of the work.
    The routine of OpenBLAS crashes with two threads and 28,000 rows.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is not positive definite.
    """
    n = len(matrix)
    for start in range(0, n, BLOCK):
        columns = slice(start, min(start + BLOCK, n))
        tile = matrix[columns, columns]
        above = np.triu(tile, 1)
        if start:
            done = matrix[:, :start]
            matrix[start:, columns] -= done[start:] @ done[columns].T
        factor = np.zeros_like(tile)
        try:
            factor = linalg.cholesky(tile, lower=True, check_finite=False)
        finally:  # also where it fails: the matrix is restored from what is above
            tile[:] = factor + above
        below = matrix[columns.stop :, columns]
        if len(below):
            below[:] = linalg.solve_triangular(
                factor, below.T, lower=True, check_finite=False
            ).T


def solve_cholesky(factor: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Solve with the lower triangular factor of `cholesky`, block by block.

    Parameters
    ----------
    factor : ndarray of shape (n, n)
        What is above the diagonal is not read.
    targets : ndarray of shape (n,)

    Returns
    -------
    solution : ndarray of shape (n,)
    """
    solution = np.array(targets, dtype=np.float64)
    starts = range(0, len(factor), BLOCK)
    for start in starts:
        rows = slice(start, start + BLOCK)
        solution[rows] -= factor[rows, :start] @ solution[:start]
        solution[rows] = linalg.solve_triangular(
            factor[rows, rows], solution[rows], lower=True, check_finite=False
        )
    for start in reversed(starts):
        rows, later = slice(start, start + BLOCK), slice(start + BLOCK, None)
        solution[rows] -= solution[later] @ factor[later, rows]
        solution[rows] = linalg.solve_triangular(
            factor[rows, rows], solution[rows], lower=True, trans=1, check_finite=False
        )
    return solution


def invert(factor: np.ndarray, *, keep: bool = False) -> np.ndarray:
    """Invert a positive definite matrix from the factor of `cholesky`.

    Parameters
    ----------
    factor : ndarray of shape (n, n)
        Overwritten, unless it is to be kept.
    keep : bool, default=False

    Returns
    -------
    inverse : ndarray of shape (n, n)
        Symmetric, in full.
    """
    # row after row, the lower triangle is the upper one of the transpose in LAPACK's order
    inverse, info = dpotri(factor.T, lower=0, overwrite_c=not keep)
    if info:  # pragma: no cover - the factorisation has found a positive diagonal
        raise linalg.LinAlgError(f"LAPACK's dpotri failed with info={info}.")
    return symmetric(inverse.T)


def symmetric(matrix: np.ndarray) -> np.ndarray:
    """Copy the lower triangle to the upper one, in place, tile by tile."""
    for start in range(0, len(matrix), TILE):
        rows = slice(start, start + TILE)
        for first in range(0, start, TILE):
            columns = slice(first, first + TILE)
            matrix[columns, rows] = matrix[rows, columns].T
        tile = matrix[rows, rows]
        tile[:] = np.tril(tile) + np.tril(tile, -1).T
    return matrix


def factoring_time(n: int) -> float:
    """Guess how many seconds factoring a matrix of n rows takes, by a small one."""
    few = min(n, 512)
    matrix = np.eye(few)
    linalg.cholesky(matrix)
    start = perf_counter()
    linalg.cholesky(matrix)
    return (perf_counter() - start) * (n / max(few, 1)) ** 3

"""All rows that a linear model has seen, as one triangle, and what follows from it.

The columns are the energies of species, then the coefficients, then the targets. Because
the energies of species come first and are not penalised, what stands below them in the
triangle is the problem with them eliminated: on plain rows, that of centred columns.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.optimize import brentq
from sklearn.exceptions import ConvergenceWarning

from skatom.models._algebra.solve import TriangularLeastSquares

# Singular values below this share of the largest are compositions that nobody has seen.
SAME_COMPOSITION = 1e-10
# Strengths that are tried, relative to the square of the largest singular value.
WEAKEST, STRONGEST, N_STRENGTHS = 1e-20, 1e6, 261


@dataclass(frozen=True)
class LinearProblem:
    """Least squares for coefficients, the energies of species eliminated.

    Attributes
    ----------
    triangle : ndarray of shape (n_coef + 1, n_coef + 1)
        Upper triangular; the last column holds targets, its last entry what no
        coefficients can explain.
    base : ndarray of shape (n_species,)
        Energies of species for coefficients of zero, of smallest norm.
    offsets : ndarray of shape (n_species, n_coef)
        How they fall as coefficients rise: the mean features of each species, where
        these are determined.
    scale : float
        Norm of all rows, which rounding errors go with.
    """

    triangle: np.ndarray
    base: np.ndarray
    offsets: np.ndarray
    scale: float

    @classmethod
    def of(cls, triangle: np.ndarray, n_species: int) -> LinearProblem:
        """Eliminate the energies of species from the triangle of all rows."""
        k = n_species
        scale = float(np.linalg.norm(triangle[:-1, :-1]))
        if not k:
            n_coef = len(triangle) - 1
            return cls(triangle, np.zeros(0), np.zeros((0, n_coef)), scale)
        u, sizes, vt = np.linalg.svd(triangle[:k, :k])
        rank = int(np.sum(sizes > SAME_COMPOSITION * sizes[0])) if sizes[0] else 0
        top = u.T @ triangle[:k, k:]
        found = (vt[:rank].T / sizes[:rank]) @ top[:rank]
        rest = TriangularLeastSquares.resumed(triangle[k:, k:])
        # rows in which the energies of species have no part, as it turns out
        rest.add(top[rank:, :-1], top[rank:, -1])
        return cls(rest.triangle, found[:, -1], found[:, :-1], scale)

    def solve(self, alpha: float) -> LinearSolution:
        """Solve with the penalty alpha |coef|²."""
        problem = TriangularLeastSquares.resumed(self.triangle)
        if alpha > 0:
            n_coef = len(self.triangle) - 1
            problem.add(np.sqrt(alpha) * np.eye(n_coef), np.zeros(n_coef))
        coef = problem.solve(None if alpha > 0 else self.scale)
        loss = problem.triangle[-1, -1] ** 2
        energies = self.base - self.offsets @ coef
        return LinearSolution(coef, energies, problem.triangle[:-1, :-1], float(loss))

    def strength_of_most_evidence(self, n_targets: float) -> float:
        """Find the alpha under which the targets are the most probable.

        With the variance of the noise at its best for each alpha, minus twice the
        logarithm of the evidence is n log Q + sum log(1 + s²/alpha), where Q is the
        penalised loss and s are the singular values; the fixed points of MacKay, Neural
        Computation 4, 415 (1992), are its stationary points.
        """
        u, sizes, _ = np.linalg.svd(self.triangle[:-1, :-1])
        squares = sizes**2
        if not squares.size or not squares[0]:
            return 1.0
        explained = (u.T @ self.triangle[:-1, -1]) ** 2
        left = self.triangle[-1, -1] ** 2

        def cost(log_alpha):
            alpha = np.exp(log_alpha)[:, None]
            lost = left + np.sum(explained * (alpha / (squares + alpha)), axis=1)
            tiny = np.finfo(float).tiny
            return n_targets * np.log(lost + tiny) + np.sum(
                np.log1p(squares / alpha), axis=1
            )

        def slope(log_alpha):
            alpha = np.exp(log_alpha)
            share = squares / (squares + alpha)
            lost = left + np.sum(explained * (1 - share))
            rise = alpha * np.sum(explained * share / (squares + alpha))
            return n_targets * rise / lost - np.sum(share)

        grid = np.log(squares[0]) + np.linspace(
            np.log(WEAKEST), np.log(STRONGEST), N_STRENGTHS
        )
        costs = cost(grid)
        # with more coefficients than targets there may be a pole where nothing is left,
        # which is no model; a minimum inside is preferred
        inner = 1 + np.flatnonzero(
            (costs[1:-1] <= costs[:-2]) & (costs[1:-1] < costs[2:])
        )
        best = int(inner[np.argmin(costs[inner])] if len(inner) else np.argmin(costs))
        if best in (0, N_STRENGTHS - 1):
            told = "weakest" if best == 0 else "strongest"
            why = "targets follow features without noise" if best == 0 else (
                "features tell nothing about targets"
            )  # fmt: skip
            warnings.warn(
                f"The evidence is largest for the {told} penalty that was tried, as if "
                f"{why}: set alpha to a number.",
                ConvergenceWarning,
                stacklevel=5,
            )
            return float(np.exp(grid[best]))
        low, high = grid[best - 1], grid[best + 1]
        if not slope(low) < 0 < slope(high):  # too flat to tell, within rounding
            return float(np.exp(grid[best]))
        return float(np.exp(brentq(slope, low, high, xtol=1e-14, rtol=1e-14)))


@dataclass(frozen=True)
class LinearSolution:
    """Coefficients, energies of species, and how certain coefficients are.

    Attributes
    ----------
    coef : ndarray of shape (n_coef,)
    energies : ndarray of shape (n_species,)
    factor : ndarray of shape (n_coef, n_coef)
        Upper triangular R; the covariance of coefficients is that of the noise times
        (R^T R)^-1.
    loss : float
        Smallest value of the penalised loss.
    """

    coef: np.ndarray
    energies: np.ndarray
    factor: np.ndarray
    loss: float


def widened(triangle: np.ndarray, places: np.ndarray, n_columns: int) -> np.ndarray:
    """Give columns that have been zero so far their places among others.

    Parameters
    ----------
    triangle : ndarray of shape (n, n)
        Upper triangular, the targets in the last column.
    places : ndarray of int64, shape (n - 1,)
        New places of the other columns, ascending.
    n_columns : int
        Number of columns afterwards, without the targets.
    """
    out = np.zeros((n_columns + 1, n_columns + 1), order="F")
    places = np.append(places, n_columns)
    out[np.ix_(places, places)] = np.triu(triangle)
    return out


def spread(factor: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Variance of rows times coefficients, in units of that of the noise, (n_rows,).

    Raises
    ------
    ValueError
        If the factor is singular.
    """
    diagonal = np.abs(np.diagonal(factor))
    if diagonal.min() <= len(factor) * np.finfo(float).eps * diagonal.max():
        raise ValueError(
            "Without a penalty the training data leave some coefficients undetermined, so "
            "that standard deviations are infinite: set alpha to more than zero."
        )
    return np.sum(linalg.solve_triangular(factor, rows.T, trans=1) ** 2, axis=0)

"""Penalties of linear models, judged on structures that are left out.

The rows of each fold are one triangle. What all others say follows from their triangles
together, and one singular value decomposition of these gives the coefficients for every
penalty at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skatom.models._algebra.left_out import merged
from skatom.models._linear.problem import LinearProblem

# What "auto" tries, relative to the mean square of a column once species are eliminated.
AUTO_ALPHAS = 10.0 ** np.arange(-14, 1)
# What "auto" takes where there is nothing to leave out: one structure, or copies of one.
WITHOUT_FOLDS = 1e-6


def usual_alphas(triangle: np.ndarray, n_species: int, shares=AUTO_ALPHAS):
    """Give penalties as shares of the mean square of the columns.

    Parameters
    ----------
    triangle : ndarray of shape (n_columns + 1, n_columns + 1)
        Of all rows.
    n_species : int
        Number of columns of species, which come first.
    shares : float or ndarray
    """
    problem = LinearProblem.of(triangle, n_species)
    squares = np.sum(problem.triangle[:-1, :-1] ** 2, axis=0)
    return shares * (np.mean(squares) or 1.0)


def left_out_losses(
    folds: Sequence[np.ndarray], n_held_out: int, n_species: int, alphas: np.ndarray
) -> np.ndarray:
    """Sum the squared errors on folds that were left out, for every penalty.

    Parameters
    ----------
    folds : sequence of ndarray of shape (n_columns + 1, n_columns + 1)
        Triangles, the targets in the last column.
    n_held_out : int
        How many of them are left out, each in turn; the others never are.
    n_species : int
    alphas : ndarray of shape (n_alphas,)
        Positive.

    Returns
    -------
    losses : ndarray of shape (n_alphas,)
    """
    losses = np.zeros(len(alphas))
    for k in range(n_held_out):
        others = merged([fold for j, fold in enumerate(folds) if j != k])
        unknowns = _solutions(LinearProblem.of(others, n_species), alphas)
        errors = folds[k][:, :-1] @ unknowns - folds[k][:, -1:]
        losses += np.sum(errors**2, axis=0)
    return losses


def _solutions(problem: LinearProblem, alphas: np.ndarray) -> np.ndarray:
    """Energies of species and coefficients for every penalty, (n_columns, n_alphas)."""
    u, sizes, vt = np.linalg.svd(problem.triangle[:-1, :-1])
    shrunk = sizes[:, None] / (sizes[:, None] ** 2 + alphas)
    coef = vt.T @ (shrunk * (u.T @ problem.triangle[:-1, -1:]))
    return np.vstack([problem.base[:, None] - problem.offsets @ coef, coef])

"""Errors on what a fit leaves out, in closed form from the fit to everything.

With G the inverse of a regularised kernel or covariance matrix and a = G t the
coefficients of the labels t, what a fit without the labels B makes of them is off by
(G_BB)^-1 a_B: the inverse of a matrix with a block removed follows from the whole inverse.
A baseline that is fitted on what is not left out changes the targets of every fold by a
combination of a few columns, which are solved for once. Least squares need no formula:
the rows of every fold are one triangle, and triangles are put together as wanted.

References
----------
Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), section 5.4.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import linalg

from skatom.models._algebra.solve import (
    TriangularLeastSquares,
    cholesky,
    invert,
)


def left_out_residuals(
    inverse: np.ndarray, coefficients: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Residuals of some labels, predicted from all others.

    Parameters
    ----------
    inverse : ndarray of shape (n_labels, n_labels)
        G, in full.
    coefficients : ndarray of shape (n,)
        a, of the labels that are left out.
    labels : ndarray of int64, shape (n,)
        Which these are, ascending.

    Returns
    -------
    residuals : ndarray of shape (n,)
        Label minus prediction.
    """
    block = inverse[np.ix_(labels, labels)]
    return linalg.solve(block, coefficients, assume_a="pos")


def cross_validated_residuals(
    K: np.ndarray,
    targets: np.ndarray,
    columns: np.ndarray,
    baselines: Sequence[np.ndarray],
    folds: Sequence[np.ndarray],
    alpha: float,
) -> list[np.ndarray]:
    """Residuals of all labels that each fold leaves out, with a baseline of its own.

    Parameters
    ----------
    K : ndarray of shape (n_labels, n_labels)
        Kernel among the labels, its lower triangle.
    targets : ndarray of shape (n_labels,)
        No baseline is subtracted.
    columns : ndarray of shape (n_labels, n_columns)
        What the baseline is a combination of.
    baselines : sequence of ndarray of shape (n_columns,)
        Coefficients of the columns in each fold.
    folds : sequence of ndarray of int64
        Labels that each fold leaves out.
    alpha : float
        Added to the diagonal.

    Returns
    -------
    residuals : list of ndarray
    """
    G = K.copy()
    G.flat[:: len(G) + 1] += alpha
    G = invert(cholesky(G, "kernel matrix"))
    solved = G @ np.column_stack([targets, columns])
    return [
        left_out_residuals(G, solved[fold, 0] - solved[fold, 1:] @ baseline, fold)
        for fold, baseline in zip(folds, baselines)
    ]


def labels_of_folds(
    owners: np.ndarray, weighted: np.ndarray, folds: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Labels of the structures that each fold leaves out, those of weight zero aside.

    Parameters
    ----------
    owners : ndarray of int64, shape (n_labels,)
        Structure of every label.
    weighted : ndarray of bool, shape (n_labels,)
    folds : sequence of ndarray of int64
        Structures.
    """
    return [np.flatnonzero(np.isin(owners, fold) & weighted) for fold in folds]


def merged(triangles: Sequence[np.ndarray]) -> np.ndarray:
    """Triangle of the rows of several."""
    problem = TriangularLeastSquares.resumed(triangles[0])
    for triangle in triangles[1:]:
        problem.add(triangle[:, :-1], triangle[:, -1])
    return problem.triangle

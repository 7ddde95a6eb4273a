"""Residuals of held-out structures without fitting again, leave-one-out or k-fold.

With G = (W K W + alpha)^-1 and a = G W t over all labels, what a model fitted without the
labels B makes of them is off by W_B^-1 (G_BB)^-1 a_B: the inverse of a matrix with a block
removed follows from the whole inverse. A baseline that is fitted on what is not held out
changes the targets of every fold by a combination of a few columns, which are solved for
once.

References
----------
Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), section 5.4.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import linalg
from scipy.linalg.lapack import dpotri

from skatom.models._algebra.solve import cholesky
from skatom.models._kernel_ridge.exact import ExactProblem
from skatom.models._labelled.training_set import Problem


def held_out_residuals(
    system: ExactProblem,
    columns: np.ndarray,
    baselines: Sequence[np.ndarray],
    held_out: Sequence[np.ndarray],
    alpha: float,
) -> list[np.ndarray]:
    """Weighted residuals W (t - prediction) of all labels that each fold leaves out.

    Parameters
    ----------
    system : ExactProblem
        Its targets have no baseline subtracted.
    columns : ndarray of shape (n_labels, n_species)
        What the energies of species add to the targets.
    baselines : sequence of ndarray of shape (n_species,)
        Energies of species of each fold.
    held_out : sequence of ndarray of int64
        Labels that each fold leaves out.
    alpha : float

    Returns
    -------
    residuals : list of ndarray
    """
    G = inverse(system.K, alpha)
    solved = G @ np.column_stack([system.targets, columns])
    residuals = []
    for labels, baseline in zip(held_out, baselines):
        a = solved[labels, 0] - solved[labels, 1:] @ baseline
        block = G[np.ix_(labels, labels)]
        residuals.append(linalg.solve(block, a, assume_a="pos"))
    return residuals


def inverse(K: np.ndarray, alpha: float) -> np.ndarray:
    """Invert K + alpha, from the lower triangle of K; symmetric in full."""
    G = K.copy()
    G.flat[:: len(G) + 1] += alpha
    factor = cholesky(G, "kernel matrix")
    # row after row, the lower triangle is the upper one of the transpose in LAPACK's order
    G, info = dpotri(factor.T, lower=0, overwrite_c=1)
    if info:  # pragma: no cover - the factorisation has found a positive diagonal
        raise linalg.LinAlgError(f"LAPACK's dpotri failed with info={info}.")
    upper = np.triu(G, 1)
    G = np.triu(G)
    G += upper.T
    return G


def labels_of_folds(
    owners: np.ndarray, weighted: np.ndarray, folds: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Labels of the structures that each fold leaves out, those of weight zero aside."""
    labels = []
    for fold in folds:
        of_fold = np.zeros(owners.max() + 1, dtype=bool)
        of_fold[fold] = True
        labels.append(np.flatnonzero(of_fold[owners] & weighted))
    return labels


def fold_baselines(
    problem: Problem,
    numbers: np.ndarray,
    folds: Sequence[np.ndarray],
    has_baseline: bool,
) -> list[np.ndarray]:
    """Energies of species, fitted on the structures that each fold keeps."""
    baselines = []
    for fold in folds:
        keep = np.ones(len(problem.X), dtype=bool)
        keep[fold] = False
        if has_baseline:
            baselines.append(problem.baseline(numbers, keep))
        else:
            baselines.append(np.zeros(len(numbers)))
    return baselines

"""Kernel matrix among all labels of a training set, and its exact solution.

By the representer theorem the minimiser of the loss is a sum of one function per label:
kernels at the atoms for an energy, derivatives of kernels for a force or a virial.
Nothing is approximated, at the price of a matrix of the number of labels squared.

References
----------
Bartok and Csanyi, Int. J. Quantum Chem. 115, 1051 (2015), doi:10.1002/qua.24927.
Christensen and von Lilienfeld, Mach. Learn.: Sci. Technol. 1, 045018 (2020),
doi:10.1088/2632-2153/abba6f.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from skatom.features import AtomFeatures
from skatom.models._algebra.solve import cholesky, solve_cholesky
from skatom.models._kernel_ridge.rows_against_references import (
    References,
    take_references,
)
from skatom.models._kernels.covariance import (
    Observables,
    covariance,
    expansion,
    observables,
)
from skatom.models._kernels.of_atoms import AtomKernel
from skatom.models._labelled.derivative_rows import derivative_rows
from skatom.models._labelled.rigid_motions import without_rigid_motion
from skatom.models._labelled.training_set import TrainingSet


class ExactProblem(NamedTuple):
    """The system of equations (W K W + alpha) a = W t, W the roots of the weights.

    Attributes
    ----------
    observables : Observables
        Energies, then forces and virials.
    K : ndarray of shape (n_labels, n_labels)
        W K W, its lower triangle.
    targets : ndarray of shape (n_labels,)
        W t.
    """

    observables: Observables
    K: np.ndarray
    targets: np.ndarray


def exact_problem(
    given: TrainingSet, kernel: AtomKernel, reduce: bool = True
) -> ExactProblem:
    """Collect all labels and the kernel among them.

    Parameters
    ----------
    given : TrainingSet
        With features scaled as the kernel wants them.
    kernel : AtomKernel
    reduce : bool, default=True
        Leave out the net force and torque of molecules.

    Returns
    -------
    problem : ExactProblem
    """
    X = given.X
    blocks = [kernel.scale_rows(b) for b in derivative_rows(given, len(X.numbers))]
    if reduce:
        blocks = [without_rigid_motion(block) for block in blocks]
    root = np.sqrt(given.energy_weights)
    labels = observables(X, blocks, root)
    targets = [
        root * given.y,
        *(np.sqrt(block.weights) * block.labels for block in blocks),
    ]
    del blocks  # their rows stand in the observables
    K = covariance(labels, labels, kernel)
    return ExactProblem(labels, K, np.concatenate(targets))


def solve_exactly(
    given: TrainingSet, kernel: AtomKernel, alpha: float
) -> tuple[References, np.ndarray, np.ndarray | None]:
    """Solve (W K W + alpha) a = W t over all labels t; parameters as `exact_problem`.

    Returns
    -------
    references, coef, slopes
        As of `expand`.
    """
    labels, K, targets = exact_problem(given, kernel)
    K.flat[:: len(labels) + 1] += alpha
    factor = cholesky(K, "kernel matrix")
    return expand(given.X, labels, solve_cholesky(factor, targets), kernel)


def expand(
    X: AtomFeatures, labels: Observables, dual: np.ndarray, kernel: AtomKernel
) -> tuple[References, np.ndarray, np.ndarray | None]:
    """Turn coefficients of labels into those of atoms.

    Returns
    -------
    references : References
        All atoms.
    coef : ndarray of shape (n_atoms,)
        Coefficients of the kernels at the references.
    slopes : ndarray of shape (n_atoms, n_features) or None
        Coefficients of the kernels' derivatives there.
    """
    references = take_references(X, np.arange(len(X.numbers)), kernel)
    coef, slopes = expansion(labels, dual, X.values.shape[1])
    order = references.atoms
    return references, coef[order], None if slopes is None else slopes[order]

"""Least squares in the span of kernels at chosen references, energies and forces at once.

The rows of all labels against the references, and the root of the penalty, are solved by
QR factorisation ("V-QR"): min |W (K_nm c - t)|^2 + alpha |L^T c|^2 with K_mm = L L^T.

References
----------
Foster et al., J. Mach. Learn. Res. 10, 857 (2009): the V method and why QR.
Bartok and Csanyi, Int. J. Quantum Chem. 115, 1051 (2015), doi:10.1002/qua.24927.
"""

from __future__ import annotations

import numpy as np

from skatom._runtime.progress import Progress
from skatom.models._algebra.solve import TriangularLeastSquares, cholesky
from skatom.models._kernel_ridge.rows_against_references import (
    References,
    derivative_design,
    energy_rows,
    structures_at_a_time,
)
from skatom.models._labelled.derivative_rows import derivative_rows
from skatom.models._labelled.training_set import TrainingSet


def solve_sparsely(
    given: TrainingSet,
    references: References,
    alpha: float,
    progress: Progress,
) -> np.ndarray:
    """Find the coefficients of the kernels at the references.

    Parameters
    ----------
    given : TrainingSet
        With features scaled as the kernel of the references wants them.
    references : References
    alpha : float
    progress : Progress
        Counts labels.

    Returns
    -------
    coef : ndarray of shape (n_references,)
    """
    problem = TriangularLeastSquares(np.sqrt(alpha) * _penalty_root(references))
    X, kernel = given.X, references.kernel
    root = np.sqrt(given.energy_weights)
    for start, stop in structures_at_a_time(X, len(references)):
        rows = energy_rows(X, references, start, stop)
        problem.add(rows * root[start:stop, None], (given.y * root)[start:stop])
        progress.advance(stop - start)
    for block in derivative_rows(given, len(references)):
        scale = np.sqrt(block.weights)
        rows = derivative_design(kernel.scale_rows(block), references)
        problem.add(rows * scale[:, None], block.labels * scale)
        progress.advance(block.n_targets)
    return problem.solve()


def _penalty_root(references: References) -> np.ndarray:
    """Upper triangle L^T of the kernel among the references.

    One block a species, unless species are coupled.
    """
    root = np.zeros((len(references), len(references)))
    name = "kernel among the references"
    for number, at in references.kinds():
        for columns, factor in references.coupled(number):
            root[at, columns] = factor * references.kernel.function.values(
                references.values[at], references.values[columns]
            )
    if references.kernel.coupling is not None:
        return np.tril(cholesky(root, name)).T
    for _, at in references.kinds():
        root[at, at] = np.tril(cholesky(root[at, at].copy(), name)).T
    return root

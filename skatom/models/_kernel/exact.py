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

import numpy as np

from skatom.features import AtomFeatures
from skatom.models._design_matrix import DerivativeRows
from skatom.models._kernel.covariance import covariance, expansion, observables
from skatom.models._kernel.functions import KernelFunction
from skatom.models._kernel.rows import References, take_references
from skatom.models._solve import cholesky, solve_cholesky


def solve_exactly(
    X: AtomFeatures,
    y: np.ndarray,
    energy_weights: np.ndarray,
    blocks: list[DerivativeRows],
    kernel: KernelFunction,
    alpha: float,
) -> tuple[References, np.ndarray, np.ndarray | None]:
    """Solve (W K W + alpha) a = W t over all labels t, W the roots of their weights.

    Parameters
    ----------
    X : AtomFeatures
    y : ndarray of shape (n_structures,)
        Energies, baseline subtracted.
    energy_weights : ndarray of shape (n_structures,)
    blocks : list of DerivativeRows
        Forces and virials of all structures that have them; empty for energies alone.
    kernel : KernelFunction
    alpha : float

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
    root = np.sqrt(energy_weights)
    labels = observables(X, blocks, root)
    K = covariance(labels, labels, kernel)
    K.flat[:: len(labels) + 1] += alpha
    factor = cholesky(K, "kernel matrix")
    targets = [root * y, *(np.sqrt(block.weights) * block.labels for block in blocks)]
    dual = solve_cholesky(factor, np.concatenate(targets))
    coef, slopes = expansion(labels, dual, X.values.shape[1])
    order = references.atoms
    return references, coef[order], None if slopes is None else slopes[order]

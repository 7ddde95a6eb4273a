"""Product of the covariance among all labels with a vector, without the matrix.

With u_j = sum_t D_tj v_t, the slopes of the kernel at atom j are needed along one vector
only. What is left is the mean that the coefficients v would give at the training atoms
and its gradient: four matrix products of atoms by atoms by features.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skatom._runtime.threads import run_tasks
from skatom.models._gaussian_process.blocks import BlockKernel
from skatom.models._gaussian_process.data import Seen
from skatom.models._kernels.covariance import Observables
from skatom.models._kernels.named import Kernel

# Atoms whose kernels with all others are held at a time: they fit into the cache.
ROWS = 128


def covariance_product(
    seen: Seen, kernel: BlockKernel, noise: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Give the product of the covariance of the labels, with their noise.

    Parameters
    ----------
    seen : Seen
    kernel : BlockKernel
    noise : ndarray of shape (n_labels,)
        Variances.

    Returns
    -------
    product : callable
        From (n_labels,) to (n_labels,).
    """
    first = seen.first

    def product(v: np.ndarray) -> np.ndarray:
        whole = np.concatenate([np.zeros(first), v])
        out = np.zeros(len(whole))
        for functions, part in zip(seen.functions, kernel.kernels):
            _add_product(functions, part, whole, out)
        return out[first:] + noise * v

    return product


def _add_product(
    functions: Observables, kernel: Kernel, v: np.ndarray, out: np.ndarray
) -> None:
    """Add the product of the covariance of one block of features."""
    n, scale = functions.n_energies, functions.energy_scale
    energies = np.zeros(n)
    for kind in functions.kinds:
        slopes = _slopes(kind, v)
        coef = (scale * v[:n])[kind.structures]
        values, gradient = kernel_jet_product(kernel, kind.points, coef, slopes)
        energies += np.bincount(kind.structures, values, n)
        _project(kind, gradient, out)
    out[:n] += scale * energies


def kernel_jet_product(
    kernel: Kernel, points: np.ndarray, coef: np.ndarray, slopes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate sum_j coef_j k(x, x_j) + slopes_j . dk/dx_j and its gradient at all x_i.

    Parameters
    ----------
    kernel : Kernel
    points : ndarray of shape (n, n_features)
    coef : ndarray of shape (n,)
    slopes : ndarray of shape (n, n_features) or None

    Returns
    -------
    values : ndarray of shape (n,)
    gradient : ndarray of shape (n, n_features)
    """
    values, gradient = np.empty(len(points)), np.empty_like(points)

    def evaluate(start: int) -> None:
        at = slice(start, start + ROWS)
        values[at], gradient[at] = kernel.expansion_with_gradient(
            points[at], points, coef, slopes
        )

    run_tasks(evaluate, range(0, len(points), ROWS))
    return values, gradient


def _slopes(kind, whole: np.ndarray) -> np.ndarray | None:
    """Sum the rows of every atom, times the vector: (n_atoms_of_kind, n_features)."""
    from skatom.models._algebra.row_loops import combine_rows

    if not len(kind.rows):
        return None
    out = np.zeros_like(kind.points)
    combine_rows(kind.starts, kind.targets, kind.rows, whole, out)
    return out


def _project(kind, gradient: np.ndarray, out: np.ndarray) -> None:
    """Add the products of the rows of every atom with its gradient."""
    from skatom.models._algebra.row_loops import project_rows

    project_rows(kind.starts, kind.targets, kind.rows, gradient, out)

"""Marginal likelihood of labels and its gradient by the hyperparameters.

References
----------
Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eqs. 5.8, 5.9.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from skatom.models._gaussian_process.blocks import BlockKernel
from skatom.models._gaussian_process.data import Seen
from skatom.models._gaussian_process.posterior import joint_covariance
from skatom.models._kernel.functions import KernelFunction
from skatom.models._solve import cholesky, solve_cholesky


def log_likelihood(
    batches: list[Seen], kernel: BlockKernel, noise: np.ndarray, *, gradient: bool
) -> tuple[float, np.ndarray | None]:
    """Logarithm of the density of the labels, with everything else integrated out.

    Parameters
    ----------
    batches : list of Seen
    kernel : BlockKernel
        Each of its kernels with the free hyperparameters "variance" and "length".
    noise : ndarray of shape (2,)
        Variances of the noise in the energy of an atom and in a force component.
    gradient : bool
        Whether the gradient is wanted.

    Returns
    -------
    value : float
    gradient : ndarray of shape (2 * n_blocks + 2,) or None
        By the logarithms of the variances, the lengths, then of the noise variances.

    Raises
    ------
    ValueError
        If the matrix is far from positive definite.
    """
    n_blocks = len(kernel.kernels)
    parts = [_part(batches, kernel.kernels[b], b) for b in range(n_blocks)]
    K = parts[0] if n_blocks == 1 else sum(parts)
    t = np.concatenate([batch.targets for batch in batches])
    added = np.concatenate([batch.noise(*noise) for batch in batches])
    K.flat[:: len(K) + 1] += added
    factor = cholesky(K, "covariance matrix of the labels")
    dual = solve_cholesky(factor, t)
    value = (
        -0.5 * (t @ dual + len(t) * np.log(2.0 * np.pi))
        - np.log(np.diagonal(factor)).sum()
        + sum(
            batch.log_scale + batch.repetition(batch.noise(*noise)) for batch in batches
        )
    )
    if not gradient:
        return float(value), None
    inverse, _ = dpotri(factor.T, lower=0, overwrite_c=1)  # upper in Fortran's order
    inverse = inverse.T
    excess = dual**2 - np.diagonal(inverse)
    if n_blocks == 1:  # by the variance: K without noise, whose traces are known
        slopes = [0.5 * (t @ dual - len(t) - excess @ added)]
    else:
        slopes = [_half_trace(dual, inverse, part, excess) for part in parts]
    for block, one in enumerate(kernel.kernels):
        names = [free.name for free in one.hyperparameters()]
        by_length = one.derivatives()[names.index("length")]
        dK = _part(batches, by_length, block)
        slopes.append(_half_trace(dual, inverse, dK, excess))
    is_force = np.concatenate([batch.is_force for batch in batches])
    again = np.concatenate([batch.weights for batch in batches]) - 1.0
    per_label = 0.5 * (excess * added - again)
    slopes += [per_label[~is_force].sum(), per_label[is_force].sum()]
    return float(value), np.array(slopes)


def _part(batches: list[Seen], kernel: KernelFunction, block: int) -> np.ndarray:
    """Covariance of the labels by one kernel of one block, lower triangle."""
    alone = [replace(b, functions=b.functions[block : block + 1]) for b in batches]
    return joint_covariance(alone, BlockKernel((kernel,), (0, -1)))


def _half_trace(dual, inverse, dK, excess) -> float:
    """Half the trace of (dual dual^T - K^-1) dK, from lower triangles."""
    off = 0.0
    for i in range(1, len(dual)):
        off += dual[i] * (dK[i, :i] @ dual[:i]) - inverse[i, :i] @ dK[i, :i]
    return off + 0.5 * (excess @ np.diagonal(dK))


def maximise(
    function: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    bounds: np.ndarray,
    n_restarts: int,
    rng: np.random.RandomState,
) -> np.ndarray:
    """Maximise a function with a gradient between bounds, from several starts.

    Parameters
    ----------
    function : callable
        Gives value and gradient at theta.
    start : ndarray of shape (n,)
    bounds : ndarray of shape (n, 2)
    n_restarts : int
        Further starts, uniform between the bounds.
    rng : RandomState

    Returns
    -------
    theta : ndarray of shape (n,)
        Where the value is largest.
    """

    def loss(theta):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                value, slope = function(theta)
            except ValueError:  # not positive definite: a place to stay away from
                return 1e25, np.zeros_like(theta)
        return -value, -slope

    starts = [start, *rng.uniform(*bounds.T, size=(n_restarts, len(start)))]
    found = [
        minimize(loss, theta, method="L-BFGS-B", jac=True, bounds=bounds)
        for theta in starts
    ]
    return min(found, key=lambda one: one.fun).x


def warn_of_bounds(names: list[str], values: np.ndarray, bounds: np.ndarray) -> None:
    """Warn of hyperparameters that would be better still beyond their bounds.

    Labels without noise, as electronic structure codes give them, take noise to its
    lower bound; nobody needs to be told.
    """
    for name, value, (low, high) in zip(names, values, bounds):
        sides = {"lower": low, "upper": high}
        if name.startswith("noise"):
            del sides["lower"]
        for side, bound in sides.items():
            if low < high and abs(np.log(value / bound)) < 1e-6:
                warnings.warn(
                    f"The likelihood rises towards the {side} bound of {name}, "
                    f"{bound:.3g}: widen {name}_bounds, or hold it there "
                    f"({name}_bounds='fixed').",
                    ConvergenceWarning,
                    stacklevel=5,
                )

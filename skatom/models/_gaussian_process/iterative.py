"""Iterative solution for more labels than a matrix can hold.

Conjugate gradients with products that form no matrix, preconditioned by a Nyström
approximation: the covariance as far as it can be expressed by the labels of some of the
structures. The same approximation gives the standard deviations, which then are those of
the process projected on these labels: exact where they are enough, too large or too small
elsewhere.

References
----------
Blücher, Müller and Chmiela, J. Chem. Theory Comput. 19, 4619 (2023),
doi:10.1021/acs.jctc.2c01304.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from sklearn.exceptions import ConvergenceWarning

from skatom._runtime.progress import Progress
from skatom._runtime.state import State
from skatom.models._algebra.solve import cholesky, solve_cholesky
from skatom.models._gaussian_process.blocks import BlockKernel, block_covariance
from skatom.models._gaussian_process.data import Seen
from skatom.models._gaussian_process.posterior import block_expansion
from skatom.models._gaussian_process.product import covariance_product
from skatom.models._gaussian_process.projected import LOWER, Projection, corner_of
from skatom.models._kernels.covariance import Observables

# Rows of the cross-covariance that are multiplied at a time.
CHUNK = 2048


@dataclass(frozen=True)
class Nystrom:
    """Nystrom approximation K_nm K_mm^-1 K_mn + noise by m inducing labels.

    Attributes
    ----------
    projection : Projection
    features : ndarray of shape (n_labels, m)
        B = K_nm corner^-T.
    noise : ndarray of shape (n_labels,)
    """

    projection: Projection
    features: np.ndarray
    noise: np.ndarray

    @classmethod
    def of(cls, seen: Seen, inducing: Seen, kernel: BlockKernel, noise: np.ndarray):
        """Approximate the covariance of labels by those of some structures."""
        corner = corner_of(inducing, kernel, noise)
        B = block_covariance(seen.functions, inducing.functions, kernel)
        B = np.ascontiguousarray(B[seen.first :, inducing.first :])
        inner, variances = np.eye(len(corner)), seen.noise(*noise)
        for start in range(0, len(B), CHUNK):
            at = slice(start, start + CHUNK)
            B[at] = solve_triangular(corner, B[at].T, **LOWER).T
            rows = B[at] / np.sqrt(variances[at, None])
            inner += rows.T @ rows
        inner = cholesky(inner, "matrix of the inducing labels")
        return cls(Projection(inducing, corner, inner), B, variances)

    def solve(self, v: np.ndarray) -> np.ndarray:
        """Multiply by the inverse (Woodbury)."""
        scaled = v / self.noise
        inner = solve_cholesky(self.projection.inner, self.features.T @ scaled)
        return scaled - (self.features @ inner) / self.noise

    def log_determinant(self) -> float:
        """Logarithm of the determinant."""
        inner = np.diagonal(self.projection.inner)
        return 2.0 * np.log(inner).sum() + np.log(self.noise).sum()


@dataclass(frozen=True)
class IterativePosterior(State):
    """Posterior whose mean was found by iteration.

    Attributes
    ----------
    seen : Seen
    coefficients : ndarray of shape (n_labels,)
        Of the labels in the mean.
    projection : Projection
        Gives the deviations.
    likelihood : float
        Logarithm of the density of the labels under the approximation.
    residual : float
        Relative size of what the iteration left.
    n_iter : int
    """

    _name = "iterated posterior"
    _states = (Seen, Projection)

    seen: Seen
    coefficients: np.ndarray
    projection: Projection
    likelihood: float
    residual: float
    n_iter: int

    @property
    def batches(self) -> list[Seen]:
        """What was learned from, in one batch."""
        return [self.seen]

    def log_likelihood(self, noise: np.ndarray) -> float:
        """Logarithm of the density of the labels, approximated."""
        return self.likelihood

    @property
    def effort(self) -> tuple[int, float]:
        """Number of iterations and relative residual."""
        return self.n_iter, self.residual

    @property
    def width(self) -> int:
        """Numbers for each that is asked for: inducing labels."""
        return self.projection.width

    def expansions(self) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Coefficients of kernels and slopes at the training atoms."""
        return [block_expansion(self.seen, self.coefficients)]

    def explained(
        self, asked: list[Observables], kernel: BlockKernel, *, full: bool
    ) -> np.ndarray:
        """Covariance of what is asked that the labels explain; its diagonal, or all."""
        return self.projection.explained(asked, kernel, full=full)


def condition_iteratively(
    seen: Seen,
    inducing: Seen,
    kernel: BlockKernel,
    noise: np.ndarray,
    *,
    tol: float,
    max_iter: int,
    verbose: int,
) -> IterativePosterior:
    """Learn from labels by conjugate gradients.

    Parameters
    ----------
    seen : Seen
    inducing : Seen
        Labels of some of the structures.
    kernel : BlockKernel
    noise : ndarray of shape (2,)
        Variances of the noise in the energy of an atom and in a force component.
    tol : float
        The iteration ends when the residual is this part of the labels.
    max_iter : int
    verbose : int
    """
    approximation = Nystrom.of(seen, inducing, kernel, noise)
    t, variances = seen.targets, approximation.noise
    product = covariance_product(seen, kernel, variances)
    shown = bool(verbose)
    with Progress("conjugate gradients", max_iter, "iterations", shown) as progress:
        x, residual, n_iter = conjugate_gradients(
            product, approximation.solve, t, tol, max_iter, progress.advance
        )
    likelihood = (
        -0.5 * (t @ approximation.solve(t) + approximation.log_determinant())
        - 0.5 * len(t) * np.log(2.0 * np.pi)
        + seen.log_scale
        + seen.repetition(variances)
    )
    return IterativePosterior(
        seen, x, approximation.projection, float(likelihood), residual, n_iter
    )


def conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray],
    precondition: Callable[[np.ndarray], np.ndarray],
    target: np.ndarray,
    tol: float,
    max_iter: int,
    step: Callable[[], None] = lambda: None,
) -> tuple[np.ndarray, float, int]:
    """Solve a positive definite system, beginning at the solution of the approximation.

    Returns
    -------
    x : ndarray of shape (n,)
        The iterate with the smallest residual.
    residual : float
        Its residual over the size of the target.
    n_iter : int

    Warns
    -----
    ConvergenceWarning
        If the residual is still too large after max_iter iterations.
    """
    size = max(float(np.linalg.norm(target)), np.finfo(float).tiny)
    x = precondition(target)
    r = target - product(x)
    z = precondition(r)
    p, rz = z, r @ z
    best, smallest = x, float(np.linalg.norm(r)) / size
    n_iter = 0
    while smallest > tol and n_iter < max_iter:
        q = product(p)
        alpha = rz / (p @ q)
        x = x + alpha * p
        r = r - alpha * q
        z = precondition(r)
        before, rz = rz, r @ z
        p = z + (rz / before) * p
        n_iter += 1
        step()
        left = float(np.linalg.norm(r)) / size
        if left < smallest:
            best, smallest = x, left
    if smallest > tol:
        warnings.warn(
            f"Conjugate gradients left {smallest:.1e} of the labels after {n_iter} "
            f"iterations, more than tol={tol:g}: increase max_iter, n_inducing_labels "
            "or the noise.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return best, smallest, n_iter

"""Process projected on what is observed of some structures, the inducing labels.

The functions are spanned by the kernels at the energies, force and virial components of
some structures (derivatives are inducing functions as values are), and fitted to all
labels. The mean is that of the subset of regressors, also called deterministic training
conditional (DTC), the deviations keep the exact prior, and the likelihood has the trace
term of the variational derivation, which makes it a lower bound of the exact one. FITC
would share that term out among the noise of the labels instead; it fits noise that is
larger where inducing labels are few, and no longer tends to the exact process in
every respect (Bauer et al.).

Time goes with the number of labels, memory with the square of the inducing ones alone.

References
----------
Quiñonero-Candela and Rasmussen, J. Mach. Learn. Res. 6, 1939 (2005), section 5.
Titsias, Proc. Mach. Learn. Res. 5, 567 (2009), eq. 9.
Bauer, van der Wilk and Rasmussen, Adv. Neural Inf. Process. Syst. 29 (2016).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from skatom._runtime.state import State
from skatom.models._algebra.solve import cholesky
from skatom.models._gaussian_process.blocks import BlockKernel, block_covariance
from skatom.models._gaussian_process.data import Seen
from skatom.models._gaussian_process.posterior import block_expansion
from skatom.models._kernels.covariance import Observables

LOWER = {"lower": True, "check_finite": False}


@dataclass(frozen=True)
class Projection(State):
    """What all labels say of the functions that the inducing labels span.

    Attributes
    ----------
    inducing : Seen
    corner : ndarray of shape (m, m)
        Cholesky factor of the covariance K_mm of the inducing labels.
    inner : ndarray of shape (m, m)
        Cholesky factor of 1 + B^T noise^-1 B, with B = K_nm corner^-T of all labels.
    """

    _name = "projection"
    _states = (Seen,)

    inducing: Seen
    corner: np.ndarray
    inner: np.ndarray

    @property
    def width(self) -> int:
        """Numbers for each that is asked for: inducing labels."""
        return len(self.corner)

    def explained(
        self, asked: list[Observables], kernel: BlockKernel, *, full: bool
    ) -> np.ndarray:
        """Covariance of what is asked that the labels explain; its diagonal, or all."""
        whole = whitened(asked, self.inducing, self.corner, kernel)
        left = solve_triangular(self.inner, whole, **LOWER)
        if full:
            return whole.T @ whole - left.T @ left
        return np.einsum("ma,ma->a", whole, whole) - np.einsum("ma,ma->a", left, left)


def corner_of(inducing: Seen, kernel: BlockKernel, noise: np.ndarray) -> np.ndarray:
    """Cholesky factor of the covariance of the inducing labels.

    Parameters
    ----------
    inducing : Seen
    kernel : BlockKernel
    noise : ndarray of shape (2,)
        Variances of the noise in the energy of an atom and in a force component.
    """
    K = block_covariance(inducing.functions, inducing.functions, kernel)
    K = np.ascontiguousarray(K[inducing.first :, inducing.first :])
    # what the noise hides need not be resolved
    K.flat[:: len(K) + 1] += 1e-3 * inducing.noise(*noise).min()
    return cholesky(K, "covariance matrix of the inducing labels")


def whitened(
    asked: list[Observables], inducing: Seen, corner: np.ndarray, kernel: BlockKernel
) -> np.ndarray:
    """Divide covariances of the inducing labels by their corner, (m, n_asked)."""
    k = block_covariance(asked, inducing.functions, kernel)[:, inducing.first :]
    return solve_triangular(corner, k.T, overwrite_b=True, **LOWER)


@dataclass(frozen=True)
class Evidence(State):
    """Sums over all labels that the projected process needs.

    Attributes
    ----------
    gram : ndarray of shape (m, m)
        B^T noise^-1 B, lower triangle.
    moment : ndarray of shape (m,)
        B^T noise^-1 t.
    constant : float
        What of the logarithm of the likelihood does not depend on the projection.
    unexplained : float
        Trace of noise^-1 (K - B B^T).
    """

    _name = "evidence"

    gram: np.ndarray
    moment: np.ndarray
    constant: float = 0.0
    unexplained: float = 0.0

    @classmethod
    def none(cls, m: int) -> Evidence:
        """Nothing seen so far."""
        return cls(np.zeros((m, m)), np.zeros(m))

    def plus(
        self,
        seen: Seen,
        inducing: Seen,
        corner: np.ndarray,
        kernel: BlockKernel,
        noise: np.ndarray,
    ) -> Evidence:
        """Take in labels; the arrays of this one are written over."""
        variances, t = seen.noise(*noise), seen.targets
        B = whitened(seen.functions, inducing, corner, kernel)[:, seen.first :]
        B /= np.sqrt(variances)
        gram = self.gram
        gram += B @ B.T
        prior = _prior(seen, kernel) / variances
        return Evidence(
            gram,
            self.moment + B @ (t / np.sqrt(variances)),
            self.constant
            - 0.5 * float(t @ (t / variances) + np.log(2.0 * np.pi * variances).sum())
            + seen.log_scale
            + seen.repetition(variances),
            self.unexplained + float(prior.sum() - np.einsum("ma,ma->", B, B)),
        )


def _prior(seen: Seen, kernel: BlockKernel) -> np.ndarray:
    """Variances of labels before anything was seen, without noise."""
    K = block_covariance(seen.functions, seen.functions, kernel)
    return np.diagonal(K)[seen.first :]


@dataclass(frozen=True)
class ProjectedPosterior(State):
    """Posterior in the span of inducing labels.

    Attributes
    ----------
    projection : Projection
    evidence : Evidence
    coefficients : ndarray of shape (m,)
        Of the inducing labels in the mean.
    """

    _name = "projected posterior"
    _states = (Projection, Evidence)

    projection: Projection
    evidence: Evidence
    coefficients: np.ndarray

    @classmethod
    def of(cls, inducing: Seen, corner: np.ndarray, evidence: Evidence):
        """Solve for the mean."""
        inner = evidence.gram.copy()
        inner.flat[:: len(inner) + 1] += 1.0
        inner = cholesky(inner, "matrix of the inducing labels")
        left = solve_triangular(inner, evidence.moment, **LOWER)
        whole = solve_triangular(inner, left, trans=1, **LOWER)
        coefficients = solve_triangular(corner, whole, trans=1, **LOWER)
        return cls(Projection(inducing, corner, inner), evidence, coefficients)

    @property
    def effort(self) -> tuple[int, float]:
        """Number of iterations and relative residual."""
        return 1, 0.0

    @property
    def width(self) -> int:
        """Numbers for each that is asked for: inducing labels."""
        return self.projection.width

    def log_likelihood(self, noise: np.ndarray) -> float:
        """Lower bound of the logarithm of the density of all labels."""
        inner = self.projection.inner
        explained = solve_triangular(inner, self.evidence.moment, **LOWER)
        return float(
            self.evidence.constant
            + 0.5 * (explained @ explained)
            - np.log(np.diagonal(inner)).sum()
            - 0.5 * self.evidence.unexplained
        )

    def expansions(self) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Coefficients of kernels and slopes at the atoms of the inducing structures."""
        return [block_expansion(self.projection.inducing, self.coefficients)]

    def explained(
        self, asked: list[Observables], kernel: BlockKernel, *, full: bool
    ) -> np.ndarray:
        """Covariance of what is asked that the labels explain; its diagonal, or all."""
        return self.projection.explained(asked, kernel, full=full)

    def extended(
        self, batches: Iterable[Seen], kernel: BlockKernel, noise: np.ndarray
    ) -> ProjectedPosterior:
        """Learn from further labels; the inducing ones stay."""
        inducing, corner = self.projection.inducing, self.projection.corner
        evidence = replace(self.evidence, gram=self.evidence.gram.copy())
        for seen in batches:
            evidence = evidence.plus(seen, inducing, corner, kernel, noise)
        return ProjectedPosterior.of(inducing, corner, evidence)


def condition_projected(
    inducing: Seen, batches: Iterable[Seen], kernel: BlockKernel, noise: np.ndarray
) -> ProjectedPosterior:
    """Learn from labels in the span of some.

    Parameters
    ----------
    inducing : Seen
        Labels of some of the structures.
    batches : iterable of Seen
        All labels, a few structures at a time.
    kernel : BlockKernel
    noise : ndarray of shape (2,)
        Variances of the noise in the energy of an atom and in a force component.
    """
    corner = corner_of(inducing, kernel, noise)
    evidence = Evidence.none(len(corner))
    for seen in batches:
        evidence = evidence.plus(seen, inducing, corner, kernel, noise)
    return ProjectedPosterior.of(inducing, corner, evidence)

"""Posterior of a Gaussian process, by the Cholesky factor of all labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from skatom._runtime.state import State
from skatom.models._algebra.left_out import left_out_residuals
from skatom.models._algebra.solve import cholesky, invert, solve_cholesky
from skatom.models._gaussian_process.blocks import BlockKernel, block_covariance
from skatom.models._gaussian_process.data import Seen
from skatom.models._kernels.covariance import Observables, expansion


@dataclass(frozen=True)
class Posterior(State):
    """Cholesky factor of the covariance of all labels, in the order they came.

    Attributes
    ----------
    batches : list of Seen
        What one call of fit or partial_fit brought.
    factor : ndarray of shape (n_labels, n_labels)
        Lower triangle; what is above is not defined.
    """

    _name = "posterior"
    _states = (Seen,)

    batches: list[Seen]
    factor: np.ndarray

    @property
    def effort(self) -> tuple[int, float]:
        """Number of iterations and relative residual."""
        return 1, 0.0

    @property
    def width(self) -> int:
        """Numbers for each that is asked for: labels."""
        return len(self.factor)

    def dual(self) -> np.ndarray:
        """Coefficients of the labels in the mean."""
        targets = np.concatenate([batch.targets for batch in self.batches])
        return solve_cholesky(self.factor, targets)

    def log_likelihood(self, noise: np.ndarray) -> float:
        """Logarithm of the density of the labels."""
        targets = np.concatenate([batch.targets for batch in self.batches])
        return float(
            -0.5 * (targets @ self.dual() + len(targets) * np.log(2.0 * np.pi))
            - np.log(np.diagonal(self.factor)).sum()
            + sum(b.log_scale + b.repetition(b.noise(*noise)) for b in self.batches)
        )

    def expansions(self) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Coefficients of kernels and slopes at the atoms of every batch."""
        edges = np.cumsum([len(batch.targets) for batch in self.batches])[:-1]
        parts = np.split(self.dual(), edges)
        return [
            block_expansion(batch, part) for batch, part in zip(self.batches, parts)
        ]

    def explained(
        self, asked: list[Observables], kernel: BlockKernel, *, full: bool
    ) -> np.ndarray:
        """Covariance of what is asked that the labels explain; its diagonal, or all."""
        reduced = self._reduced(asked, kernel)
        return reduced.T @ reduced if full else np.einsum("na,na->a", reduced, reduced)

    def _reduced(self, asked: list[Observables], kernel: BlockKernel) -> np.ndarray:
        """Solve for the covariance of labels with what is asked, (n_labels, n_asked)."""
        k = np.concatenate(
            [
                block_covariance(asked, batch.functions, kernel)[:, batch.first :]
                for batch in self.batches
            ],
            axis=1,
        )
        return solve_triangular(
            self.factor, k.T, lower=True, overwrite_b=True, check_finite=False
        )


def block_expansion(
    batch: Seen, dual: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Turn coefficients of labels into those of kernels and slopes at their atoms."""
    whole = np.concatenate([np.zeros(batch.first), dual])
    n = batch.blocks.n_species
    coef, blocks = None, []
    for first, at in zip(range(0, len(batch.functions), n), batch.blocks.columns):
        kinds = [k for part in batch.functions[first : first + n] for k in part.kinds]
        whole_block = replace(batch.functions[first], kinds=kinds)
        coef, slopes = expansion(whole_block, whole, at.stop - at.start)
        blocks.append(slopes)
    return coef, None if blocks[0] is None else np.concatenate(blocks, axis=1)


def condition(seen: Seen, kernel: BlockKernel, noise: np.ndarray) -> Posterior:
    """Learn from a first batch of labels.

    Parameters
    ----------
    seen : Seen
    kernel : BlockKernel
    noise : ndarray of shape (2,)
        Variances of the noise in the energy of an atom and in a force component.
    """
    return Posterior([seen], _factor(_own(seen, kernel, noise)))


def extend(
    known: Posterior, seen: Seen, kernel: BlockKernel, noise: np.ndarray
) -> Posterior:
    """Learn from another batch: rows are appended to the factor, none is recomputed."""
    n = len(known.factor)
    across = np.concatenate(
        [
            block_covariance(seen.functions, batch.functions, kernel)[
                seen.first :, batch.first :
            ]
            for batch in known.batches
        ],
        axis=1,
    )
    factor = np.zeros((n + len(across), n + len(across)))
    factor[:n, :n] = known.factor
    below = solve_triangular(known.factor, across.T, lower=True, check_finite=False).T
    factor[n:, :n] = below
    factor[n:, n:] = _factor(_own(seen, kernel, noise) - below @ below.T)
    return Posterior([*known.batches, seen], factor)


def joint_covariance(batches: list[Seen], kernel: BlockKernel) -> np.ndarray:
    """Covariance of the labels of several batches without noise, lower triangle."""
    if len(batches) == 1:
        (one,) = batches
        K = block_covariance(one.functions, one.functions, kernel)
        return K if one.first == 0 else K[one.first :, one.first :].copy()
    edges = np.cumsum([0, *(len(batch.targets) for batch in batches)])
    K = np.zeros((edges[-1], edges[-1]))
    for a, one in enumerate(batches):
        for b, other in enumerate(batches[: a + 1]):
            block = block_covariance(one.functions, other.functions, kernel)
            rows, columns = slice(*edges[a : a + 2]), slice(*edges[b : b + 2])
            K[rows, columns] = block[one.first :, other.first :]
    return K


def _own(seen: Seen, kernel: BlockKernel, noise: np.ndarray) -> np.ndarray:
    """Covariance of the labels of one batch, with their noise."""
    K = joint_covariance([seen], kernel)
    K.flat[:: len(K) + 1] += seen.noise(*noise)
    return K


def _factor(K: np.ndarray) -> np.ndarray:
    return cholesky(K, "covariance matrix of the labels")


def left_out(known: Posterior) -> np.ndarray:
    """Residuals of the labels of every structure, predicted from all other structures.

    Returns
    -------
    residuals : ndarray of shape (n_labels,)
        Of the scaled labels: what was seen minus what is predicted.
    """
    inverse = invert(known.factor, keep=True)
    dual, first = known.dual(), 0
    residuals = np.empty_like(dual)
    for batch in known.batches:
        for s in range(batch.functions[0].n_energies):
            own = first + np.flatnonzero(batch.owners == s)
            residuals[own] = left_out_residuals(inverse, dual[own], own)
        first += len(batch.owners)
    return residuals

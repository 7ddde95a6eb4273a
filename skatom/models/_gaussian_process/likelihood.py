"""Marginal likelihood of labels and its gradient by the hyperparameters.

References
----------
Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eqs. 5.8, 5.9.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from skatom.models._algebra.solve import (
    cholesky,
    invert,
    solve_cholesky,
    symmetric,
)
from skatom.models._gaussian_process.blocks import BlockKernel, Blocks
from skatom.models._gaussian_process.data import Seen
from skatom.models._gaussian_process.posterior import joint_covariance
from skatom.models._kernels.functions import KernelFunction

# Expected gain of a step, in natural logarithms a label, that is not worth taking.
LEVEL = 1e-5
# Up to so many labels a search is cheap and goes on to where rounding ends it.
FEW_LABELS = 300
# Of the logarithms of hyperparameters in one step, and in any direction for what is flat.
LONGEST = 2.0
FLAT = 1e-6
MAX_EVALUATIONS = 100


class Likelihood(NamedTuple):
    """Logarithm of a likelihood, and its derivatives by theta if these were asked for.

    Attributes
    ----------
    value : float
    gradient : ndarray of shape (n,) or None
    information : ndarray of shape (n, n) or None
        Of Fisher: what the matrix of second derivatives is expected to be, negative.
    """

    value: float
    gradient: np.ndarray | None = None
    information: np.ndarray | None = None

    def of(self, free: np.ndarray) -> Likelihood:
        """Keep the derivatives by those numbers that are free."""
        if self.gradient is None:
            return self
        return Likelihood(
            self.value, self.gradient[free], self.information[np.ix_(free, free)]
        )


def log_likelihood(
    batches: list[Seen], kernel: BlockKernel, noise: np.ndarray, *, gradient: bool
) -> Likelihood:
    """Logarithm of the density of the labels, with everything else integrated out.

    Parameters
    ----------
    batches : list of Seen
    kernel : BlockKernel
        Each of its kernels with the free hyperparameters "variance" and "length".
    noise : ndarray of shape (2,)
        Variances of the noise in the energy of an atom and in a force component.
    gradient : bool
        Whether derivatives are wanted.

    Returns
    -------
    likelihood : Likelihood
        Derivatives are by the logarithms of the variances, the lengths, then of the
        noise variances: of shape (2 * n_kernels + 2,).

    Raises
    ------
    ValueError
        If the matrix is far from positive definite.
    """
    parts = [_part(batches, one, k) for k, one in enumerate(kernel.kernels)]
    K = parts[0].copy() if len(parts) == 1 else sum(parts)
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
        return Likelihood(float(value))
    for k, one in enumerate(kernel.kernels):
        names = [free.name for free in one.hyperparameters()]
        by_length = one.derivatives()[names.index("length")]
        parts.append(_part(batches, by_length, k))
    is_force = np.concatenate([batch.is_force for batch in batches])
    again = np.concatenate([batch.weights for batch in batches]) - 1.0
    noises = [np.where(is_force == force, added, 0.0) for force in (False, True)]
    slopes, information = _derivatives(factor, dual, parts, noises)
    again = np.array([0.5 * again[is_force == force].sum() for force in (False, True)])
    slopes[-2:] -= again  # labels seen again tell of the noise only
    information[[-2, -1], [-2, -1]] += again
    return Likelihood(float(value), slopes, information)


def _derivatives(
    factor: np.ndarray,
    dual: np.ndarray,
    parts: list[np.ndarray],
    noises: list[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and information by numbers whose dK are given, full or diagonal.

    With A = K^-1 dK: half of dual.dK.dual - tr A, and half of tr A A'.
    """
    inverse = invert(factor)
    products, slopes = [], []
    for dK in parts:
        dK = symmetric(dK)
        slopes.append(dual @ dK @ dual)
        products.append(inverse @ dK)
    for added in noises:
        slopes.append(dual @ (added * dual))
        products.append(inverse * added)
    n = len(products)
    information = np.empty((n, n))
    for a in range(n):
        slopes[a] -= np.trace(products[a])
        for b in range(a + 1):
            trace = np.einsum("ij,ji->", products[a], products[b])
            information[a, b] = information[b, a] = 0.5 * trace
    return 0.5 * np.array(slopes), information


def _part(batches: list[Seen], kernel: KernelFunction, k: int) -> np.ndarray:
    """Covariance of the labels by the kernel k alone, lower triangle."""
    alone = [replace(b, functions=b.functions[k : k + 1]) for b in batches]
    return joint_covariance(alone, BlockKernel((kernel,), Blocks((0, -1))))


def maximise(
    function: Callable[[np.ndarray], Likelihood],
    start: np.ndarray,
    bounds: np.ndarray,
    n_restarts: int,
    rng: np.random.RandomState,
    n_labels: float,
) -> np.ndarray:
    """Maximise a likelihood between bounds, from several starts.

    Parameters
    ----------
    function : callable
        Gives the likelihood and its derivatives at theta.
    start : ndarray of shape (n,)
    bounds : ndarray of shape (n, 2)
    n_restarts : int
        Further starts, uniform between the bounds.
    rng : RandomState
    n_labels : float
        Whose likelihood it is, to tell what is small.

    Returns
    -------
    theta : ndarray of shape (n,)
        Where the value is largest.
    """

    def quiet(theta):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                return function(theta)
            except ValueError:  # not positive definite: a place to stay away from
                return Likelihood(-np.inf)

    starts = [start, *rng.uniform(*bounds.T, size=(n_restarts, len(start)))]
    if n_labels <= FEW_LABELS:
        found = [_climb(quiet, theta, bounds) for theta in starts]
    else:
        found = [_score(quiet, theta, bounds, LEVEL * n_labels) for theta in starts]
    return max(found, key=lambda one: one[0])[1]


def _climb(
    function: Callable[[np.ndarray], Likelihood], theta: np.ndarray, bounds: np.ndarray
) -> tuple[float, np.ndarray]:
    """Climb by a quasi-Newton search to the limits of rounding."""

    def loss(theta):
        found = function(theta)
        if found.gradient is None:
            return 1e25, np.zeros_like(theta)
        return -found.value, -found.gradient

    found = minimize(loss, theta, method="L-BFGS-B", jac=True, bounds=bounds)
    return -found.fun, found.x


def _score(
    function: Callable[[np.ndarray], Likelihood],
    theta: np.ndarray,
    bounds: np.ndarray,
    level: float,
) -> tuple[float, np.ndarray]:
    """Climb by Fisher scoring, damped as by Levenberg and Marquardt.

    The information is positive semidefinite everywhere, and takes up how variances and
    lengths go together, for which a quasi-Newton search needs dozens of evaluations.
    """
    low, high = bounds.T
    here, damping = function(theta), 1e-3
    for _ in range(MAX_EVALUATIONS if np.isfinite(here.value) else 0):
        g = here.gradient
        move = ~((theta <= low) & (g < 0) | (theta >= high) & (g > 0))
        diagonal = np.diagonal(here.information)
        H = here.information + np.diag(damping * diagonal + FLAT)
        step = np.zeros_like(theta)
        step[move] = np.linalg.solve(H[np.ix_(move, move)], g[move])
        if g @ step < level:
            break
        step *= LONGEST / max(np.abs(step).max(), LONGEST)
        new = np.clip(theta + step, low, high)
        there = function(new)
        gain = there.value - here.value
        if gain > 0.25 * (g @ step):  # nearly what the information promises
            damping = max(damping / 10.0, 1e-6)
        elif damping > 1e6:
            break
        else:
            damping = max(10.0 * damping, 1e-2)
        if gain > 0.0:
            theta, here = new, there
            if gain < level:
                break
    return here.value, theta


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

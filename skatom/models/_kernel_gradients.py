"""Derivatives of scikit-learn's kernels, always contracted with weights.

Every function gives ``sum_m W[n, m] dk(x_n, c_m)/dx_n``, shape (n_samples, n_features),
for weights W of shape (n_samples, n_centres). All but the laplacian are matrix products.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import gamma as gamma_function
from scipy.special import kv
from sklearn.gaussian_process import kernels
from sklearn.metrics.pairwise import pairwise_kernels


def kernel_gradient(
    metric: str,
    X: np.ndarray,
    centres: np.ndarray,
    weights: np.ndarray,
    *,
    gamma: float | None = None,
    degree: float = 3,
    coef0: float = 1,
) -> np.ndarray:
    """Differentiate a weighted sum of a kernel named as in ``pairwise_kernels``.

    Parameters
    ----------
    metric : {"linear", "poly", "polynomial", "rbf", "laplacian", "sigmoid", "cosine"}
    X : ndarray of shape (n_samples, n_features)
    centres : ndarray of shape (n_centres, n_features)
    weights : ndarray of shape (n_centres,)
    gamma : float or None, default=None
        1 / n_features when None.
    degree, coef0 : float
        Of the polynomial and sigmoid kernels.

    Returns
    -------
    gradient : ndarray of shape (n_samples, n_features)

    Raises
    ------
    KeyError
        If there is no rule for the kernel.
    """
    gamma = 1.0 / X.shape[1] if gamma is None else gamma
    return _RULES[metric](X, centres, weights, gamma, degree, coef0)


def _linear(X, centres, weights, gamma, degree, coef0):
    return np.tile(weights @ centres, (len(X), 1))


def _polynomial(X, centres, weights, gamma, degree, coef0):
    base = gamma * (X @ centres.T) + coef0
    return (weights * gamma * degree * base ** (degree - 1)) @ centres


def _sigmoid(X, centres, weights, gamma, degree, coef0):
    K = np.tanh(gamma * (X @ centres.T) + coef0)
    return (weights * gamma * (1 - K**2)) @ centres


def _rbf(X, centres, weights, gamma, degree, coef0):
    K = pairwise_kernels(X, centres, metric="rbf", gamma=gamma)
    return _towards(-2 * gamma * weights * K, X, centres)


def _laplacian(X, centres, weights, gamma, degree, coef0):
    W = -gamma * weights * pairwise_kernels(X, centres, metric="laplacian", gamma=gamma)
    columns = [
        (W * np.sign(x[:, None] - c)).sum(axis=1) for x, c in zip(X.T, centres.T)
    ]
    return np.stack(columns, axis=1)


def _cosine(X, centres, weights, gamma, degree, coef0):
    sizes = np.linalg.norm(centres, axis=1, keepdims=True)
    pull = weights @ (centres / np.where(sizes == 0, 1, sizes))
    sizes = np.linalg.norm(X, axis=1, keepdims=True)
    sizes = np.where(sizes == 0, 1, sizes)
    unit = X / sizes
    return (pull - unit * (unit @ pull)[:, None]) / sizes


_RULES = {
    "linear": _linear,
    "poly": _polynomial,
    "polynomial": _polynomial,
    "rbf": _rbf,
    "laplacian": _laplacian,
    "sigmoid": _sigmoid,
    "cosine": _cosine,
}


def _towards(weights, X, centres):
    """Sum_m w_nm (x_n - c_m), as two products."""
    return X * weights.sum(axis=1)[:, None] - weights @ centres


@singledispatch
def process_gradient(kernel, X, centres, weights) -> np.ndarray:
    """Differentiate a weighted sum of a Gaussian process kernel object.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
    X : ndarray of shape (n_samples, n_features)
    centres : ndarray of shape (n_centres, n_features)
    weights : ndarray of shape (n_samples, n_centres)

    Returns
    -------
    gradient : ndarray of shape (n_samples, n_features)

    Raises
    ------
    KeyError
        If there is no rule for the kernel.
    """
    raise KeyError(type(kernel).__name__)


@process_gradient.register(kernels.ConstantKernel)
@process_gradient.register(kernels.WhiteKernel)
def _constant(kernel, X, centres, weights):
    return np.zeros_like(X)  # white noise has no part in the mean at new points


@process_gradient.register(kernels.Sum)
def _sum(kernel, X, centres, weights):
    return process_gradient(kernel.k1, X, centres, weights) + process_gradient(
        kernel.k2, X, centres, weights
    )


@process_gradient.register(kernels.Product)
def _product(kernel, X, centres, weights):
    one, two = kernel.k1, kernel.k2
    return process_gradient(
        one, X, centres, weights * two(X, centres)
    ) + process_gradient(two, X, centres, weights * one(X, centres))


@process_gradient.register(kernels.Exponentiation)
def _power(kernel, X, centres, weights):
    p = kernel.exponent
    inner = weights * p * kernel.kernel(X, centres) ** (p - 1)
    return process_gradient(kernel.kernel, X, centres, inner)


@process_gradient.register(kernels.DotProduct)
def _dot(kernel, X, centres, weights):
    return weights @ centres


@process_gradient.register(kernels.RBF)
def _gaussian(kernel, X, centres, weights):
    l2 = np.square(kernel.length_scale)
    return _towards(-weights * kernel(X, centres), X, centres) / l2


@process_gradient.register(kernels.Matern)
def _matern(kernel, X, centres, weights):
    scale = np.asarray(kernel.length_scale)
    d = cdist(X / scale, centres / scale)
    return _towards(weights * _matern_slope(d, kernel.nu), X, centres) / scale**2


def _matern_slope(d: np.ndarray, nu: float) -> np.ndarray:
    """k'(d) / d of the Matern kernel; Rasmussen and Williams (2006), eq. 4.14.

    From d/dz (z^nu K_nu(z)) = -z^nu K_(nu-1)(z) with z = sqrt(2 nu) d. Where nu = 1/2
    has a cusp, at d = 0, the slope is set to zero.
    """
    z = np.sqrt(2 * nu) * d
    if nu == 0.5:
        return -np.exp(-d) / np.where(d == 0, np.inf, d)
    if nu == 1.5:
        return -3 * np.exp(-z)
    if nu == 2.5:
        return -5 / 3 * (1 + z) * np.exp(-z)
    if nu == np.inf:
        return -np.exp(-(d**2) / 2)
    z = np.maximum(z, np.finfo(float).eps)  # K_nu(0) is infinite
    return -(2.0 ** (2 - nu)) * nu / gamma_function(nu) * z ** (nu - 1) * kv(nu - 1, z)


@process_gradient.register(kernels.RationalQuadratic)
def _rational(kernel, X, centres, weights):
    l2, alpha = kernel.length_scale**2, kernel.alpha
    base = 1 + cdist(X, centres, "sqeuclidean") / (2 * alpha * l2)
    return _towards(-weights * base ** (-alpha - 1) / l2, X, centres)

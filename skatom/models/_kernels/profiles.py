"""Kernels as functions of one number, with three derivatives each.

Radial kernels are functions of s = |x - y|^2 / (2 l^2), so that the slope of all of them
that have one is -1 or a multiple of it at s = 0; kernels of the product are functions of
s = x.y / (2 l^2), written gamma x.y. Each function here gives the profile and its
derivatives up to an order, which share their exponential and must not be written to.

Derivatives that grow without limit towards s = 0 only ever meet (x - y) or
(x - y)(x - y)^T there, which vanish faster; they are set to zero at s = 0.

References
----------
Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import gamma, kv


def rbf(s: np.ndarray, order: int) -> list[np.ndarray]:
    """Squared exponential, exp(-s)."""
    k = np.negative(s)
    np.exp(k, out=k)
    minus = -k if order else k
    return [k, minus, k, minus][: order + 1]


def matern52(s: np.ndarray, order: int) -> list[np.ndarray]:
    """Matern kernel with nu = 5/2, (1 + t + t^2/3) exp(-t) with t = sqrt(10 s)."""
    t = np.sqrt(10.0 * s)
    decay = np.exp(-t)
    out = [(1.0 + t * (1.0 + t / 3.0)) * decay]
    if order > 0:
        out.append((-5.0 / 3.0) * (1.0 + t) * decay)
    if order > 1:
        out.append((25.0 / 3.0) * decay)
    if order > 2:
        out.append((-125.0 / 3.0) * _over(decay, t))
    return out


def matern32(s: np.ndarray, order: int) -> list[np.ndarray]:
    """Matern kernel with nu = 3/2, (1 + t) exp(-t) with t = sqrt(6 s)."""
    t = np.sqrt(6.0 * s)
    decay = np.exp(-t)
    out = [(1.0 + t) * decay]
    if order > 0:
        out.append(-3.0 * decay)
    if order > 1:
        out.append(9.0 * _over(decay, t))
    if order > 2:
        out.append(-27.0 * _over(decay * (1.0 + t), t**3))
    return out


def exponential(s: np.ndarray, order: int) -> list[np.ndarray]:
    """Matern kernel with nu = 1/2, exp(-t) with t = sqrt(2 s): a cusp at s = 0."""
    t = np.sqrt(2.0 * s)
    decay = np.exp(-t)
    out = [decay]
    if order > 0:
        out.append(-_over(decay, t))
    if order > 1:
        out.append(_over(decay * (1.0 + t), t**3))
    if order > 2:
        out.append(-_over(decay * (3.0 + t * (3.0 + t)), t**5))
    return out


def matern(s: np.ndarray, order: int, nu: float, first: int = 0) -> list[np.ndarray]:
    """Matern kernel of any nu, f_nu(t) / (2^(nu-1) Gamma(nu)) with t = sqrt(4 nu s).

    With f_m(t) = t^m K_m(t), whose derivative is -t f_(m-1), so that one by s is
    -2 nu f_(m-1). What is below the first order is left out.
    """
    t = np.sqrt(4.0 * nu * s)
    factor = 2.0 ** (1.0 - nu) / gamma(nu) * (-2.0 * nu) ** first
    out = []
    for m in nu - np.arange(first, order + 1.0):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = t**m * kv(m, t)
        at_zero = 2.0 ** (m - 1.0) * gamma(m) if m > 0 else 0.0
        out.append(factor * np.where(np.isfinite(found), found, at_zero))
        factor *= -2.0 * nu
    return out


def rational_quadratic(s: np.ndarray, order: int, alpha: float) -> list[np.ndarray]:
    """Mixture of squared exponentials of many lengths, (1 + s / alpha)^-alpha."""
    base = 1.0 + s / alpha
    out, factor = [base**-alpha], 1.0
    for n in range(order):
        factor *= -(alpha + n) / alpha
        out.append(factor * base ** (-alpha - n - 1.0))
    return out


def sigmoid(s: np.ndarray, order: int, constant: float) -> list[np.ndarray]:
    """Hyperbolic tangent of s + constant, which is not positive definite."""
    k = np.tanh(s + constant)
    slope = 1.0 - k**2
    return [k, slope, -2.0 * k * slope, (6.0 * k**2 - 2.0) * slope][: order + 1]


def linear(s: np.ndarray, order: int) -> list[np.ndarray]:
    """Give s itself."""
    slopes = (np.full_like(s, 1.0 if k == 1 else 0.0) for k in range(1, order + 1))
    return [s, *slopes]


def powers(
    s: np.ndarray, order: int, degree: float, constant: float
) -> list[np.ndarray]:
    """Polynomial (s + constant)^degree; zero below its root unless the degree is whole."""
    return [_power(s, k, degree, constant) for k in range(order + 1)]


def _power(s: np.ndarray, order: int, degree: float, constant: float) -> np.ndarray:
    factor = 1.0
    for k in range(order):
        factor *= degree - k
    if factor == 0.0:
        return np.zeros_like(s)
    base = s + constant if constant else s
    if degree != int(degree):
        base = np.maximum(base, 0.0)
    exponent = degree - order
    if exponent < 0:
        return factor * np.power(base, exponent, out=np.zeros_like(s), where=base > 0)
    return factor * _whole_power(base, exponent)


def _whole_power(base: np.ndarray, exponent: float) -> np.ndarray:
    """Small whole powers by products, several times faster than a power function."""
    if exponent not in (1, 2, 3, 4):
        return base**exponent
    if exponent == 1:
        return base
    square = base * base
    if exponent == 2:
        return square
    return square * (base if exponent == 3 else square)


def _over(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(b), where=b > 0)


PROFILES: dict[str, Callable[[np.ndarray, int], list[np.ndarray]]] = {
    "rbf": rbf,
    "matern52": matern52,
    "matern32": matern32,
    "exponential": exponential,
    "linear": linear,
}

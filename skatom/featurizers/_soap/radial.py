"""Radial integrals of smeared neighbours: two bases, orthonormalised, as splines.

A neighbour at distance R is a Gaussian of width sigma. Its projection on a radial function
g_n and a real harmonic of order l is

    4 pi Y_lm(R) integral r² g_n(r) exp(-(r² + R²) / (2 sigma²)) i_l(r R / sigma²) dr

with the modified spherical Bessel function i_l. Divided by R^l the integral is an even,
entire function of R; what belongs to R^l goes to the solid harmonics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.special import factorial2, ive

# Doubles that travel together through the kernels; n_max is padded to whole groups.
LANES = 8
CACHE_LINE = 64
# Largest error of the spline, relative to the largest value of each function.
SPLINE_ERROR = 1e-11
MAX_INTERVALS = 1024
# The widths of the Gaussian basis: each falls to this at a radius of an even grid.
GTO_DECAY = 1e-3
# Singular values of the basis below this carry no digits.
DEPENDENT = 1e-10

# Integrals as functions of R: value, first and second derivative by R².
Integrals = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class RadialTable:
    """Radial integrals times the weight of a neighbour, ready for the kernels.

    Attributes
    ----------
    nodes : ndarray of shape (n_nodes, 3 * (l_max + 1) * width)
        Values, first and second derivatives by R of all functions, l outside and n
        inside, n padded to `width` with zeros. Powers of R are in units of r_cut.
    pieces : ndarray of shape (n_pieces, 4)
        First radius in Å, interval in Å, number of intervals, first node.
    at_centre : ndarray of shape (width,)
        Integrals with l = 0 of a density that sits on the centre.
    error : float
        Largest deviation found between the nodes, relative to each function's maximum.
    """

    nodes: np.ndarray
    pieces: np.ndarray
    at_centre: np.ndarray
    error: float


@lru_cache(maxsize=32)
def radial_table(
    basis: str,
    n_max: int,
    l_max: int,
    sigma: float,
    r_basis: float,
    r_cut: float,
    cutoff: tuple[str, float] | None,
    weighting: tuple[str, float, float] | None,
) -> RadialTable:
    """Tabulate the radial integrals of a SOAP power spectrum.

    Parameters
    ----------
    basis : {"gto", "polynomial"}
    n_max, l_max : int
        Number of radial functions, largest order of the harmonics.
    sigma : float
        Width of the neighbour density, in Å.
    r_basis : float
        Radius that the basis spans, in Å.
    r_cut : float
        Largest distance of a neighbour, in Å.
    cutoff : (kind, width in Å) or None
    weighting : (kind, radius in Å, exponent) or None

    Returns
    -------
    table : RadialTable
        The product of two of its sums over neighbours is a component of the spectrum:
        the prefactors of density, harmonics and spectrum are all in.
    """
    build = {"gto": _gto_integrals, "polynomial": _polynomial_integrals}[basis]
    integrals = build(n_max, l_max, sigma, r_basis)
    # (R / r_cut)^l instead of R^l; Y_lm from Racah-normalised harmonics; and the root of
    # the factor pi sqrt(8 / (2 l + 1)) of the spectrum
    orders = np.arange(l_max + 1)
    scale = r_cut**orders * np.sqrt((2 * orders + 1) / (4 * np.pi))
    scale *= np.sqrt(np.pi * np.sqrt(8 / (2 * orders + 1)))

    def function(radii: np.ndarray, inner: bool) -> np.ndarray:
        parts = _by_radius(integrals, radii)
        parts = _times(parts, _weighting(weighting, radii))
        parts = _times(parts, _cutoff(cutoff, r_cut, radii, inner))
        return np.stack(parts) * scale[:, None, None]  # (3, l, n, radius)

    edges = [0.0, r_cut]
    if cutoff is not None and cutoff[1] < r_cut:
        edges.insert(1, r_cut - cutoff[1])
    largest = _largest(function, edges, r_cut)
    nodes, pieces, error, first = [], [], 0.0, 0
    for k, (begin, end) in enumerate(zip(edges[:-1], edges[1:])):
        inner = k == 0 and len(edges) == 3
        values, step, found = _piece(function, begin, end, inner, sigma, largest, r_cut)
        n_intervals = values.shape[-1] - 1
        pieces.append((begin, step, n_intervals, first))
        nodes.append(values)
        error, first = max(error, found), first + n_intervals + 1
    padded = _padded(np.concatenate(nodes, axis=-1), n_max)
    return RadialTable(
        padded.reshape(first, -1),
        np.array(pieces, dtype=np.float64),
        padded[0, 0, 0].copy(),
        error,
    )


def _padded(values: np.ndarray, n_max: int) -> np.ndarray:
    """Bring (3, l, n, node) to (node, 3, l, width) with zeros behind n_max.

    The array begins at a cache line, so that no group of lanes straddles two.
    """
    width = -(-n_max // LANES) * LANES
    shape = (values.shape[-1], *values.shape[:2], width)
    n = int(np.prod(shape))
    room = np.zeros(n + LANES)
    first = -room.ctypes.data % CACHE_LINE // room.itemsize
    padded = room[first : first + n].reshape(shape)
    padded[..., :n_max] = values.transpose(3, 0, 1, 2)
    return padded


def _largest(function, edges: list[float], r_cut: float) -> np.ndarray:
    """Give the largest value that each function takes in use, shape (l, n)."""
    radii = np.linspace(0.0, edges[1], 101)
    sampled = function(radii, len(edges) == 3)[0]
    powers = (radii / r_cut) ** np.arange(len(sampled))[:, None, None]
    return np.maximum(np.abs(sampled * powers).max(axis=-1), 1e-300)


def _piece(function, begin, end, inner, sigma, largest, r_cut):
    """Halve the interval until the spline is exact enough in the middle of each."""
    n_intervals = max(8, int(np.ceil(4.0 * (end - begin) / sigma)))
    values = function(np.linspace(begin, end, n_intervals + 1), inner)
    while True:
        step = (end - begin) / n_intervals
        middles = begin + step * (np.arange(n_intervals) + 0.5)
        exact = function(middles, inner)
        left, right = values[..., :-1], values[..., 1:]
        # quintic Hermite interpolation at the middle of an interval
        guess = (
            0.5 * (left[0] + right[0])
            + 5 / 32 * step * (left[1] - right[1])
            + 1 / 64 * step**2 * (left[2] + right[2])
        )
        powers = (middles / r_cut) ** np.arange(len(guess))[:, None, None]
        error = np.abs((guess - exact[0]) * powers).max(axis=-1) / largest
        if error.max() <= SPLINE_ERROR or 2 * n_intervals > MAX_INTERVALS:
            return values, step, float(error.max())
        finer = np.empty((*values.shape[:-1], 2 * n_intervals + 1))
        finer[..., ::2], finer[..., 1::2] = values, exact
        values, n_intervals = finer, 2 * n_intervals


def _by_radius(integrals: Integrals, radii: np.ndarray) -> list[np.ndarray]:
    """Turn derivatives by R² into derivatives by R."""
    value, slope, curvature = integrals(radii)
    return [
        value,
        2 * radii * slope,
        2 * slope + 4 * radii**2 * curvature,
    ]


def _times(a, b):
    """Multiply two functions given with their first two derivatives."""
    return [
        a[0] * b[0],
        a[1] * b[0] + a[0] * b[1],
        a[2] * b[0] + 2 * a[1] * b[1] + a[0] * b[2],
    ]


def _cutoff(cutoff, r_cut: float, radii: np.ndarray, inner: bool):
    """Cutoff function and its derivatives; `inner` is where it is still one."""
    one, zero = np.ones_like(radii), np.zeros_like(radii)
    if cutoff is None or inner:
        return one, zero, zero
    kind, width = cutoff
    width = min(width, r_cut)
    t = (radii - r_cut) / width + 1.0
    if kind == "cosine":
        k = np.pi / width
        sine, cosine = np.sin(np.pi * t), np.cos(np.pi * t)
        return 0.5 * (1 + cosine), -0.5 * k * sine, -0.5 * k**2 * cosine
    return (
        1 - t**3 * (10 - 15 * t + 6 * t**2),
        -30 * t**2 * (1 - t) ** 2 / width,
        -60 * t * (1 - t) * (1 - 2 * t) / width**2,
    )


def _weighting(weighting, radii: np.ndarray):
    """Weight of a neighbour by its distance, and its derivatives."""
    one, zero = np.ones_like(radii), np.zeros_like(radii)
    if weighting is None:
        return one, zero, zero
    kind, radius, m = weighting
    x = radii / radius
    if kind == "power":
        # w = 1 / (1 + x^m); q = x^m and its derivatives
        q = x**m
        q1 = m * x ** (m - 1) / radius
        q2 = m * (m - 1) * x ** (m - 2) / radius**2
        w = 1 / (1 + q)
        return w, -(w**2) * q1, 2 * w**3 * q1**2 - w**2 * q2
    # "cubic": w = b^m with b = 1 + 2 x^3 - 3 x^2
    b = np.maximum(1 + 2 * x**3 - 3 * x**2, 0.0)
    b1 = 6 * x * (x - 1) / radius
    b2 = (12 * x - 6) / radius**2
    below = m * b ** (m - 1)
    twice = m * (m - 1) * b ** (m - 2) if m > 1 else zero
    return b**m, below * b1, twice * b1**2 + below * b2


def _orthonormal(samples: np.ndarray, n_max: int, what: str):
    """Factorise functions sampled with the roots of quadrature weights.

    Returns U, s, V with samples = U s V: the Löwdin-orthonormal functions are U V, and
    U / s U^T makes them of the old ones. No overlap matrix is formed, so that what is lost
    is the condition of the functions and not its square.
    """
    u, s, vt = np.linalg.svd(samples, full_matrices=False)
    if s[-1] < DEPENDENT * s[0]:
        raise ValueError(
            f"n_max={n_max} functions of the {what} basis are linearly dependent to "
            "rounding. Use fewer radial functions or a larger radius."
        )
    return u, s, vt


def _gto_integrals(n_max: int, l_max: int, sigma: float, r_basis: float) -> Integrals:
    """Integrals over r^l exp(-alpha r²), which are closed Gaussians in R.

    The exponents of order l make function k fall to 1e-3 at the k-th radius of an even
    grid from 1 Å to r_basis, as in DScribe.
    """
    eta = 0.5 / sigma**2
    reach = np.linspace(1.0, r_basis, n_max)
    radii, weights = _quadrature(3.0 * r_basis, 100 + int(60 * r_basis))
    mixing = np.empty((l_max + 1, n_max, n_max))
    decay = np.empty((l_max + 1, n_max))
    for l in range(l_max + 1):
        alpha = np.log(reach**l / GTO_DECAY) / reach**2
        samples = (
            radii ** (l + 1) * np.sqrt(weights) * np.exp(-np.outer(alpha, radii**2))
        )
        u, s, _ = _orthonormal(samples, n_max, "gto")
        # 4 pi integral r^(l+2) exp(-(alpha + eta) r²) i_l(2 eta r R) dr
        front = (2 * np.pi) ** 1.5 * (2 * eta) ** l / (2 * (alpha + eta)) ** (l + 1.5)
        mixing[l] = (u / s) @ u.T * front
        decay[l] = alpha * eta / (alpha + eta)

    def integrals(R: np.ndarray):
        waves = np.exp(-decay[..., None] * R**2)
        k = decay[:, None, :]
        return mixing @ waves, (mixing * -k) @ waves, (mixing * k**2) @ waves

    return integrals


def _polynomial_integrals(
    n_max: int, l_max: int, sigma: float, r_basis: float
) -> Integrals:
    """Integrals over (r_basis - r)^(n + 2), n = 1 .. n_max, by Gauss quadrature."""
    eta = 0.5 / sigma**2
    radii, weights = _quadrature(r_basis, 64 + int(10 * r_basis / sigma))
    powers = np.arange(3, n_max + 3)[:, None]
    samples = (r_basis - radii) ** powers * radii * np.sqrt(weights)
    u, _, vt = _orthonormal(samples, n_max, "polynomial")
    g = 4 * np.pi * (u @ vt) * radii * np.sqrt(weights)  # r² g_n dr

    def integrals(R: np.ndarray):
        R = np.maximum(R, 0.0)
        z = 2 * eta * np.outer(radii, R)
        bessel = _scaled_bessel(l_max + 2, z) * np.exp(-eta * (radii[:, None] - R) ** 2)
        value, slope, curvature = [], [], []
        for l in range(l_max + 1):
            # d/dR² of exp(-eta R²) f_l(2 eta r R) raises l: f_l' = z f_(l+1)
            steps = [
                (g * (2 * eta * radii) ** (l + 2 * p)) @ bessel[l + p] for p in range(3)
            ]
            value.append(steps[0])
            slope.append(-eta * steps[0] + 0.5 * steps[1])
            curvature.append(eta**2 * steps[0] - eta * steps[1] + 0.25 * steps[2])
        return np.array(value), np.array(slope), np.array(curvature)

    return integrals


def _scaled_bessel(order: int, z: np.ndarray) -> np.ndarray:
    """Give exp(-z) i_l(z) / z^l for l = 0 .. order, all positive and without loss.

    The two highest come from the library, the others from f_(l-1) = (2 l + 1) f_l
    + z² f_(l+1), which has no cancellation.
    """
    f = np.empty((order + 1, *z.shape))
    small = z < 1e-3
    safe = np.where(small, 1.0, z)
    for l in (order - 1, order):
        series = (1 + z**2 / (4 * l + 6)) * np.exp(-z) / factorial2(2 * l + 1)
        closed = np.sqrt(0.5 * np.pi) * ive(l + 0.5, safe) / safe ** (l + 0.5)
        f[l] = np.where(small, series, closed)
    for l in range(order - 1, 0, -1):
        f[l - 1] = (2 * l + 1) * f[l] + z**2 * f[l + 1]
    return f


def _quadrature(end: float, n_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre points and weights on 0 .. end."""
    x, w = leggauss(n_points)
    return 0.5 * end * (x + 1), 0.5 * end * w

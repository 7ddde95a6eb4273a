"""Expansion of weighted G5 in moments: monomials, and how functions follow from them."""

from __future__ import annotations

from itertools import product
from math import comb, factorial

import numpy as np

from skatom.featurizers._simd.padding import whole_lanes

# Moments up to order zeta number (zeta + 1)(zeta + 2)(zeta + 3)/6: 35 for zeta = 4.
MAX_MOMENT = 4


def moment_arrays(rows: np.ndarray, kept: np.ndarray):
    """Return what the kernels read: monomials, and how functions follow from moments."""
    if not len(kept):
        return None
    eta, zeta, sign = rows[kept].T
    etas, eta_of = np.unique(eta, return_inverse=True)
    highest = int(zeta.max())
    orders = np.arange(highest + 1)
    binomials = np.array([[comb(int(z), n) for n in orders] for z in zeta], dtype=float)
    scale = 2.0**-zeta  # of 2^(1-zeta), times 1/2 because each pair counts once
    coefficients = scale[:, None] * binomials * sign[:, None] ** orders
    selfs = scale * (1.0 + sign) ** zeta
    terms = coefficients, selfs, eta_of.ravel(), kept
    return (whole_lanes(etas[None]), *_monomials(highest)), terms


def _monomials(highest: int) -> tuple[np.ndarray, ...]:
    """Return steps, lowered monomials, exponents, degrees and multinomials."""
    cube = product(range(highest + 1), repeat=3)
    powers = sorted((p for p in cube if sum(p) <= highest), key=lambda p: (sum(p), p))
    place = {p: q for q, p in enumerate(powers)}
    steps = np.zeros((len(powers), 2), dtype=np.int64)
    lowers = np.zeros((len(powers), 3), dtype=np.int64)
    for q, p in enumerate(powers):
        for axis in range(3):
            if p[axis]:
                lower = place[tuple(n - (k == axis) for k, n in enumerate(p))]
                lowers[q, axis] = lower
                steps[q] = lower, axis
    exponents = np.array(powers, dtype=np.float64)
    degrees = np.array([sum(p) for p in powers], dtype=np.int64)
    counts = [factorial(sum(p)) / np.prod([factorial(n) for n in p]) for p in powers]
    return steps, lowers, exponents, degrees, np.array(counts)

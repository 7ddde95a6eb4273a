"""Tables of real solid harmonics: their recursion and their gradients.

H_lm are homogeneous polynomials, normalised as Racah's: their squares sum to r^(2 l). The
one with l and m has the place l² + l + m; m > 0 goes with cos(m phi), m < 0 with
sin(|m| phi). The gradient of H_lm is made of harmonics of order l - 1.
"""

from __future__ import annotations

import numpy as np


def ladder(l_max: int) -> np.ndarray:
    """Give the factors of the recursion in l, shape ((l_max + 1)², 2).

    H_lm = A z H_(l-1)m - B r² H_(l-2)m for |m| < l. In the row of m = -l stands the
    factor of the two harmonics with |m| = l.
    """
    table = np.zeros(((l_max + 1) ** 2, 2))
    for l in range(1, l_max + 1):
        m = np.arange(1 - l, l)
        rows = l * l + l + m
        norm = np.sqrt((l - m) * (l + m))
        table[rows, 0] = (2 * l - 1) / norm
        table[rows, 1] = np.sqrt((l - 1 - m) * (l - 1 + m)) / norm
        table[l * l, 0] = np.sqrt((2 * l - 1) / (2 * l)) if l > 1 else 1.0
    return table


def gradients(l_max: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the gradient of every harmonic as a sum of others.

    Returns
    -------
    sources : ndarray of int64, shape ((l_max + 1)², 6)
        Two harmonics each for the derivatives by x, y and z.
    factors : ndarray of shape ((l_max + 1)², 6)
        Their factors, zero for what is not there.
    """
    n_lm = (l_max + 1) ** 2
    sources, factors = np.zeros((n_lm, 6), dtype=np.int64), np.zeros((n_lm, 6))
    for l in range(1, l_max + 1):
        for m in range(-l, l + 1):
            for axis, terms in enumerate(_derivatives(l, m)):
                terms = [(k, f) for k, f in terms if abs(k) < l and f != 0.0]
                for place, (k, factor) in enumerate(terms):
                    sources[l * l + l + m, 2 * axis + place] = (l - 1) * l + k
                    factors[l * l + l + m, 2 * axis + place] = factor
    return sources, factors


def _derivatives(l: int, m: int):
    """Terms (m', factor) of the derivatives of H_lm by x, y and z, with l' = l - 1."""
    k = abs(m)
    up = np.sqrt((l - k) * (l - k - 1)) / 2
    down = np.sqrt((l + k) * (l + k - 1)) / 2
    by_z = [(m, np.sqrt((l - k) * (l + k)))]
    if m == 0:
        return [(1, -np.sqrt(2) * up)], [(-1, -np.sqrt(2) * up)], by_z
    root = np.sqrt(2) if k == 1 else 1.0  # m = 0 lacks the factor that the others have
    if m > 0:
        by_x = [(k + 1, -up), (k - 1, root * down)]
        by_y = [(-k - 1, -up), (1 - k, -down if k > 1 else 0.0)]
    else:
        by_x = [(-k - 1, -up), (1 - k, down if k > 1 else 0.0)]
        by_y = [(k + 1, up), (k - 1, root * down)]
    return by_x, by_y, by_z


def transposed(
    l_max: int, sources: np.ndarray, factors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give, for each harmonic, the others whose derivatives contain it.

    Returns
    -------
    sources, factors : arrays of shape (l_max² or 1, 6)
        At most two each for x, y and z.
    """
    n_low = max(l_max * l_max, 1)
    back = np.zeros((n_low, 6), dtype=np.int64), np.zeros((n_low, 6))
    used = np.zeros((n_low, 3), dtype=np.int64)
    for lm, column in zip(*np.nonzero(factors)):
        low, axis = sources[lm, column], column // 2
        place = 2 * axis + used[low, axis]
        back[0][low, place], back[1][low, place] = lm, factors[lm, column]
        used[low, axis] += 1
    return back

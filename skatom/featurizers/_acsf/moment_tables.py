"""Tables for G5 by moments: Legendre series, recursions, and where they pay."""

from __future__ import annotations

import numpy as np

# A moment of order l has 2 l + 1 numbers: beyond this, triples are always few enough.
MAX_ZETA = 16


def legendre_series(zeta: int, sign: float) -> np.ndarray:
    """Expand 2^(1-zeta) (1 + sign c)^zeta in Legendre polynomials of c.

    The integral of (1 + c)^zeta P_l is 2^(zeta+1) zeta!² / ((zeta-l)! (zeta+l+1)!).

    Returns
    -------
    series : ndarray of shape (zeta + 1,)
        Positive for sign = 1, with sum 2; alternating for sign = -1.
    """
    l = np.arange(1, zeta + 1)
    ratios = (2 * l + 1) / (2 * l - 1) * (zeta - l + 1) / (zeta + l + 1)
    series = 2.0 / (zeta + 1) * np.cumprod(np.append(1.0, ratios))
    return series * sign ** np.arange(zeta + 1)


def harmonic_steps(l_max: int) -> np.ndarray:
    """Give the factors of the recursion in l of real solid harmonics after Racah.

    H_lm stands at l² + l + m, with cos(m phi) for m >= 0 and sin(|m| phi) for m < 0, and
    sum_m H_lm(u) H_lm(v) = P_l(u . v) for unit vectors.

    Returns
    -------
    steps : ndarray of shape (2, (l_max + 1)²)
        Factors of H_l-1 and of H_l-2.
    """
    steps = np.zeros((2, (l_max + 1) ** 2))
    for l in range(2, l_max + 1):
        m = np.arange(1 - l, l)
        scale = 1.0 / np.sqrt((l - m) * (l + m))
        steps[0, l * l + 1 : l * l + 2 * l] = (2 * l - 1) * scale
        inner = np.sqrt(np.maximum((l - 1 - m) * (l - 1 + m), 0.0)) * scale
        steps[1, l * l + 1 : l * l + 2 * l] = inner
        steps[0, [l * l, l * l + 2 * l]] = np.sqrt((2 * l - 1) / (2 * l))
    return steps


def harmonic_ladder(l_max: int) -> np.ndarray:
    """Give the derivatives of solid harmonics by x, y and z as harmonics of l - 1.

    With R = H / sqrt((l-m)! (l+m)!) for exp(i m phi), dR_lm/dz = R_l-1,m and
    (d/dx -+ i d/dy) R_lm = +-R_l-1,m-+1.

    Returns
    -------
    ladder : ndarray of shape (n, 4)
        Rows of direction, harmonic, harmonic of its derivative, factor.
    """
    rows = []
    for l in range(1, l_max + 1):
        here, below = l * l + l, l * l - l
        for m in range(-l, l + 1):
            size, sign = abs(m), 1 if m >= 0 else -1
            up = -0.5 * np.sqrt(max((l - size) * (l - size - 1), 0))
            down = 0.5 * np.sqrt((l + size) * (l + size - 1))
            # cos and sin of m > 0 are sqrt(2) times the real and imaginary part
            down *= np.sqrt(2.0) if size == 1 else 1.0
            steps = [(0, sign * (size + 1), up), (1, -sign * (size + 1), sign * up)]
            if m == 0:  # R_-1 is -conj(R_1): both terms are the same
                steps = [(x, m_next, np.sqrt(2.0) * up) for x, m_next, _ in steps]
                steps[1] = (1, -1, steps[0][2])
            if m != 0 and m != -1:
                steps.append((0, sign * (size - 1), down))
            if m != 0 and m != 1:
                steps.append((1, -sign * (size - 1), -sign * down))
            steps.append((2, m, np.sqrt((l - size) * (l + size))))
            rows += [(x, here + m, below + m_next, c) for x, m_next, c in steps if c]
    return np.array(rows, dtype=np.float64)


def expansion(grid: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Give the arrays of the moments of a grid of whole powers (see the kernels)."""
    etas, powers, terms, starts = grid
    l_max = int(powers[:, 0].max())
    series = np.zeros((len(powers), l_max + 1))
    for row, (zeta, sign) in zip(series, powers[:, :2]):
        row[: int(zeta) + 1] = legendre_series(int(zeta), sign)
    return etas, series, terms, harmonic_steps(l_max), harmonic_ladder(l_max), starts


def crossover(l_max: int, n_species: int) -> int:
    """Give the number of neighbours up to which sums over triples are faster.

    Fitted to the time of values with pullback in random environments, full grids of 1 to
    8 etas (AMD EPYC with AVX-512). Measured for l_max = 2, 4, 8 and 16: 8-10, 11-14, 23-29
    and 67-90 neighbours of one species; 6-8, 16-20, 38-50 and 120-150 of four.
    """
    return 6 + (l_max + 1) ** 2 * (2 + n_species) // 12

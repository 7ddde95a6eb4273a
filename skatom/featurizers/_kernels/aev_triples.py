"""What the angular kernels of AEV share: one triple (j, k) of neighbours.

With c = 0.95 cos theta, s = sqrt(1 - c**2) and a = (r_j + r_k) / 2, a triple adds

    W_m P_q,   W_m = f_j f_k exp(-eta (a - R_m)**2),   P_q = 2 h_q**zeta,
               h_q = (1 + c cos theta_q + s sin theta_q) / 2

to column (m, q) of its pair of species. No angle is ever computed, and no exponential of
a triple and a shell: since (a - R)**2 = ((r_j - R)**2 + (r_k - R)**2) / 2
- (r_j - r_k)**2 / 4, W_m is a product of one number of j, one of k and one of both. The
lanes are neighbours k for what does not depend on m and q, and angles q for the rest.

Arguments of all kernels:

block : (start, stop, offsets, channels, vectors), as for ACSF
n_species : number of channels
cut : (r_cut of the angular functions, kind, gamma)
shape : (n_shells, n_angles)
decay : (eta, zeta)
shells : array (1, n_shells padded to groups of lanes) of R_m
angles : array (2, n_angles padded) of cos theta_q / 2 and sin theta_q / 2
first : first angular column
"""

import numpy as np
from numba import njit

from skatom.featurizers._kernels.aev_lanes import quick_power
from skatom.featurizers._kernels.environment import INVERSE, F, S, X, Y, Z
from skatom.featurizers._kernels.lanes import exp2, get, load, splat, sqrt, store

LOG2E = 1.4426950408889634
SQUEEZE = 0.95  # of the cosine; keeps slopes of the angle finite for atoms in a line

# Rows of the table of triples of one j, whose columns are neighbours k:
# c, s, the factor of both neighbours in 2 W, c / s, and a
COS, SIN, JOINT, RATIO, MEAN = 0, 1, 2, 3, 4
TRIPLE_ROWS = 5


@njit
def reach(m, eta, shells, near, parts):
    """Fill the factor of every neighbour in W, f exp(-eta (r - R)**2 / 2)."""
    half = -0.5 * eta * LOG2E
    for j in range(m):
        r, f = get(near, S, j) * get(near, INVERSE, j), get(near, F, j)
        for v in range(0, shells.shape[1], 8):
            d = r - load(shells, 0, v)
            store(parts, j, v, exp2(d * d * half) * f)


@njit
def turn(j, m, eta, near, triples):
    """Fill the table of triples of `j` with all k > j."""
    x, y, z = get(near, X, j), get(near, Y, j), get(near, Z, j)
    inverse = get(near, INVERSE, j)
    r = get(near, S, j) * inverse
    quarter = 0.25 * eta * LOG2E
    for k in range(j + 1, m, 8):
        inverse_k = load(near, INVERSE, k)
        d = load(near, X, k) * x + load(near, Y, k) * y + load(near, Z, k) * z
        c = d * inverse_k * (SQUEEZE * inverse)
        s = sqrt(1.0 - c * c)
        r_k = load(near, S, k) * inverse_k
        apart = r_k - r
        store(triples, COS, k, c)
        store(triples, SIN, k, s)
        store(triples, JOINT, k, exp2(apart * apart * quarter) * 2.0)
        store(triples, RATIO, k, c / s)
        store(triples, MEAN, k, (r_k + r) * 0.5)


@njit
def weigh(row, j, k, triples, parts, waves):
    """Write 2 W of one triple to a row of `waves`."""
    joint = splat(get(triples, JOINT, k))
    for v in range(0, parts.shape[1], 8):
        store(waves, row, v, load(parts, j, v) * load(parts, k, v) * joint)


@njit
def values_of_angles(row, k, zeta, angles, triples, p):
    """Write h**zeta of one triple to a row of `p`."""
    c, s = get(triples, COS, k), get(triples, SIN, k)
    for v in range(0, angles.shape[1], 8):
        h = load(angles, 0, v) * c + load(angles, 1, v) * s + 0.5
        store(p, row, v, quick_power(h, zeta))


@njit
def slopes_of_angles(row, k, zeta, factor, angles, triples, p, dp):
    """Write h**zeta, and `factor` times its derivative by cos theta."""
    c, s, ratio = get(triples, COS, k), get(triples, SIN, k), get(triples, RATIO, k)
    factor *= SQUEEZE * zeta
    for v in range(0, angles.shape[1], 8):
        cos_q, sin_q = load(angles, 0, v), load(angles, 1, v)
        h = cos_q * c + sin_q * s + 0.5
        below = quick_power(h, zeta - 1.0)
        store(p, row, v, below * h)
        store(dp, row, v, below * (cos_q - sin_q * ratio) * factor)


@njit
def add_products(n, to, n_shells, waves, p, sums):
    """Add sum_t waves[t, m] p[t, q] to rows ``to + m`` of `sums`, four at a time."""
    for m in range(0, n_shells, 4):
        for v in range(0, p.shape[1], 8):
            a0, a1 = load(sums, to + m, v), load(sums, to + m + 1, v)
            a2, a3 = load(sums, to + m + 2, v), load(sums, to + m + 3, v)
            for t in range(n):
                q = load(p, t, v)
                a0 = a0 + q * get(waves, t, m)
                a1 = a1 + q * get(waves, t, m + 1)
                a2 = a2 + q * get(waves, t, m + 2)
                a3 = a3 + q * get(waves, t, m + 3)
            store(sums, to + m, v, a0)
            store(sums, to + m + 1, v, a1)
            store(sums, to + m + 2, v, a2)
            store(sums, to + m + 3, v, a3)


@njit
def workspace(room, n_species, shells, angles):
    """Return empty tables: triples, parts, waves, p and sums (or weights)."""
    n_m, n_q = shells.shape[1], angles.shape[1]
    return (
        np.zeros((TRIPLE_ROWS, room)),
        np.zeros((room, n_m)),
        np.zeros((room, n_m)),
        np.zeros((room, n_q)),
        np.zeros((n_species * n_m, n_q)),
    )

"""One triple (j, k) of neighbours in the angular kernels of AEV.

With c = 0.95 cos theta, s = sqrt(1 - c**2) and a = (r_j + r_k) / 2, a triple adds

    W_m P_q,   W_m = f_j f_k exp(-eta (a - R_m)**2),   P_q = 2 h_q**zeta,
               h_q = (1 + c cos theta_q + s sin theta_q) / 2

to column (m, q) of its pair of species. No angle is ever computed, and no exponential of
a triple and a shell: since (a - R)**2 = ((r_j - R)**2 + (r_k - R)**2) / 2
- (r_j - r_k)**2 / 4, W_m is a product of one number of j, one of k and one of both. The
lanes are neighbours k for what does not depend on m and q, and angles q for the rest.

Arguments of all kernels:

block : tuple of a PairBlock
n_species : number of channels
cut : (r_cut of the angular functions, kind, gamma)
shape : (n_shells, n_angles)
decay : (eta, zeta)
shells : array (1, n_shells padded to groups of lanes) of R_m
angles : array (2, n_angles padded) of cos theta_q / 2 and sin theta_q / 2
first : first angular column
"""

import numpy as np
from numba.extending import register_jitable

from skatom.featurizers._aev.powers import quick_power
from skatom.featurizers._simd.environment import INVERSE, F, S, X, Y, Z
from skatom.featurizers._simd.lanes import exp2, get, load, put, splat, sqrt, store

LOG2E = 1.4426950408889634
SQUEEZE = 0.95  # of the cosine; keeps slopes of the angle finite for atoms in a line

# Rows of the table of triples of one j, whose columns are neighbours k:
# c, s, the factor of both neighbours in 2 W, c / s, and a
COS, SIN, JOINT, RATIO, MEAN = 0, 1, 2, 3, 4
TRIPLE_ROWS = 5
BLOCK = 128  # triples that are worked on together


@register_jitable
def reach(m, eta, shells, near, parts):
    """Fill the factor of every neighbour in W, f exp(-eta (r - R)**2 / 2)."""
    half = -0.5 * eta * LOG2E
    for j in range(m):
        r, f = get(near, S, j) * get(near, INVERSE, j), get(near, F, j)
        for v in range(0, shells.shape[1], 8):
            d = r - load(shells, 0, v)
            store(parts, j, v, exp2(d * d * half) * f)


@register_jitable
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


# The loops over k stand inside of what follows: calls with arrays cost more than a triple.


@register_jitable
def weigh(j, m, base, triples, parts, waves):
    """Write 2 W of all triples of `j` to rows ``base + k`` of `waves`."""
    for v in range(0, parts.shape[1], 8):
        of_j = load(parts, j, v)
        for k in range(j + 1, m):
            joint = of_j * get(triples, JOINT, k)
            store(waves, base + k, v, load(parts, k, v) * joint)


@register_jitable
def values_of_angles(j, m, base, zeta, angles, triples, p):
    """Write h**zeta of all triples of `j` to rows ``base + k`` of `p`."""
    for v in range(0, angles.shape[1], 8):
        cos_q, sin_q = load(angles, 0, v), load(angles, 1, v)
        for k in range(j + 1, m):
            h = cos_q * get(triples, COS, k) + sin_q * get(triples, SIN, k) + 0.5
            store(p, base + k, v, quick_power(h, zeta))


@register_jitable
def slopes_of_angles(j, m, zeta, angles, triples, p, dp):
    """Write h**zeta and its derivative by cos theta to rows k of `p` and `dp`."""
    factor = SQUEEZE * zeta
    for v in range(0, angles.shape[1], 8):
        cos_q, sin_q = load(angles, 0, v), load(angles, 1, v)
        for k in range(j + 1, m):
            h = cos_q * get(triples, COS, k) + sin_q * get(triples, SIN, k) + 0.5
            below = quick_power(h, zeta - 1.0)
            store(p, k, v, below * h)
            bent = (cos_q - sin_q * get(triples, RATIO, k)) * factor
            store(dp, k, v, below * bent)


@register_jitable
def add_products(ends, shape, waves, p, sums):
    """Write sum_jk W_m P_q of a chunk of j and a run of k > j to `sums`."""
    j_start, j_stop, k_start, k_stop, n = ends
    for v in range(0, p.shape[1], 8):
        for m in range(0, shape[0], 4):
            a0 = a1 = a2 = a3 = splat(0.0)
            for j in range(j_start, j_stop):
                base = (j - j_start) * n
                for t in range(base + max(j + 1, k_start), base + k_stop):
                    q = load(p, t, v)
                    a0 = a0 + q * get(waves, t, m)
                    a1 = a1 + q * get(waves, t, m + 1)
                    a2 = a2 + q * get(waves, t, m + 2)
                    a3 = a3 + q * get(waves, t, m + 3)
            store(sums, m, v, a0)
            store(sums, m + 1, v, a1)
            store(sums, m + 2, v, a2)
            store(sums, m + 3, v, a3)


@register_jitable
def write_sums(i, column, shape, sums, out):
    """Add `sums` to the columns of one pair of species."""
    for m in range(shape[0]):
        for q in range(shape[1]):
            put(out, i, column, get(out, i, column) + get(sums, m, q))
            column += 1


@register_jitable
def chunk(m):
    """Return how many j are worked on together, for all of their triples to fit L1."""
    return max(1, BLOCK // max(m, 1))


@register_jitable
def workspace(room, shells, angles):
    """Return empty tables: triples, parts, waves, p and sums."""
    n_m, n_q = shells.shape[1], angles.shape[1]
    rows = max(BLOCK, room)
    return (
        np.zeros((TRIPLE_ROWS, room)),
        np.zeros((room, n_m)),
        np.zeros((rows, n_m)),
        np.zeros((rows, n_q)),
        np.zeros((n_m, n_q)),
    )

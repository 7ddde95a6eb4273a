"""Blocks of triples: what all angular functions of one pair of species share.

With s = r**2, d = r_j . r_k and c = d / (|r_j| |r_k|), the triple (j, k) adds to the
angular function of one (eta, zeta, lambda)

    w exp(-eta t) P(c),    P(c) = 2**(1 - zeta) (1 + lambda c)**zeta,

    G4: w = f(s_j) f(s_k) f(s_jk), t = s_j + s_k + s_jk, s_jk = s_j + s_k - 2 d
    G5: w = f(s_j) f(s_k),         t = s_j + s_k

so every gradient follows from the derivatives by s_j, s_k and d. Exponentials are shared
by all functions of one eta and powers by all functions of one (zeta, lambda): a grid of
both is a small matrix product. Triples are packed, one pair of species at a time, into
blocks that stay in the L1 cache, with empty places (w = 0) up to whole groups of lanes.
"""

import numpy as np
from numba import njit

from skatom.featurizers._kernels.cutoffs import cutoff, cutoff_slope, real_power
from skatom.featurizers._kernels.environment import INVERSE, F, S, X, Y, Z
from skatom.featurizers._kernels.lanes import (
    below,
    exp2,
    first_bit,
    get,
    load,
    put,
    store,
)

BLOCK = 128  # triples that are worked on together
LOG2E = 1.4426950408889634

# Rows of the table of triples: c, s_jk, t and w (at first s_j + s_k and f_j f_k) ...
COS, SIDE, T, W = 0, 1, 2, 3
# ... and in derivatives: f'(s_jk)/f and results of the kernel
SLOPE_JK, RESULT_1, RESULT_2, RESULT_3 = 4, 5, 6, 7
TRIPLE_ROWS = 8


@njit
def workspace(etas, powers):
    """Return empty tables: triples, their ends, waves and powers; and a cursor."""
    return (
        np.zeros((TRIPLE_ROWS, BLOCK + 8)),
        np.zeros((2, BLOCK + 8), np.int64),
        np.zeros((etas.shape[1], BLOCK)),
        np.zeros((len(powers), BLOCK)),
        np.zeros(2, np.int64),
    )


@njit
def begin(a, b, runs, cursor):
    """Set the cursor to the first triple of two runs; return where they end."""
    same = a == b
    cursor[0] = runs[1, a]
    cursor[1] = cursor[0] + 1 if same else runs[1, b]
    return runs[1, a + 1], runs[1, b], runs[1, b + 1], same


@njit
def pair_index(a, b, n_species):
    """Return the place of the species pair a <= b in 00 01 .. 11 12 ..."""
    return a * n_species - a * (a - 1) // 2 + b - a


@njit
def fill(cursor, ends_of_runs, near, reach, triples, ends):
    """Pack the next triples of one pair of species; return how many places are used.

    Parameters
    ----------
    cursor : array of shape (2,), modified
        The (j, k) to go on from.
    ends_of_runs : tuple
        (j_stop, k_start, k_stop, same species) of `begin`.
    near : array
        Table of neighbours.
    reach : float
        Triples with s_jk >= reach are left out.
    triples, ends : array, modified
        Table of triples, and their j and k.
    """
    n = 0
    j_stop, k_start, k_stop, same = ends_of_runs
    j, k = cursor[0], cursor[1]
    while j < j_stop:
        x, y, z = get(near, X, j), get(near, Y, j), get(near, Z, j)
        s, inverse, f = get(near, S, j), get(near, INVERSE, j), get(near, F, j)
        while k < k_stop:
            if n > BLOCK - 8:
                cursor[0], cursor[1] = j, k
                return _pad(n, k_start, triples, ends)
            d = load(near, X, k) * x + load(near, Y, k) * y + load(near, Z, k) * z
            both = load(near, S, k) + s
            side = both - d * 2.0
            bits = below(side, reach) & ((1 << min(k_stop - k, 8)) - 1)
            if bits:
                # the columns past BLOCK are a place to spread the lanes out
                store(triples, COS, BLOCK, d * load(near, INVERSE, k) * inverse)
                store(triples, SIDE, BLOCK, side)
                store(triples, T, BLOCK, both)
                store(triples, W, BLOCK, load(near, F, k) * f)
                n = _append(bits, j, k, n, triples, ends)
            k += 8
        j += 1
        k = j + 1 if same else k_start
    cursor[0] = j
    return _pad(n, k_start, triples, ends)


@njit
def _append(bits, j, k, n, triples, ends):
    """Move the lanes whose bit is set to the end; return the new number of triples."""
    while bits:
        lane = first_bit(bits)
        bits &= bits - 1
        put(triples, COS, n, get(triples, COS, BLOCK + lane))
        put(triples, SIDE, n, get(triples, SIDE, BLOCK + lane))
        put(triples, T, n, get(triples, T, BLOCK + lane))
        put(triples, W, n, get(triples, W, BLOCK + lane))
        ends[0, n] = j
        ends[1, n] = k + lane
        n += 1
    return n


@njit
def _pad(n, place, triples, ends):
    """Fill up the last group of lanes with triples of no weight."""
    full = (n + 7) & ~7
    for t in range(n, full):
        put(triples, COS, t, 0.0)
        put(triples, SIDE, t, 0.0)
        put(triples, T, t, 0.0)
        put(triples, W, t, 0.0)
        ends[0, t] = ends[1, t] = place
    return full


@njit
def evaluate(n, side, cut, grid, triples, waves, p):
    """Fill w exp(-eta t) for every eta (``waves``) and P for every power (``p``).

    Parameters
    ----------
    n : int
        Number of places in use.
    side : bool
        True for G4, False for G5.
    cut : tuple
        (r_cut, kind of cutoff, gamma).
    grid : tuple
        (etas, powers, terms).
    triples : array
        Table of triples; w and t are completed.
    waves, p : array, modified
    """
    etas, powers = grid[0], grid[1]
    shrink = 1.0 / (cut[0] * cut[0])
    for t in range(0, n, 8):
        w = load(triples, W, t)
        reach = load(triples, T, t)
        if side:
            s = load(triples, SIDE, t)
            reach = reach + s
            w = w * cutoff(cut[1], cut[2], s * shrink)
        reach = reach * -LOG2E
        for e in range(etas.shape[1]):
            store(waves, e, t, w * exp2(reach * get(etas, 0, e)))
    for q in range(len(powers)):
        zeta, sign = powers[q, 0], powers[q, 1]
        for t in range(0, n, 8):
            # 2**(1 - zeta) (1 + lambda c)**zeta = 2 ((1 + lambda c) / 2)**zeta
            half = load(triples, COS, t) * (0.5 * sign) + 0.5
            store(p, q, t, 2.0 * half * real_power(half, zeta - 1.0))


@njit
def evaluate_slopes(n, side, cut, grid, triples, dp):
    """Fill dP/dc (``dp``) and, for G4, the f'(s_jk)/f of each triple."""
    powers = grid[1]
    for q in range(len(powers)):
        zeta, sign = powers[q, 0], powers[q, 1]
        for t in range(0, n, 8):
            half = load(triples, COS, t) * (0.5 * sign) + 0.5
            store(dp, q, t, real_power(half, zeta - 1.0) * (zeta * sign))
    if side:
        shrink = 1.0 / (cut[0] * cut[0])
        for t in range(0, n, 8):
            u = load(triples, SIDE, t) * shrink
            store(triples, SLOPE_JK, t, cutoff_slope(cut[1], cut[2], u) * shrink)

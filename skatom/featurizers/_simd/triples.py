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
from numba.extending import register_jitable

from skatom.featurizers._simd.cutoffs import (
    cutoff,
    cutoff_slope,
    real_power,
    whole_power,
)
from skatom.featurizers._simd.environment import INVERSE, PLACE, F, S, X, Y, Z
from skatom.featurizers._simd.lanes import (
    append,
    below,
    count_bits,
    exp2,
    get,
    load,
    splat,
    store,
)

BLOCK = 128  # triples that are worked on together
LOG2E = 1.4426950408889634

# Rows of the table of triples: c, s_jk, s_j + s_k, w (at first f_j f_k), j and k ...
COS, SIDE, T, W, J, K = 0, 1, 2, 3, 4, 5
# ... and in derivatives: f'(s_jk)/f and results of the kernel
SLOPE_JK, RESULT_1, RESULT_2, RESULT_3 = 6, 7, 8, 9
TRIPLE_ROWS = 10


@register_jitable
def workspace(etas, powers):
    """Return empty tables: triples, waves and powers; and a cursor."""
    return (
        np.zeros((TRIPLE_ROWS, BLOCK + 8)),
        np.zeros((etas.shape[1], BLOCK + 8)),
        np.zeros((len(powers), BLOCK + 8)),
        np.zeros(2, np.int64),
    )


@register_jitable
def begin(a, b, runs, cursor):
    """Set the cursor to the first triple of two runs; return where they end."""
    same = a == b
    cursor[0] = runs[1, a]
    cursor[1] = cursor[0] + 1 if same else runs[1, b]
    return runs[1, a + 1], runs[1, b], runs[1, b + 1], same


@register_jitable
def pair_index(a, b, n_species):
    """Return the place of the species pair a <= b in 00 01 .. 11 12 ..."""
    return a * n_species - a * (a - 1) // 2 + b - a


@register_jitable
def fill(cursor, stops, near, reach, triples):
    """Pack the next triples of one pair of species; return how many places are used.

    Parameters
    ----------
    cursor : array of shape (2,), modified
        The (j, k) to go on from.
    stops : tuple
        (j_stop, k_start, k_stop, same species) of `begin`.
    near : array
        Table of neighbours.
    reach : float
        Triples with s_jk >= reach are left out.
    triples : array, modified
        Table of triples.
    """
    n = 0
    j_stop, k_start, k_stop, same = stops
    j, k = cursor[0], cursor[1]
    while j < j_stop:
        x, y, z = get(near, X, j), get(near, Y, j), get(near, Z, j)
        s, inverse, f = get(near, S, j), get(near, INVERSE, j), get(near, F, j)
        while k < k_stop:
            if n > BLOCK - 8:
                cursor[0], cursor[1] = j, k
                return _pad(n, k_start, triples)
            d = load(near, X, k) * x + load(near, Y, k) * y + load(near, Z, k) * z
            both = load(near, S, k) + s
            side = both - d * 2.0
            bits = below(side, reach) & ((1 << min(k_stop - k, 8)) - 1)
            cosine = d * load(near, INVERSE, k) * inverse
            append(triples, COS, n, cosine, bits)
            append(triples, SIDE, n, side, bits)
            append(triples, T, n, both, bits)
            append(triples, W, n, load(near, F, k) * f, bits)
            append(triples, K, n, load(near, PLACE, k), bits)
            store(triples, J, n, splat(float(j)))
            n += count_bits(bits)
            k += 8
        j += 1
        k = j + 1 if same else k_start
    cursor[0] = j
    return _pad(n, k_start, triples)


@register_jitable
def _pad(n, place, triples):
    """Fill up the last group of lanes with triples of no weight."""
    nothing = splat(0.0)
    store(triples, COS, n, nothing)
    store(triples, SIDE, n, nothing)
    store(triples, T, n, nothing)
    store(triples, W, n, nothing)
    store(triples, J, n, splat(float(place)))
    store(triples, K, n, splat(float(place)))
    return (n + 7) & ~7


@register_jitable
def evaluate(n, side, slopes, cut, grid, triples, waves, p, dp):
    """Fill what the functions of a block are made of.

    Parameters
    ----------
    n : int
        Number of places in use.
    side : bool
        True for G4, False for G5.
    slopes : bool
        Whether derivatives are needed.
    cut : tuple
        (r_cut, kind of cutoff, gamma).
    grid : tuple
        (etas, powers, terms, starts).
    triples : array, modified
        Table of triples, in which f'(s_jk)/f is filled on demand.
    waves : array of shape (n_etas, BLOCK), modified
        w exp(-eta t).
    p, dp : array of shape (n_powers, BLOCK), modified
        P and, on demand, dP/dc.
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
            if slopes:
                slope = cutoff_slope(cut[1], cut[2], s * shrink) * shrink
                store(triples, SLOPE_JK, t, slope)
        reach = reach * -LOG2E
        for e in range(etas.shape[1]):
            store(waves, e, t, w * exp2(reach * get(etas, 0, e)))
    for t in range(0, n, 16):
        _fill_powers(t, slopes, powers, triples, p, dp)


@register_jitable
def _fill_powers(t, slopes, powers, triples, p, dp):
    """Fill P = 2 h**zeta, h = (1 + lambda c) / 2, and dP/dc = zeta lambda h**(zeta - 1).

    Rows of ``powers`` are zeta, lambda, the step up from the row before (-1 for a zeta
    that is not whole) and whether lambda is new. Two groups of lanes go together, which
    share what it takes to find out what to do.
    """
    cosine_a, cosine_b = load(triples, COS, t), load(triples, COS, t + 8)
    h_a = h_b = h2_a = h2_b = h4_a = h4_b = grown_a = grown_b = splat(1.0)
    for q in range(len(powers)):
        zeta, sign = get(powers, q, 0), get(powers, q, 1)
        step = int(get(powers, q, 2))
        if get(powers, q, 3) > 0.0:
            h_a, h_b = cosine_a * (0.5 * sign) + 0.5, cosine_b * (0.5 * sign) + 0.5
            h2_a, h2_b = h_a * h_a, h_b * h_b
            h4_a, h4_b = h2_a * h2_a, h2_b * h2_b
            grown_a = grown_b = splat(1.0)
        below_a, below_b = grown_a, grown_b
        if step < 0:
            below_a, below_b = real_power(h_a, zeta - 1.0), real_power(h_b, zeta - 1.0)
        elif step > 0:
            if step & 1:
                grown_a, grown_b = grown_a * h_a, grown_b * h_b
            if step & 2:
                grown_a, grown_b = grown_a * h2_a, grown_b * h2_b
            if step > 3:
                grown_a = grown_a * whole_power(h4_a, step >> 2)
                grown_b = grown_b * whole_power(h4_b, step >> 2)
            below_a, below_b = grown_a, grown_b
        store(p, q, t, below_a * h_a * 2.0)
        store(p, q, t + 8, below_b * h_b * 2.0)
        if slopes:
            store(dp, q, t, below_a * (zeta * sign))
            store(dp, q, t + 8, below_b * (zeta * sign))

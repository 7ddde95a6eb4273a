"""One triple (j, k) of neighbours in the three-body kernels of FCHL19.

With c = cos theta, a = (r_j + r_k) / 2 and o = 1, 3, 5, .. a triple adds

    W_m B A_q,   W_m = f_j f_k exp(-eta (a - R_m)**2),
    B = (1 + 3 cos theta cos theta_j cos theta_k) (r_j r_k r_jk)**-p,
    A = 2 exp(-(zeta o)**2 / 2) (cos o theta, sin o theta)

to column (m, q) of its pair of species. With s = r**2 and d = r_j . r_k everything but A is
rational in squares: the product P of the three cosines is d (s_j - d) (s_k - d) / (s_j s_k
s_jk). As (a - R)**2 = ((r_j - R)**2 + (r_k - R)**2) / 2 - (r_j - r_k)**2 / 4, W_m is a
product of one number of j, one of k and one of both. So the lanes are neighbours k for
what belongs to a triple, and shells m for sums over triples, which are products of small
matrices.

The sine has a cusp where three atoms are in line; its slope there is zero, the mean of both
sides. The sine comes from the cross product, exact to rounding close to a line, too.

Arguments of all kernels:

block : tuple of a PairBlock
n_species : number of channels
cut : (r_cut of the three-body functions, kind, gamma)
decay : (eta, p / 2)
waves : array (n_orders,) of 2 weight exp(-(zeta o)**2 / 2)
grid : (shells, n_shells), with ``shells`` an array (1, n_shells padded to groups of lanes)
    of R_m
first : first three-body column
"""

import numpy as np
from numba.extending import register_jitable

from skatom.featurizers._aev.powers import log2
from skatom.featurizers._simd.environment import INVERSE, F, S, X, Y, Z
from skatom.featurizers._simd.lanes import (
    exp2,
    get,
    load,
    maximum,
    put,
    splat,
    sqrt,
    store,
)
from skatom.featurizers._simd.triples import pair_index

LOG2E = 1.4426950408889634
TINY = 1e-18  # squared sine, or squared length in Å², below which a slope is let go

# Rows of the table of triples of one j, whose columns are neighbours k, with J the factor
# of both in W: c, B J, a, and the derivatives of B by s_j, s_k and d, times J; the rest are
# A_q, then their derivatives by c
COS, STRENGTH, MEAN, BY_J, BY_K, BY_D = 0, 1, 2, 3, 4, 5
WAVES = 6


@register_jitable
def reach(m, decay, shells, near, parts):
    """Fill the factor of every neighbour, f r**-p exp(-eta (r - R)**2 / 2)."""
    half = -0.5 * decay[0] * LOG2E
    for j in range(0, m, 8):
        s = load(near, S, j)
        store(near, F, j, load(near, F, j) * exp2(log2(s) * -decay[1]))
    for j in range(m):
        r, f = get(near, S, j) * get(near, INVERSE, j), get(near, F, j)
        for v in range(0, shells.shape[1], 8):
            d = r - load(shells, 0, v)
            store(parts, j, v, exp2(d * d * half) * f)


@register_jitable
def turn(j, m, decay, waves, near, triples):
    """Fill rows from `WAVES` on with B J A_q of all k > j."""
    x, y, z, s = get(near, X, j), get(near, Y, j), get(near, Z, j), get(near, S, j)
    inverse = get(near, INVERSE, j)
    r, quarter = s * inverse, 0.25 * decay[0] * LOG2E
    for k in range(j + 1, m, 8):
        x_k, y_k, z_k = load(near, X, k), load(near, Y, k), load(near, Z, k)
        s_k, shrink = load(near, S, k), load(near, INVERSE, k) * inverse
        d = x_k * x + y_k * y + z_k * z
        side = maximum(s_k + s - d * 2.0, TINY)
        product = d * (s - d) * (s_k - d) * shrink * shrink / side
        apart = s_k * load(near, INVERSE, k) - r
        power = exp2(apart * apart * quarter - log2(side) * decay[1])
        strength = (product * 3.0 + 1.0) * power
        u, v, w = y_k * z - z_k * y, z_k * x - x_k * z, x_k * y - y_k * x
        cosine, sine = d * shrink, sqrt(u * u + v * v + w * w) * shrink
        twice = cosine * cosine * 4.0 - 2.0
        cosine, sine = cosine * strength, sine * strength
        last_c, last_s = cosine, sine * -1.0
        for o in range(len(waves)):
            store(triples, WAVES + 2 * o, k, cosine * waves[o])
            store(triples, WAVES + 2 * o + 1, k, sine * waves[o])
            cosine, last_c = twice * cosine - last_c, cosine
            sine, last_s = twice * sine - last_s, sine


@register_jitable
def turn_slopes(j, m, decay, waves, near, triples):
    """Fill all rows of the table of triples of `j` with all k > j."""
    x, y, z, s = get(near, X, j), get(near, Y, j), get(near, Z, j), get(near, S, j)
    inverse = get(near, INVERSE, j)
    r, quarter = s * inverse, 0.25 * decay[0] * LOG2E
    for k in range(j + 1, m, 8):
        x_k, y_k, z_k = load(near, X, k), load(near, Y, k), load(near, Z, k)
        s_k, shrink = load(near, S, k), load(near, INVERSE, k) * inverse
        d = x_k * x + y_k * y + z_k * z
        side = maximum(s_k + s - d * 2.0, TINY)
        r_k, shorter = s_k * load(near, INVERSE, k), 1.0 / side
        apart = r_k - r
        power = exp2(apart * apart * quarter - log2(side) * decay[1])
        strength = _slopes_of_strength(
            j, k, s, decay[1], d, s_k, shrink, shorter, power, near, triples
        )
        u, v, w = y_k * z - z_k * y, z_k * x - x_k * z, x_k * y - y_k * x
        sine = sqrt(u * u + v * v + w * w) * shrink
        store(triples, COS, k, d * shrink)
        store(triples, STRENGTH, k, strength)
        store(triples, MEAN, k, (r_k + r) * 0.5)
        _waves(k, d * shrink, sine, waves, triples)


@register_jitable
def _slopes_of_strength(j, k, s, half, d, s_k, shrink, shorter, power, near, triples):
    """Store the derivatives of B, times J, and return B J = (1 + 3 P) power."""
    square = shrink * shrink * shorter
    near_j, near_k = s - d, s_k - d
    product = d * near_j * near_k * square
    strength = (product * 3.0 + 1.0) * power
    less, triple = strength * shorter * half, power * 3.0
    both = product * shorter
    inverse, inverse_k = get(near, INVERSE, j), load(near, INVERSE, k)
    by_j = d * near_k * square - product * (inverse * inverse) - both
    by_k = d * near_j * square - product * inverse_k * inverse_k - both
    by_d = (near_j * near_k - d * (near_j + near_k)) * square + both * 2.0
    store(triples, BY_J, k, triple * by_j - less)
    store(triples, BY_K, k, triple * by_k - less)
    store(triples, BY_D, k, triple * by_d + less * 2.0)
    return strength


@register_jitable
def _waves(k, cosine, sine, waves, triples):
    """Store A_q and dA_q/dc, by cos((o + 2) t) = 2 cos(2 t) cos(o t) - cos((o - 2) t)."""
    twice, growth = cosine * cosine * 4.0 - 2.0, cosine * 8.0
    steep = cosine * sine / maximum(sine * sine, TINY)  # cot theta, and 0 on a line
    slopes = WAVES + 2 * len(waves)
    last_c, last_s = cosine, sine * -1.0
    by_c, by_s, last_by_c, last_by_s = splat(1.0), steep * -1.0, splat(1.0), steep
    for o in range(len(waves)):
        store(triples, WAVES + 2 * o, k, cosine * waves[o])
        store(triples, WAVES + 2 * o + 1, k, sine * waves[o])
        store(triples, slopes + 2 * o, k, by_c * waves[o])
        store(triples, slopes + 2 * o + 1, k, by_s * waves[o])
        by_c, last_by_c = twice * by_c + growth * cosine - last_by_c, by_c
        by_s, last_by_s = twice * by_s + growth * sine - last_by_s, by_s
        cosine, last_c = twice * cosine - last_c, cosine
        sine, last_s = twice * sine - last_s, sine


@register_jitable
def add_products(j, ends, row, n_waves, at, parts, triples, sums):
    """Add sum_k (part_j part_k)_m T_qk to rows ``at + q`` of `sums`, two q at a time.

    T are the rows of `triples` from `row` on; ``ends`` is the range of k.
    """
    for v in range(0, parts.shape[1], 8):
        of_j = load(parts, j, v)
        for q in range(0, n_waves, 2):
            even = odd = splat(0.0)
            for k in range(ends[0], ends[1]):
                of_k = load(parts, k, v)
                even = even + of_k * get(triples, row + q, k)
                odd = odd + of_k * get(triples, row + q + 1, k)
            store(sums, at + q, v, load(sums, at + q, v) + even * of_j)
            store(sums, at + q + 1, v, load(sums, at + q + 1, v) + odd * of_j)


@register_jitable
def write_sums(i, n_runs, runs, n_species, first, shape, sums, out):
    """Add `sums` to the columns of all pairs of runs, and set them to zero."""
    n_shells, n_waves = shape
    at = 0
    for a in range(n_runs):
        for b in range(a, n_runs):
            pair = pair_index(runs[0, a], runs[0, b], n_species)
            column = first + pair * n_shells * n_waves
            for m in range(n_shells):
                for q in range(n_waves):
                    put(out, i, column, get(out, i, column) + get(sums, at + q, m))
                    column += 1
            at += n_waves
    sums[:at] = 0.0


@register_jitable
def workspace(room, n_species, waves, shells):
    """Return empty tables: triples, parts and sums."""
    n_waves = 2 * len(waves)
    n_pairs = n_species * (n_species + 1) // 2
    return (
        np.zeros((WAVES + 2 * n_waves, room)),
        np.zeros((room, shells.shape[1])),
        np.zeros((n_pairs * n_waves, shells.shape[1])),
    )

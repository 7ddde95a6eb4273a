"""Angular sums without any loop over triples: moments of the neighbours of a centre.

A polynomial of the angle between two neighbours is a sum of Legendre polynomials, and by
the addition theorem P_l(u_j . u_k) = sum_m H_lm(u_j) H_lm(u_k), with real spherical
harmonics H in Racah's normalisation. So with the weights e_j = f(r_j) exp(-eta r_j**2)
and the moments M_lm = sum_j e_j H_lm(u_j) of each species,

    sum_jk e_j e_k P_l(u_j . u_k) = sum_m M_lm(a) M_lm(b)              j in a, k in b,
    sum_j<k                       = (sum_m M_lm(a)**2 - sum_j e_j**2) / 2    both in a.

This is exact for whole powers and linear in the number of neighbours. All coefficients of
the Legendre series of (1 + c)**zeta are positive, so rounding is that of terms of order
one, for any zeta: 1e-15 of the sum of all e_j e_k.

A "solid" harmonic is a polynomial in x, y, z, and its derivatives are harmonics of the
next lower l, by the factors of a short table, the ladder. Sums over neighbours come
first and the ladder after, once a centre.

``expansion`` is (etas, series, terms, steps, ladder, starts): (1, n_etas); (n_powers,
l_max + 1) Legendre coefficients; (n, 3) of eta, power and column of each function, sorted
by eta; (2, n_lm) of the recursion in l; (n, 4) of direction, harmonic, harmonic of its
derivative and factor; first term of every eta, and the end.
Tables have columns for neighbours, or for etas, in whole groups of lanes.
"""

import numpy as np
from numba.extending import register_jitable

from skatom.featurizers._simd.environment import INVERSE, F, S, X, Y, Z
from skatom.featurizers._simd.lanes import exp2, get, load, put, splat, store, total
from skatom.featurizers._simd.triples import LOG2E


@register_jitable
def moment_tables(expansion, n_species, n_kinds, room):
    """Return empty tables for `n_kinds` weights of each eta.

    Returns
    -------
    harmonics : array of shape (n_lm, room)
    waves : array of shape (n_kinds * whole fours of etas, room)
        Weights of the neighbours.
    moments : array of shape (n_species * n_lm, at least as many columns)
    squares : array of shape (n_species, at least n_etas)
        Sums of e_j**2, or half of their changes.
    levels : array of shape (l_max + 1, at least n_etas)
        For each l.
    grown : array of shape (n_powers, at least n_etas)
        For each power.
    """
    n_etas, n_lm = expansion[0].shape[1], expansion[3].shape[1]
    rows, columns = n_kinds * fours(n_etas), (n_etas + 7) & ~7
    return (
        np.zeros((n_lm, room)),
        np.zeros((rows, room)),
        np.zeros((n_species * n_lm, max(rows + 8, columns))),
        np.zeros((n_species, columns)),
        np.zeros((expansion[1].shape[1], columns)),
        np.zeros((len(expansion[1]), columns)),
    )


@register_jitable
def fours(n):
    """Return `n` rounded up to whole fours."""
    return (n + 3) & ~3


@register_jitable
def fill_harmonics(n, steps, near, harmonics):
    """Fill the harmonics of the directions of `n` neighbours."""
    n_l = int(np.sqrt(harmonics.shape[0]) + 0.5)
    for t in range(0, n, 8):
        inverse = load(near, INVERSE, t)
        x, y, z = load(near, X, t), load(near, Y, t), load(near, Z, t)
        x, y, z = x * inverse, y * inverse, z * inverse
        store(harmonics, 0, t, splat(1.0))
        store(harmonics, 1, t, y)
        store(harmonics, 2, t, z)
        store(harmonics, 3, t, x)
        for l in range(2, n_l):
            # the places of m = 0 in l, l - 1 and l - 2
            here, below, lower = l * l + l, l * l - l, l * l - 3 * l + 2
            for m in range(2 - l, l - 1):
                value = z * load(harmonics, below + m, t) * get(steps, 0, here + m)
                last = load(harmonics, lower + m, t) * get(steps, 1, here + m)
                store(harmonics, here + m, t, value - last)
            plus = load(harmonics, below + l - 1, t)
            minus = load(harmonics, below - l + 1, t)
            up = z * get(steps, 0, here + l - 1)
            store(harmonics, here + l - 1, t, up * plus)
            store(harmonics, here - l + 1, t, up * minus)
            out = get(steps, 0, here + l)
            store(harmonics, here + l, t, (x * plus - y * minus) * out)
            store(harmonics, here - l, t, (y * plus + x * minus) * out)


@register_jitable
def fill_waves(first, n, etas, near, waves):
    """Fill the weights e_j of a run of neighbours, and zeros behind it."""
    for t in range(first, first + n, 8):
        s, f = load(near, S, t) * -LOG2E, load(near, F, t)
        for e in range(etas.shape[1]):
            store(waves, e, t, f * exp2(s * get(etas, 0, e)))
    hide(first + n, waves)


@register_jitable
def hide(t, waves):
    """Give no weight to the lanes behind the last neighbour of a run."""
    for e in range(waves.shape[0]):
        store(waves, e, t, splat(0.0))


@register_jitable
def sum_moments(run, first, n, harmonics, waves, moments):
    """Fill the moments of a run of neighbours, for every kind of weight."""
    base = run * harmonics.shape[0]
    for q in range(harmonics.shape[0]):
        for e in range(0, waves.shape[0], 4):
            m0 = m1 = m2 = m3 = splat(0.0)
            for t in range(first, first + n, 8):
                h = load(harmonics, q, t)
                m0 = m0 + h * load(waves, e, t)
                m1 = m1 + h * load(waves, e + 1, t)
                m2 = m2 + h * load(waves, e + 2, t)
                m3 = m3 + h * load(waves, e + 3, t)
            put(moments, base + q, e, total(m0))
            put(moments, base + q, e + 1, total(m1))
            put(moments, base + q, e + 2, total(m2))
            put(moments, base + q, e + 3, total(m3))


@register_jitable
def sum_squares(run, first, n, n_etas, kind, waves, squares):
    """Fill the sums of the weight times that of another kind (0 for its square)."""
    for e in range(n_etas):
        summed = splat(0.0)
        for t in range(first, first + n, 8):
            other = load(waves, e + kind * fours(n_etas), t)
            summed = summed + load(waves, e, t) * other
        put(squares, run, e, total(summed))


@register_jitable
def gather_moments(n_runs, runs, expansion, near, tables):
    """Fill harmonics, weights, moments and sums of squares of one centre."""
    harmonics, waves, moments, squares = tables[0], tables[1], tables[2], tables[3]
    fill_harmonics(runs[1, n_runs], expansion[3], near, harmonics)
    for a in range(n_runs):
        first, n = runs[1, a], runs[1, a + 1] - runs[1, a]
        fill_waves(first, n, expansion[0], near, waves)
        sum_moments(a, first, n, harmonics, waves, moments)
        sum_squares(a, first, n, expansion[0].shape[1], 0, waves, squares)


@register_jitable
def add_levels(expansion, levels, grown, row):
    """Add sums for each l, times their Legendre coefficients, to a row of features."""
    series, terms = expansion[1], expansion[2]
    for c in range(0, expansion[0].shape[1], 8):
        for q in range(len(series)):
            value = splat(0.0)
            for l in range(series.shape[1]):
                value = value + load(levels, l, c) * get(series, q, l)
            store(grown, q, c, value)
    for k in range(len(terms)):
        row[terms[k, 2]] += get(grown, terms[k, 1], terms[k, 0])


@register_jitable
def weigh_levels(expansion, row, levels, grown):
    """Fill the sums over functions of their weight in `row` times coefficients."""
    series, terms = expansion[1], expansion[2]
    grown[:] = 0.0
    for k in range(len(terms)):
        put(grown, terms[k, 1], terms[k, 0], row[terms[k, 2]])
    for c in range(0, expansion[0].shape[1], 8):
        for l in range(series.shape[1]):
            value = splat(0.0)
            for q in range(len(series)):
                value = value + load(grown, q, c) * get(series, q, l)
            store(levels, l, c, value)

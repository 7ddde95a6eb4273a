"""Pullback of G2, G4 and G5: from d/dvalues to d/dvectors, without any Jacobian.

Arguments are those of `acsf_values`, with the cotangent ``g`` (n_atoms, n_features) and
``out`` (n_pairs, 3), to which is added.
"""

import numpy as np
from numba import njit

from skatom.featurizers._kernels._caching import kernel
from skatom.featurizers._kernels.environment import (
    BY_S,
    GRAD_X,
    GRAD_Y,
    GRAD_Z,
    INVERSE,
    SLOPE,
    F,
    S,
    X,
    Y,
    Z,
    gather,
    table,
)
from skatom.featurizers._kernels.lanes import exp2, get, load, put, splat, store, total
from skatom.featurizers._kernels.triples import (
    COS,
    LOG2E,
    RESULT_1,
    RESULT_2,
    RESULT_3,
    SLOPE_JK,
    begin,
    evaluate,
    evaluate_slopes,
    fill,
    pair_index,
    workspace,
)


@kernel
def radial_pullback(block, n_species, cut, radial, g, out):
    """Add the pullback of G2 to the block's rows of `out`."""
    parameters, n = radial
    near, index, runs = table(block, n_species)
    weights = np.zeros((1, parameters.shape[1]))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        for a in range(n_runs):
            for q in range(n):
                weights[0, q] = g[i, runs[0, a] * n + q]
            for j in range(runs[1, a], runs[1, a + 1]):
                slope = 2.0 * _radial_slope(j, n, parameters, weights, near)
                pair = index[j]
                out[pair, 0] += slope * get(near, X, j)
                out[pair, 1] += slope * get(near, Y, j)
                out[pair, 2] += slope * get(near, Z, j)


@njit
def _radial_slope(j, n, parameters, weights, near):
    """Return the derivative of the weighted sum of all G2 terms of `j` by s_j."""
    inverse, slope = get(near, INVERSE, j), get(near, SLOPE, j)
    r = get(near, S, j) * inverse
    summed = splat(0.0)
    for q in range(0, n, 8):
        eta = load(parameters, 0, q)
        d = r - load(parameters, 1, q)
        wave = load(weights, 0, q) * exp2(eta * d * d * -LOG2E)
        summed = summed + wave * (slope - eta * d * inverse)
    return total(summed) * get(near, F, j)


@kernel
def angular_pullback(block, n_species, cut, grid, side, first, g, out):
    """Add the pullback of G4 or G5 to the block's rows of `out`."""
    near, index, runs = table(block, n_species)
    triples, ends, waves, p, cursor = workspace(grid[0], grid[1])
    dp = np.empty_like(p)
    reach = cut[0] * cut[0] if side else np.inf
    n_terms = len(grid[2])
    weights = np.empty((1, n_terms))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        near[BY_S : GRAD_Z + 1] = 0.0
        for a in range(n_runs):
            for b in range(a, n_runs):
                pair = pair_index(runs[0, a], runs[0, b], n_species)
                for term in range(n_terms):
                    column = first + pair * n_terms + grid[2][term, 2]
                    weights[0, term] = g[i, column]
                stops = begin(a, b, runs, cursor)
                n = fill(cursor, stops, near, reach, triples, ends)
                while n > 0:
                    evaluate(n, side, cut, grid, triples, waves, p)
                    evaluate_slopes(n, side, cut, grid, triples, dp)
                    _combine(n, side, grid, weights, waves, p, dp, triples)
                    _spread(n, ends, triples, near)
                    n = fill(cursor, stops, near, reach, triples, ends)
        _collect(runs[1, n_runs], index, near, out)


@njit
def _combine(n, side, grid, weights, waves, p, dp, triples):
    """Turn weights of functions into derivatives of their sum, for every triple.

    With V = sum g w exp(-eta t) P, U = sum g eta w exp(-eta t) P and T the same as V with
    dP/dc, the results are V, V_s = dV/ds_jk (explicit) + dV/dt, as it enters the
    derivatives by s_j and s_k, and T.
    """
    etas, terms = grid[0], grid[2]
    for t in range(0, n, 8):
        value = damped = turned = splat(0.0)
        done = 0
        for e in range(etas.shape[1]):
            by_p = by_dp = splat(0.0)
            while done < len(terms) and terms[done, 0] == e:
                weight = get(weights, 0, done)
                q = terms[done, 1]
                by_p = by_p + load(p, q, t) * weight
                by_dp = by_dp + load(dp, q, t) * weight
                done += 1
            wave = load(waves, e, t)
            by_p = by_p * wave
            value = value + by_p
            damped = damped + by_p * get(etas, 0, e)
            turned = turned + by_dp * wave
        store(triples, RESULT_1, t, value)
        store(triples, RESULT_3, t, turned)
        if side:
            # t holds s_jk too: damping counts twice
            by_side = value * load(triples, SLOPE_JK, t) - damped
            store(triples, RESULT_2, t, by_side - damped)
            store(triples, SLOPE_JK, t, by_side * -2.0)
        else:
            store(triples, RESULT_2, t, damped * -1.0)
            store(triples, SLOPE_JK, t, splat(0.0))


@njit
def _spread(n, ends, triples, near):
    """Add the derivatives of every triple to its two neighbours."""
    for t in range(n):
        j, k = ends[0, t], ends[1, t]
        value, common = get(triples, RESULT_1, t), get(triples, RESULT_2, t)
        turned = get(triples, RESULT_3, t)
        inverse_j, inverse_k = get(near, INVERSE, j), get(near, INVERSE, k)
        by_d = get(triples, SLOPE_JK, t) + turned * inverse_j * inverse_k
        turned *= 0.5 * get(triples, COS, t)
        by_j = common + value * get(near, SLOPE, j) - turned * inverse_j * inverse_j
        by_k = common + value * get(near, SLOPE, k) - turned * inverse_k * inverse_k
        put(near, BY_S, j, get(near, BY_S, j) + by_j)
        put(near, BY_S, k, get(near, BY_S, k) + by_k)
        put(near, GRAD_X, j, get(near, GRAD_X, j) + by_d * get(near, X, k))
        put(near, GRAD_Y, j, get(near, GRAD_Y, j) + by_d * get(near, Y, k))
        put(near, GRAD_Z, j, get(near, GRAD_Z, j) + by_d * get(near, Z, k))
        put(near, GRAD_X, k, get(near, GRAD_X, k) + by_d * get(near, X, j))
        put(near, GRAD_Y, k, get(near, GRAD_Y, k) + by_d * get(near, Y, j))
        put(near, GRAD_Z, k, get(near, GRAD_Z, k) + by_d * get(near, Z, j))


@njit
def _collect(m, index, near, out):
    """Add the gradients of all neighbours to their pairs: ds/dr = 2 r."""
    for j in range(m):
        pair = index[j]
        by_s = 2.0 * get(near, BY_S, j)
        out[pair, 0] += by_s * get(near, X, j) + get(near, GRAD_X, j)
        out[pair, 1] += by_s * get(near, Y, j) + get(near, GRAD_Y, j)
        out[pair, 2] += by_s * get(near, Z, j) + get(near, GRAD_Z, j)

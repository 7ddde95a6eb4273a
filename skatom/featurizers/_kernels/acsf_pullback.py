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
    J,
    K,
    begin,
    evaluate,
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
def angular_pullback(block, n_species, cut, grid, part, g, out):
    """Add the pullback of G4 or G5 to the block's rows of `out`."""
    offsets, (side, first, width, most) = block[2], part
    near, index, runs = table(block, n_species)
    triples, waves, p, cursor = workspace(grid[0], grid[1])
    dp = np.zeros_like(p)
    reach = cut[0] * cut[0] if side else np.inf
    n_terms = len(grid[2])
    weights = np.empty((1, n_terms))
    for i in range(block[0], block[1]):
        if offsets[i + 1] - offsets[i] > most:
            continue
        n_runs = gather(i, block, cut, True, near, index, runs)
        near[BY_S : GRAD_Z + 1] = 0.0
        for a in range(n_runs):
            for b in range(a, n_runs):
                pair = pair_index(runs[0, a], runs[0, b], n_species)
                for term in range(n_terms):
                    column = first + pair * width + grid[2][term, 2]
                    weights[0, term] = g[i, column]
                stops = begin(a, b, runs, cursor)
                n = fill(cursor, stops, near, reach, triples)
                while n > 0:
                    evaluate(n, side, True, cut, grid, triples, waves, p, dp)
                    _combine(n, side, grid, weights, waves, p, dp, triples)
                    _spread(n, triples, near)
                    n = fill(cursor, stops, near, reach, triples)
        _collect(runs[1, n_runs], index, near, out)


@njit
def _combine(n, side, grid, weights, waves, p, dp, triples):
    """Turn weights of functions into derivatives of their sum, for every triple.

    With V = sum g w exp(-eta t) P, U = sum g eta w exp(-eta t) P and V' = V with dP/dc
    for P, the results are V, the part that the derivatives by s_j and s_k have in
    common, and V'; SLOPE_JK becomes the part of the derivative by d that has no V'.
    """
    etas, terms, starts = grid[0], grid[2], grid[3]
    # two groups of lanes share the loading of weights; the second may be past the end
    for t in range(0, n, 16):
        value_a = value_b = damped_a = damped_b = splat(0.0)
        turned_a = turned_b = splat(0.0)
        for e in range(len(starts) - 1):
            p_a = p_b = dp_a = dp_b = splat(0.0)
            for k in range(starts[e], starts[e + 1]):
                q, weight = terms[k, 1], get(weights, 0, k)
                p_a = p_a + load(p, q, t) * weight
                p_b = p_b + load(p, q, t + 8) * weight
                dp_a = dp_a + load(dp, q, t) * weight
                dp_b = dp_b + load(dp, q, t + 8) * weight
            wave_a, wave_b, eta = load(waves, e, t), load(waves, e, t + 8), etas[0, e]
            p_a, p_b = p_a * wave_a, p_b * wave_b
            value_a, value_b = value_a + p_a, value_b + p_b
            damped_a, damped_b = damped_a + p_a * eta, damped_b + p_b * eta
            turned_a, turned_b = turned_a + dp_a * wave_a, turned_b + dp_b * wave_b
        _store_combined(t, side, value_a, damped_a, turned_a, triples)
        _store_combined(t + 8, side, value_b, damped_b, turned_b, triples)


@njit
def _store_combined(t, side, value, damped, turned, triples):
    """Store the results of `_combine` for eight triples."""
    common, by_d = damped * -1.0, splat(0.0)
    if side:
        # t = s_j + s_k + s_jk and s_jk = s_j + s_k - 2 d: damping counts twice
        by_side = value * load(triples, SLOPE_JK, t) - damped
        common = by_side - damped
        by_d = by_side * -2.0
    store(triples, RESULT_1, t, value)
    store(triples, RESULT_2, t, common)
    store(triples, RESULT_3, t, turned)
    store(triples, SLOPE_JK, t, by_d)


@njit
def _spread(n, triples, near):
    """Add the derivatives of every triple to its two neighbours.

    Triples of one j follow each other, so what j receives stays in registers.
    """
    t = 0
    while t < n:
        place = get(triples, J, t)
        j = int(place)
        x, y, z = get(near, X, j), get(near, Y, j), get(near, Z, j)
        inverse, slope = get(near, INVERSE, j), get(near, SLOPE, j)
        sum_s = sum_x = sum_y = sum_z = 0.0
        while t < n and get(triples, J, t) == place:
            k = int(get(triples, K, t))
            value, common = get(triples, RESULT_1, t), get(triples, RESULT_2, t)
            turned = get(triples, RESULT_3, t)
            inverse_k = get(near, INVERSE, k)
            by_d = get(triples, SLOPE_JK, t) + turned * inverse * inverse_k
            turned *= 0.5 * get(triples, COS, t)
            by_k = common + value * get(near, SLOPE, k) - turned * inverse_k * inverse_k
            sum_s += common + value * slope - turned * inverse * inverse
            sum_x += by_d * get(near, X, k)
            sum_y += by_d * get(near, Y, k)
            sum_z += by_d * get(near, Z, k)
            put(near, BY_S, k, get(near, BY_S, k) + by_k)
            put(near, GRAD_X, k, get(near, GRAD_X, k) + by_d * x)
            put(near, GRAD_Y, k, get(near, GRAD_Y, k) + by_d * y)
            put(near, GRAD_Z, k, get(near, GRAD_Z, k) + by_d * z)
            t += 1
        put(near, BY_S, j, get(near, BY_S, j) + sum_s)
        put(near, GRAD_X, j, get(near, GRAD_X, j) + sum_x)
        put(near, GRAD_Y, j, get(near, GRAD_Y, j) + sum_y)
        put(near, GRAD_Z, j, get(near, GRAD_Z, j) + sum_z)


@njit
def _collect(m, index, near, out):
    """Add the gradients of all neighbours to their pairs: ds/dr = 2 r."""
    for j in range(m):
        pair = index[j]
        by_s = 2.0 * get(near, BY_S, j)
        out[pair, 0] += by_s * get(near, X, j) + get(near, GRAD_X, j)
        out[pair, 1] += by_s * get(near, Y, j) + get(near, GRAD_Y, j)
        out[pair, 2] += by_s * get(near, Z, j) + get(near, GRAD_Z, j)

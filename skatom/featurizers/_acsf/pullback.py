"""Pullback of G2, G4 and G5: from d/dvalues to d/dvectors, without any Jacobian.

Arguments are those of `values`, with the cotangent ``g`` (n_atoms, n_features) and
``out`` (n_pairs, 3), to which is added.
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
from skatom.featurizers._simd.environment import (
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
from skatom.featurizers._simd.lanes import (
    exp2,
    get,
    load,
    put,
    repeat,
    splat,
    store,
)
from skatom.featurizers._simd.triples import (
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
    by_s = np.zeros((1, near.shape[1]))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        for a in range(n_runs):
            weights = g[i, runs[0, a] * n : (runs[0, a] + 1) * n]
            for t in range(runs[1, a], runs[1, a + 1], 8):
                store(by_s, 0, t, _radial_slope(t, parameters, weights, near))
        for j in range(runs[1, n_runs]):
            pair, slope = index[j], 2.0 * get(by_s, 0, j)
            out[pair, 0] += slope * get(near, X, j)
            out[pair, 1] += slope * get(near, Y, j)
            out[pair, 2] += slope * get(near, Z, j)


@register_jitable
def _radial_slope(t, parameters, weights, near):
    """Return the derivative of the weighted sum of all G2 terms by s_j, eight j."""
    inverse, slope = load(near, INVERSE, t), load(near, SLOPE, t)
    r = load(near, S, t) * inverse
    summed = splat(0.0)
    for q in range(len(weights)):
        eta = get(parameters, 0, q)
        d = r - get(parameters, 1, q)
        weight = weights[q] * get(parameters, 2, q)
        wave = exp2(d * d * (eta * -LOG2E)) * weight
        summed = summed + wave * (slope - d * inverse * eta)
    return summed * load(near, F, t)


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
    # rows of eight: what neighbours have, and what they receive
    ends, sums = np.zeros((near.shape[1], 8)), np.zeros((near.shape[1], 8))
    for i in range(block[0], block[1]):
        if offsets[i + 1] - offsets[i] > most:
            continue
        n_runs = gather(i, block, cut, True, near, index, runs)
        _begin_ends(runs[1, n_runs], near, ends, sums)
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
                    _spread(n, triples, ends, sums)
                    n = fill(cursor, stops, near, reach, triples)
        _collect(runs[1, n_runs], index, near, sums, out)


@register_jitable
def _begin_ends(n, near, ends, sums):
    """Fill the row of every neighbour, 1, 1, r and r / |r|, and empty its sums."""
    for j in range(n):
        inverse = get(near, INVERSE, j)
        put(ends, j, 0, 1.0)
        put(ends, j, 1, 1.0)
        for d in range(3):
            put(ends, j, 2 + d, get(near, X + d, j))
            put(ends, j, 5 + d, get(near, X + d, j) * inverse)
        store(sums, j, 0, splat(0.0))


@register_jitable
def _combine(n, side, grid, weights, waves, p, dp, triples):
    """Turn weights of functions into derivatives of their sum, for every triple.

    With V = sum g w exp(-eta t) P, U = sum g eta w exp(-eta t) P and V' = V with dP/dc
    for P, the results are the part that the derivatives by s_j and s_k have in common, V,
    and V'; SLOPE_JK becomes the part of the derivative by d that has no V'.
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
        _store_slopes(t, side, value_a, damped_a, turned_a, triples)
        _store_slopes(t + 8, side, value_b, damped_b, turned_b, triples)


@register_jitable
def _store_slopes(t, side, value, damped, turned, triples):
    """Store the results of `_combine` for eight triples."""
    common, by_d = damped * -1.0, splat(0.0)
    if side:
        # t = s_j + s_k + s_jk and s_jk = s_j + s_k - 2 d: damping counts twice
        by_side = value * load(triples, SLOPE_JK, t) - damped
        common = by_side - damped
        by_d = by_side * -2.0
    store(triples, RESULT_1, t, common)
    store(triples, RESULT_2, t, value)
    store(triples, RESULT_3, t, turned)
    store(triples, SLOPE_JK, t, by_d)


@register_jitable
def _spread(n, triples, ends, sums):
    """Add what every triple gives each neighbour, times the row of the other one.

    Rows are 1, 1, r and r / |r|, and triples give the results of `_combine`. Triples of
    one j follow each other, so what j has and receives stays in registers.
    """
    t = 0
    while t < n:
        place = get(triples, J, t)
        j = int(place)
        end, received = load(ends, j, 0), load(sums, j, 0)
        while t < n and get(triples, J, t) == place:
            k = int(get(triples, K, t))
            slope = repeat(
                get(triples, RESULT_1, t),
                get(triples, RESULT_2, t),
                get(triples, SLOPE_JK, t),
                get(triples, RESULT_3, t),
            )
            store(sums, k, 0, load(sums, k, 0) + slope * end)
            received = received + slope * load(ends, k, 0)
            t += 1
        store(sums, j, 0, received)


@register_jitable
def _collect(m, index, near, sums, out):
    """Turn the sums of all neighbours into gradients and add them to their pairs.

    c = u_j . u_k changes by u_k - c u_j over |r_j|, and what u_k sums to, along u_j, is
    what c sums to. For the rest ds/dr = 2 r.
    """
    for j in range(m):
        pair, inverse = index[j], get(near, INVERSE, j)
        x, y, z = get(near, X, j), get(near, Y, j), get(near, Z, j)
        turn_x, turn_y, turn_z = get(sums, j, 5), get(sums, j, 6), get(sums, j, 7)
        along = (turn_x * x + turn_y * y + turn_z * z) * inverse * inverse
        by_s = 2.0 * (get(sums, j, 0) + get(sums, j, 1) * get(near, SLOPE, j))
        out[pair, 0] += by_s * x + get(sums, j, 2) + (turn_x - along * x) * inverse
        out[pair, 1] += by_s * y + get(sums, j, 3) + (turn_y - along * y) * inverse
        out[pair, 2] += by_s * z + get(sums, j, 4) + (turn_z - along * z) * inverse

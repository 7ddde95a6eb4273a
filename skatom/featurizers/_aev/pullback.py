"""Pullback of the angular functions of AEV: from d/dvalues to d/dvectors.

Arguments are those of `triples`, with the cotangent ``g`` (n_atoms, n_features) and
``out`` (n_pairs, 3), to which is added.
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
from skatom.featurizers._aev.powers import totals
from skatom.featurizers._aev.triples import (
    COS,
    MEAN,
    SQUEEZE,
    reach,
    slopes_of_angles,
    turn,
    weigh,
    workspace,
)
from skatom.featurizers._simd.environment import (
    BY_S,
    GRAD_X,
    GRAD_Y,
    GRAD_Z,
    INVERSE,
    SLOPE,
    X,
    Y,
    Z,
    gather,
    table,
)
from skatom.featurizers._simd.lanes import get, load, put, splat, store, total
from skatom.featurizers._simd.triples import pair_index

# Columns where the parts by angle of the results of a triple begin
VALUE, MOVED, TURNED = 0, 8, 16


@kernel
def angular_pullback(
    block, n_species, cut, shape, decay, shells, angles, first, g, out
):
    """Add the pullback of the angular functions to the block's rows of `out`."""
    near, index, runs = table(block, n_species)
    room = near.shape[1]
    triples, parts, waves, p, _ = workspace(room, shells, angles)
    weights = np.zeros((n_species * shells.shape[1], angles.shape[1]))
    dp, shifted = np.zeros_like(p), np.zeros_like(weights)
    results = np.zeros((room + 8, 24))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        m = runs[1, n_runs]
        near[BY_S : GRAD_Z + 1] = 0.0
        results[m : m + 8] = 0.0
        reach(m, decay[0], shells, near, parts)
        for a in range(n_runs):
            pick_weights(
                i, a, n_runs, runs, n_species, shape, shells, first, g, weights, shifted
            )
            for j in range(runs[1, a], runs[1, a + 1]):
                turn(j, m, decay[0], near, triples)
                weigh(j, m, 0, triples, parts, waves)
                slopes_of_angles(j, m, decay[1], angles, triples, p, dp)
                for b in range(a, n_runs):
                    ends = (max(j + 1, runs[1, b]), runs[1, b + 1])
                    at = b * shells.shape[1]
                    _combine(ends, at, shape, waves, p, dp, weights, shifted, results)
                _spread(j, m, decay[0], triples, results, near)
        _collect(m, index, near, out)


@register_jitable
def pick_weights(
    i, a, n_runs, runs, n_species, shape, shells, first, g, weights, shifted
):
    """Copy the cotangents of run `a` with the runs from `a` on; `shifted` has R_m g."""
    n_shells, n_angles = shape
    for b in range(a, n_runs):
        pair = pair_index(runs[0, a], runs[0, b], n_species)
        column = first + pair * n_shells * n_angles
        for m in range(n_shells):
            row = b * shells.shape[1] + m
            for q in range(n_angles):
                weights[row, q] = g[i, column]
                shifted[row, q] = g[i, column] * shells[0, m]
                column += 1


@register_jitable
def _combine(ends, at, shape, waves, p, dp, weights, shifted, results):
    """Store the parts by angle of V = sum g W P, sum g R W P and D = sum g W dP/dc."""
    for k in range(ends[0], ends[1]):
        value = moved = turned = splat(0.0)
        for v in range(0, p.shape[1], 8):
            y = z = splat(0.0)
            for m in range(shape[0]):
                w = get(waves, k, m)
                y = y + load(weights, at + m, v) * w
                z = z + load(shifted, at + m, v) * w
            q = load(p, k, v)
            value, moved = value + y * q, moved + z * q
            turned = turned + y * load(dp, k, v)
        store(results, k, VALUE, value)
        store(results, k, MOVED, moved)
        store(results, k, TURNED, turned)


@register_jitable
def _spread(j, m, eta, triples, results, near):
    """Add the derivatives of all triples of `j` to both of their neighbours.

    dV/dr_j = V f'/f - eta U with U = sum g (a - R) W P; the rest is dV/dc = D.
    """
    x, y, z = get(near, X, j), get(near, Y, j), get(near, Z, j)
    inverse = get(near, INVERSE, j)
    sum_v = sum_u = sum_c = splat(0.0)
    sum_x = sum_y = sum_z = splat(0.0)
    for k in range(j + 1, m, 8):
        value, turned = totals(results, k, VALUE), totals(results, k, TURNED)
        u = load(triples, MEAN, k) * value - totals(results, k, MOVED)
        bent = turned * load(triples, COS, k) * (0.5 / SQUEEZE)
        inverse_k = load(near, INVERSE, k)
        by_k = value * load(near, SLOPE, k) - bent * inverse_k * inverse_k
        by_k = by_k - u * inverse_k * (0.5 * eta)
        by_d = turned * inverse_k * inverse
        store(near, BY_S, k, load(near, BY_S, k) + by_k)
        store(near, GRAD_X, k, load(near, GRAD_X, k) + by_d * x)
        store(near, GRAD_Y, k, load(near, GRAD_Y, k) + by_d * y)
        store(near, GRAD_Z, k, load(near, GRAD_Z, k) + by_d * z)
        sum_v, sum_u, sum_c = sum_v + value, sum_u + u, sum_c + bent
        sum_x = sum_x + by_d * load(near, X, k)
        sum_y = sum_y + by_d * load(near, Y, k)
        sum_z = sum_z + by_d * load(near, Z, k)
    by_j = total(sum_v) * get(near, SLOPE, j) - total(sum_c) * inverse * inverse
    by_j -= total(sum_u) * inverse * 0.5 * eta
    put(near, BY_S, j, get(near, BY_S, j) + by_j)
    put(near, GRAD_X, j, get(near, GRAD_X, j) + total(sum_x))
    put(near, GRAD_Y, j, get(near, GRAD_Y, j) + total(sum_y))
    put(near, GRAD_Z, j, get(near, GRAD_Z, j) + total(sum_z))


@register_jitable
def _collect(m, index, near, out):
    """Add the gradients of all neighbours to their pairs: ds/dr = 2 r."""
    for j in range(m):
        pair, by_s = index[j], 2.0 * get(near, BY_S, j)
        out[pair, 0] += by_s * get(near, X, j) + get(near, GRAD_X, j)
        out[pair, 1] += by_s * get(near, Y, j) + get(near, GRAD_Y, j)
        out[pair, 2] += by_s * get(near, Z, j) + get(near, GRAD_Z, j)

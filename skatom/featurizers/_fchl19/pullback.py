"""Pullback of the three-body functions of FCHL19: from d/dvalues to d/dvectors.

Arguments are those of `triples`, with the cotangent ``g`` (n_atoms, n_features) and
``out`` (n_pairs, 3), to which is added.
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
from skatom.featurizers._aev.powers import totals
from skatom.featurizers._fchl19.triples import (
    BY_D,
    BY_J,
    BY_K,
    COS,
    MEAN,
    STRENGTH,
    WAVES,
    reach,
    turn_slopes,
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


@kernel
def angular_pullback(block, n_species, cut, decay, waves, grid, first, g, out):
    """Add the pullback of the three-body functions to the block's rows of `out`."""
    near, index, runs = table(block, n_species)
    room, n_waves = near.shape[1], 2 * len(waves)
    triples, parts, _ = workspace(room, n_species, waves, grid[0])
    weights = np.zeros((n_species * n_waves, grid[0].shape[1]))
    reached, shifted = np.zeros((n_waves, grid[0].shape[1])), np.zeros_like(weights)
    results = np.zeros((room + 8, 8 * (n_waves + 1)))
    shape = grid[1], n_waves
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        m = runs[1, n_runs]
        near[BY_S : GRAD_Z + 1] = 0.0
        results[m : m + 8] = 0.0
        reach(m, decay, grid[0], near, parts)
        for a in range(n_runs):
            _pick_weights(i, a, n_runs, runs, n_species, shape, first, g, weights)
            for j in range(runs[1, a], runs[1, a + 1]):
                turn_slopes(j, m, decay, waves, near, triples)
                for b in range(a, n_runs):
                    ends = (max(j + 1, runs[1, b]), runs[1, b + 1])
                    at = b * n_waves
                    _weigh(j, at, grid[0], parts, weights, reached, shifted)
                    _combine(ends, parts, reached, shifted, triples, results)
                _spread(j, m, decay, n_waves, triples, results, near)
        _collect(m, index, near, out)


@register_jitable
def _pick_weights(i, a, n_runs, runs, n_species, shape, first, g, weights):
    """Copy the cotangents of run `a` with the runs from `a` on, one row a wave."""
    n_shells, n_waves = shape
    for b in range(a, n_runs):
        pair = pair_index(runs[0, a], runs[0, b], n_species)
        column = first + pair * n_shells * n_waves
        for m in range(n_shells):
            for q in range(n_waves):
                put(weights, b * n_waves + q, m, get(g, i, column))
                column += 1


@register_jitable
def _weigh(j, at, shells, parts, weights, reached, shifted):
    """Write g times the factor of `j` to `reached`, and that times R_m to `shifted`."""
    for v in range(0, parts.shape[1], 8):
        of_j, shell = load(parts, j, v), load(shells, 0, v)
        for q in range(reached.shape[0]):
            weight = load(weights, at + q, v) * of_j
            store(reached, q, v, weight)
            store(shifted, q, v, weight * shell)


@register_jitable
def _combine(ends, parts, reached, shifted, triples, results):
    """Store the parts by shell of sum_m g W, for every wave, and of sum g R W B A."""
    n_waves = reached.shape[0]
    for k in range(ends[0], ends[1]):
        moved = splat(0.0)
        strength = get(triples, STRENGTH, k)
        for q in range(n_waves):
            value = change = splat(0.0)
            for v in range(0, parts.shape[1], 8):
                of_k = load(parts, k, v)
                value = value + load(reached, q, v) * of_k
                change = change + load(shifted, q, v) * of_k
            store(results, k, 8 * q, value)
            moved = moved + change * (get(triples, WAVES + q, k) * strength)
        store(results, k, 8 * n_waves, moved)


@register_jitable
def _spread(j, m, decay, n_waves, triples, results, near):
    """Add the derivatives of all triples of `j` to both of their neighbours.

    With V = sum g W B A: dV/ds_j = V (f'/f - p / (2 s_j)) - eta U / (2 r_j) + B's part
    + dV/dc dc/ds_j, with U = sum g (a - R) W B A.
    """
    x, y, z = get(near, X, j), get(near, Y, j), get(near, Z, j)
    inverse = get(near, INVERSE, j)
    sum_v = sum_u = sum_c = sum_b = splat(0.0)
    sum_x = sum_y = sum_z = splat(0.0)
    for k in range(j + 1, m, 8):
        plain = turned = splat(0.0)
        for q in range(n_waves):
            weight = totals(results, k, 8 * q)
            plain = plain + weight * load(triples, WAVES + q, k)
            turned = turned + weight * load(triples, WAVES + n_waves + q, k)
        strength, inverse_k = load(triples, STRENGTH, k), load(near, INVERSE, k)
        value, turned = plain * strength, turned * strength
        u = load(triples, MEAN, k) * value - totals(results, k, 8 * n_waves)
        bent = turned * load(triples, COS, k) * 0.5
        slope_k = load(near, SLOPE, k) - inverse_k * inverse_k * decay[1]
        by_k = value * slope_k - bent * inverse_k * inverse_k
        by_k = by_k - u * inverse_k * (0.5 * decay[0]) + plain * load(triples, BY_K, k)
        by_d = turned * inverse_k * inverse + plain * load(triples, BY_D, k)
        store(near, BY_S, k, load(near, BY_S, k) + by_k)
        store(near, GRAD_X, k, load(near, GRAD_X, k) + by_d * x)
        store(near, GRAD_Y, k, load(near, GRAD_Y, k) + by_d * y)
        store(near, GRAD_Z, k, load(near, GRAD_Z, k) + by_d * z)
        sum_v, sum_u, sum_c = sum_v + value, sum_u + u, sum_c + bent
        sum_b = sum_b + plain * load(triples, BY_J, k)
        sum_x = sum_x + by_d * load(near, X, k)
        sum_y = sum_y + by_d * load(near, Y, k)
        sum_z = sum_z + by_d * load(near, Z, k)
    square = inverse * inverse
    by_j = total(sum_v) * (get(near, SLOPE, j) - decay[1] * square) + total(sum_b)
    by_j -= total(sum_c) * square + total(sum_u) * inverse * 0.5 * decay[0]
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

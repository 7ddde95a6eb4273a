"""Pushforward of G2, G4 and G5: how the values change when the vectors do.

Arguments are those of `values`, with the tangent ``v`` (n_pairs, 3) and ``out``
(n_atoms, n_features), to which is added.
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
from skatom.featurizers._acsf.values import add_products
from skatom.featurizers._simd.environment import (
    DS,
    DX,
    DY,
    DZ,
    INVERSE,
    SLOPE,
    F,
    S,
    X,
    Y,
    Z,
    gather,
    gather_tangents,
    table,
)
from skatom.featurizers._simd.lanes import exp2, get, load, put, splat, store
from skatom.featurizers._simd.triples import (
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
def radial_pushforward(block, n_species, cut, radial, v, out):
    """Add the change of G2 to rows of `out`."""
    parameters, n = radial
    near, index, runs = table(block, n_species)
    scratch = np.empty((1, 8))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        gather_tangents(runs[1, n_runs], index, v, near)
        for a in range(n_runs):
            for q in range(0, n, 8):
                summed = _radial_change(runs[1, a], runs[1, a + 1], q, parameters, near)
                store(scratch, 0, 0, summed)
                for lane in range(min(8, n - q)):
                    out[i, runs[0, a] * n + q + lane] += scratch[0, lane]


@register_jitable
def _radial_change(j_start, j_stop, q, parameters, near):
    """Return the change of eight G2 functions by the neighbours of one run."""
    eta, shift = load(parameters, 0, q), load(parameters, 1, q)
    summed = splat(0.0)
    for j in range(j_start, j_stop):
        inverse = get(near, INVERSE, j)
        d = get(near, S, j) * inverse - shift
        wave = exp2(eta * d * d * -LOG2E) * (get(near, F, j) * get(near, DS, j))
        summed = summed + wave * (get(near, SLOPE, j) - eta * d * inverse)
    return summed * load(parameters, 2, q)


@kernel
def angular_pushforward(block, n_species, cut, grid, part, v, out):
    """Add the change of G4 or G5 to rows of `out`."""
    offsets, (side, first, width, most) = block[2], part
    near, index, runs = table(block, n_species)
    triples, waves, p, cursor = workspace(grid[0], grid[1])
    dp, turned = np.zeros_like(p), np.zeros_like(waves)
    reach = cut[0] * cut[0] if side else np.inf
    for i in range(block[0], block[1]):
        if offsets[i + 1] - offsets[i] > most:
            continue
        n_runs = gather(i, block, cut, True, near, index, runs)
        gather_tangents(runs[1, n_runs], index, v, near)
        for a in range(n_runs):
            for b in range(a, n_runs):
                pair = pair_index(runs[0, a], runs[0, b], n_species)
                row = out[i, first + pair * width : first + (pair + 1) * width]
                stops = begin(a, b, runs, cursor)
                n = fill(cursor, stops, near, reach, triples)
                while n > 0:
                    evaluate(n, side, True, cut, grid, triples, waves, p, dp)
                    _change(n, side, near, triples)
                    _weigh(n, grid[0], triples, waves, turned)
                    add_products(n, grid, waves, p, row)
                    add_products(n, grid, turned, dp, row)
                    n = fill(cursor, stops, near, reach, triples)


@register_jitable
def _change(n, side, near, triples):
    """Fill the changes of log w, t and c of every triple."""
    for t in range(n):
        j, k = int(get(triples, J, t)), int(get(triples, K, t))
        ds_j, ds_k = get(near, DS, j), get(near, DS, k)
        inverse_j, inverse_k = get(near, INVERSE, j), get(near, INVERSE, k)
        dd = get(near, X, j) * get(near, DX, k) + get(near, X, k) * get(near, DX, j)
        dd += get(near, Y, j) * get(near, DY, k) + get(near, Y, k) * get(near, DY, j)
        dd += get(near, Z, j) * get(near, DZ, k) + get(near, Z, k) * get(near, DZ, j)
        d_log_w = get(near, SLOPE, j) * ds_j + get(near, SLOPE, k) * ds_k
        d_t = ds_j + ds_k
        if side:
            d_side = d_t - 2.0 * dd
            d_log_w += get(triples, SLOPE_JK, t) * d_side
            d_t += d_side
        stretch = ds_j * inverse_j * inverse_j + ds_k * inverse_k * inverse_k
        d_c = dd * inverse_j * inverse_k - 0.5 * get(triples, COS, t) * stretch
        put(triples, RESULT_1, t, d_log_w)
        put(triples, RESULT_2, t, d_t)
        put(triples, RESULT_3, t, d_c)


@register_jitable
def _weigh(n, etas, triples, waves, turned):
    """Replace every wave by its change; ``turned`` is the wave times that of c."""
    for t in range(0, n, 8):
        d_log_w, d_t = load(triples, RESULT_1, t), load(triples, RESULT_2, t)
        d_c = load(triples, RESULT_3, t)
        for e in range(etas.shape[1]):
            wave = load(waves, e, t)
            store(turned, e, t, wave * d_c)
            store(waves, e, t, wave * (d_log_w - d_t * get(etas, 0, e)))

"""Full derivatives of G2, G4 and G5 by the vectors, for one structure at a time.

Arguments are those of `values`, with ``out`` (n_pairs, 3, n_features), of which only
the columns that a neighbour has a part in are written. Models that train on forces in
closed form need all of it; forces alone do not.
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
from skatom.featurizers._simd.lanes import exp2, get, load, put, store
from skatom.featurizers._simd.triples import (
    COS,
    LOG2E,
    SLOPE_JK,
    J,
    K,
    W,
    begin,
    evaluate,
    fill,
    pair_index,
    workspace,
)


@kernel
def radial_jacobian(block, n_species, cut, radial, out):
    """Write the derivatives of G2 to the block's rows of `out`."""
    parameters, n = radial
    near, index, runs = table(block, n_species)
    by_s = np.empty((1, parameters.shape[1]))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        for a in range(n_runs):
            base = runs[0, a] * n
            for j in range(runs[1, a], runs[1, a + 1]):
                _radial_slopes(j, n, parameters, near, by_s)
                rows = out[index[j]]
                for q in range(n):
                    slope = 2.0 * by_s[0, q]
                    rows[0, base + q] = slope * get(near, X, j)
                    rows[1, base + q] = slope * get(near, Y, j)
                    rows[2, base + q] = slope * get(near, Z, j)


@register_jitable
def _radial_slopes(j, n, parameters, near, by_s):
    """Fill the derivatives of all G2 terms of `j` by s_j."""
    inverse, slope = get(near, INVERSE, j), get(near, SLOPE, j)
    r = get(near, S, j) * inverse
    for q in range(0, n, 8):
        eta = load(parameters, 0, q)
        d = r - load(parameters, 1, q)
        wave = exp2(eta * d * d * -LOG2E) * get(near, F, j) * load(parameters, 2, q)
        store(by_s, 0, q, wave * (slope - eta * d * inverse))


@kernel
def angular_jacobian(block, n_species, cut, grid, part, out):
    """Write the derivatives of G4 or G5 to the block's rows of `out`."""
    offsets, (side, first, width, most) = block[2], part
    near, index, runs = table(block, n_species)
    triples, waves, p, cursor = workspace(grid[0], grid[1])
    dp = np.zeros_like(p)
    reach = cut[0] * cut[0] if side else np.inf
    # values and slopes by c of every triple, rows of whole lanes of functions; sums
    room = (len(grid[2]) + 7) & ~7
    parts = np.zeros((2 * len(triples[0]), room))
    sums = np.zeros((3 * near.shape[1], room))
    etas = np.zeros((1, room))
    for k in range(len(grid[2])):
        etas[0, k] = grid[0][0, grid[2][k, 0]]
    for i in range(block[0], block[1]):
        if offsets[i + 1] - offsets[i] > most:
            continue
        n_runs = gather(i, block, cut, True, near, index, runs)
        for a in range(n_runs):
            for b in range(a, n_runs):
                base = first + pair_index(runs[0, a], runs[0, b], n_species) * width
                stops = begin(a, b, runs, cursor)
                sums[3 * runs[1, a] : 3 * runs[1, a + 1]] = 0.0
                sums[3 * runs[1, b] : 3 * runs[1, b + 1]] = 0.0
                n = fill(cursor, stops, near, reach, triples)
                while n > 0:
                    evaluate(n, side, True, cut, grid, triples, waves, p, dp)
                    _by_functions(n, grid, waves, p, dp, parts)
                    while n > 0 and get(triples, W, n - 1) == 0.0:  # empty places
                        n -= 1
                    for t in range(n):
                        _add_triple(t, side, etas, near, triples, parts, sums)
                    n = fill(cursor, stops, near, reach, triples)
                _write(runs[1, a], runs[1, a + 1], grid, index, sums, base, out)
                if b > a:
                    _write(runs[1, b], runs[1, b + 1], grid, index, sums, base, out)


@register_jitable
def _by_functions(n, grid, waves, p, dp, parts):
    """Fill the value of every function, and its slope by c, for each triple in a row."""
    terms = grid[2]
    for k in range(len(terms)):
        e, q = terms[k, 0], terms[k, 1]
        for t in range(n):
            wave = get(waves, e, t)
            put(parts, 2 * t, k, wave * get(p, q, t))
            put(parts, 2 * t + 1, k, wave * get(dp, q, t))


@register_jitable
def _add_triple(t, side, etas, near, triples, parts, sums):
    """Add the derivatives of all functions of one triple by its two vectors.

    They are value * A - value * eta * B + slope * C, with one A, B, C for each end and
    direction: derivatives of log w, of t and of c.
    """
    j, k = int(get(triples, J, t)), int(get(triples, K, t))
    inverse_j, inverse_k = get(near, INVERSE, j), get(near, INVERSE, k)
    slope_j, slope_k = 2.0 * get(near, SLOPE, j), 2.0 * get(near, SLOPE, k)
    by_d = inverse_j * inverse_k
    by_j = -get(triples, COS, t) * inverse_j * inverse_j
    by_k = -get(triples, COS, t) * inverse_k * inverse_k
    away = 2.0 if side else 0.0
    slope = away * get(triples, SLOPE_JK, t) if side else 0.0
    for d in range(3):
        x_j, x_k = get(near, X + d, j), get(near, X + d, k)
        x = x_j - x_k
        a_j, a_k = slope_j * x_j + slope * x, slope_k * x_k - slope * x
        b_j, b_k = 2.0 * x_j + away * x, 2.0 * x_k - away * x
        c_j, c_k = by_j * x_j + by_d * x_k, by_k * x_k + by_d * x_j
        row_j, row_k = 3 * j + d, 3 * k + d
        for c in range(0, etas.shape[1], 8):
            value, turned = load(parts, 2 * t, c), load(parts, 2 * t + 1, c)
            damped = value * load(etas, 0, c)
            at_j, at_k = load(sums, row_j, c), load(sums, row_k, c)
            at_j = at_j + value * a_j - damped * b_j + turned * c_j
            at_k = at_k + value * a_k - damped * b_k + turned * c_k
            store(sums, row_j, c, at_j)
            store(sums, row_k, c, at_k)


@register_jitable
def _write(start, stop, grid, index, sums, base, out):
    """Copy the derivatives by some neighbours to their rows and columns."""
    terms = grid[2]
    for j in range(start, stop):
        rows = out[index[j]]
        for d in range(3):
            for k in range(len(terms)):
                rows[d, base + terms[k, 2]] = sums[3 * j + d, k]

"""Full derivatives of G2, G4 and G5 by the vectors, for one structure at a time.

Arguments are those of `acsf_values`, with ``out`` (n_pairs, 3, n_features), to which is
added. Models that train on forces in closed form need all of it; forces alone do not.
"""

import numpy as np
from numba import njit

from skatom.featurizers._kernels._caching import kernel
from skatom.featurizers._kernels.environment import (
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
from skatom.featurizers._kernels.lanes import exp2, get, load, store
from skatom.featurizers._kernels.triples import (
    COS,
    LOG2E,
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
def radial_jacobian(block, n_species, cut, radial, out):
    """Add the derivatives of G2 to the block's rows of `out`."""
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
                    rows[0, base + q] += slope * get(near, X, j)
                    rows[1, base + q] += slope * get(near, Y, j)
                    rows[2, base + q] += slope * get(near, Z, j)


@njit
def _radial_slopes(j, n, parameters, near, by_s):
    """Fill the derivatives of all G2 terms of `j` by s_j."""
    inverse, slope = get(near, INVERSE, j), get(near, SLOPE, j)
    r = get(near, S, j) * inverse
    for q in range(0, n, 8):
        eta = load(parameters, 0, q)
        d = r - load(parameters, 1, q)
        wave = exp2(eta * d * d * -LOG2E) * get(near, F, j)
        store(by_s, 0, q, wave * (slope - eta * d * inverse))


@kernel
def angular_jacobian(block, n_species, cut, grid, side, first, out):
    """Add the derivatives of G4 or G5 to the block's rows of `out`."""
    near, index, runs = table(block, n_species)
    triples, waves, p, cursor = workspace(grid[0], grid[1])
    dp = np.zeros_like(p)
    reach = cut[0] * cut[0] if side else np.inf
    n_terms = len(grid[2])
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        for a in range(n_runs):
            for b in range(a, n_runs):
                pair = pair_index(runs[0, a], runs[0, b], n_species)
                base = first + pair * n_terms
                stops = begin(a, b, runs, cursor)
                n = fill(cursor, stops, near, reach, triples)
                while n > 0:
                    evaluate(n, side, True, cut, grid, triples, waves, p, dp)
                    for t in range(n):
                        j, k = int(get(triples, J, t)), int(get(triples, K, t))
                        tables = (near, triples, waves, p, dp)
                        at_j, at_k = out[index[j]], out[index[k]]
                        _add_end(t, j, k, side, grid, tables, base, at_j)
                        _add_end(t, k, j, side, grid, tables, base, at_k)
                    n = fill(cursor, stops, near, reach, triples)


@njit
def _add_end(t, j, k, side, grid, tables, base, rows):
    """Add the derivatives of the functions of one triple by the vector of `j`."""
    near, triples, waves, p, dp = tables
    etas, terms, starts = grid[0], grid[2], grid[3]
    x, y, z = 2.0 * get(near, X, j), 2.0 * get(near, Y, j), 2.0 * get(near, Z, j)
    x_k, y_k, z_k = get(near, X, k), get(near, Y, k), get(near, Z, k)
    inverse = get(near, INVERSE, j)
    # derivatives of c by s_j and by d
    c_s, c_d = -0.5 * get(triples, COS, t) * inverse**2, inverse * get(near, INVERSE, k)
    c_x, c_y, c_z = c_s * x + c_d * x_k, c_s * y + c_d * y_k, c_s * z + c_d * z_k
    for e in range(etas.shape[1]):
        eta, wave = get(etas, 0, e), get(waves, e, t)
        # derivatives of the wave by s_j and by d, divided by it
        w_s, w_d = get(near, SLOPE, j) - eta, 0.0
        if side:
            by_side = get(triples, SLOPE_JK, t) - eta
            w_s, w_d = w_s + by_side, -2.0 * by_side
        w_x, w_y, w_z = w_s * x + w_d * x_k, w_s * y + w_d * y_k, w_s * z + w_d * z_k
        for term in range(starts[e], starts[e + 1]):
            value = wave * get(p, terms[term, 1], t)
            slope = wave * get(dp, terms[term, 1], t)
            column = base + terms[term, 2]
            rows[0, column] += value * w_x + slope * c_x
            rows[1, column] += value * w_y + slope * c_y
            rows[2, column] += value * w_z + slope * c_z

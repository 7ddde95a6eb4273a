"""Full derivatives of the angular functions of AEV, for one structure at a time.

Arguments are those of `triples`, with ``out`` (n_pairs, 3, n_features), to which is
added.
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
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
    INVERSE,
    SLOPE,
    X,
    Y,
    Z,
    gather,
    table,
)
from skatom.featurizers._simd.lanes import get
from skatom.featurizers._simd.triples import pair_index


@kernel
def angular_jacobian(block, n_species, cut, shape, decay, shells, angles, first, out):
    """Add the derivatives of the angular functions to the block's rows of `out`."""
    near, index, runs = table(block, n_species)
    triples, parts, waves, p, _ = workspace(near.shape[1], shells, angles)
    dp = np.zeros_like(p)
    n_terms = shape[0] * shape[1]
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        m = runs[1, n_runs]
        reach(m, decay[0], shells, near, parts)
        for a in range(n_runs):
            for j in range(runs[1, a], runs[1, a + 1]):
                turn(j, m, decay[0], near, triples)
                weigh(j, m, 0, triples, parts, waves)
                slopes_of_angles(j, m, decay[1], angles, triples, p, dp)
                for b in range(a, n_runs):
                    pair = pair_index(runs[0, a], runs[0, b], n_species)
                    base = first + pair * n_terms
                    for k in range(max(j + 1, runs[1, b]), runs[1, b + 1]):
                        cosine = get(triples, COS, k) / SQUEEZE
                        grid = (shape, decay[0], shells, get(triples, MEAN, k))
                        tables = (near, waves, p, dp)
                        _add_end(j, k, k, cosine, grid, tables, base, out[index[j]])
                        _add_end(k, j, k, cosine, grid, tables, base, out[index[k]])


@register_jitable
def _add_end(j, k, row, cosine, grid, tables, base, rows):
    """Add the derivatives of the functions of one triple by the vector of `j`.

    `k` is the other end, `row` that of the tables of the triple.
    """
    near, waves, p, dp = tables
    shape, eta, shells, mean = grid
    x, y, z = 2.0 * get(near, X, j), 2.0 * get(near, Y, j), 2.0 * get(near, Z, j)
    inverse, slope = get(near, INVERSE, j), get(near, SLOPE, j)
    # derivatives of cos theta by s_j and by d
    c_s, c_d = -0.5 * cosine * inverse**2, inverse * get(near, INVERSE, k)
    c_x = c_s * x + c_d * get(near, X, k)
    c_y = c_s * y + c_d * get(near, Y, k)
    c_z = c_s * z + c_d * get(near, Z, k)
    column = base
    for m in range(shape[0]):
        wave = get(waves, row, m)
        w_s = wave * (slope - 0.5 * eta * (mean - shells[0, m]) * inverse)
        w_x, w_y, w_z = w_s * x, w_s * y, w_s * z
        for q in range(shape[1]):
            value, bent = get(p, row, q), wave * get(dp, row, q)
            rows[0, column] += value * w_x + bent * c_x
            rows[1, column] += value * w_y + bent * c_y
            rows[2, column] += value * w_z + bent * c_z
            column += 1

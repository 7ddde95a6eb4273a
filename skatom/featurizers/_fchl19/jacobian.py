"""Derivatives of all three-body functions of FCHL19 by all vectors.

Arguments are those of `triples`; ``out`` is (n_pairs, 3, n_features), to which is
added.
"""

from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
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
def angular_jacobian(block, n_species, cut, decay, waves, grid, first, out):
    """Add the derivatives of the three-body functions to the block's rows of `out`."""
    near, index, runs = table(block, n_species)
    triples, parts, _ = workspace(near.shape[1], n_species, waves, grid[0])
    shape = grid[1], 2 * len(waves)
    tables = near, parts, triples
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        m = runs[1, n_runs]
        reach(m, decay, grid[0], near, parts)
        for a in range(n_runs):
            for j in range(runs[1, a], runs[1, a + 1]):
                turn_slopes(j, m, decay, waves, near, triples)
                for b in range(a, n_runs):
                    pair = pair_index(runs[0, a], runs[0, b], n_species)
                    base = first + pair * shape[0] * shape[1]
                    for k in range(max(j + 1, runs[1, b]), runs[1, b + 1]):
                        by_j, by_k = get(triples, BY_J, k), get(triples, BY_K, k)
                        ends = j, k, k, by_j
                        _add_end(
                            ends, decay, grid[0], shape, tables, base, out[index[j]]
                        )
                        ends = k, j, k, by_k
                        _add_end(
                            ends, decay, grid[0], shape, tables, base, out[index[k]]
                        )


@register_jitable
def _add_end(ends, decay, shells, shape, tables, base, rows):
    """Add the derivatives of the functions of one triple by the vector of one end.

    ``ends`` holds this end, the other one, the column of the triple, and the derivative
    of B J by s of this end.
    """
    near, parts, triples = tables
    j, k, at, by_s = ends
    x, y, z = get(near, X, j), get(near, Y, j), get(near, Z, j)
    inverse, strength = get(near, INVERSE, j), get(triples, STRENGTH, at)
    slope = get(near, SLOPE, j) - decay[1] * inverse**2
    bend_s = -0.5 * get(triples, COS, at) * inverse**2 * strength
    bend_d = inverse * get(near, INVERSE, k) * strength
    stretch, mean = 0.5 * decay[0] * inverse, get(triples, MEAN, at)
    column = base
    for m in range(shape[0]):
        part = get(parts, j, m) * get(parts, k, m)
        rate = strength * (slope - stretch * (mean - shells[0, m])) + by_s
        for q in range(shape[1]):
            wave = part * get(triples, WAVES + q, at)
            bend = part * get(triples, WAVES + shape[1] + q, at)
            along = 2.0 * (wave * rate + bend * bend_s)
            across = wave * get(triples, BY_D, at) + bend * bend_d
            rows[0, column] += along * x + across * get(near, X, k)
            rows[1, column] += along * y + across * get(near, Y, k)
            rows[2, column] += along * z + across * get(near, Z, k)
            column += 1

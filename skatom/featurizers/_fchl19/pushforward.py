"""Pushforward of the three-body functions of FCHL19: how they change with the vectors.

Arguments are those of `triples`, with the tangent ``v`` (n_pairs, 3) and ``out``
(n_atoms, n_features), to which is added.
"""

import numpy as np
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
    add_products,
    reach,
    turn_slopes,
    workspace,
    write_sums,
)
from skatom.featurizers._simd.environment import (
    DS,
    DX,
    DY,
    DZ,
    INVERSE,
    SLOPE,
    X,
    Y,
    Z,
    gather,
    gather_tangents,
    table,
)
from skatom.featurizers._simd.lanes import get, load, store
from skatom.featurizers._simd.triples import pair_index


@kernel
def angular_pushforward(block, n_species, cut, decay, waves, grid, first, v, out):
    """Add the change of the three-body functions to rows of `out`."""
    near, index, runs = table(block, n_species)
    triples, parts, sums = workspace(near.shape[1], n_species, waves, grid[0])
    shifted = np.zeros_like(sums)
    n_waves = 2 * len(waves)
    changes, moves = np.zeros_like(triples), np.zeros_like(triples)
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        m = runs[1, n_runs]
        gather_tangents(m, index, v, near)
        reach(m, decay, grid[0], near, parts)
        for a in range(n_runs):
            for j in range(runs[1, a], runs[1, a + 1]):
                turn_slopes(j, m, decay, waves, near, triples)
                _change(j, m, decay, n_waves, near, triples, changes, moves)
                for b in range(a, n_runs):
                    ends = (max(j + 1, runs[1, b]), runs[1, b + 1])
                    at = pair_index(a, b, n_runs) * n_waves
                    add_products(j, ends, WAVES, n_waves, at, parts, changes, sums)
                    add_products(j, ends, WAVES, n_waves, at, parts, moves, shifted)
        _shift(n_waves * n_runs * (n_runs + 1) // 2, grid[0], shifted, sums)
        write_sums(i, n_runs, runs, n_species, first, (grid[1], n_waves), sums, out)


@register_jitable
def _change(j, m, decay, n_waves, near, triples, changes, moves):
    """Fill the changes of B J A_q at R = 0, and what is to be multiplied by R."""
    x, y, z = get(near, X, j), get(near, Y, j), get(near, Z, j)
    dx, dy, dz = get(near, DX, j), get(near, DY, j), get(near, DZ, j)
    inverse, ds = get(near, INVERSE, j), get(near, DS, j)
    stretch_j, dr_j = ds * inverse * inverse, 0.5 * ds * inverse
    log_j = get(near, SLOPE, j) * ds - stretch_j * decay[1]
    for k in range(j + 1, m, 8):
        inverse_k, ds_k = load(near, INVERSE, k), load(near, DS, k)
        dd = load(near, X, k) * dx + load(near, DX, k) * x
        dd = dd + load(near, Y, k) * dy + load(near, DY, k) * y
        dd = dd + load(near, Z, k) * dz + load(near, DZ, k) * z
        stretch = ds_k * inverse_k * inverse_k
        log = load(near, SLOPE, k) * ds_k - stretch * decay[1] + log_j
        length = (ds_k * inverse_k * 0.5 + dr_j) * decay[0]
        bent = load(triples, COS, k) * (stretch + stretch_j) * 0.5
        strength = load(triples, STRENGTH, k)
        turned = (dd * inverse_k * inverse - bent) * strength
        rate = (log - load(triples, MEAN, k) * length) * strength
        rate = rate + load(triples, BY_J, k) * ds + load(triples, BY_K, k) * ds_k
        rate = rate + load(triples, BY_D, k) * dd
        for q in range(n_waves):
            wave = load(triples, WAVES + q, k)
            bend = load(triples, WAVES + n_waves + q, k)
            store(changes, WAVES + q, k, wave * rate + bend * turned)
            store(moves, WAVES + q, k, wave * length * strength)


@register_jitable
def _shift(n_rows, shells, shifted, sums):
    """Add R_m times `shifted` to `sums`, and set `shifted` to zero."""
    for row in range(n_rows):
        for v in range(0, shells.shape[1], 8):
            more = load(shifted, row, v) * load(shells, 0, v)
            store(sums, row, v, load(sums, row, v) + more)
    shifted[:n_rows] = 0.0

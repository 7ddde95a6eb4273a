"""Pushforward of the angular functions of AEV: how they change with the vectors.

Arguments are those of `triples`, with the tangent ``v`` (n_pairs, 3) and ``out``
(n_atoms, n_features), to which is added.
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
from skatom.featurizers._aev.triples import (
    COS,
    MEAN,
    SQUEEZE,
    add_products,
    reach,
    slopes_of_angles,
    turn,
    weigh,
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
    table,
)
from skatom.featurizers._simd.lanes import get, load, put, store
from skatom.featurizers._simd.triples import pair_index

# Rows of the changes of the triples of one j: of log f_j f_k, r_j + r_k and cos theta
LOG, LENGTH, ANGLE = 0, 1, 2


@kernel
def angular_pushforward(
    block, n_species, cut, shape, decay, shells, angles, first, v, out
):
    """Add the change of the angular functions to rows of `out`."""
    near, index, runs = table(block, n_species)
    room = near.shape[1]
    triples, parts, waves, p, sums = workspace(room, shells, angles)
    turned, dp = np.zeros_like(waves), np.zeros_like(p)
    changes = np.zeros((3, room))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        m = runs[1, n_runs]
        _gather_tangents(m, index, v, near)
        reach(m, decay[0], shells, near, parts)
        for a in range(n_runs):
            for j in range(runs[1, a], runs[1, a + 1]):
                turn(j, m, decay[0], near, triples)
                _change(j, m, near, triples, changes)
                weigh(j, m, 0, triples, parts, waves)
                slopes_of_angles(j, m, decay[1], angles, triples, p, dp)
                _apply(j, m, decay[0], shells, triples, changes, waves, turned, dp)
                for b in range(a, n_runs):
                    pair = pair_index(runs[0, a], runs[0, b], n_species)
                    column = first + pair * shape[0] * shape[1]
                    ends = (j, j + 1, runs[1, b], runs[1, b + 1], m)
                    add_products(ends, shape, turned, p, sums)
                    write_sums(i, column, shape, sums, out)
                    add_products(ends, shape, waves, dp, sums)
                    write_sums(i, column, shape, sums, out)


@register_jitable
def _gather_tangents(m, index, v, near):
    """Copy the tangents of the neighbours, and of their squared distances."""
    for j in range(m):
        x, y, z = v[index[j], 0], v[index[j], 1], v[index[j], 2]
        put(near, DX, j, x)
        put(near, DY, j, y)
        put(near, DZ, j, z)
        ds = get(near, X, j) * x + get(near, Y, j) * y + get(near, Z, j) * z
        put(near, DS, j, 2.0 * ds)


@register_jitable
def _change(j, m, near, triples, changes):
    """Fill the changes of all triples of `j`."""
    x, y, z = get(near, X, j), get(near, Y, j), get(near, Z, j)
    dx, dy, dz = get(near, DX, j), get(near, DY, j), get(near, DZ, j)
    inverse, ds = get(near, INVERSE, j), get(near, DS, j)
    log_j, stretch_j = get(near, SLOPE, j) * ds, ds * inverse * inverse
    dr_j = 0.5 * ds * inverse
    for k in range(j + 1, m, 8):
        inverse_k, ds_k = load(near, INVERSE, k), load(near, DS, k)
        dd = load(near, X, k) * dx + load(near, DX, k) * x
        dd = dd + load(near, Y, k) * dy + load(near, DY, k) * y
        dd = dd + load(near, Z, k) * dz + load(near, DZ, k) * z
        stretch = ds_k * inverse_k * inverse_k + stretch_j
        bent = load(triples, COS, k) * stretch * (0.5 / SQUEEZE)
        store(changes, LOG, k, load(near, SLOPE, k) * ds_k + log_j)
        store(changes, LENGTH, k, ds_k * inverse_k * 0.5 + dr_j)
        store(changes, ANGLE, k, dd * inverse_k * inverse - bent)


@register_jitable
def _apply(j, m, eta, shells, triples, changes, waves, turned, dp):
    """Write the changes of 2 W to `turned`, and multiply dP/dc by those of c."""
    for k in range(j + 1, m):
        mean, log = get(triples, MEAN, k), get(changes, LOG, k)
        length = eta * get(changes, LENGTH, k)
        for v in range(0, shells.shape[1], 8):
            rate = log - (mean - load(shells, 0, v)) * length
            store(turned, k, v, load(waves, k, v) * rate)
        for v in range(0, dp.shape[1], 8):
            store(dp, k, v, load(dp, k, v) * get(changes, ANGLE, k))

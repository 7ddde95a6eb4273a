"""Full derivatives of G5 from moments, for one structure at a time.

Arguments are those of `moments_g5`, with ``out`` (n_pairs, 3, n_features).
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
from skatom.featurizers._acsf.moments_g5 import climb_down, store_slope
from skatom.featurizers._simd.environment import INVERSE, SLOPE, gather, table
from skatom.featurizers._simd.lanes import get, load, splat, store
from skatom.featurizers._simd.moments import gather_moments, moment_tables
from skatom.featurizers._simd.triples import pair_index


@kernel
def moment_jacobian(block, n_species, cut, expansion, part, out):
    """Write the derivatives of G5 to the block's rows of `out`."""
    offsets, (_, base, width, most) = block[2], part
    near, index, runs = table(block, n_species)
    tables = moment_tables(expansion, n_species, 1, near.shape[1])
    n_l, n_lm = expansion[1].shape[1], expansion[3].shape[1]
    factors = np.zeros((4 * n_lm, tables[4].shape[1]))
    slopes, change = np.zeros((3 * n_l, 8)), np.zeros((3, 8))
    for i in range(block[0], block[1]):
        if offsets[i + 1] - offsets[i] <= most:
            continue
        n_runs = gather(i, block, cut, True, near, index, runs)
        gather_moments(n_runs, runs, expansion, near, tables)
        for b in range(n_runs):
            for lm in range(n_lm):
                for k in range(factors.shape[1]):
                    factors[lm, k] = tables[2][b * n_lm + lm, k]
            climb_down(0, n_lm, expansion, factors)
            for a in range(n_runs):
                low, high = min(runs[0, a], runs[0, b]), max(runs[0, a], runs[0, b])
                column = base + pair_index(low, high, n_species) * width
                for t in range(runs[1, a], runs[1, a + 1], 8):
                    n = min(8, runs[1, a + 1] - t)
                    for e in range(expansion[0].shape[1]):
                        eta = expansion[0][0, e]
                        _fill_slopes(a == b, t, e, eta, near, tables, factors, slopes)
                        rows = index[t : t + n]
                        _scatter(e, expansion, slopes, change, rows, column, out)


@register_jitable
def _fill_slopes(same, t, e, eta, near, tables, factors, slopes):
    """Fill the derivatives of each l by the vectors of eight neighbours."""
    harmonics, n_l = tables[0], len(slopes) // 3
    n_lm = n_l * n_l
    inverse, wave = load(near, INVERSE, t), load(tables[1], e, t)
    across = wave * inverse
    by_s = wave * (load(near, SLOPE, t) - eta)
    for l in range(n_l):
        # a neighbour makes no pair with itself
        value = wave * -1.0 if same else splat(0.0)
        for q in range(l * l, (l + 1) * (l + 1)):
            value = value + load(harmonics, q, t) * get(factors, q, e)
        x = y = z = splat(0.0)
        for q in range(max(l - 1, 0) ** 2, l * l):
            h = load(harmonics, q, t) * across
            x = x + h * get(factors, n_lm + q, e)
            y = y + h * get(factors, 2 * n_lm + q, e)
            z = z + h * get(factors, 3 * n_lm + q, e)
        store_slope(t, near, by_s * value, x, y, z, l, slopes)


@register_jitable
def _scatter(e, expansion, slopes, change, rows, column, out):
    """Write the derivatives of the functions of one eta by some neighbours."""
    series, terms, starts = expansion[1], expansion[2], expansion[5]
    n_l = series.shape[1]
    for k in range(starts[e], starts[e + 1]):
        x = y = z = splat(0.0)
        for l in range(n_l):
            weight = get(series, terms[k, 1], l)
            x = x + load(slopes, l, 0) * weight
            y = y + load(slopes, n_l + l, 0) * weight
            z = z + load(slopes, 2 * n_l + l, 0) * weight
        store(change, 0, 0, x)
        store(change, 1, 0, y)
        store(change, 2, 0, z)
        for lane in range(len(rows)):
            for d in range(3):
                out[rows[lane], d, column + terms[k, 2]] = get(change, d, lane)

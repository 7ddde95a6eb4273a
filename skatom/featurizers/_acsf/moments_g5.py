"""G5 of centres with many neighbours, from moments: values, pullback and pushforward.

Arguments are those of `values`, with the ``expansion`` of `moments` for the grid.
Centres with at most ``most`` neighbours are left to the sums over triples.
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
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
from skatom.featurizers._simd.lanes import get, load, splat, store
from skatom.featurizers._simd.moments import (
    add_levels,
    fill_harmonics,
    fill_waves,
    fours,
    gather_moments,
    hide,
    moment_tables,
    sum_moments,
    sum_squares,
    weigh_levels,
)
from skatom.featurizers._simd.triples import pair_index


@kernel
def moment_values(block, n_species, cut, expansion, part, out):
    """Add G5 to rows of `out`."""
    offsets, (_, base, width, most) = block[2], part
    near, index, runs = table(block, n_species)
    tables = moment_tables(expansion, n_species, 1, near.shape[1])
    for i in range(block[0], block[1]):
        if offsets[i + 1] - offsets[i] <= most:
            continue
        n_runs = gather(i, block, cut, False, near, index, runs)
        gather_moments(n_runs, runs, expansion, near, tables)
        for a in range(n_runs):
            for b in range(a, n_runs):
                start = base + pair_index(runs[0, a], runs[0, b], n_species) * width
                _multiply(a, b, expansion, tables[2], tables[2], tables[3], tables[4])
                add_levels(expansion, tables[4], tables[5], out[i, start:])


@register_jitable
def _multiply(a, b, expansion, left, right, squares, levels):
    """Fill the sums over m of the moments of two runs; each pair of one run once."""
    n_l = levels.shape[0]
    n_lm = n_l * n_l
    for c in range(0, expansion[0].shape[1], 8):
        for l in range(n_l):
            value = splat(0.0)
            for q in range(l * l, (l + 1) * (l + 1)):
                x, y = load(left, a * n_lm + q, c), load(right, b * n_lm + q, c)
                value = value + x * y
            if a == b:
                value = (value - load(squares, a, c)) * 0.5
            store(levels, l, c, value)


@kernel
def moment_pullback(block, n_species, cut, expansion, part, g, out):
    """Add the pullback of G5 to the block's rows of `out`."""
    offsets, (_, base, width, most) = block[2], part
    near, index, runs = table(block, n_species)
    tables = moment_tables(expansion, n_species, 1, near.shape[1])
    moments, levels, grown = tables[2], tables[4], tables[5]
    n_lm, columns = expansion[3].shape[1], levels.shape[1]
    # derivatives by moments: for each run their own, and those along x, y and z
    slopes = np.zeros((n_species * 4 * n_lm, columns))
    alone = np.zeros((n_species, columns))
    change = np.zeros((3, 8))
    for i in range(block[0], block[1]):
        if offsets[i + 1] - offsets[i] <= most:
            continue
        n_runs = gather(i, block, cut, True, near, index, runs)
        gather_moments(n_runs, runs, expansion, near, tables)
        slopes[: n_runs * 4 * n_lm] = 0.0
        for a in range(n_runs):
            for b in range(a, n_runs):
                start = base + pair_index(runs[0, a], runs[0, b], n_species) * width
                weigh_levels(expansion, g[i, start:], levels, grown)
                _add_slopes(a, b, levels, moments, slopes)
                if a == b:
                    _turn_off(a, levels, alone)
                else:
                    _add_slopes(b, a, levels, moments, slopes)
        for a in range(n_runs):
            climb_down(4 * a * n_lm, n_lm, expansion, slopes)
            for t in range(runs[1, a], runs[1, a + 1], 8):
                _project(a, t, expansion, near, tables, slopes, alone, change)
                for lane in range(min(8, runs[1, a + 1] - t)):
                    pair = index[t + lane]
                    out[pair, 0] += change[0, lane]
                    out[pair, 1] += change[1, lane]
                    out[pair, 2] += change[2, lane]


@register_jitable
def _add_slopes(a, b, levels, moments, slopes):
    """Add the derivatives by the moments of run `a` of what it makes with run `b`."""
    n_l = levels.shape[0]
    n_lm = n_l * n_l
    for c in range(0, levels.shape[1], 8):
        for l in range(n_l):
            weight = load(levels, l, c)
            for q in range(l * l, (l + 1) * (l + 1)):
                added = weight * load(moments, b * n_lm + q, c)
                row = 4 * a * n_lm + q
                store(slopes, row, c, load(slopes, row, c) + added)


@register_jitable
def _turn_off(a, levels, alone):
    """Fill the derivatives by half the sums of squares of run `a`."""
    for c in range(0, levels.shape[1], 8):
        value = splat(0.0)
        for l in range(levels.shape[0]):
            value = value - load(levels, l, c)
        store(alone, a, c, value)


@register_jitable
def climb_down(base, n_lm, expansion, factors):
    """Turn factors of harmonics into factors of their derivatives along x, y and z.

    The rows of ``factors`` from `base` are n_lm factors, as given, and then n_lm for each
    direction, which are filled.
    """
    ladder = expansion[4]
    for c in range(0, expansion[0].shape[1], 8):
        for row in range(base + n_lm, base + 4 * n_lm):
            store(factors, row, c, splat(0.0))
        for k in range(len(ladder)):
            place = base + (int(ladder[k, 0]) + 1) * n_lm + int(ladder[k, 2])
            added = load(factors, base + int(ladder[k, 1]), c) * get(ladder, k, 3)
            store(factors, place, c, load(factors, place, c) + added)


@register_jitable
def _project(a, t, expansion, near, tables, slopes, alone, change):
    """Fill the derivatives by the vectors of eight neighbours of run `a`."""
    etas, (harmonics, waves) = expansion[0], tables[:2]
    n_lm = harmonics.shape[0]
    n_lower = n_lm - 2 * expansion[1].shape[1] + 1
    own = 4 * a * n_lm
    slope, inverse = load(near, SLOPE, t), load(near, INVERSE, t)
    by_s = by_x = by_y = by_z = splat(0.0)
    for e in range(etas.shape[1]):
        value = x = y = z = splat(0.0)
        for q in range(n_lower):
            h = load(harmonics, q, t)
            value = value + h * get(slopes, own + q, e)
            x = x + h * get(slopes, own + n_lm + q, e)
            y = y + h * get(slopes, own + 2 * n_lm + q, e)
            z = z + h * get(slopes, own + 3 * n_lm + q, e)
        for q in range(n_lower, n_lm):
            value = value + load(harmonics, q, t) * get(slopes, own + q, e)
        wave = load(waves, e, t)
        value = value + wave * get(alone, a, e)
        by_s = by_s + value * wave * (slope - get(etas, 0, e))
        by_x, by_y, by_z = by_x + wave * x, by_y + wave * y, by_z + wave * z
    by_x, by_y, by_z = by_x * inverse, by_y * inverse, by_z * inverse
    store_slope(t, near, by_s, by_x, by_y, by_z, 0, change)


@register_jitable
def store_slope(t, near, by_s, by_x, by_y, by_z, l, slopes):
    """Store a derivative by vectors, given by squared length and across directions.

    What is given for directions may have a part along them, which is taken away. Rows
    of ``slopes`` are x for each l, y for each l, z for each l.
    """
    x, y, z = load(near, X, t), load(near, Y, t), load(near, Z, t)
    inverse = load(near, INVERSE, t)
    along = (by_x * x + by_y * y + by_z * z) * inverse * inverse
    along, n_l = by_s * 2.0 - along, slopes.shape[0] // 3
    store(slopes, l, 0, by_x + along * x)
    store(slopes, n_l + l, 0, by_y + along * y)
    store(slopes, 2 * n_l + l, 0, by_z + along * z)


@kernel
def moment_pushforward(block, n_species, cut, expansion, part, v, out):
    """Add the change of G5 to rows of `out`."""
    offsets, (_, base, width, most) = block[2], part
    near, index, runs = table(block, n_species)
    tables = moment_tables(expansion, n_species, 5, near.shape[1])
    harmonics, waves, moments, squares, levels, grown = tables
    etas, n_lm = expansion[0], expansion[3].shape[1]
    moved = np.zeros((n_species * n_lm, levels.shape[1]))
    for i in range(block[0], block[1]):
        if offsets[i + 1] - offsets[i] <= most:
            continue
        n_runs = gather(i, block, cut, True, near, index, runs)
        gather_tangents(runs[1, n_runs], index, v, near)
        fill_harmonics(runs[1, n_runs], expansion[3], near, harmonics)
        for a in range(n_runs):
            first, n = runs[1, a], runs[1, a + 1] - runs[1, a]
            fill_waves(first, n, etas, near, waves)
            _move_waves(first, n, etas, near, waves)
            sum_moments(a, first, n, harmonics, waves, moments)
            sum_squares(a, first, n, etas.shape[1], 1, waves, squares)
            _climb_up(a * n_lm, n_lm, expansion, moments, moved)
        for a in range(n_runs):
            for b in range(a, n_runs):
                start = base + pair_index(runs[0, a], runs[0, b], n_species) * width
                row = out[i, start:]
                _multiply(a, b, expansion, moments, moved, squares, levels)
                add_levels(expansion, levels, grown, row)
                _multiply(b, a, expansion, moments, moved, squares, levels)
                add_levels(expansion, levels, grown, row)


@register_jitable
def _move_waves(first, n, etas, near, waves):
    """Fill the change of the weights, and weights times the change of direction."""
    n_etas, step = etas.shape[1], fours(etas.shape[1])
    for t in range(first, first + n, 8):
        slope, ds = load(near, SLOPE, t), load(near, DS, t)
        inverse = load(near, INVERSE, t)
        stretch = ds * 0.5 * inverse * inverse
        dx = (load(near, DX, t) - stretch * load(near, X, t)) * inverse
        dy = (load(near, DY, t) - stretch * load(near, Y, t)) * inverse
        dz = (load(near, DZ, t) - stretch * load(near, Z, t)) * inverse
        for e in range(n_etas):
            wave = load(waves, e, t)
            store(waves, e + step, t, wave * (slope - get(etas, 0, e)) * ds)
            store(waves, e + 2 * step, t, wave * dx)
            store(waves, e + 3 * step, t, wave * dy)
            store(waves, e + 4 * step, t, wave * dz)
    hide(first + n, waves)


@register_jitable
def _climb_up(base, n_lm, expansion, moments, moved):
    """Fill the changes of moments from those of weights and directions."""
    ladder, n_etas = expansion[4], expansion[0].shape[1]
    step = fours(n_etas)
    for c in range(0, n_etas, 8):
        for q in range(n_lm):
            store(moved, base + q, c, load(moments, base + q, step + c))
        for k in range(len(ladder)):
            place, kind = base + int(ladder[k, 1]), int(ladder[k, 0]) + 2
            weight = load(moments, base + int(ladder[k, 2]), kind * step + c)
            added = weight * get(ladder, k, 3)
            store(moved, place, c, load(moved, place, c) + added)

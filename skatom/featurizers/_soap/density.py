"""From neighbours to the expansion coefficients of their density, for one centre.

The coefficients of channel a are c[a, lm, n] = sum over its neighbours of a radial
function of r times a real solid harmonic of the vector. Eight radial functions are worked
on at a time in all sums; eight neighbours in the harmonics.
"""

import numpy as np
from numba.extending import register_jitable

from skatom.featurizers._simd.lanes import get, load, splat, store
from skatom.featurizers._soap.neighbors import (
    NEAR_ROWS,
    X,
    Y,
    Z,
    gather,
    interpolate,
    locate,
)


@register_jitable
def workspace(block, sizes, coupling, slopes):
    """Return the arrays that all centres of a block share.

    Parameters
    ----------
    block : tuple
        (start, stop, offsets, channels of pairs, channels of centres, vectors).
    sizes : tuple
        (n_max, l_max, width), width being n_max padded to whole groups of lanes.
    coupling : tuple
        (starts, channels, weights, n_channels): what each species adds to.
    slopes : bool
        Whether derivatives by r are needed.

    Returns
    -------
    near : array of shape (NEAR_ROWS, room)
    index : array of int64, shape (room,)
        The pair of every neighbour.
    runs : array of int64, shape (2, n_species + 2)
        Species and first place of each run of neighbours of one species.
    radial, by_r : arrays of shape (room, (l_max + 1) * width)
        Radial functions of each neighbour, and their slopes divided by r.
    harmonics : array of shape ((l_max + 1)², room)
    c : array of shape (n_channels + 1, (l_max + 1)² * width)
        Coefficients; the last row is for what has not yet been shared out.
    active : array of int64, shape (n_channels + 1,)
        Channels with anything in them; the last entry is their number.
    """
    start, stop, offsets = block[0], block[1], block[2]
    n_lm, width = (sizes[1] + 1) ** 2, sizes[2]
    room = 8
    for i in range(start, stop):
        room = max(room, offsets[i + 1] - offsets[i] + 8)
    room = (room + 7) // 8 * 8
    n_functions = (sizes[1] + 1) * width
    return (
        aligned(NEAR_ROWS, room),
        np.zeros(room, np.int64),
        np.zeros((2, len(coupling[0]) + 1), np.int64),
        aligned(room, n_functions),
        aligned(room if slopes else 1, n_functions),
        aligned(n_lm, room),
        aligned(coupling[3] + 1, n_lm * width),
        np.zeros(coupling[3] + 1, np.int64),
    )


@register_jitable
def aligned(n_rows, n_columns):
    """Return zeros that begin at a cache line: lanes that straddle two cost twice.

    The number of columns is a multiple of eight, so every row begins at one.
    """
    n = n_rows * n_columns
    room = np.zeros(n + 8)
    first = (64 - room.ctypes.data % 64) % 64 // 8
    return room[first : first + n].reshape((n_rows, n_columns))


@register_jitable
def describe(i, block, sizes, spline, ladder, coupling, own, slopes, work):
    """Fill the coefficients of centre `i`, and all that leads to them.

    Parameters
    ----------
    spline : tuple
        (nodes, pieces, r_cut), see `RadialTable`.
    ladder : array of shape ((l_max + 1)², 2)
        Factors of the recursion of the harmonics.
    own : array of shape (1, width)
        Coefficients with l = 0 that a centre adds to its own species.

    Returns
    -------
    n_runs : int
        Number of runs of neighbours of one species; the last run ends at
        ``runs[1, n_runs]``.
    """
    near, index, runs, radial, by_r, harmonics, c, active = work
    n_runs = gather(i, block, spline[2], near, index, runs)
    m = runs[1, n_runs]
    locate(m, spline[1], slopes, near)
    interpolate(m, spline[0], slopes, near, radial, by_r)
    fill_harmonics(m, sizes[1], ladder, near, harmonics)
    active[len(active) - 1] = 0
    centre = block[5][i]
    if centre >= 0:
        _activate(centre, coupling, c, active)
        for k in range(coupling[0][centre], coupling[0][centre + 1]):
            channel, weight = coupling[1][k], get(coupling[2], 0, k)
            for q in range(0, sizes[2], 8):
                share = load(own, 0, q) * weight
                store(c, channel, q, load(c, channel, q) + share)
    for run in range(n_runs):
        _activate(runs[0, run], coupling, c, active)
        spread_run(run, runs, sizes, coupling, radial, harmonics, c)
    return n_runs


@register_jitable
def fill_harmonics(m, l_max, ladder, near, harmonics):
    """Fill the real solid harmonics, Racah-normalised: their squares sum to r^(2 l).

    Row l² + l + m; m > 0 goes with cos(m phi), m < 0 with sin(|m| phi).
    """
    for t in range(0, m, 8):
        x, y, z = load(near, X, t), load(near, Y, t), load(near, Z, t)
        s = x * x + y * y + z * z
        store(harmonics, 0, t, splat(1.0))
        for l in range(1, l_max + 1):
            below, here = (l - 1) * (l - 1), l * l
            top, bottom = load(harmonics, here - 1, t), load(harmonics, below, t)
            f = get(ladder, here, 0)
            if l == 1:
                store(harmonics, 1, t, y)
                store(harmonics, 3, t, x)
            else:
                store(harmonics, here, t, (top * y + bottom * x) * f)
                store(harmonics, here + 2 * l, t, (top * x - bottom * y) * f)
            for k in range(1, 2 * l):
                value = z * load(harmonics, below + k - 1, t) * get(ladder, here + k, 0)
                if 1 < k < 2 * l - 1:
                    before = load(harmonics, (l - 2) * (l - 2) + k - 2, t)
                    value = value - before * s * get(ladder, here + k, 1)
                store(harmonics, here + k, t, value)


@register_jitable
def _activate(species, coupling, c, active):
    """Clear the channels that a species adds to, unless they are in use already."""
    last = len(active) - 1
    for k in range(coupling[0][species], coupling[0][species + 1]):
        channel = coupling[1][k]
        known = False
        for a in range(active[last]):
            known = known or active[a] == channel
        if not known:
            active[active[last]] = channel
            active[last] += 1
            c[channel] = 0.0


@register_jitable
def spread_run(run, runs, sizes, coupling, radial, harmonics, c):
    """Add a run of neighbours to the channels that their species adds to."""
    first = coupling[0][runs[0, run]]
    last = coupling[0][runs[0, run] + 1]
    begin, end = runs[1, run], runs[1, run + 1]
    if last == first + 1 and get(coupling[2], 0, first) == 1.0:
        _expand(begin, end, sizes, radial, harmonics, coupling[1][first], c)
        return
    spare = len(c) - 1
    c[spare] = 0.0
    _expand(begin, end, sizes, radial, harmonics, spare, c)
    share(first, last, coupling, c, spare, c)


@register_jitable
def share(first, last, coupling, source, row, target):
    """Add a row of coefficients to channels, times their weights."""
    for k in range(first, last):
        channel, weight = coupling[1][k], get(coupling[2], 0, k)
        for q in range(0, source.shape[1], 8):
            term = load(source, row, q) * weight
            store(target, channel, q, load(target, channel, q) + term)


@register_jitable
def _expand(begin, end, sizes, radial, harmonics, row, c):
    """Add radial functions times harmonics of neighbours begin .. end to a row of `c`.

    The 2 l + 1 harmonics of one l are summed three, four or five at a time, so that the
    sums stay in registers and do not wait for each other.
    """
    width = sizes[2]
    for l in range(sizes[1] + 1):
        for q in range(0, width, 8):
            lm, end_lm = l * l, (l + 1) * (l + 1)
            column = l * width + q
            while lm < end_lm:
                left = end_lm - lm
                place = lm * width + q
                if left == 1:
                    _sum_1(begin, end, radial, column, harmonics, lm, c, row, place)
                    lm += 1
                elif left == 3:
                    _sum_3(
                        begin, end, radial, column, harmonics, lm, c, row, place, width
                    )
                    lm += 3
                elif left == 5 or left == 9:
                    _sum_5(
                        begin, end, radial, column, harmonics, lm, c, row, place, width
                    )
                    lm += 5
                else:
                    _sum_4(
                        begin, end, radial, column, harmonics, lm, c, row, place, width
                    )
                    lm += 4


@register_jitable
def _sum_1(begin, end, radial, column, harmonics, lm, c, row, place):
    a = load(c, row, place)
    for t in range(begin, end):
        a = a + load(radial, t, column) * get(harmonics, lm, t)
    store(c, row, place, a)


@register_jitable
def _sum_3(begin, end, radial, column, harmonics, lm, c, row, place, width):
    a, b = load(c, row, place), load(c, row, place + width)
    d = load(c, row, place + 2 * width)
    for t in range(begin, end):
        w = load(radial, t, column)
        a = a + w * get(harmonics, lm, t)
        b = b + w * get(harmonics, lm + 1, t)
        d = d + w * get(harmonics, lm + 2, t)
    store(c, row, place, a)
    store(c, row, place + width, b)
    store(c, row, place + 2 * width, d)


@register_jitable
def _sum_4(begin, end, radial, column, harmonics, lm, c, row, place, width):
    a, b = load(c, row, place), load(c, row, place + width)
    d, e = load(c, row, place + 2 * width), load(c, row, place + 3 * width)
    for t in range(begin, end):
        w = load(radial, t, column)
        a = a + w * get(harmonics, lm, t)
        b = b + w * get(harmonics, lm + 1, t)
        d = d + w * get(harmonics, lm + 2, t)
        e = e + w * get(harmonics, lm + 3, t)
    store(c, row, place, a)
    store(c, row, place + width, b)
    store(c, row, place + 2 * width, d)
    store(c, row, place + 3 * width, e)


@register_jitable
def _sum_5(begin, end, radial, column, harmonics, lm, c, row, place, width):
    a, b = load(c, row, place), load(c, row, place + width)
    d, e = load(c, row, place + 2 * width), load(c, row, place + 3 * width)
    f = load(c, row, place + 4 * width)
    for t in range(begin, end):
        w = load(radial, t, column)
        a = a + w * get(harmonics, lm, t)
        b = b + w * get(harmonics, lm + 1, t)
        d = d + w * get(harmonics, lm + 2, t)
        e = e + w * get(harmonics, lm + 3, t)
        f = f + w * get(harmonics, lm + 4, t)
    store(c, row, place, a)
    store(c, row, place + width, b)
    store(c, row, place + 2 * width, d)
    store(c, row, place + 3 * width, e)
    store(c, row, place + 4 * width, f)

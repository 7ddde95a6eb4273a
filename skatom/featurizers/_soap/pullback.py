"""Pullback of the power spectrum: from d/dvalues to d/dvectors, without any Jacobian.

First to the coefficients, d = dE/dc, once for each centre; then to each neighbour, for
which dc/dr is a radial function times a harmonic. The gradient of a harmonic is a sum of
harmonics of one order less, so d is turned into three more sets of coefficients instead,
and the harmonics themselves serve for all four.
"""

from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
from skatom.featurizers._simd.lanes import get, load, splat, store, total
from skatom.featurizers._soap.density import (
    X,
    Y,
    Z,
    aligned,
    describe,
    workspace,
)
from skatom.featurizers._soap.spectrum import spectrum_pullback


@kernel
def soap_pullback(block, setup, g, out):
    """Write d(sum g * values)/d vectors to the block's rows of `out` (n_pairs, 3)."""
    sizes, spline, ladder, gradients, coupling, own, layout = setup
    work = workspace(block, sizes, coupling, True)
    runs, c, active = work[2], work[6], work[7]
    d, four = aligned(*c.shape), aligned(1, 4 * c.shape[1])
    for i in range(block[0], block[1]):
        n_runs = describe(i, block, sizes, spline, ladder, coupling, own, True, work)
        spectrum_pullback(i, sizes, layout, c, active, g, d)
        for run in range(n_runs):
            row = _collect(runs[0, run], coupling, d)
            _lower(sizes, gradients, spline[2], d, row, four)
            for t in range(runs[1, run], runs[1, run + 1], 2):
                last = t + 1 == runs[1, run + 1]
                _gradients(t, sizes, spline[2], four, work, last, out)


@register_jitable
def _collect(species, coupling, d):
    """Return the row of `d` that holds the derivatives by a species' coefficients."""
    first, last = coupling[0][species], coupling[0][species + 1]
    if last == first + 1 and get(coupling[2], 0, first) == 1.0:
        return coupling[1][first]
    spare = len(d) - 1
    d[spare] = 0.0
    for k in range(first, last):
        channel, weight = coupling[1][k], get(coupling[2], 0, k)
        for q in range(0, d.shape[1], 8):
            store(d, spare, q, load(d, spare, q) + load(d, channel, q) * weight)
    return spare


@register_jitable
def _lower(sizes, gradients, r_cut, d, row, four):
    """Fill `four`: for each lm, d and the three sets that stand for gradients.

    sum_lm d[lm] dH[lm]/dx = sum_lm four[lm, 1] H[lm], and so on for y and z.
    """
    sources, factors = gradients[2], gradients[3]
    width, n_low = sizes[2], sizes[1] * sizes[1]
    shrink = 1.0 / r_cut
    for lm in range((sizes[1] + 1) * (sizes[1] + 1)):
        for q in range(0, width, 8):
            store(four, 0, 4 * lm * width + q, load(d, row, lm * width + q))
    for lm in range(n_low):
        for axis in range(3):
            one, two = sources[lm, 2 * axis], sources[lm, 2 * axis + 1]
            u = get(factors, lm, 2 * axis) * shrink
            v = get(factors, lm, 2 * axis + 1) * shrink
            place = (4 * lm + 1 + axis) * width
            for q in range(0, width, 8):
                value = load(d, row, one * width + q) * u
                if v != 0.0:
                    value = value + load(d, row, two * width + q) * v
                store(four, 0, place + q, value)


@register_jitable
def _gradients(t, sizes, r_cut, four, work, last, out):
    """Write the derivatives by the vectors of neighbours `t` and, if not `last`, t + 1.

    Two at a time, because reading `four` takes as long as multiplying it.
    """
    radial, by_r, harmonics = work[3], work[4], work[5]
    l_max, width = sizes[1], sizes[2]
    along = x = y = z = splat(0.0)
    along2 = x2 = y2 = z2 = splat(0.0)
    for q in range(0, width, 8):
        for l in range(l_max):
            a = bx = by = bz = splat(0.0)
            a2 = bx2 = by2 = bz2 = splat(0.0)
            for lm in range(l * l, (l + 1) * (l + 1)):
                h, h2 = get(harmonics, lm, t), get(harmonics, lm, t + 1)
                place = 4 * lm * width + q
                w, wx = load(four, 0, place), load(four, 0, place + width)
                wy = load(four, 0, place + 2 * width)
                wz = load(four, 0, place + 3 * width)
                a, bx, by, bz = a + w * h, bx + wx * h, by + wy * h, bz + wz * h
                a2, bx2 = a2 + w * h2, bx2 + wx * h2
                by2, bz2 = by2 + wy * h2, bz2 + wz * h2
            column = l * width + q
            along = along + a * load(by_r, t, column)
            along2 = along2 + a2 * load(by_r, t + 1, column)
            w = load(radial, t, column + width)
            x, y, z = x + bx * w, y + by * w, z + bz * w
            w = load(radial, t + 1, column + width)
            x2, y2, z2 = x2 + bx2 * w, y2 + by2 * w, z2 + bz2 * w
        a = a2 = splat(0.0)
        for lm in range(l_max * l_max, (l_max + 1) * (l_max + 1)):
            w = load(four, 0, 4 * lm * width + q)
            a = a + w * get(harmonics, lm, t)
            a2 = a2 + w * get(harmonics, lm, t + 1)
        along = along + a * load(by_r, t, l_max * width + q)
        along2 = along2 + a2 * load(by_r, t + 1, l_max * width + q)
    _put(t, along, x, y, z, r_cut, work, out)
    if not last:
        _put(t + 1, along2, x2, y2, z2, r_cut, work, out)


@register_jitable
def _put(t, along, x, y, z, r_cut, work, out):
    """Write the derivative by the vector of a neighbour from its parts."""
    near, pair = work[0], work[1][t]
    by_r = total(along) * r_cut
    out[pair, 0] = total(x) + by_r * get(near, X, t)
    out[pair, 1] = total(y) + by_r * get(near, Y, t)
    out[pair, 2] = total(z) + by_r * get(near, Z, t)

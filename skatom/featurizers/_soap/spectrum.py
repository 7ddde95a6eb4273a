"""The power spectrum of expansion coefficients, its pullback and its tangent.

A block of the spectrum belongs to a pair of channels p, q and an order l and holds the sums
over m of c_p[lm, n] c_q[lm, k], all n and k for p != q, n <= k for p = q. ``layout[p, q]``
is the column at which the blocks of a pair begin, or -1 if the pair is not in use; only
channels that are active at a centre are looked at.
"""

from numba.extending import register_jitable

from skatom.featurizers._simd.lanes import get, load, splat, store
from skatom.featurizers._soap.transpose import load_some, store_some, turn


@register_jitable
def spectrum(row, sizes, layout, c, active, out):
    """Write the power spectrum of coefficients `c` to a row of `out`."""
    n_max, l_max, width = sizes
    n_active = active[len(active) - 1]
    for i in range(n_active):
        for j in range(n_active):
            p, q = active[i], active[j]
            first = layout[p, q]
            if first < 0:
                continue
            for l in range(l_max + 1):
                for n in range(0, n_max, 8):
                    for k in range(n if p == q else 0, width, 8):
                        rows = _eight(l, n, k, width, c, p, c, q)
                        _keep(row, n, k, n_max, p == q, first, rows, out)
                first += block_size(n_max, p == q)


@register_jitable
def spectrum_tangent(row, sizes, layout, c, dc, moved, active, out):
    """Write the change of the power spectrum under `dc` of the channels that moved."""
    n_max, l_max, width = sizes
    n_active = active[len(active) - 1]
    for i in range(n_active):
        for j in range(n_active):
            p, q = active[i], active[j]
            first = layout[p, q]
            if first < 0 or not (moved[p] or moved[q]):
                continue
            for l in range(l_max + 1):
                for n in range(0, n_max, 8):
                    for k in range(n if p == q else 0, width, 8):
                        if not moved[q]:
                            rows = _eight(l, n, k, width, dc, p, c, q)
                        elif not moved[p]:
                            rows = _eight(l, n, k, width, c, p, dc, q)
                        else:
                            rows = _eight_both(l, n, k, width, c, dc, p, q)
                        _keep(row, n, k, n_max, p == q, first, rows, out)
                first += block_size(n_max, p == q)


@register_jitable
def block_size(n_max, triangle):
    """Return how many columns a block has."""
    return n_max * (n_max + 1) // 2 if triangle else n_max * n_max


@register_jitable
def _eight(l, n, k, width, left, p, right, q):
    """Return the sums over m of left[n .. n + 7] times eight of right[k ..]."""
    a = b = d = e = f = g = h = i = splat(0.0)
    for lm in range(l * l, (l + 1) * (l + 1)):
        place = lm * width
        w = load(right, q, place + k)
        place += n
        a = a + w * get(left, p, place)
        b = b + w * get(left, p, place + 1)
        d = d + w * get(left, p, place + 2)
        e = e + w * get(left, p, place + 3)
        f = f + w * get(left, p, place + 4)
        g = g + w * get(left, p, place + 5)
        h = h + w * get(left, p, place + 6)
        i = i + w * get(left, p, place + 7)
    return a, b, d, e, f, g, h, i


@register_jitable
def _eight_both(l, n, k, width, c, dc, p, q):
    """Return the change of these sums when both factors change."""
    a = b = d = e = f = g = h = i = splat(0.0)
    for lm in range(l * l, (l + 1) * (l + 1)):
        place = lm * width
        w, dw = load(c, q, place + k), load(dc, q, place + k)
        place += n
        a = a + w * get(dc, p, place) + dw * get(c, p, place)
        b = b + w * get(dc, p, place + 1) + dw * get(c, p, place + 1)
        d = d + w * get(dc, p, place + 2) + dw * get(c, p, place + 2)
        e = e + w * get(dc, p, place + 3) + dw * get(c, p, place + 3)
        f = f + w * get(dc, p, place + 4) + dw * get(c, p, place + 4)
        g = g + w * get(dc, p, place + 5) + dw * get(c, p, place + 5)
        h = h + w * get(dc, p, place + 6) + dw * get(c, p, place + 6)
        i = i + w * get(dc, p, place + 7) + dw * get(c, p, place + 7)
    return a, b, d, e, f, g, h, i


@register_jitable
def _keep(row, n, k, n_max, triangle, first, rows, out):
    """Write the part of eight rows of a block that exists."""
    if not triangle and n + 8 <= n_max and k + 8 <= n_max:
        column = first + n * n_max + k
        store(out, row, column, rows[0])
        store(out, row, column + n_max, rows[1])
        store(out, row, column + 2 * n_max, rows[2])
        store(out, row, column + 3 * n_max, rows[3])
        store(out, row, column + 4 * n_max, rows[4])
        store(out, row, column + 5 * n_max, rows[5])
        store(out, row, column + 6 * n_max, rows[6])
        store(out, row, column + 7 * n_max, rows[7])
        return
    for step in range(min(8, n_max - n)):
        column, begin = first + (n + step) * n_max + k, 0
        if triangle:
            column, begin = column - (n + step) * (n + step + 1) // 2, n + step - k
        store_some(out, row, column, rows[step], begin, n_max - k)


@register_jitable
def spectrum_pullback(row, sizes, layout, c, active, g, d):
    """Fill the active rows of `d` with the derivatives of sum g * spectrum by `c`."""
    n_max, l_max, width = sizes
    n_active = active[len(active) - 1]
    for i in range(n_active):
        d[active[i]] = 0.0
    for i in range(n_active):
        for j in range(n_active):
            p, q = active[i], active[j]
            first = layout[p, q]
            if first < 0:
                continue
            for l in range(l_max + 1):
                for n in range(0, n_max, 8):
                    for k in range(n if p == q else 0, width, 8):
                        rows = _read(row, n, k, n_max, p == q, first, g)
                        turned = turn(rows)
                        if p == q and n == k:
                            rows = _plus(rows, turned)
                        else:
                            _apply(l, width, turned, c, q, k, d, p, n)
                        _apply(l, width, rows, c, p, n, d, q, k)
                first += block_size(n_max, p == q)


@register_jitable
def _read(row, n, k, n_max, triangle, first, g):
    """Read eight rows of a block, zero where there is nothing."""
    if not triangle and n + 8 <= n_max and k + 8 <= n_max:
        column = first + n * n_max + k
        return (
            load(g, row, column),
            load(g, row, column + n_max),
            load(g, row, column + 2 * n_max),
            load(g, row, column + 3 * n_max),
            load(g, row, column + 4 * n_max),
            load(g, row, column + 5 * n_max),
            load(g, row, column + 6 * n_max),
            load(g, row, column + 7 * n_max),
        )
    return (
        _read_some(row, n, k, n_max, triangle, first, g),
        _read_some(row, n + 1, k, n_max, triangle, first, g),
        _read_some(row, n + 2, k, n_max, triangle, first, g),
        _read_some(row, n + 3, k, n_max, triangle, first, g),
        _read_some(row, n + 4, k, n_max, triangle, first, g),
        _read_some(row, n + 5, k, n_max, triangle, first, g),
        _read_some(row, n + 6, k, n_max, triangle, first, g),
        _read_some(row, n + 7, k, n_max, triangle, first, g),
    )


@register_jitable
def _read_some(row, n, k, n_max, triangle, first, g):
    """Read the part of one row of a block that exists."""
    stop = n_max - k if n < n_max else 0
    column, begin = first + n * n_max + k, 0
    if triangle:
        column, begin = column - n * (n + 1) // 2, n - k
    return load_some(g, row, column, begin, stop)


@register_jitable
def _plus(x, y):
    """Add eight rows to eight."""
    return (
        x[0] + y[0],
        x[1] + y[1],
        x[2] + y[2],
        x[3] + y[3],
        x[4] + y[4],
        x[5] + y[5],
        x[6] + y[6],
        x[7] + y[7],
    )


@register_jitable
def _apply(l, width, rows, source, p, n, target, q, k):
    """Add sum_i source[lm, n + i] rows[i] to target[lm, k ..], all m of one l."""
    for lm in range(l * l, (l + 1) * (l + 1)):
        place = lm * width + n
        a = rows[0] * get(source, p, place) + load(target, q, lm * width + k)
        b = rows[1] * get(source, p, place + 1)
        a = a + rows[2] * get(source, p, place + 2)
        b = b + rows[3] * get(source, p, place + 3)
        a = a + rows[4] * get(source, p, place + 4)
        b = b + rows[5] * get(source, p, place + 5)
        a = a + rows[6] * get(source, p, place + 6)
        b = b + rows[7] * get(source, p, place + 7)
        store(target, q, lm * width + k, a + b)

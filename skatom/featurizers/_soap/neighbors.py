"""The neighbours of one centre and their radial functions, from splines.

A table has one row for a quantity and one column for a neighbour, so that eight are worked
on at a time; only neighbours inside r_cut are in it, whatever longer pairs a list carries.
"""

from numba.extending import register_jitable

from skatom.featurizers._simd.lanes import get, load, put, sqrt, store

# Rows of the neighbour table: vector in units of r_cut, r in Å, 1/r ...
X, Y, Z, R, INVERSE = 0, 1, 2, 3, 4
# ... the first node of the interval that r lies in, the place inside, its length ...
NODE, PLACE, STEP = 5, 6, 7
# ... and the six weights of the nodes' values and slopes, for values and for slopes
WEIGHTS = 8
NEAR_ROWS = 20


@register_jitable
def gather(i, block, r_cut, near, index, runs):
    """List the neighbours of `i` inside r_cut; return the number of runs of a species."""
    offsets, channels, vectors = block[2], block[3], block[4]
    bound, shrink = r_cut * r_cut, 1.0 / r_cut
    m, n_runs = 0, 0
    for p in range(offsets[i], offsets[i + 1]):
        x, y, z = get(vectors, p, 0), get(vectors, p, 1), get(vectors, p, 2)
        s = x * x + y * y + z * z
        if s < bound:
            put(near, X, m, x * shrink)
            put(near, Y, m, y * shrink)
            put(near, Z, m, z * shrink)
            put(near, R, m, s)
            index[m] = p
            if n_runs == 0 or runs[0, n_runs - 1] != channels[p]:
                runs[0, n_runs] = channels[p]
                runs[1, n_runs] = m
                n_runs += 1
            m += 1
    runs[1, n_runs] = m
    # what the last group of lanes reads too much is finite and never used
    for t in range(m, m + 8):
        put(near, X, t, 0.5)
        put(near, Y, t, 0.0)
        put(near, Z, t, 0.0)
        put(near, R, t, 0.25 * bound)
    return n_runs


@register_jitable
def locate(m, pieces, slopes, near):
    """Find the interval of every neighbour and the weights of its two nodes.

    The weights are those of quintic Hermite interpolation, of value, slope and curvature
    at the left and the right end.
    """
    for t in range(0, m, 8):
        r = sqrt(load(near, R, t))
        store(near, R, t, r)
        store(near, INVERSE, t, 1.0 / r)
    last = len(pieces) - 1
    for t in range(m, m + 8):  # read by lanes, used by none
        put(near, PLACE, t, 0.0)
        put(near, STEP, t, 1.0)
    for t in range(m):
        r = get(near, R, t)
        k = last if last > 0 and r >= get(pieces, last, 0) else 0
        step = get(pieces, k, 1)
        place = (r - get(pieces, k, 0)) / step
        node = min(int(place), int(get(pieces, k, 2)) - 1)
        put(near, NODE, t, node + get(pieces, k, 3))
        put(near, PLACE, t, place - node)
        put(near, STEP, t, step)
    for t in range(0, m, 8):
        x, h = load(near, PLACE, t), load(near, STEP, t)
        x3 = x * x * x
        rise = x3 * (x * (x * 6.0 - 15.0) + 10.0)
        store(near, WEIGHTS, t, 1.0 - rise)
        store(near, WEIGHTS + 1, t, h * (x + x3 * (x * (8.0 - x * 3.0) - 6.0)))
        square = h * h * 0.5
        bend = x * (x * (3.0 - x) - 3.0) + 1.0
        store(near, WEIGHTS + 2, t, square * x * x * bend)
        store(near, WEIGHTS + 3, t, rise)
        store(near, WEIGHTS + 4, t, h * x3 * (x * (7.0 - x * 3.0) - 4.0))
        store(near, WEIGHTS + 5, t, square * x3 * (x * (x - 2.0) + 1.0))
        if slopes:
            # derivatives of these by r, divided by r
            inverse = load(near, INVERSE, t)
            x2 = x * x
            steep = x2 * (x * (x * 30.0 - 60.0) + 30.0) * inverse / h
            store(near, WEIGHTS + 6, t, steep * -1.0)
            tilt = x2 * (x * (32.0 - x * 15.0) - 18.0) + 1.0
            store(near, WEIGHTS + 7, t, inverse * tilt)
            turn = x * (x * (x * (12.0 - x * 5.0) - 9.0) + 2.0)
            store(near, WEIGHTS + 8, t, 0.5 * h * inverse * turn)
            store(near, WEIGHTS + 9, t, steep)
            tilt = x2 * (x * (28.0 - x * 15.0) - 12.0)
            store(near, WEIGHTS + 10, t, inverse * tilt)
            turn = x2 * (x * (x * 5.0 - 8.0) + 3.0)
            store(near, WEIGHTS + 11, t, 0.5 * h * inverse * turn)


@register_jitable
def interpolate(m, nodes, slopes, near, radial, by_r):
    """Interpolate all radial functions of every neighbour, and their slopes over r."""
    n = radial.shape[1]
    for t in range(m):
        node = int(get(near, NODE, t))
        w0, w1 = get(near, WEIGHTS, t), get(near, WEIGHTS + 1, t)
        w2, w3 = get(near, WEIGHTS + 2, t), get(near, WEIGHTS + 3, t)
        w4, w5 = get(near, WEIGHTS + 4, t), get(near, WEIGHTS + 5, t)
        if slopes:
            d0, d1 = get(near, WEIGHTS + 6, t), get(near, WEIGHTS + 7, t)
            d2, d3 = get(near, WEIGHTS + 8, t), get(near, WEIGHTS + 9, t)
            d4, d5 = get(near, WEIGHTS + 10, t), get(near, WEIGHTS + 11, t)
            for q in range(0, n, 8):
                a, b = load(nodes, node, q), load(nodes, node, q + n)
                c, d = load(nodes, node, q + 2 * n), load(nodes, node + 1, q)
                e, f = load(nodes, node + 1, q + n), load(nodes, node + 1, q + 2 * n)
                value = a * w0 + b * w1 + c * w2 + d * w3 + e * w4 + f * w5
                slope = a * d0 + b * d1 + c * d2 + d * d3 + e * d4 + f * d5
                store(radial, t, q, value)
                store(by_r, t, q, slope)
        else:
            for q in range(0, n, 8):
                value = load(nodes, node, q) * w0 + load(nodes, node, q + n) * w1
                value = value + load(nodes, node, q + 2 * n) * w2
                value = value + load(nodes, node + 1, q) * w3
                value = value + load(nodes, node + 1, q + n) * w4
                value = value + load(nodes, node + 1, q + 2 * n) * w5
                store(radial, t, q, value)

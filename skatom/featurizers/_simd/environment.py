"""The neighbour table of one centre, which all kernels of ACSF begin with.

A table is a matrix with one row a quantity and one column a neighbour, so that eight
neighbours are read at a time. It holds the neighbours inside r_cut only: lists may carry
longer pairs (a skin, or another featurizer's radius), which must not exist for values
and derivatives alike.
"""

import numpy as np
from numba.extending import register_jitable

from skatom.featurizers._simd.cutoffs import cutoff, cutoff_slope
from skatom.featurizers._simd.lanes import get, load, put, sqrt, store

# Rows of the neighbour table of one centre: vector, s, 1/r, f and f'(s)/f ...
X, Y, Z, S, INVERSE, F, SLOPE = 0, 1, 2, 3, 4, 5, 6
# ... in a pullback: derivative by s_j, and the part of the gradient along other vectors
BY_S, GRAD_X, GRAD_Y, GRAD_Z = 7, 8, 9, 10
# ... in a pushforward: tangent of s_j, and tangent of the vector
DS, DX, DY, DZ = 7, 8, 9, 10
# the column itself, for triples to remember their ends
PLACE = 11
NEAR_ROWS = 12


@register_jitable
def table(block, n_species):
    """Return an empty neighbour table, its way back to pairs, and its runs of species.

    ``block`` is the tuple of a PairBlock, as in all kernels.
    """
    start, stop, offsets = block[0], block[1], block[2]
    room = 8
    for i in range(start, stop):
        room = max(room, offsets[i + 1] - offsets[i] + 8)
    near = np.zeros((NEAR_ROWS, room))
    # an array on the right would compile the message for shapes that differ: seconds
    for j in range(room):
        near[PLACE, j] = j
    return near, np.zeros(room, np.int64), np.zeros((2, n_species + 1), np.int64)


@register_jitable
def gather(i, block, cut, slopes, near, index, runs):
    """Fill the table of centre `i`; return how many runs of one species it has.

    Parameters
    ----------
    i : int
        Centre.
    block : tuple
        That of a PairBlock.
    cut : tuple
        (r_cut, kind of cutoff, gamma).
    slopes : bool
        Whether f'(s)/f is needed.
    near : array, modified
        Table of neighbours.
    index : array, modified
        The pair of every neighbour.
    runs : array of shape (2, n_species + 1), modified
        Channel and first place of every run of one species; the end of the last run.
    """
    offsets, channels, vectors = block[2], block[3], block[4]
    bound = cut[0] * cut[0]
    m, n_runs = 0, 0
    for p in range(offsets[i], offsets[i + 1]):
        x, y, z = vectors[p, 0], vectors[p, 1], vectors[p, 2]
        s = x * x + y * y + z * z
        if s < bound:
            put(near, X, m, x)
            put(near, Y, m, y)
            put(near, Z, m, z)
            put(near, S, m, s)
            index[m] = p
            if n_runs == 0 or runs[0, n_runs - 1] != channels[p]:
                runs[0, n_runs] = channels[p]
                runs[1, n_runs] = m
                n_runs += 1
            m += 1
    runs[1, n_runs] = m
    # what the last groups of lanes read too much is harmless: a neighbour at the cutoff
    for t in range(m, m + 8):
        put(near, X, t, cut[0])
        put(near, Y, t, 0.0)
        put(near, Z, t, 0.0)
        put(near, S, t, bound)
    for t in range(0, m, 8):
        _cut(t, cut, slopes, near)
    for t in range(m, m + 8):  # not what an earlier centre left there, nor f'/f = 0/0
        put(near, INVERSE, t, 1.0 / cut[0])
        put(near, F, t, 0.0)
        put(near, SLOPE, t, 0.0)
    return n_runs


@register_jitable
def _cut(t, cut, slopes, near):
    """Fill 1/r, f and, on demand, f'(s)/f of eight neighbours."""
    s = load(near, S, t)
    shrink = 1.0 / (cut[0] * cut[0])
    store(near, INVERSE, t, 1.0 / sqrt(s))
    store(near, F, t, cutoff(cut[1], cut[2], s * shrink))
    if slopes:
        store(near, SLOPE, t, cutoff_slope(cut[1], cut[2], s * shrink) * shrink)


@register_jitable
def gather_tangents(m, index, v, near):
    """Copy the tangents of the neighbours, and of their squared distances."""
    for j in range(m):
        x, y, z = v[index[j], 0], v[index[j], 1], v[index[j], 2]
        put(near, DX, j, x)
        put(near, DY, j, y)
        put(near, DZ, j, z)
        ds = get(near, X, j) * x + get(near, Y, j) * y + get(near, Z, j) * z
        put(near, DS, j, 2.0 * ds)

"""Compiled loops over neighbour pairs: sorting into rows by centre, sums onto atoms."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def sort_by_centre(centres, neighbors, vectors, shifts, rank, offsets, out):
    """Sort pairs by centre, then by the rank of the neighbour's species, stably.

    ``rank`` has one entry an atom; ``out`` is (neighbors, vectors, shifts) to write to,
    and ``offsets`` receives the first pair of every centre.
    """
    n_ranks = rank.max() + 1
    order = _rows(centres, offsets)
    count = np.empty(n_ranks + 1, np.int64)
    for i in range(len(offsets) - 1):
        start, stop = offsets[i], offsets[i + 1]
        count[:] = 0
        for q in range(start, stop):
            count[rank[neighbors[order[q]]] + 1] += 1
        for r in range(n_ranks):
            count[r + 1] += count[r]
        for q in range(start, stop):
            p = order[q]
            r = rank[neighbors[p]]
            row = start + count[r]
            count[r] += 1
            out[0][row] = neighbors[p]
            for a in range(3):
                out[1][row, a] = vectors[p, a]
                out[2][row, a] = shifts[p, a]


@njit(cache=True, nogil=True)
def _rows(centres, offsets):
    """Count pairs a centre into offsets, and order the pairs by centre, stably."""
    n_atoms = len(offsets) - 1
    offsets[:] = 0
    for p in range(len(centres)):
        offsets[centres[p] + 1] += 1
    for i in range(n_atoms):
        offsets[i + 1] += offsets[i]
    cursor = offsets[:-1].copy()
    order = np.empty(len(centres), np.int64)
    for p in range(len(centres)):
        i = centres[p]
        order[cursor[i]] = p
        cursor[i] += 1
    return order


@njit(cache=True, nogil=True)
def scatter_forces(offsets, neighbors, gradient, forces):
    """Add dE/dr of every pair to its two atoms: F_i += g, F_j -= g."""
    for i in range(len(offsets) - 1):
        for p in range(offsets[i], offsets[i + 1]):
            j = neighbors[p]
            for a in range(3):
                forces[i, a] += gradient[p, a]
                forces[j, a] -= gradient[p, a]


@njit(cache=True, nogil=True)
def gather_forces(offsets, neighbors, cotangent, out):
    """Transpose of `scatter_forces`: v_p = f_i - f_j."""
    for i in range(len(offsets) - 1):
        for p in range(offsets[i], offsets[i + 1]):
            j = neighbors[p]
            for a in range(3):
                out[p, a] = cotangent[i, a] - cotangent[j, a]

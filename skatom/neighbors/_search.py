"""Compiled search for neighbour pairs: bins of the cell, straight into rows by centre.

Atoms are sorted into bins along the cell vectors, or along axes of their own in directions
that are not periodic. Every centre looks through the bins around its own, wrapping around
with a count of cell vectors, so any mix of periodic directions and cells smaller than the
radius need no special case. Loops stand for array expressions, which take numba seconds
to compile: every user waits for this search first.
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel

# Bins are about half a radius wide: fewer atoms to look at than with whole radii.
BINS_A_RADIUS = 2.0


@register_jitable
def sort_into_bins(positions, basis, pbc, r_cut):
    """Sort the atoms of one structure into bins.

    Parameters
    ----------
    positions : (n_atoms, 3)
    basis : (3, 3)
        Cell vectors; unit vectors orthogonal to all others where not periodic.
    pbc : (3,) bool

    Returns
    -------
    n_bins, reach : (3,) int64
        Number of bins along each vector, and how many to look at on either side.
    bins : (n_atoms, 3) int64
        Bin of each atom.
    wraps : (n_atoms, 3) int64
        Cell vectors that bring each atom into the cell.
    """
    n_atoms = len(positions)
    n_bins, reach = np.zeros(3, np.int64), np.zeros(3, np.int64)
    bins, wraps = np.zeros((n_atoms, 3), np.int64), np.zeros((n_atoms, 3), np.int64)
    fractional = np.empty((n_atoms, 3))
    low, extent, height = np.zeros(3), np.zeros(3), np.zeros(3)
    for d in range(3):
        extent[d] = 1.0
        u, v, w = basis[(d + 1) % 3], basis[(d + 2) % 3], basis[d]
        nx = u[1] * v[2] - u[2] * v[1]
        ny = u[2] * v[0] - u[0] * v[2]
        nz = u[0] * v[1] - u[1] * v[0]
        volume = nx * w[0] + ny * w[1] + nz * w[2]
        height[d] = abs(volume) / np.sqrt(nx * nx + ny * ny + nz * nz)
        smallest, largest = np.inf, -np.inf
        for i in range(n_atoms):
            p = positions[i]
            f = (p[0] * nx + p[1] * ny + p[2] * nz) / volume
            if pbc[d]:
                turns = np.floor(f)
                wraps[i, d] = -np.int64(turns)
                f -= turns
            fractional[i, d] = f
            smallest, largest = min(smallest, f), max(largest, f)
        if not pbc[d]:
            low[d], extent[d] = smallest, largest - smallest
        wanted = extent[d] * height[d] * BINS_A_RADIUS / r_cut
        n_bins[d] = np.int64(max(1.0, min(wanted, 4096.0)))
    _merge_bins(n_bins, 4 * n_atoms)
    for d in range(3):
        width = extent[d] / n_bins[d]
        if width <= 0.0:
            continue
        bins_away = r_cut / (width * height[d])
        if not pbc[d]:  # an almost flat structure: there are no bins farther away
            bins_away = min(bins_away, float(n_bins[d]))
        reach[d] = np.int64(np.ceil(bins_away))
        for i in range(n_atoms):
            at = np.int64((fractional[i, d] - low[d]) / width)
            bins[i, d] = min(max(at, 0), n_bins[d] - 1)
    return n_bins, reach, bins, wraps


@register_jitable
def _merge_bins(n_bins, most):
    """Make bins larger where there are more than `most`."""
    while n_bins[0] * n_bins[1] * n_bins[2] > most:
        widest = 0
        for d in range(1, 3):
            if n_bins[d] > n_bins[widest]:
                widest = d
        n_bins[widest] = (n_bins[widest] + 1) // 2


@register_jitable
def members_of_bins(bins, n_bins):
    """Order atoms by bin: members[starts[b]:starts[b + 1]] are those of flat bin b."""
    n_atoms, n_flat = len(bins), n_bins[0] * n_bins[1] * n_bins[2]
    flat, members = np.empty(n_atoms, np.int64), np.empty(n_atoms, np.int64)
    starts, cursor = np.zeros(n_flat + 1, np.int64), np.zeros(n_flat, np.int64)
    for i in range(n_atoms):
        flat[i] = (bins[i, 0] * n_bins[1] + bins[i, 1]) * n_bins[2] + bins[i, 2]
        starts[flat[i] + 1] += 1
    for b in range(n_flat):
        cursor[b] = starts[b]
        starts[b + 1] += starts[b]
    for i in range(n_atoms):
        members[cursor[flat[i]]] = i
        cursor[flat[i]] += 1
    return starts, members


@register_jitable
def scan_row(
    i,
    basis,
    pbc,
    n_bins,
    reach,
    own_bin,
    starts,
    members,
    wrapped,
    r_cut2,
    row,
    closest,
):
    """Collect the neighbours of centre i; -1 when the row is too short for them.

    ``wrapped`` holds the wrapped positions in the order of ``members``. ``row`` is
    (j, vectors, turns) to write to, turns counting cell vectors between wrapped atoms.
    ``closest[0]`` is lowered to the least squared distance.
    """
    row_j, row_d, row_t = row
    least = closest[0]
    x, y, z = wrapped[0, i], wrapped[1, i], wrapped[2, i]
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for d in range(3):
        low[d], high[d] = own_bin[d] - reach[d], own_bin[d] + reach[d]
        if not pbc[d]:
            low[d], high[d] = max(low[d], 0), min(high[d], n_bins[d] - 1)
    n_row = 0
    for a in range(low[0], high[0] + 1):
        ta = a // n_bins[0]
        for b in range(low[1], high[1] + 1):
            tb = b // n_bins[1]
            for c in range(low[2], high[2] + 1):
                tc = c // n_bins[2]
                flat = (a - ta * n_bins[0]) * n_bins[1] + b - tb * n_bins[1]
                flat = flat * n_bins[2] + c - tc * n_bins[2]
                start, stop = starts[flat], starts[flat + 1]
                if n_row + stop - start > len(row_j):
                    return -1
                home = ta == 0 and tb == 0 and tc == 0
                sx = ta * basis[0, 0] + tb * basis[1, 0] + tc * basis[2, 0] - x
                sy = ta * basis[0, 1] + tb * basis[1, 1] + tc * basis[2, 1] - y
                sz = ta * basis[0, 2] + tb * basis[1, 2] + tc * basis[2, 2] - z
                for q in range(start, stop):
                    dx = wrapped[0, q] + sx
                    dy = wrapped[1, q] + sy
                    dz = wrapped[2, q] + sz
                    square = dx * dx + dy * dy + dz * dz
                    if square < r_cut2 and not (home and q == i):
                        least = min(least, square)
                        row_j[n_row] = members[q]
                        row_d[n_row, 0] = dx
                        row_d[n_row, 1] = dy
                        row_d[n_row, 2] = dz
                        row_t[n_row, 0] = ta
                        row_t[n_row, 1] = tb
                        row_t[n_row, 2] = tc
                        n_row += 1
    closest[0] = least
    return n_row


@register_jitable
def ranks_of(numbers):
    """Replace atomic numbers by their rank among those that occur; and count these."""
    largest = 0
    for i in range(len(numbers)):
        largest = max(largest, numbers[i])
    table, rank = np.zeros(largest + 1, np.int64), np.empty(len(numbers), np.int64)
    for i in range(len(numbers)):
        table[numbers[i]] = 1
    n_ranks = 0
    for z in range(largest + 1):
        present = table[z]
        table[z] = n_ranks
        n_ranks += present
    for i in range(len(numbers)):
        rank[i] = table[numbers[i]]
    return rank, n_ranks


@register_jitable
def write_row(
    i, n_row, row, rank, wraps, count, first, begin, neighbors, vectors, shifts
):
    """Write the row of centre i, sorted by the rank of the neighbour, stable otherwise."""
    row_j, row_d, row_t = row
    for r in range(len(count)):
        count[r] = 0
    for q in range(n_row):
        count[rank[row_j[q]] + 1] += 1
    for r in range(len(count) - 1):
        count[r + 1] += count[r]
    for q in range(n_row):
        j = row_j[q]
        r = rank[j]
        p = begin + count[r]
        count[r] += 1
        neighbors[p] = first + j
        for d in range(3):
            vectors[p, d] = row_d[q, d]
            shifts[p, d] = row_t[q, d] + wraps[j, d] - wraps[i, d]


@register_jitable
def pair_arrays(room):
    """Make neighbours, vectors and shifts of so many pairs."""
    return np.empty(room, np.int64), np.empty((room, 3)), np.empty((room, 3), np.int32)


@register_jitable
def row_arrays(room):
    """Make neighbours, vectors and counts of cell vectors of one centre."""
    return np.empty(room, np.int64), np.empty((room, 3)), np.empty((room, 3), np.int64)


@register_jitable
def search_structure(
    positions,
    basis,
    pbc,
    numbers,
    r_cut,
    first,
    centres,
    offsets,
    pairs,
    begin,
    closest,
):
    """Write the pairs of some centres of one structure from ``begin`` on.

    ``centres`` is (start, stop), counted in the structure; ``offsets`` are those of the
    centres from `start` on.

    Returns
    -------
    n_used : int
        End of what was written; -1 when ``pairs`` (neighbors, vectors, shifts) is full.
    """
    n_bins, reach, bins, wraps = sort_into_bins(positions, basis, pbc, r_cut)
    starts, members = members_of_bins(bins, n_bins)
    n_atoms = len(positions)
    wrapped = np.empty((3, n_atoms))
    for q in range(n_atoms):
        i = members[q]
        for d in range(3):
            wrapped[d, q] = positions[i, d]
            for e in range(3):
                if wraps[i, e] != 0:
                    wrapped[d, q] += wraps[i, e] * basis[e, d]
    place = np.empty(n_atoms, np.int64)
    for q in range(n_atoms):
        place[members[q]] = q
    rank, n_ranks = ranks_of(numbers)
    neighbors, vectors, shifts = pairs
    count = np.empty(n_ranks + 1, np.int64)
    room = 256
    row = row_arrays(room)
    for i in range(centres[0], centres[1]):
        n_row = -1
        while n_row < 0:
            n_row = scan_row(
                place[i], basis, pbc, n_bins, reach, bins[i], starts, members, wrapped,
                r_cut * r_cut, row, closest,
            )  # fmt: skip
            if n_row < 0:
                room *= 2
                row = row_arrays(room)
        if begin + n_row > len(neighbors):
            return -1
        write_row(
            i, n_row, row, rank, wraps, count, first, begin, neighbors, vectors, shifts
        )
        begin += n_row
        offsets[i - centres[0] + 1] = begin
    return begin


@kernel
def search_pairs(positions, atom_offsets, bases, pbc, numbers, r_cut, centres, room):
    """Find the pairs of a range of centres, sorted by centre and by species.

    Parameters
    ----------
    positions : (n_atoms, 3)
    atom_offsets : (n_structures + 1,)
    bases : (n_structures, 3, 3)
    pbc : (n_structures, 3) bool
    numbers : (n_atoms,)
        Atomic numbers, by which the neighbours of a centre are sorted.
    r_cut : float
    centres : (start, stop)
        Range of centres, of one or more structures.
    room : int
        Space for this many pairs to begin with.

    Returns
    -------
    offsets : (stop - start + 1,)
    neighbors, vectors, shifts
        As in `NeighborPairs`.
    closest : float
        Square of the shortest distance, infinite without pairs.
    """
    start, stop = centres
    closest = np.empty(1)
    closest[0] = np.inf
    offsets = np.zeros(stop - start + 1, np.int64)
    pairs = pair_arrays(room)
    begin = offsets[0]  # zero, but no constant: that would be compiled once more
    for s in range(len(atom_offsets) - 1):
        first, last = atom_offsets[s], atom_offsets[s + 1]
        own = max(start, first) - first, min(stop, last) - first
        if own[0] >= own[1]:
            continue
        used = -1
        while used < 0:
            used = search_structure(
                positions[first:last], bases[s], pbc[s], numbers[first:last], r_cut,
                first, own, offsets[first + own[0] - start :], pairs, begin, closest,
            )  # fmt: skip
            if used < 0:
                room *= 2
                larger = pair_arrays(room)
                for k in range(begin):
                    larger[0][k] = pairs[0][k]
                    for d in range(3):
                        larger[1][k, d] = pairs[1][k, d]
                        larger[2][k, d] = pairs[2][k, d]
                pairs = larger
        begin = used
    return offsets, pairs[0][:begin], pairs[1][:begin], pairs[2][:begin], closest[0]

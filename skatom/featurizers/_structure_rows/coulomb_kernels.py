"""Coulomb matrices of many molecules.

Arguments that the kernels share:

molecules : (positions, numbers, offsets)
    Flat arrays; the atoms of molecule s are offsets[s] to offsets[s + 1] - 1.
diagonal
    Diagonal entry by atomic number.
is_sorted, noise
    Whether columns are sorted by the norm of the row of each atom plus its noise.
start, stop
    Molecules to work on.
ranks
    Takes the column of each atom, shape (n_atoms,).
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel


@register_jitable
def fill(molecules, diagonal, s, c, norms):
    """Write the matrix of one molecule to c, and the squared norms of its rows."""
    positions, numbers, offsets = molecules
    first = offsets[s]
    n = offsets[s + 1] - first
    for i in range(n):
        c[i, i] = diagonal[numbers[first + i]]
        norms[i] = c[i, i] * c[i, i]
        z = float(numbers[first + i])
        x = positions[first + i, 0]
        y = positions[first + i, 1]
        w = positions[first + i, 2]
        for j in range(i):
            dx = positions[first + j, 0] - x
            dy = positions[first + j, 1] - y
            dw = positions[first + j, 2] - w
            r = np.sqrt(dx * dx + dy * dy + dw * dw)
            c[i, j] = np.divide(z * numbers[first + j], r)
        for j in range(i):
            square = c[i, j] * c[i, j]
            norms[j] += square
            norms[i] += square
            c[j, i] = c[i, j]
    return n


@register_jitable
def descend(norms, noise, n, keys, order):
    """Sort by norm, the largest first; equal ones stay in the order of the atoms.

    Single precision makes equal what differs by rounding only, as rows of atoms that
    are symmetric to each other do.
    """
    for i in range(n):
        key = np.float32(np.sqrt(norms[i]) + noise[i])
        k = i
        while k > 0 and keys[k - 1] < key:
            keys[k] = keys[k - 1]
            order[k] = order[k - 1]
            k -= 1
        keys[k] = key
        order[k] = i


@kernel
def matrices(molecules, diagonal, is_sorted, noise, start, stop, ranks, out):
    """Write matrices, row after row, to rows of out (n_molecules, n_max²), given as 0."""
    n_max = int(np.sqrt(out.shape[1]) + 0.5)
    c, norms = np.empty((n_max, n_max)), np.empty(n_max)
    keys, order = np.empty(n_max, dtype=np.float32), np.arange(n_max)
    for s in range(start, stop):
        first = molecules[2][s]
        n = fill(molecules, diagonal, s, c, norms)
        if is_sorted:
            descend(norms, noise[first:], n, keys, order)
        for a in range(n):
            ranks[first + order[a]] = a
            row = c[order[a]]
            for b in range(n):
                out[s, a * n_max + b] = row[order[b]]


@kernel
def atom_rows(molecules, diagonal, is_sorted, noise, start, stop, ranks, out):
    """Write the row of every atom to rows of out (n_atoms, n_max), given as 0."""
    n_max = out.shape[1]
    c, norms = np.empty((n_max, n_max)), np.empty(n_max)
    keys, order = np.empty(n_max, dtype=np.float32), np.arange(n_max)
    for s in range(start, stop):
        first = molecules[2][s]
        n = fill(molecules, diagonal, s, c, norms)
        if is_sorted:
            descend(norms, noise[first:], n, keys, order)
        for a in range(n):
            ranks[first + order[a]] = a
        for i in range(n):
            for b in range(n):
                out[first + i, b] = c[i, order[b]]

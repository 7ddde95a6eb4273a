"""Compiled sums over neighbour pairs onto their atoms, and their transposes."""

import numpy as np

from skatom._runtime.compilation import kernel


@kernel
def scatter_forces(offsets, neighbors, gradient, forces):
    """Add dE/dr of every pair to its two atoms: F_i += g, F_j -= g."""
    for i in range(len(offsets) - 1):
        for p in range(offsets[i], offsets[i + 1]):
            j = neighbors[p]
            for a in range(3):
                forces[i, a] += gradient[p, a]
                forces[j, a] -= gradient[p, a]


@kernel
def gather_forces(offsets, neighbors, cotangent, out):
    """Transpose of `scatter_forces`: v_p = f_i - f_j."""
    for i in range(len(offsets) - 1):
        for p in range(offsets[i], offsets[i + 1]):
            j = neighbors[p]
            for a in range(3):
                out[p, a] = cotangent[i, a] - cotangent[j, a]


@kernel
def move_vectors(offsets, neighbors, shifts, positions, cell, vectors):
    """Write r_ij = r_j + shift @ cell - r_i of every pair, and give the least square."""
    least = np.inf
    for i in range(len(offsets) - 1):
        for p in range(offsets[i], offsets[i + 1]):
            j = neighbors[p]
            square = 0.0
            for a in range(3):
                r = positions[j, a] - positions[i, a]
                for b in range(3):
                    r += shifts[p, b] * cell[b, a]
                vectors[p, a] = r
                square += r * r
            least = min(least, square)
    return least

"""Compiled products with stored feature Jacobians, for a batch of structures.

The Jacobian of a pair, d values[centre] / d r, is kept for the columns only that its
kind of neighbour can move: row ``starts[p]`` of a flat array begins a (3, width) block,
and ``columns[kind]`` says which features the ``widths[kind]`` columns are.
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel

# Sums may be reordered into lanes; nothing is assumed about infinities.
FAST = {"reassoc", "contract", "nsz"}


@kernel(fastmath=FAST)
def multiply(
    structures, atoms, edges, centres, neighbors, kinds, vectors, starts, blocks,
    columns, widths, g, forces, virials,
):  # fmt: skip
    """Add F_i += v, F_j -= v and W += r (x) v, with v = J_p g[i] for every pair p = ij.

    ``g`` and ``forces`` have the batch's atoms as rows, structure after structure;
    ``virials`` may be empty.
    """
    gathered = np.empty(columns.shape, g.dtype)
    v = np.empty(3, g.dtype)
    first = 0
    for b in range(len(structures)):
        s = structures[b]
        current = -1
        for p in range(edges[s], edges[s + 1]):
            i, j, kind = first + centres[p], first + neighbors[p], kinds[p]
            if i != current:
                _gather(g[i], columns, widths, gathered)
                current = i
            width = widths[kind]
            row = gathered[kind]
            for a in range(3):
                start = starts[p] + a * width
                block = blocks[start : start + width]
                total = g.dtype.type(0)
                for c in range(width):
                    total += block[c] * row[c]
                v[a] = total
                forces[i, a] += total
                forces[j, a] -= total
            if len(virials):
                _add_virial(vectors[p], v, virials[b])
        first += atoms[s + 1] - atoms[s]


@kernel(fastmath=FAST)
def multiply_transpose(
    structures, atoms, edges, centres, neighbors, kinds, vectors, starts, blocks,
    columns, widths, forces, virials, g,
):  # fmt: skip
    """Add the transpose of `multiply`: g[i] += J_p^T (f_i - f_j + sym(w) r)."""
    gathered = np.zeros(columns.shape, g.dtype)
    v = np.empty(3, g.dtype)
    first = 0
    for b in range(len(structures)):
        s = structures[b]
        current = -1
        for p in range(edges[s], edges[s + 1]):
            i, j, kind = first + centres[p], first + neighbors[p], kinds[p]
            if i != current:
                if current >= 0:
                    _spread(gathered, columns, widths, g[current])
                current = i
            for a in range(3):
                v[a] = forces[i, a] - forces[j, a]
            if len(virials):
                _add_virial_transpose(vectors[p], virials[b], v)
            width = widths[kind]
            row = gathered[kind]
            start = starts[p]
            x = blocks[start : start + width]
            y = blocks[start + width : start + 2 * width]
            z = blocks[start + 2 * width : start + 3 * width]
            for c in range(width):
                row[c] += x[c] * v[0] + y[c] * v[1] + z[c] * v[2]
        if current >= 0:
            _spread(gathered, columns, widths, g[current])
        first += atoms[s + 1] - atoms[s]


@register_jitable
def _gather(row, columns, widths, gathered):
    """Copy the columns of every kind out of a full row."""
    for k in range(len(widths)):
        for c in range(widths[k]):
            gathered[k, c] = row[columns[k, c]]


@register_jitable
def _spread(gathered, columns, widths, row):
    """Add the columns of every kind back to a full row, and clear them."""
    for k in range(len(widths)):
        for c in range(widths[k]):
            row[columns[k, c]] += gathered[k, c]
            gathered[k, c] = 0


@register_jitable
def _add_virial(r, v, virial):
    """Add (r v^T + v r^T) / 2 to w."""
    for a in range(3):
        for c in range(3):
            virial[a, c] += 0.5 * (r[a] * v[c] + r[c] * v[a])


@register_jitable
def _add_virial_transpose(r, virial, v):
    """Add the transpose of `_add_virial`: v += (W + W^T) r / 2."""
    for a in range(3):
        for c in range(3):
            v[a] += 0.5 * (virial[a, c] + virial[c, a]) * r[c]

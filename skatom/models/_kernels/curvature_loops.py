"""Compiled assembly of derivative-derivative kernels, one product a pair of structures."""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel


@register_jitable
def _is_dense(owners, starts, targets):
    """Whether all atoms of a structure have rows for the same targets, in a row."""
    first = 0
    for i in range(len(owners)):
        if owners[i] != owners[first]:
            first = i
        n = starts[first + 1] - starts[first]
        if starts[i + 1] - starts[i] != n:
            return False
        for r in range(n):
            if targets[starts[i] + r] != targets[starts[first]] + r:
                return False
    return True


@register_jitable
def _edges(owners):
    """First atom of each structure, and the end."""
    edges = [0]
    for i in range(1, len(owners)):
        if owners[i] != owners[i - 1]:
            edges.append(i)
    edges.append(len(owners))
    return edges


@register_jitable(fastmath=True)
def _combine(rows, starts, i0, i1, t, weights, j, line):
    """Make line = sum_i weights[i, j] rows of i for target t."""
    i = i0
    n = len(line)
    line[:] = 0.0
    while i + 4 <= i1:
        a, b = rows[starts[i] + t], rows[starts[i + 1] + t]
        c, d = rows[starts[i + 2] + t], rows[starts[i + 3] + t]
        wa, wb = weights[i, j], weights[i + 1, j]
        wc, wd = weights[i + 2, j], weights[i + 3, j]
        for f in range(n):
            line[f] += wa * a[f] + wb * b[f] + wc * c[f] + wd * d[f]
        i += 4
    while i < i1:
        a, wa = rows[starts[i] + t], weights[i, j]
        for f in range(n):
            line[f] += wa * a[f]
        i += 1


@register_jitable
def _side_by_side(rows, starts, j0, j1):
    """Rows of atoms j0 to j1 for the same targets in one line each."""
    n, n_features = starts[j0 + 1] - starts[j0], rows.shape[1]
    out = np.empty((n, (j1 - j0) * n_features))
    for j in range(j0, j1):
        at = (j - j0) * n_features
        for t in range(n):
            for f in range(n_features):
                out[t, at + f] = rows[starts[j] + t, f]
    return out


@register_jitable
def _combined(rows, starts, i0, i1, c, j0, j1):
    """Rows summed over the atoms i with weights c, side by side for the atoms j."""
    n, n_features = starts[i0 + 1] - starts[i0], rows.shape[1]
    out = np.empty((n, (j1 - j0) * n_features))
    for j in range(j0, j1):
        at = (j - j0) * n_features
        for t in range(n):
            _combine(rows, starts, i0, i1, t, c, j, out[t, at : at + n_features])
    return out


@register_jitable
def _weighted(d, p, starts, i0, i1, j0, j1):
    """Products d p of every target of the left, side by side for all m, i and j."""
    n, n_terms = starts[i0 + 1] - starts[i0], d.shape[0]
    out = np.empty((n, n_terms * (i1 - i0) * (j1 - j0)))
    for t in range(n):
        k = 0
        for m in range(n_terms):
            for i in range(i0, i1):
                for j in range(j0, j1):
                    out[t, k] = d[m, i, j] * p[m, starts[i] + t, j]
                    k += 1
    return out


@register_jitable
def _opposite(q, starts, i0, i1, j0, j1):
    """Products q of every target of the right, in the order of `_weighted`."""
    n, n_terms = starts[j0 + 1] - starts[j0], q.shape[0]
    out = np.empty((n, n_terms * (i1 - i0) * (j1 - j0)))
    for t in range(n):
        k = 0
        for m in range(n_terms):
            for i in range(i0, i1):
                for j in range(j0, j1):
                    out[t, k] = q[m, i, starts[j] + t]
                    k += 1
    return out


@register_jitable
def _add_product(ours, theirs, out, v, u):
    """Add ``ours @ theirs.T`` to the part of out that begins at (v, u)."""
    block = np.dot(ours, theirs.T)
    for t in range(block.shape[0]):
        for s in range(block.shape[1]):
            out[v + t, u + s] += block[t, s]


@register_jitable
def _add_dense(left, right, c, d, p, q, out):
    """Do it where all atoms of a structure have rows for the same targets.

    The atoms i of a structure are summed first; then both sides stand side by side for
    all atoms j of the other structure, so that one product of matrices does the rest.
    """
    owners, starts, targets, rows = left
    others, starts_r, targets_r, rows_r = right
    edges, edges_r = _edges(owners), _edges(others)
    for b in range(len(edges_r) - 1):
        j0, j1 = edges_r[b], edges_r[b + 1]
        theirs = _side_by_side(rows_r, starts_r, j0, j1)
        u = targets_r[starts_r[j0]]
        for a in range(len(edges) - 1):
            i0, i1 = edges[a], edges[a + 1]
            if others[j0] > owners[i0]:
                continue
            v = targets[starts[i0]]
            ours = _combined(rows, starts, i0, i1, c, j0, j1)
            _add_product(ours, theirs, out, v, u)
            if d.shape[0]:
                weighted = _weighted(d, p, starts, i0, i1, j0, j1)
                opposite = _opposite(q, starts_r, i0, i1, j0, j1)
                _add_product(weighted, opposite, out, v, u)


@register_jitable
def _add_atom(rows, starts, targets, c, d, p, i, j, place, n, t0, sums):
    """Add the rows of atom i, and its terms in columns of its own, as seen by j."""
    same, n_features = c[i, j], rows.shape[1]
    for r in range(starts[i], starts[i + 1]):
        t = targets[r] - t0
        for f in range(n_features):
            sums[t, f] += same * rows[r, f]
        for m in range(d.shape[0]):
            sums[t, n_features + m * n + place] = d[m, i, j] * p[m, r, j]


@register_jitable
def _seen_by(rows, q, r0, r1, i0, i1):
    """Rows r0 to r1 of an atom, and its products with the atoms i in columns after them."""
    n_features, n, n_terms = rows.shape[1], i1 - i0, q.shape[0]
    out = np.empty((r1 - r0, n_features + n_terms * n))
    for r in range(r0, r1):
        for f in range(n_features):
            out[r - r0, f] = rows[r, f]
        for m in range(n_terms):
            for i in range(n):
                out[r - r0, n_features + m * n + i] = q[m, i0 + i, r]
    return out


@register_jitable
def _add_sparse(left, right, c, d, p, q, out):
    """Do it for any rows: one product for each atom j, the atoms i summed before."""
    owners, starts, targets, rows = left
    others, starts_r, targets_r, rows_r = right
    n_terms, n_features = d.shape[0], rows.shape[1]
    edges = _edges(owners)
    for a in range(len(edges) - 1):
        i0, i1 = edges[a], edges[a + 1]
        n = i1 - i0
        t0 = targets[starts[i0] : starts[i1]].min()
        t1 = targets[starts[i0] : starts[i1]].max() + 1
        sums = np.zeros((t1 - t0, n_features + n_terms * n))
        for j in range(len(others)):
            if others[j] > owners[i0]:
                break
            sums[:] = 0.0
            for i in range(i0, i1):
                _add_atom(rows, starts, targets, c, d, p, i, j, i - i0, n, t0, sums)
            r0, r1 = starts_r[j], starts_r[j + 1]
            products = np.dot(sums, _seen_by(rows_r, q, r0, r1, i0, i1).T)
            for t in range(len(products)):
                for r in range(r1 - r0):
                    out[t0 + t, targets_r[r0 + r]] += products[t, r]


@kernel
def add_curvatures(left, right, c, d, p, q, out):
    """Add sum_ij D_i (c_ij I + sum_m d_mij p_m (x) q_m) D_j^T of atoms of one species.

    ``left`` and ``right`` are (structure of each atom, first row of each atom, target of
    each row, rows D); ``d`` (n_terms, n_left, n_right), ``p`` (n_terms, n_left_rows,
    n_right) and ``q`` (n_terms, n_left, n_right_rows) already hold the products with the
    rows. Pairs of structures above the diagonal are left out.
    """
    if _is_dense(left[0], left[1], left[2]) and _is_dense(right[0], right[1], right[2]):
        _add_dense(left, right, c, d, p, q, out)
    else:
        _add_sparse(left, right, c, d, p, q, out)

"""Compiled loops of the design matrix: pair derivatives summed into rows."""

from numba import njit


@njit(cache=True, nogil=True)
def sum_pairs(own_slot, slot, jacobian, out):
    """Sum d values / d r_p over the pairs of every (centre, atom): +J at i, -J at j."""
    for p in range(len(slot)):
        own, other = own_slot[p], slot[p]
        for c in range(3):
            for f in range(jacobian.shape[2]):
                out[own, c, f] += jacobian[p, c, f]
                out[other, c, f] -= jacobian[p, c, f]


@njit(cache=True, nogil=True)
def sum_strain(centers, vectors, jacobian, out):
    """Sum r_p (x) d values / d r_p over the pairs of every centre, symmetrised, Voigt."""
    for p in range(len(centers)):
        i = centers[p]
        x, y, z = vectors[p]
        for f in range(jacobian.shape[2]):
            jx, jy, jz = jacobian[p, 0, f], jacobian[p, 1, f], jacobian[p, 2, f]
            out[i, 0, f] += x * jx
            out[i, 1, f] += y * jy
            out[i, 2, f] += z * jz
            out[i, 3, f] += 0.5 * (y * jz + z * jy)
            out[i, 4, f] += 0.5 * (x * jz + z * jx)
            out[i, 5, f] += 0.5 * (x * jy + y * jx)


@njit(cache=True, nogil=True)
def add_scaled(centers, targets, scale, products, out):
    """out[target of r] += scale[centre of r] * products[r], elementwise in columns."""
    for r in range(len(centers)):
        i, t = centers[r], targets[r]
        for m in range(products.shape[1]):
            out[t, m] += scale[i, m] * products[r, m]


@njit(cache=True, nogil=True)
def add_outer(centers, targets, scale, factors, out):
    """out[target of r] += factors[r] * scale[centre of r]."""
    for r in range(len(centers)):
        i, t = centers[r], targets[r]
        factor = factors[r]
        for m in range(scale.shape[1]):
            out[t, m] += factor * scale[i, m]


@njit(cache=True, nogil=True)
def add_rows(targets, first_column, rows, out):
    """out[target of r, first column of r :] += rows[r]."""
    for r in range(len(targets)):
        t, c = targets[r], first_column[r]
        for f in range(rows.shape[1]):
            out[t, c + f] += rows[r, f]


@njit(cache=True, nogil=True)
def add_curvature(rows, columns, products, c, d, p, q, out):
    """Add kernel curvature between derivative rows of two sets of atoms.

    ``rows`` and ``columns`` are (first row of each atom, target of each row). For atoms i
    and j, out[t, u] += c_ij products[r, s] + d_ij p[r, j] q[i, s] over their rows.
    """
    row_starts, row_targets = rows
    column_starts, column_targets = columns
    for i in range(len(row_starts) - 1):
        for r in range(row_starts[i], row_starts[i + 1]):
            t = row_targets[r]
            for j in range(len(column_starts) - 1):
                same, cross = c[i, j], d[i, j] * p[r, j]
                for s in range(column_starts[j], column_starts[j + 1]):
                    out[t, column_targets[s]] += same * products[r, s] + cross * q[i, s]

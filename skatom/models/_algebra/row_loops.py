"""Compiled loops of the design matrix: pair derivatives summed into rows."""

import numpy as np

from skatom._runtime.compilation import kernel


@kernel
def sum_pairs(own_slot, slot, jacobian, out):
    """Sum d values / d r_p over the pairs of every (centre, atom): +J at i, -J at j."""
    for p in range(len(slot)):
        own, other = own_slot[p], slot[p]
        for c in range(3):
            for f in range(jacobian.shape[2]):
                out[own, c, f] += jacobian[p, c, f]
                out[other, c, f] -= jacobian[p, c, f]


@kernel
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


@kernel
def add_scaled(centers, targets, scale, products, out):
    """out[target of r] += scale[centre of r] * products[r], elementwise in columns."""
    for r in range(len(centers)):
        i, t = centers[r], targets[r]
        for m in range(products.shape[1]):
            out[t, m] += scale[i, m] * products[r, m]


@kernel
def add_outer(centers, targets, scale, factors, out):
    """out[target of r] += factors[r] * scale[centre of r]."""
    for r in range(len(centers)):
        i, t = centers[r], targets[r]
        factor = factors[r]
        for m in range(scale.shape[1]):
            out[t, m] += factor * scale[i, m]


@kernel
def add_rows(targets, first_column, rows, out):
    """out[target of r, first column of r :] += rows[r]."""
    for r in range(len(targets)):
        t, c = targets[r], first_column[r]
        for f in range(rows.shape[1]):
            out[t, c + f] += rows[r, f]


@kernel
def add_curvature(left, right, c, d, p, q, out):
    """Add sum_ij D_i (c_ij I + d_ij p (x) q) D_j^T of one species to its targets.

    ``left`` and ``right`` are (structure of each atom, first row of each atom, target of
    each row, rows D); p and q already hold the products with the rows. For each atom j
    the atoms i of a structure are summed before they meet the rows of j: one small
    matrix product for both terms, in place of one for every pair of atoms. Pairs of
    structures above the diagonal are left out.
    """
    owners, starts, targets, rows = left
    n_features = rows.shape[1]
    first = 0
    while first < len(owners):
        last = first
        while last < len(owners) and owners[last] == owners[first]:
            last += 1
        own_targets = targets[starts[first] : starts[last]]
        t0 = own_targets.min()
        sums = np.zeros((own_targets.max() - t0 + 1, n_features + last - first))
        for j in range(len(right[0])):
            if right[0][j] > owners[first]:
                break
            sums[:] = 0.0
            for i in range(first, last):
                same, cross = c[i, j], d[i, j]
                for r in range(starts[i], starts[i + 1]):
                    t = targets[r] - t0
                    for f in range(n_features):
                        sums[t, f] += same * rows[r, f]
                    sums[t, n_features + i - first] = cross * p[r, j]
            r0, r1 = right[1][j], right[1][j + 1]
            others = np.empty((r1 - r0, sums.shape[1]))
            others[:, :n_features] = right[3][r0:r1]
            others[:, n_features:] = q[first:last, r0:r1].T
            products = np.dot(sums, others.T)
            for t in range(len(products)):
                for r in range(r1 - r0):
                    out[t0 + t, right[2][r0 + r]] += products[t, r]
        first = last


@kernel
def combine_rows(starts, targets, rows, factors, out):
    """out[i] += sum of the rows r of atom i, each times factors[target of r]."""
    for i in range(len(starts) - 1):
        for r in range(starts[i], starts[i + 1]):
            factor = factors[targets[r]]
            for f in range(rows.shape[1]):
                out[i, f] += factor * rows[r, f]


@kernel
def project_rows(starts, targets, rows, gradient, out):
    """out[target of r] += rows[r] . gradient[i] for the rows r of every atom i."""
    for i in range(len(starts) - 1):
        for r in range(starts[i], starts[i + 1]):
            total = 0.0
            for f in range(rows.shape[1]):
                total += rows[r, f] * gradient[i, f]
            out[targets[r]] += total

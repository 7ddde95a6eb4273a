"""Compiled loops of the design matrix: pair derivatives summed into rows."""

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
    """Add to out[target of r] scale[centre of r] * products[r], elementwise in columns."""
    for r in range(len(centers)):
        i, t = centers[r], targets[r]
        for m in range(products.shape[1]):
            out[t, m] += scale[i, m] * products[r, m]


@kernel
def add_outer(centers, targets, scale, factors, out):
    """Add to out[target of r] factors[r] * scale[centre of r]."""
    for r in range(len(centers)):
        i, t = centers[r], targets[r]
        factor = factors[r]
        for m in range(scale.shape[1]):
            out[t, m] += factor * scale[i, m]


@kernel
def add_rows(targets, first_column, rows, out):
    """Add rows[r] to out[target of r, first column of r :]."""
    for r in range(len(targets)):
        t, c = targets[r], first_column[r]
        for f in range(rows.shape[1]):
            out[t, c + f] += rows[r, f]


@kernel
def combine_rows(starts, targets, rows, factors, out):
    """Add to out[i] the sum of the rows r of atom i, each times factors[target of r]."""
    for i in range(len(starts) - 1):
        for r in range(starts[i], starts[i + 1]):
            factor = factors[targets[r]]
            for f in range(rows.shape[1]):
                out[i, f] += factor * rows[r, f]


@kernel
def project_rows(starts, targets, rows, gradient, out):
    """Add to out[target of r] rows[r] . gradient[i] for the rows r of every atom i."""
    for i in range(len(starts) - 1):
        for r in range(starts[i], starts[i + 1]):
            total = 0.0
            for f in range(rows.shape[1]):
                total += rows[r, f] * gradient[i, f]
            out[targets[r]] += total

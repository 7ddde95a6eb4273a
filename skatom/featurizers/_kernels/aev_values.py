"""Values of the angular functions of AEV; arguments stand in `aev_triples`."""

from numba import njit

from skatom.featurizers._kernels._caching import kernel
from skatom.featurizers._kernels.aev_triples import (
    add_products,
    reach,
    turn,
    values_of_angles,
    weigh,
    workspace,
)
from skatom.featurizers._kernels.environment import gather, table
from skatom.featurizers._kernels.triples import pair_index


@kernel
def angular_values(block, n_species, cut, shape, decay, shells, angles, first, out):
    """Write the angular functions to rows of `out`."""
    near, index, runs = table(block, n_species)
    triples, parts, waves, p, sums = workspace(near.shape[1], n_species, shells, angles)
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, False, near, index, runs)
        m = runs[1, n_runs]
        reach(m, decay[0], shells, near, parts)
        for a in range(n_runs):
            sums[:] = 0.0
            for j in range(runs[1, a], runs[1, a + 1]):
                turn(j, m, decay[0], near, triples)
                for b in range(a, n_runs):
                    start = max(j + 1, runs[1, b])
                    n = runs[1, b + 1] - start
                    for t in range(n):
                        weigh(t, j, start + t, triples, parts, waves)
                        values_of_angles(t, start + t, decay[1], angles, triples, p)
                    if n > 0:
                        to = b * shells.shape[1]
                        add_products(n, to, shape[0], waves, p, sums)
            write_sums(i, a, n_runs, runs, n_species, shape, shells, first, sums, out)


@njit
def write_sums(i, a, n_runs, runs, n_species, shape, shells, first, sums, out):
    """Copy what run `a` has with the runs from `a` on to the columns of their pairs."""
    n_shells, n_angles = shape
    for b in range(a, n_runs):
        pair = pair_index(runs[0, a], runs[0, b], n_species)
        column = first + pair * n_shells * n_angles
        for m in range(n_shells):
            for q in range(n_angles):
                out[i, column] += sums[b * shells.shape[1] + m, q]
                column += 1

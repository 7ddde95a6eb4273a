"""Values of the angular functions of AEV; arguments stand in `triples`."""

from skatom._runtime.compilation import kernel
from skatom.featurizers._aev.triples import (
    add_products,
    chunk,
    reach,
    turn,
    values_of_angles,
    weigh,
    workspace,
    write_sums,
)
from skatom.featurizers._simd.environment import gather, table
from skatom.featurizers._simd.triples import pair_index


@kernel
def angular_values(block, n_species, cut, shape, decay, shells, angles, first, out):
    """Write the angular functions to rows of `out`."""
    near, index, runs = table(block, n_species)
    triples, parts, waves, p, sums = workspace(near.shape[1], shells, angles)
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, False, near, index, runs)
        m = runs[1, n_runs]
        reach(m, decay[0], shells, near, parts)
        for a in range(n_runs):
            j_stop = runs[1, a + 1]
            for j_start in range(runs[1, a], j_stop, chunk(m)):
                stop = min(j_start + chunk(m), j_stop)
                for j in range(j_start, stop):
                    turn(j, m, decay[0], near, triples)
                    base = (j - j_start) * m
                    weigh(j, m, base, triples, parts, waves)
                    values_of_angles(j, m, base, decay[1], angles, triples, p)
                for b in range(a, n_runs):
                    pair = pair_index(runs[0, a], runs[0, b], n_species)
                    column = first + pair * shape[0] * shape[1]
                    ends = (j_start, stop, runs[1, b], runs[1, b + 1], m)
                    add_products(ends, shape, waves, p, sums)
                    write_sums(i, column, shape, sums, out)

"""Values of the three-body functions of FCHL19; arguments stand in `triples`."""

from skatom._runtime.compilation import kernel
from skatom.featurizers._fchl19.triples import (
    WAVES,
    add_products,
    reach,
    turn,
    workspace,
    write_sums,
)
from skatom.featurizers._simd.environment import gather, table
from skatom.featurizers._simd.triples import pair_index


@kernel
def angular_values(block, n_species, cut, decay, waves, grid, first, out):
    """Add the three-body functions to rows of `out`."""
    near, index, runs = table(block, n_species)
    triples, parts, sums = workspace(near.shape[1], n_species, waves, grid[0])
    shape = grid[1], 2 * len(waves)
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, False, near, index, runs)
        m = runs[1, n_runs]
        reach(m, decay, grid[0], near, parts)
        for a in range(n_runs):
            for j in range(runs[1, a], runs[1, a + 1]):
                turn(j, m, decay, waves, near, triples)
                for b in range(a, n_runs):
                    ends = (max(j + 1, runs[1, b]), runs[1, b + 1])
                    at = pair_index(a, b, n_runs) * shape[1]
                    add_products(j, ends, WAVES, shape[1], at, parts, triples, sums)
        write_sums(i, n_runs, runs, n_species, first, shape, sums, out)

"""Values of the symmetry functions G2, G4 and G5 for all centres of a block.

A row of features holds G2 by species, then G4 and then G5 by pair of species a <= b.
Arguments of all kernels of ACSF:

block : (start, stop, offsets, channels, vectors)
    Centres start to stop - 1 and the pairs of all centres, sorted by channel in each row.
n_species : number of channels
cut : (r_cut, kind, gamma)
radial : (parameters, n)
    Rows eta and r_s of n functions, padded with zeros to whole groups of lanes.
grid : (etas, powers, terms)
    Arrays (1, n) of eta; (n, 2) of zeta and lambda; (n, 3) of the row of ``etas``, the
    row of ``powers`` and the column of each angular function, sorted by eta.
side : True for G4, False for G5
first : first angular column
"""

import numpy as np
from numba import njit

from skatom.featurizers._kernels._caching import kernel
from skatom.featurizers._kernels.environment import INVERSE, F, S, gather, table
from skatom.featurizers._kernels.lanes import exp2, get, load, splat, store, total
from skatom.featurizers._kernels.triples import (
    LOG2E,
    begin,
    evaluate,
    fill,
    pair_index,
    workspace,
)


@kernel
def radial_values(block, n_species, cut, radial, out):
    """Write G2 to rows of `out`. The lanes are functions here, not neighbours."""
    parameters, n = radial
    near, index, runs = table(block, n_species)
    scratch = np.empty((1, 8))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, False, near, index, runs)
        for a in range(n_runs):
            for q in range(0, n, 8):
                k = load(parameters, 0, q) * -LOG2E
                shift = load(parameters, 1, q)
                summed = splat(0.0)
                for j in range(runs[1, a], runs[1, a + 1]):
                    d = get(near, S, j) * get(near, INVERSE, j) - shift
                    summed = summed + exp2(k * d * d) * get(near, F, j)
                store(scratch, 0, 0, summed)
                for lane in range(min(8, n - q)):
                    out[i, runs[0, a] * n + q + lane] = scratch[0, lane]


@kernel
def angular_values(block, n_species, cut, grid, side, first, out):
    """Add G4 or G5 to rows of `out`."""
    near, index, runs = table(block, n_species)
    triples, ends, waves, p, cursor = workspace(grid[0], grid[1])
    reach = cut[0] * cut[0] if side else np.inf
    n_terms = len(grid[2])
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, False, near, index, runs)
        for a in range(n_runs):
            for b in range(a, n_runs):
                pair = pair_index(runs[0, a], runs[0, b], n_species)
                row = out[i, first + pair * n_terms : first + (pair + 1) * n_terms]
                stops = begin(a, b, runs, cursor)
                n = fill(cursor, stops, near, reach, triples, ends)
                while n > 0:
                    evaluate(n, side, cut, grid, triples, waves, p)
                    add_products(n, grid[2], waves, p, row)
                    n = fill(cursor, stops, near, reach, triples, ends)


@njit
def add_products(n, terms, waves, p, row):
    """Add sum_t waves[e, t] p[q, t] to the column of every term, four at a time."""
    done = 0
    while done < len(terms):
        e = terms[done, 0]
        count = 1
        while count < 4 and done + count < len(terms) and terms[done + count, 0] == e:
            count += 1
        t0, t3 = terms[done], terms[done + count - 1]
        t1, t2 = terms[done + min(1, count - 1)], terms[done + min(2, count - 1)]
        a0 = a1 = a2 = a3 = splat(0.0)
        for t in range(0, n, 8):
            wave = load(waves, e, t)
            a0 = a0 + wave * load(p, t0[1], t)
            a1 = a1 + wave * load(p, t1[1], t)
            a2 = a2 + wave * load(p, t2[1], t)
            a3 = a3 + wave * load(p, t3[1], t)
        # fewer than four: the last one was repeated and is added once
        row[t3[2]] += total(a3)
        if count > 1:
            row[t0[2]] += total(a0)
        if count > 2:
            row[t1[2]] += total(a1)
        if count > 3:
            row[t2[2]] += total(a2)
        done += count

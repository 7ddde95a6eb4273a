"""Values of the symmetry functions G2, G4 and G5 for all centres of a block.

A row of features holds G2 by species, then G4 and then G5 by pair of species a <= b.
Arguments of all kernels of ACSF:

block : tuple of a PairBlock
    Centres start to stop - 1 and the pairs of all centres, sorted by channel in each row.
n_species : number of channels
cut : (r_cut, kind, gamma)
radial : (parameters, n)
    Rows eta, r_s and factor of n functions, padded with zeros to whole groups of lanes.
grid : (etas, powers, terms, starts)
    Arrays (1, n) of eta; (n, 4) of zeta, lambda and how to step up to this power (see
    `triples`); (n, 3) of the row of ``etas``, the row of ``powers`` and the column of
    each angular function, sorted by eta; first term of every eta, and the end.
part : (side, first, width, most)
    True for G4, False for G5; first column of their kind; number of columns of a pair of
    species. Centres with more than ``most`` pairs are left to `moments_g5`.
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
from skatom.featurizers._simd.environment import INVERSE, F, S, gather, table
from skatom.featurizers._simd.lanes import exp2, get, load, splat, store, total
from skatom.featurizers._simd.triples import (
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
                store(scratch, 0, 0, summed * load(parameters, 2, q))
                for lane in range(min(8, n - q)):
                    out[i, runs[0, a] * n + q + lane] = scratch[0, lane]


@kernel
def angular_values(block, n_species, cut, grid, part, out):
    """Add G4 or G5 to rows of `out`."""
    offsets, (side, first, width, most) = block[2], part
    near, index, runs = table(block, n_species)
    triples, waves, p, cursor = workspace(grid[0], grid[1])
    reach = cut[0] * cut[0] if side else np.inf
    for i in range(block[0], block[1]):
        if offsets[i + 1] - offsets[i] > most:
            continue
        n_runs = gather(i, block, cut, False, near, index, runs)
        for a in range(n_runs):
            for b in range(a, n_runs):
                pair = pair_index(runs[0, a], runs[0, b], n_species)
                row = out[i, first + pair * width : first + (pair + 1) * width]
                stops = begin(a, b, runs, cursor)
                n = fill(cursor, stops, near, reach, triples)
                while n > 0:
                    evaluate(n, side, False, cut, grid, triples, waves, p, p)
                    add_products(n, grid, waves, p, row)
                    n = fill(cursor, stops, near, reach, triples)


@register_jitable
def add_products(n, grid, waves, p, row):
    """Add sum_t waves[e, t] p[q, t] to the column of every term, four at a time."""
    terms, starts = grid[2], grid[3]
    for e in range(len(starts) - 1):
        last = starts[e + 1] - 1
        for k in range(starts[e], last + 1, 4):
            k1, k2, k3 = min(k + 1, last), min(k + 2, last), min(k + 3, last)
            q0, q1, q2, q3 = terms[k, 1], terms[k1, 1], terms[k2, 1], terms[k3, 1]
            a0 = a1 = a2 = a3 = splat(0.0)
            for t in range(0, n, 8):
                wave = load(waves, e, t)
                a0 = a0 + wave * load(p, q0, t)
                a1 = a1 + wave * load(p, q1, t)
                a2 = a2 + wave * load(p, q2, t)
                a3 = a3 + wave * load(p, q3, t)
            # where fewer than four are left, the last one was taken again
            row[terms[k, 2]] += total(a0)
            if k < last:
                row[terms[k1, 2]] += total(a1)
            if k + 1 < last:
                row[terms[k2, 2]] += total(a2)
            if k + 2 < last:
                row[terms[k3, 2]] += total(a3)

"""Weighted radial functions: sums over all neighbours, whatever their species.

Function q of channel c is sum_j w_jc exp(-eta (r - r_s)²) f. The sum over the neighbours
of one species is formed once and weighted for every channel. Arguments of all kernels:

block : tuple of a PairBlock
weights : array (n_species, n_channels)
cut : (r_cut, kind, gamma)
radial : (parameters, n), rows eta and r_s of n functions, padded to groups of lanes
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
from skatom.featurizers._simd.environment import (
    INVERSE,
    SLOPE,
    F,
    S,
    X,
    Y,
    Z,
    gather,
    table,
)
from skatom.featurizers._simd.lanes import exp2, get, load, splat, store, total

LOG2E = 1.4426950408889634


@kernel
def radial_values(block, weights, cut, radial, out):
    """Add the radial functions to rows of `out`."""
    parameters, n = radial
    near, index, runs = table(block, len(weights))
    terms, sums = np.zeros((near.shape[1], parameters.shape[1])), np.zeros(n)
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, False, near, index, runs)
        _fill_terms(runs[1, n_runs], parameters, near, terms)
        for a in range(n_runs):
            sums[:] = 0.0
            for j in range(runs[1, a], runs[1, a + 1]):
                for q in range(n):
                    sums[q] += terms[j, q]
            _spread_sums(weights[runs[0, a]], sums, out[i])


@kernel
def radial_pullback(block, weights, cut, radial, g, out):
    """Add the pullback of the radial functions to the block's rows of `out`."""
    parameters, n = radial
    near, index, runs = table(block, len(weights))
    slopes = np.zeros((near.shape[1], parameters.shape[1]))
    combined = np.zeros((1, parameters.shape[1]))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        _fill_slopes(runs[1, n_runs], parameters, near, slopes)
        for a in range(n_runs):
            combined[:] = 0.0
            for c in range(weights.shape[1]):
                for q in range(n):
                    combined[0, q] += weights[runs[0, a], c] * g[i, c * n + q]
            for j in range(runs[1, a], runs[1, a + 1]):
                summed = splat(0.0)
                for q in range(0, n, 8):
                    summed = summed + load(slopes, j, q) * load(combined, 0, q)
                slope, pair = 2.0 * total(summed), index[j]
                out[pair, 0] += slope * get(near, X, j)
                out[pair, 1] += slope * get(near, Y, j)
                out[pair, 2] += slope * get(near, Z, j)


@kernel
def radial_pushforward(block, weights, cut, radial, v, out):
    """Add the change of the radial functions to rows of `out`."""
    parameters, n = radial
    near, index, runs = table(block, len(weights))
    slopes, sums = np.zeros((near.shape[1], parameters.shape[1])), np.zeros(n)
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        _fill_slopes(runs[1, n_runs], parameters, near, slopes)
        for a in range(n_runs):
            sums[:] = 0.0
            for j in range(runs[1, a], runs[1, a + 1]):
                p = index[j]
                ds = get(near, X, j) * v[p, 0] + get(near, Y, j) * v[p, 1]
                ds = 2.0 * (ds + get(near, Z, j) * v[p, 2])
                for q in range(n):
                    sums[q] += slopes[j, q] * ds
            _spread_sums(weights[runs[0, a]], sums, out[i])


@kernel
def radial_jacobian(block, weights, cut, radial, out):
    """Add the derivatives of the radial functions to the block's rows of `out`."""
    parameters, n = radial
    near, index, runs = table(block, len(weights))
    slopes = np.zeros((near.shape[1], parameters.shape[1]))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        _fill_slopes(runs[1, n_runs], parameters, near, slopes)
        for a in range(n_runs):
            for j in range(runs[1, a], runs[1, a + 1]):
                for axis in range(3):
                    step = 2.0 * near[X + axis, j]
                    _spread_row(
                        weights[runs[0, a]], slopes[j], step, n, out[index[j], axis]
                    )


@register_jitable
def _fill_terms(m, parameters, near, terms):
    """Fill exp(-eta (r - r_s)²) f of every neighbour and function."""
    for j in range(m):
        r = get(near, S, j) * get(near, INVERSE, j)
        for q in range(0, parameters.shape[1], 8):
            d = r - load(parameters, 1, q)
            wave = exp2(load(parameters, 0, q) * d * d * -LOG2E)
            store(terms, j, q, wave * get(near, F, j))


@register_jitable
def _fill_slopes(m, parameters, near, slopes):
    """Fill the derivatives by s = r² of what `_fill_terms` fills."""
    for j in range(m):
        inverse, slope = get(near, INVERSE, j), get(near, SLOPE, j)
        r = get(near, S, j) * inverse
        for q in range(0, parameters.shape[1], 8):
            eta, d = load(parameters, 0, q), r - load(parameters, 1, q)
            wave = exp2(eta * d * d * -LOG2E) * get(near, F, j)
            store(slopes, j, q, wave * (slope - eta * d * inverse))


@register_jitable
def _spread_sums(weights, sums, row):
    """Add the sums over one species to all channels."""
    _spread_row(weights, sums, 1.0, len(sums), row)


@register_jitable
def _spread_row(weights, sums, factor, n, row):
    """Add `factor` times the first n sums to all channels."""
    for c in range(len(weights)):
        w = weights[c] * factor
        for q in range(n):
            row[c * n + q] += w * sums[q]

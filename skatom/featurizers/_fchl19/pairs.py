"""The two-body functions of FCHL19, their values and derivatives.

A neighbour at the distance r adds a log-normal density to shell R of its species,

    V = f / (r**n sigma sqrt(2 pi) R) exp(-(ln R - mu)**2 / (2 sigma**2)),
    sigma**2 = ln(1 + eta / r**2),   mu = ln r - sigma**2 / 2.

With s = r**2 and x = ln R - mu, dV/ds = V (alpha + beta x + gamma x**2), where alpha, beta
and gamma are numbers of the neighbour. The lanes are shells: runs of one species are short.

Arguments of all kernels:

block : tuple of a PairBlock
n_species : number of channels
cut : (r_cut, kind, gamma)
decay : (eta, n)
radial : (shells, n_shells), with ``shells`` an array (2, n_shells padded to groups of
    lanes) of ln R and 1 / (R sqrt(2 pi)), zeros in the padding
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
from skatom.featurizers._aev.powers import log2
from skatom.featurizers._simd.environment import (
    DS,
    SLOPE,
    F,
    S,
    X,
    Y,
    Z,
    gather,
    gather_tangents,
    table,
)
from skatom.featurizers._simd.lanes import (
    exp2,
    get,
    load,
    splat,
    sqrt,
    store,
    total,
)

LN2 = 0.6931471805599453
LOG2E = 1.4426950408889634

# Rows of the table of neighbours: f / (r**n sigma), mu, -log2(e) / (2 sigma**2) ...
HEIGHT, CENTER, NARROW = 0, 1, 2
# ... and in derivatives: alpha, beta and gamma
ALPHA, BETA, GAMMA = 3, 4, 5
ROWS = 6


@kernel
def radial_values(block, n_species, cut, decay, radial, out):
    """Write the two-body functions to rows of `out`."""
    shells, n = radial
    near, index, runs = table(block, n_species)
    peaks, sums = np.zeros((ROWS, near.shape[1])), np.zeros((1, shells.shape[1]))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, False, near, index, runs)
        _shape(runs[1, n_runs], decay, False, near, peaks)
        for a in range(n_runs):
            for v in range(0, shells.shape[1], 8):
                summed = splat(0.0)
                for j in range(runs[1, a], runs[1, a + 1]):
                    summed = summed + _density(j, v, shells, peaks)
                store(sums, 0, v, summed * load(shells, 1, v))
            for q in range(n):
                out[i, runs[0, a] * n + q] = sums[0, q]


@kernel
def radial_pullback(block, n_species, cut, decay, radial, g, out):
    """Add the pullback of the two-body functions to the block's rows of `out`."""
    shells, n = radial
    near, index, runs = table(block, n_species)
    peaks = np.zeros((ROWS, near.shape[1]))
    weights = np.zeros((1, shells.shape[1]))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        _shape(runs[1, n_runs], decay, True, near, peaks)
        for a in range(n_runs):
            for q in range(n):
                weights[0, q] = g[i, runs[0, a] * n + q] * shells[1, q]
            for j in range(runs[1, a], runs[1, a + 1]):
                summed = splat(0.0)
                for v in range(0, shells.shape[1], 8):
                    summed = summed + _slope(j, v, shells, peaks) * load(weights, 0, v)
                by_s, pair = 2.0 * total(summed), index[j]
                out[pair, 0] += by_s * get(near, X, j)
                out[pair, 1] += by_s * get(near, Y, j)
                out[pair, 2] += by_s * get(near, Z, j)


@kernel
def radial_pushforward(block, n_species, cut, decay, radial, v, out):
    """Write the change of the two-body functions to rows of `out`."""
    shells, n = radial
    near, index, runs = table(block, n_species)
    peaks, sums = np.zeros((ROWS, near.shape[1])), np.zeros((1, shells.shape[1]))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        gather_tangents(runs[1, n_runs], index, v, near)
        _shape(runs[1, n_runs], decay, True, near, peaks)
        for a in range(n_runs):
            for q in range(0, shells.shape[1], 8):
                summed = splat(0.0)
                for j in range(runs[1, a], runs[1, a + 1]):
                    summed = summed + _slope(j, q, shells, peaks) * get(near, DS, j)
                store(sums, 0, q, summed * load(shells, 1, q))
            for q in range(n):
                out[i, runs[0, a] * n + q] = sums[0, q]


@kernel
def radial_jacobian(block, n_species, cut, decay, radial, out):
    """Write the derivatives of the two-body functions to the block's rows of `out`."""
    shells, n = radial
    near, index, runs = table(block, n_species)
    peaks, slopes = np.zeros((ROWS, near.shape[1])), np.zeros((1, shells.shape[1]))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        _shape(runs[1, n_runs], decay, True, near, peaks)
        for a in range(n_runs):
            for j in range(runs[1, a], runs[1, a + 1]):
                for v in range(0, shells.shape[1], 8):
                    slope = _slope(j, v, shells, peaks) * load(shells, 1, v)
                    store(slopes, 0, v, slope * 2.0)
                rows = out[index[j]]
                for q in range(n):
                    for axis in range(3):
                        column = runs[0, a] * n + q
                        rows[axis, column] = slopes[0, q] * get(near, X + axis, j)


@register_jitable
def _shape(m, decay, slopes, near, peaks):
    """Fill the table of the first `m` neighbours."""
    eta, power = decay
    for j in range(0, m, 8):
        s = load(near, S, j)
        log_s = log2(s)
        square = log2(eta / s + 1.0) * LN2
        inverse = 1.0 / square
        height = exp2(log_s * (-0.5 * power)) * sqrt(inverse)
        store(peaks, HEIGHT, j, height * load(near, F, j))
        store(peaks, CENTER, j, (log_s * LN2 - square) * 0.5)
        store(peaks, NARROW, j, inverse * (-0.5 * LOG2E))
        if slopes:
            change = -eta / (s * (s + eta))  # of sigma**2 by s
            moved = 0.5 / s - change * 0.5  # of mu by s
            half = change * inverse * 0.5
            store(peaks, ALPHA, j, load(near, SLOPE, j) - 0.5 * power / s - half)
            store(peaks, BETA, j, moved * inverse)
            store(peaks, GAMMA, j, half * inverse)


@register_jitable
def _density(j, v, shells, peaks):
    """Return V R sqrt(2 pi) of neighbour `j` in eight shells."""
    x = load(shells, 0, v) - get(peaks, CENTER, j)
    return exp2(x * x * get(peaks, NARROW, j)) * get(peaks, HEIGHT, j)


@register_jitable
def _slope(j, v, shells, peaks):
    """Return dV/ds R sqrt(2 pi) of neighbour `j` in eight shells."""
    x = load(shells, 0, v) - get(peaks, CENTER, j)
    rate = (x * get(peaks, GAMMA, j) + get(peaks, BETA, j)) * x + get(peaks, ALPHA, j)
    return exp2(x * x * get(peaks, NARROW, j)) * get(peaks, HEIGHT, j) * rate

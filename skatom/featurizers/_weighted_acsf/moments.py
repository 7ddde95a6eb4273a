"""Weighted angular functions without r_jk, from moments that are linear in neighbours.

With e_j = exp(-eta s_j) f_j, unit vectors u_j and weights w_j of one channel,

    sum_{j<k} w_j w_k (1 + lambda cos)^zeta e_j e_k
        = 1/2 [sum_n binom(zeta, n) lambda^n Q_n - (1 + lambda)^zeta D],
    Q_n = sum_{a+b+c=n} n!/(a! b! c!) M_abc²,   M_abc = sum_j w_j e_j x^a y^b z^c,

D = sum_j (w_j e_j)² being the terms j = k. All zeta and lambda of one eta share Q and D;
moments of one species are formed once and weighted for every channel. The lanes are eta.

Arguments of all kernels:

block : tuple of a PairBlock
weights : array (n_species, n_channels)
cut : (r_cut, kind, gamma)
basis : (etas, steps, lowers, exponents, degrees, counts)
    etas (1, n_etas padded to lanes); monomials in such an order that each is an earlier
    one times a coordinate, ``steps`` (n, 2); ``lowers`` and ``exponents`` (n, 3), the
    monomial and the factor of the derivative by each coordinate; degree; multinomial
terms : (coefficients, selfs, eta_of, columns)
    of Q_n, (n_terms, max degree + 1), and of D; lane; column inside of a channel
layout : (first angular column, columns of a channel)
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
from skatom.featurizers._simd.lanes import exp2, get, load, put, splat, store

LOG2E = 1.4426950408889634


@kernel
def moment_values(block, weights, cut, basis, terms, layout, out):
    """Add the functions to rows of `out`."""
    near, index, runs = table(block, len(weights))
    mono, waves, part, m, d = workspace(near.shape[1], weights.shape[1], basis)
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, False, near, index, runs)
        moments(n_runs, runs, weights, basis, near, mono, waves, part, m, d)
        powers = square(m, m, basis, weights.shape[1], 1.0)
        write(powers, d, terms, layout, 1.0, out[i])


@register_jitable
def workspace(room, n_channels, basis):
    """Return empty tables: monomials, waves, moments of a species, moments, and D."""
    n_mono, n_eta = len(basis[1]), basis[0].shape[1]
    return (
        np.zeros((room, n_mono)),
        np.zeros((room, n_eta)),
        np.zeros((n_mono + 1, n_eta)),  # D stands in the last row
        np.zeros((n_channels * n_mono, n_eta)),
        np.zeros((n_channels, n_eta)),
    )


@register_jitable
def moments(n_runs, runs, weights, basis, near, mono, waves, part, m, d):
    """Fill the monomials and waves of all neighbours, and the moments and D."""
    _fill_monomials(runs[1, n_runs], basis[1], near, mono)
    _fill_waves(runs[1, n_runs], basis[0], near, waves)
    m[:], d[:] = 0.0, 0.0
    for a in range(n_runs):
        _add_up(runs[1, a], runs[1, a + 1], mono, waves, part)
        contract(weights, runs[0, a], part, m, d)


@register_jitable
def _fill_monomials(n, steps, near, mono):
    for j in range(n):
        inverse = get(near, INVERSE, j)
        put(mono, j, 0, 1.0)
        for q in range(1, len(steps)):
            u = get(near, X + steps[q, 1], j) * inverse
            put(mono, j, q, get(mono, j, steps[q, 0]) * u)


@register_jitable
def _fill_waves(n, etas, near, waves):
    for j in range(n):
        for v in range(0, etas.shape[1], 8):
            wave = exp2(load(etas, 0, v) * (get(near, S, j) * -LOG2E))
            store(waves, j, v, wave * get(near, F, j))


@register_jitable
def _add_up(start, stop, mono, waves, part):
    """Fill the moments of the neighbours `start` to `stop`, and sum e²."""
    n_mono = mono.shape[1]
    for v in range(0, waves.shape[1], 8):
        for q in range(n_mono):
            summed = splat(0.0)
            for j in range(start, stop):
                summed = summed + load(waves, j, v) * get(mono, j, q)
            store(part, q, v, summed)
        summed = splat(0.0)
        for j in range(start, stop):
            summed = summed + load(waves, j, v) * load(waves, j, v)
        store(part, n_mono, v, summed)


@register_jitable
def contract(weights, species, part, m, d):
    """Add the moments of one species to those of all channels."""
    n_mono = len(part) - 1
    for c in range(weights.shape[1]):
        w = weights[species, c]
        for v in range(0, part.shape[1], 8):
            for q in range(n_mono):
                row = c * n_mono + q
                store(m, row, v, load(m, row, v) + load(part, q, v) * w)
            store(d, c, v, load(d, c, v) + load(part, n_mono, v) * (w * w))


@register_jitable
def square(one, two, basis, n_channels, factor):
    """Return `factor` Q_n of two sets of moments, shape (n_channels * degrees, n_eta)."""
    degrees, counts = basis[4], basis[5]
    n_mono, n_degrees = len(degrees), degrees[-1] + 1
    out = np.zeros((n_channels * n_degrees, one.shape[1]))
    for c in range(n_channels):
        for q in range(n_mono):
            row, to, count = c * n_mono + q, c * n_degrees + degrees[q], counts[q]
            for v in range(0, one.shape[1], 8):
                product = load(one, row, v) * load(two, row, v) * (count * factor)
                store(out, to, v, load(out, to, v) + product)
    return out


@register_jitable
def write(powers, d, terms, layout, factor, row):
    """Add `factor` times the functions that Q and D lead to, to a row of features."""
    coefficients, selfs, eta_of, columns = terms
    n_degrees = len(powers) // len(d)
    for c in range(len(d)):
        for t in range(len(selfs)):
            e = eta_of[t]
            value = -selfs[t] * d[c, e]
            for n in range(coefficients.shape[1]):
                value += coefficients[t, n] * powers[c * n_degrees + n, e]
            row[layout[0] + c * layout[1] + columns[t]] += factor * value


@register_jitable
def tangents(j, x, y, z, near, change):
    """Write how s and u of a neighbour change with its vector to row j of `change`."""
    inverse = get(near, INVERSE, j)
    ux = get(near, X, j) * inverse
    uy = get(near, Y, j) * inverse
    uz = get(near, Z, j) * inverse
    along = ux * x + uy * y + uz * z
    put(change, j, 0, 2.0 * along * get(near, S, j) * inverse)
    put(change, j, 1, (x - ux * along) * inverse)
    put(change, j, 2, (y - uy * along) * inverse)
    put(change, j, 3, (z - uz * along) * inverse)


@register_jitable
def add_up_tangents(start, stop, basis, near, change, mono, waves, part):
    """Fill the changes of the moments of neighbours `start` to `stop`, and of sum e²."""
    etas, lowers, exponents = basis[0], basis[2], basis[3]
    n_mono = mono.shape[1]
    part[:] = 0.0
    for j in range(start, stop):
        slope, ds = get(near, SLOPE, j), get(change, j, 0)
        for v in range(0, etas.shape[1], 8):
            wave = load(waves, j, v)
            d_wave = wave * (slope - load(etas, 0, v)) * ds
            for q in range(n_mono):
                d_mono = 0.0
                for axis in range(3):
                    lower = get(mono, j, lowers[q, axis])
                    d_mono += exponents[q, axis] * lower * get(change, j, axis + 1)
                added = d_wave * get(mono, j, q) + wave * d_mono
                store(part, q, v, load(part, q, v) + added)
            store(part, n_mono, v, load(part, n_mono, v) + wave * d_wave * 2.0)

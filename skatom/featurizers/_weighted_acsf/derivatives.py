"""Derivatives of the weighted angular functions; arguments stand in `moments`."""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
from skatom.featurizers._simd.environment import (
    INVERSE,
    SLOPE,
    X,
    Y,
    Z,
    gather,
    table,
)
from skatom.featurizers._simd.lanes import get, load, splat, store, total
from skatom.featurizers._weighted_acsf.moments import (
    add_up_tangents,
    contract,
    moments,
    square,
    tangents,
    workspace,
    write,
)


@kernel
def moment_pushforward(block, weights, cut, basis, terms, layout, v, out):
    """Add the change of the functions under `v` (n_pairs, 3) to rows of `out`."""
    near, index, runs = table(block, len(weights))
    mono, waves, part, m, d = workspace(near.shape[1], weights.shape[1], basis)
    dm, dd, change = np.zeros_like(m), np.zeros_like(d), np.zeros((near.shape[1], 4))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        moments(n_runs, runs, weights, basis, near, mono, waves, part, m, d)
        dm[:], dd[:] = 0.0, 0.0
        for a in range(n_runs):
            for j in range(runs[1, a], runs[1, a + 1]):
                p = index[j]
                tangents(j, v[p, 0], v[p, 1], v[p, 2], near, change)
            ends = runs[1, a], runs[1, a + 1]
            add_up_tangents(ends[0], ends[1], basis, near, change, mono, waves, part)
            contract(weights, runs[0, a], part, dm, dd)
        powers = square(m, dm, basis, weights.shape[1], 2.0)
        write(powers, dd, terms, layout, 1.0, out[i])


@kernel
def moment_jacobian(block, weights, cut, basis, terms, layout, out):
    """Add the derivatives of the functions to the block's rows of `out`."""
    near, index, runs = table(block, len(weights))
    mono, waves, part, m, d = workspace(near.shape[1], weights.shape[1], basis)
    dm, dd, change = np.zeros_like(m), np.zeros_like(d), np.zeros((near.shape[1], 4))
    unit = np.eye(3)
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        moments(n_runs, runs, weights, basis, near, mono, waves, part, m, d)
        for a in range(n_runs):
            for j in range(runs[1, a], runs[1, a + 1]):
                for axis in range(3):
                    x, y, z = unit[axis, 0], unit[axis, 1], unit[axis, 2]
                    tangents(j, x, y, z, near, change)
                    add_up_tangents(j, j + 1, basis, near, change, mono, waves, part)
                    dm[:], dd[:] = 0.0, 0.0
                    contract(weights, runs[0, a], part, dm, dd)
                    powers = square(m, dm, basis, weights.shape[1], 2.0)
                    write(powers, dd, terms, layout, 1.0, out[index[j], axis])


@kernel
def moment_pullback(block, weights, cut, basis, terms, layout, g, out):
    """Add the pullback of `g` (n_atoms, n_features) to the block's rows of `out`."""
    near, index, runs = table(block, len(weights))
    mono, waves, part, m, d = workspace(near.shape[1], weights.shape[1], basis)
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, cut, True, near, index, runs)
        moments(n_runs, runs, weights, basis, near, mono, waves, part, m, d)
        _turn_back(g[i], basis, terms, layout, m, d)
        for a in range(n_runs):
            _contract_back(weights, runs[0, a], m, d, part)
            ends = runs[1, a], runs[1, a + 1]
            _gradients(ends[0], ends[1], basis, near, mono, waves, part, index, out)


@register_jitable
def _turn_back(g, basis, terms, layout, m, d):
    """Replace the moments and D by the derivatives of sum g * functions by them."""
    degrees, counts = basis[4], basis[5]
    coefficients, selfs, eta_of, columns = terms
    n_mono, n_degrees = len(degrees), coefficients.shape[1]
    by_power = np.zeros((n_degrees, m.shape[1]))
    for c in range(len(d)):
        by_power[:] = 0.0
        d[c] = 0.0
        for t in range(len(selfs)):
            weight = g[layout[0] + c * layout[1] + columns[t]]
            d[c, eta_of[t]] -= weight * selfs[t]
            for n in range(n_degrees):
                by_power[n, eta_of[t]] += weight * coefficients[t, n]
        for q in range(n_mono):
            row, count = c * n_mono + q, 2.0 * counts[q]
            for v in range(0, m.shape[1], 8):
                by_moment = load(by_power, degrees[q], v) * load(m, row, v) * count
                store(m, row, v, by_moment)


@register_jitable
def _contract_back(weights, species, m, d, part):
    """Fill the derivatives by the moments of one species."""
    n_mono = len(part) - 1
    part[:] = 0.0
    for c in range(weights.shape[1]):
        w = weights[species, c]
        for v in range(0, part.shape[1], 8):
            for q in range(n_mono):
                added = load(m, c * n_mono + q, v) * w
                store(part, q, v, load(part, q, v) + added)
            added = load(d, c, v) * (w * w)
            store(part, n_mono, v, load(part, n_mono, v) + added)


@register_jitable
def _gradients(start, stop, basis, near, mono, waves, part, index, out):
    """Add the derivatives by the vectors of neighbours `start` to `stop`."""
    etas, lowers, exponents = basis[0], basis[2], basis[3]
    n_mono = mono.shape[1]
    for j in range(start, stop):
        slope = get(near, SLOPE, j)
        by_s = by_x = by_y = by_z = splat(0.0)
        for v in range(0, etas.shape[1], 8):
            wave = load(waves, j, v)
            value, x, y, z = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
            for q in range(n_mono):
                h = load(part, q, v)
                value = value + h * get(mono, j, q)
                x = x + h * (exponents[q, 0] * get(mono, j, lowers[q, 0]))
                y = y + h * (exponents[q, 1] * get(mono, j, lowers[q, 1]))
                z = z + h * (exponents[q, 2] * get(mono, j, lowers[q, 2]))
            value = value + load(part, n_mono, v) * wave * 2.0
            by_s = by_s + value * wave * (slope - load(etas, 0, v))
            by_x, by_y, by_z = by_x + x * wave, by_y + y * wave, by_z + z * wave
        inverse = get(near, INVERSE, j)
        ux, uy = get(near, X, j) * inverse, get(near, Y, j) * inverse
        uz = get(near, Z, j) * inverse
        gx, gy, gz = total(by_x) * inverse, total(by_y) * inverse, total(by_z) * inverse
        radial = 2.0 * total(by_s) / inverse - (gx * ux + gy * uy + gz * uz)
        pair = index[j]
        out[pair, 0] += gx + radial * ux
        out[pair, 1] += gy + radial * uy
        out[pair, 2] += gz + radial * uz

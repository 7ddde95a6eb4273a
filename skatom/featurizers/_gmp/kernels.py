"""Gaussian multipole features: values and derivatives, linear in neighbours.

The overlap of a probe exp(-r²/2 sigma²) times a harmonic polynomial H of degree l with a
Gaussian B exp(-beta |r - r_j|²) is C exp(-k r_j²) (lambda r_j)^l H(r_j / r_j). So with one
radial function R_sl(r²) = sum_g C exp(-k r²) lambda^l for each probe, species and order, a
feature is the power of one solid-harmonic expansion,

    value[l, s] = K_l sum_m (sum_j R_sl(r_j²) H_lm(r_j))².

Solid harmonics are real and in Racah's normalisation, sum_m H_lm(u) H_lm(v) =
|u|^l |v|^l P_l(cos), at index l² + l + m; recursions run over eight neighbours at a time.

The centre belongs to the density that the probe meets, at r = 0.

Arguments common to all kernels: ``block`` is the tuple of a PairBlock, whose last array
holds the channel of every centre, -1 for none; ``cut`` is (r_cut, smooth);
``radial`` is (number of Gaussians of each species, table of shape (n_species, n_probes *
n_gaussians * 3) with C, k log2(e) and lambda, n_probes); ``norms`` is K_l; ``steps`` is
`recursion(l_max)`.
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
from skatom.featurizers._gmp.harmonics import (
    harmonics_pullback,
    harmonics_pushforward,
    solid_harmonics,
)
from skatom.featurizers._simd.cutoffs import COSINE
from skatom.featurizers._simd.environment import SLOPE, F, S, X, Y, Z, gather, table
from skatom.featurizers._simd.lanes import exp2, get, load, put, splat, store, total

LN2 = 0.6931471805599453
WIDTH = 8


@kernel
def values(block, cut, radial, norms, steps, out):
    """Write the features of the block's centres to `out` (n_atoms, n_features)."""
    n_l, n_probes = len(norms), radial[2]
    near, index, runs = table(block, len(radial[0]))
    work = _workspace(n_l, n_probes, radial[1].shape[1], near.shape[1])
    for i in range(block[0], block[1]):
        n = _neighbours(i, block, cut, False, near, index, runs, work[0])
        totals = _expand(n, block[5][i], radial, n_l, steps, near, work)
        for l in range(n_l):
            for s in range(n_probes):
                power = 0.0
                for q in range(l * l, (l + 1) * (l + 1)):
                    power += totals[s, q] * totals[s, q]
                out[i, l * n_probes + s] = norms[l] * power


@kernel
def pullback(block, cut, radial, norms, steps, g, out):
    """Add d(sum g * values)/d vectors to the block's rows of `out` (n_pairs, 3)."""
    n_l, n_probes = len(norms), radial[2]
    near, index, runs = table(block, len(radial[0]))
    work = _workspace(n_l, n_probes, radial[1].shape[1], near.shape[1])
    kinds, harmonics, rows = work[0], work[1], work[2]
    weights = np.empty((n_probes, n_l * n_l))
    adjoint = np.empty((n_l * n_l, WIDTH))
    for i in range(block[0], block[1]):
        n = _neighbours(i, block, cut, True, near, index, runs, kinds)
        totals = _expand(n, block[5][i], radial, n_l, steps, near, work)
        _weigh(g[i], norms, totals, weights)
        for t in range(0, n, WIDTH):
            solid_harmonics(t, n_l, steps, near, harmonics)
            _radial_rows(t, n_l, radial, near, work, True)
            by_s = _adjoint(n_l, weights, rows, harmonics, adjoint)
            harmonics_pullback(t, n_l, steps, near, harmonics, adjoint, by_s, rows)
            for lane in range(min(WIDTH, n - t)):
                for d in range(3):
                    out[index[t + lane], d] += get(rows, d, lane)


@kernel
def pushforward(block, cut, radial, norms, steps, v, out):
    """Write the change of the values under the tangents `v` (n_pairs, 3) to `out`."""
    n_l, n_probes = len(norms), radial[2]
    near, index, runs = table(block, len(radial[0]))
    work = _workspace(n_l, n_probes, radial[1].shape[1], near.shape[1])
    tangents = np.zeros((3, near.shape[1]))
    moved = np.empty((n_l * n_l, WIDTH))
    changes = np.empty((n_probes * n_l * n_l, WIDTH))
    for i in range(block[0], block[1]):
        n = _neighbours(i, block, cut, True, near, index, runs, work[0])
        totals = _expand(n, block[5][i], radial, n_l, steps, near, work)
        tangents[:, n : n + WIDTH] = 0.0
        for j in range(n):
            for d in range(3):
                tangents[d, j] = v[index[j], d]
        changes[:] = 0.0
        for t in range(0, n, WIDTH):
            solid_harmonics(t, n_l, steps, near, work[1])
            harmonics_pushforward(t, n_l, steps, near, work[1], tangents, moved)
            _radial_rows(t, n_l, radial, near, work, True)
            _add_changes(t, n_l, n_probes, near, work, tangents, moved, changes)
        for l in range(n_l):
            for s in range(n_probes):
                change = 0.0
                for q in range(l * l, (l + 1) * (l + 1)):
                    change += totals[s, q] * total(load(changes, s * n_l * n_l + q, 0))
                out[i, l * n_probes + s] = 2.0 * norms[l] * change


@kernel
def jacobian(block, cut, radial, norms, steps, out):
    """Write d values / d vectors to the block's rows of `out` (n_pairs, 3, n_features)."""
    n_l, n_probes = len(norms), radial[2]
    near, index, runs = table(block, len(radial[0]))
    work = _workspace(n_l, n_probes, radial[1].shape[1], near.shape[1])
    unit = np.zeros((3, near.shape[1]))
    moved = np.empty((n_l * n_l, WIDTH))
    changes = np.empty((n_probes * n_l * n_l, WIDTH))
    for i in range(block[0], block[1]):
        n = _neighbours(i, block, cut, True, near, index, runs, work[0])
        totals = _expand(n, block[5][i], radial, n_l, steps, near, work)
        for t in range(0, n, WIDTH):
            solid_harmonics(t, n_l, steps, near, work[1])
            _radial_rows(t, n_l, radial, near, work, True)
            for d in range(3):
                unit[:], unit[d] = 0.0, 1.0
                harmonics_pushforward(t, n_l, steps, near, work[1], unit, moved)
                changes[:] = 0.0
                _add_changes(t, n_l, n_probes, near, work, unit, moved, changes)
                for lane in range(min(WIDTH, n - t)):
                    _write_slopes(lane, norms, totals, changes, out[index[t + lane], d])


@register_jitable
def _workspace(n_l, n_probes, n_constants, room):
    """Return kinds of neighbours, rows of harmonics, radial rows, sums and constants."""
    return (
        np.zeros(room, np.int64),
        np.empty((n_l * n_l, WIDTH)),
        np.empty((max(2 * n_probes * n_l, 3), WIDTH)),
        np.empty((n_probes * n_l * n_l, WIDTH)),
        np.empty((n_constants, WIDTH)),
    )


@register_jitable
def _neighbours(i, block, cut, slopes, near, index, runs, kinds):
    """Fill the table of centre `i` and the species of its columns; return their number.

    Lanes past the last neighbour have its species and no weight.
    """
    n_runs = gather(i, block, (cut[0], COSINE, 0.0), slopes, near, index, runs)
    n = runs[1, n_runs]
    for a in range(n_runs):
        kinds[runs[1, a] : runs[1, a + 1]] = runs[0, a]
    if n_runs > 0:
        kinds[n : n + WIDTH] = runs[0, n_runs - 1]
    if not cut[1]:
        near[F, :n], near[SLOPE, :n] = 1.0, 0.0
        near[F, n : n + WIDTH], near[SLOPE, n : n + WIDTH] = 0.0, 0.0
    return n


@register_jitable
def _expand(n, centre, radial, n_l, steps, near, work):
    """Return the expansion coefficients (n_probes, n_lm) of one centre."""
    n_probes, n_lm = radial[2], n_l * n_l
    harmonics, rows, sums = work[1], work[2], work[3]
    sums[:] = 0.0
    for t in range(0, n, WIDTH):
        solid_harmonics(t, n_l, steps, near, harmonics)
        _radial_rows(t, n_l, radial, near, work, False)
        for s in range(n_probes):
            for l in range(n_l):
                weight = load(rows, s * n_l + l, 0)
                for q in range(l * l, (l + 1) * (l + 1)):
                    at = s * n_lm + q
                    added = load(sums, at, 0) + weight * load(harmonics, q, 0)
                    store(sums, at, 0, added)
    totals = np.empty((n_probes, n_lm))
    for s in range(n_probes):
        for q in range(n_lm):
            totals[s, q] = total(load(sums, s * n_lm + q, 0))
        if centre >= 0:
            first = s * (radial[1].shape[1] // n_probes)
            for g in range(radial[0][centre]):
                totals[s, 0] += radial[1][centre, first + 3 * g]
    return totals


@register_jitable
def _radial_rows(t, n_l, radial, near, work, slopes):  # noqa: C901 - calls cost half again
    """Write R_sl to rows s * n_l + l, and dR/d(r²) below them.

    Eight neighbours of one species share their constants; of several, each lane gets
    its own.
    """
    counts, constants, n_probes = radial
    kinds, rows, lanes = work[0], work[2], work[4]
    squares, cutoff, bend = load(near, S, t), load(near, F, t), load(near, SLOPE, t)
    first, n_gaussians, mixed = kinds[t], counts[kinds[t]], False
    for lane in range(1, WIDTH):
        mixed = mixed or kinds[t + lane] != first
        n_gaussians = max(n_gaussians, counts[kinds[t + lane]])
    room = constants.shape[1] // n_probes
    if mixed:  # well before they are loaded: a load that waits for stores is slow
        for lane in range(WIDTH):
            for column in range(constants.shape[1]):
                put(lanes, column, lane, get(constants, kinds[t + lane], column))
    for s in range(n_probes):
        for l in range(n_l):
            store(rows, s * n_l + l, 0, splat(0.0))
            if slopes:
                store(rows, (n_probes + s) * n_l + l, 0, splat(0.0))
        for g in range(n_gaussians):
            column = s * room + 3 * g
            scale = splat(get(constants, first, column))
            decay = splat(get(constants, first, column + 1))
            ratio = splat(get(constants, first, column + 2))
            if mixed:
                scale, decay = load(lanes, column, 0), load(lanes, column + 1, 0)
                ratio = load(lanes, column + 2, 0)
            wave = exp2(squares * decay * -1.0) * cutoff * scale
            tilt = wave * (bend - decay * LN2)
            for l in range(n_l):
                at = s * n_l + l
                store(rows, at, 0, load(rows, at, 0) + wave)
                wave = wave * ratio
                if slopes:
                    at += n_probes * n_l
                    store(rows, at, 0, load(rows, at, 0) + tilt)
                    tilt = tilt * ratio


@register_jitable
def _weigh(g, norms, totals, weights):
    """Write d(sum g * values)/d(expansion coefficients)."""
    n_probes = len(totals)
    for l in range(len(norms)):
        for s in range(n_probes):
            factor = 2.0 * norms[l] * g[l * n_probes + s]
            for q in range(l * l, (l + 1) * (l + 1)):
                weights[s, q] = factor * totals[s, q]


@register_jitable
def _adjoint(n_l, weights, rows, harmonics, adjoint):
    """Write d/dH of eight neighbours; return d/d(r²) through the radial functions."""
    n_probes = len(weights)
    by_s = splat(0.0)
    for l in range(n_l):
        for q in range(l * l, (l + 1) * (l + 1)):
            along, tilt = splat(0.0), splat(0.0)
            for s in range(n_probes):
                w = get(weights, s, q)
                along = along + load(rows, s * n_l + l, 0) * w
                tilt = tilt + load(rows, (n_probes + s) * n_l + l, 0) * w
            store(adjoint, q, 0, along)
            by_s = by_s + tilt * load(harmonics, q, 0)
    return by_s


@register_jitable
def _add_changes(t, n_l, n_probes, near, work, tangents, moved, changes):
    """Add the change of every expansion coefficient, lane by lane."""
    harmonics, rows = work[1], work[2]
    along = load(near, X, t) * load(tangents, 0, t)
    along = along + load(near, Y, t) * load(tangents, 1, t)
    along = (along + load(near, Z, t) * load(tangents, 2, t)) * 2.0
    for s in range(n_probes):
        for l in range(n_l):
            weight = load(rows, s * n_l + l, 0)
            tilt = load(rows, (n_probes + s) * n_l + l, 0) * along
            for q in range(l * l, (l + 1) * (l + 1)):
                at = s * n_l * n_l + q
                change = tilt * load(harmonics, q, 0) + weight * load(moved, q, 0)
                store(changes, at, 0, load(changes, at, 0) + change)


@register_jitable
def _write_slopes(lane, norms, totals, changes, out):
    """Write the derivatives of all features by one component of one pair vector."""
    n_l, n_probes = len(norms), len(totals)
    for l in range(n_l):
        for s in range(n_probes):
            change = 0.0
            for q in range(l * l, (l + 1) * (l + 1)):
                change += totals[s, q] * get(changes, s * n_l * n_l + q, lane)
            out[l * n_probes + s] = 2.0 * norms[l] * change

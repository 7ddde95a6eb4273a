"""Gaussian multipole features: values and derivatives, linear in neighbours.

The overlap of a probe exp(-r²/2 sigma²) times a harmonic polynomial H of degree l with a
Gaussian B exp(-beta |r - r_j|²) is C exp(-k r_j²) (lambda r_j)^l H(r_j / r_j). So with one
radial function R_sl(r²) = sum_g C exp(-k r²) lambda^l for each probe, species and order, a
feature is the power of one solid-harmonic expansion,

    value[l, s] = K_l sum_m (sum_j R_sl(r_j²) H_lm(r_j))².

Solid harmonics are real and in Racah's normalisation, sum_m H_lm(u) H_lm(v) =
|u|^l |v|^l P_l(cos), at index l² + l + m; recursions run over eight neighbours at a time.

The centre belongs to the density that the probe meets, at r = 0.

Arguments common to all kernels: ``block`` is (start, stop, offsets, channels, vectors);
``centres`` the channel of every centre, -1 for none; ``cut`` is (r_cut, smooth);
``radial`` is (number of Gaussians of each species, table of shape (3, n_species, n_probes,
n_gaussians) with C, k log2(e) and lambda); ``norms`` is K_l; ``steps`` is
`recursion(l_max)`.
"""

import numpy as np
from numba import njit

from skatom.featurizers._kernels._caching import kernel
from skatom.featurizers._kernels.cutoffs import COSINE
from skatom.featurizers._kernels.environment import SLOPE, F, S, X, Y, Z, gather, table
from skatom.featurizers._kernels.lanes import (
    exp2,
    get,
    load,
    splat,
    store,
    total,
)

LN2 = 0.6931471805599453
WIDTH = 8


def recursion(l_max):
    """Coefficients (2, n_lm) of the recursion up in l: row 0 for z, row 1 for r²."""
    steps = np.zeros((2, (l_max + 1) ** 2))
    for l in range(1, l_max + 1):
        for m in range(-l, l + 1):
            if abs(m) == l:
                steps[0, l * l + l + m] = (
                    1.0 if l == 1 else np.sqrt((2 * l - 1) / (2 * l))
                )
            else:
                scale = 1.0 / np.sqrt((l - m) * (l + m))
                steps[0, l * l + l + m] = (2 * l - 1) * scale
                if abs(m) <= l - 2:
                    steps[1, l * l + l + m] = np.sqrt((l - 1 + m) * (l - 1 - m)) * scale
    return steps


@kernel
def values(block, centres, cut, radial, norms, steps, out):
    """Write the features of the block's centres to `out` (n_atoms, n_features)."""
    n_l, n_probes = len(norms), radial[1].shape[2]
    near, index, runs = table(block, len(radial[0]))
    run, harmonics, rows, sums = _workspace(n_l, n_probes, near.shape[1])
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, (cut[0], COSINE, 0.0), False, near, index, runs)
        totals = _expand(
            centres[i],
            n_runs,
            cut,
            radial,
            steps,
            near,
            runs,
            run,
            harmonics,
            rows,
            sums,
        )
        for l in range(n_l):
            for s in range(n_probes):
                power = 0.0
                for q in range(l * l, (l + 1) * (l + 1)):
                    power += totals[s, q] * totals[s, q]
                out[i, l * n_probes + s] = norms[l] * power


@kernel
def pullback(block, centres, cut, radial, norms, steps, g, out):
    """Add d(sum g * values)/d vectors to the block's rows of `out` (n_pairs, 3)."""
    n_l, n_probes = len(norms), radial[1].shape[2]
    near, index, runs = table(block, len(radial[0]))
    run, harmonics, rows, sums = _workspace(n_l, n_probes, near.shape[1])
    weights = np.empty((n_probes, n_l * n_l))
    adjoint = np.empty((n_l * n_l, WIDTH))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, (cut[0], COSINE, 0.0), True, near, index, runs)
        totals = _expand(
            centres[i],
            n_runs,
            cut,
            radial,
            steps,
            near,
            runs,
            run,
            harmonics,
            rows,
            sums,
        )
        _weigh(g[i], norms, totals, weights)
        for a in range(n_runs):
            first = runs[1, a]
            n = _take_run(a, cut, near, runs, run)
            for t in range(0, n, WIDTH):
                _solid_harmonics(t, n_l, steps, run, harmonics)
                _radial_rows(t, runs[0, a], n_l, radial, run, rows, True)
                by_s = _adjoint(n_l, weights, rows, harmonics, adjoint)
                _harmonics_pullback(t, n_l, steps, run, harmonics, adjoint, by_s, rows)
                for lane in range(min(WIDTH, n - t)):
                    pair = index[first + t + lane]
                    for d in range(3):
                        out[pair, d] += get(rows, d, lane)


@kernel
def pushforward(block, centres, cut, radial, norms, steps, v, out):
    """Write the change of the values under the tangents `v` (n_pairs, 3) to `out`."""
    n_l, n_probes = len(norms), radial[1].shape[2]
    near, index, runs = table(block, len(radial[0]))
    run, harmonics, rows, sums = _workspace(n_l, n_probes, near.shape[1])
    tangents = np.zeros((3, near.shape[1]))
    moved = np.empty((n_l * n_l, WIDTH))
    changes = np.empty((n_probes * n_l * n_l, WIDTH))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, (cut[0], COSINE, 0.0), True, near, index, runs)
        totals = _expand(
            centres[i],
            n_runs,
            cut,
            radial,
            steps,
            near,
            runs,
            run,
            harmonics,
            rows,
            sums,
        )
        changes[:] = 0.0
        for a in range(n_runs):
            first = runs[1, a]
            n = _take_run(a, cut, near, runs, run)
            tangents[:] = 0.0
            for j in range(n):
                for d in range(3):
                    tangents[d, j] = v[index[first + j], d]
            for t in range(0, n, WIDTH):
                _solid_harmonics(t, n_l, steps, run, harmonics)
                _harmonics_pushforward(t, n_l, steps, run, harmonics, tangents, moved)
                _radial_rows(t, runs[0, a], n_l, radial, run, rows, True)
                _add_changes(
                    t, n_l, n_probes, run, harmonics, rows, tangents, moved, changes
                )
        for l in range(n_l):
            for s in range(n_probes):
                change = 0.0
                for q in range(l * l, (l + 1) * (l + 1)):
                    change += totals[s, q] * total(load(changes, s * n_l * n_l + q, 0))
                out[i, l * n_probes + s] = 2.0 * norms[l] * change


@kernel
def jacobian(block, centres, cut, radial, norms, steps, out):
    """Write d values / d vectors to the block's rows of `out` (n_pairs, 3, n_features)."""
    n_l, n_probes = len(norms), radial[1].shape[2]
    near, index, runs = table(block, len(radial[0]))
    run, harmonics, rows, sums = _workspace(n_l, n_probes, near.shape[1])
    unit = np.zeros((3, near.shape[1]))
    moved = np.empty((n_l * n_l, WIDTH))
    changes = np.empty((n_probes * n_l * n_l, WIDTH))
    for i in range(block[0], block[1]):
        n_runs = gather(i, block, (cut[0], COSINE, 0.0), True, near, index, runs)
        totals = _expand(
            centres[i],
            n_runs,
            cut,
            radial,
            steps,
            near,
            runs,
            run,
            harmonics,
            rows,
            sums,
        )
        for a in range(n_runs):
            first = runs[1, a]
            n = _take_run(a, cut, near, runs, run)
            for t in range(0, n, WIDTH):
                _solid_harmonics(t, n_l, steps, run, harmonics)
                _radial_rows(t, runs[0, a], n_l, radial, run, rows, True)
                for d in range(3):
                    unit[:] = 0.0
                    unit[d] = 1.0
                    _harmonics_pushforward(t, n_l, steps, run, harmonics, unit, moved)
                    changes[:] = 0.0
                    _add_changes(
                        t, n_l, n_probes, run, harmonics, rows, unit, moved, changes
                    )
                    for lane in range(min(WIDTH, n - t)):
                        pair = index[first + t + lane]
                        for l in range(n_l):
                            for s in range(n_probes):
                                change = 0.0
                                for q in range(l * l, (l + 1) * (l + 1)):
                                    row = s * n_l * n_l + q
                                    change += totals[s, q] * get(changes, row, lane)
                                column = l * n_probes + s
                                out[pair, d, column] = 2.0 * norms[l] * change


@njit
def _workspace(n_l, n_probes, room):
    run = np.zeros((7, room + WIDTH))
    harmonics = np.empty((n_l * n_l, WIDTH))
    rows = np.empty((max(2 * n_probes * n_l, 3), WIDTH))
    sums = np.empty((n_probes * n_l * n_l, WIDTH))
    return run, harmonics, rows, sums


@njit
def _take_run(a, cut, near, runs, run):
    """Copy the neighbours of one species, followed by lanes of no weight."""
    first, n = runs[1, a], runs[1, a + 1] - runs[1, a]
    for j in range(n):
        for row in (X, Y, Z, S, F, SLOPE):
            run[row, j] = near[row, first + j]
        if not cut[1]:
            run[F, j], run[SLOPE, j] = 1.0, 0.0
    for j in range(n, n + WIDTH):
        run[X, j] = run[Y, j] = run[Z, j] = run[S, j] = run[F, j] = run[SLOPE, j] = 0.0
    return n


@njit
def _expand(centre, n_runs, cut, radial, steps, near, runs, run, harmonics, rows, sums):
    """Return the expansion coefficients (n_probes, n_lm) of one centre."""
    n_probes = radial[1].shape[2]
    n_lm = len(harmonics)
    n_l = int(np.sqrt(n_lm) + 0.5)
    sums[:] = 0.0
    for a in range(n_runs):
        n = _take_run(a, cut, near, runs, run)
        for t in range(0, n, WIDTH):
            _solid_harmonics(t, n_l, steps, run, harmonics)
            _radial_rows(t, runs[0, a], n_l, radial, run, rows, False)
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
            for g in range(radial[0][centre]):
                totals[s, 0] += radial[1][0, centre, s, g]
    return totals


@njit
def _radial_rows(t, species, n_l, radial, run, rows, slopes):
    """Write R_sl to rows s * n_l + l, and dR/d(r²) below them."""
    counts, constants = radial
    n_probes = constants.shape[2]
    squares, cutoff = load(run, S, t), load(run, F, t)
    bend = load(run, SLOPE, t)
    for s in range(n_probes):
        for l in range(n_l):
            store(rows, s * n_l + l, 0, splat(0.0))
            if slopes:
                store(rows, (n_probes + s) * n_l + l, 0, splat(0.0))
        for g in range(counts[species]):
            decay = constants[1, species, s, g]
            wave = exp2(squares * -decay) * cutoff * constants[0, species, s, g]
            tilt = wave * (bend - decay * LN2)
            ratio = constants[2, species, s, g]
            for l in range(n_l):
                at = s * n_l + l
                store(rows, at, 0, load(rows, at, 0) + wave)
                wave = wave * ratio
                if slopes:
                    at += n_probes * n_l
                    store(rows, at, 0, load(rows, at, 0) + tilt)
                    tilt = tilt * ratio


@njit
def _solid_harmonics(t, n_l, steps, run, harmonics):
    """Write H_lm of eight vectors."""
    x, y, z, r2 = load(run, X, t), load(run, Y, t), load(run, Z, t), load(run, S, t)
    store(harmonics, 0, 0, splat(1.0))
    for l in range(1, n_l):
        base, below = l * l + l, (l - 1) * (l - 1) + l - 1
        plus = load(harmonics, below + l - 1, 0)
        minus = load(harmonics, below - l + 1, 0)
        if l == 1:
            minus = splat(0.0)
        f = steps[0, base + l]
        store(harmonics, base + l, 0, (x * plus - y * minus) * f)
        store(harmonics, base - l, 0, (y * plus + x * minus) * f)
        for m in range(1 - l, l):
            value = z * load(harmonics, below + m, 0) * steps[0, base + m]
            if abs(m) <= l - 2:
                lower = (l - 2) * (l - 2) + l - 2 + m
                value = value - r2 * load(harmonics, lower, 0) * steps[1, base + m]
            store(harmonics, base + m, 0, value)


@njit
def _weigh(g, norms, totals, weights):
    """Write d(sum g * values)/d(expansion coefficients)."""
    n_probes = len(totals)
    for l in range(len(norms)):
        for s in range(n_probes):
            factor = 2.0 * norms[l] * g[l * n_probes + s]
            for q in range(l * l, (l + 1) * (l + 1)):
                weights[s, q] = factor * totals[s, q]


@njit
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


@njit
def _harmonics_pullback(t, n_l, steps, run, harmonics, adjoint, by_s, result):
    """Turn d/dH (overwritten) and d/d(r²) into d/d(vector), rows 0 to 2 of `result`."""
    x, y, z, r2 = load(run, X, t), load(run, Y, t), load(run, Z, t), load(run, S, t)
    gx, gy, gz = splat(0.0), splat(0.0), splat(0.0)
    for l in range(n_l - 1, 0, -1):
        base, below = l * l + l, (l - 1) * (l - 1) + l - 1
        for m in range(1 - l, l):
            a = load(adjoint, base + m, 0)
            c = a * steps[0, base + m]
            gz = gz + c * load(harmonics, below + m, 0)
            store(adjoint, below + m, 0, load(adjoint, below + m, 0) + c * z)
            if abs(m) <= l - 2:
                lower = (l - 2) * (l - 2) + l - 2 + m
                c = a * steps[1, base + m]
                by_s = by_s - c * load(harmonics, lower, 0)
                store(adjoint, lower, 0, load(adjoint, lower, 0) - c * r2)
        f = steps[0, base + l]
        a, b = load(adjoint, base + l, 0) * f, load(adjoint, base - l, 0) * f
        plus = load(harmonics, below + l - 1, 0)
        minus = load(harmonics, below - l + 1, 0)
        if l == 1:
            minus = splat(0.0)
        gx = gx + a * plus + b * minus
        gy = gy + b * plus - a * minus
        if l > 1:
            up, down = below + l - 1, below - l + 1
            store(adjoint, up, 0, load(adjoint, up, 0) + x * a + y * b)
            store(adjoint, down, 0, load(adjoint, down, 0) + x * b - y * a)
    store(result, 0, 0, gx + x * by_s * 2.0)
    store(result, 1, 0, gy + y * by_s * 2.0)
    store(result, 2, 0, gz + z * by_s * 2.0)


@njit
def _harmonics_pushforward(t, n_l, steps, run, harmonics, tangents, moved):
    """Write the change of H_lm of eight vectors under their tangents."""
    x, y, z, r2 = load(run, X, t), load(run, Y, t), load(run, Z, t), load(run, S, t)
    dx, dy, dz = load(tangents, 0, t), load(tangents, 1, t), load(tangents, 2, t)
    ds = (x * dx + y * dy + z * dz) * 2.0
    store(moved, 0, 0, splat(0.0))
    for l in range(1, n_l):
        base, below = l * l + l, (l - 1) * (l - 1) + l - 1
        plus, d_plus = load(harmonics, below + l - 1, 0), load(moved, below + l - 1, 0)
        minus, d_minus = (
            load(harmonics, below - l + 1, 0),
            load(moved, below - l + 1, 0),
        )
        if l == 1:
            minus, d_minus = splat(0.0), splat(0.0)
        f = steps[0, base + l]
        turned = dx * plus + x * d_plus - dy * minus - y * d_minus
        store(moved, base + l, 0, turned * f)
        turned = dy * plus + y * d_plus + dx * minus + x * d_minus
        store(moved, base - l, 0, turned * f)
        for m in range(1 - l, l):
            value = dz * load(harmonics, below + m, 0) + z * load(moved, below + m, 0)
            value = value * steps[0, base + m]
            if abs(m) <= l - 2:
                lower = (l - 2) * (l - 2) + l - 2 + m
                inner = ds * load(harmonics, lower, 0) + r2 * load(moved, lower, 0)
                value = value - inner * steps[1, base + m]
            store(moved, base + m, 0, value)


@njit
def _add_changes(t, n_l, n_probes, run, harmonics, rows, tangents, moved, changes):
    """Add the change of every expansion coefficient, lane by lane."""
    along = load(run, X, t) * load(tangents, 0, t)
    along = along + load(run, Y, t) * load(tangents, 1, t)
    along = (along + load(run, Z, t) * load(tangents, 2, t)) * 2.0
    for s in range(n_probes):
        for l in range(n_l):
            weight = load(rows, s * n_l + l, 0)
            tilt = load(rows, (n_probes + s) * n_l + l, 0) * along
            for q in range(l * l, (l + 1) * (l + 1)):
                at = s * n_l * n_l + q
                change = tilt * load(harmonics, q, 0) + weight * load(moved, q, 0)
                store(changes, at, 0, load(changes, at, 0) + change)

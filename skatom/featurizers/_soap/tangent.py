"""Pushforward and Jacobian of the power spectrum: changes of vectors to changes of values.

Both change the coefficients first and then the spectrum: the pushforward all neighbours at
once along one direction, the Jacobian one neighbour at a time along each axis.
"""

import numpy as np
from numba.extending import register_jitable

from skatom._runtime.compilation import kernel
from skatom.featurizers._simd.lanes import get, load, splat, store
from skatom.featurizers._soap.density import (
    aligned,
    describe,
    share,
    spread_run,
    workspace,
)
from skatom.featurizers._soap.neighbors import X
from skatom.featurizers._soap.spectrum import spectrum_tangent


@kernel
def soap_pushforward(block, setup, v, out):
    """Write the change of the values under `v` (n_pairs, 3) to the block's centres."""
    sizes, spline, ladder, gradients, coupling, own, layout = setup
    work = workspace(block, sizes, coupling, True)
    runs, radial, by_r, c, active = work[2], work[3], work[4], work[6], work[7]
    dc, moved = aligned(*c.shape), np.zeros(len(c), np.bool_)
    step, turned = aligned(3, work[5].shape[1]), aligned(*work[5].shape)
    for i in range(block[0], block[1]):
        n_runs = describe(i, block, sizes, spline, ladder, coupling, own, True, work)
        _move(runs[1, n_runs], sizes, spline[2], gradients, v, work, step, turned)
        moved[:] = False
        for run in range(n_runs):
            _clear(runs[0, run], coupling, dc, moved)
        for run in range(n_runs):
            spread_run(run, runs, sizes, coupling, by_r, work[5], dc)
            spread_run(run, runs, sizes, coupling, radial, turned, dc)
        spectrum_tangent(i, sizes, layout, c, dc, moved, active, out)


@register_jitable
def _clear(species, coupling, dc, moved):
    """Zero the channels of a species, once."""
    for k in range(coupling[0][species], coupling[0][species + 1]):
        channel = coupling[1][k]
        if not moved[channel]:
            dc[channel] = 0.0
            moved[channel] = True


@register_jitable
def _move(m, sizes, r_cut, gradients, v, work, step, turned):
    """Turn slopes by r into changes of radial functions, fill changes of harmonics.

    ``step`` gets the change of every vector, in units of r_cut.
    """
    near, index, by_r, harmonics = work[0], work[1], work[4], work[5]
    shrink = 1.0 / r_cut
    for t in range(m):
        along = 0.0
        for axis in range(3):
            change = get(v, index[t], axis)
            step[axis, t] = change * shrink
            along += change * get(near, X + axis, t) * r_cut
        for q in range(0, by_r.shape[1], 8):
            store(by_r, t, q, load(by_r, t, q) * along)
    sources, factors = gradients[0], gradients[1]
    for t in range(0, m, 8):
        for lm in range(1, (sizes[1] + 1) * (sizes[1] + 1)):
            value = splat(0.0)
            for axis in range(3):
                slope = splat(0.0)
                for k in range(2 * axis, 2 * axis + 2):
                    factor = get(factors, lm, k)
                    if factor != 0.0:
                        slope = slope + load(harmonics, sources[lm, k], t) * factor
                value = value + slope * load(step, axis, t)
            store(turned, lm, t, value)


@kernel
def soap_jacobian(block, setup, out):
    """Write d values / d vectors to the block's rows of `out` (n_pairs, 3, n_features).

    Rows are given as zeros; blocks of channels that are absent are not touched.
    """
    sizes, spline, ladder, gradients, coupling, own, layout = setup
    work = workspace(block, sizes, coupling, True)
    index, runs, c, active = work[1], work[2], work[6], work[7]
    dc, moved = aligned(*c.shape), np.zeros(len(c), np.bool_)
    spare, rows = len(c) - 1, out.reshape(3 * len(out), out.shape[2])
    for i in range(block[0], block[1]):
        n_runs = describe(i, block, sizes, spline, ladder, coupling, own, True, work)
        for run in range(n_runs):
            first = coupling[0][runs[0, run]]
            last = coupling[0][runs[0, run] + 1]
            moved[:] = False
            for t in range(runs[1, run], runs[1, run + 1]):
                for axis in range(3):
                    _one(t, axis, sizes, spline[2], gradients, work, dc)
                    for k in range(first, last):
                        moved[coupling[1][k]] = True
                        dc[coupling[1][k]] = 0.0
                    share(first, last, coupling, dc, spare, dc)
                    row = 3 * index[t] + axis
                    spectrum_tangent(row, sizes, layout, c, dc, moved, active, rows)


@register_jitable
def _one(t, axis, sizes, r_cut, gradients, work, dc):
    """Fill the spare row of `dc` with the change along one axis of one neighbour."""
    near, radial, by_r, harmonics = work[0], work[3], work[4], work[5]
    sources, factors = gradients[0], gradients[1]
    spare, width, shrink = len(dc) - 1, sizes[2], 1.0 / r_cut
    along = get(near, X + axis, t) * r_cut
    for l in range(sizes[1] + 1):
        for lm in range(l * l, (l + 1) * (l + 1)):
            slope = get(factors, lm, 2 * axis) * get(
                harmonics, sources[lm, 2 * axis], t
            )
            slope += get(factors, lm, 2 * axis + 1) * get(
                harmonics, sources[lm, 2 * axis + 1], t
            )
            slope *= shrink
            h = get(harmonics, lm, t) * along
            for q in range(0, width, 8):
                value = load(radial, t, l * width + q) * slope
                value = value + load(by_r, t, l * width + q) * h
                store(dc, spare, lm * width + q, value)

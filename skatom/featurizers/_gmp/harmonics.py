"""Real solid harmonics of eight vectors at a time, and their derivatives.

In Racah's normalisation, sum_m H_lm(u) H_lm(v) = |u|^l |v|^l P_l(cos), at index l² + l + m.
Vectors are columns of a neighbour table (`environment`); results are rows of eight lanes.
"""

import numpy as np
from numba.extending import register_jitable

from skatom.featurizers._simd.environment import S, X, Y, Z
from skatom.featurizers._simd.lanes import load, splat, store


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


@register_jitable
def solid_harmonics(t, n_l, steps, near, harmonics):
    """Write H_lm of eight vectors."""
    x, y, z, r2 = load(near, X, t), load(near, Y, t), load(near, Z, t), load(near, S, t)
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


@register_jitable
def harmonics_pullback(t, n_l, steps, near, harmonics, adjoint, by_s, result):
    """Turn d/dH (overwritten) and d/d(r²) into d/d(vector), rows 0 to 2 of `result`."""
    x, y, z, r2 = load(near, X, t), load(near, Y, t), load(near, Z, t), load(near, S, t)
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


@register_jitable
def harmonics_pushforward(t, n_l, steps, near, harmonics, tangents, moved):
    """Write the change of H_lm of eight vectors under their tangents."""
    x, y, z, r2 = load(near, X, t), load(near, Y, t), load(near, Z, t), load(near, S, t)
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

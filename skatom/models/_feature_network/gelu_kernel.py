"""The error function, eight at a time, for the activation that needs it.

SciPy evaluates one at a time, which takes as long as the linear maps of a small network.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erfcx

from skatom._runtime.compilation import kernel
from skatom.featurizers._simd.lanes import exp2, load, maximum, sqrt, store

ROOT_OF_2 = math.sqrt(2.0)
OF_EXPONENT = -0.5 * math.log2(math.e)
DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
TINY = 1e-300  # makes the sign of zero zero
FAR = 40.0  # where the distribution is 0 or 1 in double precision
DEGREE = 24


def _tail() -> np.ndarray:
    """Interpolate erfcx(x) / t over s = 2 t - 1, where t = 2 / (2 + x) and x >= 0.

    Returns
    -------
    coefficients : ndarray of shape (25,)
        Of powers of s, the highest first: good to 5e-15, relative.
    """

    def scaled(s):
        x = 4.0 / (1.0 + s) - 2.0  # no node is at the end, s = -1
        return erfcx(x) * (2.0 + x) / 2.0

    series = np.polynomial.chebyshev.chebinterpolate(scaled, DEGREE)
    return np.polynomial.chebyshev.cheb2poly(series)[::-1].copy()


TAIL = _tail()


@kernel
def gelu(z, tail, values, slopes):
    """Write ``z ndtr(z)`` and its derivative, ndtr the cumulative normal distribution.

    Parameters
    ----------
    z : ndarray of shape (n, m)
        With m a multiple of eight.
    tail : ndarray of shape (25,)
        `TAIL`.
    values, slopes : ndarray of shape (n, m)
    """
    for i in range(z.shape[0]):
        for c in range(0, z.shape[1], 8):
            x = load(z, i, c)
            near = 0.0 - maximum(0.0 - maximum(x, -FAR), -FAR)
            sign = near / sqrt(near * near + TINY)
            t = 2.0 / (2.0 + near * sign / ROOT_OF_2)
            s = 2.0 * t - 1.0
            p = s * tail[0] + tail[1]
            for k in range(2, len(tail)):
                p = p * s + tail[k]
            bell = exp2(near * near * OF_EXPONENT)
            share = 0.5 + sign * (0.5 - 0.5 * bell * t * p)
            store(values, i, c, x * share)
            store(slopes, i, c, share + x * bell * DENSITY)

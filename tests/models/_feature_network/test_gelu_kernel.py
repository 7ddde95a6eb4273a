"""The compiled activation is SciPy's, and right at all sizes of its argument."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtr

from skatom.models._feature_network.gelu_kernel import TAIL, gelu


def evaluated(z):
    values, slopes = np.empty_like(z), np.empty_like(z)
    gelu(z, TAIL, values, slopes)
    return values, slopes


def test_values_and_slopes_are_those_of_the_normal_distribution():
    z = np.linspace(-12.0, 12.0, 4000).reshape(-1, 40)
    values, slopes = evaluated(z)
    bell = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    assert_allclose(values, z * ndtr(z), rtol=1e-14, atol=2e-15)
    assert_allclose(slopes, ndtr(z) + z * bell, rtol=1e-14, atol=4e-15)


def test_it_passes_or_stops_what_is_large_and_hides_nothing():
    z = np.array([[0.0, -0.0, 1e-310, 50.0, -50.0, 1e200, -1e200, np.nan]])
    values, slopes = evaluated(z)
    assert_array_equal(values[0], [0, 0, 5e-311, 50, 0, 1e200, 0, np.nan])
    assert_allclose(slopes[0], [0.5, 0.5, 0.5, 1, 0, 1, 0, np.nan], atol=1e-15)

"""Building blocks of the kernels: lanes, cutoffs, and the cache that watches files."""

from pathlib import Path

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose

from skatom.featurizers._simd import lanes
from skatom.featurizers._simd.cutoffs import (
    COSINE,
    POLYNOMIAL,
    TANH3,
    cutoff,
    cutoff_slope,
    real_power,
)
from skatom.featurizers._simd.lanes import append, exp2, load, repeat, store


def in_lanes(function):
    """Compile a function of lanes into one of an array."""

    @njit
    def run(x, out):
        for t in range(0, x.shape[1], 8):
            store(out, 0, t, function(load(x, 0, t)))

    def wrapped(x):
        x = np.asarray(x, dtype=np.float64)[None]
        out = np.empty_like(x)
        run(x, out)
        return out[0]

    return wrapped


def test_exp2_is_exact_to_two_units_in_the_last_place():
    x = np.random.default_rng(0).uniform(-900.0, 20.0, 8000)
    assert_allclose(in_lanes(exp2)(x), np.exp2(x), rtol=4.5e-16)


def test_exp2_far_below_zero_is_harmless():
    values = in_lanes(exp2)([-1e3, -1e4, -1e8, -1e300] * 2)
    assert np.all(values >= 0.0)
    assert np.all(values < 1e-300)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0, 13.0, 64.0, 1.5, 3.7])
def test_powers_equal_those_of_numpy(exponent):
    x = np.linspace(0.0, 1.0, 16)
    values = in_lanes(njit(lambda v: real_power(v, exponent)))(x)
    assert_allclose(values, x**exponent, rtol=1e-14)


DEFINITIONS = {
    COSINE: lambda x: 0.5 * (1 + np.cos(np.pi * x)),
    POLYNOMIAL: lambda x: 1 + 3.5 * x**4.5 - 4.5 * x**3.5,
    TANH3: lambda x: np.tanh(1 - x) ** 3,
}


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_cutoffs_equal_their_definitions(kind):
    x = np.linspace(0.0, 1.0, 80)
    values = in_lanes(njit(lambda u: cutoff(kind, 3.5, u)))(x**2)
    # rounding of numbers of order one
    assert_allclose(values, DEFINITIONS[kind](x), rtol=0, atol=2e-15)
    assert values[-1] == 0.0


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_cutoff_slopes_are_logarithmic_derivatives(kind):
    u = np.linspace(0.02, 0.9, 80)
    h = 1e-6
    value = in_lanes(njit(lambda v: cutoff(kind, 3.5, v)))
    slope = in_lanes(njit(lambda v: cutoff_slope(kind, 3.5, v)))
    expected = (value(u + h) - value(u - h)) / (2 * h) / value(u)
    # differences of step 1e-6 lose ten digits to rounding, divided by f down to 2e-3
    assert_allclose(slope(u), expected, rtol=1e-6)
    assert slope(np.ones(8)).tolist() == [0.0] * 8


@pytest.mark.parametrize("has_compress", [True, False])
def test_append_keeps_the_chosen_lanes_in_order(monkeypatch, has_compress):
    if has_compress and not lanes.HAS_COMPRESS:
        pytest.skip("needs AVX-512 and LLVM 20")
    monkeypatch.setattr(lanes, "HAS_COMPRESS", has_compress)

    @njit
    def run(x, bits, out):
        append(out, 0, 3, load(x, 0, 0), bits)

    x = np.arange(8.0)[None] + 1.0
    for bits in (0, 1, 0b10000000, 0b10110010, 255):
        out = np.zeros((1, 16))
        run(x, bits, out)
        chosen = [x[0, lane] for lane in range(8) if bits >> lane & 1]
        assert out[0, 3 : 3 + len(chosen)].tolist() == chosen
        assert not out[0, :3].any()
        assert not out[0, 11:].any()


def test_repeat_places_four_numbers_in_eight_lanes():
    @njit
    def run(out):
        store(out, 0, 0, repeat(1.0, 2.0, 3.0, 4.0))

    out = np.zeros((1, 8))
    run(out)
    assert out[0].tolist() == [1, 2, 3, 3, 3, 4, 4, 4]


def test_kernels_carry_a_stamp_of_more_than_their_own_file():
    from skatom.featurizers._acsf import values as acsf_values

    stamp = acsf_values.angular_values._cache._cache_file._source_stamp
    assert stamp[1] > 2 * len(Path(acsf_values.__file__).read_bytes())

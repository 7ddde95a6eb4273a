"""Radial integrals against quadrature, harmonics against SciPy."""

import numpy as np
import pytest
from numba import njit
from numpy.polynomial.legendre import leggauss
from scipy.special import sph_harm_y, spherical_in

from skatom.featurizers._soap.angular import gradients, ladder, transposed
from skatom.featurizers._soap.density import fill_harmonics
from skatom.featurizers._soap.neighbors import X, Y, Z
from skatom.featurizers._soap.radial import (
    LANES,
    SPLINE_ERROR,
    _scaled_bessel,
    radial_table,
)

R_BASIS, SIGMA = 4.0, 0.5


@njit
def fill(n, l_max, table, near, out):
    fill_harmonics(n, l_max, table, near, out)


def hermite(table, radii, n_functions):
    """Values and slopes of the splines at some radii, by their definition."""
    value, slope = np.empty((2, len(radii), n_functions))
    nodes = table.nodes.reshape(len(table.nodes), 3, n_functions)
    for k, r in enumerate(radii):
        start, h, n, first = table.pieces[np.sum(r >= table.pieces[1:, 0])]
        at = min(int((r - start) / h), int(n) - 1)
        # the polynomial of degree 5 with these values and derivatives at 0 and 1
        ends = nodes[int(first) + at : int(first) + at + 2]
        powers = np.arange(6)
        rows = []
        for x in (0.0, 1.0):
            for d in range(3):
                falling = np.prod([powers - q for q in range(d)], axis=0)
                rows.append(
                    falling * np.where(powers >= d, x ** np.maximum(powers - d, 0), 0)
                )
        right = (ends * h ** np.arange(3)[:, None]).reshape(6, -1)
        coefficients = np.linalg.solve(np.array(rows, dtype=float), right)
        x = (r - start) / h - at
        value[k] = x**powers @ coefficients
        slope[k] = (powers[1:] * x ** powers[:-1]) @ coefficients[1:] / h
    return value, slope


def basis_functions(basis, n_max, l, r, weights):
    """Löwdin-orthonormal functions at quadrature points, by the overlap matrix."""
    if basis == "gto":
        reach = np.linspace(1.0, R_BASIS, n_max)[:, None]
        alpha = np.log(reach**l / 1e-3) / reach**2
        raw = r**l * np.exp(-alpha * r**2)
    else:
        raw = np.where(r < R_BASIS, R_BASIS - r, 0) ** np.arange(3, n_max + 3)[:, None]
    overlap = (raw * weights * r**2) @ raw.T
    values, vectors = np.linalg.eigh(overlap)
    return (vectors / np.sqrt(values)) @ vectors.T @ raw


@pytest.mark.parametrize("basis", ["gto", "polynomial"])
def test_splines_equal_integrals_over_the_bessel_function(basis):
    n_max, l_max, r_cut = 4, 3, 5.0
    table = radial_table(basis, n_max, l_max, SIGMA, R_BASIS, r_cut, None, None)
    assert table.error <= SPLINE_ERROR
    radii = np.array([0.01, 0.7, 1.3, 2.9, 4.4, 4.999])
    found = hermite(table, radii, (l_max + 1) * LANES)[0]
    found = found.reshape(len(radii), l_max + 1, LANES)
    x, w = leggauss(300)
    end = 3 * R_BASIS if basis == "gto" else R_BASIS
    r, w = 0.5 * end * (x + 1), 0.5 * end * w
    for l in range(l_max + 1):
        g = basis_functions(basis, n_max, l, r, w)
        z = np.outer(radii, r) / SIGMA**2
        density = spherical_in(l, z) * np.exp(
            -0.5 * (radii[:, None] ** 2 + r**2) / SIGMA**2
        )
        integral = 4 * np.pi * (density * r**2 * w) @ g.T
        integral *= np.sqrt((2 * l + 1) / (4 * np.pi))
        integral *= np.sqrt(np.pi * np.sqrt(8 / (2 * l + 1)))
        values = found[:, l, :n_max] * (radii[:, None] / r_cut) ** l
        # the condition of the overlap of four functions, about 1e3, and the spline
        np.testing.assert_allclose(
            values, integral, atol=1e-10 * np.abs(integral).max()
        )
        assert not found[:, l, n_max:].any()


@pytest.mark.parametrize("basis", ["gto", "polynomial"])
@pytest.mark.parametrize("cutoff", [None, ("quintic", 1.0), ("cosine", 0.5)])
def test_splines_hold_weights_and_cutoffs_as_exactly(basis, cutoff):
    options = (basis, 8, 6, 0.5, 5.0, 5.0, cutoff, ("power", 3.0, 4.0))
    table = radial_table(*options)
    assert table.error <= SPLINE_ERROR
    radii = np.random.default_rng(0).uniform(0.3, 5.0, 50)
    value, slope = hermite(table, radii, 7 * LANES)
    h = 1e-4
    ahead, behind = (hermite(table, radii + d, 7 * LANES)[0] for d in (h, -h))
    powers = (radii[:, None] / 5.0) ** np.repeat(np.arange(7), LANES)
    scale = np.abs(value * powers).max()
    # slopes belong to the values: central differences agree to second order
    np.testing.assert_allclose(
        (ahead - behind) / (2 * h) * powers, slope * powers, atol=1e-4 * scale
    )


def test_bases_are_orthonormal():
    """Narrow neighbours sample the functions: their integrals become g_n(R)."""
    x, w = leggauss(400)
    r, w = 0.5 * R_BASIS * (x + 1), 0.5 * R_BASIS * w
    table = radial_table("polynomial", 4, 0, 0.05, R_BASIS, R_BASIS, None, None)
    found = hermite(table, r, LANES)[0][:, :4]
    g = found / ((2 * np.pi) ** 1.5 * 0.05**3)
    g /= np.sqrt(1 / (4 * np.pi)) * np.sqrt(np.pi * np.sqrt(8))
    # a width sigma of what samples costs about sigma² times the integral of g'²
    np.testing.assert_allclose((g.T * w * r**2) @ g, np.eye(4), atol=0.05)


def test_scaled_bessel_functions_are_those_of_scipy():
    z = np.array([[1e-9, 1e-4, 0.3, 2.0, 30.0, 200.0]])
    for l, found in enumerate(_scaled_bessel(8, z)):
        expected = spherical_in(l, z) * np.exp(-z) / z**l
        # SciPy's own loses digits where z^l is tiny
        np.testing.assert_allclose(found[:, 2:], expected[:, 2:], rtol=1e-12)
        double = np.prod(np.arange(1.0, 2 * l + 2, 2))
        np.testing.assert_allclose(found[:, 0], 1 / double, rtol=1e-8)


def harmonics(vectors, l_max):
    near = np.zeros((3, 8))
    near[[X, Y, Z]] = np.resize(vectors, (8, 3)).T
    out = np.zeros(((l_max + 1) ** 2, 8))
    fill(8, l_max, ladder(l_max), near, out)
    return out


def test_harmonics_are_those_of_scipy():
    l_max = 8
    vectors = np.random.default_rng(0).normal(size=(8, 3))
    found = harmonics(vectors, l_max)
    r = np.linalg.norm(vectors, axis=1)
    theta, phi = np.arccos(vectors[:, 2] / r), np.arctan2(vectors[:, 1], vectors[:, 0])
    for l in range(l_max + 1):
        for m in range(-l, l + 1):
            y = sph_harm_y(l, abs(m), theta, phi) * (-1.0) ** m
            y = np.sqrt(2) * (y.imag if m < 0 else y.real) if m else y.real
            y *= np.sqrt(4 * np.pi / (2 * l + 1)) * r**l
            # about l_max steps of the recursion, on values up to r^l
            scale = np.max(r) ** l
            np.testing.assert_allclose(found[l * l + l + m], y, atol=1e-13 * scale)


def test_gradients_of_harmonics_equal_central_differences():
    l_max, h = 6, 1e-5
    vectors = np.random.default_rng(1).normal(size=(8, 3))
    values = harmonics(vectors, l_max)
    sources, factors = gradients(l_max)
    for axis in range(3):
        step = h * np.eye(3)[axis]
        change = harmonics(vectors + step, l_max) - harmonics(vectors - step, l_max)
        found = sum(
            factors[:, [k]] * values[sources[:, k]] for k in (2 * axis, 2 * axis + 1)
        )
        scale = np.abs(found).max()
        np.testing.assert_allclose(found, change / (2 * h), atol=1e-8 * scale)
        assert scale > 1.0


def test_transposed_gradients_hold_the_same_factors():
    sources, factors = gradients(5)
    back, weights = transposed(5, sources, factors)
    dense, again = np.zeros((2, 36, 36, 3))
    for lm, k in zip(*np.nonzero(factors)):
        dense[lm, sources[lm, k], k // 2] += factors[lm, k]
    for low, k in zip(*np.nonzero(weights)):
        again[back[low, k], low, k // 2] += weights[low, k]
    np.testing.assert_array_equal(dense, again)
    assert np.count_nonzero(dense) == np.count_nonzero(factors)

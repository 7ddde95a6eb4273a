"""Kernel functions against scikit-learn's, and their derivatives against differences."""

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import RBF, Matern
from sklearn.metrics.pairwise import (
    laplacian_kernel,
    linear_kernel,
    polynomial_kernel,
    rbf_kernel,
)

from skatom.models._kernel.functions import KERNELS, Kernel
from tests.differences import numerical_gradient, relative_error

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 3)), RNG.normal(size=(7, 3))
COEF, SLOPES = RNG.normal(size=7), RNG.normal(size=(7, 3))
SMOOTH = [name for name in KERNELS if name != "laplacian"]


def kernel(name: str) -> Kernel:
    return Kernel(name, 0.3, degree=3, coef0=0.7)


ORACLES = {
    "rbf": lambda: rbf_kernel(X, Y, gamma=0.3),
    "matern52": lambda: Matern(np.sqrt(0.5 / 0.3), nu=2.5)(X, Y),
    "matern32": lambda: Matern(np.sqrt(0.5 / 0.3), nu=1.5)(X, Y),
    "linear": lambda: linear_kernel(X, Y),
    "polynomial": lambda: polynomial_kernel(X, Y, degree=3, gamma=0.3, coef0=0.7),
    "laplacian": lambda: laplacian_kernel(X, Y, gamma=0.3),
}


@pytest.mark.parametrize("name", KERNELS)
def test_values_equal_scikit_learns(name):
    np.testing.assert_allclose(kernel(name).values(X, Y), ORACLES[name](), rtol=1e-12)


def test_length_scale_of_gamma_is_that_of_rbf():
    np.testing.assert_allclose(
        kernel("rbf").values(X, Y), RBF(np.sqrt(0.5 / 0.3))(X, Y), rtol=1e-12
    )


@pytest.mark.parametrize("name", SMOOTH)
def test_slopes_are_those_of_the_values(name):
    a, b = kernel(name).slopes(X, Y)
    for m, y in enumerate(Y):
        slope = a[:, m, None] * y + (0.0 if b is None else b[:, m, None] * X)
        expected = numerical_gradient(lambda Z: kernel(name).values(Z, y[None]), X)  # noqa: B023
        assert relative_error(slope, expected) < 1e-8


@pytest.mark.parametrize("name", SMOOTH)
def test_expansion_holds_the_derivatives_by_the_references(name):
    step = 1e-4
    k = kernel(name)
    ahead = k.values(X, Y + step * SLOPES) - k.values(X, Y - step * SLOPES)
    expected = k.values(X, Y) @ COEF + ahead.sum(axis=1) / (2.0 * step)
    found = k.expansion(X, Y, COEF, SLOPES)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("slopes", [None, SLOPES], ids=["values", "slopes"])
@pytest.mark.parametrize("name", SMOOTH)
def test_expansion_gradient_is_the_slope_of_the_expansion(name, slopes):
    k = kernel(name)
    found = k.expansion_gradient(X, Y, COEF, slopes)
    expected = numerical_gradient(lambda Z: k.expansion(Z, Y, COEF, slopes), X)
    assert relative_error(found, expected) < 1e-8


def test_laplacian_gradient_holds_off_the_kinks():
    k = kernel("laplacian")
    found = k.expansion_gradient(X, Y, COEF, None)
    expected = numerical_gradient(lambda Z: k.expansion(Z, Y, COEF, None), X, step=1e-5)
    assert relative_error(found, expected) < 1e-6


@pytest.mark.parametrize("name", ["rbf", "matern52", "matern32"])
def test_nothing_is_infinite_where_points_coincide(name):
    k = kernel(name)
    assert np.isfinite(k.expansion_gradient(Y, Y, COEF, SLOPES)).all()
    np.testing.assert_allclose(np.diagonal(k.values(Y, Y)), 1.0, atol=1e-7)


@pytest.mark.parametrize("name", SMOOTH)
def test_curvature_is_symmetric(name):
    """D2k/dx dy = c I + d p (x) q, transposed, is that of (y, x)."""
    c, d = kernel(name).curvatures(X, Y)
    c_back, d_back = kernel(name).curvatures(Y, X)
    np.testing.assert_allclose(c, c_back.T)
    np.testing.assert_allclose(d, d_back.T)

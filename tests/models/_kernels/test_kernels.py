"""Kernel functions against scikit-learn's, and their derivatives against differences."""

import numpy as np
import pytest
from differences import numerical_gradient, relative_error
from sklearn.gaussian_process.kernels import (
    RBF,
    ConstantKernel,
    DotProduct,
    ExpSineSquared,
    Matern,
    RationalQuadratic,
    WhiteKernel,
)
from sklearn.metrics.pairwise import (
    cosine_similarity,
    laplacian_kernel,
    linear_kernel,
    polynomial_kernel,
    rbf_kernel,
    sigmoid_kernel,
)

from skatom.models._kernels.from_sklearn import from_sklearn
from skatom.models._kernels.functions import Hyperparameter, Power
from skatom.models._kernels.named import KERNELS, RADIAL, SHAPED, Kernel
from skatom.models._kernels.profiles import PROFILES, matern

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 3)), RNG.normal(size=(7, 3))
COEF, SLOPES = RNG.normal(size=7), RNG.normal(size=(7, 3))


def kernel(name: str) -> Kernel:
    degree = 3 if name == "polynomial" else 2
    return Kernel(name, 0.3, degree=degree, coef0=0.7)


ORACLES = {
    "rbf": lambda: rbf_kernel(X, Y, gamma=0.3),
    "matern52": lambda: Matern(np.sqrt(0.5 / 0.3), nu=2.5)(X, Y),
    "matern32": lambda: Matern(np.sqrt(0.5 / 0.3), nu=1.5)(X, Y),
    "exponential": lambda: Matern(np.sqrt(0.5 / 0.3), nu=0.5)(X, Y),
    "linear": lambda: linear_kernel(X, Y),
    "polynomial": lambda: polynomial_kernel(X, Y, degree=3, gamma=0.3, coef0=0.7),
    "cosine": lambda: cosine_similarity(X, Y) ** 2,
    "laplacian": lambda: laplacian_kernel(X, Y, gamma=0.3),
    "sigmoid": lambda: sigmoid_kernel(X, Y, gamma=0.3, coef0=0.7),
    "matern": lambda: Matern(np.sqrt(0.5 / 0.3), nu=2.0)(X, Y),
    "rational_quadratic": lambda: RationalQuadratic(np.sqrt(0.5 / 0.3), 2.0)(X, Y),
}
# A radial sum, a radial product, and both with kernels of the product.
COMPOSED = {
    "radial sum": kernel("rbf") + kernel("matern52"),
    "radial product": kernel("rbf") * kernel("matern32"),
    "mixed sum": kernel("rbf") + kernel("polynomial"),
    "mixed product": kernel("matern52") * kernel("cosine") + kernel("linear"),
    "radial power": Power(kernel("matern32") + kernel("rbf"), 1.5, 0.7),
    "mixed power": Power(kernel("rbf") + kernel("polynomial"), 2.0),
    "rational": kernel("rational_quadratic") * kernel("linear"),
}
SMOOTH = {
    **{name: kernel(name) for name in ORACLES if kernel(name).smooth},
    "barely smooth": Kernel("matern", 0.3, degree=1.1),
    **COMPOSED,
}
SLOPED = {
    **SMOOTH,
    "exponential": kernel("exponential"),
    "rough": Kernel("matern", 0.3, degree=0.8),
}


@pytest.mark.parametrize("name", ORACLES)
def test_values_equal_scikit_learns(name):
    np.testing.assert_allclose(kernel(name).values(X, Y), ORACLES[name](), rtol=1e-12)


@pytest.mark.parametrize("k", [*map(kernel, KERNELS), *COMPOSED.values()])
def test_diagonal_is_that_of_the_values(k):
    # a distance of exactly zero comes out as 1e-16, which a cusp turns into 1e-8
    np.testing.assert_allclose(k.diagonal(X), np.diag(k.values(X, X)), rtol=1e-7)


def test_length_scale_of_gamma_is_that_of_rbf():
    np.testing.assert_allclose(
        kernel("rbf").values(X, Y), RBF(np.sqrt(0.5 / 0.3))(X, Y), rtol=1e-12
    )


@pytest.mark.parametrize("nu", [0.5, 1.5, 2.5])
def test_the_general_matern_kernel_is_that_of_closed_form(nu):
    closed = from_sklearn(Matern(1.3, nu=nu)).function
    s = np.array([0.0, 1e-12, 1e-3, 0.5, 40.0])
    for found, expected in zip(matern(s, 3, nu), PROFILES[closed.name](s, 3)):
        np.testing.assert_allclose(found[2:], expected[2:], rtol=1e-9)
        assert np.isfinite(found).all()
    np.testing.assert_allclose(matern(s, 0, nu)[0][0], 1.0)


@pytest.mark.parametrize("k", SLOPED.values(), ids=SLOPED)
def test_slopes_are_those_of_the_values(k):
    a, b = k.slopes(X, Y)
    for m, y in enumerate(Y):
        slope = a[:, m, None] * y + (0.0 if b is None else b[:, m, None] * X)
        expected = numerical_gradient(lambda Z: k.values(Z, y[None]), X)  # noqa: B023
        assert relative_error(slope, expected) < 1e-8


@pytest.mark.parametrize("k", SMOOTH.values(), ids=SMOOTH)
def test_expansion_holds_the_derivatives_by_the_references(k):
    step = 1e-5
    ahead = k.values(X, Y + step * SLOPES) - k.values(X, Y - step * SLOPES)
    expected = k.values(X, Y) @ COEF + ahead.sum(axis=1) / (2.0 * step)
    found = k.expansion(X, Y, COEF, SLOPES)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("slopes", [None, SLOPES], ids=["values", "slopes"])
@pytest.mark.parametrize("k", SMOOTH.values(), ids=SMOOTH)
def test_the_gradient_of_an_expansion_is_its_slope_of_the_expansion(k, slopes):
    values, found = k.expansion_with_gradient(X, Y, COEF, slopes)
    np.testing.assert_allclose(values, k.expansion(X, Y, COEF, slopes), rtol=1e-12)
    expected = numerical_gradient(lambda Z: k.expansion(Z, Y, COEF, slopes), X)
    assert relative_error(found, expected) < 1e-8


@pytest.mark.parametrize(
    "k",
    [*SLOPED.values(), Kernel("cosine", degree=1.0), Kernel("polynomial", 0.3, 1.0)],
    ids=[*SLOPED, "cosine of one", "plane"],
)
def test_weighted_gradients_are_sums_of_slopes(k):
    weights = RNG.normal(size=(5, 7))
    a, b = k.slopes(X, Y)
    expected = (weights * a) @ Y
    expected += 0.0 if b is None else (weights * b).sum(axis=1)[:, None] * X
    found = k.weighted_gradient(X, Y, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        k.weighted_gradient(X, Y, COEF),
        k.expansion_with_gradient(X, Y, COEF, None)[1],
        rtol=1e-10,
        atol=1e-12,
    )


def test_laplacian_gradient_holds_off_the_kinks():
    k = kernel("laplacian")
    values, found = k.expansion_with_gradient(X, Y, COEF, None)
    np.testing.assert_allclose(values, k.expansion(X, Y, COEF, None), rtol=1e-12)
    expected = numerical_gradient(lambda Z: k.expansion(Z, Y, COEF, None), X, step=1e-5)
    assert relative_error(found, expected) < 1e-6


def test_laplacian_has_no_derivatives():
    with pytest.raises(NotImplementedError, match="kinks"):
        kernel("laplacian").slopes(X, Y)


@pytest.mark.parametrize("name", [*RADIAL, *SHAPED])
def test_nothing_is_infinite_where_points_coincide(name):
    k = kernel(name)
    slopes = SLOPES if k.smooth else None
    assert np.isfinite(k.expansion_with_gradient(Y, Y, COEF, slopes)[1]).all()
    np.testing.assert_allclose(np.diagonal(k.values(Y, Y)), 1.0, atol=1e-7)


def test_cosine_with_nothing_is_nothing():
    k = kernel("cosine")
    nothing = np.zeros((1, 3))
    assert k.values(nothing, Y).max() == 0.0
    assert np.isfinite(k.expansion_with_gradient(nothing, Y, COEF, SLOPES)[1]).all()


def dense(cross, X, Y):
    """Matrices d2k/dx dy of all pairs, (n, m, n_features, n_features)."""
    c, terms = cross
    full = c[:, :, None, None] * np.eye(X.shape[1])
    for weight, (p_x, p_y), (q_x, q_y) in terms:
        p = p_x * X[:, None] + p_y * Y
        q = q_x * X[:, None] + q_y * Y
        full = full + weight[:, :, None, None] * p[..., :, None] * q[..., None, :]
    return full


@pytest.mark.parametrize("k", SMOOTH.values(), ids=SMOOTH)
def test_curvature_is_symmetric(k):
    """That of (y, x) is the transpose of that of (x, y)."""
    there, back = dense(k.curvatures(X, Y), X, Y), dense(k.curvatures(Y, X), Y, X)
    np.testing.assert_allclose(there, back.transpose(1, 0, 3, 2), atol=1e-14)


def freed(name: str, *free: str) -> Kernel:
    parts = tuple(Hyperparameter(part, np.nan) for part in free)
    k = kernel(name)
    return Kernel(k.name, k.gamma, k.degree, k.coef0, 1.7, parts)


FREE = {
    **{
        name: freed(name, "length", "variance")
        for name in (*RADIAL, *SHAPED, "laplacian")
    },
    "polynomial": freed("polynomial", "length", "constant", "variance"),
    "cosine": freed("cosine", "variance"),
    "power": Power(freed("rbf", "length", "variance") + kernel("polynomial"), 2.0),
    "sum": freed("rbf", "length") + freed("polynomial", "variance", "constant"),
    "product": freed("rbf", "length") * freed("matern52", "variance", "length"),
}


@pytest.mark.parametrize("k", FREE.values(), ids=FREE)
def test_derivatives_by_hyperparameters_are_slopes(k):
    step = 1e-5
    for h, derivative in enumerate(k.derivatives()):
        shift = step * (np.arange(len(k.theta)) == h)
        ahead, behind = (
            k.with_theta(k.theta + sign * shift).values(X, Y) for sign in (1, -1)
        )
        assert relative_error(
            derivative.values(X, Y), (ahead - behind) / (2 * step)
        ) < (1e-8)


@pytest.mark.parametrize("name", sorted(set(FREE) - {"laplacian", "exponential"}))
def test_derivatives_by_hyperparameters_have_curvatures(name):
    k, step = FREE[name], 1e-5
    for h, derivative in enumerate(k.derivatives()):
        shift = step * (np.arange(len(k.theta)) == h)
        ahead, behind = (
            k.with_theta(k.theta + sign * shift).expansion_with_gradient(
                X, Y, COEF, SLOPES
            )[1]
            for sign in (1, -1)
        )
        found = derivative.expansion_with_gradient(X, Y, COEF, SLOPES)[1]
        assert relative_error(found, (ahead - behind) / (2 * step)) < 1e-7


STOCK = {
    "rbf": RBF(1.3),
    "scaled": 2.5 * RBF(1.3),
    "scaled behind": RBF(1.3) * ConstantKernel(2.5),
    "matern": Matern(0.8, nu=1.5) + 0.3 * Matern(2.0, nu=2.5),
    "exponential": Matern(0.8, nu=0.5),
    "smooth matern": Matern(0.8, nu=np.inf),
    "product": RBF(1.3) * DotProduct(0.4),
    "power": DotProduct(0.4, "fixed") ** 2,
    # scikit-learn's derivatives by these lengths are differences with errors of 1e-5
    "general matern": Matern(0.8, "fixed", nu=1.7),
    "rough matern": 0.5 * Matern(0.8, "fixed", nu=0.7),
    "rational": RationalQuadratic(0.8, 0.7, alpha_bounds="fixed"),
    "power of a sum": (RBF(1.3) + DotProduct(0.4)) ** 3,
    "root": (RBF(1.3) * Matern(0.8, nu=1.5)) ** 0.5,
    "constant": ConstantKernel(0.7, "fixed") + RBF(2.0, "fixed"),
}


@pytest.mark.parametrize("stock", STOCK.values(), ids=STOCK)
def test_kernels_of_scikit_learn_are_converted(stock):
    function, lengths = from_sklearn(stock)
    assert lengths is None
    np.testing.assert_allclose(function.values(X, Y), stock(X, Y), rtol=1e-12)
    assert len(function.hyperparameters()) == stock.n_dims


@pytest.mark.parametrize("stock", STOCK.values(), ids=STOCK)
def test_hyperparameters_keep_their_order_and_bounds(stock):
    function, _ = from_sklearn(stock)
    slopes = np.array([d.values(X, X) for d in function.derivatives()])
    factor = [2.0 if h.name == "constant" else 1.0 for h in function.hyperparameters()]
    expected = stock(X, eval_gradient=True)[1]
    for slope, f, theirs in zip(slopes, factor, np.moveaxis(expected, 2, 0)):
        # the constant is sigma_0 squared, so its logarithm counts twice
        np.testing.assert_allclose(f * slope, theirs, rtol=1e-7, atol=1e-7)
    limits = [limit ** (1 / f)
              for h, f in zip(function.hyperparameters(), factor)
              for limit in (h.low, h.high)]  # fmt: skip
    np.testing.assert_allclose(limits, np.exp(stock.bounds).ravel(), rtol=1e-12)


def test_anisotropic_lengths_become_ratios():
    stock = (2.0 * RBF([0.5, 1.0, 2.0]) + Matern([1.0, 2.0, 4.0], nu=2.5)) ** 2
    function, lengths = from_sklearn(stock)
    np.testing.assert_allclose(
        function.values(X / lengths, Y / lengths), stock(X, Y), rtol=1e-12
    )
    assert np.prod(lengths) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("stock", "message"),
    [
        (RBF() + WhiteKernel(), "noise is what alpha is for"),
        (ExpSineSquared(), "no counterpart"),
        (2.0 * ExpSineSquared() ** 2, "no counterpart"),
        (RBF([1.0, 2.0]) + RBF([2.0, 1.0]), "mixes different lengths"),
        (RBF([1.0, 2.0]) * DotProduct(), "mixes different lengths"),
        ((RBF([1.0, 2.0]) + Matern(nu=1.7)) ** 2, "mixes different lengths"),
    ],
)
def test_other_kernels_are_refused(stock, message):
    with pytest.raises(ValueError, match=message):
        from_sklearn(stock)


@pytest.mark.parametrize("k", [*map(kernel, KERNELS), *COMPOSED.values()])
def test_prepared_rows_give_the_values(k):
    found = k.between(k.left(X), k.right(Y))
    np.testing.assert_allclose(found, k.values(X, Y), rtol=1e-12, atol=1e-14)

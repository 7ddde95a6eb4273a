"""Gradients of stock regressors against central differences."""

import numpy as np
import pytest
from differences import numerical_gradient
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor, kernels
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Lasso, LinearRegression, RANSACRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.svm import SVR, NuSVR

from skatom.features import NoDerivativeError
from skatom.models import input_gradient, register_regressor
from skatom.models._gradients import LINEAR

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
y = np.sin(X[:, 0]) + 0.3 * X[:, 1] * X[:, 2] + 5
AT = RNG.normal(size=(6, 4))

ONE_COMPONENT = ("PLSCanonical", "CCA", "PLSRegression")
KERNELS = [
    kernels.RBF(1.3),
    kernels.RBF([1.0, 2.0, 3.0, 1.0]),
    kernels.Matern(1.2, nu=0.5),
    kernels.Matern(1.2, nu=1.5),
    kernels.Matern([1.0, 2.0, 3.0, 1.0], nu=2.5),
    kernels.Matern(1.2, nu=np.inf),
    kernels.Matern(1.2, nu=1.1),
    kernels.Matern([1.0, 2.0, 3.0, 1.0], nu=3.5),
    kernels.DotProduct(0.7) + kernels.WhiteKernel(0.5),
    kernels.RationalQuadratic(1.2, 0.8),
    kernels.ConstantKernel(2.0) * kernels.RBF(1.0) + kernels.WhiteKernel(0.1),
    (kernels.RBF(2.0) + kernels.DotProduct()) ** 2 * kernels.Matern(2.0),
    kernels.ConstantKernel(3.0),
    kernels.RBF(1.5) ** 2,
    kernels.Matern([1.0, 2.0, 3.0, 1.0], nu=1.7) ** 1.5,
    kernels.DotProduct(0.7) ** 3 + kernels.RBF([1.0, 2.0, 3.0, 1.0]),
    kernels.RBF([1.0, 2.0, 3.0, 1.0]) + kernels.Matern([3.0, 1.0, 1.0, 2.0]),
    kernels.RBF([1.0, 2.0, 3.0, 1.0]) * kernels.Matern([3.0, 1.0, 1.0, 2.0], nu=2.5),
    (kernels.RationalQuadratic(2.0, 0.5) + kernels.WhiteKernel(0.1)) * kernels.RBF(3.0),
    (kernels.RBF([1.0, 2.0, 3.0, 1.0]) + kernels.WhiteKernel(0.2)) ** 2,
    kernels.WhiteKernel(1.0) * kernels.RBF(2.0) + kernels.RBF(1.0),
]
SMOOTH = [
    *[
        cls(n_components=1) if cls.__name__ in ONE_COMPONENT else cls()
        for cls in LINEAR
    ],
    RANSACRegressor(random_state=0),
    DummyRegressor(),
    *[
        KernelRidge(kernel=kernel, gamma=gamma, alpha=0.1, coef0=0.5)
        for kernel in ("linear", "rbf", "poly", "laplacian", "cosine")
        for gamma in (None, 0.2)
    ],
    KernelRidge(kernel="polynomial", degree=2),
    KernelRidge(kernel="sigmoid", alpha=30.0),  # an indefinite kernel
    *[
        cls(kernel=kernel, gamma=gamma)
        for cls in (SVR, NuSVR)
        for kernel, gamma in [
            ("linear", "scale"),
            ("rbf", "scale"),
            ("rbf", "auto"),
            ("poly", 0.3),
            ("sigmoid", "scale"),
        ]
    ],
    *[
        MLPRegressor(
            hidden_layer_sizes=sizes, activation=name, max_iter=9, random_state=0
        )
        for name in ("identity", "tanh", "logistic", "relu")
        for sizes in ((7,), (7, 5))
    ],
    MLPRegressor(loss="poisson", activation="tanh", max_iter=9, random_state=0),
    *[
        GaussianProcessRegressor(k, alpha=1e-2, normalize_y=normalize, optimizer=None)
        for k in KERNELS
        for normalize in (False, True)
    ],
]


@pytest.mark.parametrize("regressor", SMOOTH, ids=lambda m: str(m).replace("\n", ""))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_gradient_is_the_slope_of_the_prediction(regressor):
    regressor.fit(X, y)
    found = input_gradient(regressor, AT)
    expected = numerical_gradient(regressor.predict, AT)
    # predictions near 10 carry 1e-14 of round-off over a step of 1e-3
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=2e-10)


def test_gradient_is_not_zero_for_a_model_that_learned():
    gradient = input_gradient(SVR().fit(X, y), AT)
    assert np.abs(gradient).max(axis=1).min() > 1e-2


def test_at_a_training_point_the_cusp_of_matern_has_slope_zero():
    model = GaussianProcessRegressor(kernels.Matern(nu=0.5), optimizer=None)
    assert np.isfinite(input_gradient(model.fit(X, y), X)).all()


def test_rough_matern_is_finite_at_training_points():
    model = GaussianProcessRegressor(kernels.Matern(nu=1.2), optimizer=None)
    assert np.isfinite(input_gradient(model.fit(X, y), X)).all()


def test_the_prior_mean_is_flat():
    gradient = input_gradient(GaussianProcessRegressor(), AT)
    np.testing.assert_array_equal(gradient, np.zeros_like(AT))


@pytest.mark.parametrize("model", [SVR(), Lasso(0.01)], ids=str)
def test_models_fitted_to_sparse_rows(model):
    sparse = input_gradient(model.fit(csr_matrix(X), y), AT)
    np.testing.assert_allclose(sparse, input_gradient(model.fit(X, y), AT), rtol=1e-6)


def test_a_column_of_targets_is_one_target():
    model = LinearRegression().fit(X, y[:, None])
    np.testing.assert_allclose(
        input_gradient(model, AT), input_gradient(LinearRegression().fit(X, y), AT)
    )


def test_a_registered_rule_is_used():
    class Bowl(RegressorMixin, BaseEstimator):
        def predict(self, X):
            return (X**2).sum(axis=1)

    register_regressor(Bowl)(lambda model, X: 2 * X)
    np.testing.assert_array_equal(input_gradient(Bowl(), AT), 2 * AT)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (RandomForestRegressor(2), "RandomForestRegressor has no gradient rule"),
        (KernelRidge(kernel="chi2", gamma=1.0), "no gradient rule for kernel='chi2'"),
        (
            KernelRidge(kernel=lambda a, b: a @ b),
            "no gradient rule for kernel=<function",
        ),
        (
            GaussianProcessRegressor(kernels.ExpSineSquared(), alpha=9.0),
            "no gradient rule for its kernel.*ExpSineSquared",
        ),
        (SVR(kernel=lambda a, b: a @ b.T), "no gradient rule for kernel=<function"),
    ],
    ids=lambda m: str(m).split(" at 0x")[0][:40],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_model_without_a_rule_is_named(model, message):
    model.fit(np.abs(X), y)
    with pytest.raises(NoDerivativeError, match=message):
        input_gradient(model, AT)


@pytest.mark.parametrize(
    "model", [LinearRegression(), KernelRidge(), MLPRegressor(max_iter=2)], ids=str
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_several_targets_are_refused(model):
    model.fit(X, np.column_stack([y, y]))
    with pytest.raises(NoDerivativeError, match="fitted to several targets"):
        input_gradient(model, AT)

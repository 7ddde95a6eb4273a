"""Gradients of regressors by their input row: rules looked up by class.

They are what a stock scikit-learn regressor lacks to give forces. Meta-estimators that
combine other estimators (Pipeline, Voting, ...) are not here: `skatom.potential` follows
the chain rule through them for rows, per-atom features and structures alike.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np
from sklearn import linear_model
from sklearn.cross_decomposition import CCA, PLSCanonical, PLSRegression
from sklearn.dummy import DummyRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.neural_network import MLPRegressor
from sklearn.svm import SVR, LinearSVR, NuSVR

from skatom.base import AtomicRegressor
from skatom.features import AtomFeatures, NoDerivativeError
from skatom.models._kernels.from_sklearn import (
    from_metric,
    kernel_function,
    without_noise,
)

LINEAR = [
    linear_model.LinearRegression,
    linear_model.Ridge,
    linear_model.RidgeCV,
    linear_model.Lasso,
    linear_model.LassoCV,
    linear_model.LassoLars,
    linear_model.LassoLarsCV,
    linear_model.LassoLarsIC,
    linear_model.Lars,
    linear_model.LarsCV,
    linear_model.ElasticNet,
    linear_model.ElasticNetCV,
    linear_model.BayesianRidge,
    linear_model.ARDRegression,
    linear_model.HuberRegressor,
    linear_model.SGDRegressor,
    linear_model.TheilSenRegressor,
    linear_model.QuantileRegressor,
    linear_model.OrthogonalMatchingPursuit,
    linear_model.OrthogonalMatchingPursuitCV,
    LinearSVR,
    PLSRegression,
    PLSCanonical,
    CCA,
]


def input_gradient(regressor, X) -> np.ndarray:
    """Differentiate the predictions of a regressor by its input.

    Parameters
    ----------
    regressor : fitted regressor
        With one target.
    X : array-like of shape (n_samples, n_features), or AtomFeatures
        AtomFeatures for skatom's own models.

    Returns
    -------
    gradient : ndarray of shape (n_samples, n_features), or (n_atoms_total, n_features)
        Row n is d predict(X)[n] / d X[n].

    Raises
    ------
    NoDerivativeError
        If there is no rule for the regressor.

    See Also
    --------
    register_regressor : Add a rule.
    skatom.potential.predict_forces : Forces of whole pipelines.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from skatom.models import input_gradient
    >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0]])
    >>> input_gradient(LinearRegression().fit(X, X @ [2.0, -1.0]), X[:1]).round(6)
    array([[ 2., -1.]])
    """
    if not isinstance(X, AtomFeatures):
        X = np.asarray(X, dtype=np.float64)
    return _gradient(regressor, X)


def register_regressor(cls):
    """Decorate a rule ``rule(regressor, X) -> gradient`` for a class of regressors.

    Parameters
    ----------
    cls : type
        Class of regressors; subclasses share the rule.

    Returns
    -------
    decorator : callable

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator, RegressorMixin
    >>> from skatom.models import input_gradient, register_regressor
    >>> class Bowl(RegressorMixin, BaseEstimator):
    ...     def predict(self, X):
    ...         return (X**2).sum(axis=1)
    >>> @register_regressor(Bowl)
    ... def slope_of_bowl(regressor, X):
    ...     return 2 * X
    >>> input_gradient(Bowl(), np.array([[1.0, 2.0]]))
    array([[2., 4.]])
    """
    return _gradient.register(cls)


@singledispatch
def _gradient(regressor, X):
    name = type(regressor).__name__
    raise NoDerivativeError(
        f"{name} has no gradient rule: it gives energies but neither forces nor stress. "
        "Use a smooth model, such as AtomicKernelRidge, Ridge, KernelRidge, "
        "GaussianProcessRegressor, SVR or MLPRegressor (trees and nearest neighbours are "
        "piecewise constant and have no useful forces), or add a rule with "
        "skatom.models.register_regressor."
    )


def _single(coefficients, regressor) -> np.ndarray:
    """Coefficients of the only target, as a vector."""
    coefficients = np.asarray(coefficients)
    if coefficients.ndim == 2 and 1 in coefficients.shape:
        coefficients = coefficients.ravel()
    if coefficients.ndim != 1:
        raise NoDerivativeError(
            f"{type(regressor).__name__} was fitted to several targets; energies are one "
            "number a structure. Fit it to a vector y."
        )
    return coefficients


@_gradient.register(AtomicRegressor)
def _atomic(regressor, X):
    return regressor.feature_gradient(X)


def _linear(regressor, X):
    coefficients = regressor.coef_
    if hasattr(coefficients, "toarray"):
        coefficients = coefficients.toarray()
    return np.tile(_single(coefficients, regressor), (len(X), 1))


for _cls in LINEAR:
    _gradient.register(_cls, _linear)


@_gradient.register(linear_model.RANSACRegressor)
def _ransac(regressor, X):
    return _gradient(regressor.estimator_, X)


@_gradient.register(DummyRegressor)
def _constant(regressor, X):
    return np.zeros(X.shape)


@_gradient.register(KernelRidge)
def _kernel_ridge(regressor, X):
    weights = _single(regressor.dual_coef_, regressor)
    return _of_metric(regressor, X, regressor.X_fit_, weights, regressor.gamma)


@_gradient.register(SVR)
@_gradient.register(NuSVR)
def _support_vectors(regressor, X):
    # gamma="scale" was resolved in fit; scikit-learn keeps the number as _gamma only.
    weights, centres = regressor.dual_coef_, regressor.support_vectors_
    if hasattr(centres, "toarray"):
        weights, centres = weights.toarray(), centres.toarray()
    return _of_metric(regressor, X, centres, weights[0], regressor._gamma)


def _of_metric(regressor, X, centres, weights, gamma):
    gamma = 1.0 / X.shape[1] if gamma is None else gamma
    try:
        kernel = from_metric(regressor.kernel, gamma, regressor.degree, regressor.coef0)
    except KeyError as error:
        raise NoDerivativeError(
            f"{type(regressor).__name__} has no gradient rule for "
            f"kernel={regressor.kernel!r}, so it gives energies but no forces: use "
            "'rbf', 'laplacian', 'polynomial', 'linear', 'sigmoid' or 'cosine'."
        ) from error
    centres = np.asarray(centres, dtype=np.float64)
    return kernel.weighted_gradient(X, centres, weights)


@_gradient.register(GaussianProcessRegressor)
def _gaussian_process(regressor, X):
    if not hasattr(regressor, "alpha_"):
        return np.zeros(X.shape)  # the prior mean
    weights = _single(regressor.alpha_, regressor)
    centres = np.asarray(regressor.X_train_, dtype=np.float64)
    try:
        kernel = kernel_function(without_noise(regressor.kernel_))
    except ValueError as error:
        raise NoDerivativeError(
            "GaussianProcessRegressor has no gradient rule for its kernel, so it gives "
            f"energies but no forces. {error}"
        ) from error
    gradient = kernel.weighted_gradient(X, centres, weights)
    # One for normalize_y=False; scikit-learn keeps the scale as _y_train_std only.
    return gradient * np.squeeze(regressor._y_train_std)


@_gradient.register(MLPRegressor)
def _perceptron(regressor, X):
    if regressor.n_outputs_ != 1:
        _single(np.empty((2, 2)), regressor)
    slopes, hidden = [], X
    for weights, bias in zip(regressor.coefs_[:-1], regressor.intercepts_[:-1]):
        hidden, slope = _ACTIVATIONS[regressor.activation](hidden @ weights + bias)
        slopes.append(slope)
    gradient = np.broadcast_to(regressor.coefs_[-1].T, (len(X), len(hidden.T)))
    if regressor.out_activation_ == "exp":
        gradient = gradient * regressor.predict(X)[:, None]
    for weights, slope in zip(regressor.coefs_[-2::-1], slopes[::-1]):
        gradient = (gradient * slope) @ weights.T
    return np.array(gradient)


def _tanh(z):
    value = np.tanh(z)
    return value, 1 - value**2


def _logistic(z):
    value = 0.5 * (1 + np.tanh(0.5 * z))
    return value, value * (1 - value)


_ACTIVATIONS = {
    "identity": lambda z: (z, np.ones_like(z)),
    "relu": lambda z: (np.maximum(z, 0), (z > 0).astype(z.dtype)),
    "tanh": _tanh,
    "logistic": _logistic,
}

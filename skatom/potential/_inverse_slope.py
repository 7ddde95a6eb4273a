"""Slope of the inverse of a target transformation."""

from __future__ import annotations

import numpy as np
from sklearn.preprocessing import FunctionTransformer

from skatom.features import NoDerivativeError
from skatom.preprocessing import transform_pushforward

COMPLEX_STEP = 1e-30
# A forward difference over a 1e-6 share of the scale is this good for smooth functions.
LOOSE = 1e-3


def inverse_slope(transformer, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Differentiate ``y = transformer.inverse_transform(z)`` by z.

    Parameters
    ----------
    transformer : fitted transformer
        As ``TransformedTargetRegressor`` holds it.
    z : ndarray of shape (n, 1)
        Predictions of the inner regressor.
    y : ndarray of shape (n,)
        The same in the original unit.

    Returns
    -------
    slope : ndarray of shape (n,)

    Raises
    ------
    NoDerivativeError
        If the transformer, or the function, has no derivative rule.
    """
    if isinstance(transformer, FunctionTransformer):
        if transformer.inverse_func is None:
            return np.ones(len(z))
        arguments = transformer.inv_kw_args or {}
        return _function_slope(lambda t: transformer.inverse_func(t, **arguments), z)
    forward = transform_pushforward(transformer, y[:, None], np.ones((len(y), 1)))
    return 1.0 / np.ravel(forward)


def _function_slope(function, z: np.ndarray) -> np.ndarray:
    """Slope by a complex step, exact for analytic functions; checked by a difference."""
    name = getattr(function, "__name__", "inverse_func")
    step = 1e-6 * np.maximum(1.0, np.abs(z))
    try:
        exact = np.imag(function(z + 1j * COMPLEX_STEP)) / COMPLEX_STEP
    except (TypeError, ValueError):
        exact = np.full(z.shape, np.nan)
    rough = (function(z + step) - function(z - step)) / (2 * step)
    if not np.allclose(exact, rough, rtol=LOOSE, atol=LOOSE * np.abs(rough).max()):
        raise NoDerivativeError(
            f"The inverse_func of TransformedTargetRegressor ({name}) could not be "
            "differentiated: write it with NumPy functions that take complex numbers, "
            "such as np.exp, or use an affine transformer."
        )
    return np.ravel(exact)

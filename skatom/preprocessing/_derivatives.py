"""Derivatives of stock transformers: rules looked up by class.

Almost every stock transformer that a smooth model can follow is affine in its input, and
its fitted attributes hold the slope. So one table, `slope`, serves both directions; the
few others (Normalizer, PolynomialFeatures, compositions) have a rule of their own.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np
from sklearn.cluster import FeatureAgglomeration
from sklearn.compose import ColumnTransformer
from sklearn.cross_decomposition import CCA, PLSCanonical, PLSRegression
from sklearn.decomposition import PCA, FastICA, IncrementalPCA, TruncatedSVD
from sklearn.feature_selection import SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from skatom.features import NoDerivativeError
from skatom.preprocessing._maps import (
    Chain,
    Columns,
    Linear,
    OnSphere,
    Scale,
    SideBySide,
)
from skatom.preprocessing._monomials import Monomials


def transform_pullback(transformer, X, g: np.ndarray) -> np.ndarray:
    """Carry a gradient with respect to a transformer's output back to its input.

    Parameters
    ----------
    transformer : fitted transformer or "passthrough"
        That works on each row by itself.
    X : array-like of shape (n_samples, n_features)
        Input of the transformer, where the derivative is taken.
    g : ndarray of shape (n_samples, n_outputs)
        Derivative of some number by the output.

    Returns
    -------
    gradient : ndarray of shape (n_samples, n_features)

    Raises
    ------
    NoDerivativeError
        If there is no rule for the transformer.

    See Also
    --------
    register_transformer : Add a rule.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skatom.preprocessing import transform_pullback
    >>> X = np.array([[0.0], [4.0]])
    >>> transform_pullback(StandardScaler().fit(X), X, np.ones((2, 1)))
    array([[0.5],
           [0.5]])
    """
    return derivative(transformer, X).pullback(np.asarray(g))


def transform_pushforward(transformer, X, v: np.ndarray) -> np.ndarray:
    """Carry a change of a transformer's input forward to its output.

    Parameters
    ----------
    transformer : fitted transformer or "passthrough"
    X : array-like of shape (n_samples, n_features)
        Input of the transformer, where the derivative is taken.
    v : ndarray of shape (n_samples, n_features)
        Change of the input.

    Returns
    -------
    tangent : ndarray of shape (n_samples, n_outputs)

    Raises
    ------
    NoDerivativeError
        If there is no rule for the transformer.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from skatom.preprocessing import transform_pushforward
    >>> X = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 0.1]])
    >>> pca = PCA(n_components=1).fit(X)
    >>> transform_pushforward(pca, X, np.tile([1.0, 0.0], (3, 1))).shape
    (3, 1)
    """
    return derivative(transformer, X).pushforward(np.asarray(v))


@singledispatch
def derivative(transformer, X):
    """Give the derivative of a fitted transformer at X, with pullback and pushforward.

    Parameters
    ----------
    transformer : object
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    derivative : object with pullback(g) and pushforward(v)
    """
    name = type(transformer).__name__
    raise NoDerivativeError(
        f"There is no derivative rule for the step {name}, so forces and stress cannot "
        "pass through it (energies can). Use a step that is smooth in each row, such as "
        "StandardScaler, PCA or a feature selector, or add a rule with "
        "skatom.preprocessing.register_transformer."
    )


def register_transformer(cls):
    """Decorate a rule ``rule(transformer, X) -> derivative`` for a transformer class.

    Parameters
    ----------
    cls : type
        Class of transformers; subclasses share the rule.

    Returns
    -------
    decorator : callable

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator, TransformerMixin
    >>> from skatom.preprocessing import register_transformer, transform_pullback
    >>> class Double(TransformerMixin, BaseEstimator):
    ...     def transform(self, X):
    ...         return 2 * X
    >>> class Twice:
    ...     def pullback(self, g):
    ...         return 2 * g
    ...     def pushforward(self, v):
    ...         return 2 * v
    >>> @register_transformer(Double)
    ... def twice(transformer, X):
    ...     return Twice()
    >>> transform_pullback(Double(), np.zeros((1, 1)), np.ones((1, 1)))
    array([[2.]])
    """
    return derivative.register(cls)


@derivative.register(str)
@derivative.register(type(None))
def _passthrough(transformer, X):
    if transformer in ("passthrough", None):
        return Scale(1.0)
    raise NoDerivativeError(
        f"{transformer!r} is no step: use a transformer or 'passthrough'."
    )


@derivative.register(FunctionTransformer)
def _function(transformer, X):
    if transformer.func is None:
        return Scale(1.0)
    name = getattr(transformer.func, "__name__", repr(transformer.func))
    raise NoDerivativeError(
        f"FunctionTransformer({name}) says nothing of its derivative, so forces and "
        "stress cannot pass through it. Write a small transformer of your own and add a "
        "rule with skatom.preprocessing.register_transformer."
    )


@derivative.register(StandardScaler)
@derivative.register(RobustScaler)
def _divide(transformer, X):
    return Scale(1.0 if transformer.scale_ is None else 1.0 / transformer.scale_)


@derivative.register(MaxAbsScaler)
def _max_abs(transformer, X):
    _refuse_clip(transformer)
    return Scale(1.0 / transformer.scale_)


@derivative.register(MinMaxScaler)
def _min_max(transformer, X):
    _refuse_clip(transformer)
    return Scale(transformer.scale_)


def _refuse_clip(transformer):
    if getattr(transformer, "clip", False):
        raise NoDerivativeError(
            f"{type(transformer).__name__}(clip=True) has a kink at the edge of the "
            "training data, where forces would jump: use clip=False."
        )


@derivative.register(PCA)
@derivative.register(IncrementalPCA)
def _pca(transformer, X):
    matrix = transformer.components_.T
    if transformer.whiten:
        scale = np.sqrt(transformer.explained_variance_)
        matrix = matrix / np.maximum(scale, np.finfo(scale.dtype).eps)
    return Linear(matrix)


@derivative.register(TruncatedSVD)
@derivative.register(FastICA)
@derivative.register(GaussianRandomProjection)
@derivative.register(SparseRandomProjection)
def _components(transformer, X):
    matrix = transformer.components_
    return Linear(matrix.toarray().T if hasattr(matrix, "toarray") else matrix.T)


@derivative.register(PLSRegression)
@derivative.register(PLSCanonical)
@derivative.register(CCA)
def _pls(transformer, X):
    # The scale of the inputs is not public, but affine maps show their slope.
    n_features = transformer.x_rotations_.shape[0]
    corners = np.vstack([np.zeros(n_features), np.eye(n_features)])
    moved = np.asarray(transformer.transform(corners))
    return Linear(moved[1:] - moved[0])


@derivative.register(SelectorMixin)
def _selector(transformer, X):
    support = transformer.get_support()
    return Columns(np.flatnonzero(support), len(support))


@derivative.register(FeatureAgglomeration)
def _agglomeration(transformer, X):
    if transformer.pooling_func is not np.mean:
        raise NoDerivativeError(
            "FeatureAgglomeration has a derivative only with pooling_func=np.mean."
        )
    members = np.eye(transformer.labels_.max() + 1)[transformer.labels_]
    return Linear(members / members.sum(axis=0))


@derivative.register(Normalizer)
def _normalizer(transformer, X):
    return OnSphere(np.asarray(X, dtype=np.float64), transformer.norm)


@derivative.register(PolynomialFeatures)
def _polynomial(transformer, X):
    return Monomials(transformer.powers_, np.asarray(X, dtype=np.float64))


@derivative.register(FrozenEstimator)
def _frozen(transformer, X):
    return derivative(transformer.estimator, X)


@derivative.register(Pipeline)
def _pipeline(transformer, X):
    parts = []
    steps = [step for _, step in transformer.steps if step not in ("passthrough", None)]
    for k, step in enumerate(steps):
        parts.append(derivative(step, X))
        if k < len(steps) - 1:
            X = step.transform(X)
    return Chain(parts)


@derivative.register(FeatureUnion)
def _union(transformer, X):
    weights = transformer.transformer_weights or {}
    parts, start = [], 0
    for name, step in transformer.transformer_list:
        if step == "drop":
            continue
        one = derivative(step, X)
        if name in weights:
            one = Chain([one, Scale(weights[name])])
        width = np.shape(step.transform(X[:1]))[1]
        parts.append((slice(start, start + width), one))
        start += width
    return SideBySide(parts, np.shape(X)[1])


@derivative.register(ColumnTransformer)
def _column_transformer(transformer, X):
    n_features = np.shape(X)[1]
    parts = []
    for name, step, columns in transformer.transformers_:
        out = transformer.output_indices_[name]
        if step == "drop" or out.stop == out.start:
            continue
        keep = _column_indices(transformer, columns, n_features)
        part = X.iloc[:, keep] if hasattr(X, "iloc") else np.asarray(X)[:, keep]
        take = Linear(np.eye(n_features)[:, keep])  # a column may be listed twice
        one = Chain([take, derivative(step, part)])
        parts.append((out, one))
    parts.sort(key=lambda item: item[0].start)
    return SideBySide(parts, n_features)


def _column_indices(transformer, columns, n_features: int) -> np.ndarray:
    """Integer positions of the columns that one part of a ColumnTransformer takes."""
    every = np.arange(n_features)
    if isinstance(columns, slice) and isinstance(columns.start or columns.stop, str):
        names = list(transformer.feature_names_in_)
        start = names.index(columns.start) if columns.start else 0
        stop = names.index(columns.stop) + 1 if columns.stop else n_features
        return every[start:stop]
    if not isinstance(columns, slice):
        columns = np.atleast_1d(columns)
        if columns.dtype.kind in "OUT":
            names = list(transformer.feature_names_in_)
            columns = np.array([names.index(c) for c in columns], dtype=np.int64)
        if not len(columns):
            columns = columns.astype(np.int64)
    return every[columns]

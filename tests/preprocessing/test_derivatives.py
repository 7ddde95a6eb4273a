"""Derivatives of stock transformers against central differences."""

import numpy as np
import pandas as pd
import pytest
from differences import extrapolated, relative_error
from sklearn import preprocessing as pre
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import FeatureAgglomeration
from sklearn.compose import ColumnTransformer
from sklearn.cross_decomposition import CCA, PLSCanonical, PLSRegression
from sklearn.decomposition import PCA, FastICA, IncrementalPCA, TruncatedSVD
from sklearn.feature_selection import (
    RFE,
    SelectFromModel,
    SelectKBest,
    VarianceThreshold,
    f_regression,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Lasso, LinearRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from skatom.features import NoDerivativeError
from skatom.preprocessing import (
    register_transformer,
    transform_pullback,
    transform_pushforward,
)

N_FEATURES = 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, N_FEATURES)) * [1, 3, 0.1, 1, 2] + [0, 1, 2, -1, 0]
y = X @ RNG.normal(size=N_FEATURES) + RNG.normal(size=30)

SMOOTH = [
    "passthrough",
    pre.StandardScaler(),
    pre.StandardScaler(with_mean=False),
    pre.StandardScaler(with_std=False),
    pre.MinMaxScaler((-1, 2)),
    pre.MaxAbsScaler(),
    pre.RobustScaler(),
    pre.RobustScaler(with_scaling=False),
    pre.FunctionTransformer(),
    pre.Normalizer("l2"),
    pre.Normalizer("l1"),
    pre.Normalizer("max"),
    pre.PolynomialFeatures(3),
    pre.PolynomialFeatures(2, interaction_only=True, include_bias=False),
    PCA(3),
    PCA(whiten=True),
    IncrementalPCA(3, whiten=True),
    TruncatedSVD(3),
    FastICA(3, random_state=0, max_iter=1000, tol=1e-2),
    GaussianRandomProjection(3, random_state=0),
    SparseRandomProjection(4, random_state=0),
    PLSRegression(2),
    PLSRegression(2, scale=False),
    PLSCanonical(1),
    CCA(1),
    VarianceThreshold(0.5),
    SelectKBest(f_regression, k=2),
    SelectFromModel(Lasso(0.1)),
    RFE(LinearRegression(), n_features_to_select=2),
    FeatureAgglomeration(2),
    FrozenEstimator(pre.StandardScaler().fit(X)),
    make_pipeline(pre.StandardScaler(), "passthrough", PCA(3), pre.Normalizer()),
    make_union(PCA(2), pre.PolynomialFeatures(2), "passthrough"),
    ColumnTransformer(
        [
            ("scaled", pre.StandardScaler(), [3, 1, 1]),
            ("left", "passthrough", slice(0, 2)),
            ("gone", "drop", [2]),
            ("mask", PCA(1), [False, False, False, True, True]),
        ],
        remainder=pre.MinMaxScaler(),
    ),
]


def output(transformer, rows):
    return (
        rows
        if isinstance(transformer, str)
        else np.asarray(transformer.transform(rows))
    )


def fitted(transformer):
    return transformer if isinstance(transformer, str) else transformer.fit(X, y)


@pytest.mark.parametrize(
    "transformer", SMOOTH, ids=lambda t: str(t).split(" at 0x")[0][:60]
)
def test_pushforward_is_the_slope_of_the_transformer(transformer):
    transformer = fitted(transformer)
    v = np.random.default_rng(1).normal(size=X.shape)
    expected = extrapolated(
        lambda h: (
            (output(transformer, X + h * v) - output(transformer, X - h * v)) / (2 * h)
        ),
        1e-4,
    )
    # differences of numbers near 100 (cubes) leave 1e-9 of them
    assert relative_error(transform_pushforward(transformer, X, v), expected) < 1e-8


@pytest.mark.parametrize(
    "transformer", SMOOTH, ids=lambda t: str(t).split(" at 0x")[0][:60]
)
def test_pullback_is_the_transpose_of_pushforward(transformer):
    transformer = fitted(transformer)
    rng = np.random.default_rng(2)
    v = rng.normal(size=X.shape)
    Jv = transform_pushforward(transformer, X, v)
    g = rng.normal(size=Jv.shape)
    gJ = transform_pullback(transformer, X, g)
    assert gJ.shape == X.shape
    # row by row: no row may depend on another
    np.testing.assert_allclose(
        (gJ * v).sum(axis=1), (g * Jv).sum(axis=1), rtol=1e-10, atol=1e-10
    )


def test_union_weights_count():
    union = make_union(PCA(2), pre.StandardScaler())
    union.set_params(transformer_weights={"pca": 3.0}).fit(X)
    v = np.ones_like(X)
    expected = union.transform(X + v) - union.transform(X)
    np.testing.assert_allclose(transform_pushforward(union, X, v), expected, atol=1e-12)


def test_dropped_part_of_a_union_has_no_columns():
    union = make_union(PCA(2), pre.StandardScaler()).set_params(pca="drop").fit(X)
    assert transform_pushforward(union, X, X).shape == (30, N_FEATURES)


@pytest.mark.parametrize(
    "columns", ["c", ["a", "c"], slice("b", "d"), slice("b", None), []], ids=str
)
def test_columns_of_a_data_frame_are_found_by_name(columns):
    frame = pd.DataFrame(X, columns=list("abcde"))
    one = isinstance(columns, str)
    step = ColumnTransformer(
        [("named", pre.StandardScaler(), [columns] if one else columns)],
        remainder="passthrough",
    ).fit(frame)
    v = np.random.default_rng(3).normal(size=X.shape)
    moved = pd.DataFrame(X + v, columns=frame.columns)
    expected = step.transform(moved) - step.transform(frame)
    np.testing.assert_allclose(
        transform_pushforward(step, frame, v), expected, atol=1e-9
    )


def test_rows_of_zeros_have_finite_slopes():
    zeros = np.zeros((2, N_FEATURES))
    for norm in ("l1", "l2", "max"):
        step = pre.Normalizer(norm).fit(X)
        assert np.isfinite(transform_pullback(step, zeros, zeros + 1)).all()


def test_constant_columns_have_finite_slopes():
    flat = np.ones((10, 2)) * [1.0, 1e12]
    for step in (pre.StandardScaler(), pre.MinMaxScaler(), pre.RobustScaler()):
        slope = transform_pullback(step.fit(flat), flat, np.ones_like(flat))
        np.testing.assert_array_equal(slope, 1.0)


def test_a_registered_rule_is_used_for_subclasses_too():
    class Cube(TransformerMixin, BaseEstimator):
        def transform(self, X):
            return X**3

    class Child(Cube):
        pass

    class Slope:
        def __init__(self, X):
            self.X = X

        def pullback(self, g):
            return 3 * self.X**2 * g

        pushforward = pullback

    register_transformer(Cube)(lambda step, X: Slope(X))
    np.testing.assert_array_equal(
        transform_pullback(Child(), X, np.ones_like(X)), 3 * X**2
    )


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (pre.QuantileTransformer(n_quantiles=5), "step QuantileTransformer"),
        (pre.MinMaxScaler(clip=True), "use clip=False"),
        (pre.FunctionTransformer(np.log1p), r"FunctionTransformer\(log1p\)"),
        (FeatureAgglomeration(2, pooling_func=np.max), "pooling_func=np.mean"),
        (make_pipeline(PCA(2).fit(X), pre.KBinsDiscretizer()), "KBins"),
    ],
    ids=lambda t: str(t).split(" at 0x")[0][:40],
)
def test_a_step_without_a_rule_is_named(transformer, message):
    with pytest.raises(NoDerivativeError, match=message):
        transform_pullback(transformer, X, X)


def test_a_string_that_is_no_step_is_refused():
    with pytest.raises(NoDerivativeError, match="'drop' is no step"):
        transform_pullback("drop", X, X)

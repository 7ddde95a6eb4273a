"""Checks of what was loaded, before compiled code relies on it.

Estimators and states of ours say themselves what must fit, in ``_check_state``. What
scikit-learn, SciPy and NumPy read without looking is checked here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, is_classifier
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM
from sklearn.tree import BaseDecisionTree

from skatom._runtime.state import State, StateError, check_random_state


def check_states(estimator: BaseEstimator) -> None:
    """Check a loaded estimator, and everything inside of it.

    Raises
    ------
    StateError
        With what contradicts itself.
    """
    waiting, seen = [estimator], {}
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one  # kept alive, so that no other takes its id
        check = getattr(one, "_check_state", None)
        if check is not None and not isinstance(one, type):
            check()
        check_foreign(one)
        waiting += _inside(one)


def _inside(value) -> Iterator:
    if isinstance(value, list | tuple | set):
        yield from value
    elif isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, np.ndarray) and value.dtype == object:
        yield from value.flat
    elif isinstance(value, BaseEstimator | State):
        yield from vars(value).values()


@singledispatch
def check_foreign(value) -> None:
    """Check an object of another package; most index no memory by their state."""


check_foreign.register(np.random.RandomState, check_random_state)


@check_foreign.register(scipy.sparse.sparray)
@check_foreign.register(scipy.sparse.spmatrix)
def _check_sparse(matrix) -> None:
    try:
        if hasattr(matrix, "check_format"):
            matrix.check_format(full_check=True)
        elif matrix.format == "coo":
            matrix._check()
        elif matrix.format != "dia":
            raise ValueError(f"format {matrix.format}")
    except Exception as error:
        raise StateError(f"a sparse matrix contradicts itself ({error})") from error


@check_foreign.register(KMeans)
@check_foreign.register(MiniBatchKMeans)
@check_foreign.register(BisectingKMeans)
def _check_clusters(estimator) -> None:
    centers = getattr(estimator, "cluster_centers_", None)
    n_features = getattr(estimator, "n_features_in_", None)
    if centers is not None and np.shape(centers)[1:] != (n_features,):
        raise StateError(
            f"cluster_centers_ have shape {np.shape(centers)}, and there are "
            f"{n_features} features"
        )


@check_foreign.register(SVC)
@check_foreign.register(SVR)
@check_foreign.register(NuSVC)
@check_foreign.register(NuSVR)
@check_foreign.register(OneClassSVM)
def _check_support_vectors(estimator) -> None:
    if not hasattr(estimator, "support_vectors_"):
        return
    support, dual = np.asarray(estimator.support_), estimator._dual_coef_
    n_support = np.asarray(estimator._n_support)
    n_rows, n_features = estimator.shape_fit_
    n, n_classes = len(support), len(n_support)
    vectors = (0, 0) if estimator.kernel == "precomputed" else (n, n_features)
    fits = (
        "_impl" not in vars(estimator)
        and n_features == estimator.n_features_in_
        and estimator.support_vectors_.shape == vectors
        and support.dtype.kind == n_support.dtype.kind == "i"
        and support.shape == (n,)
        and ((support >= 0) & (support < n_rows)).all()
        and (n_support >= 0).all()
        and n_support.sum() == (n if is_classifier(estimator) else 2 * n)
        and dual.shape == (n_classes - 1, n)
        and len(estimator._intercept_) == n_classes * (n_classes - 1) // 2
    )
    if not fits:
        raise StateError("support vectors and their coefficients do not fit together")


@check_foreign.register(BaseDecisionTree)
def _check_tree(estimator) -> None:
    if not hasattr(estimator, "tree_"):
        return
    tree = estimator.tree_
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    here = np.arange(tree.node_count)
    inner = left != -1
    fits = (
        tree.n_features == estimator.n_features_in_
        and tree.node_count > 0
        and ((right != -1) == inner).all()
        # children come after their parents, so that no walk is endless
        and (left > here)[inner].all()
        and (right > here)[inner].all()
        and (np.maximum(left, right) < tree.node_count).all()
        and ((feature >= 0) & (feature < tree.n_features))[inner].all()
    )
    if not fits:
        raise StateError("the nodes of a tree do not make one")

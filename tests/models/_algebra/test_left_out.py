"""Residuals of labels left out, against systems solved without them."""

import numpy as np
import pytest

from skatom.models._algebra.left_out import (
    cross_validated_residuals,
    labels_of_folds,
    left_out_residuals,
    merged,
)

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(12, 30))
K = ROWS @ ROWS.T
TARGETS = RNG.normal(size=12)
FOLDS = [np.array([0, 5]), np.array([3]), np.array([7, 8, 11])]


def residuals_of_refit(targets, fold, alpha):
    kept = np.setdiff1d(np.arange(12), fold)
    inner = K[np.ix_(kept, kept)] + alpha * np.eye(len(kept))
    return targets[fold] - K[np.ix_(fold, kept)] @ np.linalg.solve(inner, targets[kept])


@pytest.mark.parametrize("fold", FOLDS)
def test_residuals_are_those_of_a_refit(fold):
    inverse = np.linalg.inv(K + 0.3 * np.eye(12))
    found = left_out_residuals(inverse, (inverse @ TARGETS)[fold], fold)
    np.testing.assert_allclose(found, residuals_of_refit(TARGETS, fold, 0.3), rtol=1e-9)


def test_folds_have_baselines_of_their_own():
    columns = RNG.normal(size=(12, 2))
    baselines = [RNG.normal(size=2) for _ in FOLDS]
    lower = np.tril(K)
    found = cross_validated_residuals(lower, TARGETS, columns, baselines, FOLDS, 0.3)
    for part, baseline, fold in zip(found, baselines, FOLDS):
        expected = residuals_of_refit(TARGETS - columns @ baseline, fold, 0.3)
        np.testing.assert_allclose(part, expected, rtol=1e-9)
    np.testing.assert_array_equal(lower, np.tril(K))


def test_labels_follow_their_structures_and_weights():
    owners = np.array([0, 1, 2, 0, 0, 2])
    weighted = np.array([True, True, True, True, False, True])
    found = labels_of_folds(owners, weighted, [np.array([0]), np.array([2, 1])])
    assert [labels.tolist() for labels in found] == [[0, 3], [1, 2, 5]]


def test_triangles_of_parts_are_the_triangle_of_all():
    parts = [np.triu(np.linalg.qr(RNG.normal(size=(9, 4)))[1]) for _ in range(3)]
    gram = sum(part.T @ part for part in parts)
    triangle = np.triu(merged(parts))
    np.testing.assert_allclose(triangle.T @ triangle, gram, atol=1e-12)

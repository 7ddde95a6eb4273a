"""The solvers against dense linear algebra, and what they say of singular matrices."""

import warnings

import numpy as np
import pytest
from scipy import linalg
from scipy.linalg import hilbert
from sklearn.exceptions import ConvergenceWarning

from skatom.models._algebra.solve import (
    TriangularLeastSquares,
    cholesky,
    invert,
    solve_cholesky,
)

RNG = np.random.default_rng(0)


def test_rows_in_blocks_give_the_solution_of_all_rows():
    rows, targets = RNG.normal(size=(50, 7)), RNG.normal(size=50)
    problem = TriangularLeastSquares(np.zeros((7, 7)))
    for part in np.split(np.arange(50), [3, 4, 30]):
        problem.add(rows[part], targets[part])
    problem.add(rows[:0], targets[:0])
    expected = np.linalg.lstsq(rows, targets)[0]
    np.testing.assert_allclose(problem.solve(), expected, rtol=1e-12)


def test_the_first_triangle_is_a_penalty():
    rows, targets = RNG.normal(size=(5, 9)), RNG.normal(size=5)
    problem = TriangularLeastSquares(0.3 * np.eye(9))
    problem.add(rows, targets)
    expected = np.linalg.solve(rows.T @ rows + 0.09 * np.eye(9), rows.T @ targets)
    np.testing.assert_allclose(problem.solve(), expected, rtol=1e-12)


def test_the_condition_number_is_not_squared():
    # condition 1e10: normal equations keep no digit, QR about six
    u = np.linalg.qr(RNG.normal(size=(40, 8)))[0]
    v = np.linalg.qr(RNG.normal(size=(8, 8)))[0]
    rows = u * np.logspace(0, -10, 8) @ v
    truth = RNG.normal(size=8)
    problem = TriangularLeastSquares(np.zeros((8, 8)))
    problem.add(rows, rows @ truth)
    np.testing.assert_allclose(problem.solve(), truth, rtol=1e-4)
    squared = np.linalg.solve(rows.T @ rows, rows.T @ (rows @ truth))
    assert np.abs(squared - truth).max() > 1e-2


def test_undetermined_coefficients_have_the_smallest_norm():
    rows, targets = RNG.normal(size=(3, 6)), RNG.normal(size=3)
    problem = TriangularLeastSquares(np.zeros((6, 6)))
    problem.add(rows, targets)
    expected = np.linalg.lstsq(rows, targets)[0]
    np.testing.assert_allclose(problem.solve(), expected, rtol=1e-10)


@pytest.mark.parametrize("n", [3, 700])  # one tile, and more than one
def test_cholesky_reads_the_lower_triangle_alone(n):
    root = RNG.normal(size=(n, n + 5))
    matrix = root @ root.T
    expected = np.linalg.cholesky(matrix)
    half = np.tril(matrix)
    found = cholesky(half, "matrix")
    assert found is half
    np.testing.assert_allclose(np.tril(found), expected, rtol=1e-8, atol=1e-8)


def test_a_little_is_added_to_a_matrix_on_the_edge():
    matrix = hilbert(20)  # condition 1e28: not definite in floating point
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        factor = np.tril(cholesky(matrix.copy(), "matrix"))
    np.testing.assert_allclose(factor @ factor.T, matrix, atol=1e-8)


def test_much_added_is_worth_a_warning():
    matrix = np.diag([1.0, 1.0, -1e-6])
    with pytest.warns(ConvergenceWarning, match="The matrix is nearly singular"):
        cholesky(matrix, "matrix")


@pytest.mark.parametrize("last", [-1.0, np.nan])
def test_an_indefinite_matrix_is_refused(last):
    matrix = np.diag([1.0, 1.0, last])
    with pytest.raises(ValueError, match="The matrix is not positive definite"):
        cholesky(matrix, "matrix")


@pytest.mark.parametrize("n", [1, 7, 8, 9, 50])
def test_blocks_factor_and_solve_as_lapack_does(n, monkeypatch):
    monkeypatch.setattr("skatom.models._algebra.solve.BLOCK", 8)
    rng = np.random.default_rng(n)
    root = rng.normal(size=(n, n))
    matrix, targets = root @ root.T + np.eye(n), rng.normal(size=n)
    factor = cholesky(matrix.copy(), "matrix")
    expected = linalg.cholesky(matrix, lower=True)
    # sums in another order: rounding of numbers of the order of n
    np.testing.assert_allclose(np.tril(factor), expected, rtol=0, atol=1e-12 * n)
    solution = solve_cholesky(factor, targets)
    np.testing.assert_allclose(
        solution, linalg.solve(matrix, targets, assume_a="pos"), rtol=0, atol=1e-10
    )


def test_blocks_restore_the_matrix_before_a_larger_jitter(monkeypatch):
    monkeypatch.setattr("skatom.models._algebra.solve.BLOCK", 8)
    rows = np.random.default_rng(0).normal(size=(30, 12))
    singular = rows @ rows.T  # rank 12: fails in the second block, then gets a jitter
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        factor = np.tril(cholesky(singular.copy(), "matrix"))
    np.testing.assert_allclose(factor @ factor.T, singular, rtol=0, atol=1e-4)


@pytest.mark.parametrize("keep", [True, False])
def test_the_inverse_is_symmetric_and_keeps_the_factor_if_asked(keep):
    A = np.random.default_rng(0).normal(size=(600, 600))
    matrix = A @ A.T + 600.0 * np.eye(600)
    factor = cholesky(matrix.copy(), "matrix")
    before = factor.copy()
    inverse = invert(factor, keep=keep)
    np.testing.assert_allclose(inverse @ matrix, np.eye(600), atol=1e-10)
    np.testing.assert_array_equal(inverse, inverse.T)
    if keep:
        np.testing.assert_array_equal(np.tril(factor), np.tril(before))

"""Derivative of polynomial features, column blocks at a time."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix


class Monomials:
    """Derivative of the products x_a x_b ... that PolynomialFeatures makes.

    Each monomial is written as a list of factors, padded with a column of ones. By the
    product rule its derivative is a sum over the factors of the product of the others,
    so the cost is that of the features times their degree.

    Parameters
    ----------
    powers : ndarray of int, shape (n_outputs, n_features)
        Exponent of each input in each monomial.
    X : ndarray of shape (n_samples, n_features)
    """

    def __init__(self, powers: np.ndarray, X: np.ndarray):
        self.n_features = powers.shape[1]
        degree = int(powers.sum(axis=1).max(initial=0))
        factors = np.full((len(powers), degree), self.n_features)
        for row, exponents in zip(factors, powers):
            listed = np.repeat(np.arange(self.n_features), exponents)
            row[: len(listed)] = listed
        self.factors = factors
        self.padded = np.column_stack([X, np.ones(len(X))])

    def pullback(self, g: np.ndarray) -> np.ndarray:
        """Carry (n_samples, n_outputs) to (n_samples, n_features)."""
        n_outputs, degree = self.factors.shape
        out = np.zeros((len(g), self.n_features + 1))
        for t in range(degree):
            rows = (np.arange(n_outputs), self.factors[:, t])
            gather = csr_matrix(
                (np.ones(n_outputs), rows), (n_outputs, self.n_features + 1)
            )
            out += (gather.T @ (g * self._others(t)).T).T
        return out[:, :-1]

    def pushforward(self, v: np.ndarray) -> np.ndarray:
        """Carry (n_samples, n_features) to (n_samples, n_outputs)."""
        padded = np.column_stack([v, np.zeros(len(v))])
        out = np.zeros((len(v), len(self.factors)))
        for t in range(self.factors.shape[1]):
            out += padded[:, self.factors[:, t]] * self._others(t)
        return out

    def _others(self, t: int) -> np.ndarray:
        """Product of all factors but the t-th, (n_samples, n_outputs)."""
        product = np.ones((len(self.padded), len(self.factors)))
        for u in range(self.factors.shape[1]):
            if u != t:
                product *= self.padded[:, self.factors[:, u]]
        return product

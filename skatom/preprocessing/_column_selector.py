"""Base of selectors that choose columns for all atoms at once."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod

import numpy as np
from scipy.linalg import qr
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin

from skatom._validation import (
    Integral,
    Interval,
    _fit_context,
    check_is_fitted,
    validate_data,
)


class ColumnSelector(SelectorMixin, BaseEstimator, metaclass=ABCMeta):
    """Choose columns by their products with each other.

    A subclass has a parameter ``n_features_to_select`` and defines `_choose`.
    """

    _parameter_constraints: dict = {
        "n_features_to_select": [Interval(Integral, 1, None, closed="left"), None],
    }

    @abstractmethod
    def _choose(self, X: np.ndarray, n_selected: int) -> None:
        """Set ``selection_`` and what goes with it."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Choose columns.

        Parameters
        ----------
        X : array-like of shape (n_atoms, n_features)
        y : ignored

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If more columns are asked for than there are, or a parameter names a column
            that is not there.
        """
        X = validate_data(self, X, dtype=np.float64)
        n_features, n_selected = X.shape[1], self.n_features_to_select
        if n_selected is None:
            n_selected = max(1, n_features // 2)
        elif n_selected > n_features:
            raise ValueError(
                f"n_features_to_select={n_selected}, but X has {n_features} features: "
                "select at most that many."
            )
        self._choose(_triangle(X), int(n_selected))
        return self

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return np.isin(np.arange(self.n_features_in_), self.selection_)


def _triangle(X: np.ndarray) -> np.ndarray:
    """Give the triangle R of X = QR, or X where it is no taller than wide.

    R has the lengths, distances and right singular vectors of the columns of X, so that a
    choice of columns costs no more for a million atoms than for a thousand.
    """
    if X.shape[0] <= X.shape[1]:
        return np.array(X, dtype=np.float64)
    return qr(X, mode="r", check_finite=False)[0][: X.shape[1]]

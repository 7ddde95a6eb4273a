"""Inputs, tags and the least deviation of all estimators around another."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d, get_tags, indexable

from skatom._validation import check_is_fitted, check_targets
from skatom.base import target_of
from skatom.base._targets import check_y, flat
from skatom.features._kinds_of_x import count_rows, rows_and_structures
from skatom.structures import Structures

# Share of the largest target below which a standard deviation is rounding.
FLOOR = 1e-9


class Wrapper:
    """Mixin of estimators around another, whose kind of X, features and tags are its own.

    The parameter that ``_wraps`` names is the estimator inside; the fitted one stands
    under the same name with an underscore.
    """

    _wraps: ClassVar[str] = "estimator"

    def _wrapped(self):
        """Give the estimator inside as it was given."""
        return getattr(self, self._wraps)

    def _inside(self):
        """Give the fitted estimator inside."""
        check_is_fitted(self)
        return getattr(self, f"{self._wraps}_")

    @property
    def n_features_in_(self) -> int:
        """Number of features, where the estimator inside takes rows of numbers."""
        return self._inside().n_features_in_

    @property
    def feature_names_in_(self) -> NDArray:
        """Names of features, where the estimator inside has seen any."""
        return self._inside().feature_names_in_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self._wrapped())
        tags.input_tags = inner.input_tags
        tags.regressor_tags = inner.regressor_tags or tags.regressor_tags
        several = inner.target_tags.multi_output and not hasattr(
            self, "predict_interval"
        )
        tags.target_tags.multi_output = several
        drawn = getattr(self, "random_state", 0) is None
        tags.non_deterministic = inner.non_deterministic or drawn
        return tags


def check_fit_inputs(model, X, y) -> tuple[object, Structures | None, np.ndarray]:
    """Check what fit of a wrapper is given: X that can be indexed, its structures, and y.

    Several columns are let through where the estimator inside takes them.
    """
    target = target_of(model)
    X, structures = rows_and_structures(X)
    X = X if structures is not None else indexable(X)[0]
    several = target.width > 1 or get_tags(model).target_tags.multi_output
    if y is None or target.per_atom or several:
        return X, structures, check_y(y, count_rows(X), target)
    return X, structures, check_targets(column_or_1d(y, warn=True), count_rows(X))


def smallest_std(y: np.ndarray) -> float:
    """Give the floor of standard deviations for targets of the size of y."""
    return FLOOR * (float(np.abs(flat(y)).max()) or 1.0)

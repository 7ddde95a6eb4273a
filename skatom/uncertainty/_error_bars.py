"""Base classes of estimators around another: what all of them have in common."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin
from sklearn.utils import column_or_1d, get_tags, indexable

from skatom._runtime.state import KeepsState
from skatom._validation import check_is_fitted, check_targets
from skatom.features import AtomFeatures
from skatom.features._kinds_of_x import count_rows, rows_and_structures
from skatom.potential.answers import Answer, Context
from skatom.potential.estimators import answer
from skatom.potential.potential_methods import PotentialMethods
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
        drawn = getattr(self, "random_state", 0) is None
        tags.non_deterministic = inner.non_deterministic or drawn
        return tags


class ErrorBarRegressor(
    KeepsState,
    Wrapper,
    PotentialMethods,
    MetaEstimatorMixin,
    RegressorMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Base of estimators that wrap others and know how uncertain these are.

    A subclass defines fit, which sets ``std_floor_``, and `answer`, the one place
    where predictions, their derivatives and their standard deviations are made.
    """

    @abstractmethod
    def answer(self, X, context: Context) -> Answer:
        """Predict, with gradients and standard deviations on demand.

        Parameters
        ----------
        X : Structures, AtomFeatures, or array-like of shape (n, n_features)
        context : Context

        Returns
        -------
        answer : Answer
        """

    def predict(self, X, return_std: bool = False):
        """Predict energies, and how far off they may be.

        Parameters
        ----------
        X : sequence of ase.Atoms, AtomFeatures, or array-like of shape (n, n_features)
        return_std : bool, default=False
            Whether standard deviations are wanted too.

        Returns
        -------
        y : ndarray of shape (n_structures,)
            Total energies in eV.
        std : ndarray of shape (n_structures,)
            In eV, positive and finite; only with ``return_std``.
        """
        check_is_fitted(self)
        X = rows_and_structures(X)[0]
        found = self.answer(X, Context(forces=False, std=return_std))
        return (found.values, found.std.energies()) if return_std else found.values

    def predict_atoms(self, X, return_std: bool = False):
        """Predict the energy of every atom; they sum to the energies of structures.

        Parameters
        ----------
        X : AtomFeatures
            From the featurizer that stands in front.
        return_std : bool, default=False

        Returns
        -------
        energies : ndarray of shape (n_atoms_total,)
            In eV.
        std : ndarray of shape (n_atoms_total,)
            In eV; only with ``return_std``.
        """
        check_is_fitted(self)
        found = self.answer(X, Context(forces=False, atomic=True, std=return_std))
        return (found.atoms(), found.std.atoms()) if return_std else found.atoms()

    def forces_std(self, X: AtomFeatures) -> NDArray[np.float64]:
        """Give the standard deviations of force components.

        Parameters
        ----------
        X : AtomFeatures
            From the featurizer that stands in front.

        Returns
        -------
        std : ndarray of shape (n_atoms_total, 3)
            In eV/Å.
        """
        check_is_fitted(self)
        return self.answer(X, Context(std=True)).std.forces()

    def _positive(self, std) -> np.ndarray:
        """Lift standard deviations that are zero, or rounding, to the floor."""
        return np.maximum(std, self.std_floor_)


@answer.register(ErrorBarRegressor)
def _error_bars(estimator, X, context):
    return estimator.answer(X, context)


def check_fit_inputs(X, y) -> tuple[object, Structures | None, np.ndarray]:
    """Check what fit is given: X that can be indexed, its structures, and a vector y."""
    X, structures = rows_and_structures(X)
    X = X if structures is not None else indexable(X)[0]
    y = y if y is None else column_or_1d(y, warn=True)
    return X, structures, check_targets(y, count_rows(X))


def smallest_std(y: np.ndarray) -> float:
    """Give the floor of standard deviations for targets of the size of y."""
    return FLOOR * (float(np.abs(y).max()) or 1.0)

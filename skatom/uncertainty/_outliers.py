"""Base classes of estimators that tell structures unlike those of training."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import get_tags

from skatom._runtime.state import KeepsState
from skatom.model_selection._content_groups import split_rows
from skatom.structures import Structures


class OutlierDetector(KeepsState, OutlierMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of estimators that look at structures through the eyes of a fitted one.

    A subclass has the parameters ``estimator`` and ``random_state``; fit sets ``offset_``.
    """

    @abstractmethod
    def score_samples(self, X) -> NDArray[np.float64]:
        """Give a score: the larger, the more like training structures."""

    def decision_function(self, X) -> NDArray[np.float64]:
        """Give how far inside the threshold structures are; negative for outliers.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)

        Returns
        -------
        decision : ndarray of shape (n_structures,)
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X) -> NDArray[np.int64]:
        """Tell structures like those of training (1) from others (-1).

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)

        Returns
        -------
        labels : ndarray of int64, shape (n_structures,)
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        tags.non_deterministic = self.random_state is None
        return tags


class Grader(OutlierDetector):
    """Base of estimators whose grade 1.0 is the worst of held-out structures.

    A subclass has the parameter ``calibration_size`` besides; fit sets ``offset_`` to -1.
    """

    @abstractmethod
    def grade(self, X) -> NDArray[np.float64]:
        """Grade structures: above 1.0 is beyond every calibration structure."""

    def score_samples(self, X) -> NDArray[np.float64]:
        """Give the negative grade: the larger, the more like training structures.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)

        Returns
        -------
        scores : ndarray of shape (n_structures,)
        """
        return -self.grade(X)

    def _hold_out(
        self, structures: Structures | None, n: int, rng
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw which of n structures are kept for the units of grades."""
        return split_rows(structures, n, self.calibration_size, rng)

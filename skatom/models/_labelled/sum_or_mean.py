"""Base of closed-form models, whose target is one sum, or one mean, over atoms."""

from __future__ import annotations

import numpy as np

from skatom.base import AtomicRegressor
from skatom.base._targets import one_number
from skatom.features import AtomFeatures


class SumOrMean(AtomicRegressor):
    """Model of one number that atoms add up to, or that is the mean of theirs.

    A mean is fitted as the sum that it is once multiplied by the number of atoms, with
    weights that leave the errors of means. A subclass has the parameter ``target`` and
    calls `_declare` at the start of fit.
    """

    def _declare(self) -> None:
        """Settle what is predicted, until the next fit."""
        self.target_ = one_number(self)

    def _shared(self, rows: np.ndarray, X: AtomFeatures) -> np.ndarray:
        """Give what atoms contribute, of rows that would add up to a sum."""
        if self.target_.kind == "sum":
            return rows
        n_atoms = X.n_atoms[X.structure_index]
        return (rows.T / n_atoms).T

    def _of_structures(self, rows: np.ndarray, X: AtomFeatures) -> np.ndarray:
        """Give rows of structures, sums over atoms, as the target has them."""
        if self.target_.kind == "sum":
            return rows
        return (rows.T / X.n_atoms).T

    def _noise_of_structures(self, X: AtomFeatures) -> np.ndarray:
        """Give variances of noise, in units of that of one atom or of one mean."""
        return X.n_atoms if self.target_.kind == "sum" else np.ones(len(X))

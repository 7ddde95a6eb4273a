"""Grades of atoms by the standard deviation of their forces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_regressor

from skatom._validation import check_is_fitted
from skatom.potential.answers import Context
from skatom.potential.estimators import answer
from skatom.structures import Structures


class ForceStd:
    """Grade atoms by the length of the standard deviation of their force, in eV/Å.

    Parameters
    ----------
    estimator : fitted estimator
        With standard deviations of forces: an ensemble, a process, a calibrated one.
    """

    meaning = "a grade is the standard deviation of a force in eV/Å"

    def __init__(self, estimator):
        self.estimator = estimator

    def grade_atoms(
        self, X: Structures, pairs=None, seen: tuple = ()
    ) -> list[NDArray[np.float64]]:
        """Give one number an atom.

        Parameters
        ----------
        X : Structures
        pairs : NeighborPairs, optional
        seen : ignored

        Returns
        -------
        grades : list of ndarray of shape (n_atoms,)
        """
        found = answer(self.estimator, X, Context(pairs=pairs, std=True))
        return np.split(np.linalg.norm(found.std.forces(), axis=1), X.offsets[1:-1])


def grader_of(novelty, estimator):
    """Give what grades atoms, of what a calculator was given.

    Parameters
    ----------
    novelty : object
        Something with ``grade_atoms``, a fitted estimator, "std" or None.
    estimator : fitted estimator
        The one that "std" asks.
    """
    if novelty is None or hasattr(novelty, "grade_atoms"):
        return novelty
    if isinstance(novelty, str) and novelty == "std":
        return ForceStd(estimator)
    if hasattr(novelty, "predict") and is_regressor(novelty):
        check_is_fitted(novelty)
        return ForceStd(novelty)
    raise TypeError(
        "novelty must have grade_atoms(X, pairs, seen), as FeatureDistance has, or be an "
        f"estimator with standard deviations of forces, or 'std'; got {novelty!r}."
    )

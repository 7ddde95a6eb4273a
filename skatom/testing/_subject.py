"""Subjects of checks, with one fit that many checks share."""

from __future__ import annotations

from copy import deepcopy
from functools import cached_property

from sklearn.base import clone


class Subject:
    """An estimator, and what it is checked with.

    Checks that only ask a fitted estimator share one fit; a check of the fit itself, or
    one that may change what is fitted, makes its own by `fit`.

    Parameters
    ----------
    estimator : estimator
        Unfitted.
    frames : list of ase.Atoms
    y : ndarray of shape (n_structures,), optional
        Targets; without them ``fit`` gets frames only.
    """

    def __init__(self, estimator, frames, y=None):
        self.estimator = estimator
        self._sample = frames, y

    @cached_property
    def fitted(self):
        """A clone fitted on copies of all frames."""
        return self.fit(*deepcopy(self._sample))

    def fit(self, frames, y=None):
        """Fit another clone.

        Parameters
        ----------
        frames : sequence of ase.Atoms
        y : array-like of shape (n_structures,), optional

        Returns
        -------
        fitted : estimator
        """
        fresh = clone(self.estimator)
        return fresh.fit(frames) if y is None else fresh.fit(frames, y)

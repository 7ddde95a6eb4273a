"""A front that lets scikit-learn's own checks run on estimators of structures."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from sklearn.utils.metaestimators import available_if

from skatom._validation import check_is_fitted, validate_data
from skatom.features import AtomFeatures

# A bond never becomes shorter or longer than this, in Å, whatever the numbers are.
SHORTEST, LONGEST = 0.8, 1.6


def _behind(name: str):
    """Whether the estimator behind the front has a method."""
    return lambda self: hasattr(super(RowsToAtoms, self), name)


class RowsToAtoms:
    """Mixin that reads every row of a matrix as a chain molecule.

    scikit-learn's ``check_estimator`` feeds matrices. An estimator of structures says
    so in its tags, and then only one of its fifty checks runs. Behind this front all of
    them do: rows are checked as any scikit-learn estimator checks them, turned into
    molecules whose bond lengths encode the numbers, and handed to the estimator itself.
    Features of atoms come back summed over the molecule.

    Notes
    -----
    To be put first among the bases, at the top level of a module so that instances can
    be pickled. It is a tool for tests.

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.featurizers import ACSF
    >>> from skatom.testing import RowsToAtoms
    >>> class FrontedACSF(RowsToAtoms, ACSF):
    ...     pass
    >>> FrontedACSF(r_cut=4.0, g4=None).fit_transform(np.eye(3)).shape
    (3, 24)
    """

    def fit(self, X, y=None, **params):
        """Fit on the molecules that the rows stand for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), optional
        **params
            Passed on.

        Returns
        -------
        self : object
        """
        X = validate_data(self, X, reset=True, dtype=np.float64)
        super().fit(molecules_of_rows(X), y, **params)
        return self

    @available_if(_behind("transform"))
    def fit_transform(self, X, y=None):
        """Fit, then transform the same rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        features : ndarray of shape (n_samples, n_out)
        """
        return self.fit(X, y).transform(X)

    @available_if(_behind("transform"))
    def transform(self, X):
        """Transform the molecules that the rows stand for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        features : ndarray of shape (n_samples, n_out)
        """
        features = super().transform(self._molecules(X))
        if not isinstance(features, AtomFeatures):
            return features
        return np.add.reduceat(features.values, features.offsets[:-1], axis=0)

    @available_if(_behind("predict"))
    def predict(self, X):
        """Predict the molecules that the rows stand for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        return super().predict(self._molecules(X))

    def _molecules(self, X) -> list[Atoms]:
        check_is_fitted(self)
        return molecules_of_rows(validate_data(self, X, reset=False, dtype=np.float64))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.no_validation = False
        return tags


def molecules_of_rows(X: np.ndarray) -> list[Atoms]:
    """Turn every row into a chain O-H-H-... with one bond for each number.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    Returns
    -------
    molecules : list of ase.Atoms
        Of n_features + 1 atoms each; different rows give different molecules, as long as
        numbers differ by more than rounding of their arc tangent.
    """
    share = 0.5 + np.arctan(X) / np.pi
    ends = np.cumsum(SHORTEST + (LONGEST - SHORTEST) * share, axis=1)
    molecules = []
    for row in ends:
        atoms = Atoms(["O"] + ["H"] * len(row), np.zeros((len(row) + 1, 3)))
        atoms.positions[1:, 0] = row
        molecules.append(atoms)
    return molecules

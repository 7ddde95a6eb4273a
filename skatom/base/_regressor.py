"""The contracts of featurizers and of models. No numerics live here.

A featurizer turns structures into :class:`~skatom.features.AtomFeatures` and supplies four
functions of neighbour pairs; a model turns AtomFeatures, or a plain matrix, into one number
per structure and supplies the derivative of that number by the features. Forces, stress,
error bars and calculators follow from these for every pair of the two.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from skatom._runtime.state import KeepsState, StateError
from skatom._validation import (
    check_is_fitted,
    check_targets,
    locate_atom,
    refuse_unseen,
    validate_data,
)
from skatom.features import AtomFeatures
from skatom.features._fitted_on import remember
from skatom.structures import Labels, read_labels
from skatom.structures._labels import warn_of_ignored_info
from skatom.structures._sequence import refuse_structures


class AtomicRegressor(KeepsState, RegressorMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of models whose prediction is a sum over atoms.

    Features of atoms, or a plain matrix, come in and one number a structure comes out. A
    matrix is a set of structures of one atom each, all of one kind, so that models pass
    scikit-learn's checks and have stock regressors as oracles.

    Notes
    -----
    A model of your own writes ``fit`` and

    - :meth:`compute_atoms`, the energy of every atom;
    - :meth:`compute_gradient`, its derivative by the features, from which forces and
      stress follow;
    - :meth:`compute_with_gradient`, only where one pass gives both for less.

    It is called with features that have been checked. In ``fit`` it reads X by
    :meth:`check_features`, y by :meth:`check_targets` and, if it trains on forces or
    stress, these by :meth:`read_labels`. Users call the methods that check:
    :meth:`predict`, :meth:`predict_atoms`, :meth:`feature_gradient`,
    :meth:`predict_with_gradient`.

    See Also
    --------
    skatom.testing.check_regressor : Checks a model of your own.
    skatom.base.AtomFeaturizer : Base of featurizers.

    Examples
    --------
    Least squares on summed features:

    >>> import numpy as np
    >>> from skatom.base import AtomicRegressor, sum_atoms
    >>> class Plane(AtomicRegressor):
    ...     def fit(self, X, y):
    ...         X = self.check_features(X, reset=True)
    ...         y = self.check_targets(X, y)
    ...         self.coef_ = np.linalg.lstsq(sum_atoms(X.values, X.offsets), y)[0]
    ...         return self
    ...     def compute_atoms(self, X):
    ...         return X.values @ self.coef_
    ...     def compute_gradient(self, X):
    ...         return np.tile(self.coef_, (len(X.values), 1))
    >>> Plane().fit([[1.0, 0.0], [0.0, 2.0]], [3.0, 4.0]).predict([[1.0, 1.0]]).round(6)
    array([5.])
    """

    # A model that takes a few rows at a time casts them itself.
    _reads_blocks = False

    @abstractmethod
    def compute_atoms(self, X: AtomFeatures) -> np.ndarray:
        """Evaluate the fitted model at every atom; override it.

        Parameters
        ----------
        X : AtomFeatures
            As :meth:`check_features` gives them.

        Returns
        -------
        energies : ndarray of shape (n_atoms_total,)
            They sum to the energies of structures.
        """

    @abstractmethod
    def compute_gradient(self, X: AtomFeatures) -> np.ndarray:
        """Differentiate the energies of structures by the features; override it.

        Parameters
        ----------
        X : AtomFeatures
            As :meth:`check_features` gives them.

        Returns
        -------
        gradient : ndarray of shape (n_atoms_total, n_features)
        """

    def compute_with_gradient(self, X: AtomFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate and differentiate at once; override it where the two share work.

        Parameters
        ----------
        X : AtomFeatures
            As :meth:`check_features` gives them.

        Returns
        -------
        energies : ndarray of shape (n_atoms_total,)
        gradient : ndarray of shape (n_atoms_total, n_features)
        """
        return self.compute_atoms(X), self.compute_gradient(X)

    def _check_state(self) -> None:
        """Refuse a model file whose elements, and what they contribute, do not fit."""
        refuse_other_elements(self)

    def predict(self, X) -> np.ndarray:
        """Predict the energy of every structure.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)

        Returns
        -------
        y : ndarray of shape (n_structures,)
            Total energies, in the unit of the y of fit (eV).
        """
        check_is_fitted(self)
        X = self.check_features(X, reset=False)
        return sum_atoms(self.compute_atoms(X), X.offsets)

    def predict_atoms(self, X) -> np.ndarray:
        """Predict the energy of every atom; they sum to the energies of structures.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)

        Returns
        -------
        energies : ndarray of shape (n_atoms_total,)
        """
        check_is_fitted(self)
        return self.compute_atoms(self.check_features(X, reset=False))

    def feature_gradient(self, X) -> np.ndarray:
        """Differentiate the energies by the features of each atom.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)

        Returns
        -------
        gradient : ndarray of shape (n_atoms_total, n_features)
        """
        check_is_fitted(self)
        return self.compute_gradient(self.check_features(X, reset=False))

    def predict_with_gradient(self, X) -> tuple[np.ndarray, np.ndarray]:
        """Predict the energies of atoms, and differentiate them by the features.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)

        Returns
        -------
        energies : ndarray of shape (n_atoms_total,)
            As of :meth:`predict_atoms`.
        gradient : ndarray of shape (n_atoms_total, n_features)
            As of :meth:`feature_gradient`; models that can share work between the two.
        """
        check_is_fitted(self)
        return self.compute_with_gradient(self.check_features(X, reset=False))

    def check_features(self, X, *, reset: bool) -> AtomFeatures:
        """Give X as features of atoms, checked; rows of numbers count as one atom each.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
        reset : bool
            Whether this is a fit, which learns the number of features and the elements;
            otherwise they must be those of the fit.

        Returns
        -------
        X : AtomFeatures
            In double precision.

        Raises
        ------
        ValueError
            If features are not finite, or their number or an element is not of the fit.
        TypeError
            If X holds structures, which a featurizer must come before.
        """
        if not isinstance(X, AtomFeatures):
            refuse_structures(X, type(self).__name__)
            X = AtomFeatures.from_rows(
                validate_data(self, X, reset=reset, dtype=np.float64)
            )
        elif reset:  # a fit on plain rows before this one must leave no trace
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)
        if not reset and X.values.shape[1] != self.n_atom_features_:
            raise ValueError(
                f"X has {X.values.shape[1]} features per atom, but "
                f"{type(self).__name__} was fitted with {self.n_atom_features_}."
            )
        if (
            X.values.dtype != np.float64 and not self._reads_blocks
        ):  # stored in single precision, used in double
            X = X.astype(np.float64)
        if reset:
            self.__dict__.pop("fitted_on_", None)
        finite = np.isfinite(X.values)
        if not finite.all():
            bad = np.flatnonzero(~finite.all(axis=1))
            s, i = locate_atom(bad[0], X.offsets)
            raise ValueError(
                f"Features of atom {i} of structure {s} are NaN or infinite."
            )
        if reset:
            self.n_atom_features_ = X.values.shape[1]
            self.numbers_ = np.unique(X.numbers)
        else:
            self._check_numbers(X)
        return X

    def _check_numbers(self, X: AtomFeatures) -> None:
        name = type(self).__name__
        on_rows, of_rows = (not numbers.all() for numbers in (self.numbers_, X.numbers))
        if len(X.numbers) and on_rows != of_rows:
            fitted, given = ("plain rows", "atoms")[:: 1 if on_rows else -1]
            raise ValueError(
                f"{name} was fitted on {fitted} and cannot predict {given}: give both "
                "what comes from the same featurizer."
            )
        remedy = "Fit on structures with such elements, or leave these structures out."
        refuse_unseen(X.numbers, X.offsets, self.numbers_, name, remedy)

    def check_targets(self, X: AtomFeatures, y) -> np.ndarray:
        """Give the targets of fit as a finite vector, and remember what is fitted on.

        Parameters
        ----------
        X : AtomFeatures
        y : array-like of shape (n_structures,)

        Returns
        -------
        y : ndarray of shape (n_structures,)

        Raises
        ------
        ValueError
            If y is missing, not finite, or of another length or shape.

        Warns
        -----
        UserWarning
            If structures carry charges or spins, which features do not see.
        """
        y = check_targets(y, len(X))
        if X.structures is not None:
            warn_of_ignored_info(X.structures)
        remember(self, X, y, again=True)
        return y

    def read_labels(self, X: AtomFeatures, forces, stress) -> Labels | None:
        """Read the forces and stress of the structures of X, for fits that train on them.

        Parameters
        ----------
        X : AtomFeatures
        forces, stress : sequence of arrays, str or None
            As given to fit; None leaves it to the parameters of the same names, which a
            model that reads labels has.

        Returns
        -------
        labels : Labels or None
            None when there are none to train on.

        Raises
        ------
        ValueError
            If labels are not finite or of a wrong shape, or X are plain numbers.
        """
        if X.structures is None:
            for name, given in (("forces", forces), ("stress", stress)):
                if given is not None:
                    raise ValueError(
                        f"{name} cannot be trained on plain numbers: X must come from a "
                        "featurizer."
                    )
            return None
        labels = read_labels(
            X.structures,
            forces=self.forces if forces is None else forces,
            stress=self.stress if stress is None else stress,
        )
        if not (labels.has_forces.any() or labels.has_stress.any()):
            return None
        return labels


def sum_atoms(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sum values of atoms over each structure.

    Parameters
    ----------
    values : ndarray of shape (n_atoms_total, ...)
    offsets : ndarray of shape (n_structures + 1,)
        Every structure has at least one atom.

    Returns
    -------
    sums : ndarray of shape (n_structures, ...)
    """
    if len(offsets) < 2:
        return np.zeros((0, *values.shape[1:]))
    return np.add.reduceat(values, offsets[:-1], axis=0)


def refuse_other_elements(model) -> None:
    """Refuse elements of a model file that are none, or that lack a baseline.

    Raises
    ------
    StateError
        With what does not fit.
    """
    numbers = getattr(model, "numbers_", None)
    if numbers is None:
        return
    ascending = (
        isinstance(numbers, np.ndarray)
        and numbers.ndim == 1
        and numbers.dtype.kind in "iu"
        and (np.diff(numbers) > 0).all()
    )
    if not ascending:
        raise StateError("numbers_ are not those of elements in ascending order")
    if np.shape(getattr(model, "baseline_", numbers))[:1] != numbers.shape:
        raise StateError("baseline_ has not one number for each of the elements")

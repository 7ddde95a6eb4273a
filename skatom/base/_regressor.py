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

from skatom._runtime.state import KeepsState
from skatom._validation import (
    check_is_fitted,
    locate_atom,
    refuse_unseen,
    validate_data,
)
from skatom.features import AtomFeatures
from skatom.structures import Labels, read_labels
from skatom.structures._sequence import refuse_structures


class AtomicRegressor(KeepsState, RegressorMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of models of sums over atoms: AtomFeatures or a matrix in, energies out.

    A plain matrix is the degenerate case in which every structure is one atom of one kind,
    so models meet scikit-learn's checks and stock regressors as oracles. A subclass defines
    ``fit``, `_predict` and `feature_gradient`, reads X through `_check_X` and labels
    through `_read_labels` (parameters ``forces``, ``stress``).
    """

    # A model that takes a few rows at a time casts them itself.
    _reads_blocks = False

    @abstractmethod
    def _predict_atoms(self, X: AtomFeatures) -> np.ndarray:
        """Energies of atoms, shape (n_atoms_total,), that sum to those of structures."""

    @abstractmethod
    def _feature_gradient(self, X: AtomFeatures) -> np.ndarray:
        """DE/dvalues, shape (n_atoms_total, n_features)."""

    def _with_gradient(self, X: AtomFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Energies of atoms and their gradient; override where they share work."""
        return self._predict_atoms(X), self._feature_gradient(X)

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
        X = self._check_X(X, reset=False)
        return sum_atoms(self._predict_atoms(X), X.offsets)

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
        return self._predict_atoms(self._check_X(X, reset=False))

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
        return self._feature_gradient(self._check_X(X, reset=False))

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
        return self._with_gradient(self._check_X(X, reset=False))

    def _check_X(self, X, *, reset: bool) -> AtomFeatures:
        """Take per-atom features as they are, and rows of numbers as atoms."""
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
        bad = np.flatnonzero(~np.isfinite(X.values).all(axis=1))
        if len(bad):
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

    def _read_labels(self, X: AtomFeatures, forces, stress) -> Labels | None:
        """Read the forces and stress of X; None when there are none to train on.

        What is passed to fit takes precedence over the constructor parameters.
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

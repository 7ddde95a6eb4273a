"""Base of transformers that give one row a structure."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from sklearn.base import BaseEstimator, TransformerMixin

from skatom._validation import (
    _fit_context,
    check_is_fitted,
    refuse_unseen,
    warn_of_unseen,
)
from skatom.base._atom_transformer import ReadsOnce
from skatom.base._featurizer import _species_numbers
from skatom.features import AtomFeatures
from skatom.features._fitted_on import remember
from skatom.structures import Structures, check_structures
from skatom.structures._labels import warn_of_ignored_info


class StructureRows(ReadsOnce, TransformerMixin, BaseEstimator, metaclass=ABCMeta):
    """One row of features a structure, from structures of any kind.

    A subclass defines `_learn`, `_rows` and `_names`; `_check` may refuse structures.
    """

    @abstractmethod
    def _learn(self, structures: Structures) -> None:
        """Set the fitted attributes."""

    @abstractmethod
    def _rows(self, structures: Structures):
        """Compute the features."""

    @abstractmethod
    def _names(self) -> list[str]:
        """Names of the columns."""

    def _check(self, structures: Structures) -> None:
        """Refuse structures that the features cannot describe."""

    def _carries_over(self) -> bool:
        """Whether rows are meant to carry over to elements that fit did not see."""
        return False

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn what the columns have to hold: species, or the largest structure.

        Parameters
        ----------
        X : sequence of ase.Atoms
        y : ignored

        Returns
        -------
        self : object
        """
        structures = check_structures(X)
        warn_of_ignored_info(structures)
        self._learn(structures)
        self._check(structures)
        self._numbers_of_fit = np.unique(structures.numbers)
        self.n_features_out_ = len(self._names())
        remember(self, structures)
        return self

    def transform(self, X):
        """Compute the features.

        Parameters
        ----------
        X : sequence of ase.Atoms

        Returns
        -------
        features : ndarray of shape (n_structures, ``n_features_out_``)
            A data frame after ``set_output(transform="pandas")``.

        Raises
        ------
        ValueError
            If a structure does not fit what was learned in fit.

        Warns
        -----
        UserWarning
            If a structure has an element that no structure of fit has, so that its
            features mean nothing to a model that was trained on those.
        """
        check_is_fitted(self, "n_features_out_")
        structures = check_structures(X, allow_empty=True)
        self._check(structures)
        rows = self._rows(structures)
        of_atoms = isinstance(rows, AtomFeatures)  # whose models refuse by themselves
        if not of_atoms and not self._carries_over():
            warn_of_new_elements(self, structures)
        return rows

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Give the physical name of every column.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of str, shape (``n_features_out_``,)
        """
        check_is_fitted(self, "n_features_out_")
        return np.array(self._names(), dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags


def warn_of_new_elements(estimator, structures: Structures) -> None:
    """Warn of elements that no structure of fit has, about which rows tell no model."""
    warn_of_unseen(
        structures.numbers,
        structures.offsets,
        estimator._numbers_of_fit,
        type(estimator).__name__,
    )


def learned_species(structures: Structures, species) -> list[str]:
    """Give the chemical symbols to tell apart, by atomic number."""
    if species is None:
        numbers = np.unique(structures.numbers)
    else:
        numbers = _species_numbers(species)
    return [chemical_symbols[z] for z in numbers]


def check_species(structures: Structures, species: list[str], who: str) -> None:
    """Refuse elements that have no columns."""
    known = [atomic_numbers[s] for s in species]
    remedy = "Fit on structures with such elements, or list them in species."
    refuse_unseen(structures.numbers, structures.offsets, known, who, remedy)


def check_crystals(structures: Structures, who: str) -> None:
    """Refuse structures that are not periodic in three directions."""
    for s, atoms in enumerate(structures):
        if not atoms.pbc.all():
            raise ValueError(
                f"Structure {s} is not periodic in three directions (pbc is "
                f"{atoms.pbc.tolist()}), as {who} needs: set its cell and pbc, or use a "
                "featurizer for molecules such as CoulombMatrix or MBTR."
            )

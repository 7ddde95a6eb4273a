"""Pool: from per-atom features to one row a structure."""

from __future__ import annotations

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from sklearn.base import BaseEstimator, TransformerMixin

from skatom._validation import (
    StrOptions,
    _fit_context,
    check_is_fitted,
    refuse_unseen,
    validate_data,
    warn_of_unseen,
)
from skatom.base import sum_atoms
from skatom.elements._counts import species_counts
from skatom.features import AtomFeatures
from skatom.structures._labels import warn_of_ignored_info


class Pool(TransformerMixin, BaseEstimator):
    """Sum or average the features of the atoms of each structure.

    The result is a plain matrix, one row a structure, for any scikit-learn estimator.
    Forces and stress pass back through it.

    Parameters
    ----------
    method : {"sum", "mean"}, default="sum"
        ``"sum"`` suits extensive properties such as total energies, ``"mean"`` intensive
        ones.
    by_species : bool, default=False
        Whether each chemical element seen in fit has columns of its own. The mean is
        then over the atoms of that element, and zero where there are none.
    counts : bool, default=False
        Whether the number of atoms of each element is added as columns; their share of
        all atoms for ``"mean"``. A linear model then fits the energies of free atoms.

    Attributes
    ----------
    species_ : list of str
        Chemical symbols seen in fit, by atomic number.
    n_atom_features_ : int
        Number of features of each atom.

    See Also
    --------
    PerAtom : Transform the row of every atom by itself.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers import ACSF
    >>> from skatom.preprocessing import Pool
    >>> features = ACSF(r_cut=4.0).fit_transform([molecule("H2O"), molecule("CH4")])
    >>> rows = Pool("sum", counts=True).fit_transform(features)
    >>> rows[:, -3:]
    array([[2., 0., 1.],
           [4., 1., 0.]])
    """

    _parameter_constraints: dict = {
        "method": [StrOptions({"sum", "mean"})],
        "by_species": ["boolean"],
        "counts": ["boolean"],
    }

    def __init__(
        self, method: str = "sum", *, by_species: bool = False, counts: bool = False
    ):
        self.method = method
        self.by_species = by_species
        self.counts = counts

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn which species there are.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_samples, n_features)
            Rows of a matrix count as structures of one atom.
        y : ignored

        Returns
        -------
        self : object
        """
        X = self._check_X(X, reset=True)
        if X.structures is not None:
            warn_of_ignored_info(X.structures)
        self.species_ = [chemical_symbols[z] for z in np.unique(X.numbers)]
        self.n_atom_features_ = X.values.shape[1]
        self._way = {"method": self.method, "by_species": self.by_species}
        self._way["counts"] = self.counts
        self._atom_feature_names = np.asarray(X.feature_names, dtype=object)
        return self

    def transform(self, X) -> np.ndarray:
        """Pool the features of each structure.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_samples, n_features)

        Returns
        -------
        rows : ndarray of shape (n_structures, n_columns)

        Raises
        ------
        ValueError
            If the number of features differs from fit, or, with ``by_species`` or
            ``counts``, an element was not seen in fit.

        Warns
        -----
        UserWarning
            If an element was not seen in fit and has no columns: what the features of its
            atoms add, a model behind has not been trained on.
        """
        if not hasattr(self, "species_"):  # asking for tags takes 0.1 ms
            check_is_fitted(self)
        X = self._check_X(X, reset=False)
        if not (self._way["by_species"] or self._way["counts"]):  # these refuse
            warn_of_unseen(X.numbers, X.offsets, self._numbers, "Pool")
        blocks = [
            sum_atoms(X.values * weight[:, None], X.offsets)
            for weight in self._weights(X)
        ]
        if self._way["counts"]:
            counts = species_counts(X, self._known(X))
            blocks.append(counts / X.n_atoms[:, None] if self._mean else counts)
        return np.concatenate(blocks, axis=1)

    def pullback(self, X: AtomFeatures, g: np.ndarray) -> np.ndarray:
        """Carry the gradient by the pooled rows back to the atoms.

        Parameters
        ----------
        X : AtomFeatures
            Input of transform.
        g : ndarray of shape (n_structures, n_columns)

        Returns
        -------
        gradient : ndarray of shape (n_atoms_total, n_features)
        """
        weights = self._weights(X)
        n = self.n_atom_features_
        index = X.structure_index
        return sum(
            g[index, k * n : (k + 1) * n] * weight[:, None]
            for k, weight in enumerate(weights)
        )

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Name the columns, such as ``sum(G2_H)`` or, by species, ``sum_O(G2_H)``.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the per-atom features; those seen in fit by default.

        Returns
        -------
        names : ndarray of str, shape (n_columns,)
        """
        check_is_fitted(self)
        names = self._atom_feature_names if input_features is None else input_features
        if len(names) != self.n_atom_features_:
            raise ValueError(
                f"input_features should have length equal to number of features "
                f"({self.n_atom_features_}), got {len(names)}"
            )
        method = self._way["method"]
        heads = [f"{method}_{s}" for s in self.species_]
        heads = heads if self._way["by_species"] else [method]
        out = [f"{head}({name})" for head in heads for name in names]
        if self._way["counts"]:
            out += [f"{'share' if self._mean else 'n'}_{s}" for s in self.species_]
        return np.array(out, dtype=object)

    @property
    def _mean(self) -> bool:
        return self._way["method"] == "mean"

    def _weights(self, X: AtomFeatures) -> list[np.ndarray]:
        """Weight of every atom in each block of columns, each of shape (n_atoms,)."""
        masks = np.ones((1, len(X.numbers)))
        if self._way["by_species"]:
            masks = (X.numbers == self._known(X)[:, None]).astype(np.float64)
        if not self._mean:
            return list(masks)
        index = X.structure_index
        return [
            mask / np.maximum(sum_atoms(mask, X.offsets), 1.0)[index] for mask in masks
        ]

    def _known(self, X: AtomFeatures) -> np.ndarray:
        """Atomic numbers of fit, when those of X are among them."""
        remedy = "Fit on structures with such elements, or leave these structures out."
        refuse_unseen(X.numbers, X.offsets, self._numbers, "Pool", remedy)
        return self._numbers

    @property
    def _numbers(self) -> np.ndarray:
        return np.array([atomic_numbers[s] for s in self.species_])

    def _check_X(self, X, *, reset: bool) -> AtomFeatures:
        if not isinstance(X, AtomFeatures):
            return AtomFeatures.from_rows(
                validate_data(self, X, reset=reset, dtype=np.float64)
            )
        if not reset and X.values.shape[1] != self.n_atom_features_:
            raise ValueError(
                f"X has {X.values.shape[1]} features per atom, but Pool was fitted with "
                f"{self.n_atom_features_}."
            )
        return X

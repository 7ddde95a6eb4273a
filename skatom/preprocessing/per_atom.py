"""PerAtom: any scikit-learn transformer, applied to the row of every atom."""

from __future__ import annotations

import numpy as np
from ase.data import chemical_symbols
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from skatom._validation import (
    HasMethods,
    _fit_context,
    check_is_fitted,
    check_targets,
    refuse_unseen,
    validate_data,
)
from skatom.base._inside import walk
from skatom.features import AtomFeatures
from skatom.preprocessing._derivatives import transform_pullback, transform_pushforward

ALL = "all"


class PerAtom(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Apply a scikit-learn transformer to the features of every atom.

    The rows of all atoms are handed to the transformer as one matrix, so that
    ``StandardScaler`` scales by the atoms of all training structures, ``PCA`` finds the
    directions in which environments differ, and so on. Derivatives are kept: forces and
    stress pass through every transformer with a derivative rule.

    Parameters
    ----------
    transformer : transformer
        Works on a matrix of shape (n_atoms, n_features). Cloned, never changed.
    by_species : bool, default=False
        Whether each chemical element has a transformer of its own, fitted to its atoms.
        All must give equally many columns.

    Attributes
    ----------
    transformers_ : dict of str to transformer
        Fitted transformers by chemical symbol; one entry, ``"all"``, without
        ``by_species``.
    n_atom_features_ : int
        Number of features that come out.

    See Also
    --------
    Pool : Sum or average over atoms, for stock regressors.
    skatom.preprocessing.register_transformer : Add a derivative rule.

    Notes
    -----
    A transformer that learns from targets (``SelectKBest``, ``PLSRegression``) is given,
    for every atom, the energy of its structure divided by the number of atoms, or its own
    target where atoms have targets.

    A plain matrix is handed to the transformer as it is.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skatom.featurizers import ACSF
    >>> from skatom.preprocessing import PerAtom
    >>> features = ACSF(r_cut=4.0).fit_transform([molecule("H2O"), molecule("CH4")])
    >>> scaled = PerAtom(StandardScaler()).fit_transform(features)
    >>> scaled.shape == features.shape, bool(abs(scaled.values.mean()) < 1e-12)
    (True, True)
    """

    _parameter_constraints: dict = {
        "transformer": [HasMethods(["fit", "transform"])],
        "by_species": ["boolean"],
    }

    def __init__(self, transformer, *, by_species: bool = False):
        self.transformer = transformer
        self.by_species = by_species

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Fit the transformer to the rows of all atoms.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_samples, n_features)
        y : array-like of shape (n_structures,) or (n_structures, n_columns), or list of \
                ndarray of shape (n_atoms,), optional
            Energies or other targets, for transformers that learn from targets. Others
            are not given any that do not fit atoms.

        Returns
        -------
        self : object
        """
        if not isinstance(X, AtomFeatures):
            rows = self._check_rows(X, reset=True)
            self.transformers_ = {ALL: clone(self.transformer).fit(X, y)}
            head = X[:1] if hasattr(X, "iloc") else rows[:1]
            self.n_atom_features_ = self._only().transform(head).shape[1]
            return self
        for name in ("n_features_in_", "feature_names_in_"):  # of a fit to plain rows
            self.__dict__.pop(name, None)
        if y is not None:
            y = self._targets_of_atoms(X, y)
        self.transformers_ = {
            key: clone(self.transformer).fit(
                _guarded(X.values[rows]), None if y is None else y[rows]
            )
            for key, rows in _groups(X.numbers, self.by_species).items()
        }
        self.n_atom_features_ = self._count_columns(X)
        return self

    def transform(self, X):
        """Transform the features of every atom.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_samples, n_features)

        Returns
        -------
        transformed : AtomFeatures, or what the transformer makes of a matrix

        Raises
        ------
        ValueError
            With ``by_species``, if an element was not seen in fit.
        """
        if not hasattr(self, "transformers_"):  # asking for tags takes 0.1 ms
            check_is_fitted(self)
        if not isinstance(X, AtomFeatures):
            self._check_rows(X, reset=False)
            return self._only().transform(X)
        if self._is_split:
            known = [chemical_symbols.index(key) for key in self.transformers_]
            remedy = "Fit on structures with such elements, or use by_species=False."
            refuse_unseen(X.numbers, X.offsets, known, "PerAtom", remedy)
        # stored as they came: features in single precision stay in it
        values = np.empty((len(X.values), self.n_atom_features_), dtype=X.values.dtype)
        for key, rows in self._groups(X.numbers).items():
            part = X.values[rows]
            if len(part):
                values[rows] = _transformed(self.transformers_[key], part)
        return X.transformed(self, values)

    def _targets_of_atoms(self, X: AtomFeatures, y) -> np.ndarray | None:
        """Share y out among atoms; None where it cannot be, and nobody learns from it."""
        try:
            return _shared_out(X, y)
        except (TypeError, ValueError):
            if any(_needs_targets(one) for one in walk(self.transformer)):
                raise
            return None

    def pullback(self, values: np.ndarray, numbers: np.ndarray, g: np.ndarray):
        """Carry the gradient by the output back to the input, for AtomFeatures.

        Parameters
        ----------
        values : ndarray of shape (n_atoms, n_features)
            Input values.
        numbers : ndarray of int, shape (n_atoms,)
        g : ndarray of shape (n_atoms, n_new_features)

        Returns
        -------
        gradient : ndarray of shape (n_atoms, n_features)
        """
        return self._derive(transform_pullback, values, numbers, g, values.shape[1])

    def pushforward(self, values: np.ndarray, numbers: np.ndarray, v: np.ndarray):
        """Carry a change of the input forward to the output, for AtomFeatures.

        Parameters
        ----------
        values : ndarray of shape (n_atoms, n_features)
            Input values.
        numbers : ndarray of int, shape (n_atoms,)
        v : ndarray of shape (n_atoms, n_features)

        Returns
        -------
        tangent : ndarray of shape (n_atoms, n_new_features)
        """
        return self._derive(
            transform_pushforward, values, numbers, v, self.n_atom_features_
        )

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Give the names that the transformer gives.

        Parameters
        ----------
        input_features : array-like of str, optional

        Returns
        -------
        names : ndarray of str, shape (n_features,)
            Numbered names where the transformers of different species disagree.
        """
        check_is_fitted(self)
        if input_features is not None:
            input_features = np.asarray(input_features, dtype=object)
        names = [
            t.get_feature_names_out(input_features) for t in self.transformers_.values()
        ]
        if all(np.array_equal(names[0], other) for other in names[1:]):
            return names[0]
        prefix = type(self.transformer).__name__.lower()
        return np.array([f"{prefix}{k}" for k in range(len(names[0]))], dtype=object)

    def set_output(self, *, transform=None):
        """Hand on to the transformer; per-atom features stay AtomFeatures.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None

        Returns
        -------
        self : object
        """
        for step in (self.transformer, *getattr(self, "transformers_", {}).values()):
            if hasattr(step, "set_output"):
                step.set_output(transform=transform)
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.transformer)
        tags.input_tags = inner.input_tags
        tags.target_tags.required = inner.target_tags.required
        return tags

    def _check_rows(self, X, *, reset: bool):
        """Check and count the columns of a plain matrix; the transformer does the rest."""
        sparse = "csr" if get_tags(self.transformer).input_tags.sparse else False
        return validate_data(
            self, X, reset=reset, dtype=None, accept_sparse=sparse,
            ensure_all_finite=False,
        )  # fmt: skip

    @property
    def _is_split(self) -> bool:
        """Whether each species was fitted by itself."""
        return ALL not in self.transformers_

    def _groups(self, numbers: np.ndarray) -> dict:
        return _groups(numbers, self._is_split)

    def _only(self):
        if len(self.transformers_) > 1:
            raise ValueError(
                "PerAtom(by_species=True) was fitted to atoms of several species and "
                "cannot transform a plain matrix, whose rows have none."
            )
        return next(iter(self.transformers_.values()))

    def _derive(self, rule, values, numbers, vectors, width: int) -> np.ndarray:
        if not self._is_split:
            return rule(self._only(), values, vectors)
        out = np.empty((len(values), width))
        for key, rows in self._groups(numbers).items():
            out[rows] = rule(self.transformers_[key], values[rows], vectors[rows])
        return out

    def _count_columns(self, X: AtomFeatures) -> int:
        widths = {
            key: self.transformers_[key]
            .transform(_guarded(X.values[rows][:1]))
            .shape[1]
            for key, rows in self._groups(X.numbers).items()
        }
        if len(set(widths.values())) > 1:
            counts = ", ".join(f"{key}: {n}" for key, n in widths.items())
            raise ValueError(
                "The transformers of different species give different numbers of "
                f"features ({counts}); all must agree. Give the number, such as "
                "n_components or k, instead of a share or threshold."
            )
        return next(iter(widths.values()))


def _needs_targets(transformer) -> bool:
    try:
        return get_tags(transformer).target_tags.required
    except AttributeError:  # of what is no estimator of scikit-learn's
        return False


def _shared_out(X: AtomFeatures, y) -> np.ndarray:
    """Give atoms their own numbers, or equal shares of those of their structure."""
    is_table = isinstance(y, np.ndarray) and y.dtype != object
    if not is_table and [np.size(one) for one in y] == X.n_atoms.tolist():
        own = np.concatenate([np.ravel(one) for one in y]).astype(np.float64)
        return check_targets(own, len(X.numbers))
    if np.ndim(y) == 2 and np.shape(y)[1] > 1:
        columns = [check_targets(one, len(X)) for one in np.asarray(y).T]
        return np.repeat(np.stack(columns, 1) / X.n_atoms[:, None], X.n_atoms, axis=0)
    return np.repeat(check_targets(y, len(X)) / X.n_atoms, X.n_atoms)


def _groups(numbers: np.ndarray, by_species: bool) -> dict:
    """Rows of each transformer."""
    if not by_species:
        return {ALL: slice(None)}
    return {
        chemical_symbols[z]: np.flatnonzero(numbers == z) for z in np.unique(numbers)
    }


def _transformed(transformer, values: np.ndarray) -> np.ndarray:
    """Transform rows, bit for bit as the transformer does.

    scikit-learn's checks of its input take 0.2 ms, more than the features of a molecule,
    so the most common transformer is written out.
    """
    plain = type(transformer) is StandardScaler and values.dtype == np.float64
    if not plain or values.shape[1] != transformer.n_features_in_:
        return transformer.transform(_guarded(values))
    if transformer.with_mean:
        values = values - transformer.mean_
    return values / transformer.scale_ if transformer.with_std else values


def _guarded(values: np.ndarray) -> np.ndarray:
    """Read-only view, so that a transformer with copy=False copies all the same."""
    view = values.view()
    view.flags.writeable = False
    return view

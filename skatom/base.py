"""The contracts of featurizers and of models. No numerics live here.

A featurizer turns structures into :class:`~skatom.features.AtomFeatures` and supplies four
functions of neighbour pairs; a model turns AtomFeatures, or a plain matrix, into one number
per structure and supplies the derivative of that number by the features. Forces, stress,
error bars and calculators follow from these for every pair of the two.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin

from skatom._parallel import run_chunks
from skatom._validation import (
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    check_is_fitted,
    closest,
    listing,
    locate_atom,
    validate_data,
)
from skatom.features import AtomFeatures, Featurized
from skatom.neighbors import NeighborPairs, neighbor_pairs
from skatom.structures import Labels, Structures, check_structures, read_labels
from skatom.structures._labels import warn_of_ignored_info
from skatom.structures._sequence import refuse_structures

__all__ = ["AtomFeaturizer", "AtomicRegressor", "PairBlock", "sum_atoms"]


@dataclass(frozen=True)
class PairBlock:
    """What a descriptor kernel sees: the pairs of centres ``start`` to ``stop``.

    Attributes
    ----------
    start, stop : int
        Centres to work on.
    offsets : ndarray of int64, shape (n_atoms + 1,)
        The pairs of centre i are ``offsets[i]:offsets[i + 1]``.
    channels : ndarray of int64, shape (n_pairs,)
        Index into ``species_`` of the neighbour; ascending inside each row.
    centre_channels : ndarray of int64, shape (n_atoms,)
        Index into ``species_`` of the centre; -1 for an ignored species.
    vectors : ndarray of shape (n_pairs, 3)
        From centre to neighbour, in Å. Pairs longer than r_cut may be present.
    """

    start: int
    stop: int
    offsets: np.ndarray
    channels: np.ndarray
    centre_channels: np.ndarray
    vectors: np.ndarray


class AtomFeaturizer(
    TransformerMixin, BaseEstimator, auto_wrap_output_keys=None, metaclass=ABCMeta
):
    """Base of featurizers: structures in, differentiable per-atom features out.

    A subclass stores its parameters, among them ``r_cut``, ``species``,
    ``handle_unknown`` and ``n_jobs``, and defines `_setup`, `_forward`, `_pullback`,
    `_pushforward`, `_jacobian` and `_feature_names`. Everything else is done here.

    Attributes
    ----------
    species_ : list of str
        Chemical symbols that the features distinguish, by atomic number.
    n_atom_features_ : int
        Number of features of each atom.
    """

    _parameter_constraints: dict = {
        "r_cut": [Interval(Real, 0, None, closed="neither")],
        "species": ["array-like", None],
        "handle_unknown": [StrOptions({"error", "ignore"})],
        "n_jobs": [Integral, None],
    }

    def __init_subclass__(cls, auto_wrap_output_keys=None, **kwargs):
        # scikit-learn's default would wrap the output of every subclass anew
        super().__init_subclass__(auto_wrap_output_keys=auto_wrap_output_keys, **kwargs)

    # -- what a subclass defines -------------------------------------------------------

    def _setup(self) -> None:
        """Prepare arrays for the kernels, called in fit when species_ is known."""

    @abstractmethod
    def _feature_names(self) -> list[str]:
        """Physical names of all columns, in order."""

    @abstractmethod
    def _forward(self, block: PairBlock, out: np.ndarray) -> None:
        """Write the features of the block's centres to rows of out, given as zeros."""

    @abstractmethod
    def _pullback(self, block: PairBlock, g: np.ndarray, out: np.ndarray) -> None:
        """Write d(sum g * values)/d vectors to the block's rows of out (n_pairs, 3)."""

    @abstractmethod
    def _pushforward(self, block: PairBlock, v: np.ndarray, out: np.ndarray) -> None:
        """Write the change of the values under v (n_pairs, 3) to the block's centres."""

    @abstractmethod
    def _jacobian(self, block: PairBlock, out: np.ndarray) -> None:
        """Write d values / d vectors to the block's rows of out (n_pairs, 3, n_feat)."""

    # -- scikit-learn's interface ------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn which species there are.

        Parameters
        ----------
        X : sequence of ase.Atoms
            Structures.
        y : ignored

        Returns
        -------
        self : object
        """
        structures = check_structures(X)
        warn_of_ignored_info(structures)
        if self.species is None:
            present = np.unique(structures.numbers)
        else:
            present = _species_numbers(self.species)
        self.species_ = [chemical_symbols[z] for z in present]
        self._setup()
        self.n_atom_features_ = len(self._feature_names())
        return self

    def transform(self, X) -> AtomFeatures:
        """Compute the features of every atom.

        Parameters
        ----------
        X : sequence of ase.Atoms
            Structures. Labels are neither needed nor read.

        Returns
        -------
        features : AtomFeatures of shape (n_structures, n_features)

        Raises
        ------
        ValueError
            If a structure has a species that was not seen in fit, unless
            ``handle_unknown="ignore"``, or two atoms at the same place.
        """
        check_is_fitted(self)
        structures = check_structures(X, allow_empty=True)
        self._check_species(structures)
        return self.transform_pairs(structures, neighbor_pairs(structures, self.r_cut))

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Give the physical name of every feature.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of str, shape (n_features,)
        """
        check_is_fitted(self)
        return np.asarray(self._feature_names(), dtype=object)

    def set_output(self, *, transform=None):
        """Accept and ignore: per-atom features are ragged and stay AtomFeatures.

        Parameters
        ----------
        transform : str or None

        Returns
        -------
        self : object
        """
        return self

    # -- derivatives, for AtomFeatures -------------------------------------------------

    def pullback(self, pairs: NeighborPairs, g: np.ndarray) -> np.ndarray:
        """Carry dE/dvalues back to the pair vectors, (n_atoms, n) to (n_pairs, 3)."""
        return self._run(self._pullback, pairs, (pairs.n_pairs, 3), g)

    def pushforward(self, pairs: NeighborPairs, v: np.ndarray) -> np.ndarray:
        """Carry a change of the pair vectors to the values."""
        shape = (pairs.n_atoms, self.n_atom_features_)
        return self._run(self._pushforward, pairs, shape, v)

    def jacobian(self, pairs: NeighborPairs) -> np.ndarray:
        """Differentiate values by pair vectors, shape (n_pairs, 3, n_features)."""
        shape = (pairs.n_pairs, 3, self.n_atom_features_)
        return self._run(self._jacobian, pairs, shape)

    def transform_pairs(
        self, structures: Structures, pairs: NeighborPairs
    ) -> AtomFeatures:
        """Compute features for neighbour pairs that are known already.

        Parameters
        ----------
        structures : Structures
            Checked structures of species seen in fit.
        pairs : NeighborPairs
            Their pairs, at least up to r_cut; longer ones count as absent. A calculator
            keeps such a list for many steps.

        Returns
        -------
        features : AtomFeatures of shape (n_structures, n_features)
        """
        offsets = structures.offsets
        if self.handle_unknown == "ignore":
            pairs = self._known_only(pairs)
        values = self._run(self._forward, pairs, (pairs.n_atoms, self.n_atom_features_))
        origin = Featurized(self, pairs, offsets)
        return AtomFeatures(values, offsets, pairs.numbers, structures, origin)

    def _run(self, kernel, pairs: NeighborPairs, shape: tuple, *inputs) -> np.ndarray:
        channel_of = self._channel_of()
        centre_channels = channel_of[pairs.numbers]
        channels = centre_channels[pairs.neighbors]
        out = np.zeros(shape)

        def task(start: int, stop: int) -> None:
            block = PairBlock(
                start, stop, pairs.offsets, channels, centre_channels, pairs.vectors
            )
            kernel(block, *inputs, out)

        run_chunks(task, pairs.offsets, self.n_jobs)
        return out

    def _channel_of(self) -> np.ndarray:
        """Table from atomic number to index into species_, -1 where unknown."""
        table = np.full(len(chemical_symbols), -1, dtype=np.int64)
        table[[atomic_numbers[s] for s in self.species_]] = np.arange(
            len(self.species_)
        )
        return table

    def _known_only(self, pairs: NeighborPairs) -> NeighborPairs:
        """Drop the pairs of ignored species, which then are as if they were not there."""
        known = self._channel_of()[pairs.numbers] >= 0
        if known.all():
            return pairs
        return pairs.where(known[pairs.neighbors] & known[pairs.centers])

    def _check_species(self, structures: Structures) -> None:
        unknown = self._channel_of()[structures.numbers] < 0
        if self.handle_unknown == "ignore" or not unknown.any():
            return
        atom = int(np.argmax(unknown))
        s, i = locate_atom(atom, structures.offsets)
        names = sorted({chemical_symbols[z] for z in structures.numbers[unknown]})
        raise ValueError(
            f"Structure {s}, atom {i} is "
            f"{chemical_symbols[structures.numbers[atom]]}, but fit saw only "
            f"{', '.join(self.species_)} (unknown here: {listing(names)}). Fit on "
            "structures with these elements, list them in species, or set "
            "handle_unknown='ignore'."
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags


class AtomicRegressor(RegressorMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of models of sums over atoms: AtomFeatures or a matrix in, energies out.

    A plain matrix is the degenerate case in which every structure is one atom of one kind,
    so models meet scikit-learn's checks and stock regressors as oracles. A subclass defines
    ``fit``, `_predict` and `feature_gradient`, reads X through `_check_X` and labels
    through `_read_labels` (parameters ``forces``, ``stress``).
    """

    @abstractmethod
    def _predict_atoms(self, X: AtomFeatures) -> np.ndarray:
        """Energies of atoms, shape (n_atoms_total,), that sum to those of structures."""

    @abstractmethod
    def _feature_gradient(self, X: AtomFeatures) -> np.ndarray:
        """DE/dvalues, shape (n_atoms_total, n_features)."""

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
        unknown = ~np.isin(X.numbers, self.numbers_)
        if unknown.any():
            atom = int(np.argmax(unknown))
            s, i = locate_atom(atom, X.offsets)
            known = ", ".join(chemical_symbols[z] for z in self.numbers_)
            if 0 in self.numbers_ or X.numbers[atom] == 0:
                fitted, given = ("plain rows", "atoms")[:: 1 if known == "X" else -1]
                raise ValueError(
                    f"{type(self).__name__} was fitted on {fitted} and cannot predict "
                    f"{given}: give both what comes from the same featurizer."
                )
            raise ValueError(
                f"Structure {s}, atom {i} is "
                f"{chemical_symbols[X.numbers[atom]]}, but {type(self).__name__} was "
                f"fitted on {known} only. Fit on structures with this element, or leave "
                "such structures out."
            )

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


def _species_numbers(species: Sequence[str]) -> np.ndarray:
    """Atomic numbers of a list of symbols, each once, ascending."""
    unknown = [s for s in species if s not in atomic_numbers or atomic_numbers[s] < 1]
    if unknown:
        raise ValueError(
            f"species holds {listing(map(repr, unknown))}, which is no chemical symbol."
            + closest(str(unknown[0]), chemical_symbols[1:])
        )
    if not len(species):
        raise ValueError("species is empty: list at least one chemical symbol.")
    return np.unique([atomic_numbers[s] for s in species])

"""CompositionBaseline: the energy of a structure as a sum of energies of elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from sklearn.base import BaseEstimator, RegressorMixin

from skatom._validation import (
    _fit_context,
    check_is_fitted,
    check_sample_weight,
    check_targets,
    closest,
    refuse_unseen,
)
from skatom.base import Target, sum_atoms
from skatom.base._targets import one_number
from skatom.elements._counts import fit_composition
from skatom.features import AtomFeatures
from skatom.features._fitted_on import remember
from skatom.models._gradients import register_regressor
from skatom.structures import Structures, check_structures


class CompositionBaseline(RegressorMixin, BaseEstimator):
    """Energy from the numbers of atoms of each element alone.

    The model that any other has to beat, and what is usually subtracted before another is
    fitted: total energies are dominated by the energies of the free atoms.

    Parameters
    ----------
    energies : dict of str to float, or None, default=None
        Energy of each element by chemical symbol, in eV, such as those of free atoms.
        None fits them by least squares; where compositions do not tell them apart (one
        molecule only, say), the solution of smallest norm is taken.
    target : str or Target, default="energy"
        What is predicted, see :class:`skatom.base.Target`: one number a structure, of kind
        "sum" or "mean".

    Attributes
    ----------
    energies_ : dict of str to float
        Energy of each element, in eV.

    See Also
    --------
    skatom.potential.DeltaRegressor : Fit a model to what a baseline leaves.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.models import CompositionBaseline
    >>> frames = [molecule("H2"), molecule("H2O"), molecule("O2")]
    >>> baseline = CompositionBaseline().fit(frames, [-6.0, -14.0, -16.0])
    >>> {s: round(e, 6) for s, e in baseline.energies_.items()}
    {'H': -3.0, 'O': -8.0}
    """

    _parameter_constraints: dict = {"energies": [dict, None], "target": [str, Target]}

    def __init__(
        self,
        energies: Mapping[str, float] | None = None,
        *,
        target: str | Target = "energy",
    ):
        self.energies = energies
        self.target = target

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the energies of the elements, or check those that were given.

        Parameters
        ----------
        X : sequence of ase.Atoms, or AtomFeatures
        y : array-like of shape (n_structures,)
            Total energies in eV. Not needed when ``energies`` are given.
        sample_weight : array-like of shape (n_structures,), optional

        Returns
        -------
        self : object
        """
        X = _check_X(X)
        present = np.unique(X.numbers)
        self.target_ = one_number(self)
        if self.energies is not None:
            self.energies_ = _given(self.energies)
            self._energies_of_atoms(X)
            self.fitted_on_ = np.zeros(0, dtype=np.uint64)  # not learned from X
            return self
        y = check_targets(y, len(X))
        weights = check_sample_weight(sample_weight, len(X))
        if self.target_.kind == "mean":  # errors of N y have N times the spread
            y, weights = y * X.n_atoms, weights / X.n_atoms**2
        fitted = fit_composition(X, y, weights, present)
        remember(self, X, y)
        self.energies_ = {
            chemical_symbols[z]: float(e) for z, e in zip(present, fitted)
        }
        return self

    def predict(self, X) -> np.ndarray:
        """Sum the energies of the elements.

        Parameters
        ----------
        X : sequence of ase.Atoms, or AtomFeatures

        Returns
        -------
        y : ndarray of shape (n_structures,)
            In eV.

        Raises
        ------
        ValueError
            If the energy of an element is not known.
        """
        check_is_fitted(self)
        X = _check_X(X)
        return sum_atoms(self._contributions(X), X.offsets)

    def predict_atoms(self, X) -> np.ndarray:
        """Give the energy of every atom, or what else adds up to the prediction.

        Parameters
        ----------
        X : sequence of ase.Atoms, or AtomFeatures

        Returns
        -------
        energies : ndarray of shape (n_atoms_total,)
            In eV.
        """
        check_is_fitted(self)
        return self._contributions(_check_X(X))

    def predict_atomic_energies(self, X: Sequence[Atoms]) -> list[np.ndarray]:
        """Give the energy of every atom, structure by structure.

        Parameters
        ----------
        X : sequence of ase.Atoms, or AtomFeatures

        Returns
        -------
        energies : list of ndarray of shape (n_atoms,)
            In eV.
        """
        X = _check_X(X)
        return np.split(self.predict_atoms(X), X.offsets[1:-1]) if len(X) else []

    def predict_forces(self, X: Sequence[Atoms]) -> list[np.ndarray]:
        """Give forces, which are zero.

        Parameters
        ----------
        X : sequence of ase.Atoms, or AtomFeatures

        Returns
        -------
        forces : list of ndarray of shape (n_atoms, 3)
            In eV/Å.
        """
        check_is_fitted(self)
        return [np.zeros((n, 3)) for n in _check_X(X).n_atoms]

    def predict_stress(self, X: Sequence[Atoms]) -> np.ndarray:
        """Give the stress, which is zero.

        Parameters
        ----------
        X : sequence of ase.Atoms, or AtomFeatures

        Returns
        -------
        stress : ndarray of shape (n_structures, 6)
            In eV/Å³.
        """
        check_is_fitted(self)
        return np.zeros((len(_check_X(X)), 6))

    def _contributions(self, X) -> np.ndarray:
        energies = self._energies_of_atoms(X)
        if self.target_.kind == "mean":
            energies /= np.repeat(X.n_atoms, X.n_atoms)
        return energies

    def _energies_of_atoms(self, X) -> np.ndarray:
        known = [atomic_numbers[symbol] for symbol in self.energies_]
        remedy = "Fit on structures with such elements, or give theirs in energies."
        refuse_unseen(X.numbers, X.offsets, known, "CompositionBaseline", remedy)
        table = np.zeros(len(chemical_symbols))
        table[known] = list(self.energies_.values())
        return table[X.numbers]


@register_regressor(CompositionBaseline)
def _no_slope(regressor, X):
    return np.zeros(X.values.shape)


def _check_X(X) -> AtomFeatures | Structures:
    if isinstance(X, AtomFeatures):
        return X
    return check_structures(X, allow_empty=True)


def _given(energies: Mapping[str, float]) -> dict[str, float]:
    for symbol, energy in energies.items():
        if atomic_numbers.get(symbol, 0) < 1:
            raise ValueError(
                f"energies holds {symbol!r}, which is no chemical symbol."
                + closest(str(symbol), chemical_symbols[1:])
            )
        if not isinstance(energy, Real) or not np.isfinite(energy):
            raise ValueError(
                f"The energy of {symbol} in energies is {energy!r}: give a number in eV."
            )
    return {symbol: float(energy) for symbol, energy in energies.items()}

"""Base class of estimators around others that know how uncertain these are."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin

from skatom._runtime.state import KeepsState
from skatom._validation import check_is_fitted
from skatom.base import NoStandardDeviationError
from skatom.features import AtomFeatures
from skatom.features._fitted_on import remember
from skatom.features._kinds_of_x import rows_and_structures
from skatom.potential.answers import Answer, Context
from skatom.potential.estimators import answer
from skatom.potential.potential_methods import PotentialMethods
from skatom.uncertainty._error_bars import Wrapper, check_fit_inputs, smallest_std


class ErrorBarRegressor(
    KeepsState,
    Wrapper,
    PotentialMethods,
    MetaEstimatorMixin,
    RegressorMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Base of estimators that wrap others and know how uncertain these are.

    A method of uncertainty writes `fit` and `answer`; everything else follows: standard
    deviations of energies, forces and energies of atoms, calibration, intervals, scores,
    and properties of the calculator. ``fit`` begins with `check_inputs` and keeps the
    fitted estimator as ``estimator_``. The parameter that holds the estimator is called
    ``estimator``.

    Attributes
    ----------
    std_floor_ : float
        Smallest standard deviation, 1e-9 of the largest target; set by `check_inputs`.
    n_features_in_ : int
        Only if the estimator has it, which estimators on structures do not.

    See Also
    --------
    EnsembleRegressor : The scatter of several models.
    LastLayerRigidity : Error bars of one model that is fitted.

    Examples
    --------
    Error bars of one size, that of the errors of training:

    >>> from dataclasses import replace
    >>> import numpy as np
    >>> from sklearn.base import clone
    >>> from sklearn.linear_model import Ridge
    >>> from skatom.potential import Deviations, answer
    >>> from skatom.uncertainty import ErrorBarRegressor
    >>> class Flat(ErrorBarRegressor):
    ...     def __init__(self, estimator):
    ...         self.estimator = estimator
    ...     def fit(self, X, y):
    ...         X, y = self.check_inputs(X, y)
    ...         self.estimator_ = clone(self.estimator).fit(X, y)
    ...         self.size_ = np.std(y - self.estimator_.predict(X))
    ...         return self
    ...     def answer(self, X, context):
    ...         found = answer(self.estimator_, X, context)
    ...         std = lambda: self.lift_std(np.full(len(found.values), self.size_))
    ...         return replace(found, std=Deviations(std, self.refuse_std, self.refuse_std))
    >>> X = np.arange(9.0)[:, None]
    >>> y, std = Flat(Ridge()).fit(X, [0, 1] * 4 + [0]).predict(X, return_std=True)
    >>> std.shape, bool(std[0] > 0.4)
    ((9,), True)
    """

    @abstractmethod
    def answer(self, X, context: Context) -> Answer:
        """Predict, with gradients and standard deviations on demand.

        A method of uncertainty takes the answer of the estimator inside, from
        ``skatom.potential.answer``, and puts its own ``std`` in place;
        ``model_input(X)`` of that answer is what entered the last step.

        Parameters
        ----------
        X : Structures, AtomFeatures, or array-like of shape (n, n_features)
            Checked.
        context : Context
            What will be asked for.

        Returns
        -------
        answer : Answer
            Deviations in its ``std`` are functions, called when they are asked for.
        """

    def predict(self, X, return_std: bool = False):
        """Predict energies, or what the target is, and how far off they may be.

        Parameters
        ----------
        X : sequence of ase.Atoms, AtomFeatures, or array-like of shape (n, n_features)
        return_std : bool, default=False
            Whether standard deviations are wanted too.

        Returns
        -------
        y : ndarray of shape (n_structures,), or as the estimator inside predicts
            Total energies in eV, or what the target says in its unit.
        std : like y
            Positive and finite; only with ``return_std``.
        """
        check_is_fitted(self)
        X = rows_and_structures(X)[0]
        found = self.answer(X, Context(forces=False, std=return_std))
        y = found.predictions(X)
        return (y, found.in_rows(found.std.energies(), X)) if return_std else y

    def predict_atoms(self, X, return_std: bool = False):
        """Predict the energy of every atom; they sum to the energies of structures.

        Parameters
        ----------
        X : AtomFeatures
            From the featurizer that stands in front.
        return_std : bool, default=False

        Returns
        -------
        energies : ndarray of shape (n_atoms_total,)
            In eV.
        std : ndarray of shape (n_atoms_total,)
            In eV; only with ``return_std``.
        """
        check_is_fitted(self)
        found = self.answer(X, Context(forces=False, atomic=True, std=return_std))
        return (found.atoms(), found.std.atoms()) if return_std else found.atoms()

    def forces_std(self, X: AtomFeatures) -> NDArray[np.float64]:
        """Give the standard deviations of force components.

        Parameters
        ----------
        X : AtomFeatures
            From the featurizer that stands in front.

        Returns
        -------
        std : ndarray of shape (n_atoms_total, 3)
            In eV/Å.
        """
        check_is_fitted(self)
        return self.answer(X, Context(std=True)).std.forces()

    def check_inputs(self, X, y):
        """Check what fit is given, and set the floor of standard deviations.

        Parameters
        ----------
        X : sequence of ase.Atoms, AtomFeatures, or array-like of shape (n, n_features)
        y : array-like of shape (n,)

        Returns
        -------
        X : Structures, AtomFeatures, or array-like of shape (n, n_features)
        y : ndarray of shape (n,)
        """
        X, _, y = check_fit_inputs(self, X, y)
        self.std_floor_ = smallest_std(y)
        remember(self, X, y)
        return X, y

    def lift_std(self, std) -> NDArray[np.float64]:
        """Lift standard deviations that are zero, or rounding, to ``std_floor_``.

        Parameters
        ----------
        std : array-like of any shape

        Returns
        -------
        std : ndarray of that shape
            Positive.
        """
        return np.maximum(std, self.std_floor_)

    def refuse_std(self):
        """Stand in `answer` for standard deviations that a method does not have.

        Raises
        ------
        NoStandardDeviationError
            Always.
        """
        raise NoStandardDeviationError(
            f"{type(self).__name__} has standard deviations of energies only: ask for no "
            "others, or take EnsembleRegressor or LastLayerRigidity."
        )


@answer.register(ErrorBarRegressor)
def _error_bars(estimator, X, context):
    return estimator.answer(X, context)

"""Scorers of error bars and intervals, for cross-validation and search.

Each is a function ``scorer(estimator, X, y)`` for any fitted estimator that knows its
standard deviations, ``predict(X, return_std=True)``, alone, in a pipeline or in a search.
Energies are scored per atom, in eV, where X holds structures; greater is better.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from skatom._validation import check_targets
from skatom.features import AtomFeatures
from skatom.metrics.calibration import crps, ence, gaussian_nll, miscalibration_area
from skatom.metrics.errors import labelled_forces
from skatom.metrics.intervals import winkler_score
from skatom.potential import predict_forces
from skatom.potential.answers import Context
from skatom.potential.estimators import answer
from skatom.structures import check_structures
from skatom.structures._sequence import holds_structures


def neg_energy_crps(estimator, X, y) -> float:
    """Negative continuous ranked probability score of energies, in eV per atom.

    Parameters
    ----------
    estimator : fitted estimator
        Its ``predict`` takes ``return_std=True``.
    X : sequence of ase.Atoms, AtomFeatures or array-like
        Rows of a plain array count as one atom each.
    y : array-like of shape (n_structures,)
        Total energies in eV.

    Returns
    -------
    score : float

    See Also
    --------
    crps : What is averaged.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import BayesianRidge
    >>> from sklearn.model_selection import cross_val_score
    >>> from skatom.metrics import neg_energy_crps
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> y = X.sum(axis=1)
    >>> bool((cross_val_score(BayesianRidge(), X, y, scoring=neg_energy_crps) > -0.1).all())
    True
    """
    return -crps(*_with_std(estimator, X, y))


def neg_energy_nll(estimator, X, y) -> float:
    """Negative of the Gaussian negative log likelihood of energies per atom.

    Parameters
    ----------
    estimator : fitted estimator
        Its ``predict`` takes ``return_std=True``.
    X : sequence of ase.Atoms, AtomFeatures or array-like
    y : array-like of shape (n_structures,)
        Total energies in eV.

    Returns
    -------
    score : float
    """
    return -gaussian_nll(*_with_std(estimator, X, y))


def neg_energy_miscalibration(estimator, X, y) -> float:
    """Negative miscalibration area of energies, from -0.5 to 0.

    It says nothing about how wide error bars are: do not choose a model by it alone.

    Parameters
    ----------
    estimator : fitted estimator
        Its ``predict`` takes ``return_std=True``.
    X : sequence of ase.Atoms, AtomFeatures or array-like
    y : array-like of shape (n_structures,)
        Total energies in eV.

    Returns
    -------
    score : float
    """
    return -miscalibration_area(*_with_std(estimator, X, y))


def neg_energy_ence(estimator, X, y) -> float:
    """Negative expected normalised calibration error of energies per atom, at most 0.

    Parameters
    ----------
    estimator : fitted estimator
        Its ``predict`` takes ``return_std=True``.
    X : sequence of ase.Atoms, AtomFeatures or array-like
    y : array-like of shape (n_structures,)
        Total energies in eV.

    Returns
    -------
    score : float
    """
    return -ence(*_with_std(estimator, X, y))


def neg_energy_winkler(estimator, X, y, confidence_level: float = 0.9) -> float:
    """Negative Winkler score of intervals of energies, in eV per atom.

    Parameters
    ----------
    estimator : fitted estimator
        With ``predict_interval``, such as a ConformalRegressor; or ``predict`` takes
        ``return_std=True`` and intervals are those of a normal distribution.
    X : sequence of ase.Atoms, AtomFeatures or array-like
    y : array-like of shape (n_structures,)
        Total energies in eV.
    confidence_level : float, default=0.9
        For another one, give a search ``functools.partial(neg_energy_winkler,
        confidence_level=0.68)``.

    Returns
    -------
    score : float
        Minus infinity where intervals are.

    See Also
    --------
    winkler_score : What is averaged.
    """
    if not hasattr(estimator, "predict_interval"):
        y, y_pred, std = _with_std(estimator, X, y)
        half = ndtri((1 + confidence_level) / 2) * std
        intervals = np.stack([y_pred - half, y_pred + half], axis=1)
        return -winkler_score(y, intervals, confidence_level)
    X, n_atoms = _sized(X)
    y = check_targets(y, len(n_atoms))
    intervals = estimator.predict_interval(X, confidence_level=confidence_level)[1]
    return -winkler_score(y / n_atoms, intervals / n_atoms[:, None], confidence_level)


def neg_force_crps(estimator, X, y=None) -> float:
    """Negative continuous ranked probability score of force components, in eV/Å.

    Parameters
    ----------
    estimator : fitted estimator
        With standard deviations of forces: :func:`skatom.potential.predict_forces` takes
        ``return_std=True``.
    X : sequence of ase.Atoms
        Those with forces in their calculators or in ``arrays["forces"]`` count.
    y : ignored

    Returns
    -------
    score : float

    Raises
    ------
    ValueError
        If no structure has forces.
    """
    return -crps(*_forces_with_std(estimator, X))


def neg_force_nll(estimator, X, y=None) -> float:
    """Negative of the Gaussian negative log likelihood of force components.

    Parameters
    ----------
    estimator : fitted estimator
    X : sequence of ase.Atoms
        As in :func:`neg_force_crps`.
    y : ignored

    Returns
    -------
    score : float
    """
    return -gaussian_nll(*_forces_with_std(estimator, X))


def neg_force_miscalibration(estimator, X, y=None) -> float:
    """Negative miscalibration area of force components, from -0.5 to 0.

    Parameters
    ----------
    estimator : fitted estimator
    X : sequence of ase.Atoms
        As in :func:`neg_force_crps`.
    y : ignored

    Returns
    -------
    score : float
    """
    return -miscalibration_area(*_forces_with_std(estimator, X))


def _forces_with_std(estimator, X) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, predictions and standard deviations of forces where there are labels."""
    labelled, forces = labelled_forces(X)
    predicted, std = predict_forces(estimator, labelled, return_std=True)
    return forces, np.concatenate(predicted), np.concatenate(std)


def _with_std(estimator, X, y) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, predictions and standard deviations of energies per atom."""
    X, n_atoms = _sized(X)
    y = check_targets(y, len(n_atoms))
    found = answer(estimator, X, Context(forces=False, std=True))
    return y / n_atoms, found.values / n_atoms, found.std.energies() / n_atoms


def _sized(X) -> tuple[object, np.ndarray]:
    """Check X if it holds structures, and give the number of atoms of each."""
    if isinstance(X, AtomFeatures):
        return X, X.n_atoms
    if holds_structures(X):
        X = check_structures(X)
        return X, X.n_atoms
    return X, np.ones(X.shape[0] if hasattr(X, "shape") else len(X))

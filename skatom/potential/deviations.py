"""Standard deviations of energies, forces and energies of atoms, where a model has them.

A model says how uncertain it is in three places: ``predict(X, return_std=True)``,
``predict_atoms(X, return_std=True)`` and, because the deviation of a force is no gradient
of that of an energy, ``forces_std(X)`` for features that can be differentiated.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skatom.base import NoStandardDeviationError
from skatom.features import AtomFeatures
from skatom.potential.answers import Deviations

# What scikit-learn's estimators say of a parameter of predict that they do not know.
REFUSALS = ("return_std", "extra keyword arguments")


def deviations(estimator, X) -> Deviations:
    """Ask a model on features or rows for its standard deviations.

    Parameters
    ----------
    estimator : fitted regressor
    X : AtomFeatures or array-like of shape (n_structures, n_features)

    Returns
    -------
    std : Deviations
    """

    def forces():
        if not isinstance(X, AtomFeatures) or not hasattr(estimator, "forces_std"):
            raise NoStandardDeviationError(
                f"{type(estimator).__name__} has no standard deviations of forces: it "
                "lacks the method forces_std for features of atoms. Use a model that has "
                "it, such as AtomicGaussianProcessRegressor, or ask for those of "
                "energies only (forces=False)."
            )
        return np.asarray(estimator.forces_std(X), dtype=np.float64)

    def values():
        std = with_std(estimator, "predict", X)[1]
        return np.concatenate(std) if isinstance(std, list) and std else np.asarray(std)

    return Deviations(
        values,
        forces,
        lambda: with_std(estimator, "predict_atoms", X)[1],
    )


def with_std(estimator, name: str, X) -> tuple:
    """Call a method with ``return_std=True``, or say that it does not know it.

    Parameters
    ----------
    estimator : fitted regressor
    name : {"predict", "predict_atoms", "predict_forces", "predict_atomic_energies"}
    X : whatever the method takes

    Returns
    -------
    predictions, std
        Arrays, or lists of arrays where the method gives lists.

    Raises
    ------
    NoStandardDeviationError
        If there is no such method, or it has no parameter return_std.
    """
    if not hasattr(estimator, name):
        raise NoStandardDeviationError(_none(estimator, name, "is missing"))
    try:
        predicted, std = getattr(estimator, name)(X, return_std=True)
    except (TypeError, ValueError) as error:  # signatures of Pipelines do not tell
        if not any(words in str(error) for words in REFUSALS):
            raise
        reason = "does not take return_std=True"
        raise NoStandardDeviationError(_none(estimator, name, reason)) from error
    if isinstance(std, list):
        return predicted, std
    return predicted, np.asarray(std, dtype=np.float64)


def _none(estimator, name: str, reason: str) -> str:
    return (
        f"{type(estimator).__name__} gives no standard deviations: its {name} {reason}. "
        "Use a model that knows its uncertainty, such as AtomicGaussianProcessRegressor, "
        "make an EnsembleRegressor of this one, or wrap it in ConformalRegressor for "
        "intervals of one width."
    )


def no_deviations(estimator) -> Deviations:
    """Refuse: the deviation of a combination needs the covariance of its members."""

    def refuse():
        raise NoStandardDeviationError(
            f"{type(estimator).__name__} gives no standard deviations: those of its "
            "members do not tell how their errors go together. Use "
            "skatom.uncertainty.EnsembleRegressor, or a single model that knows its "
            "uncertainty."
        )

    return Deviations(refuse, refuse, refuse)


def scaled(std: Deviations, slopes: Callable[[], np.ndarray], estimator) -> Deviations:
    """Deviations behind a transformation of the target that is affine.

    Parameters
    ----------
    std : Deviations
        Of the inner regressor.
    slopes : callable
        Gives the slopes of the inverse transformation at the predictions, shape
        (n_structures,).
    estimator : TransformedTargetRegressor
        What messages name.
    """

    def factor():
        all_slopes = slopes()
        if not np.allclose(all_slopes, all_slopes[0], rtol=1e-9, atol=0.0):
            raise NoStandardDeviationError(
                f"{type(estimator).__name__} bends the target, so that its error is not "
                "described by a standard deviation: use an affine transformer such as "
                "StandardScaler."
            )
        return abs(all_slopes[0])

    return Deviations(
        lambda: factor() * std.energies(),
        lambda: factor() * std.forces(),
        lambda: factor() * std.atoms(),
    )

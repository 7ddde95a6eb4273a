"""Predictions of a pipeline together with the features that enter its last step."""

from __future__ import annotations

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skatom._validation import BaseSearchCV
from skatom.potential._context import Context, Energies
from skatom.potential._energies import energies
from skatom.potential._steps import follow_steps


def bare(estimator):
    """Take an estimator out of searches and frozen estimators."""
    while isinstance(estimator, (BaseSearchCV, FrozenEstimator)):
        frozen = isinstance(estimator, FrozenEstimator)
        estimator = estimator.estimator if frozen else estimator.best_estimator_
    return estimator


def follow_to_last(estimator, X, context: Context) -> tuple[Energies, object]:
    """Predict, and keep what entered the last step.

    Parameters
    ----------
    estimator : fitted estimator
    X : Structures, AtomFeatures or rows
    context : Context

    Returns
    -------
    found : Energies
    Z : AtomFeatures, rows, or X
        X itself for what is no pipeline.
    """
    estimator = bare(estimator)
    if not isinstance(estimator, Pipeline):
        return energies(estimator, X, context), X
    Z, back = follow_steps(estimator.steps[:-1], X, context)
    last = energies(estimator.steps[-1][1], Z, context)
    pull = lambda weights: back(last.pull(weights))  # noqa: E731
    return Energies(last.values, pull, last.atoms, last.std), Z


def last_model(estimator):
    """Give the model at the end of a pipeline."""
    estimator = bare(estimator)
    while isinstance(estimator, Pipeline):
        estimator = bare(estimator.steps[-1][1])
    return estimator

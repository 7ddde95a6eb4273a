"""Predictions of a pipeline together with the features that enter its last step."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.pipeline import Pipeline

from skatom.base._inside import bare
from skatom.features import AtomFeatures
from skatom.potential.answers import Answer, Context
from skatom.potential.deviations import no_deviations
from skatom.potential.estimators import answer
from skatom.potential.steps import follow_steps


def follow_to_last(estimator, X, context: Context) -> tuple[Answer, object]:
    """Predict, and keep what entered the last step.

    Parameters
    ----------
    estimator : fitted estimator
    X : Structures, AtomFeatures or rows
    context : Context

    Returns
    -------
    found : Answer
    Z : AtomFeatures, rows, or X
        X itself for what is no pipeline.
    """
    estimator = bare(estimator)
    if not isinstance(estimator, Pipeline):
        return answer(estimator, X, context), X
    Z, back = follow_steps(estimator.steps[:-1], X, context)
    last = answer(estimator.steps[-1][1], Z, context)
    pull = lambda weights: back(last.pull(weights))  # noqa: E731
    return Answer(last.values, pull, last.atoms, last.std), Z


def with_latent_sums(estimator, X, context: Context):
    """Predict energies and sum the last hidden layer of a network in one pass.

    Returns
    -------
    found : tuple of Answer, AtomFeatures and ndarray, or None
        Predictions, what enters the network, and sums of shape (n_structures, n_latent).
        None where more than energies is asked for, or the last step is no network.
    """
    fitted = bare(estimator)
    steps = fitted.steps if isinstance(fitted, Pipeline) else [("", fitted)]
    model = bare(steps[-1][1])
    more = context.forces or context.stress or context.atomic
    if more or not hasattr(model, "predict_with_latent_sums"):
        return None
    Z = follow_steps(steps[:-1], X, context)[0]
    if not isinstance(Z, AtomFeatures):
        Z = AtomFeatures.from_rows(np.asarray(Z, dtype=np.float64))
    values, sums = model.predict_with_latent_sums(Z)
    later = partial(answer, estimator, X, context)  # nobody asked for these
    return (
        Answer(
            values,
            lambda weights: later().pull(weights),
            lambda: later().atoms(),
            no_deviations(estimator),
        ),
        Z,
        sums,
    )

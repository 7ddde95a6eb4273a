"""Predictions of a network together with sums of its last hidden layer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.pipeline import Pipeline

from skatom.base._inside import bare
from skatom.features import AtomFeatures
from skatom.potential.answers import Answer, Context
from skatom.potential.deviations import no_deviations
from skatom.potential.estimators import answer
from skatom.potential.steps import follow_steps


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
    Z, way = follow_steps(steps[:-1], X, context)
    rows = Z
    if not isinstance(Z, AtomFeatures):
        rows = AtomFeatures.from_rows(np.asarray(Z, dtype=np.float64))
    values, sums = model.predict_with_latent_sums(rows)
    later = partial(answer, model, Z, replace(context, forces=True))
    found = Answer(
        values,
        lambda weights: way(later().pull(weights)),
        lambda: later().atoms(),
        no_deviations(estimator),
        way.seen,
        model.target_,
    )
    return found, rows, sums

"""Errors on held-out structures, ranked, and the quantiles that bound new ones."""

from __future__ import annotations

import warnings

import numpy as np

from skatom._validation import listing
from skatom.features import NoDerivativeError
from skatom.potential import predict_forces
from skatom.structures import Structures, read_labels
from skatom.uncertainty._quantiles import structures_needed
from skatom.uncertainty._scores import AbsoluteScore, EnergyScores, ForceScores


def score_energies(estimator, X, y: np.ndarray, indices: np.ndarray) -> EnergyScores:
    """Rank the errors of energies, and refuse predictions that cannot be ranked.

    Parameters
    ----------
    estimator : fitted estimator
    X : Structures, AtomFeatures or array-like
        Held-out structures.
    y : ndarray of shape (n_structures,)
    indices : ndarray of int, shape (n_structures,)
        Where they stand in what the user gave, for messages.

    Returns
    -------
    scores : EnergyScores
    """
    y_pred = np.asarray(estimator.predict(X), dtype=np.float64)
    if y_pred.shape != y.shape:
        raise ValueError(
            f"The estimator predicts an array of shape {y_pred.shape} for {len(y)} "
            "structures; intervals need one number per structure."
        )
    bad = indices[~np.isfinite(y_pred)]
    if len(bad):
        raise ValueError(
            f"The estimator predicts NaN or infinity for structures {listing(bad)}, so "
            "their errors cannot be ranked."
        )
    return EnergyScores(np.sort(AbsoluteScore().scores(y, y_pred)))


def score_forces(estimator, X, source: str | None) -> ForceScores | None:
    """Rank the errors of force components of the structures that have force labels.

    Parameters
    ----------
    estimator : fitted estimator
    X : object
        Held-out structures; anything else has no forces.
    source : {"auto", "calc"} or str or None
        Where forces are, as in :func:`~skatom.structures.read_labels`.

    Returns
    -------
    scores : ForceScores or None
        None if there is nothing to rank: no labels, or, with "auto", no derivative.
    """
    if source is None or not isinstance(X, Structures):
        return None
    labels = read_labels(X, forces=source)
    labelled = np.flatnonzero(labels.has_forces)
    if not len(labelled):
        return None
    try:
        predicted = predict_forces(estimator, X[labelled])
    except NoDerivativeError:
        if source == "auto":
            return None
        raise
    edges = X.offsets
    return ForceScores.of_structures(
        [
            AbsoluteScore().scores(labels.forces[edges[s] : edges[s + 1]], forces)
            for s, forces in zip(labelled, predicted)
        ]
    )


def ranked_quantiles(scores, levels: np.ndarray, **options) -> np.ndarray:
    """Give one quantile per level, and a sentence where there are too few structures."""
    quantiles = np.array([scores.quantile(level, **options) for level in levels])
    beyond = levels[np.isinf(quantiles)]
    if len(beyond):
        warnings.warn(
            f"Intervals at level {beyond.min():g} are infinite: that needs at least "
            f"{structures_needed(beyond.min())} calibration structures, and there are "
            f"{scores.n_structures}. Hold out more of them, or ask for a lower level.",
            UserWarning,
            stacklevel=3,
        )
    return quantiles

"""Scores of held-out labels, to choose between kernel models."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from skatom.models._labelled.training_set import (
    ENERGY,
    FORCE,
    VIRIAL,
    LabelTable,
    TrainingSet,
)
from skatom.structures._voigt import volumes


class Score(NamedTuple):
    """A score of held-out labels; higher is better.

    Attributes
    ----------
    kind : int or None
        Labels that count; None for all.
    summary : callable
        Turns errors, and their weights, into a number.
    """

    kind: int | None
    summary: Callable[[np.ndarray, np.ndarray], float]


def score(
    name: str,
    given: TrainingSet,
    table: LabelTable,
    labels: np.ndarray,
    residuals: np.ndarray,
) -> float:
    """Score held-out labels.

    Parameters
    ----------
    name : str
        Key of SCORES.
    given : TrainingSet
    table : LabelTable
    labels : ndarray of int64, shape (n,)
        Which labels were held out.
    residuals : ndarray of shape (n,)
        Label minus prediction, times the root of the weight.

    Returns
    -------
    score : float
    """
    kind, summary = SCORES[name]
    weights = table.weights[labels]
    errors = residuals / np.sqrt(weights)
    if kind is None:
        n_labels = given.samples[table.owners[labels]].sum()
        return summary(errors, weights) / float(n_labels)
    of_kind = table.kinds[labels] == kind
    errors, owners = errors[of_kind], table.owners[labels][of_kind]
    if kind == ENERGY:
        errors = errors / given.X.n_atoms[owners]
    elif kind == VIRIAL:
        errors = errors / volumes(given.X.structures)[owners]
    return summary(errors, weights[of_kind])


def _loss(errors: np.ndarray, weights: np.ndarray) -> float:
    return -float(weights @ errors**2)


def _mae(errors: np.ndarray, weights: np.ndarray) -> float:
    return -float(np.mean(np.abs(errors)))


def _rmse(errors: np.ndarray, weights: np.ndarray) -> float:
    return -float(np.sqrt(np.mean(errors**2)))


SCORES = {
    "loss": Score(None, _loss),
    "neg_energy_mae": Score(ENERGY, _mae),
    "neg_energy_rmse": Score(ENERGY, _rmse),
    "neg_force_mae": Score(FORCE, _mae),
    "neg_force_rmse": Score(FORCE, _rmse),
    "neg_stress_mae": Score(VIRIAL, _mae),
    "neg_stress_rmse": Score(VIRIAL, _rmse),
}

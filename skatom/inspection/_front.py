"""A fitted pipeline as two halves: from structures to named features, and from there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from sklearn.pipeline import Pipeline

from skatom.base._inside import bare
from skatom.features import AtomFeatures
from skatom.structures import check_structures


def split(estimator, X: Sequence[Atoms]) -> tuple[AtomFeatures, Pipeline]:
    """Compute the features of a pipeline, and give what follows the featurizer.

    Parameters
    ----------
    estimator : fitted Pipeline
        Or a search or FrozenEstimator over one.
    X : sequence of ase.Atoms

    Returns
    -------
    features : AtomFeatures
    rest : Pipeline
        All further steps.

    Raises
    ------
    TypeError
        If the estimator does not begin with features of atoms.
    """
    estimator = bare(estimator)
    if not isinstance(estimator, Pipeline) or len(estimator.steps) < 2:
        raise TypeError(
            f"{type(estimator).__name__} cannot be looked into: give a fitted pipeline "
            "of a featurizer and a regressor."
        )
    first = estimator.steps[0][1]
    features = first.transform(check_structures(X))
    if not isinstance(features, AtomFeatures):
        raise TypeError(
            f"The first step, {type(first).__name__}, gives rows of structures, not "
            "features of atoms: use sklearn.inspection for such pipelines."
        )
    return features, Pipeline(estimator.steps[1:])


def with_values(X: AtomFeatures, values: np.ndarray) -> AtomFeatures:
    """Give the same atoms with other numbers as features."""
    return AtomFeatures(values, X.offsets, X.numbers, X.structures, None)

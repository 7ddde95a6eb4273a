"""From features and labels to what a network is trained on: all in float64 until here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from skatom._training.batches import Goals
from skatom._training.outputs import (
    OUTPUTS,
    Dipole,
    centred_positions,
    total_charges,
)
from skatom.features import AtomFeatures
from skatom.models._feature_network.data import TrainingSet, jacobians
from skatom.models._feature_network.element_scaling import ElementScaling
from skatom.models._feature_network.modules import AtomicNetworks
from skatom.structures import Labels

__all__ = ["AtomicNetworks", "training_set"]

MEGABYTE = 2**20


def training_set(
    X: AtomFeatures,
    targets: np.ndarray,
    weights: np.ndarray,
    labels: Labels | None,
    *,
    scaling: ElementScaling,
    scales: np.ndarray,
    output: str,
    size_exponent: float,
    dtype: str,
    cache_size: float,
) -> TrainingSet:
    """Scale features and targets, and put them together.

    Parameters
    ----------
    X : AtomFeatures
    targets : ndarray of shape (n_structures or n_atoms, n_outputs)
        Without the baseline.
    weights : ndarray of shape (n_structures,)
    labels : Labels or None
    scaling : ElementScaling
    scales : ndarray of shape (n_outputs,)
    output : str
        Key of ``OUTPUTS``.
    size_exponent : float
    dtype : {"float32", "float64"}
    cache_size : float
        Memory in MB for the derivatives of all features.
    """
    kind = OUTPUTS[output]
    scaled = X.transformed(scaling, scaling.apply(X.values, X.numbers))
    goals = Goals(
        offsets=X.offsets,
        values=targets / scales,
        weights=weights,
        size_exponent=size_exponent if output == "sum" else 0.0,
        per_atom=kind.per_atom,
    )
    data = TrainingSet(
        values=scaled.values.astype(dtype),
        elements=scaling.elements(X.numbers),
        n_elements=len(scaling.numbers),
        goals=goals,
    )
    if isinstance(kind, Dipole):
        return replace(
            data,
            positions=centred_positions(X),
            charges=total_charges(X) / scales[0],
        )
    if labels is None:
        return data
    virials = bool(labels.has_stress.any())
    return replace(
        data,
        goals=goals.with_labels(X.structures, labels, float(scales[0])),
        gradients=jacobians(scaled, dtype, virials, cache_size * MEGABYTE),
    )

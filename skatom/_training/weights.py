"""Weights of structures and of terms of a loss."""

from __future__ import annotations

import numpy as np

from skatom._validation import Real
from skatom.structures import Labels


def check_weight(name: str, weight: float | tuple) -> None:
    """Refuse what is neither a weight nor the first and the last one of a training."""
    if isinstance(weight, tuple) and not (
        len(weight) == 2 and all(isinstance(w, Real) and w >= 0 for w in weight)
    ):
        raise ValueError(
            f"{name} is {weight}: give one number, or the first and the last weight of a "
            "training, none of them negative."
        )


def largest_weight(weight: float | tuple) -> float:
    """Give the larger end of a weight that may change during training."""
    return float(max(weight)) if isinstance(weight, tuple) else float(weight)


def mean_one(weights: np.ndarray) -> np.ndarray:
    """Scale the weights of structures to a mean of one over those that count."""
    return weights / weights[weights > 0].mean()


def mean_square_force(labels: Labels | None, n_atoms: np.ndarray) -> float | None:
    """Average the squares of the components of forces, where there are any."""
    if labels is None or not labels.has_forces.any():
        return None
    return np.mean(labels.forces[np.repeat(labels.has_forces, n_atoms)] ** 2)

"""Energies calibrated on structures that the estimator was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from skatom._runtime.state import State
from skatom._validation import listing
from skatom.uncertainty._conformal.groups import group_labels
from skatom.uncertainty._conformal.rankings import Rankings
from skatom.uncertainty._conformal.scores import Floor, Sizes, raw_sizes


@dataclass(frozen=True)
class SplitCalibration(State):
    """Ranked errors of held-out structures, each divided by its size.

    Attributes
    ----------
    scores : Rankings
    sizes : Sizes
    groups : object
        What tells the group of a structure.
    """

    _name: ClassVar[str] = "split calibration"
    _states: ClassVar[tuple[type, ...]] = (Rankings, Sizes)

    scores: Rankings
    sizes: Sizes
    groups: Any

    @classmethod
    def of(cls, estimator, X, y, indices, *, source, floor, groups) -> SplitCalibration:
        """Rank the errors of held-out structures.

        Parameters
        ----------
        estimator : fitted estimator
        X : Structures, AtomFeatures or array-like
            Held-out structures.
        y : ndarray of shape (n_structures,)
        indices : ndarray of int, shape (n_structures,)
            Where they stand in what the user gave, for messages.
        source, groups : object
        floor : {"median"} or float or None
        """
        y_pred, sizes = raw_sizes(source, estimator, X, len(y))
        check_predictions(y_pred, y, indices)
        floor = Floor.of(sizes, floor)
        scores = np.abs(y - y_pred) / floor.above(sizes)
        return cls(
            Rankings.of(scores, labels=group_labels(groups, X)),
            Sizes(source, floor),
            groups,
        )

    @property
    def needs_structures(self) -> bool:
        """Whether widths depend on more than the prediction."""
        return self.sizes.source is not None or self.groups is not None

    def intervals(self, estimator, X, levels: np.ndarray, y_pred=None):
        """Predict energies with intervals.

        Parameters
        ----------
        estimator : fitted estimator
        X : Structures, AtomFeatures or array-like
            Not needed beside y_pred unless `needs_structures`.
        levels : ndarray of shape (k,)
        y_pred : ndarray of shape (n,), optional
            Energies that are known already.

        Returns
        -------
        y_pred : ndarray of shape (n,)
        intervals : ndarray of shape (n, 2, k)
        """
        y_pred, sizes = self.sizes.predict(estimator, X, y_pred)
        quantiles = self.scores.quantiles(levels, group_labels(self.groups, X))
        half = sizes[:, None] * quantiles
        return y_pred, np.stack([y_pred[:, None] - half, y_pred[:, None] + half], 1)


def check_predictions(y_pred: np.ndarray, y: np.ndarray, indices: np.ndarray) -> None:
    """Refuse predictions whose errors cannot be ranked."""
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

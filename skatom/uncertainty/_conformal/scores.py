"""Sizes of errors, by which they are divided before they are ranked.

A score is |y - y_pred| / size(X). The absolute score has size 1, a standard deviation makes
intervals wide where the model says that it knows little. Whatever gives a positive number
per structure is a size; the guarantee holds for every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from skatom._runtime.state import State
from skatom._validation import HasMethods, StrOptions, closest, listing
from skatom.features._kinds_of_x import count_rows
from skatom.potential.deviations import with_std
from skatom.uncertainty.last_layer_rigidity import LastLayerRigidity
from skatom.uncertainty.latent_distance import LatentDistance

# Scores that are fitted to the training structures.
FITTED = {"latent": LatentDistance, "llpr": LastLayerRigidity}
NAMES = ("absolute", "std", *FITTED)
# What conformity_score may be.
SCORES = [
    StrOptions(set(NAMES)),
    callable,
    HasMethods("predict"),
    HasMethods("score_samples"),
]
# Sizes below this share of the typical one are raised to it: a duplicate of a training
# structure has a distance of zero, and an interval of no width claims certainty.
LEAST_SHARE = 0.01


def resolve_score(score, estimator, X_train):
    """Make what gives sizes, fitted where it must be.

    Parameters
    ----------
    score : {"absolute", "std", "latent", "llpr"}, callable or object
    estimator : fitted estimator
    X_train : Structures, AtomFeatures or array-like, or None
        What the estimator was fitted on; None if unknown (``cv="prefit"``).

    Returns
    -------
    source : None, "std", callable or fitted object
        As :func:`raw_sizes` takes it.

    Raises
    ------
    ValueError
        If the name is unknown, or training structures are needed and not known.
    """
    if not isinstance(score, str):
        return score
    if score not in NAMES:
        raise ValueError(
            f"conformity_score must be one of {', '.join(map(repr, NAMES))}, a function "
            "of the estimator and X, or an object with score_samples or return_std; got "
            f"{score!r}.{closest(score, NAMES)}"
        )
    if score in ("absolute", "std"):
        return None if score == "absolute" else "std"
    if X_train is None:
        raise ValueError(
            f"conformity_score={score!r} looks at the training structures, which "
            f"cv='prefit' does not know: give {FITTED[score].__name__}(estimator)"
            ".fit(X_train) as the score."
        )
    return FITTED[score](estimator).fit(X_train)


def raw_sizes(source, estimator, X, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Predict energies with their sizes, as they come.

    Parameters
    ----------
    source : None, "std", callable or fitted object
        None: size 1. "std": ``estimator.predict(X, return_std=True)``. A callable: of
        (estimator, X). An object: its ``predict(X, return_std=True)``, or minus its
        ``score_samples``, which outlier detectors have.
    estimator : fitted estimator
    X : Structures, AtomFeatures or array-like
    n : int
        Number of structures.

    Returns
    -------
    y_pred, sizes : ndarray of shape (n,)
    """
    if source is None:
        return _vector(estimator.predict(X)), np.ones(n)
    if isinstance(source, str):
        y_pred, sizes = with_std(estimator, "predict", X)
    elif hasattr(source, "score_samples"):
        y_pred, sizes = estimator.predict(X), -np.asarray(source.score_samples(X))
    elif hasattr(source, "predict"):
        y_pred, sizes = estimator.predict(X), with_std(source, "predict", X)[1]
    else:
        y_pred, sizes = estimator.predict(X), source(estimator, X)
    return _vector(y_pred), check_sizes(sizes, (n,))


def check_sizes(sizes, shape: tuple[int, ...]) -> np.ndarray:
    """Give sizes as float64, or say which are no sizes."""
    sizes = np.asarray(sizes, dtype=np.float64)
    if sizes.shape != shape:
        raise ValueError(
            f"The score gives sizes of shape {sizes.shape}; expected {shape}, one number "
            "per prediction."
        )
    bad = ~(np.isfinite(sizes) & (sizes >= 0))
    if bad.any():
        where = np.unique(np.nonzero(bad)[0])
        raise ValueError(
            f"The score gives sizes that are negative, NaN or infinite at entries "
            f"{listing(where)}; intervals need finite widths."
        )
    return sizes


@dataclass(frozen=True)
class Floor(State):
    """Constants that keep sizes away from zero.

    Attributes
    ----------
    offset : float
        Added to every size.
    least : float
        Sizes below are raised to it first.
    """

    _name: ClassVar[str] = "floor"

    offset: float
    least: float

    @classmethod
    def of(cls, sizes: np.ndarray, floor) -> Floor:
        """Find the floor from the sizes of calibration structures.

        Parameters
        ----------
        sizes : ndarray of shape (n,)
        floor : {"median"} or float or None
        """
        typical = float(np.median(sizes))
        offset = typical if isinstance(floor, str) else float(floor or 0.0)
        least = LEAST_SHARE * typical
        if offset + least <= 0:
            raise ValueError(
                "The score gives a size of zero for most calibration structures, so "
                "intervals would have no width. Give a positive floor in the unit of the "
                "sizes, or conformity_score='absolute'."
            )
        return cls(offset, least)

    def above(self, sizes: np.ndarray) -> np.ndarray:
        """Raise sizes above the floor."""
        return np.maximum(sizes, self.least) + self.offset


@dataclass(frozen=True)
class Sizes(State):
    """Sizes of errors, which these are divided by and widths multiplied with.

    Attributes
    ----------
    source : object
        What gives sizes, as :func:`raw_sizes` takes it.
    floor : Floor
    """

    _name: ClassVar[str] = "sizes"
    _states: ClassVar[tuple[type, ...]] = (Floor,)

    source: Any
    floor: Floor

    def predict(self, estimator, X, y_pred=None) -> tuple[np.ndarray, np.ndarray]:
        """Predict energies, unless that is done, with their sizes, shape (n_structures,).

        X is not needed where energies are given and all sizes are the same.
        """
        if y_pred is not None and self.source is None:
            return y_pred, self.floor.above(np.ones(len(y_pred)))
        found, sizes = raw_sizes(self.source, estimator, X, count_rows(X))
        return found if y_pred is None else y_pred, self.floor.above(sizes)


def _vector(values) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)

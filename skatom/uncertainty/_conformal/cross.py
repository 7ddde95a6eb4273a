"""Cross-conformal calibration: every structure by a model that has not seen it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut
from sklearn.utils.parallel import Parallel, delayed

from skatom._runtime.progress import Progress
from skatom._runtime.state import State
from skatom._validation import (
    Integral,
    _check_method_params,
    _safe_indexing,
    listing,
)
from skatom.model_selection._content_groups import content_groups, refuse_straddling
from skatom.uncertainty._conformal.ranks import conformal_rank, structures_needed
from skatom.uncertainty._conformal.scores import (
    Floor,
    Sizes,
    raw_sizes,
    resolve_score,
)
from skatom.uncertainty._conformal.split import check_predictions

# Intervals of few folds are too wide: models of four fifths of the structures are worse,
# and differ from one another.
FOLDS = 10


@dataclass(frozen=True)
class Fold(State):
    """A model of all structures but those of one fold, and the scores of those.

    Attributes
    ----------
    estimator : fitted estimator
    sizes : Sizes
        Found from the training structures of the fold alone.
    scores : ndarray of shape (n_held_out,)
        Absolute errors over sizes.
    """

    _name: ClassVar[str] = "fold"
    _states: ClassVar[tuple[type, ...]] = (Sizes,)

    estimator: Any
    sizes: Sizes
    scores: np.ndarray

    @classmethod
    def of(cls, estimator, X, y, train, held_out, score, params: dict) -> Fold:
        """Fit a clone of an estimator to one part, and score the rest."""
        X_train, X_held_out = (_safe_indexing(X, rows) for rows in (train, held_out))
        params = _check_method_params(X, params, indices=train)
        fitted = clone(estimator).fit(X_train, y[train], **params)
        source = resolve_score(score, fitted, X_train)
        of_training = raw_sizes(source, fitted, X_train, len(train))[1]
        sizes = Sizes(source, Floor.of(of_training, None))
        y_pred, size = sizes.predict(fitted, X_held_out)
        check_predictions(y_pred, y[held_out], held_out)
        return cls(fitted, sizes, np.abs(y[held_out] - y_pred) / size)


@dataclass(frozen=True)
class CrossCalibration(State):
    """Errors of every structure, predicted by a model that was fitted without it.

    Attributes
    ----------
    folds : list of Fold
    """

    _name: ClassVar[str] = "cross calibration"
    _states: ClassVar[tuple[type, ...]] = (Fold,)

    folds: list[Fold]

    needs_structures: ClassVar[bool] = True

    @classmethod
    def of(cls, estimator, X, y, folds, score, params: dict, n_jobs, shown):
        """Fit clones of an estimator, one a fold.

        Parameters
        ----------
        estimator : estimator
        X : Structures, AtomFeatures or array-like
        y : ndarray of shape (n_structures,)
        folds : list of (train, held_out)
            As from :func:`folds_of`.
        score : as in CrossConformalRegressor
        params : dict
            Of fit; what has one entry per structure is split too.
        n_jobs : int or None
        shown : bool
            Whether progress is shown.
        """
        fitted = Parallel(n_jobs=n_jobs, return_as="generator")(
            delayed(Fold.of)(estimator, X, y, train, held_out, score, params)
            for train, held_out in folds
        )
        with Progress("folds", len(folds), "fits", shown) as progress:
            return cls(list(progress.over(fitted)))

    @property
    def n_structures(self) -> int:
        """Number of structures that were calibrated on."""
        return sum(len(fold.scores) for fold in self.folds)

    def intervals(self, estimator, X, levels: np.ndarray, y_pred=None):
        """Predict energies with intervals, shapes (n,) and (n, 2, k).

        The ends are the k-th of the n lower and upper ends that the folds give,
        k = ceil((n + 1) level), counted from the inside: equations 1.3 and 1.6 of
        R. F. Barber et al., Ann. Stat. 49, 486 (2021).
        """
        y_pred = np.asarray(estimator.predict(X)) if y_pred is None else y_pred
        self._warn_infinite(levels)
        n = self.n_structures
        ends = np.empty((2, len(y_pred), n))
        first = 0
        for fold in self.folds:
            of_fold, size = fold.sizes.predict(fold.estimator, X)
            own = slice(first, first + len(fold.scores))
            half = size[:, None] * fold.scores
            ends[0, :, own] = half - of_fold[:, None]  # so that both count upwards
            ends[1, :, own] = half + of_fold[:, None]
            first = own.stop
        ends.sort(axis=2)
        ranks = np.array([conformal_rank(n, level) for level in levels])
        out = ends[..., np.minimum(ranks, n) - 1]
        out[..., ranks > n] = np.inf
        out[0] *= -1.0
        return y_pred, out.transpose(1, 0, 2)

    def _warn_infinite(self, levels: np.ndarray) -> None:
        beyond = [p for p in levels if structures_needed(p) > self.n_structures]
        if beyond:
            warnings.warn(
                f"Intervals at level {min(beyond):g} are infinite: that needs at least "
                f"{structures_needed(min(beyond))} structures, and there are "
                f"{self.n_structures}.",
                UserWarning,
                stacklevel=5,
            )


def folds_of(cv, X, y, structures) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split structures into folds, those of equal content together.

    Parameters
    ----------
    cv : int, splitter, "leave_one_out" or None
    X, y : as given to fit
    structures : Structures or None

    Returns
    -------
    folds : list of (train, held_out)
        No structure is held out twice.
    """
    groups = content_groups(structures, len(y))
    if cv is None or isinstance(cv, Integral):
        return list(GroupKFold(_n_folds(cv, groups)).split(X, y, groups))
    if isinstance(cv, str):
        return list(LeaveOneGroupOut().split(X, y, groups))
    folds = [(np.asarray(train), np.asarray(test)) for train, test in cv.split(X, y)]
    for train, test in folds:
        refuse_straddling(groups, train, test)
    times = np.bincount(np.concatenate([test for _, test in folds]))
    if (times > 1).any():
        raise ValueError(
            f"The splitter given as cv holds out structures "
            f"{listing(np.flatnonzero(times > 1))} more than once, so that their errors "
            "would count several times. Use one that holds out each once, such as KFold."
        )
    return folds


def _n_folds(wanted: int | None, groups: np.ndarray) -> int:
    """Check how many folds are wanted; by default FOLDS, or one a structure."""
    n = len(np.unique(groups))
    if wanted is None:
        return min(FOLDS, n)
    if wanted > n:
        raise ValueError(
            f"cv={wanted} folds need as many different structures, and there are {n}. "
            "Lower cv."
        )
    return int(wanted)

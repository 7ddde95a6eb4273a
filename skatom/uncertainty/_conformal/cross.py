"""CV+ and jackknife+ with MAPIE as the engine: no structure is lost to calibration."""

from __future__ import annotations

import copy
import warnings

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut

from skatom._validation import Integral
from skatom.features._kinds_of_x import count_rows
from skatom.model_selection._content_groups import content_groups, refuse_straddling
from skatom.uncertainty._conformal.ranks import structures_needed
from skatom.uncertainty._conformal.scores import Floor, raw_sizes, resolve_score

# Intervals of few folds are too wide: models of four fifths of the structures are worse,
# and differ from one another.
FOLDS = 10


class SizedRegressor(RegressorMixin, BaseEstimator):
    """An estimator whose "standard deviations" are the sizes of a score.

    MAPIE refits it in every fold, so the score sees the training part of that fold only.
    """

    def __init__(self, estimator, conformity_score):
        self.estimator = estimator
        self.conformity_score = conformity_score

    def fit(self, X, y):
        """Fit the estimator, and then the score."""
        self.estimator_ = clone(self.estimator).fit(X, y)
        self.source_ = resolve_score(self.conformity_score, self.estimator_, X)
        _, sizes = raw_sizes(self.source_, self.estimator_, X, len(y))
        self.floor_ = Floor.of(sizes, None)
        return self

    def predict(self, X, return_std=False):
        """Predict energies, and their sizes."""
        if not return_std:
            return self.estimator_.predict(X)
        n = count_rows(X)
        y_pred, sizes = raw_sizes(self.source_, self.estimator_, X, n)
        return y_pred, self.floor_.above(sizes)


class CrossCalibration:
    """Errors of every structure, predicted by a model that was fitted without it.

    Parameters
    ----------
    engine : mapie.regression.CrossConformalRegressor
        Fitted.
    n_structures : int
    """

    needs_structures = True
    scores = None

    def __init__(self, engine, n_structures: int):
        self.engine = engine
        self.n_structures = n_structures

    @classmethod
    def of(cls, estimator, X, structures, y, *, method, score, cv, n_jobs):
        """Fit the folds.

        Parameters
        ----------
        estimator : estimator
            Unfitted; clones are.
        X : Structures or array-like
        structures : Structures or None
            Structures of equal content stay in one fold.
        y : ndarray of shape (n_structures,)
        method : {"cv+", "jackknife+"}
        score : as in ConformalRegressor
        cv : int, splitter or None
        n_jobs : int or None
        """
        regression = _mapie()
        groups = content_groups(structures, len(y))
        if method == "jackknife+":
            cv = LeaveOneGroupOut()
        elif cv is None or isinstance(cv, Integral):
            cv = GroupKFold(_folds(cv, groups))
        else:
            for train, test in cv.split(X, y):
                refuse_straddling(groups, train, test)
            groups = None
        absolute = isinstance(score, str) and score == "absolute"
        engine = regression.CrossConformalRegressor(
            clone(estimator) if absolute else SizedRegressor(clone(estimator), score),
            conformity_score="absolute" if absolute else _std_score(),
            method="plus",
            cv=cv,
            n_jobs=n_jobs,
        )
        engine.fit_conformalize(X, y, groups=groups)
        return cls(engine, len(y))

    def whole(self):
        """Give the estimator that was fitted on all structures."""
        single = self.engine._mapie_regressor.estimator_.single_estimator_
        return single.estimator_ if isinstance(single, SizedRegressor) else single

    def intervals(self, estimator, X, levels: np.ndarray, y_pred=None):
        """Predict energies with intervals, shapes (n,) and (n, 2, k)."""
        y_pred = np.asarray(estimator.predict(X)) if y_pred is None else y_pred
        out = np.empty((len(y_pred), 2, len(levels)))
        out[:, 0], out[:, 1] = -np.inf, np.inf
        enough = np.array([self.n_structures >= structures_needed(p) for p in levels])
        if not enough.all():
            warnings.warn(
                f"Intervals at level {levels[~enough].min():g} are infinite: that needs "
                f"at least {structures_needed(levels[~enough].min())} structures, and "
                f"there are {self.n_structures}.",
                UserWarning,
                stacklevel=4,
            )
        if enough.any() and len(y_pred):
            engine = copy.copy(self.engine)
            engine._alphas = list(1.0 - levels[enough])  # levels are free at prediction
            out[..., enough] = engine.predict_interval(
                X, aggregate_point_predictions=None, allow_infinite_bounds=True
            )[1]
        return y_pred, out


def _folds(wanted: int | None, groups: np.ndarray) -> int:
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


def _mapie():
    try:
        import mapie.regression
    except ImportError:
        raise ImportError(
            "method='cv+' and 'jackknife+' run on MAPIE, which is not installed: "
            'pip install "skatom[mapie]".'
        ) from None
    return mapie.regression


def _std_score():
    from mapie.conformity_scores import StdConformityScore

    return StdConformityScore()

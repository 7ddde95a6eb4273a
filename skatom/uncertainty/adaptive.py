"""Intervals that follow a drifting stream: adaptive conformal inference."""

from __future__ import annotations

import numpy as np

from skatom._validation import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    check_targets,
)
from skatom.features._kinds_of_x import rows_and_structures
from skatom.uncertainty._conformal.one_ranking import OneRankingRegressor
from skatom.uncertainty._conformal.ranks import conformal_quantile
from skatom.uncertainty._conformal.trained_on import refuse_trained_on


class AdaptiveConformalRegressor(OneRankingRegressor):
    """Intervals that keep their coverage along a trajectory, by learning from misses.

    Frames of a trajectory are not exchangeable with the calibration structures, and
    coverage can fall to any value. Where some labels arrive later (every tenth step
    computed by the reference method, say), the working level is raised after every miss
    and lowered after every hit [1]_, and calibration scores are replaced by the latest.

    Parameters
    ----------
    conformal : ConformalRegressor
        Without groups. Its score sets the shape of the widths.
    step_size : float, default=0.02
        How far a miss raises the working level. Larger follows faster and scatters more.
    window : int, default=300
        Number of latest scores that are ranked; the first are those of calibration.
    cv : {"prefit"} or None, default=None
        None fits a clone of ``conformal``; ``"prefit"`` takes it as it is, fitted.

    Attributes
    ----------
    conformal_ : ConformalRegressor
        The fitted one.
    miss_rate_ : float
        The working share of misses that the next interval is made for. Below 0 intervals
        are infinite.
    scores_ : ndarray of shape (<= window,)
        The latest scores, oldest first.
    n_seen_ : int
        Number of labels seen since fit.
    n_missed_ : int
        Number of those outside of their intervals.

    See Also
    --------
    ConformalRegressor : Without labels that arrive later.
    skatom.uncertainty.WeightedConformalRegressor : For a shift that is known beforehand.

    Notes
    -----
    What is guaranteed, for any stream, without exchangeability: the share of misses among
    T frames differs from 1 - level by at most ``(1 + step_size) / (step_size T)`` [1]_.
    It is a statement about the average over the stream, not about any one frame, and
    holds for frames whose labels were revealed in order. Frames that are chosen by their
    uncertainty are a stream of their own.

    References
    ----------
    .. [1] I. Gibbs, E. Candès, "Adaptive conformal inference under distribution shift",
       NeurIPS 34 (2021), arXiv:2106.00170, eq. 2 and proposition 4.1

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from skatom.uncertainty import AdaptiveConformalRegressor, ConformalRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1200, 2))
    >>> y = X.sum(axis=1) + np.repeat([1.0, 3.0], 600) * rng.normal(size=1200)
    >>> model = AdaptiveConformalRegressor(ConformalRegressor(Ridge(), random_state=0))
    >>> _, intervals = model.fit(X[:600], y[:600]).follow(X[600:], y[600:])
    >>> inside = (intervals[:, 0] <= y[600:]) & (y[600:] <= intervals[:, 1])
    >>> round(float(inside.mean()), 2)
    0.9
    """

    _parameter_constraints: dict = {
        "conformal": [HasMethods(["fit", "predict_interval"])],
        "step_size": [Interval(Real, 0, 1, closed="neither")],
        "window": [Interval(Integral, 1, None, closed="left")],
        "cv": [StrOptions({"prefit"}), None],
    }

    def __init__(self, conformal, *, step_size=0.02, window=300, cv=None):
        self.conformal = conformal
        self.step_size = step_size
        self.window = window
        self.cv = cv

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y):
        """Fit and calibrate, and begin a new stream.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
            Not looked at with ``cv="prefit"``.
        y : array-like of shape (n_structures,)
            Total energies in eV.

        Returns
        -------
        self : object
        """
        calibration = self._fit_conformal(X, y, fitted=self.cv == "prefit")
        ranked = calibration.scores.pooled.ranked
        # scores leave the window oldest first, so they must not stand in order of size
        order = np.random.default_rng(0).permutation(len(ranked))
        self.scores_ = ranked[order][-self.window :]
        self.miss_rate_ = 1.0 - self.conformal_.confidence_level
        self.n_seen_ = self.n_missed_ = 0
        return self

    def partial_fit(self, X, y):
        """Learn from the labels of the next frames, in the order of the stream.

        An estimator that is not fitted yet is fitted to them first.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
        y : array-like of shape (n_structures,)
            Total energies in eV.

        Returns
        -------
        self : object
        """
        fresh = not hasattr(self, "conformal_")
        if fresh:
            self.fit(X, y)
        if not fresh or self.cv == "prefit":
            self.follow(X, y)
        return self

    def follow(self, X, y):
        """Predict each frame before its label is revealed, and learn from it after.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
            In the order of the stream.
        y : array-like of shape (n_structures,)
            Total energies in eV.

        Returns
        -------
        y_pred : ndarray of shape (n_structures,)
        intervals : ndarray of shape (n_structures, 2)
            Each made from the frames before it alone.
        """
        X, structures = rows_and_structures(X)
        y_pred, sizes = self._sized(X)
        y = check_targets(y, len(y_pred))
        if structures is not None:  # rows of a stream may be equal
            refuse_trained_on(self._inside(), structures, y)
        scores = np.abs(y - y_pred) / sizes
        target = 1.0 - self.conformal_.confidence_level
        half = np.empty(len(y))
        for t, score in enumerate(scores):
            q = self._quantile()
            half[t] = q * sizes[t]
            missed = bool(score > q)
            self.miss_rate_ += self.step_size * (target - missed)  # eq. 2 of [1]_
            self.scores_ = np.append(self.scores_, score)[-self.window :]
            self.n_seen_ += 1
            self.n_missed_ += missed
        return y_pred, np.stack([y_pred - half, y_pred + half], axis=1)

    def _quantile(self) -> float:
        """Rank the latest scores at the working level."""
        if self.miss_rate_ <= 0:
            return np.inf
        level = max(1.0 - self.miss_rate_, np.finfo(float).eps)
        return conformal_quantile(np.sort(self.scores_), level)

    def _levels(self, confidence_level):
        own = self.confidence_level
        if confidence_level is not None and not np.array_equal(confidence_level, own):
            raise ValueError(
                f"A stream is followed at one level, that of its ConformalRegressor "
                f"({own:g}): fit another one for confidence_level={confidence_level!r}."
            )
        return super()._levels(own)

    def _quantiles(self, X, levels):
        return np.array([[self._quantile()]])

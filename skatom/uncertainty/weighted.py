"""Intervals for a shift that is known beforehand: weighted conformal prediction."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom._validation import (
    HasMethods,
    Integral,
    Interval,
    _fit_context,
    _safe_indexing,
)
from skatom.base import target_of
from skatom.base._inside import fitted_part
from skatom.features._kinds_of_x import count_rows, rows_and_structures
from skatom.uncertainty._conformal.held_out import refuse_columns
from skatom.uncertainty._conformal.one_ranking import OneRankingRegressor
from skatom.uncertainty._conformal.ranks import weighted_quantiles
from skatom.uncertainty._distances import structure_features
from skatom.uncertainty._error_bars import check_fit_inputs

# No ratio of densities is taken for larger or smaller than this.
LARGEST_RATIO = 1e3


class WeightedConformalRegressor(OneRankingRegressor):
    """Intervals for structures of another source than those of calibration.

    Unlabelled structures of the new source are given to fit. A classifier that tells them
    from the old ones estimates how much more frequent a structure is there, and
    calibration scores are ranked with these weights [1]_.

    Parameters
    ----------
    conformal : ConformalRegressor
        Without groups; fitted as its own ``cv`` says.
    classifier : classifier or None, default=None
        Tells the sources apart by features of structures; needs ``predict_proba``. None:
        a logistic regression on principal components.
    n_components : int, default=15
        Principal components for the default classifier.

    Attributes
    ----------
    conformal_ : ConformalRegressor
        The fitted one.
    classifier_ : classifier
    effective_size_ : float
        Number of equally weighted calibration structures that would be worth as much as
        the weighted ones. Small: the sources hardly overlap, intervals are wide, and the
        weights themselves are uncertain.

    See Also
    --------
    AdaptiveConformalRegressor : For drifting streams whose labels arrive later.
    DomainFlags : Tell which structures are outside of what the model knows.

    Notes
    -----
    What is guaranteed: coverage >= level for a structure of the new source, *if* the
    weights are the true ratio of densities and labels given structures follow the same
    law in both. The weights are estimated, so this is approximate, and where the sources
    do not overlap no weighting helps: look at `effective_size_`, and at flags.

    Features are those that enter the last step of the fitted pipeline, averaged over the
    atoms of a structure.

    References
    ----------
    .. [1] R. J. Tibshirani, R. Foygel Barber, E. J. Candès, A. Ramdas, NeurIPS 32 (2019),
       arXiv:1904.06019, eq. 7

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from skatom.uncertainty import ConformalRegressor, WeightedConformalRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, X_new = rng.normal(size=(900, 1)), rng.normal(1, 1, size=(900, 1))
    >>> def label(X):
    ...     return X[:, 0] + (0.2 + np.maximum(X[:, 0], 0)) * rng.normal(size=len(X))
    >>> y, y_new = label(X), label(X_new)
    >>> conformal = ConformalRegressor(Ridge(), calibration_size=0.5, random_state=0)
    >>> model = WeightedConformalRegressor(conformal).fit(X, y, X_new)
    >>> for one in (model.conformal_, model):
    ...     intervals = one.predict_interval(X_new)[1]
    ...     covered = (intervals[:, 0] <= y_new) & (y_new <= intervals[:, 1])
    ...     print(covered.mean().round(2))
    0.6
    0.9
    """

    guarantee = (
        "The intervals cover structures of the new source with about their level, where "
        "it overlaps with that of calibration and the weights are right."
    )
    _parameter_constraints: dict = {
        "conformal": [HasMethods(["fit", "predict_interval"])],
        "classifier": [HasMethods(["fit", "predict_proba"]), None],
        "n_components": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, conformal, classifier=None, *, n_components=15):
        self.conformal = conformal
        self.classifier = classifier
        self.n_components = n_components

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, X_new=None):
        """Fit, calibrate, and weigh calibration structures for the new source.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
        y : array-like of shape (n_structures,)
            Total energies in eV.
        X_new : like X, optional
            Structures of the new source, without labels. None: there is no shift.

        Returns
        -------
        self : object
        """
        refuse_columns(self, target_of(self))
        X, _, y = check_fit_inputs(self, X, y)
        self._fit_conformal(X, y)
        held_out = self.conformal_.calibration_indices_
        X_held_out = _safe_indexing(X, held_out)
        y_pred, sizes = self._sized(X_held_out)
        scores = np.abs(y[held_out] - y_pred) / sizes
        order = np.argsort(scores)
        self.scores_ = scores[order]
        self.classifier_ = None
        if X_new is not None:
            self._tell_apart(X, rows_and_structures(X_new)[0])
        self.weights_ = self._weights(X_held_out)[order]
        self.effective_size_ = float(
            self.weights_.sum() ** 2 / (self.weights_**2).sum()
        )
        return self

    def _quantiles(self, X, levels):
        q = weighted_quantiles(self.scores_, self.weights_, self._weights(X), levels)
        if np.isinf(q).any():
            warnings.warn(
                f"{np.isinf(q).any(axis=1).sum()} of {len(q)} intervals are infinite: "
                "those structures are far more likely in the new source than in that of "
                f"calibration (effective size {self.effective_size_:.0f} of "
                f"{len(self.scores_)} structures).",
                UserWarning,
                stacklevel=4,
            )
        return q

    def _needs_structures(self) -> bool:
        return True

    def _tell_apart(self, X, X_new) -> None:
        old, new = self._features(X), self._features(X_new)
        classifier = self.classifier
        if classifier is None:
            n = min(self.n_components, old.shape[1], len(old) + len(new) - 1)
            classifier = make_pipeline(
                StandardScaler(), PCA(n, whiten=True), LogisticRegression()
            )
        is_new = np.repeat([0, 1], [len(old), len(new)])
        self.classifier_ = clone(classifier).fit(np.concatenate([old, new]), is_new)
        self.prior_ratio_ = len(old) / len(new)

    def _weights(self, X) -> np.ndarray:
        """Estimate the ratio of densities, new over old."""
        if self.classifier_ is None:
            return np.ones(count_rows(X))
        p = self.classifier_.predict_proba(self._features(X))[:, 1]
        ratio = p / np.maximum(1.0 - p, np.finfo(float).tiny)
        return np.clip(ratio * self.prior_ratio_, 1 / LARGEST_RATIO, LARGEST_RATIO)

    def _features(self, X) -> np.ndarray:
        return structure_features(fitted_part(self.conformal_.estimator_), X)

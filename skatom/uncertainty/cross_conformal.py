"""Conformal prediction of energies over folds: CV+ and jackknife+."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone

from skatom._validation import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
)
from skatom.base import target_of
from skatom.features._fitted_on import remember
from skatom.uncertainty._conformal.cross import CrossCalibration, folds_of
from skatom.uncertainty._conformal.held_out import refuse_columns, refuse_one
from skatom.uncertainty._conformal.interval_regressor import IntervalRegressor
from skatom.uncertainty._conformal.scores import SCORES
from skatom.uncertainty._error_bars import check_fit_inputs


class CrossConformalRegressor(IntervalRegressor):
    r"""Intervals for energies from all structures, each predicted without it (CV+) [1]_.

    The estimator is fitted once for each fold, on all structures but those of the fold,
    and once on all of them. The errors R of held-out structures, each around the
    prediction of the model that has not seen it, give the interval of a new structure,

    .. math:: \left[ \hat q^-_n \{ \mu_{-k(i)}(x) - R_i \},
              \ \hat q^+_n \{ \mu_{-k(i)}(x) + R_i \} \right] ,

    the n - k + 1-th and the k-th smallest of n, k = ceil((n + 1) level). No structure is
    lost to calibration. With one structure a fold this is the jackknife+.

    Parameters
    ----------
    estimator : estimator with fit and predict
        A pipeline or model on structures, or any regressor on rows of numbers. A
        `CachedFeaturizer` in front computes the features once for all folds.
    conformity_score : str, callable or object, default="absolute"
        What errors are divided by, and widths multiplied with: "absolute", "std",
        "latent", "llpr" or what ConformalRegressor takes besides; found anew in each fold.
    confidence_level : float, default=0.9
        Probability that an interval covers in practice, unless predict_interval is given
        another; see the notes for what is guaranteed.
    cv : int, {"leave_one_out"}, splitter or None, default=None
        Number of folds; one a structure (jackknife+); or what makes the folds, which must
        keep copies together and hold out each structure once at most. None makes 10, or
        one a structure where there are fewer. Structures of equal content are always in
        one fold.
    n_jobs : int, optional
        Folds that are fitted at once.
    verbose : int, default=0
        Whether progress is shown, fold by fold.

    Attributes
    ----------
    estimator_ : estimator
        Fitted on all structures; `predict` is its.
    calibration_ : CrossCalibration
        Models and errors of the folds, which give the intervals.
    n_calibration_ : int
        Number of structures that were held out once.
    train_indices_, calibration_indices_ : ndarray of int
        Which structures of fit served for what: all for the first.
    n_features_in_ : int
        Only if the estimator has it, which estimators on structures do not.

    See Also
    --------
    ConformalRegressor : One fit, a stronger guarantee, groups, and intervals of forces.
    QuantileConformalRegressor : For estimators that predict quantiles.

    Notes
    -----
    What is guaranteed, if all structures and the new one are exchangeable: an interval of
    the jackknife+ covers with probability >= 2 level - 1, one of few large folds with a
    little less, by at most 1 / sqrt(n) (theorem 4 of [1]_). In practice coverage is
    the level for the jackknife+, and above it for folds, the fewer the more: models of
    fewer structures err more, and differ from one another.

    A prediction with interval costs one prediction of each fold. Forces have no intervals
    here; `predict_forces` is that of the model of all structures.

    References
    ----------
    .. [1] R. F. Barber, E. J. Candès, A. Ramdas, R. J. Tibshirani, Ann. Stat. 49, 486
       (2021), doi:10.1214/20-AOS1965

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from skatom.uncertainty import CrossConformalRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(90, 3))
    >>> y = X.sum(axis=1) + rng.uniform(-1, 1, size=90)
    >>> model = CrossConformalRegressor(Ridge(), cv=5).fit(X[:40], y[:40])
    >>> y_pred, intervals = model.predict_interval(X[40:], confidence_level=0.8)
    >>> covered = (intervals[:, 0] <= y[40:]) & (y[40:] <= intervals[:, 1])
    >>> intervals.shape, bool(covered.mean() > 0.7)
    ((50, 2), True)
    """

    guarantee = (
        "The intervals cover with at least 2 level - 1, in practice with about their "
        "level or more, if all structures and those of the test are exchangeable: drawn "
        "at random from one source. Frames of one trajectory are not."
    )
    _states = (CrossCalibration,)
    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "conformity_score": SCORES,
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "cv": [
            StrOptions({"leave_one_out"}),
            Interval(Integral, 2, None, closed="left"),
            HasMethods("split"),
            None,
        ],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator,
        *,
        conformity_score="absolute",
        confidence_level=0.9,
        cv=None,
        n_jobs=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.conformity_score = conformity_score
        self.confidence_level = confidence_level
        self.cv = cv
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **fit_params):
        """Fit clones of the estimator on the folds, and one on all structures.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
        y : array-like of shape (n_structures,)
            Total energies in eV.
        **fit_params : dict
            For the fits of the estimator. What has one entry per structure is split too.

        Returns
        -------
        self : object
        """
        refuse_columns(self, target_of(self))
        X, structures, y = check_fit_inputs(self, X, y)
        refuse_one(len(y))
        folds = folds_of(self.cv, X, y, structures)
        self.calibration_ = CrossCalibration.of(
            self.estimator,
            X,
            y,
            folds,
            self.conformity_score,
            fit_params,
            self.n_jobs,
            bool(self.verbose),
        )
        self.estimator_ = clone(self.estimator).fit(X, y, **fit_params)
        remember(self, X, y)
        self.train_indices_ = np.arange(len(y))
        self.calibration_indices_ = np.sort(np.concatenate([test for _, test in folds]))
        self.n_calibration_ = len(self.calibration_indices_)
        return self

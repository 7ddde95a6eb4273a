"""Conformalised quantile regression of energies."""

from __future__ import annotations

from skatom._validation import (
    HasMethods,
    Integral,
    Interval,
    Real,
    _fit_context,
)
from skatom.model_selection._content_groups import SIZES
from skatom.uncertainty._conformal.force_intervals import ForceIntervals
from skatom.uncertainty._conformal.forces import ForceCalibration
from skatom.uncertainty._conformal.held_out import hold_out
from skatom.uncertainty._conformal.interval_regressor import IntervalRegressor
from skatom.uncertainty._conformal.quantile_models import (
    QuantileCalibration,
    QuantileModels,
)


class QuantileConformalRegressor(ForceIntervals, IntervalRegressor):
    r"""Intervals between two predicted quantiles, moved until they cover (CQR) [1]_.

    Models of a lower quantile, the median and an upper quantile of the energy are fitted.
    On held-out structures the distances of labels outside of the quantiles,

    .. math:: E_i = \max \{ q_{lo}(x_i) - y_i,\ y_i - q_{hi}(x_i) \} ,

    are ranked, and both ends of the interval of a new structure are moved outwards by the
    k-th of n, k = ceil((n + 1) level); inwards, where that is negative.

    Parameters
    ----------
    estimator : estimator with fit and predict
        Must end in a regressor of quantiles: a network with ``loss="quantile"``, which
        learns all at once, or scikit-learn's `QuantileRegressor` and gradient boosting
        with ``loss="quantile"``, which are fitted three times.
    groups : {"composition", "size"} or str or callable, optional
        Calibrate each group of structures by itself, as in ConformalRegressor.
    confidence_level : float, default=0.9
        Probability that an interval covers, unless predict_interval is given another. The
        quantiles are those of this level, (1 - level) / 2 and (1 + level) / 2.
    calibration_size : float or int, default=0.2
        Share, or number, of structures that are held out for calibration. Structures of
        equal content are held out together.
    cv : splitter or None, default=None
        Holds out its first test fold, and must keep copies together. None holds out
        ``calibration_size`` at random.
    forces : {"auto", "calc"} or str or None, default="auto"
        Where calibration structures hold their forces, as in ConformalRegressor. Errors
        of the forces of the median are ranked as they are. None calibrates energies only.
    random_state : int, RandomState instance or None, default=None
        Draws the structures that are held out.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator of the median; `predict` is its.
    calibration_ : QuantileCalibration
        Models of the quantiles and ranked scores, which give the intervals of energies.
    force_calibration_ : ForceCalibration or None
        What gives the widths of forces. None without force labels.
    n_calibration_ : int
        Number of calibration structures.
    train_indices_, calibration_indices_ : ndarray of int
        Which structures of fit served for what.
    n_features_in_ : int
        Only if the estimator has it, which estimators on structures do not.

    See Also
    --------
    ConformalRegressor : For estimators of one number; says what is guaranteed of forces.
    CrossConformalRegressor : For few structures: none is lost to calibration.

    Notes
    -----
    What is guaranteed, if calibration structures and the new one are exchangeable: the
    interval covers with probability >= level (theorem 1 of [1]_), with groups for a new
    structure of each group by itself. How unequal the widths are is learned; the
    correction is the same for all. Levels far from ``confidence_level`` are valid, but
    the quantiles were not learned for them.

    References
    ----------
    .. [1] Y. Romano, E. Patterson, E. J. Candès, NeurIPS 32 (2019), arXiv:1905.03222

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import QuantileRegressor
    >>> from skatom.uncertainty import QuantileConformalRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(300, 1))
    >>> y = X[:, 0] * (1 + rng.uniform(-1, 1, size=300))
    >>> model = QuantileConformalRegressor(QuantileRegressor(alpha=0.0), random_state=0)
    >>> _, intervals = model.fit(X, y).predict_interval([[0.1], [0.9]])
    >>> (intervals[:, 1] - intervals[:, 0]).round(1)
    array([0.2, 1.6])
    """

    _states = (QuantileCalibration, ForceCalibration)
    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "groups": [str, callable, None],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "calibration_size": SIZES,
        "cv": [Integral, HasMethods("split"), None],
        "forces": [str, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        groups=None,
        confidence_level=0.9,
        calibration_size=0.2,
        cv=None,
        forces="auto",
        random_state=None,
    ):
        self.estimator = estimator
        self.groups = groups
        self.confidence_level = confidence_level
        self.calibration_size = calibration_size
        self.cv = cv
        self.forces = forces
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **fit_params):
        """Fit models of quantiles on part of the structures, calibrate on the rest.

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
        held_out = hold_out(self, X, y, fit_params)
        models = QuantileModels.fitted(self.estimator, self.confidence_level, held_out)
        self.calibration_ = QuantileCalibration.of(
            models, held_out.X, held_out.y, held_out.indices, groups=self.groups
        )
        self.force_calibration_ = ForceCalibration.of(
            models.median,
            held_out.X,
            labels_in=self.forces,
            source=None,
            floor=None,
            groups=self.groups,
        )
        self.estimator_ = models.median
        held_out.note_on(self)
        return self

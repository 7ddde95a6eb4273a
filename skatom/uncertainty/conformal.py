"""Split conformal prediction for energies and forces of any estimator."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.utils import column_or_1d, get_tags, indexable

from skatom._validation import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _check_method_params,
    _fit_context,
    _safe_indexing,
    check_is_fitted,
    check_random_state,
    check_targets,
    listing,
)
from skatom.potential import predict_forces
from skatom.potential._energies import energies
from skatom.structures import Structures
from skatom.uncertainty._calibration import (
    ranked_quantiles,
    score_energies,
    score_forces,
)
from skatom.uncertainty._inputs import check_levels, rows_and_structures, split_rows
from skatom.uncertainty._scores import AbsoluteScore, ForceScores


class ConformalRegressor(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    """Intervals with guaranteed coverage around the predictions of any estimator.

    Part of the structures is held out of the fit. Their errors, ranked, say how large the
    error of a new structure will be: at most the k-th of n, k = ceil((n + 1) level), with
    a probability of at least ``level`` [1]_. Nothing is assumed about the estimator or
    about the distribution of errors.

    Parameters
    ----------
    estimator : estimator with fit and predict
        A pipeline or model on structures, or any regressor on rows of numbers.
    confidence_level : float, default=0.9
        Probability that an interval covers, unless predict_interval is given another.
    calibration_size : float or int, default=0.2
        Share, or number, of structures that are held out for calibration. Structures of
        equal content are held out together.
    cv : {"prefit"} or None, default=None
        None fits a clone of the estimator on what is not held out. ``"prefit"`` takes the
        estimator as it is, fitted on other structures, and calibrates on all that fit
        gets. `clone` forgets the fit; a `sklearn.frozen.FrozenEstimator` keeps it.
    forces : {"auto", "calc"} or str or None, default="auto"
        Where calibration structures hold their forces: ``"calc"`` in the results of
        calculators, another name in ``arrays[name]``, ``"auto"`` in either (and no force
        intervals if there are none, or if the estimator cannot predict forces). None
        calibrates energies only.
    random_state : int, RandomState instance or None, default=None
        Draws the structures that are held out.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    energy_scores_ : EnergyScores
        Ranked calibration errors of energies.
    force_scores_ : ForceScores or None
        Ranked calibration errors of force components. None without force labels.
    n_calibration_ : int
        Number of calibration structures.
    train_indices_, calibration_indices_ : ndarray of int
        Which structures of fit served for what.
    n_features_in_ : int
        Only if the estimator has it, which estimators on structures do not.

    See Also
    --------
    skatom.uncertainty.FeatureDistance : Tell structures unlike the training structures.
    skatom.calculator.SkatomCalculator : Run dynamics with the intervals at hand.

    Notes
    -----
    What is guaranteed, if calibration structures and the new one are exchangeable (drawn
    at random from one source; frames of one trajectory are not, and a model that drives
    dynamics leaves its source):

    - energies: the interval of a new structure covers with probability >= level;
    - forces: a component drawn at random from a new structure is covered with probability
      >= level. In other words: the expected share of covered components of a new
      structure is >= level. Components of one structure are not exchangeable one by one,
      so every structure gets the same weight, whatever its size, and components share
      it [2]_ [3]_;
    - forces, ``simultaneous=True``: all components of a new structure are covered at once
      with probability >= level. The score is the largest error of a structure.

    What is not: coverage for a given composition, element, size or temperature, coverage
    given the calibration set at hand (it scatters from one to the next by about
    sqrt(level (1 - level) / n)), nor coverage for structures unlike those of calibration.
    The guarantee says nothing about width: intervals of a useless model are valid and wide.

    References
    ----------
    .. [1] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman, J. Am. Stat.
       Assoc. 113, 1094 (2018), doi:10.1080/01621459.2017.1307116
    .. [2] A. N. Angelopoulos, S. Bates, A. Fisch, L. Lei, T. Schuster, "Conformal risk
       control", ICLR 2024, arXiv:2208.02814
    .. [3] Y. Lee, R. F. Barber, R. Willett, "Distribution-free inference with
       hierarchical data", arXiv:2306.06342 (2023)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from skatom.uncertainty import ConformalRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3))
    >>> y = X.sum(axis=1) + rng.uniform(-1, 1, size=200)
    >>> model = ConformalRegressor(Ridge(), random_state=0).fit(X[:150], y[:150])
    >>> y_pred, intervals = model.predict_interval(X[150:], confidence_level=0.8)
    >>> covered = (intervals[:, 0] <= y[150:]) & (y[150:] <= intervals[:, 1])
    >>> intervals.shape, bool(covered.mean() > 0.7)
    ((50, 2), True)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "calibration_size": [
            Interval(Real, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "cv": [StrOptions({"prefit"}), None],
        "forces": [str, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        confidence_level=0.9,
        calibration_size=0.2,
        cv=None,
        forces="auto",
        random_state=None,
    ):
        self.estimator = estimator
        self.confidence_level = confidence_level
        self.calibration_size = calibration_size
        self.cv = cv
        self.forces = forces
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **fit_params):
        """Fit a clone of the estimator on part of the structures, calibrate on the rest.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
            With ``cv="prefit"`` the calibration structures, which the estimator must not
            have been fitted on.
        y : array-like of shape (n_structures,)
            Total energies in eV.
        **fit_params : dict
            For the fit of the estimator. What has one entry per structure is split too.

        Returns
        -------
        self : object
        """
        X, structures = rows_and_structures(X)
        X = X if structures is not None else indexable(X)[0]
        y = check_targets(y if y is None else column_or_1d(y, warn=True), _n_rows(X))
        if self.cv == "prefit":
            if fit_params:
                raise ValueError(
                    f"cv='prefit' does not fit the estimator, so {listing(fit_params)} "
                    "would not be used. Leave it out, or set cv=None."
                )
            train, held_out = np.arange(0), np.arange(len(y))
            estimator = self.estimator
        else:
            train, held_out = self._split(structures, len(y))
            params = _check_method_params(X, fit_params, indices=train)
            estimator = clone(self.estimator)
            estimator.fit(_safe_indexing(X, train), y[train], **params)
        X_held_out = _safe_indexing(X, held_out)
        energy_scores = score_energies(estimator, X_held_out, y[held_out], held_out)
        force_scores = score_forces(estimator, X_held_out, self.forces)
        self.estimator_ = estimator
        self.energy_scores_ = energy_scores
        self.force_scores_ = force_scores
        self.n_calibration_ = len(held_out)
        self.train_indices_, self.calibration_indices_ = train, held_out
        return self

    def predict(self, X) -> NDArray[np.float64]:
        """Predict energies, as the estimator does.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)

        Returns
        -------
        y : ndarray of shape (n_structures,)
            In eV.
        """
        check_is_fitted(self)
        return self.estimator_.predict(rows_and_structures(X)[0])

    def predict_interval(self, X, confidence_level=None):
        """Predict energies with intervals that cover at the wanted level.

        Parameters
        ----------
        X : sequence of ase.Atoms, or array-like of shape (n_structures, n_features)
        confidence_level : float or sequence of float, optional
            One level or k levels, by default that of the constructor.

        Returns
        -------
        y : ndarray of shape (n_structures,)
            Energies in eV.
        intervals : ndarray of shape (n_structures, 2) or (n_structures, 2, k)
            Lower and upper end in eV; with a third axis for a sequence of levels.

        Warns
        -----
        UserWarning
            If there are too few calibration structures for a level; those intervals are
            infinite.
        """
        y = self.predict(X)
        return y, self.interval_around(y, confidence_level)

    def interval_around(self, y_pred, confidence_level=None) -> NDArray[np.float64]:
        """Give the intervals of energies that have been predicted already.

        Parameters
        ----------
        y_pred : array-like of shape (n_structures,)
            Energies predicted by ``estimator_``, in eV.
        confidence_level : float or sequence of float, optional

        Returns
        -------
        intervals : ndarray of shape (n_structures, 2) or (n_structures, 2, k)
        """
        check_is_fitted(self)
        levels, single = self._levels(confidence_level)
        quantiles = ranked_quantiles(self.energy_scores_, levels)
        intervals = AbsoluteScore().intervals(y_pred, quantiles)
        return intervals[..., 0] if single else intervals

    def predict_forces(self, X) -> list[NDArray[np.float64]]:
        """Predict forces, as the estimator does.

        Parameters
        ----------
        X : sequence of ase.Atoms

        Returns
        -------
        forces : list of ndarray of shape (n_atoms, 3)
            In eV/Å, one array per structure.
        """
        check_is_fitted(self)
        return predict_forces(self.estimator_, X)

    def predict_forces_interval(
        self, X, confidence_level=None, *, simultaneous: bool = False
    ):
        """Predict forces with intervals of their components.

        Parameters
        ----------
        X : sequence of ase.Atoms
        confidence_level : float or sequence of float, optional
            One level or k levels, by default that of the constructor.
        simultaneous : bool, default=False
            Whether all components of a structure shall be covered at once, instead of one
            drawn at random. See the notes of the class.

        Returns
        -------
        forces : list of ndarray of shape (n_atoms, 3)
            In eV/Å.
        intervals : list of ndarray of shape (n_atoms, 3, 2) or (n_atoms, 3, 2, k)
            Lower and upper end of every component in eV/Å.

        Raises
        ------
        ValueError
            If fit found no forces to calibrate on.
        """
        check_is_fitted(self)
        self._check_force_scores()
        forces = self.predict_forces(X)
        intervals = [
            self.forces_interval_around(f, confidence_level, simultaneous=simultaneous)
            for f in forces
        ]
        return forces, intervals

    def forces_interval_around(
        self, forces, confidence_level=None, *, simultaneous: bool = False
    ) -> NDArray[np.float64]:
        """Give the intervals of forces of a structure that have been predicted already.

        Parameters
        ----------
        forces : array-like of shape (n_atoms, 3)
            Forces predicted by ``estimator_``, in eV/Å.
        confidence_level : float or sequence of float, optional
        simultaneous : bool, default=False

        Returns
        -------
        intervals : ndarray of shape (n_atoms, 3, 2) or (n_atoms, 3, 2, k)
        """
        check_is_fitted(self)
        scores = self._check_force_scores()
        levels, single = self._levels(confidence_level)
        quantiles = ranked_quantiles(scores, levels, simultaneous=simultaneous)
        intervals = AbsoluteScore().intervals(forces, quantiles)
        return intervals[..., 0] if single else intervals

    @property
    def n_features_in_(self) -> int:
        """Number of features, where the estimator takes rows of numbers."""
        return self._of_estimator("n_features_in_")

    @property
    def feature_names_in_(self):
        """Names of features, where the estimator has seen any."""
        return self._of_estimator("feature_names_in_")

    def _of_estimator(self, name: str):
        try:
            check_is_fitted(self)
            return getattr(self.estimator_, name)
        except Exception as error:
            raise AttributeError(
                f"{type(self).__name__} has no {name} here: its estimator has none."
            ) from error

    def _split(self, structures: Structures | None, n: int):
        if n < 2:
            raise ValueError(
                f"Calibration needs structures that the estimator is not fitted on, but "
                f"there is one sample in all (n_samples = {n}). Give at least two."
            )
        share = self.calibration_size < 1
        wanted = ceil(self.calibration_size * n) if share else self.calibration_size
        rng = check_random_state(self.random_state)
        return split_rows(structures, n, int(wanted), rng)

    def _check_force_scores(self) -> ForceScores:
        if self.force_scores_ is None:
            raise ValueError(
                "There are no calibrated forces: fit found no force labels among the "
                f"calibration structures (forces={self.forces!r}), or the estimator "
                "cannot predict forces. Fit on structures with forces, and set "
                "forces='calc' or the name of their array to see what is missing."
            )
        return self.force_scores_

    def _levels(self, confidence_level):
        if confidence_level is None:
            confidence_level = self.confidence_level
        return check_levels(confidence_level)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.regressor_tags = inner.regressor_tags or tags.regressor_tags
        tags.non_deterministic = inner.non_deterministic or self.random_state is None
        return tags


@energies.register(ConformalRegressor)
def _of_estimator(estimator, X, context):
    """Take forces, stress and energies of atoms from the estimator inside."""
    return energies(estimator.estimator_, X, context)


def _n_rows(X) -> int:
    return X.shape[0] if hasattr(X, "shape") else len(X)

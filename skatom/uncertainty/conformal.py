"""Split conformal prediction of energies and forces of any estimator."""

from __future__ import annotations

from skatom._validation import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
)
from skatom.model_selection._content_groups import SIZES
from skatom.uncertainty._conformal.force_intervals import ForceIntervals
from skatom.uncertainty._conformal.forces import ForceCalibration, source_of_forces
from skatom.uncertainty._conformal.held_out import hold_out
from skatom.uncertainty._conformal.interval_regressor import IntervalRegressor
from skatom.uncertainty._conformal.scores import SCORES, resolve_score
from skatom.uncertainty._conformal.split import SplitCalibration


class ConformalRegressor(ForceIntervals, IntervalRegressor):
    """Intervals with guaranteed coverage around the predictions of any estimator.

    Part of the structures is held out of the fit. Their errors, ranked, say how large the
    error of a new structure will be: at most the k-th of n, k = ceil((n + 1) level), with
    a probability of at least ``level`` [1]_. Nothing is assumed about the estimator or
    about the distribution of errors.

    Parameters
    ----------
    estimator : estimator with fit and predict
        A pipeline or model on structures, or any regressor on rows of numbers.
    conformity_score : {"absolute", "std", "latent", "llpr"}, callable or object, \
default="absolute"
        What errors are divided by before they are ranked, and widths multiplied with.
        ``"absolute"``: nothing, one width for all. ``"std"``: the standard deviation of
        ``predict(X, return_std=True)`` (and of forces, where the estimator has those).
        ``"latent"``: the distance to training structures in the features of the last
        step [2]_. ``"llpr"``: the rigidity of the last layer. A callable of (estimator,
        X), or a fitted object with ``predict(X, return_std=True)`` or
        ``score_samples(X)``: what it gives.
    groups : {"composition", "size"} or str or callable, optional
        Calibrate each group of structures by itself [3]_: those of one formula, of one
        number of atoms, with the same ``info[groups]`` (a source, a temperature), or with
        the same value of a function of X that returns one label per structure.
    confidence_level : float, default=0.9
        Probability that an interval covers, unless predict_interval is given another.
    calibration_size : float or int, default=0.2
        Share, or number, of structures that are held out for calibration. Structures of
        equal content are held out together.
    cv : {"prefit"}, splitter or None, default=None
        None fits a clone of the estimator on what is not held out. ``"prefit"`` takes the
        estimator as it is, fitted on other structures, and calibrates on all that fit
        gets. `clone` forgets the fit; a `sklearn.frozen.FrozenEstimator` keeps it. A
        splitter holds out its first test fold; it must keep copies together.
    forces : {"auto", "calc"} or str or None, default="auto"
        Where calibration structures hold their forces: ``"calc"`` in the results of
        calculators, another name in ``arrays[name]``, ``"auto"`` in either (and no force
        intervals if there are none, or if the estimator cannot predict forces). None
        calibrates energies only.
    floor : {"median"} or float or None, default=None
        Added to what errors are divided by: the median of calibration structures, or a
        number in its unit. Tames standard deviations that are now and then far too small,
        as those of small ensembles. Sizes below a hundredth of the median are raised to
        it in any case: no interval has zero width.
    random_state : int, RandomState instance or None, default=None
        Draws the structures that are held out.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    calibration_ : SplitCalibration
        What gives the widths of energies.
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
    CrossConformalRegressor : For few structures: none is lost to calibration.
    QuantileConformalRegressor : For estimators that predict quantiles.
    skatom.uncertainty.FeatureDistance : Tell structures unlike the training structures.
    skatom.calculator.SkatomCalculator : Run dynamics with the intervals at hand.

    Notes
    -----
    What is guaranteed, if calibration structures and the new one are exchangeable (drawn
    at random from one source; frames of one trajectory are not, and a model that drives
    dynamics leaves its source):

    - energies: the interval of a new structure covers with probability >= level, for
      every conformity score; with groups, for a new structure of each group by itself;
    - forces: a component drawn at random from a new structure is covered with probability
      >= level. In other words: the expected share of covered components of a new
      structure is >= level. Components of one structure are not exchangeable one by one,
      so every structure gets the same weight, whatever its size, and components share
      it [4]_ [5]_. The same holds for force vectors and `predict_forces_radius`;
    - forces, ``by_element=True``: the same for the atoms of each element, among
      structures that contain it;
    - forces, ``simultaneous=True``: all components of a new structure are covered at once
      with probability >= level. The score is the largest error of a structure.

    What is not: coverage for a given composition, size or temperature that is no group,
    coverage given the calibration set at hand (it scatters from one to the next by about
    sqrt(level (1 - level) / n)), coverage for one certain atom, nor coverage for
    structures unlike those of calibration. Groups with too few structures have the
    intervals of all, and a warning. ``floor="median"`` is taken from the calibration
    structures and shifts the probability by the influence of one of them on a median.
    The guarantee says nothing about width: intervals of a useless model are valid and wide.

    Calibration structures that the estimator was fitted on are refused, by content, also
    with ``cv="prefit"``: all estimators of skatom remember what they were fitted on, rows
    of numbers together with their targets. What cannot be known: the past of a featurizer
    that is frozen inside a pipeline, and of estimators that are not ours; and structures
    that are the same up to rounding, rotation or order of atoms count as different ones.

    References
    ----------
    .. [1] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman, J. Am. Stat.
       Assoc. 113, 1094 (2018), doi:10.1080/01621459.2017.1307116
    .. [2] Y. Hu, J. Musielewicz, Z. W. Ulissi, A. J. Medford, Mach. Learn.: Sci.
       Technol. 3, 045028 (2022), doi:10.1088/2632-2153/aca7b1
    .. [3] V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World",
       Springer (2005), doi:10.1007/b106715, section 4.5
    .. [4] A. N. Angelopoulos, S. Bates, A. Fisch, L. Lei, T. Schuster, "Conformal risk
       control", ICLR 2024, arXiv:2208.02814
    .. [5] Y. Lee, R. F. Barber, R. Willett, "Distribution-free inference with
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

    _states = (SplitCalibration, ForceCalibration)
    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "conformity_score": SCORES,
        "groups": [str, callable, None],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "calibration_size": SIZES,
        "cv": [
            StrOptions({"prefit"}),
            Integral,
            HasMethods("split"),
            None,
        ],
        "forces": [str, None],
        "floor": [
            StrOptions({"median"}),
            Interval(Real, 0, None, closed="left"),
            None,
        ],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        conformity_score="absolute",
        groups=None,
        confidence_level=0.9,
        calibration_size=0.2,
        cv=None,
        forces="auto",
        floor=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.conformity_score = conformity_score
        self.groups = groups
        self.confidence_level = confidence_level
        self.calibration_size = calibration_size
        self.cv = cv
        self.forces = forces
        self.floor = floor
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
        held_out = hold_out(self, X, y, fit_params)
        estimator = held_out.fitted(self.estimator)
        score = self.conformity_score
        source = resolve_score(score, estimator, held_out.X_train)
        self.calibration_ = SplitCalibration.of(
            estimator,
            held_out.X,
            held_out.y,
            held_out.indices,
            source=source,
            floor=self.floor,
            groups=self.groups,
        )
        self.force_calibration_ = ForceCalibration.of(
            estimator,
            held_out.X,
            labels_in=self.forces,
            source=source_of_forces(score, source, estimator, held_out.X_train),
            floor=self.floor,
            groups=self.groups,
        )
        self.estimator_ = estimator
        held_out.note_on(self)
        return self

"""Standard deviations that are as large as errors: scaled on held-out structures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.frozen import FrozenEstimator

from skatom._validation import (
    HasMethods,
    StrOptions,
    _fit_context,
)
from skatom.base import NoStandardDeviationError, target_of
from skatom.base._targets import flat
from skatom.features import AtomFeatures, NoDerivativeError
from skatom.model_selection._content_groups import SIZES
from skatom.potential.answers import Answer, Context, Deviations
from skatom.potential.estimators import answer
from skatom.structures import Structures, read_labels
from skatom.uncertainty._conformal.held_out import HeldOut, hold_out
from skatom.uncertainty._error_bars import smallest_std
from skatom.uncertainty._last_step import with_latent_sums
from skatom.uncertainty._std_maps import METHODS, StdMap, fit_factor, fit_map
from skatom.uncertainty.error_bar_regressor import ErrorBarRegressor
from skatom.uncertainty.last_layer_rigidity import LastLayerRigidity
from skatom.uncertainty.latent_distance import LatentDistance


class CalibratedStdRegressor(ErrorBarRegressor):
    """Error bars of any estimator, made as large as its errors on held-out structures.

    Parameters
    ----------
    estimator : estimator with fit and predict
        A pipeline or model on structures, or any regressor on rows of numbers.
    method : {"squared_residuals", "absolute_residuals", "crps", "affine", "isotonic"}, \
default="squared_residuals"
        How standard deviations are mapped to the size of errors. The first three multiply
        with a factor alpha [1]_ [2]_: that of the largest Gaussian likelihood, that which
        gives the right mean absolute error, or that of the least continuous ranked
        probability score. The absolute ones are moved less by a few large errors.
        "affine" adds a constant to a multiple, as [3]_ do with distances, in the ratio of
        the largest likelihood and the size of the mean absolute error: right for small
        ensembles, whose members now and then agree by chance. "isotonic" is the
        monotonic map to mean absolute errors, over bins of at least 20 labels: it mends
        any bend, given some hundreds of labels.
    source : {"std", "latent", "llpr"}, default="std"
        What is mapped: the standard deviations of the estimator itself,
        ``predict(X, return_std=True)``; the `LatentDistance` of structures (of energies)
        and of atoms (of forces), its median added; or the `LastLayerRigidity`.
    calibration_size : float or int, default=0.2
        Share, or number, of structures that are held out for calibration. Structures of
        equal content are held out together.
    cv : {"prefit"} or None, default=None
        None fits a clone of the estimator on what is not held out. ``"prefit"`` takes the
        estimator as it is, fitted on other structures, and calibrates on all that fit
        gets.
    forces : {"auto", "calc"} or str or None, default="auto"
        Where calibration structures hold their forces, as in ConformalRegressor. Forces
        have a map of their own. None calibrates energies only.
    random_state : int, RandomState instance or None, default=None
        Draws the structures that are held out.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    alpha_ : float
        Factor of energies; for "affine" and "isotonic" that of squared residuals.
    energy_map_ : StdMap
        Map of standard deviations of energies.
    force_map_ : StdMap or None
        Map of those of force components. None without force labels: the factor of
        energies is then taken for forces, where the source is a standard deviation.
    source_ : None, LatentDistance or LastLayerRigidity
        What gives error bars, if not the estimator.
    atom_source_ : None or LatentDistance
        What gives those of forces, for the source "latent".
    n_calibration_ : int
        Number of calibration structures.
    train_indices_, calibration_indices_ : ndarray of int
        Which structures of fit served for what.
    std_floor_ : float
        Smallest standard deviation, 1e-9 of the largest target.

    See Also
    --------
    calibrate_std : The same for an estimator that is fitted.
    ConformalRegressor : Intervals with a guarantee, which no standard deviation has.

    Notes
    -----
    Calibrated on average over structures like those of calibration; elsewhere error bars
    are as good as their source. Energies of atoms have no labels: their standard
    deviations are multiplied with the factor of energies.

    References
    ----------
    .. [1] F. Musil, M. J. Willatt, M. A. Langovoy, M. Ceriotti, J. Chem. Theory Comput.
       15, 906 (2019), doi:10.1021/acs.jctc.8b00959
    .. [2] F. Bigi, S. Chong, M. Ceriotti, F. Grasselli, Mach. Learn.: Sci. Technol. 5,
       045018 (2024), doi:10.1088/2632-2153/ad805f
    .. [3] Y. Hu, J. Musielewicz, Z. W. Ulissi, A. J. Medford, Mach. Learn.: Sci.
       Technol. 3, 045028 (2022), doi:10.1088/2632-2153/aca7b1

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from skatom.uncertainty import CalibratedStdRegressor, EnsembleRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 1))
    >>> y = X[:, 0] + rng.normal(size=400)
    >>> forest = EnsembleRegressor(DecisionTreeRegressor(max_depth=3), 20, random_state=0)
    >>> model = CalibratedStdRegressor(forest, random_state=0).fit(X[:300], y[:300])
    >>> y_pred, std = model.predict(X[300:], return_std=True)
    >>> bool(0.6 < np.mean(abs(y[300:] - y_pred) < std) < 0.8)
    True
    """

    _states = (StdMap,)
    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "method": [StrOptions(set(METHODS))],
        "source": [StrOptions({"std", "latent", "llpr"})],
        "calibration_size": SIZES,
        "cv": [StrOptions({"prefit"}), None],
        "forces": [str, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        method="squared_residuals",
        source="std",
        calibration_size=0.2,
        cv=None,
        forces="auto",
        random_state=None,
    ):
        self.estimator = estimator
        self.method = method
        self.source = source
        self.calibration_size = calibration_size
        self.cv = cv
        self.forces = forces
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, X_train=None, **fit_params):
        """Fit a clone of the estimator on part of the structures, calibrate on the rest.

        Parameters
        ----------
        X : sequence of ase.Atoms, AtomFeatures, or array-like of shape (n, n_features)
            With ``cv="prefit"`` the calibration structures, which the estimator must not
            have been fitted on.
        y : array-like of shape (n_structures,)
            Total energies in eV.
        X_train : like X, optional
            With ``cv="prefit"``, what the estimator was fitted on, which the sources
            "latent" and "llpr" need.
        **fit_params : dict
            For the fit of the estimator. What has one entry per structure is split too.

        Returns
        -------
        self : object
        """
        held_out = hold_out(self, X, y, fit_params)
        self.estimator_ = held_out.fitted(self.estimator)
        if self.cv == "prefit" and X_train is not None:
            held_out = held_out._replace(X_train=X_train)
        self.std_floor_ = smallest_std(held_out.y)
        self.source_, self.atom_source_ = self._fit_sources(held_out)
        raw = self._raw(held_out.X, Context(forces=False, std=True))
        errors = np.ravel(flat(held_out.y) - raw.values)
        std = np.ravel(self.lift_std(self._energies_of(raw)))
        factor = _factor_method(self.method)
        self.alpha_ = fit_factor(errors, std, factor)
        self.energy_map_ = fit_map(errors, std, self.method)
        self.force_map_ = self._fit_forces(held_out.X)
        held_out.note_on(self)
        return self

    def _energies_of(self, raw: Answer) -> np.ndarray:
        """Give standard deviations of energies, or say why there are none to scale."""
        try:
            return raw.std.energies()
        except NoStandardDeviationError as error:
            raise NoStandardDeviationError(
                f"CalibratedStdRegressor scales the standard deviations of an estimator, "
                f"and {type(self.estimator_).__name__} has none: choose source='latent' "
                f"or 'llpr', or wrap an EnsembleRegressor. {error}"
            ) from error

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output &= self.source == "std"
        return tags

    def _fit_sources(self, held_out: HeldOut):
        """Fit what gives error bars to the structures that the estimator has seen."""
        if self.source == "std":
            return None, None
        target = target_of(self)
        if target.width > 1 or target.per_atom:
            raise NoStandardDeviationError(
                f"source={self.source!r} measures how far a structure as a whole is from "
                f"those of training, but the estimator predicts {target.words}, whose "
                "numbers differ in their errors: take source='std' with an "
                "EnsembleRegressor inside."
            )
        if held_out.X_train is None:
            raise ValueError(
                f"source={self.source!r} looks at the structures that the estimator was "
                "fitted on: with cv='prefit', give them to fit as X_train."
            )
        if self.source == "latent":
            distance = LatentDistance(self.estimator_, floor="median")
            of_atoms = LatentDistance(self.estimator_, level="atom", floor="median")
            X_train = held_out.X_train
            has_atoms = isinstance(held_out.X, (Structures, AtomFeatures))
            return distance.fit(X_train), of_atoms.fit(X_train) if has_atoms else None
        rigidity = LastLayerRigidity(
            self.estimator_, method=_factor_method(self.method)
        ).fit(held_out.X_train, X_calibration=held_out.X, y_calibration=held_out.y)
        return rigidity, None

    def _fit_forces(self, X) -> StdMap | None:
        """Map force error bars; None where there are no labels, or no such error bars."""
        if self.forces is None or not isinstance(X, Structures):
            return None
        target = target_of(self)
        if not target.is_energy:
            if self.forces != "auto":
                target.refuse_slopes(self, f"forces={self.forces!r}")
            return None
        labels = read_labels(X, forces=self.forces)
        labelled = np.flatnonzero(labels.has_forces)
        if not len(labelled):
            return None
        raw = self._raw(X[labelled], Context(std=True))
        try:
            predicted = raw.pull(np.ones(len(labelled))).forces
            std = self.lift_std(raw.std.forces())
        except (NoDerivativeError, NoStandardDeviationError):
            if self.forces == "auto":
                return None
            raise
        errors = labels.forces[np.repeat(labels.has_forces, X.n_atoms)] - predicted
        return fit_map(errors.ravel(), std.ravel(), self.method)

    def _raw(self, X, context: Context) -> Answer:
        """Predict, with error bars as they come from the source."""
        if not isinstance(self.source_, LatentDistance):
            return answer(self.source_ or self.estimator_, X, context)
        at_once = with_latent_sums(self.estimator_, X, context)
        if at_once is not None:
            found, Z, sums = at_once
            means = sums / Z.n_atoms[:, None]
            distance = partial(self.source_.distance_of_latent, means)
            std = Deviations(distance, _refuse_atoms, _refuse_atoms)
            return replace(found, std=std)
        found = answer(self.estimator_, X, context)
        Z = found.model_input(X)
        known = Z if isinstance(Z, AtomFeatures) else X

        def forces():
            atoms = np.concatenate(self.atom_source_.distance_atoms(known))
            return np.repeat(atoms[:, None], 3, axis=1)

        distance = partial(self.source_.distance, known)
        return replace(found, std=Deviations(distance, forces, _refuse_atoms))

    def answer(self, X, context: Context) -> Answer:
        """Predict, with the standard deviations of the source calibrated."""
        raw = self._raw(X, context)
        std = Deviations(
            lambda: self._mapped(self.energy_map_, raw.std.energies()),
            lambda: self._mapped(self._map_of_forces(), raw.std.forces()),
            lambda: self._mapped(StdMap.factor(self.alpha_), raw.std.atoms()),
        )
        return replace(raw, std=std)

    def _mapped(self, to_errors: StdMap, std: np.ndarray) -> np.ndarray:
        return self.lift_std(to_errors(self.lift_std(std)))

    def _map_of_forces(self) -> StdMap:
        if self.force_map_ is not None:
            return self.force_map_
        if isinstance(self.source_, LatentDistance):
            raise NoStandardDeviationError(
                "A distance is no standard deviation of forces before it is calibrated, "
                f"and fit found no forces to do so (forces={self.forces!r}). Fit on "
                "structures with forces, or take the source 'llpr'."
            )
        return StdMap.factor(self.alpha_)


def calibrate_std(
    estimator,
    X_calibration,
    y_calibration,
    *,
    method: str = "squared_residuals",
    source: str = "std",
    forces: str | None = "auto",
    X_train=None,
) -> CalibratedStdRegressor:
    """Make the error bars of a fitted estimator as large as its errors.

    Parameters
    ----------
    estimator : fitted estimator
    X_calibration : sequence of ase.Atoms, AtomFeatures, or array-like
        Structures that the estimator was not fitted on.
    y_calibration : array-like of shape (n_calibration,)
        Their energies in eV.
    method, source, forces
        As in `CalibratedStdRegressor`.
    X_train : like X_calibration, optional
        What the estimator was fitted on, for the sources "latent" and "llpr".

    Returns
    -------
    calibrated : CalibratedStdRegressor
        Fitted; the estimator inside is frozen, so that clones keep its fit.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import BayesianRidge
    >>> from skatom.uncertainty import calibrate_std
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> y = X.sum(axis=1) + np.random.default_rng(1).normal(size=300)
    >>> model = BayesianRidge().fit(X[:100], y[:100])
    >>> calibrated = calibrate_std(model, X[100:], y[100:], method="crps")
    >>> round(calibrated.alpha_, 1)
    1.0
    """
    calibrated = CalibratedStdRegressor(
        FrozenEstimator(estimator),
        method=method,
        source=source,
        cv="prefit",
        forces=forces,
    )
    return calibrated.fit(X_calibration, y_calibration, X_train=X_train)


def _factor_method(method: str) -> str:
    """Name the way to find the factor that stands in for a map."""
    return "squared_residuals" if method in ("affine", "isotonic") else method


def _refuse_atoms():
    raise NoStandardDeviationError(
        "A distance of atoms is no standard deviation of their energies, and there are no "
        "labels to make it one. Take the source 'llpr'."
    )

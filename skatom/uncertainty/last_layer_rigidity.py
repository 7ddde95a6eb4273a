"""Last-layer prediction rigidity: error bars of one trained network or linear model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from skatom._validation import (
    HasMethods,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    _safe_indexing,
    check_is_fitted,
    check_targets,
)
from skatom.base import NoStandardDeviationError, target_of
from skatom.base._inside import last_model, name_of_model
from skatom.elements._counts import species_counts
from skatom.features._fitted_on import remember
from skatom.features._kinds_of_x import count_rows, rows_and_structures
from skatom.metrics import crps, gaussian_nll
from skatom.potential.answers import Answer, Context, Deviations
from skatom.uncertainty._conformal.trained_on import refuse_trained_on
from skatom.uncertainty._distances import CHUNK
from skatom.uncertainty._error_bars import smallest_std
from skatom.uncertainty._last_layer import LastLayer, linear_model, look
from skatom.uncertainty._second_moments import Rigidity
from skatom.uncertainty._std_maps import fit_factor
from skatom.uncertainty.error_bar_regressor import ErrorBarRegressor

# Where there is nothing to choose zeta by, and what is tried where there is.
ZETA = 1e-2
ZETAS = 10.0 ** np.arange(-6, 1.25, 0.25)
ENERGIES = Context(forces=False)
SMALLEST = np.finfo(np.float64).tiny


class LastLayerRigidity(ErrorBarRegressor):
    r"""Error bars from how rigidly training structures hold the last, linear layer [1]_.

    A prediction :math:`w \cdot f` is as uncertain as w is in the direction of f:

    .. math:: \sigma^2 = \alpha^2 f^T (F^T F + \zeta^2 s)^{-1} f ,

    where the rows of F are the last-layer features of the training structures. It costs
    one matrix product a prediction, needs one model and no change to its training.

    Parameters
    ----------
    estimator : fitted estimator
        A pipeline or model whose last step is a network (it has ``latent``) or linear
        (it has ``coef_``), or a search or FrozenEstimator around one.
    zeta : float, default=None
        Regularisation, the root of the share of the mean eigenvalue s of
        :math:`F^T F` that is added to it. None chooses it by the calibration structures,
        and is 0.01 without these.
    method : str, default="squared_residuals"
        What makes alpha and zeta fit the errors of the calibration structures, by
        metatrain's names [2]_: "squared_residuals", likelihood; "absolute_residuals", the
        mean absolute error, with zeta by likelihood; or "crps", the continuous ranked
        probability score.

    Attributes
    ----------
    estimator_ : estimator
        The one that was given to fit.
    alpha_ : float
        In the unit of the target. 1 without calibration structures: error bars are then
        right up to a factor, which is what a ConformalRegressor needs.
    zeta_ : float
        The regularisation in use.
    rigidity_ : Rigidity
        Eigenvectors and eigenvalues of :math:`F^T F`.
    numbers_ : ndarray of int, shape (n_species,)
        Species, each of which has a constant among the features.
    std_floor_ : float
        Smallest standard deviation.

    See Also
    --------
    CalibratedStdRegressor : Fits the estimator too, and calibrates forces by themselves.
    EnsembleRegressor : Error bars that see more than the last layer, for more.

    Notes
    -----
    Features of a structure are summed over its atoms; rows of F are divided by the root
    of the number of atoms, as errors are in the loss of the models here. Where predictions
    are means over atoms, so are features, and all rows count alike. Those of a force
    component are the derivatives of the summed features by that coordinate [1]_, so that
    forces need a model that says how its features move, ``latent_pushforward``. With
    alpha from energies, force error bars are right up to a factor of order one.

    The last layer alone is free to move: where a network maps new structures onto old
    ones, error bars stay small.

    References
    ----------
    .. [1] F. Bigi, S. Chong, M. Ceriotti, F. Grasselli, Mach. Learn.: Sci. Technol. 5,
       045018 (2024), doi:10.1088/2632-2153/ad805f
    .. [2] metatrain, https://github.com/metatensor/metatrain

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.models import AtomicRidge
    >>> from skatom.uncertainty import LastLayerRigidity
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> model = AtomicRidge().fit(X, X.sum(axis=1))
    >>> rigidity = LastLayerRigidity(model).fit(X)
    >>> std = rigidity.predict([[0.0, 0.0], [3.0, 0.0], [9.0, 0.0]], return_std=True)[1]
    >>> (std / std[0]).round(1)
    array([1. , 3.3, 9.3])
    """

    _states = (Rigidity,)
    _parameter_constraints: dict = {
        "estimator": [HasMethods(["predict"])],
        "zeta": [Interval(Real, 0, None, closed="neither"), None],
        "method": [StrOptions({"squared_residuals", "absolute_residuals", "crps"})],
    }

    def __init__(self, estimator, *, zeta=None, method="squared_residuals"):
        self.estimator = estimator
        self.zeta = zeta
        self.method = method

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, *, X_calibration=None, y_calibration=None):
        """Find how rigid the last layer is; the estimator is not fitted again.

        Parameters
        ----------
        X : sequence of ase.Atoms, AtomFeatures, or array-like of shape (n, n_features)
            What the estimator was fitted to.
        y : ignored
        X_calibration : like X, optional
            Structures that the estimator was not fitted to.
        y_calibration : array-like of shape (n_calibration,), optional
            Their energies in eV.

        Returns
        -------
        self : object
        """
        X = rows_and_structures(X)[0]
        self.estimator_ = self.estimator
        check_is_fitted(last_model(self.estimator_))
        _refuse_without_last_layer(linear_model(self.estimator_))
        _refuse_not_linear(self.estimator_)
        seen = [look(self.estimator_, part, ENERGIES)[1] for part in _parts(X)]
        self.numbers_ = np.unique(np.concatenate([one.inputs.numbers for one in seen]))
        rows = [self._rows(one) / _usual_error(one)[:, None] for one in seen]
        self.rigidity_ = Rigidity.of(np.concatenate(rows))
        self.zeta_ = ZETA if self.zeta is None else self.zeta
        self.alpha_, self.std_floor_ = 1.0, SMALLEST
        remember(self, X)
        if X_calibration is not None:
            X_calibration = rows_and_structures(X_calibration)[0]
            refuse_trained_on(self.estimator_, X_calibration, y_calibration)
            self._calibrate(X_calibration, y_calibration)
        return self

    def _calibrate(self, X, y) -> None:
        """Choose alpha, and zeta unless it is given."""
        found, seen = zip(
            *(look(self.estimator_, part, ENERGIES) for part in _parts(X))
        )
        predicted = np.concatenate([one.values for one in found])
        y = check_targets(y, len(predicted))
        rows = np.concatenate([self._rows(layer) for layer in seen])
        self.std_floor_, best = smallest_std(y), np.inf
        score = crps if self.method == "crps" else gaussian_nll
        for zeta in ZETAS if self.zeta is None else [self.zeta]:
            std = np.sqrt(self.rigidity_.variances(rows, zeta))
            alpha = fit_factor(y - predicted, std, self.method)
            loss = score(y, predicted, self.lift_std(alpha * std))
            if loss < best:
                best, self.zeta_, self.alpha_ = loss, zeta, alpha

    def answer(self, X, context: Context) -> Answer:
        """Predict, with standard deviations from the rigidity of the last layer."""
        found, layer = look(self.estimator_, X, replace(context, std=False))
        std = Deviations(
            lambda: self._std(self._rows(layer)),
            lambda: self._forces_std(layer),
            lambda: self._std(self._atom_rows(layer)),
        )
        return replace(found, std=std)

    def _rows(self, layer: LastLayer) -> np.ndarray:
        """Features of whole structures, and how many atoms there are of each species."""
        share = layer.shares[layer.inputs.offsets[:-1], None]
        counts = species_counts(layer.inputs, self.numbers_)
        return np.hstack([layer.sums, share * counts])

    def _atom_rows(self, layer: LastLayer) -> np.ndarray:
        """Last-layer features of atoms, and a constant for each species."""
        kinds = layer.inputs.numbers[:, None] == self.numbers_
        return np.hstack([layer.atoms, layer.shares[:, None] * kinds])

    def _forces_std(self, layer: LastLayer) -> np.ndarray:
        """Error bars of forces, (n_atoms_total, 3): constants do not move."""
        slopes = layer.slopes()
        constants = np.zeros((*slopes.shape[:2], len(self.numbers_)))
        rows = np.concatenate([slopes, constants], axis=2)
        return self._std(rows.reshape(-1, rows.shape[2])).reshape(-1, 3)

    def _std(self, rows: np.ndarray) -> np.ndarray:
        variances = self.rigidity_.variances(rows, self.zeta_)
        return self.lift_std(self.alpha_ * np.sqrt(variances))


def _usual_error(layer: LastLayer) -> np.ndarray:
    """How errors of structures grow with their size in the loss of the models here."""
    n_atoms = layer.inputs.n_atoms
    return np.ones(len(n_atoms)) if layer.averages else np.sqrt(n_atoms)


def _refuse_without_last_layer(model) -> None:
    """Refuse models whose predictions are no linear function that was fitted as one."""
    if not (hasattr(model, "latent") or hasattr(model, "coef_")):
        raise TypeError(
            f"LastLayerRigidity asks how firmly training holds the one linear layer that "
            f"predictions end in, and {type(model).__name__} has none (neither latent nor "
            "coef_). Use a network or a linear model, or error bars of another kind, such "
            "as EnsembleRegressor."
        )


def _refuse_not_linear(estimator) -> None:
    """Refuse targets that are no linear function of summed features."""
    target = target_of(estimator)
    if target.adds_up and target.width == 1:
        return
    raise NoStandardDeviationError(
        f"LastLayerRigidity needs predictions that are one sum, or mean, over atoms of a "
        f"linear layer, and {name_of_model(estimator)} predicts {target.words}: take error "
        "bars of another kind, such as EnsembleRegressor."
    )


def _parts(X) -> Iterator:
    """Give some structures at a time, which bounds the memory of pairs."""
    X = rows_and_structures(X)[0]
    n = count_rows(X)
    for start in range(0, n, CHUNK):
        yield _safe_indexing(X, np.arange(start, min(start + CHUNK, n)))

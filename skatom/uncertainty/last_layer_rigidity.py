"""Last-layer prediction rigidity: error bars of one trained network or linear model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.sparse import csr_array

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
from skatom.base import NoStandardDeviationError, sum_atoms
from skatom.base._inside import last_model
from skatom.elements._counts import species_counts
from skatom.features import AtomFeatures
from skatom.features._kinds_of_x import count_rows, rows_and_structures
from skatom.metrics import crps, gaussian_nll
from skatom.potential.answers import Answer, Context, Deviations
from skatom.potential.estimators import answer
from skatom.uncertainty._distances import CHUNK, dense, latent_features
from skatom.uncertainty._error_bars import smallest_std
from skatom.uncertainty._last_step import with_latent_sums
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
    of the number of atoms, as errors are in the loss of the models here. Those of a force
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
        model = last_model(self.estimator)
        check_is_fitted(model)
        if not (hasattr(model, "latent") or hasattr(model, "coef_")):
            raise TypeError(
                f"{type(model).__name__} has no linear last layer (neither latent nor "
                "coef_), whose rigidity could be told. Use a network or a linear model, "
                "or error bars of another kind, such as EnsembleRegressor."
            )
        seen = [self._look(part)[1] for part in _parts(X)]
        self.numbers_ = np.unique(np.concatenate([Z.numbers for Z in seen]))
        rows = [self._rows(Z) / np.sqrt(Z.n_atoms)[:, None] for Z in seen]
        self.rigidity_ = Rigidity.of(np.concatenate(rows))
        self.zeta_ = ZETA if self.zeta is None else self.zeta
        self.alpha_, self.std_floor_ = 1.0, SMALLEST
        if X_calibration is not None:
            self._calibrate(X_calibration, y_calibration)
        return self

    def _calibrate(self, X, y) -> None:
        """Choose alpha, and zeta unless it is given."""
        found, seen = zip(*(self._look(part) for part in _parts(X)))
        predicted = np.concatenate([one.values for one in found])
        y = check_targets(y, len(predicted))
        rows = np.concatenate([self._rows(Z) for Z in seen])
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
        at_once = with_latent_sums(self.estimator, X, context)
        if at_once is None:
            found, Z = self._look(X, context)
            rows = partial(self._rows, Z)
        else:
            found, Z, sums = at_once
            rows = partial(self._with_constants, sums, Z)
        std = Deviations(
            lambda: self._std(rows()),
            lambda: np.concatenate([self._forces_std(Z, s) for s in range(len(Z))]),
            lambda: self._std(self._atom_rows(Z)),
        )
        return replace(found, std=std)

    def _look(self, X, context: Context = ENERGIES) -> tuple[Answer, AtomFeatures]:
        """Predict, and give what enters the last step, rows as structures of one atom."""
        found = answer(self.estimator, X, context)
        Z = found.model_input(X)
        if not isinstance(Z, AtomFeatures):
            Z = AtomFeatures.from_rows(dense(Z))
        return found, Z

    def _rows(self, Z: AtomFeatures) -> np.ndarray:
        """Features of whole structures, and how many atoms there are of each species."""
        return sum_atoms(self._atom_rows(Z), Z.offsets)

    def _with_constants(self, sums: np.ndarray, Z: AtomFeatures) -> np.ndarray:
        return np.hstack([sums, species_counts(Z, self.numbers_)])

    def _atom_rows(self, Z: AtomFeatures) -> np.ndarray:
        """Last-layer features of atoms, and a constant for each species."""
        kinds = (Z.numbers[:, None] == self.numbers_).astype(np.float64)
        return np.hstack([latent_features(last_model(self.estimator), Z).values, kinds])

    def _std(self, rows: np.ndarray) -> np.ndarray:
        variances = self.rigidity_.variances(rows, self.zeta_)
        return self.lift_std(self.alpha_ * np.sqrt(variances))

    def _forces_std(self, Z: AtomFeatures, s: int) -> np.ndarray:
        """Differentiate the rows of a structure: error bars of its forces, (n_atoms, 3)."""
        one = Z[[s]]
        model = last_model(self.estimator)
        if hasattr(model, "latent"):
            if not hasattr(model, "latent_pushforward"):
                raise NoStandardDeviationError(
                    f"{type(model).__name__} does not say how its last layer moves with "
                    "its features (latent_pushforward), so there are no error bars of "
                    "forces: ask for those of energies only."
                )
            one = one.transformed(_Latent(model), latent_features(model, one).values)
        moved = one.jacobian()  # (n_pairs, 3, n_latent)
        pairs, n_atoms = one.pairs, len(one.values)
        ends = np.concatenate([pairs.neighbors, pairs.centers])
        signs = np.repeat([1.0, -1.0], pairs.n_pairs)
        columns = np.tile(np.arange(pairs.n_pairs), 2)
        to_atoms = csr_array((signs, (ends, columns)), (n_atoms, pairs.n_pairs))
        moved = (to_atoms @ moved.reshape(pairs.n_pairs, -1)).reshape(3 * n_atoms, -1)
        constants = np.zeros((len(moved), len(self.numbers_)))
        return self._std(np.hstack([moved, constants])).reshape(n_atoms, 3)

    def _inside(self):
        return self.estimator


class _Latent:
    """The last hidden layer as a step of features."""

    def __init__(self, model):
        self.model = model

    def pushforward(self, values, numbers, v):
        return self.model.latent_pushforward(values, numbers, v)


def _parts(X) -> Iterator:
    """Give some structures at a time, which bounds the memory of pairs."""
    X = rows_and_structures(X)[0]
    n = count_rows(X)
    for start in range(0, n, CHUNK):
        yield _safe_indexing(X, np.arange(start, min(start + CHUNK, n)))

"""Predictions of fitted networks of features, and what comes with them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from sklearn.metrics import r2_score

from skatom._training.distributions import std_of, with_spreads
from skatom._training.estimator import LARGEST_SEED
from skatom._training.outputs import OUTPUTS, squeezed
from skatom._validation import (
    check_is_fitted,
    check_random_state,
    check_sample_weight,
)
from skatom.base import AtomicRegressor
from skatom.features import AtomFeatures, NoDerivativeError
from skatom.models._feature_network.element_scaling import ElementScaling
from skatom.models._feature_network.torch_side import prediction_side


class FeaturePredictions(AtomicRegressor):
    """The half of a network of features that predicts, once it is fitted."""

    def predict(self, X, return_std: bool = False, return_quantiles: bool = False):
        """Predict the targets of every structure.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
        return_std : bool, default=False
            Whether standard deviations are wanted too, of ``loss="gaussian_nll"``.
        return_quantiles : bool, default=False
            Whether all quantiles are wanted too, of ``loss="quantile"``.

        Returns
        -------
        y : ndarray of shape (n_structures,) or (n_structures, n_outputs)
            Total energies, in the unit of the y of fit (eV), or what `output` says: for
            "atoms" a list with one array a structure. Medians for ``loss="quantile"``.
        std : ndarray of shape (n_structures,)
            In the unit of y, positive; only with ``return_std``.
        quantiles : ndarray of shape (n_structures, n_quantiles)
            In the unit of y, ascending; only with ``return_quantiles``.

        Raises
        ------
        NoStandardDeviationError
            If the network was trained by another loss than "gaussian_nll".
        """
        check_is_fitted(self)
        X = self.check_features(X, reset=False)
        rows = self._rows(X)
        y = self._kind.predict(X, self._in_units(X, rows))
        if not (return_std or return_quantiles):
            return y
        spreads = self._kind.columns(X, self._spreads(rows))
        return with_spreads(
            y, spreads, self._shape, type(self).__name__, return_std, return_quantiles
        )

    def predict_atoms(self, X, return_std: bool = False):
        """Predict the energy of every atom; they sum to the energies of structures.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
        return_std : bool, default=False
            Whether standard deviations are wanted too, of ``loss="gaussian_nll"``.

        Returns
        -------
        energies : ndarray of shape (n_atoms_total,)
            Or with a second axis for several outputs.
        std : ndarray of shape (n_atoms_total,)
            Their squares sum to those of the structures; only with ``return_std``.
        """
        check_is_fitted(self)
        X = self.check_features(X, reset=False)
        rows = self._rows(X)
        atoms = squeezed(self._kind.contributions(X, self._in_units(X, rows)))
        if not return_std:
            return atoms
        spreads = self._kind.contributions(X, self._spreads(rows))
        return atoms, std_of(spreads, self._shape, type(self).__name__)

    def score(self, X, y, sample_weight=None) -> float:
        """Give the coefficient of determination of the predictions.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
        y : array-like
            As in `fit`.
        sample_weight : array-like of shape (n_structures,), optional

        Returns
        -------
        score : float
        """
        if self.output != "atoms":
            return super().score(X, y, sample_weight)
        check_is_fitted(self)
        X = self.check_features(X, reset=False)
        weights = np.repeat(check_sample_weight(sample_weight, len(X)), X.n_atoms)
        flat = self._kind.check(X, y)
        return r2_score(flat, self._contributions(X), sample_weight=weights)

    def latent(self, X) -> np.ndarray:
        """Give the last hidden layer of every atom, whose linear head is its energy.

        Every element with a head of its own has columns of its own, zero for other atoms,
        so that one linear function of all columns, plus a constant for each element,
        gives the atomic energies.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)

        Returns
        -------
        latent : ndarray of shape (n_atoms_total, n_latent)
        """
        check_is_fitted(self)
        X = self.check_features(X, reset=False)
        return prediction_side().latent(self.net_.module_, *self._inputs(X))

    def sample_atoms(self, X, n_samples=20, random_state=None) -> np.ndarray:
        """Predict contributions of atoms with dropout at work, again and again.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
        n_samples : int, default=20
        random_state : int, RandomState or None, default=None

        Returns
        -------
        samples : ndarray of shape (n_samples, n_atoms_total)
            Or with one more axis for several outputs. All are equal without `dropout`.
        """
        check_is_fitted(self)
        X = self.check_features(X, reset=False)
        seed = check_random_state(random_state).randint(LARGEST_SEED)
        drawn = prediction_side().dropped_contributions(
            self.net_.module_, *self._inputs(X), n_samples, seed
        )
        return np.stack(
            [squeezed(self._kind.contributions(X, self._in_units(X, d))) for d in drawn]
        )

    def thinned(self, random_state=None):
        """Copy the fitted model, with units left out as dropout does, for good.

        One draw serves all atoms, so that the copy is a potential like the model itself.

        Parameters
        ----------
        random_state : int, RandomState or None, default=None

        Returns
        -------
        thinned : estimator
            For predictions only. Equal to the model without `dropout`.
        """
        check_is_fitted(self)
        seed = int(check_random_state(random_state).randint(LARGEST_SEED))
        copy = object.__new__(type(self))
        module = prediction_side().thinned(self.net_.module_, seed)
        vars(copy).update(vars(self), net_=SimpleNamespace(module_=module))
        return copy

    def predict_with_latent_sums(self, X) -> tuple[np.ndarray, np.ndarray]:
        """Predict, and sum the last hidden layer over structures, in one pass.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)

        Returns
        -------
        y : ndarray of shape (n_structures,)
            As from `predict`.
        sums : ndarray of shape (n_structures, n_latent)
            Sums of the rows of `latent`.
        """
        check_is_fitted(self)
        X = self.check_features(X, reset=False)
        rows, sums = prediction_side().with_latent_sums(
            self.net_.module_, *self._inputs(X), X.structure_index, len(X)
        )
        return self._kind.predict(X, self._in_units(X, rows)), sums

    def latent_pushforward(self, values, numbers, v) -> np.ndarray:
        """Carry changes of features on to the last hidden layer.

        Parameters
        ----------
        values : ndarray of shape (n, n_features)
            Features of atoms, of which there may be several copies.
        numbers : ndarray of int, shape (n,)
            Their species.
        v : ndarray of shape (n, n_features)
            How they change.

        Returns
        -------
        tangent : ndarray of shape (n, n_latent)
        """
        scaling = self._scaling
        return prediction_side().latent_pushforward(
            self.net_.module_,
            scaling.apply(values, numbers),
            scaling.elements(numbers),
            scaling.pushforward(values, numbers, v),
        )

    def compute_atoms(self, X: AtomFeatures) -> np.ndarray:
        """Run the network."""
        return squeezed(self._contributions(X))

    def compute_gradient(self, X: AtomFeatures) -> np.ndarray:
        """Run the network, and backwards."""
        return self.compute_with_gradient(X)[1]

    def compute_with_gradient(self, X: AtomFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Run the network forwards and backwards."""
        output = self._shape["output"]
        if self._n_targets > 1 or output not in ("sum", "mean"):
            raise NoDerivativeError(
                f"A network with output={output!r} and {self._n_targets} targets has no "
                "single number to differentiate: fit one with output='sum' or 'mean' to "
                "one target."
            )
        rows, slopes = prediction_side().with_gradient(
            self.net_.module_, *self._inputs(X)
        )
        energies = self._kind.contributions(X, self._in_units(X, rows))
        slopes = self._kind.contributions(X, self._scales[0] * slopes)
        return squeezed(energies), self._scaling.pullback(X.values, X.numbers, slopes)

    def _contributions(self, X: AtomFeatures) -> np.ndarray:
        """Give what atoms contribute to the targets, (n_atoms, n_outputs)."""
        return self._kind.contributions(X, self._raw(X))

    def _raw(self, X: AtomFeatures) -> np.ndarray:
        return self._in_units(X, self._rows(X))

    def _rows(self, X: AtomFeatures) -> np.ndarray:
        """Give what atoms contribute in units of training, spreads last."""
        return prediction_side().contributions(self.net_.module_, *self._inputs(X))

    def _in_units(self, X: AtomFeatures, rows: np.ndarray) -> np.ndarray:
        """Put scale and baseline back to values."""
        baseline = self._baseline[self._scaling.elements(X.numbers)]
        return baseline + self._scales * rows[:, : baseline.shape[1]]

    def _spreads(self, rows: np.ndarray) -> np.ndarray:
        """Give the spreads of atoms, in squares of the unit of y."""
        return self._scales[0] ** 2 * rows[:, self._baseline.shape[1] :]

    def _inputs(self, X: AtomFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Scaled features, and the element of every atom."""
        scaling = self._scaling
        return scaling.apply(X.values, X.numbers), scaling.elements(X.numbers)

    @property
    def _kind(self):
        return OUTPUTS[self._shape["output"]]

    @property
    def _baseline(self) -> np.ndarray:
        return self.baseline_.reshape(len(self.numbers_), -1)

    @property
    def _scales(self) -> np.ndarray:
        return np.atleast_1d(self.scale_)

    @property
    def _scaling(self) -> ElementScaling:
        return ElementScaling(self.numbers_, self.feature_means_, self.feature_gains_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

"""Predictions of a fitted process: energies, deviations, samples, likelihood."""

from __future__ import annotations

import numpy as np

from skatom._validation import check_is_fitted, check_random_state
from skatom.features import AtomFeatures
from skatom.models._gaussian_process.process import Process
from skatom.models._kernels.expansions import Expansion
from skatom.models._labelled.sum_or_mean import SumOrMean


class ProcessRegressor(SumOrMean):
    """Predictions of a regressor that keeps a Process and a baseline."""

    _states = (Process,)

    def predict(self, X, return_std=False, return_cov=False):
        """Predict the energy of every structure.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
        return_std : bool, default=False
            Whether standard deviations are wanted.
        return_cov : bool, default=False
            Whether the covariance matrix is wanted.

        Returns
        -------
        y : ndarray of shape (n_structures,)
            Total energies in eV.
        std : ndarray of shape (n_structures,)
            Standard deviations of labels in eV, only with ``return_std``.
        cov : ndarray of shape (n_structures, n_structures)
            In eV^2, only with ``return_cov``.
        """
        mean = super().predict(X)
        if not (return_std or return_cov):
            return mean
        X = self.check_features(X, reset=False)
        if return_cov:
            return mean, self._process.energy_covariance(X)
        return mean, self._process.energy_std(X)

    def predict_atoms(self, X, return_std=False):
        """Predict the energy of every atom; they sum to the energies of structures.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
        return_std : bool, default=False
            Whether standard deviations are wanted. How an energy is shared out is never
            observed, so they are larger than that of the sum.

        Returns
        -------
        energies : ndarray of shape (n_atoms_total,)
            In eV.
        std : ndarray of shape (n_atoms_total,)
            In eV, only with ``return_std``.
        """
        mean = super().predict_atoms(X)
        if not return_std:
            return mean
        return mean, self._process.atom_std(self.check_features(X, reset=False))

    def forces_std(self, X: AtomFeatures) -> np.ndarray:
        """Say how uncertain force components are.

        Parameters
        ----------
        X : AtomFeatures
            From a featurizer.

        Returns
        -------
        std : ndarray of shape (n_atoms_total, 3)
            In eV/Å.

        Raises
        ------
        NoDerivativeError
            If the target is no energy.
        """
        check_is_fitted(self)
        self.target_.refuse_slopes(self, "forces")
        return self._process.forces_std(self.check_features(X, reset=False))

    def sample_y(self, X, n_samples=1, random_state=0) -> np.ndarray:
        """Draw energies from the posterior, noise included.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
        n_samples : int, default=1
        random_state : int, RandomState or None, default=0

        Returns
        -------
        samples : ndarray of shape (n_structures, n_samples)
            In eV.
        """
        mean, cov = self.predict(X, return_cov=True)
        rng = check_random_state(random_state)
        return rng.multivariate_normal(mean, cov, n_samples).T

    def left_out_residuals(self) -> tuple[np.ndarray, np.ndarray]:
        """Say how wrong each training structure is predicted by all others.

        In closed form, at the hyperparameters and the baseline of the fit. Unlike the
        likelihood, these errors do not presume that the prior is right.

        Returns
        -------
        energies : ndarray of shape (n_structures,)
            Labels minus predictions, in eV; empty if only forces were trained on.
        forces : ndarray of shape (n_force_labels,)
            The same of force components, in eV/Å; those of a molecule along directions
            of its own in which it does not move or turn as a whole.

        Raises
        ------
        ValueError
            If the model was not solved densely.
        """
        check_is_fitted(self)
        return self._process.left_out()

    def log_marginal_likelihood(self, theta=None, eval_gradient=False):
        """Logarithm of the likelihood of all training labels.

        Parameters
        ----------
        theta : array-like of shape (n_free,), optional
            Logarithms of the variance, the length scale, and the variances of the noise
            of the energy of an atom and of a force component, as far as these are not
            fixed. By default those in use.
        eval_gradient : bool, default=False
            Whether the gradient by theta is wanted.

        Returns
        -------
        value : float
        gradient : ndarray of shape (n_free,)
            Only with ``eval_gradient``.

        Raises
        ------
        ValueError
            If the model is sparse, which does not keep its labels.
        """
        check_is_fitted(self)
        at = self._process.hyperparameters
        if theta is not None:
            at = at.with_theta(np.asarray(theta, dtype=np.float64))
        found = self._process.log_likelihood(at, gradient=eval_gradient)
        return (found.value, found.gradient) if eval_gradient else found.value

    def compute_atoms(self, X: AtomFeatures) -> np.ndarray:
        """Give the mean of the posterior."""
        baseline = self.baseline_[np.searchsorted(self.numbers_, X.numbers)]
        return self._shared(baseline + self._expansion().values(X), X)

    def compute_gradient(self, X: AtomFeatures) -> np.ndarray:
        """Give the slope of the mean."""
        return self.compute_with_gradient(X)[1]

    def compute_with_gradient(self, X: AtomFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Give the mean and its slope."""
        baseline = self.baseline_[np.searchsorted(self.numbers_, X.numbers)]
        values, gradient = self._expansion().with_gradient(X)
        return self._shared(baseline + values, X), self._shared(gradient, X)

    def _expansion(self) -> Expansion:
        return Expansion(
            self.references_,
            self.reference_numbers_,
            self.dual_coef_,
            self.dual_slopes_,
            self._process.hyperparameters.kernel,
        )

    def _keep(self, process: Process) -> None:
        self._process = process
        mean, at = process.expansion(), process.hyperparameters
        self.references_, self.reference_numbers_ = mean.references, mean.numbers
        self.dual_coef_, self.dual_slopes_ = mean.coef, mean.slopes
        self.variance_, self.length_scale_ = at.variances, at.lengths
        if len(at.blocks) == 1:
            self.variance_, self.length_scale_ = map(float, at.values[:2])
        self.noise_energy_, self.noise_forces_ = map(float, at.values[-2:])
        n_iter, self.residual_ = process.posterior.effort
        self.n_iter_ = max(n_iter, 1)  # the first guess may be the solution
        value = process.posterior.log_likelihood(at.noise)
        self.log_marginal_likelihood_value_ = value

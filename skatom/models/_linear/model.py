"""Base of linear models of atomic energies, with their standard deviations."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from skatom._runtime.progress import Progress
from skatom._runtime.state import StateError
from skatom._validation import check_is_fitted
from skatom.base import sum_atoms
from skatom.elements._counts import species_counts
from skatom.features import AtomFeatures
from skatom.models._algebra.solve import TriangularLeastSquares
from skatom.models._labelled.derivative_rows import DerivativeRows, derivative_rows
from skatom.models._labelled.sum_or_mean import SumOrMean
from skatom.models._labelled.training_set import (
    TrainingSet,
    every_force,
    training_set,
)
from skatom.models._linear.problem import LinearProblem, spread


class LinearModel(SumOrMean):
    """Base of linear models of atomic energies.

    A subclass has the parameters ``target``, ``alpha``, ``fit_intercept``, ``by_species``,
    ``force_weight``, ``stress_weight``, ``forces`` and ``stress``.
    """

    def _begin(self) -> None:
        """Forget all rows; the first energies are then subtracted from all."""
        self._declare()
        self._by_species, self._fit_intercept = self.by_species, self.fit_intercept
        self._n_targets, self._reference = 0.0, None
        self._triangle = self._no_rows()

    def _no_rows(self) -> np.ndarray:
        return np.zeros((self._n_columns + 1,) * 2, order="F")

    def _read(self, X: AtomFeatures, y, sample_weight, forces, stress) -> TrainingSet:
        """Check what a fit is given; the first energies of species are subtracted."""
        given = training_set(self, X, y, sample_weight, forces, stress)
        if self._reference is None:
            self._reference = np.zeros(len(self.numbers_))
            if self._fit_intercept:
                self._reference = given.baseline(self.numbers_)
        return given

    def _progress(self, given: TrainingSet) -> Progress:
        """Progress of folding labels into a triangle."""
        name, shown = type(self).__name__, bool(self.verbose)
        return Progress(name, given.n_labels, "labels", shown)

    def _folded(
        self, triangle, given: TrainingSet, progress: Progress
    ) -> tuple[np.ndarray, float]:
        """Give the triangle with the rows of more structures, and their number."""
        problem = TriangularLeastSquares.resumed(triangle)
        self._add_energies(problem, given)
        progress.advance(len(given.X))
        for block in derivative_rows(given, self._n_columns):
            root = np.sqrt(block.weights)
            rows = self._derivative_design(block)
            problem.add(rows * root[:, None], block.labels * root)
            progress.advance(block.n_targets)
        counts = given.label_counts()
        counts[0] *= bool(given.force_weight)
        counts[1] *= bool(given.stress_weight)
        n_targets = given.samples @ (1 + counts.sum(axis=0))
        return problem.triangle, float(n_targets)

    def _add_energies(self, problem, given: TrainingSet) -> None:
        """Add rows of energies, less those of the species in the first structures."""
        X, counts = given.X, species_counts(given.X, self.numbers_)
        y = given.y - counts @ self._reference
        if not self._fit_intercept:
            counts = counts[:, :0]
        root = np.sqrt(given.energy_weights)
        rows = np.hstack([counts, self._energy_rows(X)])
        problem.add(rows * root[:, None], y * root)

    def _solve(self) -> None:
        """Find coefficients, energies of species and the variance of the noise."""
        problem = LinearProblem.of(self._triangle, self._n_species)
        self.alpha_ = self._choose_alpha(problem)
        solution = problem.solve(self.alpha_)
        self._factor, self._offsets = solution.factor, problem.offsets
        scale = np.linalg.norm(self._triangle[:, -1]) * np.finfo(float).eps
        loss = max(solution.loss, scale**2, np.finfo(float).tiny)
        self.noise_variance_ = float(loss / self._n_targets)
        self.coef_ = solution.coef.reshape(-1, self._width)
        self.intercept_ = self._reference.copy()
        self.intercept_[: self._n_species] += solution.energies
        if len(self.numbers_) == 1 and self.numbers_[0] == 0:  # plain rows
            self.coef_, self.intercept_ = self.coef_[0], float(self.intercept_[0])

    @abstractmethod
    def _choose_alpha(self, problem: LinearProblem) -> float:
        """Give the penalty, all rows being known."""

    # -- uncertainty -------------------------------------------------------------------

    def predict(self, X, return_std=False):
        """Predict the energy of every structure.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
        return_std : bool, default=False
            Whether standard deviations are wanted.

        Returns
        -------
        y : ndarray of shape (n_structures,)
            Total energies in eV.
        std : ndarray of shape (n_structures,)
            Standard deviations of labels in eV, only with ``return_std``.
        """
        mean = super().predict(X)
        if not return_std:
            return mean
        X = self.check_features(X, reset=False)
        rows = self._energy_rows(X)
        if self._fit_intercept:
            rows = rows - species_counts(X, self.numbers_) @ self._offsets
        rows = self._of_structures(rows, X)
        return mean, self._std(rows, self._noise_of_structures(X))

    def predict_atoms(self, X, return_std=False):
        """Predict the energy of every atom; they sum to the energies of structures.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)
        return_std : bool, default=False
            Whether standard deviations are wanted.

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
        rows = self.latent(X)
        X = self.check_features(X, reset=False)
        if self._fit_intercept:
            rows = rows - self._offsets[np.searchsorted(self.numbers_, X.numbers)]
        noise = self._shared(np.ones(len(rows)), X)  # adds up to that of structures
        return mean, self._std(self._shared(rows, X), noise)

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
        ValueError
            If ``force_weight`` is zero, so that forces may have any error; if the target
            is no energy.
        """
        check_is_fitted(self)
        self.target_.refuse_slopes(self, "forces")
        X = self.check_features(X, reset=False)
        if not self.force_weight:
            raise ValueError(
                "force_weight is 0, which says that errors of forces may be of any size: "
                "set it to more than zero before fit."
            )
        found = [
            self._std(
                self._derivative_design(block)[:, self._n_species :],
                1 / self.force_weight,
            )
            for block in derivative_rows(every_force(X), self._n_columns)
        ]
        return np.concatenate([np.empty(0), *found]).reshape(-1, 3)

    def latent(self, X) -> np.ndarray:
        """Give the features in the columns of their coefficients.

        One linear function of these, plus a constant for each species, gives the energies
        of atoms, as for the last hidden layer of a network.

        Parameters
        ----------
        X : AtomFeatures, or array-like of shape (n_structures, n_features)

        Returns
        -------
        latent : ndarray of shape (n_atoms_total, n_latent)
            Zero outside the columns of the species, if each has coefficients of its own.
        """
        check_is_fitted(self)
        X = self.check_features(X, reset=False)
        return self.latent_pushforward(X.values, X.numbers, X.values)

    def latent_pushforward(self, values, numbers, v) -> np.ndarray:
        """Carry changes of features on to the latent features.

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
        columns = np.zeros((len(v), self._n_blocks, v.shape[1]))
        columns[np.arange(len(v)), self._block_of(numbers)] = v
        return columns.reshape(len(v), -1)

    def _std(self, rows: np.ndarray, noise) -> np.ndarray:
        """Give deviations of labels, with noise relative to that of an atom's energy."""
        return np.sqrt(self.noise_variance_ * (noise + spread(self._factor, rows)))

    # -- rows --------------------------------------------------------------------------

    def _energy_rows(self, X: AtomFeatures) -> np.ndarray:
        """Sum the features over the atoms of each block of coefficients."""
        block = self._block_of(X.numbers)
        return np.hstack(
            [
                sum_atoms(np.where(block[:, None] == k, X.values, 0.0), X.offsets)
                for k in range(self._n_blocks)
            ]
        )

    def _derivative_design(self, block: DerivativeRows) -> np.ndarray:
        """Rows of forces and virials; energies of species have no part in them."""
        from skatom.models._algebra.row_loops import add_rows

        design = np.zeros((block.n_targets, self._n_columns))
        blocks = self._block_of(block.features.numbers)[block.centers]
        first = self._n_columns + (blocks - self._n_blocks) * self._width
        add_rows(block.targets, first, block.rows, design)
        return design

    def _check_state(self) -> None:
        """Refuse a model file whose coefficients are not those of the elements."""
        super()._check_state()
        if hasattr(self, "coef_") and (
            np.shape(np.atleast_2d(self.coef_)) != (self._n_blocks, self._width)
            or np.size(self.intercept_) != len(self.numbers_)
        ):
            raise StateError("the coefficients are not those of the elements")

    def compute_atoms(self, X: AtomFeatures) -> np.ndarray:
        """Apply the coefficients of the species."""
        energies = np.einsum("nf,nf->n", X.values, self._coef_of(X))
        kinds = np.searchsorted(self.numbers_, X.numbers)
        return self._shared(energies + np.atleast_1d(self.intercept_)[kinds], X)

    def compute_gradient(self, X: AtomFeatures) -> np.ndarray:
        """Give the coefficients of the species."""
        return self._shared(self._coef_of(X), X)

    def _coef_of(self, X: AtomFeatures) -> np.ndarray:
        return np.atleast_2d(self.coef_)[self._block_of(X.numbers)]

    @property
    def _width(self) -> int:
        return self.n_atom_features_

    @property
    def _n_columns(self) -> int:
        """Energies of species and coefficients."""
        return self._n_species + self._n_blocks * self._width

    @property
    def _n_species(self) -> int:
        """Number of energies of species that are fitted."""
        return len(self.numbers_) if self._fit_intercept else 0

    @property
    def _n_blocks(self) -> int:
        return len(self.numbers_) if self._by_species else 1

    def _block_of(self, numbers: np.ndarray) -> np.ndarray:
        """Which row of coefficients an atom uses."""
        if not self._by_species:
            return np.zeros(len(numbers), dtype=np.int64)
        return np.searchsorted(self.numbers_, numbers)

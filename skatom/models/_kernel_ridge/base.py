"""Base of kernel ridge models: training set, predictions and their gradients."""

from __future__ import annotations

import numpy as np

from skatom.features import AtomFeatures
from skatom.models._kernel_ridge.make_kernel import make_kernel
from skatom.models._kernel_ridge.rows_against_references import References
from skatom.models._kernels.expansions import Expansion
from skatom.models._kernels.of_atoms import AtomKernel
from skatom.models._labelled.sum_or_mean import SumOrMean
from skatom.models._labelled.training_set import TrainingSet, training_set


class KernelModel(SumOrMean):
    """Sum of kernels, and of their derivatives, at reference atoms.

    A subclass stores the parameters that are read here and sets ``kernel_``.
    """

    _states = (AtomKernel,)

    def _read(self, X, y, sample_weight, forces, stress) -> TrainingSet:
        """Check and read what to fit; y as totals of structures."""
        self._plain = not isinstance(X, AtomFeatures)
        X = self.check_features(X, reset=True)
        self._declare()
        return training_set(self, X, y, sample_weight, forces, stress)

    def _above_baseline(self, given: TrainingSet) -> TrainingSet:
        """Fit energies of species, and subtract them."""
        self.baseline_ = np.zeros(len(self.numbers_))
        if self._has_baseline():
            self.baseline_ = given.baseline(self.numbers_)
        return given.above(self.baseline_, self.numbers_)

    def _has_baseline(self) -> bool:
        return self.baseline is not None and not self._plain

    def _make_kernel(self, given: TrainingSet, kernel, gamma) -> AtomKernel:
        made = make_kernel(
            kernel, gamma, float(self.degree), float(self.coef0),
            self.species_coupling, given.X, given.samples,
        )  # fmt: skip
        if given.labels is not None and not made.function.smooth:
            raise ValueError(
                f"The kernel {kernel!r} has a kink and no second derivative, so "
                "forces and stress cannot be trained with it: choose kernel='matern32' "
                "or 'rbf', or forces=None."
            )
        return made

    def _keep(
        self,
        given: TrainingSet,
        references: References,
        coef: np.ndarray,
        slopes: np.ndarray | None,
    ) -> None:
        """Store references, and slopes in the units of the features."""
        self.dual_coef_ = coef
        numbers = references.numbers
        self.references_ = given.X.values[references.atoms]
        self.reference_numbers_, self.reference_atoms_ = numbers, references.atoms
        self.dual_slopes_ = (
            None if slopes is None else self.kernel_.unscaled(slopes, numbers)
        )

    def compute_atoms(self, X: AtomFeatures) -> np.ndarray:
        """Sum kernels over the references."""
        values = self._expansion().values(self.kernel_.scale_features(X))
        return self._shared(self._baseline_of(X) + values, X)

    def compute_gradient(self, X: AtomFeatures) -> np.ndarray:
        """Sum slopes of kernels over the references."""
        return self.compute_with_gradient(X)[1]

    def compute_with_gradient(self, X: AtomFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Sum kernels and their slopes."""
        scaled = self.kernel_.scale_features(X)
        values, gradient = self._expansion().with_gradient(scaled)
        # the derivative by what is scaled, times the scale
        gradient = self.kernel_.scaled(gradient, X.numbers)
        values = self._baseline_of(X) + values
        return self._shared(values, X), self._shared(gradient, X)

    def _expansion(self) -> Expansion:
        kernel, numbers = self.kernel_, self.reference_numbers_
        slopes = self.dual_slopes_
        return Expansion(
            kernel.scaled(self.references_, numbers),
            numbers,
            self.dual_coef_,
            None if slopes is None else kernel.scaled(slopes, numbers),
            kernel,
        )

    def _baseline_of(self, X: AtomFeatures) -> np.ndarray:
        return self.baseline_[np.searchsorted(self.numbers_, X.numbers)]

"""What kernel models share: reading the training set, predictions, their slopes."""

from __future__ import annotations

import numpy as np

from skatom.base import AtomicRegressor
from skatom.features import AtomFeatures
from skatom.models._kernel_ridge.make_kernel import make_kernel
from skatom.models._kernel_ridge.rows_against_references import References
from skatom.models._kernels.of_atoms import AtomKernel
from skatom.models._labelled.derivative_rows import CHUNK_BYTES
from skatom.models._labelled.training_set import TrainingSet, training_set


class KernelModel(AtomicRegressor):
    """Sum of kernels, and of their derivatives, at reference atoms.

    A subclass stores the parameters that are read here and sets ``kernel_``.
    """

    _states = (AtomKernel,)

    def _read(self, X, y, sample_weight, forces, stress) -> TrainingSet:
        """Check and read what to fit; y as totals of structures."""
        self._plain = not isinstance(X, AtomFeatures)
        X = self.check_features(X, reset=True)
        mean = self.aggregation == "mean"
        if mean and (forces is not None or stress is not None):
            raise ValueError(
                "A mean over atoms has no forces and no stress: leave them out, or "
                "set aggregation='sum'."
            )
        given = training_set(self, X, y, sample_weight, forces, stress, slopes=not mean)
        return given.as_means() if mean else given

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
        energies = self.baseline_[np.searchsorted(self.numbers_, X.numbers)]
        values = self.kernel_.scaled(X.values, X.numbers)
        for atoms, factor, expansion in self._parts(X):
            part = self.kernel_.function.expansion(values[atoms], *expansion)
            energies[atoms] += factor * part
        return energies / self._shares(X)

    def compute_gradient(self, X: AtomFeatures) -> np.ndarray:
        """Sum slopes of kernels over the references."""
        return self.compute_with_gradient(X)[1]

    def compute_with_gradient(self, X: AtomFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Sum kernels and their slopes."""
        energies = self.baseline_[np.searchsorted(self.numbers_, X.numbers)]
        values = self.kernel_.scaled(X.values, X.numbers)
        gradient = np.zeros_like(values)
        function = self.kernel_.function
        for atoms, factor, expansion in self._parts(X):
            found, slope = function.expansion_with_gradient(values[atoms], *expansion)
            energies[atoms] += factor * found
            gradient[atoms] += factor * slope
        # the derivative by what is scaled, times the scale
        gradient = self.kernel_.scaled(gradient, X.numbers)
        shares = self._shares(X)
        return energies / shares, gradient / shares[:, None]

    def _shares(self, X: AtomFeatures) -> np.ndarray:
        """How many atoms share a mean, for each atom; one for sums."""
        if self.aggregation == "sum":
            return np.ones(1)
        return X.n_atoms[X.structure_index].astype(np.float64)

    def _parts(self, X: AtomFeatures):
        """Atoms of one species, not too many at a time, and references coupled to it."""
        references = self._references()
        slopes = self.dual_slopes_
        if slopes is not None:
            slopes = self.kernel_.scaled(slopes, references.numbers)
        for number in np.unique(X.numbers):
            atoms = np.flatnonzero(X.numbers == number)
            for at, factor in references.coupled(number):
                expansion = (
                    references.values[at],
                    self.dual_coef_[at],
                    None if slopes is None else slopes[at],
                )
                step = max(1, CHUNK_BYTES // (8 * (at.stop - at.start)))
                for start in range(0, len(atoms), step):
                    yield atoms[start : start + step], factor, expansion

    def _references(self) -> References:
        values = self.kernel_.scaled(self.references_, self.reference_numbers_)
        return References(
            self.reference_atoms_, values, self.reference_numbers_, self.kernel_
        )

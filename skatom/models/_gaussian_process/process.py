"""The fitted process: what it has seen, with which hyperparameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from skatom._runtime.state import State
from skatom.features import AtomFeatures
from skatom.models._gaussian_process.data import Seen, batches, collect
from skatom.models._gaussian_process.hyperparameters import Hyperparameters
from skatom.models._gaussian_process.iterative import (
    IterativePosterior,
    condition_iteratively,
)
from skatom.models._gaussian_process.likelihood import Likelihood
from skatom.models._gaussian_process.posterior import (
    Posterior,
    condition,
    extend,
    left_out,
)
from skatom.models._gaussian_process.projected import (
    ProjectedPosterior,
    condition_projected,
)
from skatom.models._gaussian_process.variance import (
    atom_variance,
    energy_covariance,
    energy_variance,
    force_variance,
)
from skatom.models._kernels.expansions import Expansion
from skatom.models._labelled.training_set import TrainingSet

# Labels that a sparse process takes in at a time.
BATCH_LABELS = 2048


@dataclass(frozen=True)
class Process(State):
    """Posterior of the latent functions, and the atoms it was learned on.

    Attributes
    ----------
    hyperparameters : Hyperparameters
    posterior : Posterior, IterativePosterior or ProjectedPosterior
    points : ndarray of shape (n_atoms, n_features)
        Features of the training atoms, or those of the inducing structures.
    numbers : ndarray of int, shape (n_atoms,)
        Their atomic numbers.
    means : bool
        Whether labels of structures are means over atoms.
    """

    _name = "process"
    _states = (Hyperparameters, Posterior, IterativePosterior, ProjectedPosterior)

    hyperparameters: Hyperparameters
    posterior: Posterior | IterativePosterior | ProjectedPosterior
    points: np.ndarray
    numbers: np.ndarray
    means: bool = False

    @classmethod
    def dense(cls, given: TrainingSet, at: Hyperparameters):
        """Learn from a first batch of labels by one factorisation."""
        posterior = condition(collect(given, at.blocks), at.kernel, at.noise)
        return cls(at, posterior, given.X.values, given.X.numbers, given.means)

    @classmethod
    def iterative(
        cls, given: TrainingSet, some: np.ndarray, at: Hyperparameters, **options
    ):
        """Learn by iteration, some structures inducing; see `condition_iteratively`."""
        seen, inducing = (
            collect(part, at.blocks) for part in (given, given.take(some))
        )
        posterior = condition_iteratively(
            seen, inducing, at.kernel, at.noise, **options
        )
        return cls(at, posterior, given.X.values, given.X.numbers, given.means)

    @classmethod
    def sparse(cls, given: TrainingSet, some: np.ndarray, at: Hyperparameters):
        """Learn from all labels in the span of those of some structures."""
        inducing = given.take(some)
        posterior = condition_projected(
            collect(inducing, at.blocks), _seen(given, at), at.kernel, at.noise
        )
        points = inducing.X.values, inducing.X.numbers
        return cls(at, posterior, *points, given.means)

    def extended(self, given: TrainingSet) -> Process:
        """Learn from another batch."""
        at = self.hyperparameters
        if isinstance(self.posterior, ProjectedPosterior):
            posterior = self.posterior.extended(_seen(given, at), at.kernel, at.noise)
            return replace(self, posterior=posterior)
        seen = collect(given, at.blocks)
        return replace(
            self,
            posterior=extend(self.posterior, seen, at.kernel, at.noise),
            points=np.concatenate([self.points, given.X.values]),
            numbers=np.concatenate([self.numbers, given.X.numbers]),
        )

    def log_likelihood(self, at: Hyperparameters, *, gradient: bool) -> Likelihood:
        """Likelihood of all labels, and its derivatives, at other hyperparameters."""
        if isinstance(self.posterior, ProjectedPosterior):
            raise ValueError(
                "A sparse model does not keep its labels: their likelihood is known at "
                "its own hyperparameters (log_marginal_likelihood_value_), or use "
                "solver='dense'."
            )
        return at.log_likelihood(self.posterior.batches, gradient=gradient)

    def expansion(self) -> Expansion:
        """Give the mean as kernels and slopes at the training atoms."""
        n_features = self.points.shape[1]
        found = self.posterior.expansions()
        coef = np.concatenate([c for c, _ in found])
        slopes = None
        if any(s is not None for _, s in found):
            slopes = np.concatenate(
                [np.zeros((len(c), n_features)) if s is None else s for c, s in found]
            )
        order = np.argsort(self.numbers, kind="stable")
        return Expansion(
            self.points[order],
            self.numbers[order],
            coef[order],
            None if slopes is None else slopes[order],
            self.hyperparameters.kernel,
        )

    def left_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Give residuals of energies and force components of structures left out."""
        if not isinstance(self.posterior, Posterior):
            raise ValueError(
                "Errors of structures left out need the factored matrix of all labels: "
                "use solver='dense'."
            )
        residuals = left_out(self.posterior)
        energies, forces, start = [], [], 0
        for batch in self.posterior.batches:
            own = residuals[start : start + len(batch.targets)]
            start += len(own)
            n = batch.functions[0].n_energies - batch.first
            samples = np.sqrt(batch.weights)
            scale = samples if self.means else batch.functions[0].energy_scale
            energies.append(own[:n] / scale[:n])
            forces.append((own / samples)[batch.is_force])
        return np.concatenate(energies), np.concatenate(forces)

    def energy_std(self, X: AtomFeatures) -> np.ndarray:
        """Give standard deviations of energies, or of means, (n_structures,)."""
        at = self.hyperparameters
        variances = energy_variance(X, self.posterior, at.kernel)
        if self.means:
            return np.sqrt(variances / X.n_atoms**2 + at.noise[0])
        return np.sqrt(variances + at.noise[0] * X.n_atoms)

    def energy_covariance(self, X: AtomFeatures) -> np.ndarray:
        """Give the covariance of energies, (n_structures, n_structures)."""
        at = self.hyperparameters
        cov = energy_covariance(X, self.posterior, at.kernel)
        if self.means:
            cov = cov / np.outer(X.n_atoms, X.n_atoms)
            return cov + at.noise[0] * np.eye(len(X))
        return cov + np.diag(at.noise[0] * X.n_atoms)

    def atom_std(self, X: AtomFeatures) -> np.ndarray:
        """Give standard deviations of what atoms contribute, (n_atoms_total,)."""
        at = self.hyperparameters
        variances, noise = atom_variance(X, self.posterior, at.kernel), at.noise[0]
        if self.means:  # noise of contributions adds up to that of a mean
            n_atoms = X.n_atoms[X.structure_index]
            return np.sqrt(variances / n_atoms**2 + noise / n_atoms)
        return np.sqrt(variances + noise)

    def forces_std(self, X: AtomFeatures) -> np.ndarray:
        """Give standard deviations of force components, (n_atoms_total, 3)."""
        at = self.hyperparameters
        return np.sqrt(force_variance(X, self.posterior, at.kernel) + at.noise[1])


def appends_labels(model) -> bool:
    """Refuse partial_fit of a process that is, or will be, solved by iteration.

    Raises
    ------
    AttributeError
        So that the model counts as one without that method.
    """
    iterative = model.solver == "iterative"
    if hasattr(model, "_process"):
        iterative = isinstance(model._process.posterior, IterativePosterior)
    if iterative:
        raise AttributeError(
            "partial_fit appends to a factored matrix, and this model is solved by "
            "iteration: fit to all structures again, or use solver='dense' or 'sparse'."
        )
    return True


def _seen(given: TrainingSet, at: Hyperparameters) -> Iterator[Seen]:
    """Labels, a few structures at a time."""
    for batch in batches(given, BATCH_LABELS):
        yield collect(batch, at.blocks)

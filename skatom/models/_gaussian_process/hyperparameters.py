"""Where the hyperparameters of the process come from."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skatom.features import AtomFeatures
from skatom.models._gaussian_process.data import Seen, collect, take_labels
from skatom.models._gaussian_process.likelihood import (
    log_likelihood,
    maximise,
    warn_of_bounds,
)
from skatom.models._gaussian_process.posterior import condition
from skatom.models._kernel.functions import Hyperparameter
from skatom.models._kernel.named import Kernel
from skatom.structures import Labels

NAMES = ("variance", "length_scale", "noise_energy", "noise_forces")
# length_scale="scale" is this times the typical distance from the mean of a species.
SCALE = 50.0**0.5
# length_scale_bounds="auto" is "scale" over and times this.
AUTO_RANGE = 100.0


@dataclass(frozen=True)
class Hyperparameters:
    """Values and bounds, and which of them are held.

    Attributes
    ----------
    name : str
        Of the kernel.
    values : ndarray of shape (4,)
        Variance, length scale, and standard deviations of the noise of the energy of an
        atom and of a force component.
    bounds : ndarray of shape (4, 2)
    free : ndarray of bool, shape (4,)
    """

    name: str
    values: np.ndarray
    bounds: np.ndarray
    free: np.ndarray

    @property
    def kernel(self) -> Kernel:
        """The kernel with these numbers, variance and length free."""
        free = Hyperparameter("variance", np.nan), Hyperparameter("length", np.nan)
        variance, length = self.values[:2]
        gamma = 0.5 / length**2
        return Kernel(self.name, gamma, variance=variance, free=free)

    @property
    def noise(self) -> np.ndarray:
        """Variances of the noise, shape (2,)."""
        return self.values[2:] ** 2

    @property
    def theta(self) -> np.ndarray:
        """Logarithms of the free ones; of noise, of its variance."""
        return np.log(self.values**POWERS)[self.free]

    @property
    def theta_bounds(self) -> np.ndarray:
        """Bounds of theta, (n_free, 2)."""
        return np.log(self.bounds ** POWERS[:, None])[self.free]

    @property
    def names(self) -> list[str]:
        """Names of the free ones."""
        return [name for name, free in zip(NAMES, self.free) if free]

    def with_theta(self, theta: np.ndarray) -> Hyperparameters:
        """Replace the free ones."""
        values = self.values.copy()
        values[self.free] = np.exp(theta / POWERS[self.free])
        return self.with_values(values)

    def with_values(self, values: np.ndarray) -> Hyperparameters:
        """Replace all."""
        return replace(self, values=values)

    def log_likelihood(
        self, batches: list[Seen], *, gradient: bool
    ) -> tuple[float, np.ndarray | None]:
        """Likelihood of labels, and its gradient by theta."""
        value, slope = log_likelihood(
            batches, self.kernel, self.noise, gradient=gradient
        )
        return value, (slope[self.free] if gradient else None)


# Noise is a standard deviation to users and a variance to the likelihood.
POWERS = np.array([1.0, 1.0, 2.0, 2.0])


def begin(params: dict, scale: float) -> Hyperparameters:
    """Read the parameters of the estimator.

    Parameters
    ----------
    params : dict
        With a value and bounds for every name in NAMES; the variance "scale" is 1 for now.
    scale : float
        What the length scale "scale" is.

    Raises
    ------
    ValueError
        If bounds are not two ascending positive numbers.
    """
    numbers, ranges, free = [], [], []
    for name in NAMES:
        value, bound = params[name], params[f"{name}_bounds"]
        held = isinstance(bound, str) and bound == "fixed"
        if isinstance(value, str):
            value = scale if name == "length_scale" else 1.0
        if held:
            bound = (value, value)
        elif isinstance(bound, str):
            bound = (scale / AUTO_RANGE, scale * AUTO_RANGE)
        bound = np.asarray(bound, dtype=np.float64)
        if bound.shape != (2,) or not 0 < bound[0] <= bound[1] < np.inf:
            raise ValueError(
                f"{name}_bounds must be two positive numbers, the smaller first, or "
                f"'fixed'; got {bound!r}."
            )
        numbers.append(np.clip(value, *bound))
        ranges.append(bound)
        free.append(not held)
    return Hyperparameters(
        params["kernel"], np.array(numbers), np.array(ranges), np.array(free)
    )


def choose(
    X: AtomFeatures,
    y: np.ndarray,
    labels: Labels | None,
    samples: np.ndarray,
    params: dict,
    rng: np.random.RandomState,
) -> Hyperparameters:
    """Choose hyperparameters for labels of which there may be many.

    Parameters
    ----------
    X : AtomFeatures
    y : ndarray of shape (n_structures,)
        Energies, baseline subtracted.
    labels : Labels or None
    samples : ndarray of shape (n_structures,)
    params : dict
        Parameters of the estimator.
    rng : RandomState
    """
    start = begin(params, typical_length(X, samples))
    energies, scale_variance = params["energies"], params["variance"] == "scale"
    search = params["optimizer"] is not None and start.free.any()
    if not (search or scale_variance):
        return start
    sizes = np.full(len(X), int(energies))
    if labels is not None:
        sizes += 3 * X.n_atoms * labels.has_forces + 6 * labels.has_stress
    keep = _draw(sizes, params["max_likelihood_labels"], rng)
    seen = collect(
        X[keep], y[keep], take_labels(labels, X, keep), samples[keep], energies
    )
    if scale_variance:
        values = start.values.copy()
        values[0] = np.clip(_likeliest_variance(seen, start), *start.bounds[0])
        start = start.with_values(values)
    if not search:
        return start
    if not seen.is_force.any():
        start = replace(start, free=start.free & [True, True, True, False])
    return _search(seen, start, params["n_restarts"], rng)


def _likeliest_variance(seen: Seen, start: Hyperparameters) -> float:
    """Variance of largest likelihood if the noise were to grow along with it."""
    unit = start.with_values(np.array([1.0, *start.values[1:]]))
    n_seen = seen.weights.sum()
    size = max(float(seen.targets @ seen.targets) / n_seen, np.finfo(float).tiny)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        known = condition(seen, unit.kernel, np.maximum(unit.noise / size, 1e-10))
    return max(float(seen.targets @ known.dual()) / n_seen, 1e-300)


def _search(
    seen: Seen, start: Hyperparameters, n_restarts: int, rng: np.random.RandomState
) -> Hyperparameters:
    """Choose the free ones by the likelihood of labels."""

    def function(theta):
        return start.with_theta(theta).log_likelihood([seen], gradient=True)

    theta = maximise(function, start.theta, start.theta_bounds, n_restarts, rng)
    best = start.with_theta(theta)
    warn_of_bounds(best.names, best.values[best.free], best.bounds[best.free])
    return best


def _draw(sizes: np.ndarray, limit: int, rng: np.random.RandomState) -> np.ndarray:
    """Draw structures until they have about so many labels; all where they have fewer."""
    if sizes.sum() <= limit:
        return np.arange(len(sizes))
    order = rng.permutation(len(sizes))
    n = max(1, int(np.searchsorted(np.cumsum(sizes[order]), limit, side="right")))
    return np.sort(order[:n])


def typical_length(X: AtomFeatures, samples: np.ndarray) -> float:
    """Length scale in terms of the spread of features within species."""
    weights = samples[X.structure_index]
    total = 0.0
    for number in np.unique(X.numbers):
        of_kind = X.numbers == number
        values, w = X.values[of_kind], weights[of_kind]
        mean = np.average(values, axis=0, weights=w)
        total += w @ np.sum((values - mean) ** 2, axis=1)
    return float(SCALE * np.sqrt(total / weights.sum())) if total > 0 else 1.0

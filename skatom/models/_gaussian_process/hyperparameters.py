"""Hyperparameters of a Gaussian process: values, bounds and their choice."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process.kernels import Kernel as StockKernel

from skatom._runtime.progress import Progress
from skatom._runtime.state import State
from skatom.features import AtomFeatures
from skatom.models._gaussian_process.blocks import BlockKernel, Blocks
from skatom.models._gaussian_process.data import Seen, collect, label_sizes
from skatom.models._gaussian_process.likelihood import (
    MAX_EVALUATIONS,
    Likelihood,
    log_likelihood,
    maximise,
    warn_of_bounds,
)
from skatom.models._gaussian_process.posterior import condition
from skatom.models._kernels.from_sklearn import from_sklearn
from skatom.models._kernels.functions import Hyperparameter
from skatom.models._kernels.named import Kernel
from skatom.models._labelled.training_set import TrainingSet

NAMES = ("variance", "length_scale", "noise_energy", "noise_forces")
# length_scale="scale" is this times the typical distance from the mean of a species.
SCALE = 50.0**0.5
# length_scale_bounds="auto" is "scale" over and times this.
AUTO_RANGE = 100.0
# noise_energy="auto" is this share of the standard deviation of the functions, as alpha of
# kernel ridge is 1e-7, where energies alone are trained on; elsewhere a number in eV.
NOISE_SHARE, NOISE_ENERGY = 1e-7**0.5, 1e-3
NOISE_RANGE = (1e-5, 1e1)


# What parameters that are a word begin with, but for lengths.
AUTO_VALUES = {"variance": 1.0, "noise_energy": NOISE_ENERGY}


@dataclass(frozen=True)
class Hyperparameters(State):
    """Values and bounds, and which of them are held.

    Attributes
    ----------
    name : str
        Of the kernel.
    shape : float
        Its degree, alpha or nu.
    blocks : Blocks
        Of features and species, with m kernels.
    values : ndarray of shape (2 m + 2,)
        Variances, length scales, and standard deviations of the noise of the energy of
        an atom and of a force component.
    bounds : ndarray of shape (2 m + 2, 2)
    free : ndarray of bool, shape (2 m + 2,)
    """

    _name = "hyperparameters of a process"
    _states = (Blocks,)

    name: str
    shape: float
    blocks: Blocks
    values: np.ndarray
    bounds: np.ndarray
    free: np.ndarray

    @property
    def variances(self) -> np.ndarray:
        """Factors of the kernels."""
        return self.values[: len(self.blocks)]

    @property
    def lengths(self) -> np.ndarray:
        """Length scales of the kernels."""
        return self.values[len(self.blocks) : -2]

    @property
    def kernel(self) -> BlockKernel:
        """The kernel with these numbers, variances and lengths free."""
        free = Hyperparameter("variance", np.nan), Hyperparameter("length", np.nan)
        kernels = [
            Kernel(self.name, 0.5 / length**2, self.shape, variance=variance, free=free)
            for variance, length in zip(self.variances, self.lengths)
        ]
        return BlockKernel(tuple(kernels), self.blocks)

    @property
    def noise(self) -> np.ndarray:
        """Variances of the noise, shape (2,)."""
        return self.values[-2:] ** 2

    @property
    def theta(self) -> np.ndarray:
        """Logarithms of the free ones; of noise, of its variance."""
        return (self._powers * np.log(self.values))[self.free]

    @property
    def theta_bounds(self) -> np.ndarray:
        """Bounds of theta, (n_free, 2)."""
        return (self._powers[:, None] * np.log(self.bounds))[self.free]

    @property
    def names(self) -> list[str]:
        """Names of all."""
        return [*np.repeat(NAMES[:2], len(self.blocks)).tolist(), *NAMES[2:]]

    @property
    def _powers(self) -> np.ndarray:
        # noise is a standard deviation to users and a variance to the likelihood
        return np.repeat([1.0, 2.0], [2 * len(self.blocks), 2])

    def with_theta(self, theta: np.ndarray) -> Hyperparameters:
        """Replace the free ones."""
        values = self.values.copy()
        values[self.free] = np.exp(theta / self._powers[self.free])
        return replace(self, values=values)

    def with_variance(self, factor: float) -> Hyperparameters:
        """Multiply the variances, within their bounds."""
        m = len(self.blocks)
        values = self.values.copy()
        values[:m] = np.clip(values[:m] * factor, *self.bounds[:m].T)
        return replace(self, values=values)

    def log_likelihood(self, batches: list[Seen], *, gradient: bool) -> Likelihood:
        """Likelihood of labels, and its derivatives by theta."""
        found = log_likelihood(batches, self.kernel, self.noise, gradient=gradient)
        return found.of(self.free)


def begin(params: dict, blocks: Blocks, scales: np.ndarray) -> Hyperparameters:
    """Read the parameters of the estimator.

    Parameters
    ----------
    params : dict
        With a value and bounds for every name in NAMES; the variance "scale" is 1 for now.
    blocks : Blocks
        Of features and species.
    scales : ndarray of shape (n_kernels,)
        What the length scale "scale" is.

    Raises
    ------
    ValueError
        If bounds are not two ascending positive numbers, there is not one number for
        every kernel, or the kernel has no two derivatives.
    """
    kernel, shape = _kernel(params["kernel"])
    numbers, ranges, free = [], [], []
    for name in NAMES:
        n = len(scales) if name in NAMES[:2] else 1
        for k, value in enumerate(_numbers(params, name, n)):
            bound = params[f"{name}_bounds"]
            held = isinstance(bound, str) and bound == "fixed"
            if isinstance(value, str):
                value = scales[k] if name == "length_scale" else AUTO_VALUES[name]
            if held:
                bound = (value, value)
            elif isinstance(bound, str) and name == "length_scale":
                bound = (scales[k] / AUTO_RANGE, scales[k] * AUTO_RANGE)
            elif isinstance(bound, str):
                bound = NOISE_RANGE
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
        kernel, shape, blocks, np.array(numbers), np.array(ranges), np.array(free)
    )


def _kernel(kernel: str | StockKernel) -> tuple[str, float]:
    """Give the name of a kernel and its shape."""
    if isinstance(kernel, str):
        return kernel, 3.0
    leaf = from_sklearn(kernel).function
    if not leaf.smooth:
        raise ValueError(
            f"The kernel {kernel!r} has no two derivatives, which forces need: choose nu "
            "larger than 1."
        )
    return leaf.name, leaf.degree


def _numbers(params: dict, name: str, n: int) -> list:
    """Give one value a kernel."""
    value = params[name]
    if isinstance(value, str) or np.ndim(value) == 0:
        return [value] * n
    if len(value) != n or not all(v > 0 for v in value):
        raise ValueError(
            f"{name} must be one positive number, or one for each of the {n} "
            f"kernels (of featurizers, each of species); got {value!r}."
        )
    return [float(v) for v in value]


def choose(
    given: TrainingSet, params: dict, blocks: Blocks, rng: np.random.RandomState
) -> Hyperparameters:
    """Choose hyperparameters for labels of which there may be many.

    Parameters
    ----------
    given : TrainingSet
    params : dict
        Parameters of the estimator.
    blocks : Blocks
        Of features and species.
    rng : RandomState
    """
    scales = typical_lengths(given.X, given.samples, blocks)
    start, optimizer = begin(params, blocks, scales), params["optimizer"]
    scale_variance = isinstance(params["variance"], str)
    alone = given.labels is None and given.X.structures is not None
    if alone and optimizer is not None:
        start = _held(start, params)
    if not scale_variance and (optimizer is None or not start.free.any()):
        return start
    keep = draw(label_sizes(given), params["max_likelihood_labels"], rng)
    seen = collect(given.take(keep), blocks)
    held = alone and optimizer is not None and not start.free[len(blocks) :].any()
    if held and scale_variance:
        return _of_kernel_ridge(seen, start, params)
    if not seen.is_force.any():  # the noise of forces is of no account
        start = replace(start, free=np.append(start.free[:-1], False))
    if scale_variance:
        start = start.with_variance(_likeliest_variance(seen, start))
    if optimizer is None or not start.free.any():
        return start
    n_most = MAX_EVALUATIONS * (1 + params["n_restarts"])
    shown = bool(params["verbose"])
    with Progress("hyperparameters, at most", n_most, "evaluations", shown) as progress:
        return _search(seen, start, params["n_restarts"], rng, progress)


def _held(start: Hyperparameters, params: dict) -> Hyperparameters:
    """Hold what totals of structures alone cannot tell, unless its bounds are given.

    A total says one number of a sum of functions of atoms: of dozens, the likelihood makes
    noise, or lengths at their bounds.
    """
    m, free = len(start.blocks), start.free.copy()
    if isinstance(params["length_scale_bounds"], str):
        free[m:-2] = False
    if isinstance(params["noise_energy_bounds"], str):
        free[-2] = False
    free[-1] = False  # the noise of forces is of no account
    return replace(start, free=free)


def _of_kernel_ridge(
    seen: Seen, start: Hyperparameters, params: dict
) -> Hyperparameters:
    """Choose the likeliest variance, with noise in proportion where it is "auto"."""
    if not isinstance(params["noise_energy"], str):
        return start.with_variance(_likeliest_variance(seen, start))
    share = np.full(2, NOISE_SHARE**2)
    found = start.with_variance(_likeliest_variance(seen, start, share))
    values = found.values.copy()
    noise = NOISE_SHARE * np.sqrt(found.variances.max())
    values[-2] = np.clip(noise, *found.bounds[-2])
    return replace(found, values=values)


def _likeliest_variance(
    seen: Seen, start: Hyperparameters, share: np.ndarray | None = None
) -> float:
    """Factor of all variances of largest likelihood, were noise to grow along with it.

    Parameters
    ----------
    seen : Seen
    start : Hyperparameters
    share : ndarray of shape (2,), optional
        Variances of noise for a factor of 1; those at the beginning over the mean square
        of the labels if None.
    """
    n_seen = seen.weights.sum()
    if share is None:
        size = max(float(seen.targets @ seen.targets) / n_seen, np.finfo(float).tiny)
        share = np.maximum(start.noise / size, 1e-10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        known = condition(seen, start.kernel, share)
    return max(float(seen.targets @ known.dual()) / n_seen, 1e-300)


def _search(
    seen: Seen,
    start: Hyperparameters,
    n_restarts: int,
    rng: np.random.RandomState,
    progress: Progress,
) -> Hyperparameters:
    """Choose the free ones by the likelihood of labels."""
    n = seen.weights.sum()

    def function(theta):
        found = start.with_theta(theta).log_likelihood([seen], gradient=True)
        progress.advance()
        return found

    theta = maximise(function, start.theta, start.theta_bounds, n_restarts, rng, n)
    best = start.with_theta(theta)
    names = [name for name, free in zip(best.names, best.free) if free]
    warn_of_bounds(names, best.values[best.free], best.bounds[best.free])
    return best


def draw(sizes: np.ndarray, limit: int, rng: np.random.RandomState) -> np.ndarray:
    """Draw structures until they have about so many labels; all where they have fewer."""
    if sizes.sum() <= limit:
        return np.arange(len(sizes))
    order = rng.permutation(len(sizes))
    n = max(1, int(np.searchsorted(np.cumsum(sizes[order]), limit, side="right")))
    return np.sort(order[:n])


def draw_inducing(
    given: TrainingSet, limit: int, rng: np.random.RandomState
) -> np.ndarray:
    """Draw structures in this way, and one more for every species that none has."""
    some = draw(label_sizes(given), limit, rng)
    X, members = given.X, [some]
    seen = np.isin(X.structure_index, some)
    for number in np.setdiff1d(X.numbers, X.numbers[seen]):
        members.append(X.structure_index[X.numbers == number][:1])
    return np.unique(np.concatenate(members))


def typical_lengths(X: AtomFeatures, samples: np.ndarray, blocks: Blocks) -> np.ndarray:
    """Length scales of kernels in terms of the spread of features within species."""
    weights = samples[X.structure_index]
    numbers = np.unique(X.numbers) if blocks.numbers is None else blocks.numbers
    spread = np.zeros((len(numbers), X.values.shape[1]))
    counts = np.zeros(len(numbers))
    for k, number in enumerate(numbers):
        of_kind = X.numbers == number
        values, w = X.values[of_kind], weights[of_kind]
        counts[k] = w.sum()
        if counts[k] > 0:
            spread[k] = w @ (values - np.average(values, axis=0, weights=w)) ** 2
    if blocks.numbers is None:
        spread, counts = spread.sum(axis=0)[None], counts.sum()[None]
    totals = np.add.reduceat(spread, blocks.edges[:-1], axis=1).T
    totals = (totals / np.maximum(counts, 1e-300)).ravel()
    return np.where(totals > 0, SCALE * np.sqrt(totals), 1.0)

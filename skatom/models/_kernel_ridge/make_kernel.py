"""From the parameters of a model and its training features to the kernel between atoms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from sklearn.gaussian_process.kernels import Kernel as StockKernel

from skatom._validation import closest
from skatom.features import AtomFeatures
from skatom.models._kernels.from_sklearn import from_sklearn
from skatom.models._kernels.functions import KernelFunction
from skatom.models._kernels.named import Kernel
from skatom.models._kernels.of_atoms import AtomKernel, check_coupling

# gamma="scale" is this over the variance within species, summed over features.
SCALE = 0.01


def make_kernel(
    kernel, gamma, degree, coef0, coupling, X: AtomFeatures, samples: np.ndarray
) -> AtomKernel:
    """Build the kernel between atoms.

    Parameters
    ----------
    kernel : str, KernelFunction or kernel object of scikit-learn
    gamma : None, "scale", "species", float, array-like of shape (n_features,), or mapping
        Of chemical symbols to numbers or arrays.
    degree, coef0 : float
    coupling : None, float or array-like of shape (n_species, n_species)
    X : AtomFeatures
        Of the training set.
    samples : ndarray of shape (n_structures,)
        Weights of the structures.

    Raises
    ------
    ValueError
        If gamma or the coupling do not fit the features, or the kernel is not known.
    """
    numbers = np.unique(X.numbers)
    kappa = check_coupling(coupling, len(numbers))
    if isinstance(kernel, KernelFunction):
        return AtomKernel(kernel, numbers, None, kappa)
    if isinstance(kernel, StockKernel):
        function, lengths = from_sklearn(kernel)
        scales = None if lengths is None else np.tile(1.0 / lengths, (len(numbers), 1))
        if lengths is not None:
            _check_width(len(lengths), X, "the kernel has lengths")
        return AtomKernel(function, numbers, scales, kappa)
    gammas = resolve_gamma(gamma, X, numbers, samples)
    if isinstance(gammas, float):
        return AtomKernel(Kernel(kernel, gammas, degree, coef0), numbers, None, kappa)
    scales = gammas if kernel == "laplacian" else np.sqrt(gammas)
    return AtomKernel(Kernel(kernel, 1.0, degree, coef0), numbers, scales, kappa)


def resolve_gamma(
    gamma, X: AtomFeatures, numbers: np.ndarray, samples: np.ndarray
) -> float | np.ndarray:
    """Give one number, or one row a species of shape (n_species, 1 or n_features)."""
    if gamma is None:
        return 1.0 / X.values.shape[1]
    if isinstance(gamma, str):
        variances, counts = _variances(X, numbers, samples)
        if gamma == "scale":
            total = variances @ counts
            return float(SCALE * counts.sum() / total) if total > 0 else 1.0
        typical = np.where(variances > 0, variances, 1.0)
        return np.where(variances > 0, SCALE / typical, 1.0)[:, None]
    if isinstance(gamma, Mapping):
        return np.vstack([_of_species(gamma, z, X) for z in numbers.tolist()])
    if np.ndim(gamma):
        row = _positive(np.asarray(gamma, dtype=np.float64), "gamma")
        _check_width(len(row), X, "gamma has entries")
        return np.tile(row, (len(numbers), 1))
    return float(gamma)


def _of_species(gamma: Mapping, number: int, X: AtomFeatures) -> np.ndarray:
    symbol = chemical_symbols[number]
    unknown = [name for name in gamma if name not in atomic_numbers]
    if unknown:
        raise ValueError(
            f"gamma names {unknown[0]!r}, which is no chemical symbol."
            + closest(str(unknown[0]), chemical_symbols[1:])
        )
    if symbol not in gamma:
        raise ValueError(
            f"gamma has no entry for {symbol}, which the training structures hold: give "
            "one for each of their species."
        )
    row = np.ravel(np.asarray(gamma[symbol], dtype=np.float64))
    _positive(row, f"gamma of {symbol}")
    if len(row) > 1:
        _check_width(len(row), X, f"gamma of {symbol} has entries")
    return np.broadcast_to(row, X.values.shape[1]) if _any_array(gamma) else row


def _any_array(gamma: Mapping) -> bool:
    return any(np.size(value) > 1 for value in gamma.values())


def _positive(row: np.ndarray, name: str) -> np.ndarray:
    if not (np.isfinite(row).all() and (row > 0).all()):
        raise ValueError(f"{name} must be positive and finite.")
    return row


def _check_width(width: int, X: AtomFeatures, what: str) -> None:
    n_features = X.values.shape[1]
    if width != n_features:
        raise ValueError(
            f"X has {n_features} features, but {what} for {width}: give one each, "
            "or one number for all."
        )


def _variances(
    X: AtomFeatures, numbers: np.ndarray, samples: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Variance of the features of every species, summed over features, and its weight."""
    weights = samples[X.structure_index]
    variances, counts = np.zeros(len(numbers)), np.zeros(len(numbers))
    for k, number in enumerate(numbers):
        mask = (X.numbers == number) & (weights > 0)
        if mask.any():
            values, w = X.values[mask], weights[mask]
            mean = np.average(values, axis=0, weights=w)
            counts[k] = w.sum()
            variances[k] = w @ np.sum((values - mean) ** 2, axis=1) / counts[k]
    return variances, counts

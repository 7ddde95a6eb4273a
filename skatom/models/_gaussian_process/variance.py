"""Variances of energies, forces and energies of atoms, before and after labels."""

from __future__ import annotations

import numpy as np

from skatom.features import AtomFeatures
from skatom.models._gaussian_process.data import atoms_of, energies_of, forces_of
from skatom.models._gaussian_process.posterior import Posterior
from skatom.models._kernel.covariance import Observables, covariance
from skatom.models._kernel.functions import KernelFunction

# Numbers in a block of covariances between what is asked for and all labels.
BLOCK_SIZE = 2**23


def energy_covariance(
    X: AtomFeatures, posterior: Posterior, kernel: KernelFunction
) -> np.ndarray:
    """Covariance of the energies of structures, without noise, in full."""
    asked = energies_of(X)
    prior = covariance(asked, asked, kernel)
    prior = np.tril(prior) + np.tril(prior, -1).T
    explained = posterior.reduced(asked, kernel)
    return prior - explained.T @ explained


def energy_variance(
    X: AtomFeatures, posterior: Posterior, kernel: KernelFunction
) -> np.ndarray:
    """Variances of the energies of structures, without noise."""
    out = np.empty(len(X))
    step = max(1, BLOCK_SIZE // len(posterior.factor))
    for start in range(0, len(X), step):
        part = slice(start, start + step)
        out[part] = _left(
            energy_prior(X[part], kernel), energies_of(X[part]), posterior, kernel
        )
    return out


def energy_prior(X: AtomFeatures, kernel: KernelFunction) -> np.ndarray:
    """Variances of the energies of structures before anything was seen."""
    out = np.zeros(len(X))
    for s, (start, stop) in enumerate(zip(X.offsets[:-1], X.offsets[1:])):
        values, numbers = X.values[start:stop], X.numbers[start:stop]
        for number in np.unique(numbers):
            points = values[numbers == number]
            out[s] += kernel.values(points, points).sum()
    return out


def atom_variance(
    X: AtomFeatures, posterior: Posterior, kernel: KernelFunction
) -> np.ndarray:
    """Variances of the energies of atoms, without noise."""
    out = np.empty(len(X.numbers))
    step = max(1, BLOCK_SIZE // len(posterior.factor))
    asked = AtomFeatures(X.values, np.arange(len(out) + 1), X.numbers)
    for start in range(0, len(out), step):
        part = asked[start : start + step]
        prior = kernel.diagonal(part.values)
        out[start : start + step] = _left(prior, atoms_of(part), posterior, kernel)
    return out


def force_variance(
    X: AtomFeatures, posterior: Posterior, kernel: KernelFunction
) -> np.ndarray:
    """Variances of force components, without noise, (n_atoms_total, 3)."""
    out = np.empty((len(X.numbers), 3))
    for s in range(len(X)):
        asked = forces_of(X[[s]])
        prior = np.diagonal(covariance(asked, asked, kernel))
        left = _left(prior, asked, posterior, kernel)
        out[X.offsets[s] : X.offsets[s + 1]] = left[1:].reshape(-1, 3)
    return out


def _left(
    prior: np.ndarray, asked: Observables, posterior: Posterior, kernel: KernelFunction
) -> np.ndarray:
    """Variance that the labels leave; rounding may not make it negative."""
    explained = posterior.reduced(asked, kernel)
    return np.maximum(prior - np.einsum("na,na->a", explained, explained), 0.0)

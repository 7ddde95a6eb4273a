"""Energies of species: the part of an energy that follows from counting atoms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from skatom.features import AtomFeatures


class Composition(NamedTuple):
    """Least-squares energies of species, and columns to refine them in a joint fit.

    Attributes
    ----------
    energies : ndarray of shape (n_species,)
        In eV, of smallest norm where the compositions leave them undetermined.
    columns : ndarray of shape (n_structures, rank)
        Orthonormal under the weights; they span what counting atoms can express.
    to_energies : ndarray of shape (n_species, rank)
        Turns coefficients of the columns into energies of species.
    """

    energies: np.ndarray
    columns: np.ndarray
    to_energies: np.ndarray

    @classmethod
    def none(cls, n_structures: int, n_species: int) -> Composition:
        """No baseline: energies of zero and no columns."""
        return cls(
            np.zeros(n_species), np.zeros((n_structures, 0)), np.zeros((n_species, 0))
        )


def fit_composition(
    X: AtomFeatures, y: np.ndarray, weights: np.ndarray, numbers: np.ndarray
) -> Composition:
    """Fit one energy a species by weighted least squares of smallest norm.

    Parameters
    ----------
    X : AtomFeatures
    y : ndarray of shape (n_structures,)
        Energies in eV.
    weights : ndarray of shape (n_structures,)
        Of the squared errors.
    numbers : ndarray of shape (n_species,)
        Atomic numbers, ascending.

    Returns
    -------
    composition : Composition
    """
    counts = species_counts(X, numbers)
    root = np.sqrt(weights)
    _, singular, vt = np.linalg.svd(counts * root[:, None], full_matrices=False)
    rank = int(np.sum(singular > 1e-10 * singular[0]))
    to_energies = vt[:rank].T / singular[:rank]
    columns = counts @ to_energies
    energies = to_energies @ (columns.T @ (weights * y))
    return Composition(energies, columns, to_energies)


def species_counts(X: AtomFeatures, numbers: np.ndarray) -> np.ndarray:
    """Count atoms of each species, shape (n_structures, n_species)."""
    counts = np.zeros((len(X), len(numbers)))
    np.add.at(counts, (X.structure_index, np.searchsorted(numbers, X.numbers)), 1.0)
    return counts

"""Numbers of atoms of each species, and the part of an energy that follows from them."""

from __future__ import annotations

import numpy as np
from ase.data import chemical_symbols

from skatom.features import AtomFeatures
from skatom.structures import Structures


def species_counts(X: AtomFeatures | Structures, numbers: np.ndarray) -> np.ndarray:
    """Count the atoms of each species in each structure.

    Parameters
    ----------
    X : AtomFeatures or Structures
        Only their atomic numbers and offsets are read.
    numbers : ndarray of int, shape (n_species,)
        Atomic numbers of the species; atoms of others are not counted.

    Returns
    -------
    counts : ndarray of shape (n_structures, n_species)

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.elements._counts import species_counts
    >>> from skatom.structures import check_structures
    >>> species_counts(check_structures([molecule("H2O"), molecule("CH4")]), [1, 8])
    array([[2., 1.],
           [4., 0.]])
    """
    n_structures, n_species = len(X.offsets) - 1, len(numbers)
    column = np.full(len(chemical_symbols), -1)
    column[numbers] = np.arange(n_species)
    columns = column[X.numbers]
    rows = np.repeat(np.arange(n_structures), np.diff(X.offsets))
    cells = (rows * n_species + columns)[columns >= 0]
    counts = np.bincount(cells, minlength=n_structures * n_species)
    return counts.reshape(n_structures, n_species).astype(np.float64)


def fit_composition(
    X: AtomFeatures | Structures,
    y: np.ndarray,
    weights: np.ndarray,
    numbers: np.ndarray,
) -> np.ndarray:
    """Fit one energy a species by weighted least squares of smallest norm.

    Parameters
    ----------
    X : AtomFeatures or Structures
    y : ndarray of shape (n_structures,)
        Energies in eV.
    weights : ndarray of shape (n_structures,)
        Of the squared errors.
    numbers : ndarray of int, shape (n_species,)
        Atomic numbers of the species.

    Returns
    -------
    energies : ndarray of shape (n_species,)
        In eV, of smallest norm where the compositions leave them undetermined.
    """
    root = np.sqrt(weights)
    counts = species_counts(X, numbers) * root[:, None]
    return np.linalg.lstsq(counts, root * y, rcond=1e-10)[0]

"""Warn of energies in another unit among the rest."""

from __future__ import annotations

import warnings

import numpy as np
from ase import units

from skatom._validation import listing
from skatom.elements._counts import species_counts
from skatom.features import AtomFeatures

# An energy this many robust standard deviations off a sum over elements is suspicious ...
FAR = 20.0
# ... and is explained by a unit that brings it this close,
NEAR = 5.0
# or has no explanation in chemistry at all, in eV per atom.
ABSURD = 20.0
# In eV per atom; below it, a spread says more of rounding than of physics.
SMALLEST_SPREAD = 1e-3
SWEEPS = 30

# What energies in a unit are multiplied by to be in eV.
UNITS = {
    "Hartree": units.Hartree,
    "Rydberg": units.Rydberg,
    "meV": 1e-3,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
}


def warn_of_mixed_units(X: AtomFeatures, y: np.ndarray) -> None:
    """Warn when a few energies look like another unit than the others.

    A sum over elements is fitted to the energies, least absolute residuals first so that
    the odd ones cannot bend it. Structures far off it are ordinary: free atoms among
    crystals, compressed cells. They are reported only when most of them fit once they are
    converted from one unit, or when they are off by more than any bond energy.

    Parameters
    ----------
    X : AtomFeatures
        Features of atoms; of them only the elements count.
    y : ndarray of shape (n_structures,)
        Total energies.

    Warns
    -----
    UserWarning
        Names the structures and, where one explains them, the unit.
    """
    if X.structures is None:
        return  # plain numbers
    kinds = np.unique(X.numbers)
    counts = species_counts(X, kinds)
    if len(y) < 2 * len(kinds) + 5:
        return  # too few to tell what is usual
    baseline = _robust_sums(counts, y)
    residual = (y - baseline) / X.n_atoms
    centre = np.median(residual)
    spread = max(1.4826 * np.median(np.abs(residual - centre)), SMALLEST_SPREAD)
    off = np.abs(residual - centre) / spread
    far = np.flatnonzero(off > FAR)
    if not len(far):
        return
    expected = baseline / X.n_atoms + centre
    unit, converted = _best_unit(y[far] / X.n_atoms[far], expected[far], spread)
    absurd = np.abs(residual[far] - centre) > ABSURD
    if 2 * converted.sum() > len(far):
        odd = far[converted]
        advice = f"They fit if they are in {unit}: convert them"
    elif absurd.any():
        odd = far[absurd]
        advice = "Check their units: convert them"
    else:
        return
    warnings.warn(
        f"The energies of structures {listing(odd)} lie up to {off[odd].max():.2g} robust "
        "standard deviations from a sum over elements that describes the others. "
        f"{advice}, so that all of y is in eV, or drop these structures.",
        stacklevel=5,  # past the wrapper of fit
    )


def _robust_sums(counts: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Fit energies of elements by least absolute residuals per atom, reweighted."""
    n_atoms = counts.sum(axis=1)
    shares, target = counts / n_atoms[:, None], y / n_atoms
    root = np.ones(len(y))
    for _ in range(SWEEPS):
        energies = np.linalg.lstsq(shares * root[:, None], target * root, rcond=None)[0]
        left = np.abs(target - shares @ energies)
        root = 1.0 / np.sqrt(np.maximum(left, SMALLEST_SPREAD))
    return counts @ energies


def _best_unit(
    given: np.ndarray, expected: np.ndarray, spread: float
) -> tuple[str, np.ndarray]:
    """Find the unit that explains most of the odd energies, and which of them."""
    best, explained = "", np.zeros(len(given), dtype=bool)
    # an energy of about zero is near zero in every unit and shows none
    telling = np.abs(expected) > FAR * spread
    for name, factor in UNITS.items():
        fits = telling & (np.abs(given * factor - expected) < NEAR * spread)
        if fits.sum() > explained.sum():
            best, explained = name, fits
    return best, explained

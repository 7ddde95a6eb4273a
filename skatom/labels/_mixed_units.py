"""Find energies in another unit among the rest."""

from __future__ import annotations

import numpy as np

from skatom._validation import listing
from skatom.elements._counts import species_counts
from skatom.labels._units import ENERGIES
from skatom.labels.report import Finding
from skatom.structures import Structures

# An energy this many robust standard deviations off a sum over elements is suspicious ...
FAR = 20.0
# ... and is explained by a unit that brings it this close,
NEAR = 5.0
# or has no explanation in chemistry at all, in eV per atom.
ABSURD = 20.0
# In eV per atom; below it, a spread says more of rounding than of physics.
SMALLEST_SPREAD = 1e-3
SWEEPS = 30


def judge_mixed_units(X: Structures, y: np.ndarray) -> list[Finding]:
    """Find energies, a few of which look like another unit than the others.

    A sum over elements is fitted to the energies, least absolute residuals first so that
    the odd ones cannot bend it. Structures far off it are ordinary: free atoms among
    crystals, compressed cells. They are reported only when most of them fit once they are
    converted from one unit, or when they are off by more than any bond energy.

    Parameters
    ----------
    X : Structures
        Of them only the elements count.
    y : ndarray of shape (n_structures,)
        Total energies.

    Returns
    -------
    findings : list of Finding
        One that names the structures and, where one explains them, the unit; or none.
    """
    kinds = np.unique(X.numbers)
    counts = species_counts(X, kinds)
    if len(y) < 2 * len(kinds) + 5:
        return []  # too few to tell what is usual
    baseline = _robust_sums(counts, y)
    residual = (y - baseline) / X.n_atoms
    centre = np.median(residual)
    spread = max(1.4826 * np.median(np.abs(residual - centre)), SMALLEST_SPREAD)
    off = np.abs(residual - centre) / spread
    far = np.flatnonzero(off > FAR)
    if not len(far):
        return []
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
        return []
    what = (
        f"The energies of structures {listing(odd)} lie up to {off[odd].max():.2g} robust "
        "standard deviations from a sum over elements that describes the others"
    )
    remedy = f"{advice}, so that all of y is in eV, or drop these structures."
    return [Finding("warning", "energies", what, "", remedy, tuple(odd.tolist()))]


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
    for name, factor in ENERGIES.items():
        fits = telling & (np.abs(given * factor - expected) < NEAR * spread)
        if fits.sum() > explained.sum():
            best, explained = name, fits
    return best, explained

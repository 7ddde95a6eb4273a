"""Energies that do not grow with the number of atoms."""

from __future__ import annotations

import numpy as np
from scipy.stats import f as fisher

from skatom.elements._counts import species_counts
from skatom.labels._slopes import CERTAIN
from skatom.labels.report import Finding
from skatom.structures import Structures

# A mean over elements leaves at most half of what a sum does, were y energies per atom.
HALF = 0.5


def judge_sizes(structures: Structures, y: np.ndarray) -> list[Finding]:
    """Find y that is a mean over elements rather than a sum.

    Both have one number an element. Where structures have several sizes, and the mean
    leaves less of y with certainty, y was divided by the number of atoms.

    Parameters
    ----------
    structures : Structures
    y : ndarray of shape (n_structures,)
    """
    if not np.ptp(structures.n_atoms):
        return []
    counts = species_counts(structures, np.unique(structures.numbers))
    shares = counts / structures.n_atoms[:, None]
    rank = np.linalg.matrix_rank(counts)
    freedom = len(y) - rank
    if freedom < 2 or np.linalg.matrix_rank(shares) < rank:
        return []
    summed, mean = (_left(columns, y) for columns in (counts, shares))
    certain = mean * fisher.isf(CERTAIN, freedom, freedom) < summed
    if not certain or np.sqrt(mean) > HALF * np.sqrt(summed):
        return []
    return [
        Finding(
            "warning",
            "energies",
            "y does not grow with the number of atoms: a mean over elements leaves "
            f"{np.sqrt(mean / freedom):.2g} of it, a sum {np.sqrt(summed / freedom):.2g}",
            "y may hold energies per atom, or what is no sum over atoms",
            "If so, mend it by `y = y * [len(atoms) for atoms in frames]`, or "
            "give the model target='mean'.",
        )
    ]


def _left(columns: np.ndarray, y: np.ndarray) -> float:
    """Sum of squares that no combination of columns explains."""
    found = np.linalg.lstsq(columns, y, rcond=None)[0]
    return float(np.sum((y - columns @ found) ** 2))

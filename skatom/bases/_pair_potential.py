"""Calculators of sums over pairs, each switched off smoothly at a radius of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from skatom.neighbors import neighbor_pairs
from skatom.structures import check_structures
from skatom.structures._voigt import has_volume, stress_of

# Energy of each pair and its slope, given distances and the numbers of both atoms.
Terms = Callable[
    [np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]
]


class PairPotential(Calculator):
    """Sum of pair energies that vanish with two derivatives at the radius of a pair.

    Parameters
    ----------
    terms : callable
        Gives energies, slopes and radii of pairs, each of shape (n_pairs,), of their
        distances and atomic numbers.
    r_most : float
        Largest radius of all, in Å.
    """

    implemented_properties = ("energy", "energies", "forces", "stress")

    def __init__(self, terms: Terms, r_most: float):
        super().__init__()
        self.terms, self.r_most = terms, r_most

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Compute everything in one pass."""
        super().calculate(atoms, properties, system_changes)
        structures = check_structures([self.atoms], name="atoms")
        pairs = neighbor_pairs(structures, self.r_most)
        centers = pairs.centers
        r = np.sqrt((pairs.vectors**2).sum(axis=1))
        energy, slope, radius = self.terms(
            r, pairs.numbers[centers], pairs.numbers[pairs.neighbors]
        )
        energy, slope = enveloped(energy, slope, r, radius)
        # every pair is there from both of its ends
        gradient = (0.5 * slope / r)[:, None] * pairs.vectors
        energies = np.bincount(centers, 0.5 * energy, minlength=len(self.atoms))
        self.results = {
            "energy": float(energies.sum()),
            "energies": energies,
            "forces": pairs.forces(gradient),
        }
        if has_volume(self.atoms):
            virial = pairs.virial(gradient, structures.offsets)
            self.results["stress"] = stress_of(virial, structures)[0]


def enveloped(energy, slope, r, radius) -> tuple[np.ndarray, np.ndarray]:
    """Multiply by a polynomial that falls from 1 to 0 at the radius.

    Eq. 8 of J. Gasteiger, J. Groß, S. Günnemann, ICLR (2020), arXiv:2003.03123, with p = 6,
    whose value and first two derivatives vanish at the radius.
    """
    u = np.minimum(r / radius, 1.0)
    factor = 1.0 - u**6 * (28.0 - 48.0 * u + 21.0 * u * u)
    of_factor = -168.0 * u**5 * (1.0 - u) ** 2 / radius
    return energy * factor, slope * factor + energy * of_factor

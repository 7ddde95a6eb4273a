"""Energies, forces, stress and their standard deviations, as one record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


class NoStandardDeviationError(ValueError):
    """An estimator does not say how uncertain the asked-for prediction is."""


@dataclass(frozen=True)
class Evaluation:
    """What a model says about a set of structures.

    Attributes
    ----------
    energies : ndarray of shape (n_structures,)
        Total energies in eV.
    forces : list of ndarray of shape (n_atoms, 3), or None
        In eV/Å; None where not asked for.
    stress : ndarray of shape (n_structures, 6), or None
        In eV/Å³, Voigt order xx yy zz yz xz xy, positive = tension.
    atomic_energies : list of ndarray of shape (n_atoms,), or None
        In eV; they sum to the energies.
    energy_std : ndarray of shape (n_structures,), or None
        Standard deviations of the energies in eV.
    forces_std : list of ndarray of shape (n_atoms, 3), or None
        Standard deviations of the force components in eV/Å.
    atomic_energy_std : list of ndarray of shape (n_atoms,), or None
        Standard deviations of the energies of atoms in eV.
    """

    energies: np.ndarray
    forces: list[np.ndarray] | None = None
    stress: np.ndarray | None = None
    atomic_energies: list[np.ndarray] | None = None
    energy_std: np.ndarray | None = None
    forces_std: list[np.ndarray] | None = None
    atomic_energy_std: list[np.ndarray] | None = None

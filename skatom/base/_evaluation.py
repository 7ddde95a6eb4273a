"""Predictions of a model for some structures, with standard deviations, in one record."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


class NoStandardDeviationError(ValueError):
    """An estimator does not say how uncertain the asked-for prediction is."""


@dataclass(frozen=True)
class Evaluation:
    """What a model says about a set of structures.

    Attributes
    ----------
    energies : ndarray of shape (n_structures,), or None
        Total energies in eV; None of a model that predicts something else.
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
    properties : dict of str to ndarray, or to list of ndarray
        What the model predicts by the names of its targets, in their units: one row a
        structure, or one array a structure for numbers of atoms.
    properties_std : dict of str to ndarray, or to list of ndarray
        Their standard deviations, where asked for.
    """

    energies: np.ndarray | None = None
    forces: list[np.ndarray] | None = None
    stress: np.ndarray | None = None
    atomic_energies: list[np.ndarray] | None = None
    energy_std: np.ndarray | None = None
    forces_std: list[np.ndarray] | None = None
    atomic_energy_std: list[np.ndarray] | None = None
    properties: dict = field(default_factory=dict)
    properties_std: dict = field(default_factory=dict)

"""What every estimator of structures offers, whatever its architecture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from skatom._training.training_parameters import TRAINING_CONSTRAINTS
from skatom._validation import Interval, Real, _fit_context
from skatom.base._evaluation import Evaluation
from skatom.models._message_passing.structure_network import StructureNetwork
from skatom.neighbors import NeighborPairs

STRUCTURE_CONSTRAINTS: dict = {
    "r_cut": [Interval(Real, 0, None, closed="neither")],
    **TRAINING_CONSTRAINTS,
}


@dataclass(kw_only=True, eq=False, repr=False)
class StructureRegressor(StructureNetwork):
    """The public half of MessagePassingRegressor and of its architectures."""

    r_cut: float = 5.0
    lr: float | None = 1e-3
    max_epochs: int = 300
    patience: int | None = 50

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        forces=None,
        stress=None,
        groups=None,
        validation=None,
    ):
        """Train the module.

        Parameters
        ----------
        X : sequence of ase.Atoms
            Structures.
        y : array-like of shape (n_structures,) or (n_structures, n_outputs)
            Total energies in eV, or what `output` says.
        sample_weight : array-like of shape (n_structures,), optional
            Weights of the structures in the loss. Those of weight zero are left out.
        forces : sequence of arrays of shape (n_atoms, 3) or None, optional
            Forces in eV/Å, instead of those that the parameter `forces` finds.
        stress : sequence of arrays of shape (6,) or (3, 3) or None, optional
            The same for stress, in eV/Å³.
        groups : array-like of shape (n_structures,), optional
            Whole groups, chosen at random, are held out for validation.
        validation : array-like of bool or int, optional
            The structures to hold out for validation: a mask, or indices.

        Returns
        -------
        self : object
        """
        return self._fit(X, y, sample_weight, forces, stress, groups, validation)

    def predict(self, X, return_std: bool = False, return_quantiles: bool = False):
        """Predict the targets of every structure.

        Parameters
        ----------
        X : sequence of ase.Atoms
        return_std : bool, default=False
            Whether standard deviations are wanted too, of ``loss="gaussian_nll"``.
        return_quantiles : bool, default=False
            Whether all quantiles are wanted too, of ``loss="quantile"``.

        Returns
        -------
        y : ndarray of shape (n_structures,) or (n_structures, n_outputs)
            Total energies in eV, or what `output` says. Medians for ``loss="quantile"``.
        std : ndarray of shape (n_structures,)
            In the unit of y, positive; only with ``return_std``.
        quantiles : ndarray of shape (n_structures, n_quantiles)
            In the unit of y, ascending; only with ``return_quantiles``.

        Raises
        ------
        NoStandardDeviationError
            If the module was trained by another loss than "gaussian_nll".
        """
        return self._predict(X, return_std, return_quantiles)

    def evaluate(
        self,
        X: Sequence[Atoms],
        *,
        forces: bool = True,
        stress: bool = False,
        atomic: bool = False,
        pairs: NeighborPairs | None = None,
        std: bool = False,
    ) -> Evaluation:
        """Predict everything that is asked for in one pass.

        Parameters
        ----------
        X : sequence of ase.Atoms
        forces, stress, atomic : bool
            Which properties are wanted besides energies. Stress is that of structures
            with a volume; :func:`skatom.potential.predict_stress` checks that.
        pairs : NeighborPairs, optional
            Neighbour pairs of X that are known already, at least up to r_cut.
        std : bool
            Whether standard deviations are wanted, of energies and of those of atoms;
            forces have none.

        Returns
        -------
        evaluation : Evaluation
        """
        return self._evaluate(X, forces, stress, atomic, pairs, std)

    def predict_forces(self, X: Sequence[Atoms]) -> list[np.ndarray]:
        """Predict forces.

        Parameters
        ----------
        X : sequence of ase.Atoms

        Returns
        -------
        forces : list of ndarray of shape (n_atoms, 3)
            In eV/Å.
        """
        return self.evaluate(X).forces

    def predict_atomic_energies(self, X: Sequence[Atoms], return_std: bool = False):
        """Predict the energy of every atom; they sum to the energies of structures.

        Parameters
        ----------
        X : sequence of ase.Atoms
        return_std : bool, default=False
            Whether standard deviations are wanted too, of ``loss="gaussian_nll"``.

        Returns
        -------
        energies : list of ndarray of shape (n_atoms,)
            In eV.
        std : list of ndarray of shape (n_atoms,)
            In eV; their squares sum to those of structures; only with ``return_std``.
        """
        found = self.evaluate(X, forces=False, atomic=True, std=return_std)
        if return_std:
            return found.atomic_energies, found.atomic_energy_std
        return found.atomic_energies

    def latent(self, X: Sequence[Atoms]) -> np.ndarray:
        """Give what the last, linear layer of the module sees of every atom.

        Parameters
        ----------
        X : sequence of ase.Atoms

        Returns
        -------
        latent : ndarray of shape (n_atoms_total, n_latent)

        Raises
        ------
        AttributeError
            If the module has no ``latent``.
        """
        return self._latent(X)

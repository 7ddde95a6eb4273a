"""Forces, stress and energies of atoms as methods of an estimator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from skatom.neighbors import NeighborPairs
from skatom.potential._evaluate import (
    Evaluation,
    evaluate,
    predict_atomic_energies,
    predict_forces,
    predict_stress,
    predict_targets,
)


class PotentialMethods:
    """Mixin of estimators on structures whose energies can be differentiated.

    Each method is the free function of `skatom.potential` of the same name.
    """

    def evaluate(
        self,
        X: Sequence[Atoms],
        *,
        forces: bool = True,
        stress: bool = False,
        atomic: bool = False,
        std: bool = False,
        pairs: NeighborPairs | None = None,
    ) -> Evaluation:
        """Predict everything that is asked for in one pass.

        Parameters
        ----------
        X : sequence of ase.Atoms
        forces, stress, atomic : bool
            Which properties are wanted besides energies.
        std : bool
            Whether standard deviations of what is asked for are wanted.
        pairs : NeighborPairs, optional
            Neighbour pairs of X that are known already.

        Returns
        -------
        evaluation : Evaluation

        See Also
        --------
        skatom.potential.evaluate : The same for any estimator.
        """
        return evaluate(
            self, X, forces=forces, stress=stress, atomic=atomic, std=std, pairs=pairs
        )

    def predict_forces(self, X: Sequence[Atoms], return_std: bool = False):
        """Predict forces: minus the gradient of the predicted energy.

        Parameters
        ----------
        X : sequence of ase.Atoms
        return_std : bool, default=False
            Whether standard deviations of the components are wanted too.

        Returns
        -------
        forces : list of ndarray of shape (n_atoms, 3)
            In eV/Å, one array per structure.
        std : list of ndarray of shape (n_atoms, 3)
            In eV/Å, only with ``return_std``.
        """
        return predict_forces(self, X, return_std)

    def predict_stress(self, X: Sequence[Atoms]) -> NDArray[np.float64]:
        """Predict the stress of crystals, and of slabs by the volume of their box.

        Parameters
        ----------
        X : sequence of ase.Atoms

        Returns
        -------
        stress : ndarray of shape (n_structures, 6)
            In eV/Å³, Voigt order xx yy zz yz xz xy, positive = tension.
        """
        return predict_stress(self, X)

    def predict_targets(self, X: Sequence[Atoms]) -> dict:
        """Predict all targets, those of networks beside their first too.

        Parameters
        ----------
        X : sequence of ase.Atoms

        Returns
        -------
        predictions : dict of str to ndarray, or to list of ndarray
            By the names of the targets, in their units.
        """
        return predict_targets(self, X)

    def predict_atomic_energies(self, X: Sequence[Atoms], return_std: bool = False):
        """Predict the energy of every atom, for models that are sums over atoms.

        Parameters
        ----------
        X : sequence of ase.Atoms
        return_std : bool, default=False
            Whether their standard deviations are wanted too.

        Returns
        -------
        energies : list of ndarray of shape (n_atoms,)
            In eV; they sum to the predicted energies.
        std : list of ndarray of shape (n_atoms,)
            In eV, only with ``return_std``.
        """
        return predict_atomic_energies(self, X, return_std)

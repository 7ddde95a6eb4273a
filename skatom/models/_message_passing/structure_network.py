"""Networks of structures: from positions to energies without a featurizer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from types import ModuleType

import numpy as np
from ase import Atoms
from sklearn.base import BaseEstimator, RegressorMixin

from skatom._training.atom_rows import AtomRows
from skatom._training.distributions import refuse_without_std
from skatom._training.front import FRONT_CONSTRAINTS, Front
from skatom._training.torch_side import torch_side
from skatom._validation import (
    Interval,
    Real,
    _fit_context,
    check_is_fitted,
    refuse_unseen,
)
from skatom.base._evaluation import Evaluation
from skatom.neighbors import NeighborPairs, neighbor_pairs
from skatom.structures import Labels, Structures, check_structures, read_labels
from skatom.structures._voigt import stress_of

STRUCTURE_CONSTRAINTS: dict = {
    "r_cut": [Interval(Real, 0, None, closed="neither")],
    **FRONT_CONSTRAINTS,
}
# Structures are predicted so many atoms at a time.
ATOMS_AT_A_TIME = 2000


@dataclass(kw_only=True, eq=False, repr=False)
class StructureNetwork(Front, RegressorMixin, BaseEstimator):
    """Base of MessagePassingRegressor and of the architectures that come with skatom.

    A subclass is a dataclass of the parameters of its module, and defines `_module`.
    """

    r_cut: float = 5.0
    lr: float | None = 1e-3
    max_epochs: int = 300
    patience: int | None = 50

    @abstractmethod
    def _module(self) -> Callable:
        """Give what makes the module from a seed, ``numbers`` and parameters."""

    def _module_params(self) -> dict:
        """Give the parameters of the module, ``r_cut`` aside."""
        shared = {field.name for field in fields(StructureNetwork)}
        own = [field.name for field in fields(self) if field.name not in shared]
        return {name: getattr(self, name) for name in own}

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
            Total energies in eV, or what `target` says.
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
        structures = check_structures(X)
        start = self._start()
        fresh = start is None
        if not fresh:
            self._inputs(structures)
        goals = self._goals(structures, y, sample_weight, forces, stress, fresh=fresh)
        if fresh:
            self._remember()
        pairs = neighbor_pairs(structures, self._built["r_cut"])
        data = _side("graph_data").GraphData(pairs, goals, self.dtype)
        self._train(data, start, groups, validation)
        return self

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
            Which properties of energies are wanted besides. Stress is that of structures
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
        structures = self._inputs(X)
        asked = {"forces": forces, "stress": stress, "energies of atoms": atomic}
        for what in [what for what, wanted in asked.items() if wanted]:
            self.target_.refuse_slopes(self, what)
        if std:
            refuse_without_std(self._shape, type(self).__name__)
        atoms, name = self._atoms(structures), self.target_.name
        rows, motion, virials = self._pass(structures, pairs, forces or stress)
        found = Evaluation(properties=self._properties(atoms, rows))
        if std:
            spreads = self._spreads(rows)
            of_values = self._std(self._kind.read(self._head.reading(atoms), spreads))
            found = replace(found, properties_std={name: of_values})
        if not self.target_.is_energy:
            return found
        unit = self.target_.factor_to("eV")
        edges = structures.offsets[1:-1]

        def split(rows: np.ndarray) -> list[np.ndarray]:
            return np.split(unit * rows, edges) if len(structures) else []

        found = replace(found, energies=unit * found.properties[name])
        if forces:
            found = replace(found, forces=split(motion))
        if stress:
            found = replace(found, stress=stress_of(unit * virials, structures))
        if atomic:
            shares = self._head.shares(atoms, rows)[:, 0]
            found = replace(found, atomic_energies=split(shares))
        if std:
            found = replace(
                found,
                energy_std=unit * of_values,
                atomic_energy_std=split(self._std(spreads)),
            )
        return found

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

    def latent(
        self, X: Sequence[Atoms], pairs: NeighborPairs | None = None
    ) -> np.ndarray:
        """Give what the last, linear layer of the module sees of every atom.

        Parameters
        ----------
        X : sequence of ase.Atoms
        pairs : NeighborPairs, optional
            As in `evaluate`.

        Returns
        -------
        latent : ndarray of shape (n_atoms_total, n_latent)

        Raises
        ------
        TypeError
            If the module has no ``latent``.
        """
        structures = self._inputs(X)
        latent, module = _side("evaluation").latent, self.net_.module_
        return np.concatenate(
            [latent(module, *part) for part in self._parts(structures, pairs)]
        )

    def latent_forces(
        self, X: Sequence[Atoms], pairs: NeighborPairs | None = None
    ) -> np.ndarray:
        """Give the forces that each column of `latent`, summed, would make as an energy.

        Parameters
        ----------
        X : sequence of ase.Atoms
        pairs : NeighborPairs, optional
            As in `evaluate`.

        Returns
        -------
        forces : ndarray of shape (n_atoms_total, 3, n_latent)
            In units of `latent` per Å.

        Raises
        ------
        TypeError
            If the module has no ``latent``.
        """
        structures = self._inputs(X)
        forces, module = _side("evaluation").latent_forces, self.net_.module_
        return np.concatenate(
            [forces(module, *part) for part in self._parts(structures, pairs)]
        )

    def _activations(self) -> list[str]:
        return [self.activation] if hasattr(self, "activation") else []

    def _inputs(self, X) -> Structures:
        check_is_fitted(self)
        structures = check_structures(X, allow_empty=True)
        remedy = "Fit on structures with such elements, or leave these structures out."
        name, known = type(self).__name__, self.numbers_
        refuse_unseen(structures.numbers, structures.offsets, known, name, remedy)
        return structures

    def _atoms(self, X: Structures) -> AtomRows:
        return AtomRows(X.offsets, X.numbers, X)

    def _rows(self, X: Structures) -> np.ndarray:
        return self._pass(X)[0]

    def _pass(
        self,
        structures: Structures,
        pairs: NeighborPairs | None = None,
        differentiates: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Evaluate what atoms contribute, and forces and virials in the unit of y."""
        side, module = _side("evaluation"), self.net_.module_
        parts = [
            side.contributions(module, *part, differentiates=differentiates)
            for part in self._parts(structures, pairs)
        ]
        if not parts:
            empty = np.zeros((0, self._shape["n_outputs"]))
            return empty, np.zeros((0, 3)), np.zeros((0, 3, 3))
        rows, forces, virials = (np.concatenate(found) for found in zip(*parts))
        scale = self._scales[0]
        return rows, scale * forces, scale * virials

    def _parts(
        self, structures: Structures, pairs: NeighborPairs | None
    ) -> Iterator[tuple[NeighborPairs, np.ndarray]]:
        """Give neighbour pairs and offsets of some structures at a time."""
        r_cut = self._built["r_cut"]
        if pairs is not None:
            squares = np.einsum("pa,pa->p", pairs.vectors, pairs.vectors)
            yield pairs.where(squares < r_cut**2), structures.offsets
            return
        part = structures.offsets[:-1] // ATOMS_AT_A_TIME
        starts = np.flatnonzero(np.diff(part, prepend=-1)).tolist()
        for start, stop in zip(starts, [*starts[1:], len(structures)]):
            chosen = structures[start:stop]
            yield neighbor_pairs(chosen, r_cut), chosen.offsets

    def _read_labels(self, atoms: AtomRows, forces, stress) -> Labels:
        return read_labels(
            atoms.structures,
            forces=self.forces if forces is None else forces,
            stress=self.stress if stress is None else stress,
        )

    def _remember(self) -> None:
        """Set what the module is built with."""
        self._built = {
            **self._module_params(),
            "r_cut": float(self.r_cut),
            "numbers": self.numbers_.tolist(),
            "n_outputs": self._shape["n_outputs"],
        }
        self._own_module = getattr(self, "module", None)  # a user's

    def _architecture(self) -> tuple[type, dict]:
        """Give the module as it was first fitted, whatever parameters say now."""
        return _side("evaluation").StructureModule, {
            "architecture": self._own_module or self._module(),
            "params": self._built,
            "n_spreads": self._shape["n_spreads"],
            "spread_unit": self._shape["spread_unit"],
        }

    def __sklearn_tags__(self):
        """Say that X is a sequence of structures."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        tags.non_deterministic = self.random_state is None
        return tags


def _side(module: str) -> ModuleType:
    """Import a module of networks of structures, which needs torch, when it is needed."""
    return torch_side(
        "MessagePassingRegressor", f"skatom.models._message_passing.{module}"
    )

"""AtomFeatures from the records of a store; frames and pairs are made on demand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from numbers import Integral

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from skatom.features import AtomFeatures
from skatom.features._columns import Column
from skatom.features._later import FeaturizedLater
from skatom.neighbors import ranges
from skatom.store._records import Records, offsets_of
from skatom.structures import Structures
from skatom.structures._hashing import IDENTITY_INFO


class StoredStructures(Structures):
    """Structures as flat arrays; frames with their labels are built on first use.

    Parameters
    ----------
    rows : ndarray of STRUCTURE, shape (n_structures,)
    atoms : ndarray of ATOM, shape (n_atoms,)
    """

    def __init__(self, rows: np.ndarray, atoms: np.ndarray):
        self._rows = rows
        self._atoms = atoms

    @cached_property
    def frames(self) -> list[Atoms]:
        """The structures as ase.Atoms."""
        edges = self.offsets
        return [
            _frame(row, self._atoms[start:stop])
            for row, start, stop in zip(self._rows, edges[:-1], edges[1:])
        ]

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (n_structures, 1), that of a column."""
        return (len(self), 1)

    @property
    def n_atoms(self) -> np.ndarray:
        """Number of atoms of each structure, shape (n_structures,)."""
        return self._rows["n_atoms"].astype(np.int64)

    @property
    def numbers(self) -> np.ndarray:
        """Atomic numbers of all atoms, shape (n_atoms_total,)."""
        return self._atoms["number"].astype(np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key):
        if isinstance(key, tuple):
            key = key[0]
        if isinstance(key, Integral):
            return self.frames[key]
        keep = np.arange(len(self))[key]
        offsets = self.offsets
        atoms = self._atoms[ranges(offsets[keep], offsets[keep + 1])]
        return StoredStructures(self._rows[keep], atoms)


def _frame(row: np.void, atoms: np.ndarray) -> Atoms:
    """Build a structure with its labels on a calculator."""
    info = {name: float(row[name]) for name in IDENTITY_INFO if row[name] == row[name]}
    frame = Atoms(
        numbers=atoms["number"], positions=atoms["position"], cell=row["cell"],
        pbc=row["pbc"].astype(bool), info=info,
    )  # fmt: skip
    results = {}
    if np.isfinite(row["energy"]):
        results["energy"] = float(row["energy"])
    if row["has_forces"]:
        results["forces"] = np.array(atoms["force"])
    if row["has_stress"]:
        results["stress"] = np.array(row["stress"])
    if results:
        frame.calc = SinglePointCalculator(frame, **results)
    return frame


def features_of(
    records: Records, featurizer, columns: Sequence[Column]
) -> AtomFeatures:
    """Give records as features that can be differentiated."""
    structures = StoredStructures(records.structures, records.atoms)
    return AtomFeatures(
        records.values.astype(np.float64, copy=False),
        offsets_of(records.structures["n_atoms"]),
        structures.numbers,
        structures,
        FeaturizedLater(featurizer, structures, columns),
    )

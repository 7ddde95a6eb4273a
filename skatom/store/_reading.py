"""Records given back as AtomFeatures, whose frames and pairs are made when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from skatom.base import AtomFeaturizer
from skatom.features import AtomFeatures, NoDerivativeError, Origin
from skatom.features._origins import Featurized
from skatom.neighbors import NeighborPairs, neighbor_pairs, ranges
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
        """(n_structures, 1)."""
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


@dataclass(eq=False)
class StoredOrigin:
    """Origin of values that were read: pairs are searched when a derivative is asked for.

    Attributes
    ----------
    featurizer : transformer or None
        Made the values, in one or several steps.
    structures : Structures
    names : sequence of str
        Names of the columns.
    """

    featurizer: object
    structures: Structures
    names: Sequence[str]

    @cached_property
    def _made(self) -> Origin:
        if self.featurizer is None:
            raise NoDerivativeError(
                "The store was opened without its featurizer, so its features have no "
                "derivatives: FeatureStore(path, featurizer), or forces=None to train on "
                "energies alone."
            )
        if _is_plain(self.featurizer):  # values need not be computed again
            pairs = neighbor_pairs(self.structures, self.featurizer.r_cut)
            return Featurized(self.featurizer, pairs, self.structures.offsets)
        return self.featurizer.transform(self.structures).origin

    @property
    def steps(self) -> tuple:
        """Fitted steps that the values came through."""
        return () if self.featurizer is None else self._made.steps

    @property
    def feature_names(self) -> Sequence[str]:
        """Names of the columns."""
        return self.names

    @property
    def pairs(self) -> NeighborPairs:
        """Pairs that the values depend on."""
        return self._made.pairs

    def pullback(self, g: np.ndarray) -> np.ndarray:
        """Carry (n_atoms, n_features) to (n_pairs, 3)."""
        return self._made.pullback(g)

    def pushforward(self, v: np.ndarray) -> np.ndarray:
        """Carry (n_pairs, 3) to (n_atoms, n_features)."""
        return self._made.pushforward(v)

    def jacobian(self) -> np.ndarray:
        """Give d values / d vectors, (n_pairs, 3, n_features)."""
        return self._made.jacobian()

    def of_structures(self, keep: np.ndarray) -> Origin:
        """Select structures."""
        if "_made" in self.__dict__:
            return self._made.of_structures(keep)
        return StoredOrigin(self.featurizer, self.structures[keep], self.names)


def _is_plain(featurizer) -> bool:
    """Whether values follow from pairs within r_cut and nothing else."""
    return (
        isinstance(featurizer, AtomFeaturizer)
        and type(featurizer).transform is AtomFeaturizer.transform
        and type(featurizer).transform_pairs is AtomFeaturizer.transform_pairs
        and featurizer.handle_unknown == "error"
    )


def features_of(records: Records, featurizer, names: Sequence[str]) -> AtomFeatures:
    """Give records as features that can be differentiated."""
    structures = StoredStructures(records.structures, records.atoms)
    return AtomFeatures(
        records.values.astype(np.float64, copy=False),
        offsets_of(records.structures["n_atoms"]),
        structures.numbers,
        structures,
        StoredOrigin(featurizer, structures, names),
    )

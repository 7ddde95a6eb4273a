"""Structures, their labels and features as flat arrays: what a store reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
from ase.data import chemical_symbols

from skatom.features import AtomFeatures
from skatom.neighbors import ranges
from skatom.structures import Labels, Structures, content_hash
from skatom.structures._hashing import IDENTITY_INFO

# One row a structure. Charge, spin and energy are NaN where there are none.
STRUCTURE = np.dtype(
    [
        ("hash", "u1", 16),
        ("n_atoms", "<i8"),
        ("cell", "<f8", (3, 3)),
        ("pbc", "u1", 3),
        ("charge", "<f8"),
        ("spin", "<f8"),
        ("energy", "<f8"),
        ("stress", "<f8", 6),
        ("has_forces", "u1"),
        ("has_stress", "u1"),
        ("checksum", "<u4"),
    ]
)
# One row an atom.
ATOM = np.dtype([("number", "u1"), ("position", "<f8", 3), ("force", "<f8", 3)])
# Places on disk that are touched before maps are dropped.
JUMPS = 16


@dataclass(frozen=True, eq=False)
class Records:
    """A few structures as they stand on disk.

    Attributes
    ----------
    structures : ndarray of STRUCTURE, shape (n_structures,)
    atoms : ndarray of ATOM, shape (n_atoms,)
    values : ndarray of shape (n_atoms, n_features)
        In the type of the store.
    """

    structures: np.ndarray
    atoms: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.structures)

    @property
    def offsets(self) -> np.ndarray:
        """First atom of each structure, shape (n_structures + 1,)."""
        return offsets_of(self.structures["n_atoms"])

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.structures.nbytes + self.atoms.nbytes + self.values.nbytes

    def take(self, keep: np.ndarray) -> Records:
        """Copy some structures, in the order asked for."""
        offsets = self.offsets
        rows = ranges(offsets[keep], offsets[keep + 1])
        return Records(self.structures[keep], self.atoms[rows], self.values[rows])

    @classmethod
    def joined(cls, parts: Sequence[Records]) -> Records:
        """Put records one after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.structures for part in parts]),
            np.concatenate([part.atoms for part in parts]),
            np.concatenate([part.values for part in parts]),
        )

    def sealed(self) -> Records:
        """Give the same records with a checksum in each."""
        structures = self.structures.copy()
        structures["checksum"] = checksums(self)
        return replace(self, structures=structures)


def within_reach(indices: np.ndarray) -> list[np.ndarray]:
    """Split indices so that each part touches few places that are apart on disk.

    Where a file lies in large pages of the system's cache, one touch maps two MB, which
    count as memory of the process until the map is dropped.
    """
    jumps = np.cumsum(np.diff(indices, prepend=indices[:1] - 1) != 1)
    return np.split(indices, np.flatnonzero(np.diff(jumps // JUMPS)) + 1)


def offsets_of(n_atoms: np.ndarray) -> np.ndarray:
    """First atom of each structure, shape (n_structures + 1,)."""
    return np.concatenate([[0], np.cumsum(n_atoms)]).astype(np.int64)


def checksums(records: Records) -> np.ndarray:
    """CRC-32 of everything that each structure holds, shape (n_structures,)."""
    rows = np.array(records.structures)
    rows["checksum"] = 0
    heads = rows.view(np.uint8).reshape(len(rows), STRUCTURE.itemsize)
    atoms = np.ascontiguousarray(records.atoms).view(np.uint8)
    values = np.ascontiguousarray(records.values).view(np.uint8).reshape(-1)
    width = records.values.shape[1] * records.values.dtype.itemsize
    edges = records.offsets.tolist()
    found = [
        crc32(
            values[start * width : stop * width],
            crc32(atoms[start * ATOM.itemsize : stop * ATOM.itemsize], crc32(head)),
        )
        for head, start, stop in zip(heads, edges[:-1], edges[1:])
    ]
    return np.array(found, dtype=np.uint32)


def damaged(records: Records) -> np.ndarray:
    """Find structures that are not as they were written, shape (n_structures,), bool.

    Beside the checksum, which whoever forges a store makes right, these are elements that
    there are not and numbers that are not finite: compiled code reads what passes here.
    """
    atoms, rows = records.atoms, records.structures
    bad = (atoms["number"] < 1) | (atoms["number"] >= len(chemical_symbols))
    bad |= ~np.isfinite(atoms["position"]).all(axis=1)
    bad |= ~np.isfinite(records.values).all(axis=1)
    found = ~np.isfinite(rows["cell"]).all(axis=(1, 2))
    found[np.repeat(np.arange(len(rows)), rows["n_atoms"])[bad]] = True
    return found | (checksums(records) != rows["checksum"])


def hashes_of(frames: Structures) -> np.ndarray:
    """Content hashes of structures, shape (n_structures, 16)."""
    digests = b"".join(bytes.fromhex(content_hash(atoms)) for atoms in frames)
    return np.frombuffer(digests, dtype=np.uint8).reshape(-1, 16)


def records_of(
    features: AtomFeatures,
    hashes: np.ndarray,
    energies: np.ndarray,
    labels: Labels,
    dtype: np.dtype,
) -> Records:
    """Make records of features and what belongs to their structures.

    Parameters
    ----------
    features : AtomFeatures
    hashes : ndarray of uint8, shape (n_structures, 16)
    energies : ndarray of shape (n_structures,)
        NaN where there is none.
    labels : Labels
    dtype : numpy.dtype
        Of the stored values.

    Raises
    ------
    ValueError
        If a charge or spin in ``info`` is no number, or features are not finite once
        they are stored.
    """
    frames = features.structures
    rows = np.zeros(len(features), dtype=STRUCTURE)
    rows["hash"] = hashes
    rows["n_atoms"] = features.n_atoms
    rows["cell"] = [atoms.cell.array for atoms in frames]
    rows["pbc"] = [atoms.pbc for atoms in frames]
    for name in IDENTITY_INFO:
        rows[name] = [_number(atoms.info.get(name), name, s)
                      for s, atoms in enumerate(frames)]  # fmt: skip
    rows["energy"] = energies
    rows["stress"] = labels.stress
    rows["has_forces"], rows["has_stress"] = labels.has_forces, labels.has_stress
    atoms = np.zeros(len(features.numbers), dtype=ATOM)
    atoms["number"] = features.numbers
    atoms["position"] = np.concatenate([one.positions for one in frames])
    atoms["force"] = labels.forces
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(features.values, dtype=dtype)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        s = int(features.structure_index[bad[0]])
        raise ValueError(
            f"Features of atom {bad[0] - features.offsets[s]} of structure {s} are NaN "
            f"or infinite as {dtype.name}."
        )
    return Records(rows, atoms, values)


def _number(value, name: str, s: int) -> float:
    if value is None:
        return np.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"info[{name!r}] of structure {s} is {value!r}, which is no number and cannot "
            "be stored."
        ) from None

"""Memory-mapped shards: folders of three .npy files, numbered in the order of commits.

A shard is written under a temporary name and renamed to the next free number, in one
stroke that fails if another writer has just taken the number. A writer that succeeds has
thus seen all shards before its own, which is what keeps structures from being stored
twice, without any lock.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np

from skatom._runtime.whole_files import new_file
from skatom.store import _manifest
from skatom.store._hash_index import HashIndex
from skatom.store._records import (
    ATOM,
    STRUCTURE,
    Records,
    checksums,
    offsets_of,
    within_reach,
)

FOLDER = "shards"
RECORD = "shard.json"
FILES = ("structures", "atoms", "values")


class Shards:
    """The structures of a store in shards.

    Parameters
    ----------
    path : pathlib.Path
        Folder of the store.
    n_features : int
    dtype : numpy.dtype
        Of the stored values.
    """

    def __init__(self, path: Path, n_features: int, dtype: np.dtype):
        self.folder = path / FOLDER
        self._width, self._dtype = n_features, dtype
        self._shards: list[Shard] = []
        self._starts = np.zeros(1, dtype=np.int64)
        self._index = HashIndex()
        self.refresh()
        self._refuse_holes()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def refresh(self) -> None:
        """Read what other writers have committed since."""
        while (folder := self._place(len(self._shards))).is_dir():
            shard = Shard(folder, self._width, self._dtype)
            self._shards.append(shard)
            self._starts = np.append(self._starts, self._starts[-1] + len(shard))

    def append(self, records: Records) -> int:
        """Store the structures that are not there yet, and give their number."""
        while True:
            self.refresh()
            records = _without(records, self.find(records.structures["hash"]))
            if not len(records):
                return 0
            self.folder.mkdir(exist_ok=True)
            place = self._place(len(self._shards))
            if _manifest.publish(place, partial(write_shard, records)):
                self.refresh()
                return len(records)

    def find(self, hashes: np.ndarray) -> np.ndarray:
        """Look structures up by content hash: their indices, -1 where there are none."""
        while len(self._index) < len(self):
            k = int(np.searchsorted(self._starts, len(self._index), side="right")) - 1
            self._index.add(self._shards[k].structures["hash"])
            self._shards[k].forget()
        return self._index.find(hashes)

    def read(self, indices: np.ndarray) -> Records:
        """Copy structures from disk, checked, in the order asked for."""
        if not len(indices):
            return Records(
                np.empty(0, STRUCTURE), np.empty(0, ATOM),
                np.empty((0, self._width), self._dtype),
            )  # fmt: skip
        order = np.argsort(indices, kind="stable")
        wanted = indices[order]
        owner = np.searchsorted(self._starts, wanted, side="right") - 1
        parts = []
        for group in np.split(wanted, np.flatnonzero(np.diff(owner)) + 1):
            k = int(np.searchsorted(self._starts, group[0], side="right")) - 1
            for keep in within_reach(group - self._starts[k]):
                parts.append(self._checked(k, keep))
                self._shards[k].forget()
        records = Records.joined(parts)
        if (np.diff(order) < 0).any():
            records = records.take(np.argsort(order))
        return records

    def rows(self, indices: np.ndarray) -> np.ndarray:
        """Rows of STRUCTURE alone."""
        owner = np.searchsorted(self._starts, indices, side="right") - 1
        found = np.empty(len(indices), STRUCTURE)
        for k in np.unique(owner):
            here = owner == k
            found[here] = self._shards[k].structures[indices[here] - self._starts[k]]
        return found

    def column(self, name: str) -> np.ndarray:
        """One field of all structures."""
        parts = []
        for shard in self._shards:
            parts.append(np.array(shard.structures[name]))
            shard.forget()
        return np.concatenate([np.empty(0, STRUCTURE)[name], *parts])

    def damaged(self) -> Iterator[tuple[int, str]]:
        """Yield indices of structures whose checksum does not match, and the place."""
        for start, shard in zip(self._starts, self._shards):
            for first in range(0, len(shard), 256):
                keep = np.arange(first, min(first + 256, len(shard)))
                records = shard.read(keep)
                bad = checksums(records) != records.structures["checksum"]
                for s in np.flatnonzero(bad):
                    yield int(start + first + s), str(shard.folder)
                shard.forget()

    def remove_leftovers(self) -> None:
        """Remove what killed writers left behind."""
        _manifest.remove_unfinished(self.folder)

    def _checked(self, k: int, keep: np.ndarray) -> Records:
        shard = self._shards[k]
        records = shard.read(keep)
        bad = np.flatnonzero(checksums(records) != records.structures["checksum"])
        if len(bad):
            raise ValueError(
                f"Structure {int(self._starts[k] + keep[bad[0]])} is damaged in "
                f"{shard.folder}: its checksum does not match. FeatureStore.verify lists "
                "all that are; write the store again, or restore it from a copy."
            )
        return records

    def _place(self, k: int) -> Path:
        return self.folder / f"{k:08d}"

    def _refuse_holes(self) -> None:
        numbers = sorted(int(p.name) for p in self.folder.glob("[0-9]" * 8))
        if numbers and numbers[-1] >= len(self._shards):
            raise ValueError(
                f"{self._place(len(self._shards))} is missing, but later shards are "
                "there: restore it from a copy, or write the store again."
            )


class Shard:
    """One folder of arrays, mapped into memory when they are read."""

    def __init__(self, folder: Path, n_features: int, dtype: np.dtype):
        self.folder = folder
        self._record = _manifest.read_json(folder / RECORD)
        n_structures, n_atoms = self._record["n_structures"], self._record["n_atoms"]
        self._kinds = {
            "structures": ((n_structures,), STRUCTURE),
            "atoms": ((n_atoms,), ATOM),
            "values": ((n_atoms, n_features), dtype),
        }
        self._maps: dict[str, tuple[np.ndarray, mmap.mmap]] = {}
        self._offsets: np.ndarray | None = None

    def __len__(self) -> int:
        return self._record["n_structures"]

    @property
    def structures(self) -> np.ndarray:
        """Table of structures, checked as a whole when it is first read."""
        table = self._map("structures")
        if self._offsets is None:
            if _digest(table) != self._record["structures_checksum"]:
                raise ValueError(
                    f"{self.folder / 'structures.npy'} is damaged: its checksum does not "
                    "match. Restore it from a copy, or write the store again."
                )
            self._offsets = offsets_of(table["n_atoms"])
        return table

    def read(self, keep: np.ndarray) -> Records:
        """Copy some structures; neighbours on disk are read in one piece."""
        table = self.structures
        atoms, values = self._map("atoms"), self._map("values")
        breaks = np.flatnonzero(np.diff(keep) != 1) + 1
        first, last = keep[np.r_[0, breaks]], keep[np.r_[breaks, len(keep)] - 1]
        pieces = [
            slice(self._offsets[a], self._offsets[b + 1]) for a, b in zip(first, last)
        ]
        return Records(
            table[keep],
            np.concatenate([atoms[piece] for piece in pieces]),
            np.concatenate([values[piece] for piece in pieces]),
        )

    def forget(self) -> None:
        """Let go of the pages that were read, which the system keeps in its cache."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for _, mapped in self._maps.values():
                mapped.madvise(mmap.MADV_DONTNEED)

    def _map(self, name: str) -> np.ndarray:
        if name not in self._maps:
            self._maps[name] = self._open(name)
        return self._maps[name][0]

    def _open(self, name: str) -> tuple[np.ndarray, mmap.mmap]:
        """Map an array that must have the expected shape and be there in full."""
        path, (shape, dtype) = self.folder / f"{name}.npy", self._kinds[name]
        try:
            with open(path, "rb") as stream:
                np.lib.format.read_magic(stream)
                found = np.lib.format.read_array_header_1_0(stream)
                start = stream.tell()
                mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            array = np.frombuffer(mapped, dtype, int(np.prod(shape)), start)
        except FileNotFoundError:
            raise ValueError(f"{path} is missing: restore it from a copy.") from None
        except ValueError as error:
            raise ValueError(
                f"{path} is truncated or damaged ({error}): restore it from a copy."
            ) from None
        if found != (shape, False, dtype):
            raise ValueError(
                f"{path} holds an array of {found[2]} with shape {found[0]} in place of "
                f"{shape}: it belongs to another store."
            )
        return array.reshape(shape), mapped


def write_shard(records: Records, folder: Path) -> None:
    """Write the files of a shard into a folder."""
    arrays = (records.structures, records.atoms, records.values)
    for name, array in zip(FILES, arrays):
        with new_file(folder / f"{name}.npy") as stream:
            np.save(stream, array, allow_pickle=False)
    record = {
        "n_structures": len(records),
        "n_atoms": len(records.atoms),
        "structures_checksum": _digest(records.structures),
    }
    _manifest.write_json(folder / RECORD, record)


def _without(records: Records, found: np.ndarray) -> Records:
    """Leave out structures that were found in the store."""
    if (found < 0).all():
        return records
    return records.take(np.flatnonzero(found < 0))


def _digest(table: np.ndarray) -> str:
    return blake2b(
        np.ascontiguousarray(table).view(np.uint8), digest_size=16
    ).hexdigest()

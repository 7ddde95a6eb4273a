"""Memory-mapped shards: folders of three .npy files, numbered in the order of commits.

A shard is written under a temporary name and renamed to the next free number, in one
stroke that fails if another writer has just taken the number. A writer that succeeds has
thus seen all shards before its own, which is what keeps structures from being stored
twice, without any lock. So each shard says which store it belongs to, which number it has
and the checksum of the shard before it: none can be copied, swapped or brought from
elsewhere unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from skatom._runtime.whole_files import room_for
from skatom.store import _committed, _manifest
from skatom.store._hash_index import HashIndex
from skatom.store._records import (
    ATOM,
    STRUCTURE,
    Records,
    damaged,
    within_reach,
)
from skatom.store._shard import Shard, write_shard

FOLDER = "shards"
COMMITTED = {"shards": int, "structures": int, "last": str}


class Shards:
    """The structures of a store in shards.

    Parameters
    ----------
    path : pathlib.Path
        Folder of the store.
    manifest : dict
        Of the store.
    """

    def __init__(self, path: Path, manifest: dict):
        self.path, self.folder = path, path / FOLDER
        self._manifest = manifest
        self._shards: list[Shard] = []
        self._starts = np.zeros(1, dtype=np.int64)
        self._index = HashIndex()
        self.refresh()

    @staticmethod
    def begin(folder: Path) -> None:
        """Say that a new store holds nothing yet."""
        nothing = {"shards": 0, "structures": 0, "last": ""}
        _manifest.write_json(folder / _committed.FILE, nothing)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def refresh(self) -> None:
        """Read what other writers have committed since."""
        committed = _committed.read(self.path, COMMITTED)
        while (folder := self._place(len(self._shards))).is_dir():
            shard = Shard(folder, self._manifest)
            shard.check_place(len(self._shards), self._last())
            self._shards.append(shard)
            self._starts = np.append(self._starts, self._starts[-1] + len(shard))
        self._refuse_gaps(committed)

    def append(self, records: Records) -> int:
        """Store the structures that are not there yet, and give their number."""
        while True:
            self.refresh()
            records = _without(records, self.find(records.structures["hash"]))
            if not len(records):
                return 0
            self.folder.mkdir(exist_ok=True)
            _manifest.remove_dead(self.folder)
            k = len(self._shards)
            belongs = {
                "store": self._manifest["id"],
                "parameter_hash": self._manifest["parameter_hash"],
                "number": k,
                "previous": self._last(),
            }
            fill = partial(write_shard, records, belongs)
            with room_for(self.folder, records.nbytes):
                done = _manifest.publish(self._place(k), fill)
            if done:
                _committed.write(self.path, self._look)
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
            shape = (0, len(self._manifest["columns"]))
            values = np.empty(shape, self._manifest["dtype"])
            return Records(np.empty(0, STRUCTURE), np.empty(0, ATOM), values)
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
                for s in np.flatnonzero(damaged(shard.read(keep))):
                    yield int(start + first + s), str(shard.folder)
                shard.forget()

    def remove_leftovers(self) -> None:
        """Remove what killed writers left behind."""
        _manifest.remove_unfinished(self.folder)

    def _checked(self, k: int, keep: np.ndarray) -> Records:
        shard = self._shards[k]
        records = shard.read(keep)
        bad = np.flatnonzero(damaged(records))
        if len(bad):
            raise ValueError(
                f"Structure {int(self._starts[k] + keep[bad[0]])} is damaged in "
                f"{shard.folder}: its checksum does not match. FeatureStore.verify lists "
                "all that are; write the store again, or restore it from a copy."
            )
        return records

    def _place(self, k: int) -> Path:
        return self.folder / f"{k:08d}"

    def _last(self) -> str:
        """Checksum of the last shard, which the next one names."""
        return self._shards[-1].checksum if self._shards else ""

    def _look(self) -> dict:
        self.refresh()
        return {
            "shards": len(self._shards), "structures": len(self), "last": self._last(),
        }  # fmt: skip

    def _refuse_gaps(self, committed: dict) -> None:
        """Refuse a store of which shards are missing, at the end or before others."""
        n = len(self._shards)
        later = [p for p in self.folder.glob("[0-9]" * 8) if int(p.name) > n]
        if later or committed["shards"] > n:
            told = "later shards are there" if later else (
                f"{committed['shards']} shards with {committed['structures']} structures "
                "were committed"
            )  # fmt: skip
            raise ValueError(
                f"{self._place(n)} is missing, but {told}: restore it from a copy, or "
                "write the store again."
            )
        k = committed["shards"] - 1
        if k >= 0 and (
            self._shards[k].checksum != committed["last"]
            or self._starts[k + 1] != committed["structures"]
        ):
            raise ValueError(
                f"{self._place(k)} is not the shard that was committed under its number: "
                "restore it from a copy, or write the store again."
            )


def _without(records: Records, found: np.ndarray) -> Records:
    """Leave out structures that were found in the store."""
    if (found < 0).all():
        return records
    return records.take(np.flatnonzero(found < 0))

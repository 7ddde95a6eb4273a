"""An LMDB database of ragged blobs: raw records of structures, no pickle.

Four kinds of keys: ``o`` (which store this is), ``n`` (how many structures there are),
``s`` and running number (a row of STRUCTURE), ``b`` and running number (rows of ATOM, then
the values). LMDB lets one writer in at a time, so that a writer has seen all structures
before its own, and shows readers complete transactions only.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from skatom._runtime.whole_files import room_for
from skatom.store import _committed, _manifest
from skatom.store._hash_index import HashIndex
from skatom.store._lmdb_map import AGAIN, COMMITTED, DATA, Environment
from skatom.store._records import ATOM, JUMPS, STRUCTURE, Records, damaged, within_reach

PAGE_BYTES = 2**21
ROWS_AT_ONCE = 64
COUNT, OWNER = b"n", b"o"


class Blobs:
    """The structures of a store in LMDB.

    Parameters
    ----------
    path : pathlib.Path
        Folder of the store.
    manifest : dict
        Of the store.
    """

    def __init__(self, path: Path, manifest: dict):
        self.path = path
        self._width = len(manifest["columns"])
        self._dtype = np.dtype(manifest["dtype"])
        self._owner = f"{manifest['id']} {manifest['parameter_hash']}".encode()
        self._environment = Environment.of(path)
        self._n = 0
        self._index = HashIndex()
        self.refresh()

    @staticmethod
    def begin(folder: Path) -> None:
        """Say that a new store holds nothing yet."""
        _manifest.write_json(folder / _committed.FILE, dict.fromkeys(COMMITTED, 0))

    def __len__(self) -> int:
        return self._n

    def refresh(self) -> None:
        """Read what other writers have committed since."""
        least = _committed.read(self.path, COMMITTED)["structures"]
        with self._environment.reading() as transaction:
            self._n = self._counted(transaction)
        if self._n < least:
            raise ValueError(
                f"{self.path / DATA} holds {self._n} structures, and {least} were "
                f"committed. {AGAIN}"
            )

    def append(self, records: Records) -> int:
        """Store the structures that are not there yet, and give their number."""
        with room_for(self.path / DATA, records.nbytes):
            n_new = self._environment.write(partial(self._put, records))
        self._environment.close()
        _committed.write(self.path, self._look)
        return n_new

    def find(self, hashes: np.ndarray) -> np.ndarray:
        """Look structures up by content hash: their indices, -1 where there are none."""
        while len(self._index) < self._n:
            start = len(self._index)
            self._index.add(self._some_rows(start, self._n)["hash"])
        return self._index.find(hashes)

    def read(self, indices: np.ndarray) -> Records:
        """Copy structures from disk, checked, in the order asked for."""
        parts = [self._read(part) for part in within_reach(indices)]
        records = Records.joined(parts)
        bad = np.flatnonzero(damaged(records))
        if len(bad):
            raise ValueError(
                f"Structure {int(indices[bad[0]])} is damaged in {self.path}: its checksum "
                "does not match. FeatureStore.verify lists all that are; write the store "
                "again, or restore it from a copy."
            )
        return records

    def rows(self, indices: np.ndarray) -> np.ndarray:
        """Rows of STRUCTURE alone."""
        with self._environment.reading() as transaction:
            rows = [self._row(transaction, s) for s in indices.tolist()]
        return np.frombuffer(b"".join(rows), STRUCTURE)

    def column(self, name: str) -> np.ndarray:
        """One field of all structures."""
        parts = [
            self._some_rows(start, self._n)[name]
            for start in range(0, self._n, ROWS_AT_ONCE)
        ]
        return np.concatenate([np.empty(0, STRUCTURE)[name], *parts])

    def damaged(self) -> Iterator[tuple[int, str]]:
        """Yield indices of structures whose checksum does not match, and the place."""
        for s in range(self._n):
            try:
                found = damaged(self._read(np.array([s])))[0]
            except ValueError:
                found = True
            if found:
                yield s, str(self.path)

    def remove_leftovers(self) -> None:
        """Do nothing: transactions leave nothing behind."""

    def _look(self) -> dict:
        self.refresh()
        return {"structures": self._n, "bytes": (self.path / DATA).stat().st_size}

    def _counted(self, transaction) -> int:
        """How many structures there are, in a database that must be this store's."""
        owner, count = transaction.get(OWNER), transaction.get(COUNT)
        n_keys = transaction.stat()["entries"]
        if not n_keys:
            return 0
        if owner is None or bytes(owner) != self._owner:
            raise ValueError(
                f"{self.path / DATA} belongs to another store, or its features were made "
                f"by another featurizer than that of the manifest. {AGAIN}"
            )
        n = -1 if count is None else _number(count)
        if n_keys != 2 * n + 2:
            raise ValueError(
                f"{self.path / DATA} is damaged: {n_keys} keys are there, and not two for "
                f"each of {n} structures. {AGAIN}"
            )
        return n

    def _some_rows(self, start: int, stop: int) -> np.ndarray:
        """Rows from a structure on, as many as lie in few pages."""
        rows = self.rows(np.arange(start, min(start + ROWS_AT_ONCE, stop)))
        self._environment.forget_after(PAGE_BYTES * JUMPS)
        return rows

    def _put(self, records: Records, transaction) -> int:
        """Write what is not there yet; with the lock of the writer held."""
        n = self._counted(transaction)
        for s in range(len(self._index), n):  # what others have written meanwhile
            row = np.frombuffer(self._row(transaction, s), STRUCTURE)
            self._index.add(row["hash"])
        transaction.put(OWNER, self._owner)
        new = np.flatnonzero(self._index.find(records.structures["hash"]) < 0)
        edges = records.offsets
        for s in new:
            rows = slice(edges[s], edges[s + 1])
            blob = records.atoms[rows].tobytes() + records.values[rows].tobytes()
            transaction.put(_key(b"s", n), records.structures[s].tobytes())
            transaction.put(_key(b"b", n), blob)
            n += 1
        transaction.put(COUNT, n.to_bytes(8, "big"))
        return len(new)

    def _read(self, indices: np.ndarray) -> Records:
        rows, atoms, values = [], [], []
        with self._environment.reading() as transaction:
            for s in indices.tolist():
                row, blob = self._row(transaction, s), transaction.get(_key(b"b", s))
                n = self._n_atoms(row, blob, s)
                rows.append(row)
                atoms.append(bytes(blob[: n * ATOM.itemsize]))
                values.append(bytes(blob[n * ATOM.itemsize :]))
        records = Records(
            np.frombuffer(b"".join(rows), STRUCTURE),
            np.frombuffer(b"".join(atoms), ATOM),
            np.frombuffer(b"".join(values), self._dtype).reshape(-1, self._width),
        )
        jumps = 1 + int(np.sum(np.diff(indices) != 1))
        self._environment.forget_after(records.nbytes + PAGE_BYTES * jumps)
        return records

    def _row(self, transaction, s: int) -> bytes:
        """Row of a structure, which must be there in full."""
        row = transaction.get(_key(b"s", s))
        if row is None or len(row) != STRUCTURE.itemsize:
            raise self._damaged(s)
        return bytes(row)

    def _n_atoms(self, row: bytes, blob, s: int) -> int:
        """Check that a blob is as long as its structure says."""
        n = int(np.frombuffer(row, STRUCTURE)["n_atoms"][0])
        size = n * (ATOM.itemsize + self._width * self._dtype.itemsize)
        if n < 1 or blob is None or len(blob) != size:
            raise self._damaged(s)
        return n

    def _damaged(self, s: int) -> ValueError:
        return ValueError(
            f"Structure {s} is damaged in {self.path}: its record is missing or of the "
            "wrong length. Write the store again, or restore it from a copy."
        )


def _key(kind: bytes, s: int) -> bytes:
    return kind + s.to_bytes(8, "big")


def _number(key) -> int:
    return int.from_bytes(bytes(key), "big")

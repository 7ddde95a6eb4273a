"""An LMDB database of ragged blobs: raw records of structures, no pickle.

Three kinds of keys: ``n`` (how many structures there are), ``s`` and running number (a
row of STRUCTURE), ``b`` and running number (rows of ATOM, then the values). LMDB lets one
writer in at a time, so that a writer has seen all structures before its own, and shows
readers complete transactions only.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from skatom.store._hash_index import HashIndex
from skatom.store._records import (
    ATOM,
    JUMPS,
    STRUCTURE,
    Records,
    checksums,
    within_reach,
)

FIRST_MAP_BYTES = 2**26
# Mapped pages count as memory of the process: the map is dropped after so many bytes.
MAPPED_BYTES = 2**25
PAGE_BYTES = 2**21
ROWS_AT_ONCE = 64
COUNT = b"n"


class Blobs:
    """The structures of a store in LMDB.

    Parameters
    ----------
    path : pathlib.Path
        Folder of the store.
    n_features : int
    dtype : numpy.dtype
        Of the stored values.
    """

    def __init__(self, path: Path, n_features: int, dtype: np.dtype):
        self.path = path
        self._width, self._dtype = n_features, dtype
        self._environment = _Environment.of(path)
        self._n = 0
        self._index = HashIndex()
        self.refresh()

    def __len__(self) -> int:
        return self._n

    def refresh(self) -> None:
        """Read what other writers have committed since."""
        with self._environment.reading() as transaction:
            self._n = _number(transaction.get(COUNT, bytes(8)))

    def append(self, records: Records) -> int:
        """Store the structures that are not there yet, and give their number."""
        n_new = self._environment.write(partial(self._put, records))
        self._environment.close()
        self.refresh()
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
        bad = np.flatnonzero(checksums(records) != records.structures["checksum"])
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
            rows = [bytes(transaction.get(_key(b"s", s))) for s in indices.tolist()]
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
                records = self._read(np.array([s]))
                sound = checksums(records)[0] == records.structures["checksum"][0]
            except ValueError:
                sound = False
            if not sound:
                yield s, str(self.path)

    def remove_leftovers(self) -> None:
        """Do nothing: transactions leave nothing behind."""

    def _some_rows(self, start: int, stop: int) -> np.ndarray:
        """Rows from a structure on, as many as lie in few pages."""
        rows = self.rows(np.arange(start, min(start + ROWS_AT_ONCE, stop)))
        self._environment.forget_after(PAGE_BYTES * JUMPS)
        return rows

    def _put(self, records: Records, transaction) -> int:
        """Write what is not there yet; with the lock of the writer held."""
        n = _number(transaction.get(COUNT, bytes(8)))
        for s in range(len(self._index), n):  # what others have written meanwhile
            row = np.frombuffer(transaction.get(_key(b"s", s)), STRUCTURE)
            self._index.add(row["hash"])
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
                row = transaction.get(_key(b"s", s))
                blob = transaction.get(_key(b"b", s))
                n = self._n_atoms(row, blob, s)
                rows.append(bytes(row))
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

    def _n_atoms(self, row, blob, s: int) -> int:
        """Check that a blob is as long as its structure says."""
        if row is not None and blob is not None and len(row) == STRUCTURE.itemsize:
            n = int(np.frombuffer(row, STRUCTURE)["n_atoms"][0])
            if len(blob) == n * (ATOM.itemsize + self._width * self._dtype.itemsize):
                return n
        raise ValueError(
            f"Structure {s} is damaged in {self.path}: its record is missing or of the "
            "wrong length. Write the store again, or restore it from a copy."
        )


def _key(kind: bytes, s: int) -> bytes:
    return kind + s.to_bytes(8, "big")


def _number(key) -> int:
    return int.from_bytes(bytes(key), "big")


class _Environment:
    """An LMDB environment, of which a process may hold one a path."""

    _held: dict[Path, _Environment] = {}
    _holding = threading.Lock()

    def __init__(self, path: Path):
        self._lmdb = _import_lmdb()
        self._path = path
        self._lock = threading.RLock()  # nobody reads while the map is dropped
        self._env = None
        self._pid = 0
        self._read_bytes = 0

    @classmethod
    def of(cls, path: Path) -> _Environment:
        """Give the environment of this process at a path."""
        path = path.resolve()
        with cls._holding:
            if path not in cls._held:
                cls._held[path] = cls(path)
            return cls._held[path]

    @contextmanager
    def reading(self) -> Iterator:
        """Give a read transaction."""
        with self._lock:
            env = self._open()
            try:
                transaction = env.begin(buffers=True)
            except self._lmdb.MapResizedError:  # another process has made it larger
                env.set_mapsize(0)
                transaction = env.begin(buffers=True)
            with transaction:
                yield transaction

    def write(self, put: Callable) -> int:
        """Run ``put(transaction)`` in one transaction, in a map that is large enough."""
        with self._lock:
            while True:
                env = self._open()
                try:
                    with env.begin(write=True) as transaction:
                        return put(transaction)
                except self._lmdb.MapFullError:
                    env.set_mapsize(2 * env.info()["map_size"])
                except self._lmdb.MapResizedError:
                    env.set_mapsize(0)

    def forget_after(self, n_bytes: int) -> None:
        """Drop the map when enough of it has been touched."""
        self._read_bytes += n_bytes
        if self._read_bytes >= MAPPED_BYTES:
            self.close()

    def close(self) -> None:
        """Drop the map; the next use opens it again."""
        with self._lock:
            if self._env is not None and self._pid == os.getpid():
                self._env.close()
            self._env, self._read_bytes = None, 0

    def _open(self):
        if self._env is None or self._pid != os.getpid():  # not one of before a fork
            writable = os.access(self._path, os.W_OK)
            self._env = self._lmdb.open(
                str(self._path), map_size=FIRST_MAP_BYTES, readonly=not writable,
                lock=writable, readahead=False, max_readers=1024, meminit=False,
            )  # fmt: skip
            self._pid = os.getpid()
        return self._env


def _import_lmdb():
    try:
        import lmdb
    except ImportError:
        raise ImportError(
            'A store with layout="lmdb" needs the package lmdb, which is not installed: '
            'pip install "skatom[lmdb]".'
        ) from None
    return lmdb
